//! A store in memory, for tests. It forgets everything with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::model::{Change, Instant, PageId, Variable};
use crate::pages::Override;
use crate::plan::{Answer, Drift};
use crate::pulse::{self, Pulse};

use super::{
    Acceptance, Accepted, Behind, Intent, OpenIntent, Outcome, PageState, Remembered, Store, Written,
};

/// A store in memory. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    pages: BTreeMap<(String, PageId), PageState>,
    /// The lasting drift of each page, with its answer.
    drifts: BTreeMap<(String, PageId), Vec<Drift>>,
    overrides: Vec<(String, Override)>,
    /// The number of the last override.
    override_number: i64,
    approved: BTreeSet<String>,
    facts: BTreeMap<&'static str, String>,
    writes: Vec<Write>,
    /// The acceptances, by number.
    accepted: BTreeMap<i64, Accepted>,
    behind: BTreeMap<(String, PageId), Behind>,
    kept: BTreeMap<(String, PageId), i64>,
    number: i64,
}

/// A PATCH; its number is its place, counted from 1.
#[derive(Debug)]
struct Write {
    page: (String, PageId),
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a job at once.
    fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut State) -> T) -> Written<T> {
        let value = job(&mut self.state());
        Box::pin(std::future::ready(Ok(value)))
    }

    fn on_page(&self, api: &str, page: &PageId, job: impl FnOnce(&mut PageState)) -> Written<()> {
        self.run(|state| job(state.pages.entry(key(api, page)).or_default()))
    }
}

fn key(api: &str, page: &PageId) -> (String, PageId) {
    (api.to_owned(), page.clone())
}

/// Returns the entries of one API.
fn of_api<T: Clone>(all: &BTreeMap<(String, PageId), T>, api: &str) -> BTreeMap<PageId, T> {
    let ours = all.iter().filter(|((known, _), _)| known == api);
    ours.map(|((_, page), value)| (page.clone(), value.clone())).collect()
}

impl Store for Memory {
    fn pulse(&self) -> Pulse {
        Pulse::new("the store", pulse::PATIENCE)
    }

    fn pages(&self, api: &str) -> Written<BTreeMap<PageId, PageState>> {
        self.run(|state| {
            let mut pages = of_api(&state.pages, api);
            for (page, known) in &mut pages {
                let key = key(api, page);
                known.is_adrift = state.drifts.get(&key).is_some_and(|drifts| !drifts.is_empty());
                let open = (1..).zip(&state.writes).filter(|(_, write)| write.page == key && write.is_open());
                known.open = open.last().map(|(id, write)| OpenIntent { id, changes: write.changes.clone() });
            }
            pages
        })
    }

    fn remembered(&self, api: &str) -> Written<Remembered> {
        self.run(|state| {
            let (behind, kept) = (of_api(&state.behind, api), of_api(&state.kept, api));
            let used: BTreeSet<i64> =
                behind.values().filter_map(|behind| behind.as_of).chain(kept.values().copied()).collect();
            let older = used.into_iter().map(|number| (number, state.as_of(number))).collect();
            Remembered { number: state.number, newest: state.as_of(i64::MAX), older, behind, kept }
        })
    }

    fn overrides(&self, api: &str, now: Instant) -> Written<Vec<Override>> {
        self.run(|state| {
            let ours = state.overrides.iter().filter(|(known, set)| known == api && !set.is_over(now));
            ours.map(|(_, set)| set.clone()).collect()
        })
    }

    fn set_override(&self, api: &str, set: Override) -> Written<Override> {
        self.run(|state| {
            state.override_number += 1;
            let set = Override { id: state.override_number, ..set };
            set.pages.keys().for_each(|page| state.know(api, page));
            state.overrides.push((api.to_owned(), set.clone()));
            set
        })
    }

    fn release_override(&self, id: i64, _who: &str, _at: Instant) -> Written<bool> {
        self.run(|state| {
            let before = state.overrides.len();
            state.overrides.retain(|(_, set)| set.id != id);
            state.overrides.len() < before
        })
    }

    fn approvals(&self) -> Written<BTreeSet<String>> {
        self.run(|state| state.approved.clone())
    }

    fn approve(&self, revision: &str, _who: &str, _at: Instant) -> Written<()> {
        self.run(|state| {
            state.approved.insert(revision.to_owned());
        })
    }

    fn use_approval(&self, revision: &str, _at: Instant) -> Written<()> {
        self.run(|state| {
            state.approved.remove(revision);
        })
    }

