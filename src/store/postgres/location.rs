//! Opens the store in a database: for reading, for writing, or to create it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::limits::replicas::READING_TIMEOUT;
use crate::model::Instant;
use crate::store::relay::{self, Relay, Taken};
use crate::store::sql::{self, Connected, Copied, Database, Job, Queue, Reader, Session, Writer};
use crate::store::sqlite::CopyFile;
use crate::store::{Description, Location, Moving, Owner, Reading, Store, StoreError, TakeRow};

use super::address::Address;
use super::connection::Connection;
use super::copying::Copying;
use super::lease::{self, Leased};
use super::migrations::{self, Meta};
use super::relay::Worker;

/// A store in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Postgres {
    address: Address,
    /// The file of the copy.
    copy: PathBuf,
    /// True for a replica, which keeps the copy while it is active.
    is_replica: bool,
}

impl Postgres {
    /// Names the store of a database, and the file of its copy.
    pub fn new(address: &Address, copy: &Path) -> Self {
        Self { address: address.clone(), copy: copy.to_owned(), is_replica: false }
    }

    /// Names the store of a replica, which keeps a copy while it is active.
    pub fn of_replica(self) -> Self {
        Self { is_replica: true, ..self }
    }

    pub(super) fn path(&self) -> String {
        self.address.to_string()
    }

    /// Connects to the store and checks its version.
    pub(super) fn connect(&self) -> Result<Option<(Connection, Meta)>, StoreError> {
        let mut connection = Connection::open(&self.address)?;
        let (path, known) = (self.path(), migrations::VERSION);
        let Some(meta) = migrations::meta(&mut connection)? else { return Ok(None) };
        match meta.version {
            found if found > known => Err(StoreError::Newer { path, found, known }),
            found if found < known => Err(StoreError::Older { path, found, known }),
            _ => Ok(Some((connection, meta))),
        }
    }

    /// Takes the lease, also of a store that was moved if `is_moving`.
    fn acquire(&self, is_moving: bool) -> Result<Leased, StoreError> {
        if self.alone()?.is_some() {
            let other = "a replica that went on alone; rtconfd run puts back what it did".to_owned();
            return Err(StoreError::InUse { path: self.path(), other });
        }
        let (connection, meta) = self.connect_to_write(is_moving)?;
        Leased::acquire(connection, meta.store, meta.terms)
    }

    /// Connects to the store, which is upgraded if it is older.
    pub(super) fn connect_to_write(&self, is_moving: bool) -> Result<(Connection, Meta), StoreError> {
        let mut found = self.connect();
        if matches!(found, Err(StoreError::Older { .. })) {
            migrations::prepare(&mut Connection::open(&self.address)?)?;
            found = self.connect();
        }
        match found?.ok_or_else(|| StoreError::Absent { path: self.path() })? {
            (_, Meta { moved_to: Some(to), .. }) if !is_moving => {
                Err(StoreError::MovedTo { path: self.path(), to })
            }
            found => Ok(found),
        }
    }

    /// Writes the store with a lease.
    fn writer(&self, leased: Leased, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError> {
        let trust = leased.trust();
        let database: Box<dyn Database> = match self.is_replica {
            true => Box::new(Copying::new(leased, &self.address, &self.copy)),
            false => Box::new(leased),
        };
        let writer = Writer::new(database, owner, Some(trust), |database| {
            Queue::start(database)
                .map_err(|error| StoreError::Io { path: self.path(), error: error.to_string() })
        })?;
        Ok(Arc::new(writer))
    }

    fn unsupported<T>(&self, what: &'static str) -> Result<T, StoreError> {
        Err(StoreError::Unsupported { path: self.path(), what })
    }
}

impl Location for Postgres {
    fn read(&self, owner: Option<&Owner>) -> Result<Option<Box<dyn Reading>>, StoreError> {
        if self.alone()?.is_some() {
            return self.copy().read(owner).map(Some);
        }
        let Some((connection, meta)) = on_thread(|| self.connect())? else { return Ok(None) };
        if let Some(to) = meta.moved_to {
            return Err(StoreError::MovedTo { path: self.path(), to });
        }
        // A person waits for a list; nothing else does.
        let connection = connection.with_limit(READING_TIMEOUT);
        Ok(Some(Box::new(Reader::new(ReadOnly(Mutex::new(connection)), owner)?)))
    }

