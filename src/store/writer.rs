//! The one writer: a thread that owns the connection and commits what has gathered in one transaction.

use std::collections::BTreeMap;
use std::sync::mpsc;

use rusqlite::{Connection, params};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::model::{Change, Instant, PageId, RemotePage, Variable};

use super::{Location, PageState, StoreError, reading};

/// Jobs that are committed together at most.
const MAX_BATCH: usize = 256;

type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Done> + Send>;
/// Tells whoever waits that the job is durable.
type Done = Box<dyn FnOnce() + Send>;
type Queued = (Job, oneshot::Sender<rusqlite::Error>);

/// Writes to the store. What a method acknowledges is durable.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Queued>,
    location: Location,
}

/// A PATCH that is about to be sent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The API's base URL.
    pub api: String,
    /// The page.
    pub page: PageId,
    /// When.
    pub at: Instant,
    /// Who: the command and the user it runs as.
    pub who: String,
    /// What it changes.
    pub changes: Vec<Change>,
}

/// What became of a PATCH.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The page holds the values; these become the base.
    Applied(Vec<(Variable, Value)>),
    /// It was refused and changed nothing.
    Failed(String),
    /// Nobody knows; the page has to be looked at.
    Unknown(String),
    /// Others wrote since; what it did can't be told any more.
    Overwritten,
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Applied(_) => "applied",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::Overwritten => "overwritten",
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Failed(error) | Self::Unknown(error) => Some(error),
            Self::Applied(_) | Self::Overwritten => None,
        }
    }
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        location: Location,
        lock: Option<std::fs::File>,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let shown = location.clone();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                // The lock is held as long as the thread lives.
                let _lock = lock;
                work(connection, &jobs);
            })
            .map_err(|error| shown.io(error))?;
        Ok(Self { queue, location })
    }

    /// Everything known of the pages of one API.
    pub async fn pages(&self, api: &str) -> Result<BTreeMap<PageId, PageState>, StoreError> {
        let api = api.to_owned();
        self.run(move |connection| reading::pages(connection, &api)).await
    }

    /// The inputs as they last were without a problem, by path.
    pub async fn inputs(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.run(reading::inputs).await
    }

    /// Keeps the inputs that are good now in place of what they were.
    pub async fn keep_inputs(
        &self,
        inputs: BTreeMap<String, Vec<u8>>,
        at: Instant,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            let mut keep = connection.prepare_cached(
                "INSERT INTO inputs VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
                    SET content = excluded.content, accepted_at = excluded.accepted_at
                    WHERE content != excluded.content",
            )?;
            for (path, content) in &inputs {
                keep.execute(params![path, content, at])?;
            }
            Ok(())
        })
        .await
    }

    /// Makes an intent durable, before its PATCH is sent. Gives its number.
    pub async fn intend(&self, intent: Intent) -> Result<i64, StoreError> {
        self.run(move |connection| {
            let page = page_number(connection, &intent.api, &intent.page)?;
            connection
                .prepare_cached("INSERT INTO writes (page, at, who) VALUES (?1, ?2, ?3)")?
                .execute(params![page, intent.at, intent.who])?;
            let write = connection.last_insert_rowid();
            let mut insert = connection.prepare_cached("INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for change in &intent.changes {
                insert.execute(params![
                    write,
                    change.variable.to_string(),
                    change.from.as_ref().map(Value::to_string),
                    change.to.to_string(),
                    change.because,
                ])?;
            }
            Ok(write)
        })
        .await
    }

    /// Makes the outcome of an intent durable; what was applied becomes the base.
    pub async fn settle(
        &self,
        write: i64,
        outcome: Outcome,
        correlation_id: Option<String>,
        at: Instant,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE writes SET outcome = ?2, settled_at = ?3, error = ?4,
                        correlation_id = coalesce(?5, correlation_id) WHERE id = ?1",
                )?
                .execute(params![write, outcome.word(), at, outcome.error(), correlation_id])?;
            if let Outcome::Applied(values) = &outcome {
                let page = connection
                    .query_row("SELECT page FROM writes WHERE id = ?1", [write], |row| row.get(0))?;
                set_bases(connection, page, values)?;
            }
            Ok(())
        })
        .await
    }

    /// Learns values that stand on a page as wanted, though not by a PATCH of ours.
    pub async fn adopt(
        &self,
        api: &str,
        page: &PageId,
        values: Vec<(Variable, Value)>,
    ) -> Result<(), StoreError> {
        let (api, page) = (api.to_owned(), page.clone());
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            set_bases(connection, page, &values)
        })
        .await
    }

    /// Remembers a page's schema and stamp as seen.
    pub async fn saw(&self, api: &str, page: &PageId, remote: &RemotePage) -> Result<(), StoreError> {
        let (api, page) = (api.to_owned(), page.clone());
        let schema = remote.schema.as_ref().map(Value::to_string);
        let last_updated = remote.last_updated.clone();
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            connection
                .prepare_cached("UPDATE pages SET schema = ?2, last_updated = ?3 WHERE id = ?1")?
                .execute(params![page, schema, last_updated])
                .map(drop)
        })
        .await
    }

    /// Remembers what keeps a page from being right, or that nothing does.
    pub async fn note_problem(
        &self,
        api: &str,
        page: &PageId,
        problem: Option<String>,
        at: Instant,
    ) -> Result<(), StoreError> {
        let (api, page) = (api.to_owned(), page.clone());
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            connection
                .prepare_cached(
                    // It is one problem as long as there is any, however its words change.
                    "UPDATE pages SET problem = ?2, problem_since =
                        CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(problem_since, ?3) END WHERE id = ?1",
                )?
                .execute(params![page, problem, at])
                .map(drop)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let (fail, failed) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let value = job(connection)?;
            Ok(Box::new(move || {
                // Whoever asked may have gone.
                let _ = answer.send(value);
            }))
        });
        self.queue.send((job, fail)).map_err(|_| StoreError::Closed)?;
        match answered.await {
            Ok(value) => Ok(value),
            Err(_) => Err(match failed.await {
                Ok(error) => self.location.sqlite(error),
                Err(_) => StoreError::Closed,
            }),
        }
    }
}

