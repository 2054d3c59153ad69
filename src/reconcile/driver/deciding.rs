//! Decides on due pages.

use serde_json::Value;

use crate::agents_api::{ReadPages, WritePages};
use crate::limits::api::LONGEST_RETRY_WAIT;
use crate::model::{Instant, PageId, Problem, Variable, shorten, shorten_both};
use crate::plan::{Answer, Drift, IntentOutcome, Plan};
use crate::reconcile::clock_trust::TrustChange;
use crate::reconcile::gate::Pause;
use crate::reconcile::page_state::{LOOK_AHEAD, PageState, is_near};
use crate::reconcile::{Actor, Decision, backoff, decide};
use crate::store::{OpenIntent, Outcome};

use super::report::LOGGED;
use super::{Driver, Duration, Standing, Urgency};

enum Start {
    Nothing,
    Fetch(PageId),
    Act(Plan),
}

impl<R: ReadPages + WritePages> Driver<R> {
    /// Decides on every due page and starts requests as far as there is room.
    pub(super) fn pump(&mut self, now: Instant) {
        let news = self.clock.trust.update(&*self.actor.clock);
        self.report_clock(news, now);
        if let Some(before) = self.clock.went_back(now) {
            tracing::warn!(from = %before.to_rfc3339(), to = %now.to_rfc3339(), "the clock went back; every page is evaluated again");
            self.pages.hurry(now);
            self.waiting.begin_anew();
            self.contested.begin_anew();
            if self.overrides.begin(now) {
                self.take_world(self.world.clone(), now, Urgency::Override);
            }
            // The wait stays as long as before, whatever the clock shows.
            let (next, back) = (backoff::after(now, self.pace.resync), before - now);
            self.agents.change_all(|agent| {
                agent.due = if agent.attempts > 0 { now } else { (agent.due - back).min(next) };
            });
            self.key.probe_by(next);
        }
        if !self.world.is_fresh(now) {
            self.revise_if_trusted(now);
        }
        if self.sharing.has_waited(now) {
            self.revise_if_trusted(now);
        }
        let late = self.sharing.take_late(now);
        late.iter().for_each(|page| self.fetch_page_again(page, None, now));
        self.requests.gate.turn(self.actor.clock.uptime());
        self.requests.room_at = None;
        let mut starts = Vec::new();
        self.start_trial();
        if self.requests.take_lists_turn() && self.requests.gate.stopped().is_none() {
            self.retry_list(now);
        }
        loop {
            self.decide_due(&mut starts, now);
            if !self.roll_on(now) && !self.follow(now) {
                break;
            }
        }
        for start in starts {
            match start {
                Start::Nothing => {}
                Start::Fetch(id) => self.start_fetch(id),
                Start::Act(plan) => self.start_act(plan),
            }
        }
        self.start_lists(now);
        let are_due = self.pages.has_retries() || self.agents.has_retries(now);
        let wait = self.requests.gate.retry_wait(self.actor.clock.uptime()).filter(|_| are_due);
        self.requests.retry_at = wait.map(|wait| self.actor.clock.after(wait));
    }

