//! Writes to the store, each as a job of its single queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::model::{Instant, PageId, Variable};
use crate::pages::{Override, OverrideKind};
use crate::plan::{Answer, Drift};
use crate::pulse::Pulse;
use crate::store::{Acceptance, Behind, Intent, Outcome, PageState, Remembered, Store, StoreError, Written};

use super::Location;
use super::file::Guard;
use super::queue::{Damage, Queue};
use super::reading::{self, StoredPart};
use super::{migrations, retention, texts};

/// The writer of the store.
///
/// Jobs run in the order in which the methods are called, even if the caller does not await their
/// results. An acknowledged job is durable, together with all jobs before it.
#[derive(Clone, Debug)]
pub struct Writer(Queue);

impl Writer {
    pub(super) fn start(
        connection: Connection,
        location: Location,
        guard: Option<Guard>,
        damage: Damage,
    ) -> Result<Self, StoreError> {
        Queue::start(connection, location, guard, damage).map(Self)
    }

    /// Creates a writer on a shared connection, without a thread.
    ///
    /// Jobs are committed one by one, for simulations that run in a single order.
    ///
    /// # Errors
    /// Returns an error when the store cannot be upgraded.
    pub fn in_place(connection: Arc<Mutex<Connection>>) -> Result<Self, StoreError> {
        let location = Location::new(None);
        {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            migrations::prepare(&mut connection).map_err(|error| location.sqlite(error))?;
        }
        Ok(Self(Queue::in_place(connection, location)))
    }
}

impl Store for Writer {
    fn pulse(&self) -> Pulse {
        self.0.pulse()
    }

    fn pages(&self, api: &str) -> Written<BTreeMap<PageId, PageState>> {
        let api = api.to_owned();
        self.0.run(move |connection| reading::pages(connection, &api))
    }

    fn remembered(&self, api: &str) -> Written<Remembered> {
        let api = api.to_owned();
        self.0.run(move |connection| reading::remembered(connection, &api))
    }

    fn overrides(&self, api: &str, now: Instant) -> Written<Vec<Override>> {
        let api = api.to_owned();
        self.0.run(move |connection| {
            let rows = reading::overrides(connection, Some(&api))?.into_iter();
            let active = rows.filter(|row| row.released.is_none() && !row.set.is_over(now));
            Ok(active.map(|row| row.set).collect())
        })
    }

