//! A store in memory, for tests. Its content is lost when the process ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::limits::listener::WORK_TIMEOUT;
use crate::model::{Change, Instant, PageId, Variable};
use crate::pages::Override;
use crate::plan::{Answer, Drift};
use crate::pulse::Pulse;

use super::{
    Acceptance, Accepted, Behind, Intent, OpenIntent, Outcome, Owner, PageState, Remembered, Store, Written,
};

/// A store in memory, for one owner. Clones share one state.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    owner: Owner,
    state: Arc<Mutex<State>>,
}

/// The rows of all owners, and the numbers that all share.
#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Owner, Rows>,
    writes: Vec<Write>,
    /// The number of the last override.
    override_number: i64,
}

/// The rows of one owner.
#[derive(Debug, Default)]
struct Rows {
    pages: BTreeMap<PageId, PageState>,
    /// The lasting drift of each page, with its answer.
    drifts: BTreeMap<PageId, Vec<Drift>>,
    overrides: Vec<Override>,
    approved: BTreeSet<String>,
    facts: BTreeMap<&'static str, String>,
    /// The acceptances, by number.
    accepted: BTreeMap<i64, Accepted>,
    behind: BTreeMap<PageId, Behind>,
    kept: BTreeMap<PageId, i64>,
}

/// A PATCH; its number is its place, counted from 1.
#[derive(Debug)]
struct Write {
    owner: Owner,
    page: PageId,
    changes: Vec<Change>,
    outcome: Option<Outcome>,
    /// The time of the outcome, else of the intent.
    at: Instant,
}

impl Write {
    fn is_open(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Unknown(_)))
    }
}

impl Memory {
    /// Creates an empty store.
    pub(super) fn new(owner: Owner) -> Self {
        Self { owner, state: Arc::default() }
    }

    /// Runs a job at once on the rows of all owners.
    fn on_all<T: Send + 'static>(&self, job: impl FnOnce(&mut State) -> T) -> Written<T> {
        let value = job(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(std::future::ready(Ok(value)))
    }

    /// Runs a job at once on the rows of the owner.
    fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut Rows) -> T) -> Written<T> {
        self.on_all(|state| job(state.rows.entry(self.owner.clone()).or_default()))
    }

    fn on_page(&self, page: &PageId, job: impl FnOnce(&mut PageState)) -> Written<()> {
        self.run(|rows| job(rows.page(page)))
    }
}

impl Store for Memory {
    fn pulse(&self) -> Pulse {
        Pulse::new("the store", WORK_TIMEOUT)
    }

