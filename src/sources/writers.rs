//! Finds the process that has a file open for writing, as far as permissions allow. A file that is
//! still being written is not finished, however long it is quiet. Only root sees other users'
//! processes; for those there are inotify events.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The access mode bits of a descriptor's flags; any value but zero means writing (open(2)).
const ACCESS_MODE: u32 = 0o3;

/// Returns a description of the process that has a file open for writing; `None` if there is none
/// or it is not visible.
pub fn writer_of(path: &Path) -> Option<String> {
    let file = path.canonicalize().ok()?;
    let identity = fs::metadata(&file).ok().map(|metadata| (metadata.dev(), metadata.ino()))?;
    let name = file.file_name()?;
    let own = std::process::id().to_string();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let id = process.file_name();
        let Some(id) = id.to_str().filter(|id| *id != own && id.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            continue;
        };
        // The process is gone or belongs to another user.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            // Compare the name first: reading metadata of a file on an unresponsive server would
            // hang.
            let opened = fs::read_link(descriptor.path()).ok();
            if opened.as_deref().and_then(Path::file_name) != Some(name) {
                continue;
            }
            let opened =
                fs::metadata(descriptor.path()).ok().map(|metadata| (metadata.dev(), metadata.ino()));
            let info = process.path().join("fdinfo").join(descriptor.file_name());
            if opened == Some(identity) && is_for_writing(&fs::read_to_string(info).unwrap_or_default()) {
                let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("process {id} ({})", command.trim()));
            }
        }
    }
    None
}

/// True if `/proc/PID/fdinfo` shows a descriptor that can write.
fn is_for_writing(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & ACCESS_MODE != 0)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_has_a_file_open_for_writing_is_found_and_a_reader_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sites.csv");
        fs::write(&path, "x\n").unwrap();
        for (mode, is_found) in [("<", false), (">>", true), ("<>", true)] {
            let script = format!("exec 3{mode}\"$0\"; echo open; read line");
            let mut shell = Command::new("sh")
                .args(["-c", &script])
                .arg(&path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let found = writer_of(&path);
            assert_eq!(found, is_found.then(|| format!("process {} (sh)", shell.id())), "{mode}");
            drop(shell.stdin.take());
            shell.wait().unwrap();
        }
        assert_eq!(writer_of(&path), None);
        assert_eq!(writer_of(&folder.path().join("none")), None);
    }
}