    /// Decides on due pages while there is room for their requests.
    ///
    /// Retries wait for their share of the rate. First attempts do not wait for retries.
    fn decide_due(&mut self, starts: &mut Vec<Start>, now: Instant) {
        if !self.contested.is_claimed() {
            return;
        }
        self.pages.ripen(now);
        loop {
            let up = self.actor.clock.uptime();
            let may_retry = self.requests.gate.retry_wait(up).is_none();
            let Some(id) = self.pages.first(may_retry).cloned() else { return };
            if !self.has_room(starts.len(), now) {
                return;
            }
            let start = self.decide_page(&id, now);
            if matches!(start, Start::Nothing) {
                // A page waiting for its transition was fetched for it and keeps the PATCH's
                // permission.
                let unused = |state: &mut PageState| {
                    !state.awaits_transition(now) && state.schedule.take_reservation()
                };
                if self.pages.get_mut(&id).is_some_and(unused) {
                    self.requests.gate.give_back();
                }
                continue;
            }
            let Some(state) = self.pages.get_mut(&id) else { continue };
            let (urgency, is_retry) = (state.schedule.urgency(), state.schedule.is_retry());
            // A known page is fetched for its PATCH, so take permission for both.
            let is_fetch = matches!(start, Start::Fetch(_));
            let count = if is_fetch && state.known.observed.is_some() { 2 } else { 1 };
            let may = state.schedule.is_reserved() && !is_fetch && self.requests.gate.is_open();
            if !may && is_retry && !may_retry {
                // The reserved permission is for another request than the one needed now.
                if state.schedule.take_reservation() {
                    self.requests.gate.give_back();
                }
                self.pages.schedule(&id, Some(now));
                self.pages.ripen(now);
                continue;
            }
            if !may && !self.pass(count, urgency, is_retry, now) {
                return;
            }
            if let Some(state) = self.pages.get_mut(&id) {
                state.schedule.set_reserved(count == 2);
            }
            // Counts as in progress, although the request starts a little later.
            self.begin(&id);
            starts.push(start);
        }
    }

    fn decide_page(&mut self, id: &PageId, now: Instant) -> Start {
        let Some(managed) = self.world.page(id).cloned() else {
            // The page was removed from the settings or inputs.
            self.pages.schedule(id, None);
            return Start::Nothing;
        };
        if let Some(problem) = self.contested.problem(id) {
            self.withhold_page(id, &[problem], None, now);
            return Start::Nothing;
        }
        let (can_send, up) = (self.requests.gate.is_open(), self.actor.clock.uptime());
        loop {
            let Some(state) = self.pages.get_mut(id) else { return Start::Nothing };
            if state.needs_fetch(up) {
                return self.fetch_or_wait(id, can_send);
            }
            match decide(&managed.page, &mut state.known, now) {
                Decision::Fetch => return self.fetch_or_wait(id, can_send),
                Decision::Settle(open, found) => {
                    if !self.settle_open(id, open, found, now) {
                        return Start::Nothing;
                    }
                }
                Decision::Withhold { problems, until } => {
                    self.withhold_page(id, &problems, until, now);
                    return Start::Nothing;
                }
                Decision::Plan { plan, until } => {
                    let awaits_transition =
                        plan.changes.is_empty() && until.is_some_and(|until| is_near(until, now));
                    let in_time = awaits_transition && can_send && self.clock.is_trusted();
                    // In real time: with a fast clock a fetch stays fresh past the transition.
                    if in_time && !state.is_fresh(up + LOOK_AHEAD) && state.known.changes_alone() {
                        return Start::Fetch(id.clone());
                    }
                    let refusal =
                        self.revisions.active.promotions.refusal(id).map(|text| Problem::new(text.clone()));
                    let losing_rows = self
                        .revisions
                        .losing_rows
                        .get(id)
                        .map(|lost| Problem::new(format!("{lost}, so the page keeps its values")));
                    let stale: Vec<Problem> =
                        managed.problems.iter().cloned().chain(refusal).chain(losing_rows).collect();
                    return self.take_plan(plan, until, in_one_line(&stale), can_send.then_some(up));
                }
            }
        }
    }

    /// Records the outcome of a PATCH that was looked up on the page.
    ///
    /// Returns false if the page waits for a retry now.
    fn settle_open(&mut self, id: &PageId, open: OpenIntent, found: IntentOutcome, now: Instant) -> bool {
        let Some(state) = self.pages.get_mut(id) else { return false };
        state.known.open = None;
        tracing::info!(page = %id, ?found, "determined the outcome of the last PATCH");
        let outcome = match found {
            IntentOutcome::Applied => {
                let values = open.changes.iter();
                let values: Vec<_> =
                    values.map(|change| (change.variable.clone(), change.to.clone())).collect();
                state.known.baseline.extend(values.iter().cloned());
                state.unapplied = None;
                self.report.count_applied(id, values.len());
                Outcome::Applied(values)
            }
            _ if state.unapplied.is_some() => {
                let message = state.unapplied.take().unwrap_or_default();
                state.failed = Some(open.clone());
                let outcome = Outcome::Failed(message.clone());
                self.notes.push(self.actor.store.settle(open.id, outcome, None, now));
                self.take_unapplied(id, message, &open.changes, now);
                return false;
            }
            IntentOutcome::NotApplied => {
                state.failed = Some(open.clone());
                Outcome::Failed("not applied, as a later fetch showed".to_owned())
            }
            IntentOutcome::Overwritten => Outcome::Overwritten,
        };
        self.notes.push(self.actor.store.settle(open.id, outcome, None, now));
        true
    }

