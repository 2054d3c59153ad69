//! Writes to the store, each as a job of its single queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::{Instant, PageId, Variable};
use crate::pages::{Override, OverrideKind};
use crate::plan::{Answer, Drift};
use crate::pulse::Pulse;
use crate::redact::redacted;
use crate::store::{
    Acceptance, Behind, Intent, Outcome, Owner, PageState, Remembered, Store, StoreError, Written,
};

use super::history_span::HistorySpan;
use super::queue::{Database, Moment, Queue};
use super::reading::{self, StoredPart};
use super::{Session, Trust, accepted, owners, params, retention, texts};

/// The writer of a store in a database, for one owner.
///
/// Jobs run in the order in which the methods are called, even if the caller does not await their
/// results. An acknowledged job is durable, together with all jobs before it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Writer {
    queue: Queue,
    /// The number of the owner.
    owner: i64,
    span: Arc<HistorySpan>,
    /// The trust in being the only writer; none for a store of a single machine.
    trust: Option<Trust>,
}

impl Writer {
    /// Writes for an owner; without one, only to release overrides.
    ///
    /// `queue` makes the queue of the database, once it has been prepared. `trust` is the one that the
    /// database keeps up.
    pub(in crate::store) fn new(
        mut database: Box<dyn Database>,
        owner: Option<&Owner>,
        trust: Option<Trust>,
        queue: impl FnOnce(Box<dyn Database>) -> Result<Queue, StoreError>,
    ) -> Result<Self, StoreError> {
        let (span, mut number) = (Arc::new(HistorySpan::default()), owners::NO_OWNER);
        database.transact(&mut |session| {
            if let Some(owner) = owner {
                number = owners::number_or_new(session, owner)?;
            }
            span.read(session)
        })?;
        Ok(Self { queue: queue(database)?, owner: number, span, trust })
    }

    /// Queues a job with the number of the owner.
    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Session, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Written<T> {
        let owner = self.owner;
        self.queue.run(Moment::AtOnce, move |session| job(session, owner))
    }

    /// Queues a job whose result no caller awaits, to be committed with the next one.
    fn run_soon(
        &self,
        job: impl FnOnce(&mut dyn Session, i64) -> Result<(), StoreError> + Send + 'static,
    ) -> Written<()> {
        let owner = self.owner;
        self.queue.run(Moment::WithNext, move |session| job(session, owner))
    }
}

impl Store for Writer {
    fn pulse(&self) -> Pulse {
        self.queue.pulse()
    }

    fn may_send(&self, within: Duration) -> Result<(), StoreError> {
        match &self.trust {
            Some(trust) if self.queue.has_failed() || trust.left() <= within => Err(trust.end()),
            _ => Ok(()),
        }
    }

    fn ended(&self) -> BoxFuture<'static, StoreError> {
        let (failed, trust) = (self.queue.failed(), self.trust.clone());
        Box::pin(async move {
            let trusted = async {
                match &trust {
                    Some(trust) => trust.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A failure says more than the end of the lease that it leads to.
                biased;
                error = failed => error,
                error = trusted => error,
            }
        })
    }

    fn history_rows(&self) -> u64 {
        self.span.len()
    }

    fn owned_by(&self, owner: &Owner) -> Written<Arc<dyn Store>> {
        let (writer, owner) = (self.clone(), owner.clone());
        let number = self.queue.run(Moment::AtOnce, move |session| owners::number_or_new(session, &owner));
        Box::pin(async move {
            let writer: Arc<dyn Store> = Arc::new(Self { owner: number.await?, ..writer });
            Ok(writer)
        })
    }

    fn pages(&self) -> Written<BTreeMap<PageId, PageState>> {
        self.run(|session, owner| reading::pages(session, Some(owner)))
    }

    fn remembered(&self) -> Written<Remembered> {
        self.run(reading::remembered)
    }

    fn overrides(&self, now: Instant) -> Written<Vec<Override>> {
        self.run(move |session, owner| {
            let rows = reading::overrides(session, Some(owner))?.into_iter();
            let active = rows.filter(|row| row.released.is_none() && !row.set.is_over(now));
            Ok(active.map(|row| row.set).collect())
        })
    }

