//! The statements of the stores in a database, in the SQL that SQLite and PostgreSQL share.
//!
//! A [`Session`] runs statements, and a [`Database`] runs jobs in a transaction of its session. A
//! database implements both. Parameters are written `?1`, and `INDEXED BY` is a hint for SQLite alone.

use crate::model::Instant;

use super::StoreError;

mod accepted;
mod copy;
mod history_span;
pub(super) mod owners;
mod queue;
mod reading;
mod recording;
mod retention;
mod summary;
mod texts;
mod trust;
mod writer;

pub use copy::Copied;
pub(super) use copy::{NUMBERED, Writing, clear, has_rows, put_back, read_all, read_current, write_all};
pub(super) use queue::{Database, Job, Queue};
pub(super) use reading::{Connected, Reader};
pub(super) use recording::{Recording, Statement, replay};
pub(super) use summary::contents;
pub(super) use trust::Trust;
pub(super) use writer::Writer;

/// A connection that runs statements.
pub(super) trait Session {
    /// Runs a statement; returns the number of changed rows.
    ///
    /// # Errors
    /// As all methods, any failure of the database, which names the store.
    fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, StoreError>;

    /// Runs a query and passes on its rows, one by one.
    fn each(
        &mut self,
        sql: &str,
        params: &[Param],
        take: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

impl dyn Session + '_ {
    /// Returns the rows of a query.
    pub(super) fn rows<T>(
        &mut self,
        sql: &str,
        params: &[Param],
        read: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.each(sql, params, &mut |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Returns the first column of the first row of a query, if there is one.
    pub(super) fn first<T: Cell>(&mut self, sql: &str, params: &[Param]) -> Result<Option<T>, StoreError> {
        Ok(self.rows(sql, params, |row| row.get(0))?.into_iter().next())
    }

    /// Runs a statement that inserts one row and returns its number.
    pub(super) fn insert(&mut self, sql: &str, params: &[Param]) -> Result<i64, StoreError> {
        Ok(self.first(sql, params)?.unwrap_or_default())
    }
}

/// A row of a result; columns are counted from 0.
pub(super) trait Row {
    /// Returns an integer; `None` for null.
    ///
    /// # Errors
    /// As all methods, another type than the column's.
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError>;
    /// Returns text; `None` for null.
    fn text(&self, column: usize) -> Result<Option<String>, StoreError>;
    /// Returns bytes; `None` for null.
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError>;
    /// Returns an instant; `None` for null.
    fn instant(&self, column: usize) -> Result<Option<Instant>, StoreError>;
    /// Returns the error for a column whose content this program cannot read.
    fn unreadable(&self, column: usize, why: &str) -> StoreError;
}

impl dyn Row + '_ {
    /// Returns the value of a column.
    pub(super) fn get<T: Cell>(&self, column: usize) -> Result<T, StoreError> {
        T::read(self, column)
    }
}

/// A type that a column can be read as.
pub(super) trait Cell: Sized {
    /// Reads the value; a null is an error, except for an `Option`.
    fn read(row: &dyn Row, column: usize) -> Result<Self, StoreError>;
}

impl<T: Nullable> Cell for T {
    fn read(row: &dyn Row, column: usize) -> Result<Self, StoreError> {
        T::read_or_null(row, column)?.ok_or_else(|| row.unreadable(column, "unexpected null"))
    }
}

impl<T: Nullable> Cell for Option<T> {
    fn read(row: &dyn Row, column: usize) -> Result<Self, StoreError> {
        T::read_or_null(row, column)
    }
}

/// A type of a column that may be null.
pub(super) trait Nullable: Sized {
    /// Reads the value; `None` for null.
    fn read_or_null(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError>;
}

macro_rules! nullable {
    ($($type:ty => $method:ident),*) => {$(
        impl Nullable for $type {
            fn read_or_null(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
                row.$method(column)
            }
        }
    )*};
}

nullable! { i64 => integer, String => text, Vec<u8> => bytes, Instant => instant }

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param<'a> {
    /// No value.
    Null,
    /// A number or a key.
    Integer(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An instant.
    Instant(Instant),
}

/// A value that can be a parameter.
pub(super) trait ToParam {
    /// Returns the parameter.
    fn param(&self) -> Param<'_>;
}

macro_rules! to_param {
    ($($type:ty, $value:ident => $param:expr);* $(;)?) => {$(
        impl ToParam for $type {
            fn param(&self) -> Param<'_> {
                let $value = self;
                $param
            }
        }
    )*};
}

to_param! {
    i64, value => Param::Integer(*value);
    str, value => Param::Text(value);
    String, value => Param::Text(value);
    [u8], value => Param::Bytes(value);
    Vec<u8>, value => Param::Bytes(value);
    Instant, value => Param::Instant(*value);
}

impl<T: ToParam + ?Sized> ToParam for &T {
    fn param(&self) -> Param<'_> {
        (**self).param()
    }
}

impl<T: ToParam> ToParam for Option<T> {
    fn param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, ToParam::param)
    }
}

/// Lists parameters, in the order of their numbers.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::ToParam::param(&$value)),*] };
}
pub(super) use params;