    /// Sends nothing to a page whose values are invalid or missing, and reports why.
    fn withhold_page(&mut self, id: &PageId, problems: &[Problem], until: Option<Instant>, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        let standing = Standing::Stuck(in_one_line(problems));
        if state.standing != standing {
            for problem in problems {
                tracing::error!(page = %id, %problem, "withheld: nothing is sent to this page");
            }
        }
        // Missing values may return at any moment, so do not wait for the next list.
        let has_gap = state.gaps.has_confirmed_gap();
        state.needs_fetch |= has_gap;
        let again = has_gap.then(|| backoff::after(now, LONGEST_RETRY_WAIT));
        self.set_standing(id, standing);
        self.pages.schedule(id, until.into_iter().chain(again).min());
    }

    fn fetch_or_wait(&mut self, id: &PageId, can_send: bool) -> Start {
        if can_send {
            return Start::Fetch(id.clone());
        }
        self.pages.schedule(id, self.gate_opens());
        Start::Nothing
    }

    /// Records and reports the findings of a plan, whatever is sent afterwards.
    fn take_findings(&mut self, plan: &Plan, now: Instant) {
        let id = &plan.page;
        let Some(state) = self.pages.get_mut(id) else { return };
        let Actor { store, .. } = &self.actor;
        if !plan.adopted.is_empty() {
            state.known.baseline.extend(plan.adopted.iter().cloned());
            self.notes.push(store.adopt(id, plan.adopted.clone()));
        }
        if let Some((new, by)) = state.drift.update(&plan.drift) {
            self.report.counts.drifted += report_drift(id, &new, by.as_deref());
            self.report.note_restored(id, &new, by.as_deref(), now);
            let drifted: Vec<Variable> = plan.drift.iter().map(|drift| drift.variable.clone()).collect();
            self.notes.push(store.note_drift(id, plan.drift.clone(), by, now));
            self.restart_waits(id, &drifted, now);
        }
    }

    /// Handles a plan: records findings, then sends, fetches or waits.
    ///
    /// `can_send` is the uptime of the decision if the gate is open. Freshness counts from then:
    /// deciding on thousands of variables takes time and would otherwise cause endless fetches.
    fn take_plan(
        &mut self,
        plan: Plan,
        until: Option<Instant>,
        stale: String,
        can_send: Option<Duration>,
    ) -> Start {
        let (id, now) = (plan.page.clone(), self.actor.clock.now());
        self.take_findings(&plan, now);
        let standing = match drift_standing(&plan) {
            Standing::Right if !stale.is_empty() => Standing::Stale(stale),
            standing => standing,
        };
        let Some(state) = self.pages.get_mut(&id) else { return Start::Nothing };
        if plan.changes.is_empty() {
            state.schedule.forget_failures();
            state.refusals.forget();
            state.schedule.set_urgency(Urgency::Transition);
            state.schedule.set_transition(until);
            let early = until.map(|until| until - LOOK_AHEAD).filter(|early| *early > now);
            let due =
                if self.is_daemon && early.is_some() && state.known.changes_alone() { early } else { until };
            self.set_standing(&id, standing);
            self.pages.schedule(&id, due);
            return Start::Nothing;
        }
        if let Some(distrust) = self.clock.trust.distrust() {
            let standing = Standing::Stuck(distrust.describe());
            self.set_standing(&id, standing);
            self.pages.schedule(&id, None);
            return Start::Nothing;
        }
        let Some(state) = self.pages.get_mut(&id) else { return Start::Nothing };
        if state.refusals.has_any() && state.refusals.is_refused(&state.attempt(&plan.changes)) {
            // The same PATCH would be refused again; the next transition may change it.
            self.pages.schedule(&id, until);
            return Start::Nothing;
        }
        let Some(decided_at) = can_send else {
            let standing = match (self.requests.gate.stopped(), self.requests.gate.pause()) {
                (Some(error), _) => Standing::Stuck(error.to_owned()),
                (None, pause) => Standing::Retrying(pause.map_or_else(String::new, Pause::words)),
            };
            // A refused key is probed at transitions and new inputs, but not for every page.
            self.key.probe_soon(now);
            self.set_standing(&id, standing);
            self.pages.schedule(&id, self.gate_opens());
            return Start::Nothing;
        };
        match state.is_fresh(decided_at) {
            true => Start::Act(plan),
            false => Start::Fetch(id),
        }
    }