    fn history_rows(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).writes.len() as u64
    }

    fn owned_by(&self, owner: &Owner) -> Written<Arc<dyn Store>> {
        let store: Arc<dyn Store> = Arc::new(Self { owner: owner.clone(), state: self.state.clone() });
        Box::pin(std::future::ready(Ok(store)))
    }

    fn pages(&self) -> Written<BTreeMap<PageId, PageState>> {
        self.on_all(|State { rows, writes, .. }| {
            let rows = rows.entry(self.owner.clone()).or_default();
            let mut pages = rows.pages.clone();
            for (page, known) in &mut pages {
                known.is_adrift = rows.drifts.get(page).is_some_and(|drifts| !drifts.is_empty());
                let is_open =
                    |write: &Write| write.owner == self.owner && write.page == *page && write.is_open();
                let open = (1..).zip(&*writes).filter(|(_, write)| is_open(write));
                known.open = open.last().map(|(id, write)| OpenIntent { id, changes: write.changes.clone() });
            }
            pages
        })
    }

    fn remembered(&self) -> Written<Remembered> {
        self.run(|rows| {
            let (behind, kept) = (rows.behind.clone(), rows.kept.clone());
            let used: BTreeSet<i64> =
                behind.values().filter_map(|behind| behind.as_of).chain(kept.values().copied()).collect();
            let older = used.into_iter().map(|number| (number, rows.as_of(number))).collect();
            let number = rows.accepted.keys().next_back().copied().unwrap_or(0);
            Remembered { number, newest: rows.as_of(i64::MAX), older, behind, kept }
        })
    }

    fn overrides(&self, now: Instant) -> Written<Vec<Override>> {
        self.run(|rows| rows.overrides.iter().filter(|set| !set.is_over(now)).cloned().collect())
    }

    fn set_override(&self, set: Override) -> Written<Override> {
        self.on_all(|state| {
            state.override_number += 1;
            let set = Override { id: state.override_number, ..set };
            let rows = state.rows.entry(self.owner.clone()).or_default();
            set.pages.keys().for_each(|page| _ = rows.page(page));
            rows.overrides.push(set.clone());
            set
        })
    }

    fn release_override(&self, id: i64, _who: &str, _at: Instant) -> Written<bool> {
        self.run(|rows| {
            let before = rows.overrides.len();
            rows.overrides.retain(|set| set.id != id);
            rows.overrides.len() < before
        })
    }

    fn approvals(&self) -> Written<BTreeSet<String>> {
        self.run(|rows| rows.approved.clone())
    }

    fn approve(&self, revision: &str, _who: &str, _at: Instant) -> Written<()> {
        self.run(|rows| {
            rows.approved.insert(revision.to_owned());
        })
    }

    fn use_approval(&self, revision: &str, _at: Instant) -> Written<()> {
        self.run(|rows| {
            rows.approved.remove(revision);
        })
    }

    fn last_known(&self) -> Written<Option<Instant>> {
        self.on_all(|state| state.writes.iter().map(|write| write.at).max())
    }

    fn fact(&self, name: &'static str) -> Written<Option<String>> {
        self.run(|rows| rows.facts.get(name).cloned())
    }

    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()> {
        self.run(|rows| {
            match value {
                Some(value) => rows.facts.insert(name, value),
                None => rows.facts.remove(name),
            };
        })
    }

    fn note_drift(&self, page: &PageId, drift: Vec<Drift>, _by: Option<String>, _at: Instant) -> Written<()> {
        self.run(|rows| {
            rows.page(page);
            let lasting = drift.into_iter().filter(|drift| drift.answer != Answer::Restored).collect();
            rows.drifts.insert(page.clone(), lasting);
        })
    }

    fn accept(&self, acceptance: Acceptance, _at: Instant) -> Written<()> {
        self.run(|rows| {
            let Acceptance { number, settings, inputs, paths, behind, kept } = acceptance;
            let mut accepted = rows.as_of(i64::MAX);
            accepted.settings = Some(settings);
            accepted.inputs.extend(inputs.into_iter().map(|(path, content)| (path, content.to_vec())));
            accepted.inputs.retain(|path, _| paths.contains(path));
            rows.accepted.insert(number, accepted);
            behind.keys().chain(kept.keys()).for_each(|page| _ = rows.page(page));
            (rows.behind, rows.kept) = (behind, kept);
        })
    }

    fn set_behind(&self, page: &PageId, behind: Option<Behind>) -> Written<()> {
        self.run(|rows| {
            rows.page(page);
            match behind {
                Some(behind) => rows.behind.insert(page.clone(), behind),
                None => rows.behind.remove(page),
            };
        })
    }

    fn intend(&self, intent: Intent) -> Written<i64> {
        self.on_all(|state| {
            let again = intent.again.and_then(|id| Some((id, state.write(id)?)));
            if let Some((id, write)) = again
                && matches!(write.outcome, Some(Outcome::Failed(_)))
            {
                (write.outcome, write.at) = (None, intent.at);
                return id;
            }
            state.rows.entry(self.owner.clone()).or_default().page(&intent.page);
            let changes = intent.changes.into_iter().map(|change| Change { until: None, ..change }).collect();
            let (owner, page) = (self.owner.clone(), intent.page);
            state.writes.push(Write { owner, page, changes, outcome: None, at: intent.at });
            i64::try_from(state.writes.len()).unwrap_or(i64::MAX)
        })
    }

    fn settle(&self, id: i64, outcome: Outcome, _correlation_id: Option<String>, at: Instant) -> Written<()> {
        self.on_all(|state| {
            let Some(write) = state.write(id) else { return };
            (write.outcome, write.at) = (Some(outcome.clone()), at);
            let (owner, page) = (write.owner.clone(), write.page.clone());
            if let Outcome::Applied(values) = outcome {
                state.rows.entry(owner).or_default().page(&page).baseline.extend(values);
            }
        })
    }

    fn adopt(&self, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()> {
        self.on_page(page, |state| state.baseline.extend(values))
    }

    /// Keeps everything: a test is short.
    fn prune(&self, _before: Instant) -> Written<()> {
        self.run(|_| ())
    }

    fn saw_schema(&self, page: &PageId, schema: Option<Arc<Value>>) -> Written<()> {
        self.on_page(page, |state| state.schema = schema)
    }

    fn note_problem(&self, page: &PageId, problem: Option<String>, at: Instant) -> Written<()> {
        self.on_page(page, |state| {
            let since = state.problem.as_ref().map_or(at, |(_, since)| *since);
            state.problem = problem.map(|problem| (problem, since));
        })
    }
}

impl State {
    fn write(&mut self, id: i64) -> Option<&mut Write> {
        self.writes.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }
}

impl Rows {
    /// Returns the state of a page, adding it if it is new.
    fn page(&mut self, page: &PageId) -> &mut PageState {
        self.pages.entry(page.clone()).or_default()
    }

    /// Returns the settings and inputs that were active after an acceptance and before the next.
    fn as_of(&self, number: i64) -> Accepted {
        let last = self.accepted.range(..=number).next_back();
        last.map(|(_, accepted)| accepted.clone()).unwrap_or_default()
    }
}
