//! A connection to the database that one thread uses.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{StreamExt, pin_mut};
use tokio::runtime::Runtime;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use crate::limits::replicas::{CONNECT_TIMEOUT, DATABASE_TIMEOUT};
use crate::model::Instant;
use crate::store::StoreError;
use crate::store::sql::{Param, Row, Session};

use super::address::Address;
use super::fault;

/// The settings of each session, whatever the defaults of the role are.
///
/// A `statement_timeout` could end the wait of a commit for the synchronous standby, and the commit would
/// be reported as done. The fence reads the newest row of the lease.
const SESSION: &str = "SET search_path TO rtconfd; SET lock_timeout TO '5s'; SET statement_timeout TO 0;
    SET idle_in_transaction_session_timeout TO '8s'; SET synchronous_commit TO on;
    SET default_transaction_isolation TO 'read committed'";

/// A connection and the thread's runtime, which drives it while the thread waits for an answer.
pub(super) struct Connection {
    /// Taken when it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    statements: HashMap<String, Statement>,
    path: String,
    /// The longest wait for an answer.
    limit: Duration,
}

impl Connection {
    /// Connects to a server that accepts writes.
    ///
    /// # Errors
    /// When no server of the address answers, or the server refuses the user.
    pub(super) fn open(address: &Address) -> Result<Self, StoreError> {
        let path = address.to_string();
        let failed = |error: String| StoreError::Failed { path: path.clone(), error, hint: None };
        let (config, tls) = address.config().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1);
        let connecting = async {
            let (client, connection) = config.connect(tls).await?;
            tokio::spawn(connection);
            client.batch_execute(SESSION).await?;
            Ok(client)
        };
        let limit = CONNECT_TIMEOUT * hosts + DATABASE_TIMEOUT;
        let connected = runtime.block_on(within(limit, &path, connecting));
        match connected {
            Ok(client) => Ok(Self {
                runtime: Some(runtime),
                client,
                statements: HashMap::new(),
                path,
                limit: DATABASE_TIMEOUT,
            }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Returns the name of the store.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Drives the connection until a piece of work is done.
    fn wait<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.runtime.as_ref().map_or(Err(StoreError::Closed), |runtime| runtime.block_on(work))
    }

    /// Ends the connection; the server ends its transaction then.
    pub(super) fn close(&mut self) {
        // The caller may be a thread of another runtime, which must not wait for this one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Returns the connection with another limit for each answer.
    pub(super) fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs several statements without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.wait(within(self.limit, &self.path, self.client.batch_execute(sql)))
    }

    /// Prepares a statement once in the life of the connection.
    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let text = dialect(sql);
        let preparing = within(self.limit, &self.path, self.client.prepare(&text));
        let statement = self.wait(preparing)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Returns a shared statement in the words of PostgreSQL.
///
/// Its planner needs no hint for the index of open intents.
fn dialect(sql: &str) -> String {
    sql.replace("INDEXED BY unsettled ", "").replace('?', "$")
}

/// Waits for an answer, but not for ever: a network may keep a connection open and carry nothing.
async fn within<T>(
    limit: Duration,
    path: &str,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| fault::store_error(path, &error)),
        Err(_) => Err(StoreError::Unreachable {
            path: path.to_owned(),
            error: format!("no answer within {} s", limit.as_secs()),
        }),
    }
}

impl Session for Connection {
    fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql)?;
        let running = self.client.execute_raw(&statement, params);
        self.wait(within(self.limit, &self.path, running))
    }

    fn each(
        &mut self,
        sql: &str,
        params: &[Param],
        take: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let statement = self.prepared(sql)?;
        self.wait(async {
            let rows = self.client.query_raw(&statement, params);
            let rows = within(self.limit, &self.path, rows).await?;
            pin_mut!(rows);
            loop {
                let next = async { rows.next().await.transpose() };
                match within(self.limit, &self.path, next).await? {
                    Some(row) => take(&Found { row: &row, path: &self.path })?,
                    None => return Ok(()),
                }
            }
        })
    }
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(kind, out),
            // PostgreSQL has no text with a NUL.
            Self::Text(text) => text.replace('\0', "\u{fffd}").to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
            Self::Instant(at) => at.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// A row, and the store that its failures name.
struct Found<'r> {
    row: &'r tokio_postgres::Row,
    path: &'r str,
}

impl Found<'_> {
    fn get<'a, T: tokio_postgres::types::FromSql<'a>>(&'a self, column: usize) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.unreadable(column, &error.to_string()))
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
        self.get(column)
    }

    fn unreadable(&self, column: usize, why: &str) -> StoreError {
        let name = self.row.columns().get(column).map_or("?", tokio_postgres::Column::name);
        let error = format!("cannot read column {name}: {why}");
        StoreError::Failed { path: self.path.to_owned(), error, hint: None }
    }
}
