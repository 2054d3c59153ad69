//! A copy of a store in a database: a file for the time in which the database does not answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Instant;
use crate::store::sql::{self, Copied, Database, Job, Queue, Reader, Session, Trust, Writer, params};
use crate::store::{Alone, Description, Location, Origin, Owner, Reading, Store, StoreError};

use super::file;
use super::location::Sqlite;
use super::migrations;
use super::session::{ReadOnly, Statements, Writing};

/// The table that a copy has in addition to those of a store.
const ORIGIN: &str = "CREATE TABLE IF NOT EXISTS origin (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    database TEXT NOT NULL,     -- its address
    store TEXT NOT NULL,        -- the id of the store in it
    epoch INTEGER NOT NULL,     -- the lease in which it was copied
    lease TEXT NOT NULL,        -- the id of that lease
    described TEXT NOT NULL,    -- the host and process that held it
    commits INTEGER NOT NULL,   -- the last transaction of that lease that it has
    at TEXT NOT NULL,           -- the time of that transaction, or of the last use alone
    new_lease TEXT,             -- the lease that began to put its rows back
    since TEXT,                 -- from here on: the decision to use it alone
    who TEXT,
    reason TEXT,
    refused TEXT                -- when its rows were refused
) STRICT";

/// The file of a copy.
#[derive(Clone, Debug)]
pub(in crate::store) struct CopyFile {
    location: Sqlite,
    /// The mark that keeps it from being opened as a store of its own.
    mark: String,
}

impl CopyFile {
    /// Names the copy of a database.
    pub(in crate::store) fn new(path: &Path, of: &str) -> Self {
        Self { location: Sqlite::new(Some(path)), mark: format!("{}{of}", file::MOVED) }
    }

    /// Returns the path, for people.
    pub(in crate::store) fn shown(&self) -> String {
        self.location.shown()
    }

    /// Returns true if there is a file, whatever it is.
    pub(in crate::store) fn exists(&self) -> bool {
        self.path().exists()
    }

    fn path(&self) -> &Path {
        self.location.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Returns where the copy comes from, whatever its version; `None` if there is none.
    ///
    /// A damaged one counts as none: it must not keep a replica from the database.
    ///
    /// # Errors
    /// As all methods, a copy that cannot be read.
    pub(in crate::store) fn origin(&self) -> Result<Option<Origin>, StoreError> {
        if !self.path().exists() {
            return Ok(None);
        }
        let found = self.location.connect(self.path());
        let mut origin = match found.and_then(|file| origin(&mut Statements::new(&file, &self.location))) {
            Err(StoreError::Damaged { .. } | StoreError::Foreign { .. }) => None,
            found => found?,
        };
        if let Some(origin) = origin.as_mut().filter(|origin| origin.alone.is_some()) {
            let used = std::fs::read_to_string(self.used()).ok().and_then(|used| used.parse().ok());
            origin.at = used.map_or(origin.at, |used: Instant| used.max(origin.at));
        }
        Ok(origin)
    }

    /// Notes that the copy is used alone at an instant, without a second writer of the database.
    pub(in crate::store) fn note_use(&self, at: Instant) -> std::io::Result<()> {
        use std::io::Write;
        let mut noted = file::make_private(&self.used())?;
        write!(noted, "{}", at.format("%FT%TZ"))
    }

    fn used(&self) -> PathBuf {
        file::suffixed(self.path(), ".used")
    }

    /// Opens the copy for reading.
    pub(in crate::store) fn read(&self, owner: Option<&Owner>) -> Result<Box<dyn Reading>, StoreError> {
        Ok(Box::new(Reader::new(self.connect()?, owner)?))
    }

    fn connect(&self) -> Result<ReadOnly, StoreError> {
        let connection = self.location.connect(self.path())?;
        let (path, known) = (self.shown(), migrations::VERSION);
        match migrations::version(&connection).map_err(|error| self.location.sqlite(error))? {
            found if found > known => Err(StoreError::Newer { path, found, known }),
            found if found < known => Err(StoreError::Older { path, found, known }),
            _ => Ok(ReadOnly { connection, location: self.location.clone() }),
        }
    }

    /// Describes the copy.
    pub(in crate::store) fn describe(&self, now: Instant) -> Result<Option<Description>, StoreError> {
        self.location.describe(now)
    }

    /// Returns true while a process writes the copy.
    pub(in crate::store) fn is_in_use(&self) -> bool {
        self.location.is_in_use()
    }

    /// Opens the copy for writing.
    pub(in crate::store) fn open(&self) -> Result<OpenCopy, StoreError> {
        self.take(self.location.lock()?)
    }

    /// Opens the copy to be made anew, whatever is there.
    ///
    /// # Errors
    /// Also a copy that was used alone and whose rows are not back yet.
    pub(in crate::store) fn open_anew(&self) -> Result<OpenCopy, StoreError> {
        let lock = self.location.lock()?;
        if let Ok(Some(Origin { alone: Some(_), .. })) = self.origin() {
            return Err(StoreError::InUse {
                path: self.shown(),
                other: "a replica that ran alone".to_owned(),
            });
        }
        if let Some(lock) = &lock {
            // A missing copy is not an error.
            lock.set_len(0).map_err(|error| self.location.io(error))?;
        }
        match self.take(lock) {
            Err(StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::Foreign { .. }) => {
                let lock = self.location.lock()?;
                let aside = self.location.put_aside(self.path(), "unusable")?;
                let (copy, aside) = (self.shown(), aside.display().to_string());
                tracing::error!(copy, aside, "the copy of the store was unusable, and is moved aside");
                if let Some(lock) = &lock {
                    lock.set_len(0).map_err(|error| self.location.io(error))?;
                }
                self.take(lock)
            }
            taken => taken,
        }
    }

    fn take(&self, lock: Option<std::fs::File>) -> Result<OpenCopy, StoreError> {
        let mut writing = self.location.take_up(lock)?;
        if let Some(guard) = &mut writing.guard {
            guard.sign(&self.mark).map_err(|error| self.location.io(error))?;
            guard.at_end.clone_from(&self.mark);
        }
        let made = writing.connection.execute_batch(ORIGIN);
        made.map_err(|error| self.location.sqlite(error))?;
        Ok(OpenCopy { writing, location: self.location.clone() })
    }
}

/// A copy that this process writes.
pub(in crate::store) struct OpenCopy {
    writing: Writing,
    location: Sqlite,
}

impl OpenCopy {
    /// Runs a job in a transaction.
    pub(in crate::store) fn transact(&mut self, job: Job) -> Result<(), StoreError> {
        self.writing.transact(job)
    }

