//! What can go wrong with the store.

/// What can go wrong with the store. All of it stops writing to pages: nothing starts blank by itself.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store {path} fails: {error}{}", remedy(error))]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's words.
        error: rusqlite::Error,
    },
    /// The file or its directory can't be used.
    #[error(
        "the store {path} can't be opened: {error} (hint: run this as the user of the daemon or as root, or set store.path to a file in a directory that can be written)"
    )]
    Io {
        /// The file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "the store {path} is in use by {other}, so this rtconfd (process {}) stops (hint: two that own the same pages would fight; stop one, or give each its own store.path and pages)",
        std::process::id()
    )]
    InUse {
        /// The file.
        path: String,
        /// The other process.
        other: String,
    },
    /// There was a store, and it is gone or empty.
    #[error(
        "the store {path} is gone: it was there before, and with it what people decided and what was sent (hint: bring it back from a backup; if it is gone for good, start once with --accept-empty-store)"
    )]
    Lost {
        /// The file.
        path: String,
    },
    /// What is there can't be trusted.
    #[error(
        "the store {path} is damaged: {found} (hint: bring it back from a backup; to put it aside and begin anew, start once with --accept-empty-store)"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        found: String,
    },
    /// It was written by a newer version.
    #[error(
        "the store {path} has version {found}, this program knows {known} (hint: run the newer rtconfd, or give this one its own store.path)"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It was written by an older version, and whoever only looks can't bring it up to date.
    #[error(
        "the store {path} has version {found}, this program reads {known} (hint: rtconfd run or rtconfd apply brings it up to date)"
    )]
    Older {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Its files were removed or replaced while it was open.
    #[error(
        "the store {path} was removed or replaced while it was open, so nothing is sent any more (hint: put the file back and start again; if it is gone for good, start once with --accept-empty-store)"
    )]
    Moved {
        /// The file.
        path: String,
    },
    /// The writer is gone, after an earlier failure.
    #[error("the store was closed after an earlier failure")]
    Closed,
}

/// SQLite's code for a file that was moved while it was open (SQLITE_READONLY_DBMOVED), which it does not look for by itself.
pub(super) const MOVED: i32 = 1032;

/// What to do about the failures that people can mend.
fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            " (hint: free some space on its disk; nothing is sent until then)"
        }
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => {
            " (hint: let rtconfd write the file and its directory; nothing is sent until then)"
        }
        _ => "",
    }
}
