//! The files of a store: made for their owner alone, signed while they are in use, and watched: what is removed while it is open
//! is no store any more, though it can still be written to.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What stands in the lock once the store was closed in order.
const CLOSED: &str = "closed";

/// The lock of a store and what identifies its files, for as long as it is written.
#[derive(Debug)]
pub(super) struct Guard {
    lock: File,
    /// Locked too: a lock file can be removed by somebody who takes it for left behind.
    _file: File,
    path: PathBuf,
    store: Identity,
    /// Its write-ahead log, once it was seen.
    log: Option<Identity>,
    /// The most bytes that the store was seen with: it never shrinks.
    length: u64,
    /// It ends in order: nothing failed, and all was written.
    pub(super) is_sound: bool,
}

impl Guard {
    /// Guards an open store.
    pub(super) fn new(path: &Path, lock: File, file: File) -> io::Result<Self> {
        let (store, path) = (identity(path)?, path.to_owned());
        Ok(Self { lock, _file: file, path, store, log: None, length: 0, is_sound: false })
    }

    /// Whether both files are still those that were opened.
    pub(super) fn is_in_place(&mut self) -> bool {
        let lock = self.lock.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
        let Ok(store) = std::fs::metadata(&self.path) else { return false };
        let log = identity(&suffixed(&self.path, "-wal")).ok();
        let known = std::mem::replace(&mut self.log, log);
        let length = std::mem::replace(&mut self.length, store.len());
        (store.dev(), store.ino()) == self.store
            && store.len() >= length
            && (known.is_none() || known == log)
            && identity(&suffixed(&self.path, ".lock")).ok() == lock.ok()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Unsigned it counts as one whose program was killed.
        if self.is_sound {
            let _ = sign(&self.lock, CLOSED);
        }
    }
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether a store was closed in order when it was last used.
pub(super) fn was_closed(path: &Path) -> bool {
    std::fs::read_to_string(lock_path(path)).is_ok_and(|signed| signed.trim() == CLOSED)
}

/// Writes into the lock whose it is, or that it is nobody's.
pub(super) fn sign(mut lock: &File, text: &str) -> io::Result<()> {
    use std::io::Seek;
    // Never empty, not for a moment: that would say that there was no store.
    lock.rewind()?;
    writeln!(lock, "{text}")?;
    let length = lock.stream_position()?;
    lock.set_len(length)
}

/// Makes a file that only its owner can use, from its first moment; one that is there stays as it is.
pub(super) fn make_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Makes a folder that only its owner can use, unless it is there.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match path.as_os_str().is_empty() || path.is_dir() {
        true => Ok(()),
        false => DirBuilder::new().recursive(true).mode(0o700).create(path),
    }
}

pub(super) fn lock_path(path: &Path) -> PathBuf {
    suffixed(path, ".lock")
}

/// The path of a file beside the store.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
