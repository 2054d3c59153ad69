//! Writes to the store, each as a job of its single queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::model::{Instant, PageId, Variable};
use crate::pages::{Override, OverrideKind};
use crate::plan::{Answer, Drift};
use crate::pulse::Pulse;
use crate::redact::redacted;
use crate::store::{
    Acceptance, Behind, Intent, Outcome, Owner, PageState, Remembered, Store, StoreError, Written,
};

use super::Sqlite;
use super::file::Guard;
use super::history_span::HistorySpan;
use super::queue::{Damage, Queue};
use super::reading::{self, StoredPart};
use super::{accepted, migrations, owners, retention, texts};

/// The writer of the store, for one owner.
///
/// Jobs run in the order in which the methods are called, even if the caller does not await their
/// results. An acknowledged job is durable, together with all jobs before it.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: Queue,
    /// The number of the owner.
    owner: i64,
    span: Arc<HistorySpan>,
}

impl Writer {
    /// Writes for an owner; without one, only to release overrides.
    pub(super) fn start(
        connection: Connection,
        owner: Option<&Owner>,
        location: Sqlite,
        guard: Option<Guard>,
        damage: Damage,
    ) -> Result<Self, StoreError> {
        let number = owner.map_or(Ok(owners::NO_OWNER), |owner| owners::number_or_new(&connection, owner));
        let owner = number.map_err(|error| location.sqlite(error))?;
        let span = Arc::new(HistorySpan::default());
        span.read(&connection).map_err(|error| location.sqlite(error))?;
        Ok(Self { queue: Queue::start(connection, location, guard, damage)?, owner, span })
    }

    /// Creates a writer on a shared connection, without a thread.
    ///
    /// Jobs are committed one by one, for simulations that run in a single order.
    ///
    /// # Errors
    /// Returns an error when the store cannot be upgraded.
    pub fn in_place(connection: Arc<Mutex<Connection>>, owner: &Owner) -> Result<Self, StoreError> {
        let location = Sqlite::new(None);
        let span = Arc::new(HistorySpan::default());
        let prepare = || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            migrations::prepare(&mut connection)?;
            span.read(&connection)?;
            owners::number_or_new(&connection, owner)
        };
        let owner = prepare().map_err(|error| location.sqlite(error))?;
        Ok(Self { queue: Queue::in_place(connection, location), owner, span })
    }

    /// Queues a job with the number of the owner.
    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Written<T> {
        let owner = self.owner;
        self.queue.run(move |connection| job(connection, owner))
    }
}

impl Store for Writer {
    fn pulse(&self) -> Pulse {
        self.queue.pulse()
    }

    fn history_rows(&self) -> u64 {
        self.span.len()
    }

    fn owned_by(&self, owner: &Owner) -> Written<Arc<dyn Store>> {
        let (queue, owner, span) = (self.queue.clone(), owner.clone(), self.span.clone());
        let number = self.queue.run(move |connection| owners::number_or_new(connection, &owner));
        Box::pin(async move {
            let writer: Arc<dyn Store> = Arc::new(Self { queue, owner: number.await?, span });
            Ok(writer)
        })
    }

    fn pages(&self) -> Written<BTreeMap<PageId, PageState>> {
        self.run(|connection, owner| reading::pages(connection, Some(owner)))
    }

    fn remembered(&self) -> Written<Remembered> {
        self.run(reading::remembered)
    }

    fn overrides(&self, now: Instant) -> Written<Vec<Override>> {
        self.run(move |connection, owner| {
            let rows = reading::overrides(connection, Some(owner))?.into_iter();
            let active = rows.filter(|row| row.released.is_none() && !row.set.is_over(now));
            Ok(active.map(|row| row.set).collect())
        })
    }

