//! Opens a store: for reading, for writing, or as a replacement for a lost one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::limits::store::CHECKED_AT_START;
use crate::model::Instant;
use crate::store::sql::{self, Copied, Database, Queue, Reader, Writer};
use crate::store::{Description, Location, Moving, Owner, Reading, Store, StoreError, TakeRow};

use super::file::{self, Guard, lock_path};
use super::location::{Sqlite, one_line};
use super::migrations;
use super::session::{Damage, ReadOnly, Shared, Writing};

/// More than the statements of the writer: parsing one costs more than running it.
const CACHED_STATEMENTS: usize = 128;

impl Location for Sqlite {
    fn read(&self, owner: Option<&Owner>) -> Result<Option<Box<dyn Reading>>, StoreError> {
        let Some(connection) = self.connect_to_read()? else { return Ok(None) };
        let connected = ReadOnly { connection, location: self.clone() };
        Ok(Some(Box::new(Reader::new(connected, owner)?)))
    }

    fn open(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError> {
        let lock = self.lock()?;
        self.refuse_moved()?;
        Ok(Arc::new(self.begin(owner, lock)?))
    }

    fn open_or_begin_anew(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError> {
        let lock = self.lock()?;
        self.refuse_moved()?;
        if let (Some(lock), Some(path)) = (&lock, &self.path) {
            lock.set_len(0).map_err(|error| self.io(error))?;
            let damaged = match Connection::open(path).and_then(|connection| is_sound(&connection)) {
                Ok(found) => found.is_some(),
                Err(error) => matches!(self.sqlite(error), StoreError::Damaged { .. }),
            };
            if damaged {
                self.put_aside(path, "damaged")?;
            }
        }
        Ok(Arc::new(self.begin(owner, lock)?))
    }

    fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        self.back_up_to(to)
    }

    fn restore(&self, from: &Path) -> Result<Option<PathBuf>, StoreError> {
        self.copy_from(from)
    }

    fn begin_move(&self) -> Result<Option<Box<dyn Moving>>, StoreError> {
        if self.path.as_deref().is_none_or(|path| !path.exists()) {
            return Ok(None);
        }
        let lock = self.lock()?;
        Ok(Some(Box::new(Leaving(self.take_up(lock)?))))
    }

    fn import(
        &self,
        rows: &mut (dyn Iterator<Item = Copied> + Send),
        seal: &mut (dyn FnMut() -> Result<(), StoreError> + Send),
    ) -> Result<u64, StoreError> {
        let lock = self.lock()?;
        self.refuse_moved()?;
        let (mut writing, mut count) = (self.take_up(lock)?, 0);
        writing.transact(&mut |session| {
            if sql::has_rows(session)? {
                return Err(StoreError::NotEmpty { path: self.shown() });
            }
            count = sql::write_all(session, rows)?;
            seal()
        })?;
        writing.close();
        Ok(count)
    }

    fn describe(&self, now: Instant) -> Result<Option<Description>, StoreError> {
        match self.path.as_deref() {
            Some(path) if path.exists() => self.inspect(path, now).map(Some),
            _ => Ok(None),
        }
    }

    fn is_in_use(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let lock = std::fs::OpenOptions::new().write(true).open(lock_path(path));
        lock.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
    }

    fn is_large(&self) -> bool {
        let length =
            self.path.as_ref().and_then(|path| std::fs::metadata(path).ok()).map(|store| store.len());
        length.is_some_and(|length| length > CHECKED_AT_START)
    }

    fn user(&self) -> String {
        self.path.as_deref().map_or_else(|| "this process".to_owned(), |path| self.holder(path))
    }
}

impl Sqlite {
    /// Connects for reading; returns `None` when there never was a file, and creates none.
    fn connect_to_read(&self) -> Result<Option<Connection>, StoreError> {
        let Some(path) = &self.path else { return Ok(None) };
        self.refuse_moved()?;
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Err(self.io(error)),
            Err(_) if std::fs::metadata(lock_path(path)).is_ok_and(|lock| lock.len() > 0) => {
                return Err(StoreError::Lost { path: self.shown() });
            }
            Err(_) => return Ok(None),
        }
        let connection = self.connect(path)?;
        let was_made = std::fs::metadata(lock_path(path)).is_ok_and(|lock| lock.len() > 0);
        match migrations::version(&connection).map_err(|error| self.sqlite(error))? {
            0 if was_made => Err(StoreError::Lost { path: self.shown() }),
            0 => Ok(None),
            found if found > migrations::VERSION => {
                Err(StoreError::Newer { path: self.shown(), found, known: migrations::VERSION })
            }
            found if found < migrations::VERSION => {
                Err(StoreError::Older { path: self.shown(), found, known: migrations::VERSION })
            }
            _ => Ok(Some(connection)),
        }
    }

