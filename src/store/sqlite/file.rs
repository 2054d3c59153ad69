//! The files of a store: created for their owner only, marked while in use, and monitored. A file
//! that is removed while open no longer is the store, although writes to it still succeed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The content of the lock file after a clean shutdown.
pub(super) const CLOSED: &str = "closed";
/// The begin of the lock file of a store that was moved; its new place follows.
pub(super) const MOVED: &str = "moved to ";
/// The first bytes of every SQLite database (the SQLite file format, 1.3.1).
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// The lock of a store and the identity of its files, held while it is written.
#[derive(Debug)]
pub(super) struct Guard {
    lock: File,
    /// Locked too: a user may remove a lock file that looks stale.
    file: File,
    path: PathBuf,
    store: Identity,
    /// Its write-ahead log, once seen.
    log: Option<Identity>,
    /// The largest size seen, in bytes: a store never shrinks.
    length: u64,
    /// True at a clean shutdown: nothing failed, and everything was written.
    pub(super) is_sound: bool,
    /// The content of the lock file after that.
    pub(super) at_end: String,
}

impl Guard {
    /// Guards an open store.
    pub(super) fn new(path: &Path, lock: File, file: File) -> io::Result<Self> {
        let (store, path) = (identity(path)?, path.to_owned());
        Ok(Self { lock, file, path, store, log: None, length: 0, is_sound: false, at_end: CLOSED.to_owned() })
    }

    /// Returns true while the files are still the ones that were opened, and the first bytes are
    /// those of a database: SQLite keeps pages in memory and does not look for itself.
    pub(super) fn is_in_place(&mut self) -> bool {
        let lock = self.lock.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
        let Ok(store) = std::fs::metadata(&self.path) else { return false };
        let log = identity(&suffixed(&self.path, "-wal")).ok();
        let known = std::mem::replace(&mut self.log, log);
        let length = std::mem::replace(&mut self.length, store.len());
        (store.dev(), store.ino()) == self.store
            && store.len() >= length
            && (known.is_none() || known == log)
            && self.has_header()
            && identity(&suffixed(&self.path, ".lock")).ok() == lock.ok()
    }

    /// Writes a text into the lock file.
    pub(super) fn sign(&self, text: &str) -> io::Result<()> {
        sign(&self.lock, text)
    }

    fn has_header(&self) -> bool {
        let mut header = [0; HEADER.len()];
        self.file.read_exact_at(&mut header, 0).is_ok() && header == *HEADER
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without this mark the next start assumes that the program was killed.
        if self.is_sound {
            let _ = sign(&self.lock, &self.at_end);
        }
    }
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Returns true if the store had a clean shutdown after its last use.
pub(super) fn was_closed(path: &Path) -> bool {
    std::fs::read_to_string(lock_path(path)).is_ok_and(|signed| signed.trim() == CLOSED)
}

/// Returns the place that the store was moved to.
pub(super) fn moved_to(path: &Path) -> Option<String> {
    let signed = std::fs::read_to_string(lock_path(path)).ok()?;
    signed.trim().strip_prefix(MOVED).map(str::to_owned)
}

/// Writes the owning process or the mark of a clean shutdown into the lock file.
pub(super) fn sign(mut lock: &File, text: &str) -> io::Result<()> {
    use std::io::Seek;
    // Never empty, not even briefly: that would mean that there was no store.
    lock.rewind()?;
    writeln!(lock, "{text}")?;
    let length = lock.stream_position()?;
    lock.set_len(length)
}

/// Opens or creates a file; a new one is accessible to its owner only from the start.
pub(super) fn make_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Creates a folder that only its owner can access, unless it exists.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match path.as_os_str().is_empty() || path.is_dir() {
        true => Ok(()),
        false => DirBuilder::new().recursive(true).mode(0o700).create(path),
    }
}

pub(super) fn lock_path(path: &Path) -> PathBuf {
    suffixed(path, ".lock")
}

/// Returns the path of a file next to the store.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