    fn last_known(&self) -> Written<Option<Instant>> {
        self.run(|state| state.writes.iter().map(|write| write.at).max())
    }

    fn fact(&self, name: &'static str) -> Written<Option<String>> {
        self.run(|state| state.facts.get(name).cloned())
    }

    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()> {
        self.run(|state| {
            match value {
                Some(value) => state.facts.insert(name, value),
                None => state.facts.remove(name),
            };
        })
    }

    fn note_drift(
        &self,
        api: &str,
        page: &PageId,
        drift: Vec<Drift>,
        _by: Option<String>,
        _at: Instant,
    ) -> Written<()> {
        self.run(|state| {
            state.know(api, page);
            let lasting = drift.into_iter().filter(|drift| drift.answer != Answer::Restored).collect();
            state.drifts.insert(key(api, page), lasting);
        })
    }

    fn accept(&self, api: &str, acceptance: Acceptance, _at: Instant) -> Written<()> {
        self.run(|state| {
            let Acceptance { number, settings, inputs, paths, behind, kept } = acceptance;
            let mut accepted = state.as_of(i64::MAX);
            accepted.settings = Some(settings);
            accepted.inputs.extend(inputs);
            accepted.inputs.retain(|path, _| paths.contains(path));
            state.accepted.insert(number, accepted);
            state.number = number;
            behind.keys().chain(kept.keys()).for_each(|page| state.know(api, page));
            state.behind = behind.into_iter().map(|(page, behind)| (key(api, &page), behind)).collect();
            state.kept = kept.into_iter().map(|(page, as_of)| (key(api, &page), as_of)).collect();
        })
    }

    fn set_behind(&self, api: &str, page: &PageId, behind: Option<Behind>) -> Written<()> {
        self.run(|state| {
            state.know(api, page);
            match behind {
                Some(behind) => state.behind.insert(key(api, page), behind),
                None => state.behind.remove(&key(api, page)),
            };
        })
    }

    fn intend(&self, intent: Intent) -> Written<i64> {
        self.run(|state| {
            let again = intent.again.and_then(|id| Some((id, state.write(id)?)));
            if let Some((id, write)) = again
                && matches!(write.outcome, Some(Outcome::Failed(_)))
            {
                (write.outcome, write.at) = (None, intent.at);
                return id;
            }
            let page = key(&intent.api, &intent.page);
            state.pages.entry(page.clone()).or_default();
            let changes = intent.changes.into_iter().map(|change| Change { until: None, ..change }).collect();
            state.writes.push(Write { page, changes, outcome: None, at: intent.at });
            i64::try_from(state.writes.len()).unwrap_or(i64::MAX)
        })
    }

    fn settle(&self, id: i64, outcome: Outcome, _correlation_id: Option<String>, at: Instant) -> Written<()> {
        self.run(|state| {
            let Some(write) = state.write(id) else { return };
            (write.outcome, write.at) = (Some(outcome.clone()), at);
            let page = write.page.clone();
            if let Outcome::Applied(values) = outcome {
                state.pages.entry(page).or_default().baseline.extend(values);
            }
        })
    }

    fn adopt(&self, api: &str, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()> {
        self.on_page(api, page, |state| state.baseline.extend(values))
    }

    /// Keeps everything: a test is short.
    fn prune(&self, _before: Instant) -> Written<()> {
        self.run(|_| ())
    }

    fn saw_schema(&self, api: &str, page: &PageId, schema: Option<Arc<Value>>) -> Written<()> {
        self.on_page(api, page, |state| state.schema = schema)
    }

    fn note_problem(&self, api: &str, page: &PageId, problem: Option<String>, at: Instant) -> Written<()> {
        self.on_page(api, page, |state| {
            let since = state.problem.as_ref().map_or(at, |(_, since)| *since);
            state.problem = problem.map(|problem| (problem, since));
        })
    }
}

impl State {
    /// Adds a page if it is new.
    fn know(&mut self, api: &str, page: &PageId) {
        self.pages.entry(key(api, page)).or_default();
    }

    /// Returns the settings and inputs that were active after an acceptance and before the next.
    fn as_of(&self, number: i64) -> Accepted {
        let last = self.accepted.range(..=number).next_back();
        last.map(|(_, accepted)| accepted.clone()).unwrap_or_default()
    }

    fn write(&mut self, id: i64) -> Option<&mut Write> {
        self.writes.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }
}
