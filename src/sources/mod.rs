//! The input files: read as a whole, kept in their last good state, watched.

mod files;
mod input_file;
mod read;
mod watch;
mod writers;

pub(crate) use files::Revision;
pub use files::{Files, Writers};
pub use input_file::Writing;
pub use read::{Content, Disk, ReadFiles, Stamp, Unread};
pub(crate) use watch::Watch;
pub use watch::{OtherFiles, Watched, watch};