    fn set_override(&self, set: Override) -> Written<Override> {
        self.run(move |connection, owner| {
            let (kind, variable, value) = match &set.kind {
                OverrideKind::Closed => ("closed", None, None),
                OverrideKind::Open => ("open", None, None),
                OverrideKind::Set { variable, value } => ("set", Some(variable.to_string()), Some(value)),
            };
            connection
                .prepare_cached(
                    "INSERT INTO overrides (owner, at, who, reason, says, variable, value)
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![owner, set.at, set.who, set.reason, kind, variable, value])?;
            let id = connection.last_insert_rowid();
            for (page, until) in &set.pages {
                let part = set.parts.get(page).map(StoredPart::text);
                let page = page_number(connection, owner, page)?;
                connection
                    .prepare_cached(
                        "INSERT INTO overridden (override, page, until, part) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![id, page, until, part])?;
            }
            Ok(Override { id, ..set })
        })
    }

    fn release_override(&self, id: i64, who: &str, at: Instant) -> Written<bool> {
        let who = who.to_owned();
        self.run(move |connection, owner| {
            let released = connection
                .prepare_cached(
                    "UPDATE overrides SET released_at = ?2, released_by = ?3
                        WHERE id = ?1 AND released_at IS NULL AND (?4 = ?5 OR owner = ?4)",
                )?
                .execute(params![id, at, who, owner, owners::NO_OWNER])?;
            Ok(released > 0)
        })
    }

    fn approvals(&self) -> Written<BTreeSet<String>> {
        self.run(|connection, owner| reading::approvals(connection, Some(owner)))
    }

    fn approve(&self, revision: &str, who: &str, at: Instant) -> Written<()> {
        let (revision, who) = (revision.to_owned(), who.to_owned());
        self.run(move |connection, owner| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO approvals (owner, revision, at, who) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![owner, revision, at, who])
                .map(drop)
        })
    }

    fn use_approval(&self, revision: &str, at: Instant) -> Written<()> {
        let revision = revision.to_owned();
        self.run(move |connection, owner| {
            connection
                .prepare_cached(
                    "UPDATE approvals SET used_at = ?3
                        WHERE owner = ?1 AND revision = ?2 AND used_at IS NULL",
                )?
                .execute(params![owner, revision, at])
                .map(drop)
        })
    }

    fn last_known(&self) -> Written<Option<Instant>> {
        self.run(|connection, _| {
            let sql =
                "SELECT max(coalesce(settled_at, at)) FROM (SELECT * FROM writes ORDER BY id DESC LIMIT 100)";
            connection.query_row(sql, [], |row| row.get(0))
        })
    }

    fn fact(&self, name: &'static str) -> Written<Option<String>> {
        self.run(move |connection, owner| reading::fact(connection, Some(owner), name))
    }

    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()> {
        let value = value.map(redacted);
        self.run(move |connection, owner| {
            let set = "INSERT INTO facts VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET value = excluded.value WHERE value != excluded.value";
            match value {
                Some(value) => connection.prepare_cached(set)?.execute(params![owner, name, value]),
                None => connection
                    .prepare_cached("DELETE FROM facts WHERE owner = ?1 AND name = ?2")?
                    .execute(params![owner, name]),
            }
            .map(drop)
        })
    }

    fn note_drift(&self, page: &PageId, drift: Vec<Drift>, by: Option<String>, at: Instant) -> Written<()> {
        let page = page.clone();
        self.run(move |connection, owner| {
            let page = page_number(connection, owner, &page)?;
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
                let text = |value: &Value| texts::put(connection, owner, value.to_string(), at);
                let found = drift.found.as_ref().map(text).transpose()?;
                let known: Option<i64> =
                    lasting.query_row(params![page, variable, found, answer], |row| row.get(0)).optional()?;
                if let Some(id) = known {
                    kept.insert(id);
                    continue;
                }
                let ended = (drift.answer == Answer::Restored).then_some(at);
                let (baseline, desired) = (text(&drift.baseline)?, text(&drift.desired)?);
                insert.execute(params![page, variable, baseline, found, desired, answer, at, by, ended])?;
                kept.insert(connection.last_insert_rowid());
            }
            end_drifts(connection, page, &kept, at)
        })
    }

    fn accept(&self, acceptance: Acceptance, at: Instant) -> Written<()> {
        self.run(move |connection, owner| {
            let Acceptance { number, settings, inputs, paths, behind, kept } = &acceptance;
            accepted::put(connection, owner, ("", settings.as_bytes()), *number, at)?;
            for (path, content) in inputs {
                accepted::put(connection, owner, (path, content), *number, at)?;
            }
            accepted::end_others(connection, owner, paths, *number)?;
            let ours = "WHERE page IN (SELECT id FROM pages WHERE owner = ?1)";
            connection.prepare_cached(&format!("DELETE FROM behind {ours}"))?.execute([owner])?;
            for (page, behind) in behind {
                set_behind(connection, page_number(connection, owner, page)?, Some(*behind))?;
            }
            connection.prepare_cached(&format!("DELETE FROM kept {ours}"))?.execute([owner])?;
            for (page, as_of) in kept {
                let page = page_number(connection, owner, page)?;
                connection
                    .prepare_cached("INSERT INTO kept VALUES (?1, ?2)")?
                    .execute(params![page, as_of])?;
            }
            accepted::forget(connection, owner)
        })
    }

    fn set_behind(&self, page: &PageId, behind: Option<Behind>) -> Written<()> {
        let page = page.clone();
        self.run(move |connection, owner| {
            let page = page_number(connection, owner, &page)?;
            set_behind(connection, page, behind)?;
            if behind.is_none() { accepted::forget(connection, owner) } else { Ok(()) }
        })
    }

    fn intend(&self, intent: Intent) -> Written<i64> {
        let span = self.span.clone();
        self.run(move |connection, owner| {
            if let Some(write) = intent.again {
                let again = "UPDATE writes SET outcome = 'intended', settled_at = NULL, tries = tries + 1
                    WHERE id = ?1 AND outcome = 'failed'";
                if connection.prepare_cached(again)?.execute([write])? > 0 {
                    texts::keep(connection, CHANGE_TEXTS, write, intent.at)?;
                    return Ok(write);
                }
            }
            let page = page_number(connection, owner, &intent.page)?;
            connection
                .prepare_cached("INSERT INTO writes (page, at, who) VALUES (?1, ?2, ?3)")?
                .execute(params![page, intent.at, intent.who])?;
            let write = connection.last_insert_rowid();
            let mut insert = connection.prepare_cached("INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for change in &intent.changes {
                let from = change.from.as_ref().map(Value::to_string);
                insert.execute(params![
                    write,
                    change.variable.to_string(),
                    from.map(|from| texts::put(connection, owner, from, intent.at)).transpose()?,
                    texts::put(connection, owner, change.to.to_string(), intent.at)?,
                    change.because,
                ])?;
            }
            span.read(connection)?;
            Ok(write)
        })
    }

    fn settle(
        &self,
        write: i64,
        outcome: Outcome,
        correlation_id: Option<String>,
        at: Instant,
    ) -> Written<()> {
        self.run(move |connection, _| {
            connection
                .prepare_cached(
                    "UPDATE writes SET outcome = ?2, settled_at = ?3, error = ?4,
                        correlation_id = coalesce(?5, correlation_id) WHERE id = ?1",
                )?
                .execute(params![write, outcome.word(), at, outcome.error(), correlation_id])?;
            texts::keep(connection, CHANGE_TEXTS, write, at)?;
            if let Outcome::Applied(values) = &outcome {
                let page = connection
                    .query_row("SELECT page FROM writes WHERE id = ?1", [write], |row| row.get(0))?;
                set_baselines(connection, page, values)?;
            }
            Ok(())
        })
    }

    fn adopt(&self, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()> {
        let page = page.clone();
        self.run(move |connection, owner| {
            let page = page_number(connection, owner, &page)?;
            set_baselines(connection, page, &values)
        })
    }

    fn prune(&self, before: Instant) -> Written<()> {
        let span = self.span.clone();
        self.run(move |connection, owner| {
            retention::prune(connection, owner, before)?;
            span.read(connection)
        })
    }

    fn saw_schema(&self, page: &PageId, schema: Option<Arc<Value>>) -> Written<()> {
        let page = page.clone();
        self.run(move |connection, owner| {
            let page = page_number(connection, owner, &page)?;
            let schema = schema.map(|schema| schema.to_string());
            connection
                .prepare_cached("UPDATE pages SET schema = ?2 WHERE id = ?1 AND schema IS NOT ?2")?
                .execute(params![page, schema])
                .map(drop)
        })
    }

    fn note_problem(&self, page: &PageId, problem: Option<String>, at: Instant) -> Written<()> {
        let problem = problem.map(redacted);
        let page = page.clone();
        self.run(move |connection, owner| {
            let page = page_number(connection, owner, &page)?;
            connection
                .prepare_cached(
                    // It remains one problem as long as there is any, even if its message changes.
                    "UPDATE pages SET problem = ?2, problem_since =
                        CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(problem_since, ?3) END WHERE id = ?1",
                )?
                .execute(params![page, problem, at])
                .map(drop)
        })
    }
}

