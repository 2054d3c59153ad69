//! What comes to the driver: inputs, a key, answers, and what follows from each.

use std::collections::BTreeMap;

use crate::agents_api::{ApiError, ApiKey, Meaning, ReadPages, WritePages};
use crate::desired::World;
use crate::model::{Environment, Instant, PageId, RemotePage, shorten};
use crate::reconcile::page_state::PageState;
use crate::reconcile::{Acted, backoff};
use crate::sources::{FileProblems, Revision};
use crate::store::StoreError;

use super::{Agent, Done, Driver, Duration, Key, Standing, after};

impl<R: ReadPages + WritePages> Driver<R> {
    pub(super) fn take_inputs(&mut self, revision: Revision) {
        self.revision = revision;
        let now = self.actor.clock.now();
        let world = World::new(&self.blueprint, &self.revision.inputs, now, Some(&self.world));
        self.take_world(world, now);
    }

    /// Puts a new world in force. Every page is decided on anew, which costs no request when nothing changed.
    pub(super) fn take_world(&mut self, world: World, now: Instant) {
        for page in &world.released {
            tracing::warn!(%page, "no longer defined: nothing is sent to it any more");
            if let Some(state) = self.pages.get_mut(page) {
                state.due = None;
                state.standing = Standing::Unseen;
            }
        }
        for managed in &world.pages {
            let id = &managed.page.id;
            let state = self.pages.entry(id.clone()).or_insert_with(|| PageState::new(Default::default()));
            let agent = self.agents.entry(id.agent.clone());
            let agent = agent.or_insert(Agent { due: now, attempts: 0, in_flight: false });
            match state.known.observed {
                // One that failed keeps its distance; one that is stuck is decided on anew.
                Some(_) if state.attempts > 0 && state.due.is_some() => {}
                Some(_) => state.due = Some(now),
                // A page that was never seen is seen with its agent's list.
                None if state.standing == Standing::Unseen && !agent.in_flight => agent.due = now,
                None => {}
            }
        }
        let defined = |agent: &String| world.pages.iter().any(|managed| managed.page.id.agent == *agent);
        self.agents.retain(|agent, _| defined(agent));
        self.world = world;
        self.tell_problems();
        self.keep_inputs(now);
    }

    /// Logs each problem once when it comes up, and when it is gone.
    fn tell_problems(&mut self) {
        let files = self.revision.problems.values().flatten();
        let mut now: Vec<String> = files.chain(self.world.problems()).map(ToString::to_string).collect();
        now.sort();
        now.dedup();
        for problem in now.iter().filter(|problem| !self.told.contains(problem)) {
            tracing::error!(%problem, "bad input: what was last good stays in force");
        }
        for problem in self.told.iter().filter(|problem| !now.contains(problem)) {
            tracing::info!(%problem, "this is mended");
        }
        self.told = now;
    }

    /// Inputs without any problem are what a restart with bad files goes back to.
    fn keep_inputs(&mut self, now: Instant) {
        if self.told.is_empty() && self.revision.problems == FileProblems::default() {
            let contents = self.revision.contents.iter();
            let contents = contents.map(|(path, bytes)| (path.clone(), bytes.to_vec())).collect();
            let store = self.actor.store.clone();
            self.notes.push(Box::pin(async move { store.keep_inputs(contents, now).await }));
        }
    }

    pub(super) fn take_key(&mut self, key: ApiKey) {
        tracing::info!("the API key was read again");
        (self.set_key)(key);
        self.key = Key::Good;
        let now = self.actor.clock.now();
        for agent in self.agents.values_mut() {
            agent.due = now;
            agent.attempts = 0;
        }
        for state in self.pages.values_mut() {
            state.refused = None;
        }
    }