    /// Renames the store's files, so that none of their contents is lost; returns the new path.
    pub(super) fn put_aside(&self, path: &Path, why: &str) -> Result<PathBuf, StoreError> {
        let suffixed = |suffix: &str| file::suffixed(path, suffix);
        let number = (1..).find(|number| !suffixed(&format!(".{why}-{number}")).exists()).unwrap_or(1);
        for part in ["", "-wal", "-shm"] {
            let (from, to) = (suffixed(part), suffixed(&format!(".{why}-{number}{part}")));
            if from.exists() {
                std::fs::rename(from, to).map_err(|error| self.io(error))?;
            }
        }
        Ok(suffixed(&format!(".{why}-{number}")))
    }

    fn begin(&self, owner: Option<&Owner>, lock: Option<std::fs::File>) -> Result<Writer, StoreError> {
        let queue = |database| Queue::start(database).map_err(|error| self.io(error));
        Writer::new(Box::new(self.take_up(lock)?), owner, None, queue)
    }

    /// Returns an error for a store that was moved.
    fn refuse_moved(&self) -> Result<(), StoreError> {
        match self.path.as_deref().and_then(file::moved_to) {
            Some(to) => Err(StoreError::MovedTo { path: self.shown(), to }),
            None => Ok(()),
        }
    }

    /// Opens the store for writing: creates, checks or upgrades it.
    pub(super) fn take_up(&self, lock: Option<std::fs::File>) -> Result<Writing, StoreError> {
        let mut was_made = false;
        if let (Some(lock), Some(path)) = (&lock, &self.path) {
            was_made = lock.metadata().map_err(|error| self.io(error))?.len() > 0;
            let is_there = std::fs::metadata(path).is_ok_and(|store| store.len() > 0);
            if was_made && !is_there {
                return Err(StoreError::Lost { path: self.shown() });
            }
        }
        let is_large = self.is_large();
        let was_closed = self.path.as_deref().is_none_or(file::was_closed);
        let (connection, file) = match &self.path {
            Some(path) => {
                // SQLite gives its other files the permissions of this one.
                let file = file::make_private(path).map_err(|error| self.io(error))?;
                self.take(&file, path)?;
                (Connection::open(path), Some(file))
            }
            None => (Connection::open_in_memory(), None),
        };
        let mut connection = connection.map_err(|error| self.sqlite(error))?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        if !is_large && let Some(found) = is_sound(&connection).map_err(|error| self.sqlite(error))? {
            return Err(StoreError::Damaged { path: self.shown(), found });
        }
        let is_ours = migrations::is_ours(&connection).map_err(|error| self.sqlite(error))?;
        if !is_ours {
            return Err(StoreError::Foreign { path: self.shown() });
        }
        if was_made && migrations::version(&connection).map_err(|error| self.sqlite(error))? == 0 {
            return Err(StoreError::Lost { path: self.shown() });
        }
        let found = migrations::prepare(&mut connection).map_err(|error| self.sqlite(error))?;
        if found > migrations::VERSION {
            return Err(StoreError::Newer { path: self.shown(), found, known: migrations::VERSION });
        }
        let guard = match (lock, file, &self.path) {
            (Some(lock), Some(file), Some(path)) => {
                // From here on a missing store counts as lost.
                file::sign(&lock, &std::process::id().to_string()).map_err(|error| self.io(error))?;
                Some(Guard::new(path, lock, file).map_err(|error| self.io(error))?)
            }
            _ => None,
        };
        let damage = Damage::default();
        if is_large && !was_closed {
            self.check_beside(damage.clone());
        }
        Ok(Writing { connection, location: self.clone(), guard, damage })
    }