    fn open(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError> {
        on_thread(|| {
            let Some(alone) = self.alone()? else {
                let leased = self.acquire(false)?;
                if self.alone()?.is_some() {
                    self.forget_decision()?;
                }
                return self.writer(leased, owner);
            };
            match self.connect_to_write(false) {
                Err(StoreError::Unreachable { error, .. }) => self.open_copy(owner, &error),
                connected => self.writer(self.come_back(&alone, connected?)?, owner),
            }
        })
    }

    fn open_or_begin_anew(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError> {
        self.create()?;
        self.open(owner)
    }

    fn create(&self) -> Result<(), StoreError> {
        on_thread(|| migrations::prepare(&mut Connection::open(&self.address)?))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn relay(&self, is_replica: bool) -> Option<(Relay, mpsc::Receiver<Taken>)> {
        let (relay, taken, ends) = relay::channel();
        let worker = Worker::new(self.address.clone(), ends, is_replica);
        // Without a thread, requests are refused.
        let _ = std::thread::Builder::new().name("relay".to_owned()).spawn(move || worker.run());
        Some((relay, taken))
    }

    fn back_up(&self, _: &Path) -> Result<(), StoreError> {
        self.unsupported("pg_dump --schema=rtconfd")
    }

    fn restore(&self, _: &Path) -> Result<Option<PathBuf>, StoreError> {
        self.unsupported("pg_restore")
    }

    fn begin_move(&self) -> Result<Option<Box<dyn Moving>>, StoreError> {
        on_thread(|| match self.acquire(true) {
            Ok(leased) => {
                let moving: Box<dyn Moving> = Box::new(Leaving(leased));
                Ok(Some(moving))
            }
            Err(StoreError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn import(
        &self,
        rows: &mut (dyn Iterator<Item = Copied> + Send),
        seal: &mut (dyn FnMut() -> Result<(), StoreError> + Send),
    ) -> Result<u64, StoreError> {
        on_thread(|| {
            migrations::prepare(&mut Connection::open(&self.address)?)?;
            let (mut leased, mut count) = (self.acquire(false)?, 0);
            leased.transact(&mut |session| {
                if sql::has_rows(session)? {
                    return Err(StoreError::NotEmpty { path: self.path() });
                }
                count = sql::write_all(session, rows)?;
                number_on(session)?;
                seal()
            })?;
            leased.close();
            Ok(count)
        })
    }

    fn describe(&self, now: Instant) -> Result<Option<Description>, StoreError> {
        if self.alone()?.is_some() {
            return self.copy().describe(now);
        }
        on_thread(|| {
            let mut connection = Connection::open(&self.address)?.with_limit(READING_TIMEOUT);
            let Some(Meta { version, .. }) = migrations::meta(&mut connection)? else { return Ok(None) };
            let size = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::BIGINT
                FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
                WHERE nspname = 'rtconfd' AND relkind = 'r'";
            let session: &mut dyn Session = &mut connection;
            let bytes: i64 = session.first(size, &[])?.unwrap_or_default();
            let is_ours = version == migrations::VERSION;
            Ok(Some(Description {
                path: self.path(),
                bytes: bytes.unsigned_abs(),
                version,
                known: migrations::VERSION,
                contents: is_ours.then(|| sql::contents(session, now)).transpose()?,
            }))
        })
    }

    fn is_in_use(&self) -> bool {
        let runs_alone = matches!(self.alone(), Ok(Some(_))) && self.copy().is_in_use();
        runs_alone || self.holder().is_some()
    }

    fn is_large(&self) -> bool {
        false
    }

    fn user(&self) -> String {
        self.holder().unwrap_or_else(|| "another rtconfd".to_owned())
    }
}

impl Postgres {
    /// Names the copy.
    pub(super) fn copy(&self) -> CopyFile {
        CopyFile::new(&self.copy, &self.path())
    }

    /// Returns the description of the holder of the lease, if there is one that lives.
    fn holder(&self) -> Option<String> {
        let living = on_thread(|| {
            self.connect()?.map(|(mut connection, _)| lease::living(&mut connection)).transpose()
        });
        living.ok().flatten().flatten()
    }
}

/// Lets the next numbers of the database follow the highest ones that were copied.
pub(super) fn number_on(session: &mut dyn Session) -> Result<(), StoreError> {
    for table in sql::NUMBERED {
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('rtconfd.{table}', 'id'), greatest(max(id), 1)) FROM {table}"
        );
        session.first::<i64>(&next, &[])?;
    }
    Ok(())
}

/// Runs a piece of work on a thread of its own: a thread of a runtime must not wait for another.
pub(super) fn on_thread<T: Send>(
    work: impl FnOnce() -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or(Err(StoreError::Closed)))
}

/// A store that is being moved.
struct Leaving(Leased);

impl Moving for Leaving {
    fn rows(&mut self, take: &mut TakeRow) -> Result<(), StoreError> {
        on_thread(|| self.0.transact(&mut |session| sql::read_all(session, take)))
    }

    fn mark(&mut self, to: Option<&str>) -> Result<(), StoreError> {
        on_thread(|| {
            self.0.transact(&mut |session| {
                session.execute("UPDATE rtconfd.meta SET moved_to = ?1", sql::params![to]).map(drop)
            })
        })
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        std::thread::scope(|scope| drop(scope.spawn(|| self.0.close()).join()));
    }
}

/// A connection that only reads.
struct ReadOnly(Mutex<Connection>);

impl Connected for ReadOnly {
    fn with(&self, job: Job) -> Result<(), StoreError> {
        on_thread(|| job(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
