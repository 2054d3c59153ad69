//! Reads a whole file and detects if it may be incomplete.

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

/// The time without writes after which a file counts as finished.
const QUIET: Duration = Duration::from_secs(2);

/// A fingerprint that distinguishes states of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// The time of the last write, in seconds and nanoseconds.
    written: (i64, i64),
    /// The time of the last inode change: a copy may preserve an old write time.
    changed: (i64, i64),
    length: u64,
}

/// A file's content from one read.
#[derive(Debug)]
pub struct Content {
    /// The whole content.
    pub bytes: Arc<[u8]>,
    /// True if the file was not written to during the read.
    pub steady: bool,
    /// True if it had not been written to for a while before either.
    pub quiet: bool,
}

/// A source of file contents.
pub trait ReadFiles: std::fmt::Debug + Send {
    /// Reads a file's current content, of at most some bytes.
    ///
    /// # Errors
    /// Returns an error when it is missing, not a regular file, too large, or unreadable.
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unread>;

    /// Returns the stamp of a file that has been untouched for a while; `None` if it is unreliable.
    ///
    /// File system clocks have coarse ticks, so the stamp of a file just written proves nothing.
    fn quiet_stamp(&self, path: &Path) -> Option<Stamp>;

    /// Returns a description of the process that has the file open for writing, if it is visible.
    fn writer(&self, path: &Path) -> Option<String>;

    /// Returns the machine's uptime, by which waits are measured.
    fn uptime(&self) -> Duration;
}

/// The machine's own files.
#[derive(Debug, Default)]
pub struct Disk {
    /// Files with a time in the future, for example from another machine's clock, and the uptime
    /// since which each is unchanged.
    ahead: Mutex<HashMap<PathBuf, (Stamp, Duration)>>,
}

impl ReadFiles for Disk {
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unread> {
        let (bytes, metadata, steady) = read(path, most)?;
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

/// The reason why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The message.
    pub why: String,
    /// True if the file may become readable without any event; a missing file causes one when it
    /// appears.
    pub may_pass: bool,
}

/// Reads a file: its content, its metadata, and true if it was not written to meanwhile.
fn read(path: &Path, most: u64) -> Result<(Arc<[u8]>, Metadata, bool), Unread> {
    let unread = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unread { why: "the file is missing".to_owned(), may_pass: false },
        ErrorKind::InvalidInput => Unread { why: "this is not a regular file".to_owned(), may_pass: true },
        _ => Unread { why: format!("the file cannot be read: {error}"), may_pass: true },
    };
    let (mut file, before) = regular_file::open(path).map_err(unread)?;
    if before.len() > most {
        return Err(too_large(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    (&mut file).take(most + 1).read_to_end(&mut bytes).map_err(unread)?;
    let after = file.metadata().map_err(unread)?;
    if bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    let steady = stamp(&before) == stamp(&after);
    Ok((bytes.into(), after, steady))
}

fn too_large(most: u64) -> Unread {
    let most = most >> 20;
    let hint = "hint: split it into several sources, or set max_rows of the source";
    let why = format!("the file is larger than {most} MiB ({hint})");
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
    fn a_file_dated_in_the_future_is_settled_once_it_is_unchanged_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sites.csv");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let ahead = WallClock.now() + Duration::from_secs(3);
            File::options().append(true).open(&path).unwrap().set_modified(ahead.into()).unwrap();
        };
        let disk = Disk::default();
        let is_quiet = || disk.read(&path, 1 << 20).unwrap().quiet;
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
