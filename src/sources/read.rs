//! Reads a file whole, and tells whether somebody may still be writing it.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;

/// Bytes that an input may have; a hundred thousand rows are half of it.
pub const MAX_BYTES: u64 = 24 << 20;
/// A file that nobody wrote to for this long is taken to be finished.
const QUIET: Duration = Duration::from_secs(2);

/// What tells one state of a file from another: device, inode, time of writing, length.
pub type Stamp = (u64, u64, i64, i64, u64);

/// The stamp of a file that has lain untouched for a while. Clocks of file systems tick coarsely, so that of
/// a file just written proves nothing.
fn quiet_stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    is_quiet(&metadata).then(|| stamp(&metadata))
}

fn is_quiet(metadata: &Metadata) -> bool {
    metadata.modified().is_ok_and(|written| clock::age(written) >= QUIET)
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
    /// In words: it is missing, no file, too large, or can't be read.
    fn read(&self, path: &Path) -> Result<Content, String>;

    /// The stamp of a file that has lain untouched for a while; none when there is none to rely on.
    fn quiet_stamp(&self, path: &Path) -> Option<Stamp>;
}

/// The machine's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl ReadFiles for Disk {
    fn read(&self, path: &Path) -> Result<Content, String> {
        read(path)
    }

    fn quiet_stamp(&self, path: &Path) -> Option<Stamp> {
        quiet_stamp(path)
    }
}

/// Reads a file.
///
/// # Errors
/// In words: it is missing, no file, too large, or can't be read.
fn read(path: &Path) -> Result<Content, String> {
    let words = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "the file is missing".to_owned(),
        _ => format!("the file can't be read: {error}"),
    };
    // Looked at before it is opened: to open a pipe would wait for ever.
    let before = std::fs::metadata(path).map_err(words)?;
    if !before.is_file() {
        return Err("this is no file".to_owned());
    }
    if before.len() > MAX_BYTES {
        return Err(too_large());
    }
    let mut file = File::open(path).map_err(words)?;
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(words)?;
    let after = file.metadata().map_err(words)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    let steady = stamp(&before) == stamp(&after);
    Ok(Content { steady, quiet: steady && is_quiet(&after), bytes: bytes.into() })
}

fn too_large() -> String {
    format!("the file is larger than {} MiB (hint: split it into several sources)", MAX_BYTES >> 20)
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len())
}
