//! The input files: read as a whole, kept in their last good state, watched.

mod files;
mod input_file;
mod read;
mod watch;
mod writers;

pub use files::{FileProblems, Files, GoodFile, Revision, Writers};
pub use input_file::Writing;
pub use read::{Content, Disk, ReadFiles, Stamp, Unread};
pub use watch::{OtherFiles, Watch, Watched, watch};