/// Returns the number of a page in the store, creating one if needed.
fn page_number(connection: &Connection, owner: i64, page: &PageId) -> rusqlite::Result<i64> {
    let key = params![owner, page.agent, page.environment.as_str()];
    let known = connection
        .prepare_cached("SELECT id FROM pages WHERE owner = ?1 AND agent = ?2 AND environment = ?3")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    match known {
        Some(number) => Ok(number),
        None => connection
            .prepare_cached("INSERT INTO pages (owner, agent, environment) VALUES (?1, ?2, ?3)")?
            .insert(key),
    }
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

/// SQL for the values of a PATCH.
const CHANGE_TEXTS: &str = "SELECT before FROM changes WHERE write = ?2
    UNION SELECT after FROM changes WHERE write = ?2";

/// SQL for the values of a drift row.
const DRIFT_TEXTS: &str = "SELECT base FROM drifts WHERE id = ?2 UNION SELECT found FROM drifts WHERE id = ?2
    UNION SELECT desired FROM drifts WHERE id = ?2";

fn end_drifts(connection: &Connection, page: i64, kept: &BTreeSet<i64>, at: Instant) -> rusqlite::Result<()> {
    let mut lasting =
        connection.prepare_cached("SELECT id FROM drifts WHERE page = ?1 AND ended_at IS NULL")?;
    let lasting = lasting.query_map([page], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut end = connection.prepare_cached("UPDATE drifts SET ended_at = ?2 WHERE id = ?1")?;
    for id in lasting.iter().filter(|id| !kept.contains(id)) {
        end.execute(params![id, at])?;
        texts::keep(connection, DRIFT_TEXTS, *id, at)?;
    }
    Ok(())
}

fn set_baselines(connection: &Connection, page: i64, values: &[(Variable, Value)]) -> rusqlite::Result<()> {
    let mut set = connection.prepare_cached(
        "INSERT INTO bases VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    for (variable, value) in values {
        set.execute(params![page, variable.to_string(), value.to_string()])?;
    }
    Ok(())
}
