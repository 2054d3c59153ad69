//! The one writer: a thread that owns the connection and commits what has gathered in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::desired::{Override, Says};
use crate::model::{Change, Instant, PageId, Variable};
use crate::plan::{Answer, Drift};

use super::reading::{self, StoredPart};
use super::{Behind, Location, PageState, Remembered, StoreError};

/// Jobs that are committed together at most.
const MAX_BATCH: usize = 256;

type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Done> + Send>;
/// Tells whoever waits that the job is durable.
type Done = Box<dyn FnOnce() + Send>;
type Queued = (Job, oneshot::Sender<rusqlite::Error>);

/// What comes of a job of the writer, once it is durable.
pub type Written<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Writes to the store. Jobs are done in the order in which the methods are called, whether or not their outcome is waited
/// for; what is acknowledged is durable, with all that came before it.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: Queue,
    location: Location,
}

#[derive(Clone, Debug)]
enum Queue {
    /// To the thread that owns the connection.
    Thread(Arc<Thread>),
    /// Each job is committed by whoever brings it, until one fails.
    InPlace(Arc<Mutex<Connection>>, Arc<Mutex<Option<rusqlite::Error>>>),
}

/// The thread that owns the connection. Whoever drops its last writer waits until it has done all its jobs and closed the
/// store: one that was left open has to be recovered by the next start.
#[derive(Debug)]
struct Thread {
    queue: Option<mpsc::Sender<Queued>>,
    worker: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    /// A thread that is gone drops the job, and with it the places for its answers.
    fn take(&self, job: Job, fail: oneshot::Sender<rusqlite::Error>) {
        if let Some(queue) = &self.queue {
            let _ = queue.send((job, fail));
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
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

/// What is in force from now on.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    /// Counts acceptances.
    pub number: i64,
    /// The settings as they are written.
    pub settings: String,
    /// The inputs that are without a problem, by path.
    pub inputs: BTreeMap<String, Vec<u8>>,
    /// Those of which some is as it was before.
    pub with_problems: BTreeMap<String, Vec<u8>>,
    /// The pages that are not yet as these make them.
    pub behind: BTreeMap<PageId, Behind>,
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
        let worker = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                // The lock is held as long as the thread lives.
                let _lock = lock;
                work(connection, &jobs);
            })
            .map_err(|error| shown.io(error))?;
        let thread = Thread { queue: Some(queue), worker: Some(worker) };
        Ok(Self { queue: Queue::Thread(Arc::new(thread)), location })
    }

    /// Writes on a connection that others may hold too, job by job and without a thread: for worlds in which everything
    /// happens in one order.
    ///
    /// # Errors
    /// When it can't be brought up to date.
    pub fn in_place(connection: Arc<Mutex<Connection>>) -> Result<Self, StoreError> {
        let location = Location::new(None);
        {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            super::prepare(&mut connection).map_err(|error| location.sqlite(error))?;
        }
        Ok(Self { queue: Queue::InPlace(connection, Arc::default()), location })
    }

    /// Everything known of the pages of one API.
    pub fn pages(&self, api: &str) -> Written<BTreeMap<PageId, PageState>> {
        let api = api.to_owned();
        self.run(move |connection| reading::pages(connection, &api))
    }

    /// What was in force when the program last ended, with what concerns pages of one API.
    pub fn remembered(&self, api: &str) -> Written<Remembered> {
        let api = api.to_owned();
        self.run(move |connection| reading::remembered(connection, &api))
    }

    /// The overrides of an API's pages that were not released and have not ended, the oldest first.
    pub fn overrides(&self, api: &str, now: Instant) -> Written<Vec<Override>> {
        let api = api.to_owned();
        self.run(move |connection| {
            let rows = reading::overrides(connection, &api)?.into_iter();
            let in_force = rows.filter(|row| row.released.is_none() && !row.set.is_over(now));
            Ok(in_force.map(|row| row.set).collect())
        })
    }

    /// Makes an override durable. Gives it its number.
    pub fn set_override(&self, api: &str, set: Override) -> Written<Override> {
        let api = api.to_owned();
        self.run(move |connection| {
            let (says, variable, value) = match &set.says {
                Says::Closed => ("closed", None, None),
                Says::Open => ("open", None, None),
                Says::Set { variable, value } => ("set", Some(variable.to_string()), Some(value)),
            };
            connection
                .prepare_cached(
                    "INSERT INTO overrides (api, at, who, reason, says, variable, value)
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![api, set.at, set.who, set.reason, says, variable, value])?;
            let id = connection.last_insert_rowid();
            for (page, until) in &set.pages {
                let part = set.parts.get(page).map(StoredPart::text);
                let page = page_number(connection, &api, page)?;
                connection
                    .prepare_cached(
                        "INSERT INTO overridden (override, page, until, part) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![id, page, until, part])?;
            }
            Ok(Override { id, ..set })
        })
    }

    /// Releases an override. Gives whether there was one to release.
    pub fn release_override(&self, id: i64, who: &str, at: Instant) -> Written<bool> {
        let who = who.to_owned();
        self.run(move |connection| {
            let released = connection
                .prepare_cached(
                    "UPDATE overrides SET released_at = ?2, released_by = ?3
                        WHERE id = ?1 AND released_at IS NULL",
                )?
                .execute(params![id, at, who])?;
            Ok(released > 0)
        })
    }

    /// The revisions that people let pass.
    pub fn approvals(&self) -> Written<BTreeSet<String>> {
        self.run(reading::approvals)
    }

    /// Lets one revision pass.
    pub fn approve(&self, revision: &str, who: &str, at: Instant) -> Written<()> {
        let (revision, who) = (revision.to_owned(), who.to_owned());
        self.run(move |connection| {
            connection
                .prepare_cached("INSERT INTO approvals VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute(params![revision, at, who])
                .map(drop)
        })
    }

    /// The latest instant at which something was written.
    pub fn last_known(&self) -> Written<Option<Instant>> {
        self.run(|connection| {
            let sql =
                "SELECT max(coalesce(settled_at, at)) FROM (SELECT * FROM writes ORDER BY id DESC LIMIT 100)";
            connection.query_row(sql, [], |row| row.get(0))
        })
    }

    /// A single fact by its name.
    pub fn fact(&self, name: &'static str) -> Written<Option<String>> {
        self.run(move |connection| reading::fact(connection, name))
    }

    /// Remembers a single fact, or that there is none.
    pub fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()> {
        self.run(move |connection| {
            let set = "INSERT INTO facts VALUES (?1, ?2)
                ON CONFLICT DO UPDATE SET value = excluded.value WHERE value != excluded.value";
            match value {
                Some(value) => connection.prepare_cached(set)?.execute(params![name, value]),
                None => connection.prepare_cached("DELETE FROM facts WHERE name = ?1")?.execute([name]),
            }
            .map(drop)
        })
    }

    /// Records what others changed on a page, and ends what is gone. Drift that goes on keeps its beginning; what was
    /// restored is over with it.
    pub fn note_drift(
        &self,
        api: &str,
        page: &PageId,
        drift: Vec<Drift>,
        by: Option<String>,
        at: Instant,
    ) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            let mut lasting = connection.prepare_cached(
                "SELECT id FROM drifts WHERE page = ?1 AND ended_at IS NULL AND variable = ?2
                    AND found IS ?3 AND answer = ?4",
            )?;
            let mut insert = connection.prepare_cached(
                "INSERT INTO drifts (page, variable, base, found, desired, answer, since, by, ended_at)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            let mut kept = BTreeSet::new();
            for drift in &drift {
                let (variable, answer) = (drift.variable.to_string(), drift.answer.word());
                let found = drift.found.as_ref().map(Value::to_string);
                let known: Option<i64> =
                    lasting.query_row(params![page, variable, found, answer], |row| row.get(0)).optional()?;
                if let Some(id) = known {
                    kept.insert(id);
                    continue;
                }
                let ended = (drift.answer == Answer::Restored).then_some(at);
                let (base, desired) = (drift.base.to_string(), drift.desired.to_string());
                insert.execute(params![page, variable, base, found, desired, answer, at, by, ended])?;
                kept.insert(connection.last_insert_rowid());
            }
            end_drifts(connection, page, &kept, at)
        })
    }

    /// Keeps settings and inputs that are in force from now on in place of what they were, and which pages are behind.
    /// Inputs that are not named stay as they are. What no page rests on any more is forgotten.
    pub fn accept(&self, api: &str, acceptance: Acceptance, at: Instant) -> Written<()> {
        let api = api.to_owned();
        self.run(move |connection| {
            let Acceptance { number, settings, inputs, with_problems, behind } = &acceptance;
            put(connection, ("", false), settings.as_bytes(), *number, at)?;
            for (path, content) in inputs {
                put(connection, (path, false), content, *number, at)?;
                replace(connection, (path, true), *number)?;
            }
            for (path, content) in with_problems {
                put(connection, (path, true), content, *number, at)?;
            }
            // Pages of another API wait anew when they are back.
            connection.prepare_cached("DELETE FROM behind")?.execute([])?;
            for (page, behind) in behind {
                set_behind(connection, page_number(connection, &api, page)?, Some(*behind))?;
            }
            forget(connection)
        })
    }

    /// Remembers how far a page is behind the one that it follows, or that it no longer is.
    pub fn set_behind(&self, api: &str, page: &PageId, behind: Option<Behind>) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            set_behind(connection, page, behind)?;
            if behind.is_none() { forget(connection) } else { Ok(()) }
        })
    }

    /// Makes an intent durable, before its PATCH is sent. Gives its number.
    pub fn intend(&self, intent: Intent) -> Written<i64> {
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
    }

    /// Makes the outcome of an intent durable; what was applied becomes the base.
    pub fn settle(
        &self,
        write: i64,
        outcome: Outcome,
        correlation_id: Option<String>,
        at: Instant,
    ) -> Written<()> {
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
    }

    /// Learns values that stand on a page as wanted, though not by a PATCH of ours.
    pub fn adopt(&self, api: &str, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            set_bases(connection, page, &values)
        })
    }

    /// Remembers a page's schema as seen.
    pub fn saw_schema(&self, api: &str, page: &PageId, schema: Option<Arc<Value>>) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            let schema = schema.map(|schema| schema.to_string());
            connection
                .prepare_cached("UPDATE pages SET schema = ?2 WHERE id = ?1 AND schema IS NOT ?2")?
                .execute(params![page, schema])
                .map(drop)
        })
    }

    /// Remembers what keeps a page from being right, or that nothing does.
    pub fn note_problem(
        &self,
        api: &str,
        page: &PageId,
        problem: Option<String>,
        at: Instant,
    ) -> Written<()> {
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
    }

    /// Brings a job to the writer, now; what is given tells when it is durable, and what it found.
    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Written<T> {
        let (answer, answered) = oneshot::channel();
        let (fail, failed) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let value = job(connection)?;
            Ok(Box::new(move || {
                // Whoever asked may have gone.
                let _ = answer.send(value);
            }))
        });
        match &self.queue {
            Queue::Thread(thread) => thread.take(job, fail),
            Queue::InPlace(connection, failed) => {
                let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                match &*failed {
                    Some(error) => refuse(fail, error),
                    None => *failed = write(&mut connection, vec![(job, fail)]).err(),
                }
            }
        }
        let location = self.location.clone();
        Box::pin(async move {
            match answered.await {
                Ok(value) => Ok(value),
                Err(_) => Err(match failed.await {
                    Ok(error) => location.sqlite(error),
                    Err(_) => StoreError::Closed,
                }),
            }
        })
    }
}

