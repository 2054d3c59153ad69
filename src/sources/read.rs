//! Reads a file whole, and tells whether somebody may still be writing it.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{self, Clock, WallClock};
use crate::regular_file;

use super::writers::writer_of;

/// Bytes that an input may have; a hundred thousand rows are half of it.
pub const MAX_BYTES: u64 = 24 << 20;
/// A file that nobody wrote to for this long is taken to be finished.
const QUIET: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Of the last writing, in seconds and nanoseconds.
    written: (i64, i64),
    /// Of the last change of anything: a copy may bring an old time of writing along.
    changed: (i64, i64),
    length: u64,
}

/// A file's content at one look.
#[derive(Debug)]
pub struct Content {
    /// All of it.
    pub bytes: Arc<[u8]>,
    /// Whether nobody wrote to it during the reading.
    pub steady: bool,
    /// Whether nobody had written to it for a while either.
    pub quiet: bool,
}

/// Where files are read from.
pub trait ReadFiles: std::fmt::Debug + Send {
    /// A file's content as it is now.
    ///
    /// # Errors
    /// It is missing, no file, too large, or can't be read.
    fn read(&self, path: &Path) -> Result<Content, Unread>;

    /// The stamp of a file that has lain untouched for a while; none when there is none to rely on: clocks of file systems
    /// tick coarsely, so that of a file just written proves nothing.
    fn quiet_stamp(&self, path: &Path) -> Option<Stamp>;

    /// Who has the file open for writing, in words, as far as can be seen.
    fn writer(&self, path: &Path) -> Option<String>;

    /// How long the machine is up: waits are measured by it.
    fn uptime(&self) -> Duration;
}

/// The machine's own files.
#[derive(Debug, Default)]
pub struct Disk {
    /// Files that bear a time to come, as of another machine's clock, and the uptime since which each is as it is.
    ahead: Mutex<HashMap<PathBuf, (Stamp, Duration)>>,
}

impl ReadFiles for Disk {
    fn read(&self, path: &Path) -> Result<Content, Unread> {
        let (bytes, metadata, steady) = read(path)?;
        Ok(Content { bytes, steady, quiet: steady && self.is_quiet(path, &metadata) })
    }

    fn quiet_stamp(&self, path: &Path) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok()?;
        self.is_quiet(path, &metadata).then(|| stamp(&metadata))
    }

    fn writer(&self, path: &Path) -> Option<String> {
        writer_of(path)
    }

    fn uptime(&self) -> Duration {
        WallClock.uptime()
    }
}

impl Disk {
    fn is_quiet(&self, path: &Path, metadata: &Metadata) -> bool {
        let Ok(written) = metadata.modified() else { return false };
        if let Some(age) = clock::age(written) {
            return age >= QUIET;
        }
        let (now, stamp) = (WallClock.uptime(), stamp(metadata));
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, since) = ahead.entry(path.to_owned()).or_insert((stamp, now));
        if *known != stamp {
            (*known, *since) = (stamp, now);
        }
        now.saturating_sub(*since) >= QUIET
    }
}

/// Why there is no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// In words.
    pub why: String,
    /// It may be readable the next time without any event: a file that is missing announces itself.
    pub may_pass: bool,
}

/// Reads a file: what it holds, what is known of it, and whether nobody wrote to it meanwhile.
fn read(path: &Path) -> Result<(Arc<[u8]>, Metadata, bool), Unread> {
    let unread = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unread { why: "the file is missing".to_owned(), may_pass: false },
        ErrorKind::InvalidInput => Unread { why: "this is no file".to_owned(), may_pass: true },
        _ => Unread { why: format!("the file can't be read: {error}"), may_pass: true },
    };
    let (mut file, before) = regular_file::open(path).map_err(unread)?;
    if before.len() > MAX_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    let after = file.metadata().map_err(unread)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    let steady = stamp(&before) == stamp(&after);
    Ok((bytes.into(), after, steady))
}

fn too_large() -> Unread {
    let most = MAX_BYTES >> 20;
    let why = format!("the file is larger than {most} MiB (hint: split it into several sources)");
    Unread { why, may_pass: false }
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        written: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        length: metadata.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_file_from_a_machine_whose_clock_is_ahead_is_quiet_once_it_has_lain_there_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sites.csv");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let ahead = WallClock.now() + Duration::from_secs(3);
            File::options().append(true).open(&path).unwrap().set_modified(ahead.into()).unwrap();
        };
        let disk = Disk::default();
        let is_quiet = || disk.read(&path).unwrap().quiet;
        write("site\nLeeds\n");
        assert!(!is_quiet());
        let began = Instant::now();
        while !is_quiet() {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(began.elapsed() > QUIET / 2);
        write("site\nLeeds\nYork\n");
        assert!(!is_quiet());
    }
}