    fn set_override(&self, set: Override) -> Written<Override> {
        self.run(move |session, owner| {
            let (kind, variable, value) = match &set.kind {
                OverrideKind::Closed => ("closed", None, None),
                OverrideKind::Open => ("open", None, None),
                OverrideKind::Set { variable, value } => ("set", Some(variable.to_string()), Some(value)),
            };
            let add = "INSERT INTO overrides (owner, at, who, reason, says, variable, value)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id";
            let params = params![owner, set.at, set.who, set.reason, kind, variable, value];
            let id = session.insert(add, params)?;
            for (page, until) in &set.pages {
                let part = set.parts.get(page).map(StoredPart::text);
                let page = page_number(session, owner, page)?;
                let add = "INSERT INTO overridden (override, page, until, part) VALUES (?1, ?2, ?3, ?4)";
                session.execute(add, params![id, page, until, part])?;
            }
            Ok(Override { id, ..set })
        })
    }

    fn release_override(&self, id: i64, who: &str, at: Instant) -> Written<bool> {
        let who = who.to_owned();
        self.run(move |session, owner| {
            let release = "UPDATE overrides SET released_at = ?2, released_by = ?3
                WHERE id = ?1 AND released_at IS NULL AND owner = coalesce(?4, owner)";
            let owner = (owner != owners::NO_OWNER).then_some(owner);
            Ok(session.execute(release, params![id, at, who, owner])? > 0)
        })
    }

    fn approvals(&self) -> Written<BTreeSet<String>> {
        self.run(|session, owner| reading::approvals(session, Some(owner)))
    }

    fn approve(&self, revision: &str, who: &str, at: Instant) -> Written<()> {
        let (revision, who) = (revision.to_owned(), who.to_owned());
        self.run(move |session, owner| {
            let approve = "INSERT INTO approvals (owner, revision, at, who) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (owner, revision) DO UPDATE
                    SET at = excluded.at, who = excluded.who, used_at = NULL";
            session.execute(approve, params![owner, revision, at, who]).map(drop)
        })
    }

    fn use_approval(&self, revision: &str, at: Instant) -> Written<()> {
        let revision = revision.to_owned();
        self.run(move |session, owner| {
            let used = "UPDATE approvals SET used_at = ?3
                WHERE owner = ?1 AND revision = ?2 AND used_at IS NULL";
            session.execute(used, params![owner, revision, at]).map(drop)
        })
    }

    fn last_known(&self) -> Written<Option<Instant>> {
        self.run(|session, _| {
            let sql = "SELECT max(coalesce(settled_at, at))
                FROM (SELECT * FROM writes ORDER BY id DESC LIMIT 100) AS newest";
            session.first(sql, &[]).map(Option::flatten)
        })
    }

    fn fact(&self, name: &'static str) -> Written<Option<String>> {
        self.run(move |session, owner| reading::fact(session, Some(owner), name))
    }

    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()> {
        let value = value.map(redacted);
        self.run(move |session, owner| {
            let set = "INSERT INTO facts (owner, name, value) VALUES (?1, ?2, ?3)
                ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value
                    WHERE facts.value != excluded.value";
            match value {
                Some(value) => session.execute(set, params![owner, name, value]),
                None => {
                    let delete = "DELETE FROM facts WHERE owner = ?1 AND name = ?2";
                    session.execute(delete, params![owner, name])
                }
            }
            .map(drop)
        })
    }