    pub(super) fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.actor.clock.now();
        match done {
            Done::Listed(agent, answer) => self.take_list(&agent, answer, now),
            Done::Looked(page, answer) => self.take_look(&page, answer, now),
            Done::Acted(page, acted) => self.take_act(&page, acted?, now),
        }
        Ok(())
    }

    fn take_list(
        &mut self,
        agent: &str,
        answer: Result<Vec<(Environment, RemotePage)>, ApiError>,
        now: Instant,
    ) {
        let next = after(now, backoff::jittered(self.resync, &mut self.random));
        let Some(known) = self.agents.get_mut(agent) else { return };
        known.in_flight = false;
        match answer {
            Ok(pages) => {
                known.attempts = 0;
                known.due = next;
                self.key_works();
                let mut listed: BTreeMap<Environment, RemotePage> = pages.into_iter().collect();
                for id in self.pages_of(agent) {
                    match listed.remove(&id.environment) {
                        Some(page) => self.see(&id, page, now),
                        // Not in the list: the page itself tells why.
                        None => self.ask_for_look(&id, now),
                    }
                }
            }
            // An unknown agent answers 403 here and 404 for its page; only the page tells which it is.
            Err(error) if error.status == Some(403) => {
                known.due = next;
                known.attempts = 0;
                for id in self.pages_of(agent) {
                    self.ask_for_look(&id, now);
                }
            }
            Err(error) => {
                known.attempts += 1;
                known.due = match error.meaning {
                    Meaning::Refused | Meaning::KeyRefused => next,
                    _ => after(now, backoff::wait(known.attempts, &mut self.random)),
                };
                let attempts = known.attempts;
                for id in self.pages_of(agent) {
                    self.fail(&id, &error, attempts);
                }
                self.judge_key(&error, now);
            }
        }
    }

    fn take_look(&mut self, id: &PageId, answer: Result<RemotePage, ApiError>, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.in_flight = false;
        }
        match answer {
            Ok(page) => {
                self.key_works();
                self.see(id, page, now);
            }
            Err(error) => {
                let stuck = matches!(error.meaning, Meaning::Refused | Meaning::KeyRefused);
                // An unknown agent is unknown for all its pages.
                let affected =
                    if error.status == Some(404) { self.pages_of(&id.agent) } else { vec![id.clone()] };
                let unseen = affected.iter().filter(|other| {
                    *other == id || self.pages.get(other).is_some_and(|state| state.known.observed.is_none())
                });
                for other in unseen.cloned().collect::<Vec<_>>() {
                    self.try_later(&other, &error, stuck, now);
                }
                self.judge_key(&error, now);
            }
        }
    }

    fn take_act(&mut self, id: &PageId, acted: Acted, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.in_flight = false;
        match acted {
            Acted::Applied { page, changes, correlation_id } => {
                state.see(page);
                state.attempts = 0;
                state.refused = None;
                state.due = Some(now);
                *self.applied.entry(id.clone()).or_default() += changes.len();
                for change in changes {
                    tracing::info!(
                        page = %id,
                        variable = %change.variable,
                        from = change.from.as_ref().map(|value| shorten(value, 200)),
                        to = shorten(&change.to, 200),
                        because = change.because,
                        until = change.until.map(|until| until.to_rfc3339()),
                        correlation_id,
                        "applied"
                    );
                    state.known.base.insert(change.variable, change.to);
                }
                self.key_works();
            }
            Acted::Unknown(open, error) => {
                state.known.open = Some(open);
                state.refused = None;
                state.forget_page();
                self.try_later(id, &error, false, now);
            }
            Acted::NotTaken { page, message } => {
                state.see(page);
                state.refused = None;
                let error = ApiError {
                    meaning: Meaning::TryAgain,
                    status: None,
                    code: None,
                    message,
                    correlation_id: None,
                    retry_after: None,
                };
                self.try_later(id, &error, false, now);
            }
            Acted::Failed(error) => {
                let stuck = matches!(error.meaning, Meaning::Refused | Meaning::KeyRefused);
                if !stuck {
                    state.refused = None;
                }
                self.try_later(id, &error, stuck, now);
                self.judge_key(&error, now);
            }
        }
    }

    fn see(&mut self, id: &PageId, page: RemotePage, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        if state.see(page)
            && let Some(observed) = &state.known.observed
        {
            let (store, api, id, page) =
                (self.actor.store.clone(), self.actor.api_url.clone(), id.clone(), observed.page.clone());
            self.notes.push(Box::pin(async move { store.saw(&api, &id, &page).await }));
        }
        if !state.in_flight {
            state.due = Some(now);
        }
    }

    fn ask_for_look(&mut self, id: &PageId, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.known.observed = None;
            state.due = Some(now);
        }
    }

    /// A page's look or PATCH failed: again after a while, or (when `stuck`) only when something changes.
    fn try_later(&mut self, id: &PageId, error: &ApiError, stuck: bool, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.attempts += 1;
        state.due = match stuck {
            // What was refused is remembered, so that deciding again sends nothing until it is another.
            true => state.known.observed.as_ref().map(|_| now),
            false => Some(after(now, backoff::wait(state.attempts, &mut self.random))),
        };
        let attempts = state.attempts;
        self.fail(id, error, attempts);
    }

    fn fail(&mut self, id: &PageId, error: &ApiError, attempts: u32) {
        let stuck = matches!(error.meaning, Meaning::Refused | Meaning::KeyRefused);
        match stuck {
            true => tracing::error!(page = %id, %error, "refused; waits until something about it changes"),
            false => tracing::warn!(page = %id, %error, attempts, "failed; will be tried again"),
        }
        let text = error.to_string();
        self.set_standing(id, if stuck { Standing::Stuck(text) } else { Standing::Retrying(text) });
    }

    fn key_works(&mut self) {
        if let Key::Stopped { .. } = self.key {
            tracing::info!("the API key is taken again");
            self.key = Key::Good;
            let now = self.actor.clock.now();
            for state in self.pages.values_mut().filter(|state| state.known.observed.is_some()) {
                state.due = Some(now);
                state.attempts = 0;
                state.refused = None;
            }
        }
    }

    fn judge_key(&mut self, error: &ApiError, now: Instant) {
        match error.meaning {
            Meaning::Slower => {
                let pause = error.retry_after.unwrap_or(Duration::from_secs(5));
                let until = after(now, pause + backoff::wait(1, &mut self.random));
                if !matches!(self.key, Key::Paused { until: known } if known >= until) {
                    tracing::warn!(until = %until.to_rfc3339(), "the API asks for fewer requests; all pages wait");
                    self.key = Key::Paused { until };
                }
            }
            Meaning::KeyRefused => {
                let probe_at = after(now, backoff::jittered(self.resync, &mut self.random));
                tracing::error!(%error, "the API refuses the key: nothing is sent until it is replaced; one call is tried at each resync");
                self.key = Key::Stopped { probe_at, error: error.to_string() };
            }
            _ => {}
        }
    }

    pub(super) fn set_standing(&mut self, id: &PageId, standing: Standing) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.standing = standing;
        let problem = state.standing.problem().map(str::to_owned);
        if problem != state.noted {
            state.noted.clone_from(&problem);
            let (store, api, id, now) =
                (self.actor.store.clone(), self.actor.api_url.clone(), id.clone(), self.actor.clock.now());
            self.notes.push(Box::pin(async move { store.note_problem(&api, &id, problem, now).await }));
        }
    }
}
