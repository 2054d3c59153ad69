//! Starts requests as far as there is room: fetches, PATCHes, lists, trials and probes.

use std::cmp::Reverse;

use crate::agents_api::{ReadPages, WritePages};
use crate::model::{Instant, PageId};
use crate::plan::Plan;
use crate::store::OpenIntent;

use super::requests::Answered;
use super::{Driver, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    /// Takes permission for a request, or records when to ask again.
    pub(super) fn pass(&mut self, count: u32, urgency: Urgency, is_retry: bool, now: Instant) -> bool {
        let up = self.actor.clock.uptime();
        let passes = self.requests.gate.take(up, count, urgency, is_retry);
        // If requests are in progress, the end of one may make room sooner.
        if !passes && let Some(wait) = self.requests.gate.wait(up, count, urgency, is_retry) {
            self.requests.room_at = Some(self.actor.clock.after(wait)).filter(|at| *at > now);
        }
        passes
    }

    pub(super) fn start_act(&mut self, plan: Plan) {
        let id = plan.page.clone();
        self.report.counts.patches += 1;
        if let Some(state) = self.pages.get_mut(&id) {
            // Taken back when the PATCH is answered.
            let attempt = state.attempt(&plan.changes);
            state.refusals.begin(attempt);
        }
        // A retry reuses the intent; otherwise each would add to the history.
        let failed = self.pages.get_mut(&id).and_then(|state| state.failed.take());
        let is_same = |open: &OpenIntent| {
            let pairs = open.changes.iter().zip(&plan.changes);
            let mut same = pairs.map(|(a, b)| a.variable == b.variable && a.from == b.from && a.to == b.to);
            open.changes.len() == plan.changes.len() && same.all(|same| same)
        };
        let again = failed.filter(is_same).map(|open| open.id);
        let actor = self.actor.clone();
        self.spawn(async move { Answered::Act(id, actor.act(plan, again).await) });
    }

    pub(super) fn start_fetch(&mut self, id: PageId) {
        let api = self.actor.api.clone();
        self.spawn(async move {
            let answer = api.page(&id).await;
            Answered::Fetch(id, answer)
        });
    }

    pub(super) fn begin(&mut self, id: &PageId) {
        self.pages.schedule(id, None);
        if let Some(state) = self.pages.get_mut(id) {
            state.requests.begin();
        }
    }

    /// Returns true if one more request may start.
    ///
    /// Otherwise the driver wakes as soon as there is room.
    pub(super) fn has_room(&mut self, starting: usize, now: Instant) -> bool {
        let up = self.actor.clock.uptime();
        let has_room = self.requests.has_room(starting, up);
        if !has_room {
            let room_at = self.requests.next_room(up).map(|wait| self.actor.clock.after(wait));
            self.requests.room_at = room_at.filter(|at| *at > now);
        }
        has_room
    }

    pub(super) fn start_lists(&mut self, now: Instant) {
        if self.requests.gate.stopped().is_some() {
            return self.try_key(now);
        }
        // Waiting pages come before lists.
        while self.requests.room_at.is_none() {
            if !self.has_room(0, now) {
                return;
            }
            let may_retry = self.requests.gate.retry_wait(self.actor.clock.uptime()).is_none();
            let Some(name) = self.agents.first_due(now, may_retry).map(str::to_owned) else { return };
            let Some(agent) = self.agents.get(&name) else { return };
            let is_retry = agent.attempts > 0;
            let is_unseen = |id: &PageId| {
                self.pages
                    .get(id)
                    .is_some_and(|state| state.known.observed.is_none() && !state.requests.in_flight())
            };
            let urgency = match agent.pages.iter().any(is_unseen) {
                true => Urgency::Source,
                false => Urgency::Resync,
            };
            if !self.pass(1, urgency, is_retry, now) {
                return;
            }
            self.start_list(name);
        }
    }

    /// Tries the API after a pause.
    ///
    /// Uses the page that last succeeded: a failing page proves nothing about the API.
    pub(super) fn start_trial(&mut self) {
        if !self.requests.gate.wants_trial() {
            return;
        }
        let up = self.actor.clock.uptime();
        let ours = self.world.pages.iter().map(|managed| &managed.page.id);
        let candidates =
            ours.filter_map(|id| Some((self.pages.get(id).filter(|state| !state.requests.in_flight())?, id)));
        // A page that fails the trial is not the first choice for the next one.
        let best = candidates
            .max_by_key(|(state, _)| (Reverse(state.schedule.attempts()), state.requests.succeeded_at()));
        if let Some(id) =
            best.filter(|(state, _)| state.requests.succeeded_at().is_some()).map(|(_, id)| id.clone())
        {
            if self.requests.gate.begin_trial(&id.to_string(), up) {
                self.begin(&id);
                self.start_fetch(id);
            }
            return;
        }
        let at_rest: Vec<&str> = self.agents.at_rest().collect();
        if let Some(name) = self.random.choice(at_rest).map(str::to_owned)
            && self.requests.gate.begin_trial(&name, up)
        {
            self.start_list(name);
        }
    }

    /// Repeats a failed list when it is due.
    pub(super) fn retry_list(&mut self, now: Instant) {
        let Some(name) = self.agents.first_retry(now).map(str::to_owned) else { return };
        if self.requests.gate.retry_wait(self.actor.clock.uptime()).is_none()
            && self.pass(1, Urgency::Source, true, now)
        {
            self.start_list(name);
        }
    }

    /// Probes a refused key with one list.
    ///
    /// The agent is chosen at random, because the key may be refused for one agent only.
    fn try_key(&mut self, now: Instant) {
        if !self.key.take_probe(now) {
            return;
        }
        let at_rest: Vec<&str> = self.agents.at_rest().collect();
        if let Some(name) = self.random.choice(at_rest).map(str::to_owned) {
            self.start_list(name);
        }
    }

    fn start_list(&mut self, name: String) {
        self.agents.begin(&name);
        let api = self.actor.api.clone();
        self.spawn(async move {
            let answer = api.list(&name).await;
            Answered::List(name, answer)
        });
    }

    fn spawn(&mut self, request: impl Future<Output = Answered> + Send + 'static) {
        self.report.counts.requests += 1;
        self.report.counts.last_request = Some(self.actor.clock.now());
        self.requests.start(self.actor.clock.uptime(), self.key.number(), request);
    }
}