/// Takes jobs as they come; those that wait already are committed together, and only then acknowledged. After a failure
/// nothing more is written: it would stand in the store without what came before it.
fn work(mut connection: Connection, jobs: &mpsc::Receiver<Queued>) {
    while let Ok(first) = jobs.recv() {
        let waiting = std::iter::from_fn(|| jobs.try_recv().ok());
        let batch: Vec<Queued> = std::iter::once(first).chain(waiting.take(MAX_BATCH - 1)).collect();
        if let Err(error) = write(&mut connection, batch) {
            jobs.iter().for_each(|(_, fail)| refuse(fail, &error));
        }
    }
}

fn write(connection: &mut Connection, batch: Vec<Queued>) -> rusqlite::Result<()> {
    commit(connection, batch).map_err(|(fails, error)| {
        tracing::error!(%error, "the store refuses to write");
        fails.into_iter().for_each(|fail| refuse(fail, &error));
        error
    })
}

/// Tells whoever waits why nothing was written; it may have gone.
fn refuse(fail: oneshot::Sender<rusqlite::Error>, error: &rusqlite::Error) {
    let _ = fail.send(copy(error));
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

fn set_behind(connection: &Connection, page: i64, behind: Option<Behind>) -> rusqlite::Result<()> {
    match behind {
        Some(Behind { as_of, since }) => connection
            .prepare_cached("INSERT OR REPLACE INTO behind VALUES (?1, ?2, ?3)")?
            .execute(params![page, as_of, since]),
        None => connection.prepare_cached("DELETE FROM behind WHERE page = ?1")?.execute([page]),
    }
    .map(drop)
}

/// Keeps a content that is in force from now on in place of what it was.
fn put(
    connection: &Connection,
    (path, has_problems): (&str, bool),
    content: &[u8],
    number: i64,
    at: Instant,
) -> rusqlite::Result<()> {
    let is_known = "SELECT 1 FROM accepted
        WHERE path = ?1 AND has_problems = ?2 AND until IS NULL AND content = ?3";
    if connection.prepare_cached(is_known)?.exists(params![path, has_problems, content])? {
        return Ok(());
    }
    replace(connection, (path, has_problems), number)?;
    connection
        .prepare_cached("INSERT INTO accepted VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?
        .execute(params![path, has_problems, content, at, number])
        .map(drop)
}

/// What was in force no longer is.
fn replace(connection: &Connection, (path, has_problems): (&str, bool), number: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE accepted SET until = ?3 WHERE path = ?1 AND has_problems = ?2 AND until IS NULL",
        )?
        .execute(params![path, has_problems, number])
        .map(drop)
}

/// Forgets what was in force once and no page is as of any more.
fn forget(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM accepted WHERE until IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM behind WHERE as_of >= accepted.since AND as_of < accepted.until)";
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn end_drifts(connection: &Connection, page: i64, kept: &BTreeSet<i64>, at: Instant) -> rusqlite::Result<()> {
    let mut lasting =
        connection.prepare_cached("SELECT id FROM drifts WHERE page = ?1 AND ended_at IS NULL")?;
    let lasting = lasting.query_map([page], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut end = connection.prepare_cached("UPDATE drifts SET ended_at = ?2 WHERE id = ?1")?;
    for id in lasting.iter().filter(|id| !kept.contains(id)) {
        end.execute(params![id, at])?;
    }
    Ok(())
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
