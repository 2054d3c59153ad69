//! What must outlive the process, in SQLite: bases, intents and their outcomes, history, the last good inputs.
//! One writer, WAL, `synchronous=FULL`: what was acknowledged survives a power cut.

mod migrations;
mod reading;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use reading::{DriftRow, HistoryRow, OpenIntent, OverrideRow, PageState, Reading};
pub use writer::{Intent, Outcome, Writer};

/// What can go wrong with the store. All of it stops writing to pages: nothing starts blank by itself.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store {path} fails: {error}")]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's words.
        error: rusqlite::Error,
    },
    /// The file or its directory can't be used.
    #[error(
        "the store {path} can't be opened: {error} (hint: set store.path to a file in a directory that can be written)"
    )]
    Io {
        /// The file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "the store {path} is in use by another rtconfd (hint: stop the other one, or give each its own store.path)"
    )]
    InUse {
        /// The file.
        path: String,
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
    /// The writer is gone, after an earlier failure.
    #[error("the store was closed after an earlier failure")]
    Closed,
}

/// Where a store is, and how its failures are told.
#[derive(Clone, Debug)]
pub struct Location {
    path: Option<PathBuf>,
}

impl Location {
    /// A file, or none for memory.
    pub fn new(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned) }
    }

    fn shown(&self) -> String {
        self.path.as_ref().map_or_else(|| ":memory:".to_owned(), |path| path.display().to_string())
    }

    fn sqlite(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.shown(), error }
    }

    fn io(&self, error: std::io::Error) -> StoreError {
        StoreError::Io { path: self.shown(), error }
    }

    /// Opens the store to look, without making one: none when there is no file.
    ///
    /// # Errors
    /// A file that is no store, or one of a newer version.
    pub fn look(&self) -> Result<Option<Reading>, StoreError> {
        let Some(path) = self.path.as_ref().filter(|path| path.exists()) else {
            return Ok(None);
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| self.sqlite(error))?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(|error| self.sqlite(error))?;
        match migrations::version(&connection).map_err(|error| self.sqlite(error))? {
            0 => Ok(None),
            found if found > migrations::VERSION => {
                Err(StoreError::Newer { path: self.shown(), found, known: migrations::VERSION })
            }
            _ => Ok(Some(Reading::new(connection, self.clone()))),
        }
    }

    /// Whether a writer has the store now.
    pub fn is_in_use(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let lock = std::fs::OpenOptions::new().write(true).open(lock_path(path));
        lock.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Opens the store to write: makes it when it isn't there, brings it up to date, keeps others out.
    ///
    /// # Errors
    /// When another process writes it, it can't be written, or it is of a newer version.
    pub fn open(&self) -> Result<Writer, StoreError> {
        let lock = self.lock()?;
        let connection = match &self.path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        };
        let mut connection = connection.map_err(|error| self.sqlite(error))?;
        let prepare = |connection: &mut Connection| {
            // A file that is no database fails here, before anything is written to it.
            let found = migrations::version(connection)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", "ON")?;
            if found < migrations::VERSION {
                migrations::apply(connection, found)?;
            }
            rusqlite::Result::Ok(found)
        };
        let found = prepare(&mut connection).map_err(|error| self.sqlite(error))?;
        if found > migrations::VERSION {
            return Err(StoreError::Newer { path: self.shown(), found, known: migrations::VERSION });
        }
        Writer::start(connection, self.clone(), lock)
    }

    fn lock(&self) -> Result<Option<std::fs::File>, StoreError> {
        let Some(path) = &self.path else { return Ok(None) };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| self.io(error))?;
        }
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock_path(path))
            .map_err(|error| self.io(error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: self.shown() }),
            Err(std::fs::TryLockError::Error(error)) => Err(self.io(error)),
        }
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