    /// Checks a store while it is already in use; damage stops all writing.
    fn check_beside(&self, damage: Damage) {
        let Some(path) = self.path.clone() else { return };
        let check = move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let found = Connection::open_with_flags(path, flags).and_then(|connection| is_sound(&connection));
            match found {
                Ok(None) => tracing::info!("the store was checked after an unclean shutdown"),
                Ok(Some(found)) => damage.note(found),
                Err(error) => match Self::is_damage(&error) {
                    true => damage.note(error.to_string()),
                    false => tracing::warn!(%error, "the store could not be checked"),
                },
            }
        };
        // Without a thread it is checked when it is next opened.
        let _ = std::thread::Builder::new().name("store check".to_owned()).spawn(check);
    }

    /// Returns a description of the process that holds the lock, if it can be determined.
    fn holder(&self, path: &Path) -> String {
        let written = std::fs::read_to_string(lock_path(path)).unwrap_or_default();
        let Ok(process) = written.trim().parse::<u32>() else { return "another rtconfd".to_owned() };
        let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        match command.trim() {
            "" => format!("process {process}"),
            command => format!("process {process} ({})", command.chars().take(200).collect::<String>()),
        }
    }

    pub(super) fn lock(&self) -> Result<Option<std::fs::File>, StoreError> {
        let Some(path) = &self.path else { return Ok(None) };
        if let Some(directory) = path.parent() {
            file::make_folder(directory).map_err(|error| self.io(error))?;
        }
        let file = file::make_private(&lock_path(path)).map_err(|error| self.io(error))?;
        self.take(&file, path)?;
        Ok(Some(file))
    }

    /// Locks a file of the store while it is open.
    fn take(&self, file: &std::fs::File, path: &Path) -> Result<(), StoreError> {
        match file.try_lock() {
            Ok(()) => Ok(()),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(StoreError::InUse { path: self.shown(), other: self.holder(path) })
            }
            Err(std::fs::TryLockError::Error(error)) => Err(self.io(error)),
        }
    }
}

/// A store that is being moved.
struct Leaving(Writing);

impl Moving for Leaving {
    fn rows(&mut self, take: &mut TakeRow) -> Result<(), StoreError> {
        self.0.transact(&mut |session| sql::read_all(session, take))
    }

    fn mark(&mut self, to: Option<&str>) -> Result<(), StoreError> {
        let text = to.map_or_else(|| file::CLOSED.to_owned(), |to| format!("{}{to}", file::MOVED));
        let guard = self.0.guard.as_ref();
        guard.map_or(Ok(()), |guard| guard.sign(&text)).map_err(|error| self.0.location.io(error))
    }
}

/// Opens a store on a shared connection, without a thread.
///
/// Jobs are committed one by one, for simulations that run in a single order.
///
/// # Errors
/// Returns an error when the store cannot be upgraded.
pub fn in_place(connection: Arc<Mutex<Connection>>, owner: &Owner) -> Result<Arc<dyn Store>, StoreError> {
    let prepared = migrations::prepare(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
    prepared.map_err(|error| Sqlite::new(None).sqlite(error))?;
    let queue = |database| Ok(Queue::in_place(database));
    Ok(Arc::new(Writer::new(Box::new(Shared(connection)), Some(owner), None, queue)?))
}

/// Returns a description of the store's damage; `None` if it is sound.
pub(super) fn is_sound(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then(|| one_line(&found)))
}