/// Takes jobs as they come; those that wait already are committed together, and only then acknowledged.
fn work(mut connection: Connection, jobs: &mpsc::Receiver<Queued>) {
    while let Ok(first) = jobs.recv() {
        let waiting = std::iter::from_fn(|| jobs.try_recv().ok());
        let batch: Vec<Queued> = std::iter::once(first).chain(waiting.take(MAX_BATCH - 1)).collect();
        if let Err((fails, error)) = commit(&mut connection, batch) {
            tracing::error!(%error, "the store refuses to write");
            for fail in fails {
                let _ = fail.send(copy(&error));
            }
        }
    }
}

type Fails = Vec<oneshot::Sender<rusqlite::Error>>;

/// All or nothing: one job that fails takes the batch with it, so that nothing unsure is acknowledged.
fn commit(connection: &mut Connection, batch: Vec<Queued>) -> Result<(), (Fails, rusqlite::Error)> {
    let (jobs, mut fails): (Vec<Job>, Fails) = batch.into_iter().unzip();
    let run = || {
        let transaction = connection.transaction()?;
        let done = jobs.into_iter().map(|job| job(&transaction)).collect::<rusqlite::Result<Vec<Done>>>()?;
        transaction.commit()?;
        Ok(done)
    };
    match run() {
        Ok(done) => {
            done.into_iter().for_each(|acknowledge| acknowledge());
            fails.clear();
            Ok(())
        }
        Err(error) => Err((fails, error)),
    }
}

/// SQLite's errors can't be cloned; their words can.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    let code = error
        .sqlite_error()
        .copied()
        .unwrap_or_else(|| rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR));
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}

fn page_number(connection: &Connection, api: &str, page: &PageId) -> rusqlite::Result<i64> {
    let key = params![api, page.agent, page.environment.as_str()];
    connection
        .prepare_cached(
            "INSERT INTO pages (api, agent, environment) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(key)?;
    connection
        .prepare_cached("SELECT id FROM pages WHERE api = ?1 AND agent = ?2 AND environment = ?3")?
        .query_row(key, |row| row.get(0))
}

fn set_bases(connection: &Connection, page: i64, values: &[(Variable, Value)]) -> rusqlite::Result<()> {
    let mut set = connection.prepare_cached(
        "INSERT INTO bases VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    for (variable, value) in values {
        set.execute(params![page, variable.to_string(), value.to_string()])?;
    }
    Ok(())
}
