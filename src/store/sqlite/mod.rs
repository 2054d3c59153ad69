//! The store in an SQLite file: one writer, WAL, `synchronous=FULL`. Acknowledged data survives a
//! power cut.

mod accepted;
mod backup;
mod file;
mod history_span;
mod location;
mod migrations;
mod opening;
mod owners;
mod queue;
mod reading;
mod retention;
mod texts;
mod writer;

pub use location::Sqlite;
pub use writer::Writer;

#[cfg(test)]
mod tests;

/// Returns the name and version of the library.
pub(super) fn library() -> String {
    format!("SQLite {}", rusqlite::version())
}