    /// Returns when the gate opens by itself.
    fn gate_opens(&self) -> Option<Instant> {
        let wait = self.requests.gate.wait(self.actor.clock.uptime(), 1, Urgency::Transition, false)?;
        Some(self.actor.clock.after(wait))
    }

    /// Logs a change in the clock's trust.
    ///
    /// An untrusted clock triggers lists, which bring the API's time. A clock trusted again
    /// triggers a decision on every page.
    pub(super) fn report_clock(&mut self, news: TrustChange, now: Instant) {
        match (news, self.clock.trust.distrust()) {
            (TrustChange::Untrusted, Some(distrust)) => {
                tracing::error!("{}", distrust.describe());
                self.agents.change_all(|agent| agent.due = now);
            }
            (TrustChange::Trusted, _) => {
                tracing::info!("the clock is trusted again");
                // Inputs that arrived meanwhile were not compared yet.
                self.revise(now);
                let ids: Vec<PageId> =
                    self.world.pages.iter().map(|managed| managed.page.id.clone()).collect();
                for id in ids {
                    if self
                        .pages
                        .get(&id)
                        .is_some_and(|state| !state.requests.in_flight() && state.known.observed.is_some())
                    {
                        self.pages.schedule(&id, Some(now));
                    }
                }
            }
            _ => {}
        }
    }
}

fn in_one_line(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Returns the status that drift gives a page: held, drifted or right.
fn drift_standing(plan: &Plan) -> Standing {
    let reported = |answer: Answer, what: &str| {
        let drift = plan.drift.iter().filter(|drift| drift.answer == answer);
        let texts = drift.map(|drift| {
            let found = drift.found.as_ref().map_or("nothing".to_owned(), |found| shorten(found, 60));
            let desired = shorten(&drift.desired, 60);
            format!(
                "{} is {found} on the page, as another client changed it; the desired value {desired} {what}",
                drift.variable
            )
        });
        let hint = " (hint: correct the page, or set on_drift = \"restore\")";
        let text = texts.collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then(|| text + hint)
    };
    if let Some(text) = reported(Answer::Held, "has changed too and is held") {
        return Standing::Held(text);
    }
    reported(Answer::Reported, "is not sent").map_or(Standing::Right, Standing::Drifted)
}

/// Logs drift; returns the number of values.
fn report_drift(page: &PageId, drift: &[&Drift], by: Option<&str>) -> u64 {
    for drift in drift {
        let found = drift.found.as_ref().unwrap_or(&Value::Null);
        let [from, to] = shorten_both(&drift.baseline, found, LOGGED);
        tracing::warn!(
            %page,
            variable = %drift.variable,
            from,
            to = drift.found.as_ref().map(|_| to),
            desired = shorten(&drift.desired, LOGGED),
            answer = drift.answer.word(),
            by,
            "drift: another client changed this value"
        );
    }
    drift.len() as u64
}
