//! The location of a store, and how its failures are reported.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A store in a file, or in memory. It converts failures to errors that name it.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pub(super) path: Option<PathBuf>,
}

impl Sqlite {
    /// Names a store: a file, or memory for `None`.
    pub fn new(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned) }
    }

    pub(super) fn shown(&self) -> String {
        self.path.as_ref().map_or_else(|| ":memory:".to_owned(), |path| path.display().to_string())
    }

    pub(super) fn sqlite(&self, error: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                StoreError::Damaged { path: self.shown(), found: one_line(&error.to_string()) }
            }
            _ => {
                let hint = remedy(&error);
                StoreError::Failed { path: self.shown(), error: error.to_string(), hint }
            }
        }
    }

    pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
    }

    pub(super) fn io(&self, error: std::io::Error) -> StoreError {
        StoreError::Io { path: self.shown(), error: error.to_string() }
    }
}

/// Returns the hint for failures that an operator can fix.
pub(super) fn remedy(error: &rusqlite::Error) -> Option<&'static str> {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            Some("free some space on its disk; nothing is sent until then")
        }
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => {
            Some("let rtconfd write to the file and its directory; nothing is sent until then")
        }
        Some(rusqlite::ErrorCode::SystemIoFailure) => {
            Some("check the free space and the health of its disk; nothing is sent until then")
        }
        _ => None,
    }
}

/// SQLite reports damage in several lines.
pub(super) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(": ")
}
