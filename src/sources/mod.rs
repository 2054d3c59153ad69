//! The input files: read as a whole, kept in their last good state, watched.

mod files;
mod read;
mod watch;
mod writers;

pub use files::{FileProblems, Files, GoodFile, Revision, Writers, Writing};
pub use read::{Content, Disk, ReadFiles, Stamp, Unread};
pub use watch::{Beside, Watch, Watched, watch};
