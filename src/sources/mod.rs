//! The input files: read whole, kept as they last were good, watched.

mod files;
mod read;
mod watch;

pub use files::{FileProblems, Files, GoodFile, Revision, Writers};
pub use read::{Content, Disk, ReadFiles, Stamp};
pub use watch::{Beside, Watched, watch};
