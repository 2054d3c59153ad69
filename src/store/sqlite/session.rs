//! Runs statements and jobs on an SQLite connection.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, params_from_iter};

use crate::model::Instant;
use crate::store::StoreError;
use crate::store::sql::{Connected, Database, Job, Param, Row, Session};

use super::Sqlite;
use super::file::Guard;

/// A connection, and the store that its failures name.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    location: &'c Sqlite,
}

impl<'c> Statements<'c> {
    /// Runs statements on a connection.
    pub(super) fn new(connection: &'c Connection, location: &'c Sqlite) -> Self {
        Self { connection, location }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Null => Ok(ToSqlOutput::from(rusqlite::types::Null)),
            Self::Integer(number) => Ok(ToSqlOutput::from(*number)),
            Self::Text(text) => text.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
            Self::Instant(at) => at.to_sql(),
        }
    }
}

impl Session for Statements<'_> {
    fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute(params_from_iter(params));
        run().map(|count| count as u64).map_err(|error| self.location.sqlite(error))
    }

    fn each(
        &mut self,
        sql: &str,
        params: &[Param],
        take: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let location = self.location;
        let failed = |error| location.sqlite(error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(params)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            take(&Found { row, location })?;
        }
        Ok(())
    }
}

/// A row, and the store that its failures name.
struct Found<'r> {
    row: &'r rusqlite::Row<'r>,
    location: &'r Sqlite,
}

impl Found<'_> {
    fn get<T: rusqlite::types::FromSql>(&self, column: usize) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| self.location.sqlite(error))
    }
}

impl Row for Found<'_> {
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    fn text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(column)
    }

    fn instant(&self, column: usize) -> Result<Option<Instant>, StoreError> {
        match self.row.get_ref(column) {
            // What an old store kept without a time.
            Ok(rusqlite::types::ValueRef::Text(b"")) => Ok(None),
            _ => self.get(column),
        }
    }

    fn unreadable(&self, column: usize, why: &str) -> StoreError {
        let text = rusqlite::types::Type::Text;
        self.location.sqlite(rusqlite::Error::FromSqlConversionFailure(column, text, why.into()))
    }
}

/// A connection that only reads.
pub(super) struct ReadOnly {
    /// The connection.
    pub(super) connection: Connection,
    /// The store.
    pub(super) location: Sqlite,
}

impl Connected for ReadOnly {
    fn with(&self, job: Job) -> Result<(), StoreError> {
        job(&mut Statements::new(&self.connection, &self.location))
    }
}

/// The connection of the writer.
pub(super) struct Writing {
    /// The connection.
    pub(super) connection: Connection,
    /// The store.
    pub(super) location: Sqlite,
    /// The lock, held as long as the store is written; none in memory.
    pub(super) guard: Option<Guard>,
    /// Damage found meanwhile.
    pub(super) damage: Damage,
}

impl Database for Writing {
    fn transact(&mut self, job: Job) -> Result<(), StoreError> {
        match fault(&self.location, self.guard.as_mut(), &self.damage) {
            Some(error) => Err(error),
            None => transact(&mut self.connection, &self.location, job),
        }
    }

    fn close(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.is_sound = true;
        }
    }
}

/// A connection that others use too, in the same order in each run.
pub(super) struct Shared(pub(super) Arc<Mutex<Connection>>);

impl Database for Shared {
    fn transact(&mut self, job: Job) -> Result<(), StoreError> {
        transact(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), &Sqlite::new(None), job)
    }
}

fn transact(connection: &mut Connection, location: &Sqlite, job: Job) -> Result<(), StoreError> {
    let failed = |error| location.sqlite(error);
    let transaction = connection.transaction().map_err(failed)?;
    job(&mut Statements::new(&transaction, location))?;
    transaction.commit().map_err(failed)
}

/// Returns the reason why the store must not be written although SQLite would allow it.
fn fault(location: &Sqlite, guard: Option<&mut Guard>, damage: &Damage) -> Option<StoreError> {
    if let Some(found) = damage.found() {
        return Some(StoreError::Damaged { path: location.shown(), found });
    }
    let is_gone = guard.is_some_and(|guard| !guard.is_in_place());
    is_gone.then(|| StoreError::Moved { path: location.shown() })
}

/// Damage found by a check that runs beside the writer.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<Mutex<Option<String>>>);

impl Damage {
    pub(super) fn note(&self, found: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }

    fn found(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