    fn set_override(&self, api: &str, set: Override) -> Written<Override> {
        let api = api.to_owned();
        self.0.run(move |connection| {
            let (says, variable, value) = match &set.says {
                OverrideKind::Closed => ("closed", None, None),
                OverrideKind::Open => ("open", None, None),
                OverrideKind::Set { variable, value } => ("set", Some(variable.to_string()), Some(value)),
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

    fn release_override(&self, id: i64, who: &str, at: Instant) -> Written<bool> {
        let who = who.to_owned();
        self.0.run(move |connection| {
            let released = connection
                .prepare_cached(
                    "UPDATE overrides SET released_at = ?2, released_by = ?3
                        WHERE id = ?1 AND released_at IS NULL",
                )?
                .execute(params![id, at, who])?;
            Ok(released > 0)
        })
    }

    fn approvals(&self) -> Written<BTreeSet<String>> {
        self.0.run(reading::approvals)
    }

    fn approve(&self, revision: &str, who: &str, at: Instant) -> Written<()> {
        let (revision, who) = (revision.to_owned(), who.to_owned());
        self.0.run(move |connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO approvals (revision, at, who) VALUES (?1, ?2, ?3)")?
                .execute(params![revision, at, who])
                .map(drop)
        })
    }

    fn use_approval(&self, revision: &str, at: Instant) -> Written<()> {
        let revision = revision.to_owned();
        self.0.run(move |connection| {
            connection
                .prepare_cached("UPDATE approvals SET used_at = ?2 WHERE revision = ?1 AND used_at IS NULL")?
                .execute(params![revision, at])
                .map(drop)
        })
    }

    fn last_known(&self) -> Written<Option<Instant>> {
        self.0.run(|connection| {
            let sql =
                "SELECT max(coalesce(settled_at, at)) FROM (SELECT * FROM writes ORDER BY id DESC LIMIT 100)";
            connection.query_row(sql, [], |row| row.get(0))
        })
    }

    fn fact(&self, name: &'static str) -> Written<Option<String>> {
        self.0.run(move |connection| reading::fact(connection, name))
    }

    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()> {
        self.0.run(move |connection| {
            let set = "INSERT INTO facts VALUES (?1, ?2)
                ON CONFLICT DO UPDATE SET value = excluded.value WHERE value != excluded.value";
            match value {
                Some(value) => connection.prepare_cached(set)?.execute(params![name, value]),
                None => connection.prepare_cached("DELETE FROM facts WHERE name = ?1")?.execute([name]),
            }
            .map(drop)
        })
    }

    fn note_drift(
        &self,
        api: &str,
        page: &PageId,
        drift: Vec<Drift>,
        by: Option<String>,
        at: Instant,
    ) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.0.run(move |connection| {
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
                let text = |value: &Value| texts::put(connection, value.to_string(), at);
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

    fn accept(&self, api: &str, acceptance: Acceptance, at: Instant) -> Written<()> {
        let api = api.to_owned();
        self.0.run(move |connection| {
            let Acceptance { number, settings, inputs, paths, behind, kept } = &acceptance;
            put(connection, "", settings.as_bytes(), *number, at)?;
            for (path, content) in inputs {
                put(connection, path, content, *number, at)?;
            }
            end_others(connection, paths, *number)?;
            // Pages of another API start waiting again when they return.
            connection.prepare_cached("DELETE FROM behind")?.execute([])?;
            for (page, behind) in behind {
                set_behind(connection, page_number(connection, &api, page)?, Some(*behind))?;
            }
            connection.prepare_cached("DELETE FROM kept")?.execute([])?;
            for (page, as_of) in kept {
                let page = page_number(connection, &api, page)?;
                connection
                    .prepare_cached("INSERT INTO kept VALUES (?1, ?2)")?
                    .execute(params![page, as_of])?;
            }
            forget(connection)
        })
    }

    fn set_behind(&self, api: &str, page: &PageId, behind: Option<Behind>) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.0.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            set_behind(connection, page, behind)?;
            if behind.is_none() { forget(connection) } else { Ok(()) }
        })
    }

    fn intend(&self, intent: Intent) -> Written<i64> {
        self.0.run(move |connection| {
            if let Some(write) = intent.again {
                let again = "UPDATE writes SET outcome = 'intended', settled_at = NULL, tries = tries + 1
                    WHERE id = ?1 AND outcome = 'failed'";
                if connection.prepare_cached(again)?.execute([write])? > 0 {
                    texts::keep(connection, "SELECT before FROM changes WHERE write = ?2 UNION SELECT after FROM changes WHERE write = ?2", write, intent.at)?;
                    return Ok(write);
                }
            }
            let page = page_number(connection, &intent.api, &intent.page)?;
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
                    from.map(|from| texts::put(connection, from, intent.at)).transpose()?,
                    texts::put(connection, change.to.to_string(), intent.at)?,
                    change.because,
                ])?;
            }
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
        self.0.run(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE writes SET outcome = ?2, settled_at = ?3, error = ?4,
                        correlation_id = coalesce(?5, correlation_id) WHERE id = ?1",
                )?
                .execute(params![write, outcome.word(), at, outcome.error(), correlation_id])?;
            if let Outcome::Applied(values) = &outcome {
                let page = connection
                    .query_row("SELECT page FROM writes WHERE id = ?1", [write], |row| row.get(0))?;
                set_baselines(connection, page, values)?;
            }
            Ok(())
        })
    }

    fn adopt(&self, api: &str, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.0.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            set_baselines(connection, page, &values)
        })
    }

    fn prune(&self, before: Instant) -> Written<()> {
        self.0.run(move |connection| retention::prune(connection, before))
    }

    fn saw_schema(&self, api: &str, page: &PageId, schema: Option<Arc<Value>>) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.0.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
            let schema = schema.map(|schema| schema.to_string());
            connection
                .prepare_cached("UPDATE pages SET schema = ?2 WHERE id = ?1 AND schema IS NOT ?2")?
                .execute(params![page, schema])
                .map(drop)
        })
    }

    fn note_problem(&self, api: &str, page: &PageId, problem: Option<String>, at: Instant) -> Written<()> {
        let (api, page) = (api.to_owned(), page.clone());
        self.0.run(move |connection| {
            let page = page_number(connection, &api, &page)?;
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
fn page_number(connection: &Connection, api: &str, page: &PageId) -> rusqlite::Result<i64> {
    let key = params![api, page.agent, page.environment.as_str()];
    let known = connection
        .prepare_cached("SELECT id FROM pages WHERE api = ?1 AND agent = ?2 AND environment = ?3")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    match known {
        Some(number) => Ok(number),
        None => connection
            .prepare_cached("INSERT INTO pages (api, agent, environment) VALUES (?1, ?2, ?3)")?
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

/// Stores content that becomes active and ends the version before it.
fn put(
    connection: &Connection,
    path: &str,
    content: &[u8],
    number: i64,
    at: Instant,
) -> rusqlite::Result<()> {
    let is_known = "SELECT 1 FROM accepted WHERE path = ?1 AND until IS NULL AND content = ?2";
    if connection.prepare_cached(is_known)?.exists(params![path, content])? {
        return Ok(());
    }
    connection
        .prepare_cached("UPDATE accepted SET until = ?2 WHERE path = ?1 AND until IS NULL")?
        .execute(params![path, number])?;
    connection
        .prepare_cached("INSERT INTO accepted VALUES (?1, ?2, ?3, ?4, NULL)")?
        .execute(params![path, content, at, number])
        .map(drop)
}

/// Ends inputs that no longer exist: files that the settings no longer name.
fn end_others(connection: &Connection, paths: &BTreeSet<String>, number: i64) -> rusqlite::Result<()> {
    let mut known =
        connection.prepare_cached("SELECT path FROM accepted WHERE until IS NULL AND path != ''")?;
    let known = known.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut end =
        connection.prepare_cached("UPDATE accepted SET until = ?2 WHERE path = ?1 AND until IS NULL")?;
    for path in known.iter().filter(|path| !paths.contains(*path)) {
        end.execute(params![path, number])?;
    }
    Ok(())
}

/// Deletes formerly active content that no page is based on any more.
fn forget(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM accepted WHERE until IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM (SELECT as_of FROM behind UNION ALL SELECT as_of FROM kept)
            WHERE as_of >= accepted.since AND as_of < accepted.until)";
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

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
