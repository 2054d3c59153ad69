//! The store in an SQLite file: one writer, WAL, `synchronous=FULL`. Acknowledged data survives a
//! power cut.

mod backup;
mod copy;
mod file;
mod location;
mod migrations;
mod opening;
mod session;

pub(super) use copy::{CopyFile, OpenCopy, note};
pub use location::Sqlite;
pub use opening::in_place;

#[cfg(test)]
mod tests;

/// Returns the name and version of the library.
pub(super) fn library() -> String {
    format!("SQLite {}", rusqlite::version())
}