    /// Passes on all rows.
    pub(in crate::store) fn rows(
        &self,
        take: &mut dyn FnMut(Copied) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        sql::read_all(&mut Statements::new(&self.writing.connection, &self.location), take)
    }

    /// Returns where it comes from.
    pub(in crate::store) fn origin(&mut self) -> Result<Option<Origin>, StoreError> {
        let mut found = None;
        self.transact(&mut |session| {
            found = origin(session)?;
            Ok(())
        })?;
        Ok(found)
    }

    /// Forgets where it comes from: it is of no use any more.
    pub(in crate::store) fn forget(&mut self) -> Result<(), StoreError> {
        self.transact(&mut |session| session.execute("DELETE FROM origin", &[]).map(drop))
    }

    /// Notes where it comes from.
    pub(in crate::store) fn note(&mut self, from: &Origin) -> Result<(), StoreError> {
        self.transact(&mut |session| note(session, from))
    }

    /// Uses it as the store of a process, as long as the trust lasts.
    pub(in crate::store) fn into_store(
        self,
        owner: Option<&Owner>,
        trust: Trust,
    ) -> Result<Arc<dyn Store>, StoreError> {
        let location = self.location;
        let queue = |database| Queue::start(database).map_err(|error| location.io(error));
        Ok(Arc::new(Writer::new(Box::new(self.writing), owner, Some(trust), queue)?))
    }
}

/// Reads where a copy comes from.
fn origin(session: &mut dyn Session) -> Result<Option<Origin>, StoreError> {
    let is_made = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'origin'";
    if session.first::<i64>(is_made, &[])? == Some(0) {
        return Ok(None);
    }
    let sql =
        "SELECT database, store, epoch, lease, described, commits, at, new_lease, since, who, reason, refused
        FROM origin";
    let rows = session.rows(sql, &[], |row| {
        let alone = match row.get::<Option<Instant>>(8)? {
            Some(since) => Some(Alone { since, who: row.get(9)?, reason: row.get(10)? }),
            None => None,
        };
        Ok(Origin {
            database: row.get(0)?,
            store: row.get(1)?,
            epoch: row.get(2)?,
            lease: row.get(3)?,
            described: row.get(4)?,
            commits: row.get(5)?,
            at: row.get(6)?,
            returning: row.get(7)?,
            alone,
            refused: row.get(11)?,
        })
    });
    Ok(rows?.into_iter().next())
}

/// Notes where a copy comes from.
pub(in crate::store) fn note(session: &mut dyn Session, from: &Origin) -> Result<(), StoreError> {
    let alone = from.alone.as_ref();
    let (since, who) = (alone.map(|alone| alone.since), alone.map(|alone| alone.who.clone()));
    let reason = alone.and_then(|alone| alone.reason.clone());
    let put = "INSERT OR REPLACE INTO origin
        (one, database, store, epoch, lease, described, commits, at, new_lease, since, who, reason, refused)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let Origin { database, store, epoch, lease, described, commits, at, returning, refused, .. } = from;
    let params = params![
        database, store, epoch, lease, described, commits, at, returning, since, who, reason, refused
    ];
    session.execute(put, params).map(drop)
}
