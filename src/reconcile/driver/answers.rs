//! Handles the answers to requests.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::agents_api::{ApiError, Meaning, ReadPages, WritePages};
use crate::model::{Change, Environment, Instant, PageId, RemotePage, shorten_both};
use crate::reconcile::gaps::Fetch;
use crate::reconcile::{Acted, Operation, backoff};
use crate::store::StoreError;

use super::report::LOGGED;
use super::requests::{Answered, Done};
use super::{Driver, Duration, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    pub(super) fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.actor.clock.now();
        self.requests.end(done.asked.0);
        self.count_answer(&done.answer, now);
        match done.answer {
            Answered::List(agent, Ok(pages)) => {
                self.record_answer(&agent, done.key);
                if let Some((_, page)) = pages.first() {
                    self.compare_clock(page.served_at, now);
                }
                self.take_list(&agent, pages, done.asked, now);
            }
            Answered::List(agent, Err(error)) => self.take_list_failure(&agent, &error, done.key, now),
            Answered::Fetch(id, answer) => {
                self.settle(&id);
                match answer {
                    Ok(page) => {
                        self.record_answer(&id.agent, done.key);
                        self.compare_clock(page.served_at, now);
                        // The fetch may have been slow, but its answer is the newest.
                        self.see(&id, page, self.actor.clock.uptime(), now);
                    }
                    Err(error) => self.take_fetch_failure(&id, &error, done.key, now),
                }
            }
            Answered::Act(id, acted) => {
                self.settle(&id);
                let (acted, settled) = acted?;
                self.notes.push(settled);
                self.take_act(&id, acted, done.key, now);
            }
        }
        Ok(())
    }

    fn count_answer(&mut self, answer: &Answered, now: Instant) {
        let (operation, error) = match answer {
            Answered::List(_, answer) => (Operation::List, answer.as_ref().err()),
            Answered::Fetch(_, answer) => (Operation::Fetch, answer.as_ref().err()),
            Answered::Act(_, Ok((Acted::Applied { .. } | Acted::Unapplied { .. }, _))) => {
                (Operation::Patch, None)
            }
            Answered::Act(_, Ok((Acted::Unknown(_, error) | Acted::Failed(_, error), _))) => {
                (Operation::Patch, Some(error))
            }
            // An error of the store ends the driver.
            Answered::Act(_, Err(_)) => return,
        };
        self.report.counts.count_answer(operation, error, now);
    }

    /// Handles the API's time from an answer.
    fn compare_clock(&mut self, served_at: Option<Instant>, now: Instant) {
        if let Some(served_at) = served_at {
            let news = self.clock.trust.compare(served_at, &*self.actor.clock);
            self.report_clock(news, now);
        }
    }

    fn settle(&mut self, id: &PageId) {
        let turn = self.requests.next_turn();
        if let Some(state) = self.pages.get_mut(id) {
            state.requests.settle(turn);
        }
    }

    fn take_list(
        &mut self,
        agent: &str,
        pages: Vec<(Environment, RemotePage)>,
        (asked, asked_at): (u64, Duration),
        now: Instant,
    ) {
        let next = backoff::after(now, backoff::jittered(self.pace.resync, &mut self.random));
        let Some(ours) = self.agents.get(agent).map(|known| known.pages.clone()) else { return };
        self.agents.settle(agent, 0, next);
        let before = self.clock.prune_before(&*self.actor.clock, now, self.pace.keep_history);
        self.notes.extend(before.map(|before| self.actor.store.prune(before)));
        if self.clock.is_trusted() {
            let reading = self.clock.hourly_reading(&*self.actor.clock);
            self.store_clock_reading(reading);
        }
        let mut listed: BTreeMap<Environment, RemotePage> = pages.into_iter().collect();
        for id in ours {
            let page = listed.remove(&id.environment);
            // A list requested before the page's own request ended may show an old state.
            if !self.pages.get(&id).is_some_and(|state| state.requests.is_current(asked)) {
                page.iter().for_each(|page| self.reconsider_gaps(&id, page));
                continue;
            }
            match page {
                Some(page) => self.see(&id, page, asked_at, now),
                // The page is not in the list; fetching it shows why.
                None => self.request_fetch(&id, now),
            }
        }
    }

    fn take_list_failure(&mut self, agent: &str, error: &ApiError, key: u32, now: Instant) {
        let next = backoff::after(now, backoff::jittered(self.pace.resync, &mut self.random));
        let Some(known) = self.agents.get(agent) else { return };
        let (ours, attempts) = (known.pages.clone(), known.attempts + 1);
        // For an unknown agent the list fails with 403 and the page with 404, so only the page
        // shows which it is. A page may also exist without a list.
        if matches!(error.meaning, Meaning::Unavailable | Meaning::Refused) {
            self.agents.settle(agent, 0, next);
            self.record_answer(agent, key);
            for id in ours {
                if self.pages.get(&id).is_some_and(|state| !state.requests.in_flight()) {
                    self.request_fetch(&id, now);
                }
            }
            return;
        }
        let due = match error.meaning {
            // The request used the previous key; the current one was not tried yet.
            Meaning::KeyRefused if key != self.key.number() => now,
            Meaning::KeyRefused => next,
            _ => backoff::after(now, backoff::wait(attempts, &mut self.random)),
        };
        self.agents.settle(agent, attempts, due);
        for id in ours {
            self.fail(&id, error, attempts);
        }
        self.judge(error, (agent, attempts), key, now);
    }

    fn take_fetch_failure(&mut self, id: &PageId, error: &ApiError, key: u32, now: Instant) {
        if error.meaning == Meaning::KeyRefused && key != self.key.number() {
            return self.request_fetch(id, now);
        }
        let attempts = self.try_later(id, error, now);
        self.judge(error, (&id.to_string(), attempts), key, now);
    }

    fn take_act(&mut self, id: &PageId, acted: Acted, key: u32, now: Instant) {
        let up = self.actor.clock.uptime();
        let Some(state) = self.pages.get_mut(id) else { return };
        // Only a refused attempt stays remembered.
        let sent = state.refusals.take();
        match acted {
            Acted::Applied { page, changes, correlation_id } => {
                let owned = self.world.page(id).map_or(&[][..], |managed| &managed.page.variables);
                // If the answer lacks more than the changes sent, it proves nothing about the rest.
                let last = state.known.observed.as_ref().map(|observed| observed.page.clone());
                state.needs_fetch |= state.gaps.has_new(&page, last.as_deref(), &state.known.baseline, owned);
                state.gaps.learn(&page);
                let before = state.known.observed.as_ref().map_or(0, |observed| observed.page.weight);
                self.fetched.replace(before, page.weight);
                state.see(page, up, &mut self.fetched.schemas);
                // Good enough for decisions, but the next PATCH needs a new fetch.
                state.forget_page();
                state.schedule.forget_failures();
                state.refusals.succeed();
                self.report.count_applied(id, changes.len());
                self.report.counts.applied += changes.len() as u64;
                if let Some(at) = state.schedule.take_transition(now) {
                    self.report.counts.lag.observe((now - at).as_seconds_f64());
                }
                for change in changes {
                    report_applied(id, &change, correlation_id.as_deref());
                    state.known.baseline.insert(change.variable, change.to);
                }
                self.pages.schedule(id, Some(now));
                self.record_answer(&id.agent, key);
                self.forget_found(id, now);
            }
            Acted::Unknown(open, error) => {
                state.known.open = Some(open);
                state.forget_page();
                let attempts = self.try_later(id, &error, now);
                self.judge(&error, (&id.to_string(), attempts), key, now);
            }
            Acted::Unapplied { open, message } => {
                state.known.open = Some(open);
                state.unapplied = Some(message);
                state.forget_page();
                self.pages.schedule(id, Some(now));
            }
            Acted::Failed(open, error) => {
                state.failed = Some(open);
                // A refused key does not concern the change; the gate withholds everything then. An
                // unavailable page may become available without any other change.
                if error.meaning == Meaning::Refused {
                    state.refusals.refuse(sent);
                }
                let attempts = self.try_later(id, &error, now);
                self.judge(&error, (&id.to_string(), attempts), key, now);
            }
        }
    }

    /// Handles a PATCH that the API accepted without applying the values.
    ///
    /// It is retried. After `STUCK_AFTER` times it is remembered as refused until the page or the
    /// changes differ.
    pub(super) fn take_unapplied(&mut self, id: &PageId, message: String, changes: &[Change], now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        let attempt = state.attempt(changes);
        let is_last = state.refusals.refuse(Some(attempt));
        let meaning = if is_last { Meaning::Refused } else { Meaning::TryAgain };
        self.try_later(id, &ApiError { message, ..ApiError::of(meaning) }, now);
    }

    fn see(&mut self, id: &PageId, page: RemotePage, seen_at: Duration, now: Instant) {
        if !self.is_sound(id, &page, now) {
            return;
        }
        if !self.has_room_for(id, &page) {
            let most = self.pace.max_fetched_bytes >> 20;
            let message = format!(
                "the pages together take more than {most} MiB of memory (hint: set api.max_fetched_mib to more)"
            );
            self.try_later(id, &ApiError { message, ..ApiError::of(Meaning::Unavailable) }, now);
            return;
        }
        let Some(state) = self.pages.get_mut(id) else { return };
        state.needs_fetch = false;
        if state.see(page, seen_at, &mut self.fetched.schemas)
            && let Some(observed) = &state.known.observed
        {
            let schema = observed.page.schema.clone();
            self.notes.push(self.actor.store.saw_schema(id, schema));
        }
        if !state.requests.in_flight() {
            // A page at rest that now needs something was changed by another client.
            if state.due().is_some_and(|due| due > now) && state.schedule.urgency() == Urgency::Transition {
                state.schedule.set_urgency(Urgency::Drift);
            }
            self.pages.schedule(id, Some(now));
        }
        self.note_found(id, now);
        self.forget_found(id, now);
    }

    /// Reserves memory for a page, replacing its older state. Returns false if full.
    fn has_room_for(&mut self, id: &PageId, page: &RemotePage) -> bool {
        let known = self.pages.get(id).and_then(|state| state.known.observed.as_ref());
        let before = known.map_or(0, |observed| observed.page.weight);
        if !self.fetched.has_room(before, page.weight) {
            self.forget_former_pages();
        }
        let has_room = self.fetched.has_room(before, page.weight);
        if has_room {
            self.fetched.replace(before, page.weight);
        }
        has_room
    }

    /// Frees the memory of pages that are no longer defined.
    fn forget_former_pages(&mut self) {
        let mut bytes = 0;
        for (id, state) in self.pages.all_mut() {
            if self.world.page(id).is_none() {
                state.known.observed = None;
            }
            bytes += state.known.observed.as_ref().map_or(0, |observed| observed.page.weight);
        }
        self.fetched.recount(bytes);
    }

    /// Returns true if an answer can be used as the page.
    ///
    /// An answer that lacks something known to be on the page is fetched again first.
    fn is_sound(&mut self, id: &PageId, page: &RemotePage, now: Instant) -> bool {
        let owned = self.world.page(id).map_or(&[][..], |managed| &managed.page.variables);
        let Some(state) = self.pages.get_mut(id) else { return false };
        let last = state.known.observed.as_ref().map(|observed| observed.page.clone());
        match state.gaps.judge(page, last.as_deref(), &state.known.baseline, owned) {
            Fetch::Sound => return true,
            Fetch::Doubtful => {
                tracing::debug!(page = %id, "values or the schema are missing; the page is fetched again");
                if state.schedule.take_reservation() {
                    self.requests.gate.give_back();
                }
                if !state.requests.in_flight() {
                    self.request_fetch(id, now);
                }
            }
            Fetch::Inconsistent => {
                let message = "two answers in a row lack different values of the page".to_owned();
                self.try_later(id, &ApiError { message, ..ApiError::of(Meaning::TryAgain) }, now);
            }
        }
        false
    }

    fn reconsider_gaps(&mut self, id: &PageId, page: &RemotePage) {
        let owned = self.world.page(id).map_or(&[][..], |managed| &managed.page.variables);
        if let Some(state) = self.pages.get_mut(id) {
            let last = state.known.observed.as_ref().map(|observed| observed.page.clone());
            state.gaps.reconsider(page, last.as_deref(), &state.known.baseline, owned);
        }
    }

    fn request_fetch(&mut self, id: &PageId, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.needs_fetch = true;
            self.pages.schedule(id, Some(now));
        }
    }
}

fn report_applied(page: &PageId, change: &Change, correlation_id: Option<&str>) {
    let [from, to] = shorten_both(change.from.as_ref().unwrap_or(&Value::Null), &change.to, LOGGED);
    tracing::info!(
        %page,
        variable = %change.variable,
        from = change.from.as_ref().map(|_| from),
        to,
        because = change.because,
        until = change.until.map(|until| until.to_rfc3339()),
        correlation_id,
        "applied"
    );
}
