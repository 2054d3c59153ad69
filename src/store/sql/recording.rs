//! Records the statements that change a database, to replay them on its copy.

use crate::store::StoreError;

use super::copy::Value;
use super::{Param, Row, Session, ToParam};

/// A statement that changed a database.
#[derive(Debug)]
pub(in crate::store) struct Statement {
    sql: String,
    params: Vec<Value>,
    /// The number of the row that it inserted and returned.
    number: Option<i64>,
}

/// A session that also records the statements that change something.
pub(in crate::store) struct Recording<'s> {
    session: &'s mut dyn Session,
    statements: Vec<Statement>,
}

impl<'s> Recording<'s> {
    pub(in crate::store) fn new(session: &'s mut dyn Session) -> Self {
        Self { session, statements: Vec::new() }
    }

    /// Returns the statements, in their order.
    pub(in crate::store) fn end(self) -> Vec<Statement> {
        self.statements
    }

    fn note(&mut self, sql: &str, params: &[Param], number: Option<i64>) {
        let params = params.iter().map(Value::from).collect();
        self.statements.push(Statement { sql: sql.to_owned(), params, number });
    }
}

impl Session for Recording<'_> {
    fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, StoreError> {
        let count = self.session.execute(sql, params)?;
        self.note(sql, params, None);
        Ok(count)
    }

    fn each(
        &mut self,
        sql: &str,
        params: &[Param],
        take: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if sql.starts_with("SELECT") {
            return self.session.each(sql, params, take);
        }
        let mut number = None;
        self.session.each(sql, params, &mut |row| {
            if table_of(sql).is_some() {
                number = Some(row.get(0)?);
            }
            take(row)
        })?;
        self.note(sql, params, number);
        Ok(())
    }
}

/// Returns the table that a statement inserts a row into.
fn table_of(sql: &str) -> Option<&str> {
    sql.strip_prefix("INSERT INTO ")?.split(' ').next()
}

/// Replays recorded statements on a copy.
///
/// Rows get the numbers that they have in the database: it never gives the number of a transaction that
/// failed to another row, and the copy would.
pub(in crate::store) fn replay(
    session: &mut dyn Session,
    statements: &[Statement],
) -> Result<(), StoreError> {
    for Statement { sql, params, number } in statements {
        let params: Vec<Param> = params.iter().map(ToParam::param).collect();
        let mut given = None;
        session.each(sql, &params, &mut |row| {
            if number.is_some() {
                given = Some(row.get(0)?);
            }
            Ok(())
        })?;
        if given == *number {
            continue;
        }
        let (Some(table), Some(given)) = (table_of(sql), given) else {
            let error = "it lacks a row that the database has".to_owned();
            return Err(StoreError::Failed { path: "the copy".to_owned(), error, hint: None });
        };
        let renumber = format!("UPDATE {table} SET id = ?2 WHERE id = ?1");
        session.execute(&renumber, super::params![given, number])?;
    }
    Ok(())
}