    fn note_drift(&self, page: &PageId, drift: Vec<Drift>, by: Option<String>, at: Instant) -> Written<()> {
        let page = page.clone();
        self.run_soon(move |session, owner| {
            let page = page_number(session, owner, &page)?;
            let lasting = "SELECT id FROM drifts WHERE page = ?1 AND ended_at IS NULL AND variable = ?2
                AND found IS NOT DISTINCT FROM ?3 AND answer = ?4";
            let add = "INSERT INTO drifts
                (page, variable, base, found, desired, answer, since, by, ended_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id";
            let mut kept = BTreeSet::new();
            for drift in &drift {
                let (variable, answer) = (drift.variable.to_string(), drift.answer.word());
                let text = |session: &mut dyn Session, value: &Value| {
                    texts::put(session, owner, value.to_string(), at)
                };
                let found = drift.found.as_ref().map(|found| text(session, found)).transpose()?;
                let known = session.first(lasting, params![page, variable, found, answer])?;
                let id = match known {
                    Some(id) => id,
                    None => {
                        let (baseline, desired) =
                            (text(session, &drift.baseline)?, text(session, &drift.desired)?);
                        let ended = (drift.answer == Answer::Restored).then_some(at);
                        session.insert(
                            add,
                            params![page, variable, baseline, found, desired, answer, at, by, ended],
                        )?
                    }
                };
                kept.insert(id);
            }
            end_drifts(session, page, &kept, at)
        })
    }

    fn accept(&self, acceptance: Acceptance, at: Instant) -> Written<()> {
        self.run(move |session, owner| {
            let Acceptance { number, settings, inputs, paths, behind, kept } = &acceptance;
            accepted::put(session, owner, ("", settings.as_bytes()), *number, at)?;
            for (path, content) in inputs {
                accepted::put(session, owner, (path, content), *number, at)?;
            }
            accepted::end_others(session, owner, paths, *number)?;
            let ours = "WHERE page IN (SELECT id FROM pages WHERE owner = ?1)";
            session.execute(&format!("DELETE FROM behind {ours}"), params![owner])?;
            for (page, behind) in behind {
                let page = page_number(session, owner, page)?;
                set_behind(session, page, Some(*behind))?;
            }
            session.execute(&format!("DELETE FROM kept {ours}"), params![owner])?;
            for (page, as_of) in kept {
                let page = page_number(session, owner, page)?;
                session.execute("INSERT INTO kept (page, as_of) VALUES (?1, ?2)", params![page, as_of])?;
            }
            accepted::forget(session, owner)
        })
    }

    fn set_behind(&self, page: &PageId, behind: Option<Behind>) -> Written<()> {
        let page = page.clone();
        self.run(move |session, owner| {
            let page = page_number(session, owner, &page)?;
            set_behind(session, page, behind)?;
            if behind.is_none() { accepted::forget(session, owner) } else { Ok(()) }
        })
    }

    fn intend(&self, intent: Intent) -> Written<i64> {
        let span = self.span.clone();
        self.run(move |session, owner| {
            if let Some(write) = intent.again {
                let again = "UPDATE writes SET outcome = 'intended', settled_at = NULL, tries = tries + 1
                    WHERE id = ?1 AND outcome = 'failed'";
                if session.execute(again, params![write])? > 0 {
                    texts::keep(session, CHANGE_TEXTS, write, intent.at)?;
                    return Ok(write);
                }
            }
            let add = "INSERT INTO writes (page, at, who)
                SELECT id, ?4, ?5 FROM pages WHERE owner = ?1 AND agent = ?2 AND environment = ?3 RETURNING id";
            let environment = intent.page.environment.as_str();
            let params = params![owner, intent.page.agent, environment, intent.at, intent.who];
            let write = match session.first(add, params)? {
                Some(write) => write,
                None => {
                    page_number(session, owner, &intent.page)?;
                    session.insert(add, params)?
                }
            };
            let add = "INSERT INTO changes (write, variable, before, after, because)
                VALUES (?1, ?2, ?3, ?4, ?5)";
            for change in &intent.changes {
                let mut text = |value: &Value| texts::put(session, owner, value.to_string(), intent.at);
                let (from, to) = (change.from.as_ref().map(&mut text).transpose()?, text(&change.to)?);
                session
                    .execute(add, params![write, change.variable.to_string(), from, to, change.because])?;
            }
            span.extend(write);
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
        self.run_soon(move |session, _| {
            let settle = "UPDATE writes SET outcome = ?2, settled_at = ?3, error = ?4,
                correlation_id = coalesce(?5, correlation_id) WHERE id = ?1
                RETURNING page, (SELECT count(*) FROM changes WHERE write = writes.id
                    AND '#' IN (substr(before, 1, 1), substr(after, 1, 1)))";
            let settled = session.rows(
                settle,
                params![write, outcome.word(), at, outcome.error(), correlation_id],
                |row| Ok((row.get(0)?, row.get::<i64>(1)?)),
            )?;
            let Some((page, long_values)) = settled.into_iter().next() else { return Ok(()) };
            if long_values > 0 {
                texts::keep(session, CHANGE_TEXTS, write, at)?;
            }
            if let Outcome::Applied(values) = &outcome {
                set_baselines(session, page, values)?;
            }
            Ok(())
        })
    }

    fn adopt(&self, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()> {
        let page = page.clone();
        self.run_soon(move |session, owner| {
            let page = page_number(session, owner, &page)?;
            set_baselines(session, page, &values)
        })
    }

    fn prune(&self, before: Instant) -> Written<()> {
        let span = self.span.clone();
        self.run(move |session, owner| {
            retention::prune(session, owner, before)?;
            span.read(session)
        })
    }

    fn saw_schema(&self, page: &PageId, schema: Option<Arc<Value>>) -> Written<()> {
        let page = page.clone();
        self.run_soon(move |session, owner| {
            let page = page_number(session, owner, &page)?;
            let schema = schema.map(|schema| schema.to_string());
            let set = "UPDATE pages SET schema = ?2 WHERE id = ?1 AND schema IS DISTINCT FROM ?2";
            session.execute(set, params![page, schema]).map(drop)
        })
    }

    fn note_problem(&self, page: &PageId, problem: Option<String>, at: Instant) -> Written<()> {
        let problem = problem.map(redacted);
        let page = page.clone();
        self.run_soon(move |session, owner| {
            let page = page_number(session, owner, &page)?;
            // It remains one problem as long as there is any, even if its message changes.
            let note = "UPDATE pages SET problem = ?2, problem_since =
                CASE WHEN CAST(?2 AS TEXT) IS NULL THEN NULL ELSE coalesce(problem_since, ?3) END WHERE id = ?1";
            session.execute(note, params![page, problem, at]).map(drop)
        })
    }
}

/// Returns the number of a page in the store, creating one if needed.
fn page_number(session: &mut dyn Session, owner: i64, page: &PageId) -> Result<i64, StoreError> {
    let environment = page.environment.as_str();
    let key = params![owner, page.agent, environment];
    let known = "SELECT id FROM pages WHERE owner = ?1 AND agent = ?2 AND environment = ?3";
    match session.first(known, key)? {
        Some(number) => Ok(number),
        None => {
            let add = "INSERT INTO pages (owner, agent, environment) VALUES (?1, ?2, ?3) RETURNING id";
            session.insert(add, key)
        }
    }
}

fn set_behind(session: &mut dyn Session, page: i64, behind: Option<Behind>) -> Result<(), StoreError> {
    let set = "INSERT INTO behind (page, as_of, since) VALUES (?1, ?2, ?3)
        ON CONFLICT (page) DO UPDATE SET as_of = excluded.as_of, since = excluded.since";
    match behind {
        Some(Behind { as_of, since }) => session.execute(set, params![page, as_of, since]),
        None => session.execute("DELETE FROM behind WHERE page = ?1", params![page]),
    }
    .map(drop)
}

/// SQL for the values of a PATCH.
const CHANGE_TEXTS: &str = "SELECT before AS value FROM changes WHERE write = ?2
    UNION SELECT after FROM changes WHERE write = ?2";

/// SQL for the values of a drift row.
const DRIFT_TEXTS: &str = "SELECT base AS value FROM drifts WHERE id = ?2
    UNION SELECT found FROM drifts WHERE id = ?2 UNION SELECT desired FROM drifts WHERE id = ?2";

fn end_drifts(
    session: &mut dyn Session,
    page: i64,
    kept: &BTreeSet<i64>,
    at: Instant,
) -> Result<(), StoreError> {
    let lasting = "SELECT id FROM drifts WHERE page = ?1 AND ended_at IS NULL";
    let lasting: Vec<i64> = session.rows(lasting, params![page], |row| row.get(0))?;
    for id in lasting.iter().filter(|id| !kept.contains(id)) {
        session.execute("UPDATE drifts SET ended_at = ?2 WHERE id = ?1", params![id, at])?;
        texts::keep(session, DRIFT_TEXTS, *id, at)?;
    }
    Ok(())
}

fn set_baselines(
    session: &mut dyn Session,
    page: i64,
    values: &[(Variable, Value)],
) -> Result<(), StoreError> {
    let set = "INSERT INTO bases (page, variable, value) VALUES (?1, ?2, ?3)
        ON CONFLICT (page, variable) DO UPDATE SET value = excluded.value";
    for (variable, value) in values {
        session.execute(set, params![page, variable.to_string(), value.to_string()])?;
    }
    Ok(())
}
