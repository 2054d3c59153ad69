//! Handles input to the driver: new pages, inputs and keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::agents_api::{ApiKey, ReadPages, WritePages};
use crate::compile::World;
use crate::model::Instant;
use crate::reconcile::Actor;
use crate::reconcile::agents::Agent;
use crate::reconcile::revision::inputs_of;
use crate::store::Acceptance;

use super::contested;
use super::interface::Supervisor;
use super::{Driver, Standing, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    /// Makes a new world the current one and decides on every page again.
    ///
    /// This costs no request if nothing changed.
    pub(super) fn take_world(&mut self, mut world: World, now: Instant, urgency: Urgency) {
        // Drop overrides only so long after their end that no clock correction revives them. An
        // unconfirmed clock may be off by more.
        if self.clock.trust.is_confirmed() {
            let yesterday = now.checked_sub_signed(TimeDelta::days(1)).unwrap_or(now);
            self.overrides.drop_over(yesterday);
        }
        self.add_overridden_early(&mut world, now);
        if self.overrides.applied == self.overrides.set {
            world.override_like(&self.world, &self.overrides.set);
        } else {
            world.apply_override(&self.overrides.set);
            self.overrides.applied.clone_from(&self.overrides.set);
        }
        for page in &world.released {
            self.pages.schedule(page, None);
            if let Some(state) = self.pages.get_mut(page) {
                state.standing = Standing::Unseen;
            }
        }
        let mut agents = BTreeMap::new();
        for managed in &world.pages {
            let id = &managed.page.id;
            let known = self.agents.take(&id.agent);
            let agent: &mut Agent = agents.entry(id.agent.clone()).or_insert_with(|| {
                known.map_or_else(
                    || Agent { pages: Vec::new(), due: now, attempts: 0, in_flight: false },
                    |known| Agent { pages: Vec::new(), ..known },
                )
            });
            agent.pages.push(id.clone());
            let is_as_before = self.world.page(id).is_some_and(|before| {
                Arc::ptr_eq(&before.page, &managed.page) && before.problems == managed.problems
            });
            let state = self.pages.get_or_new(id);
            if is_as_before && state.known.observed.is_some() {
                continue;
            }
            state.schedule.set_urgency(urgency);
            match (&state.known.observed, &state.standing) {
                // The answer of its request makes it due.
                _ if state.requests.in_flight() => {}
                (Some(_), _) => self.pages.schedule(id, Some(now)),
                // It is not fetched with its agent's list, so new settings are a reason to retry.
                (None, Standing::Retrying(_) | Standing::Stuck(_)) if state.due().is_some() => {
                    self.pages.schedule(id, Some(now));
                }
                // A page never fetched is fetched with its agent's list.
                (None, Standing::Unseen) if !agent.in_flight => {
                    let first = now - state.known.head_start(&managed.page, now);
                    // Vary the order of equals: a run from cron may not reach all of them.
                    let jitter = TimeDelta::milliseconds(self.random.i64(0..1000));
                    agent.due = agent.due.min(first - jitter);
                }
                (None, _) => {}
            }
        }
        self.agents = agents.into();
        self.world = world;
        self.end_drift_of_gone_pages(now);
        self.contested.begin_anew();
    }

    /// Claims the current pages if that is due; pages that are no longer contested become due.
    pub(super) fn claim_pages(&mut self, supervisor: &dyn Supervisor, now: Instant) {
        if !self.contested.is_due(now) {
            return;
        }
        let again = self.actor.clock.after(contested::RETRY);
        for page in self.contested.claimed(supervisor.claim(&self.world), again) {
            if self.world.page(&page).is_some() {
                tracing::info!(%page, "no other daemon owns this page any more");
                self.pages.schedule(&page, Some(now));
            }
        }
    }

    /// Ends the drift of pages that are no longer defined: they are not compared any more.
    fn end_drift_of_gone_pages(&mut self, now: Instant) {
        let Actor { store, .. } = &self.actor;
        for (id, state) in self.pages.all_mut() {
            if state.drift.may_be_adrift() && self.world.page(id).is_none() {
                state.drift.end();
                self.notes.push(store.note_drift(id, Vec::new(), None, now));
            }
        }
    }

    /// Logs each problem once when it appears and once when it is gone.
    pub(super) fn report_problems(&mut self, world: &World) {
        let files = self.revisions.newest.revision.problems.values().flatten();
        let all = files.chain(world.problems());
        let mut now: Vec<(bool, String)> =
            all.map(|problem| (problem.is_error(), problem.to_string())).collect();
        now.sort();
        now.dedup();
        for (is_error, problem) in
            now.iter().filter(|problem| self.report.problems.binary_search(problem).is_err())
        {
            match is_error {
                true => tracing::error!(%problem, "invalid input: the last valid input stays active"),
                false => tracing::warn!(%problem, "suspicious input"),
            }
        }
        for (_, problem) in self.report.problems.iter().filter(|problem| now.binary_search(problem).is_err())
        {
            tracing::info!(%problem, "problem resolved");
        }
        self.report.problems = now;
    }

    /// Stores the accepted state that a restart returns to.
    ///
    /// It includes the settings and all inputs, valid or not, and the pages kept from older
    /// revisions.
    pub(super) fn keep_accepted(&mut self, now: Instant) {
        let active = &self.revisions.active;
        let inputs = inputs_of(&self.revisions.newest.revision, &self.revisions.newest.blueprint.zones);
        let paths = self.revisions.newest.revision.paths.iter().chain(inputs.keys()).cloned().collect();
        let acceptance = Acceptance {
            number: active.number,
            settings: self.revisions.newest.written.clone(),
            inputs,
            paths,
            behind: active.promotions.behind().clone(),
            kept: active.kept.clone(),
        };
        self.notes.push(self.actor.store.accept(acceptance, now));
    }

    pub(super) fn take_key(&mut self, key: ApiKey) {
        tracing::info!("API key reloaded");
        self.key.replace(key);
        self.requests.gate.open();
        let now = self.actor.clock.now();
        self.agents.change_all(|agent| (agent.due, agent.attempts) = (now, 0));
        for (_, state) in self.pages.all_mut() {
            state.refusals.forget();
            state.schedule.forget_failures();
        }
    }
}
