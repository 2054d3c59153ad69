//! Handles input to the driver: new inputs, a new key, and answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::agents_api::{ApiError, ApiKey, Meaning, ReadPages, WritePages};
use crate::compile::World;
use crate::model::{Change, Environment, Instant, PageId, RemotePage, shorten};
use crate::reconcile::agents::Agent;
use crate::reconcile::gaps::Fetch;
use crate::reconcile::gate::LONGEST_PAUSE;
use crate::reconcile::page_state::{PageState, STUCK_AFTER};
use crate::reconcile::revision::inputs_of;
use crate::reconcile::{Acted, Actor, backoff};
use crate::store::{Acceptance, StoreError};

use super::fetched::MAX_BYTES;
use super::requests::{Answered, Done};
use super::{Driver, Duration, Standing, Urgency};

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
            state.urgency = urgency;
            match (&state.known.observed, &state.standing) {
                // The answer of its request makes it due.
                _ if state.in_flight => {}
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
        self.notes.push(self.actor.store.accept(&self.actor.api_url, acceptance, now));
    }

    pub(super) fn take_key(&mut self, key: ApiKey) {
        tracing::info!("API key reloaded");
        self.key.replace(key);
        self.requests.gate.open();
        let now = self.actor.clock.now();
        self.agents.change_all(|agent| (agent.due, agent.attempts) = (now, 0));
        for (_, state) in self.pages.all_mut() {
            (state.refused, state.attempts) = (None, 0);
        }
    }

    pub(super) fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.actor.clock.now();
        self.requests.end(done.asked.0);
        match done.answer {
            Answered::List(agent, Ok(pages)) => {
                self.came_through(&agent, done.key);
                if let Some((_, page)) = pages.first() {
                    self.hear_clock(page.served_at, now);
                }
                self.take_list(&agent, pages, done.asked, now);
            }
            Answered::List(agent, Err(error)) => self.take_list_failure(&agent, &error, done.key, now),
            Answered::Fetch(id, answer) => {
                self.settle(&id);
                match answer {
                    Ok(page) => {
                        self.came_through(&id.agent, done.key);
                        self.hear_clock(page.served_at, now);
                        // The fetch may have been slow, but there is no newer answer.
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

    /// Handles the API's time from an answer.
    fn hear_clock(&mut self, served_at: Option<Instant>, now: Instant) {
        if let Some(served_at) = served_at {
            let news = self.clock.trust.hear(served_at, &*self.actor.clock);
            self.report_clock(news, now);
        }
    }

    fn settle(&mut self, id: &PageId) {
        let turn = self.requests.next_turn();
        if let Some(state) = self.pages.get_mut(id) {
            state.settle(turn);
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
        // With a clock that is ahead, all history would look old.
        if self.clock.is_trusted() {
            let before = now.checked_sub_signed(self.pace.keep_history);
            self.notes.extend(before.map(|before| self.actor.store.prune(before)));
            let reading = self.clock.hourly_reading(&*self.actor.clock);
            self.store_clock_reading(reading);
        }
        let mut listed: BTreeMap<Environment, RemotePage> = pages.into_iter().collect();
        for id in ours {
            let page = listed.remove(&id.environment);
            // A list requested before the page's own request ended may show an old state.
            if !self.pages.get(&id).is_some_and(|state| state.believes(asked)) {
                page.iter().for_each(|page| self.reconsider_doubt(&id, page));
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
            self.came_through(agent, key);
            for id in ours {
                if self.pages.get(&id).is_some_and(|state| !state.in_flight) {
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
        let sent = state.refused.take();
        match acted {
            Acted::Applied { page, changes, correlation_id } => {
                let owned = self.world.page(id).map_or(&[][..], |managed| &managed.page.variables);
                // If the answer lacks more than the changes sent, it proves nothing about the rest.
                let last = state.known.observed.as_ref().map(|observed| observed.page.clone());
                state.look_wanted |= state.gaps.has_new(&page, last.as_deref(), &state.known.baseline, owned);
                state.gaps.learn(&page);
                let before = state.known.observed.as_ref().map_or(0, |observed| observed.page.weight);
                self.fetched.replace(before, page.weight);
                state.see(page, up, &mut self.fetched.schemas);
                // Good enough for decisions, but the next PATCH needs a new fetch.
                state.forget_page();
                state.attempts = 0;
                self.report.count_applied(id, changes.len());
                self.report.counts.applied += changes.len() as u64;
                for change in changes {
                    report_applied(id, &change, correlation_id.as_deref());
                    state.known.baseline.insert(change.variable, change.to);
                }
                self.pages.schedule(id, Some(now));
                self.came_through(&id.agent, key);
                self.forget_found(id, now);
            }
            Acted::Unknown(open, error) => {
                state.known.open = Some(open);
                state.forget_page();
                let attempts = self.try_later(id, &error, now);
                self.judge(&error, (&id.to_string(), attempts), key, now);
            }
            Acted::NotTaken { open, message } => {
                state.known.open = Some(open);
                state.not_taken = Some(message);
                state.forget_page();
                self.pages.schedule(id, Some(now));
            }
            Acted::Failed(open, error) => {
                state.failed = Some(open);
                // A refused key does not concern the change; the gate withholds everything then. An
                // unavailable page may become available without any other change.
                if error.meaning == Meaning::Refused {
                    state.refusals.1 += 1;
                    state.refused = sent.filter(|_| state.refusals.1 >= STUCK_AFTER);
                }
                let attempts = self.try_later(id, &error, now);
                self.judge(&error, (&id.to_string(), attempts), key, now);
            }
        }
    }

    /// Handles a PATCH that the API accepted without applying the values.
    ///
    /// It is retried. After [`STUCK_AFTER`] times it is remembered as refused until the page or the
    /// changes differ.
    pub(super) fn take_not_taken(&mut self, id: &PageId, message: String, changes: &[Change], now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.refusals.1 += 1;
        let is_last = state.refusals.1 >= STUCK_AFTER;
        state.refused = is_last.then(|| state.attempt(changes));
        let meaning = if is_last { Meaning::Refused } else { Meaning::TryAgain };
        self.try_later(id, &ApiError { message, ..ApiError::of(meaning) }, now);
    }

    fn see(&mut self, id: &PageId, page: RemotePage, seen_at: Duration, now: Instant) {
        if !self.is_sound(id, &page, now) {
            return;
        }
        if !self.has_room_for(id, &page) {
            let most = MAX_BYTES >> 20;
            let message = format!(
                "the pages together take more than {most} MiB of memory (hint: make the pages smaller, or divide them among several daemons)"
            );
            self.try_later(id, &ApiError { message, ..ApiError::of(Meaning::Unavailable) }, now);
            return;
        }
        let Some(state) = self.pages.get_mut(id) else { return };
        state.look_wanted = false;
        if state.see(page, seen_at, &mut self.fetched.schemas)
            && let Some(observed) = &state.known.observed
        {
            let schema = observed.page.schema.clone();
            self.notes.push(self.actor.store.saw_schema(&self.actor.api_url, id, schema));
        }
        if !state.in_flight {
            // A page at rest that now needs something was changed by another client.
            if state.due().is_some_and(|due| due > now) && state.urgency == Urgency::Boundary {
                state.urgency = Urgency::Drift;
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
                if std::mem::take(&mut state.reserved) {
                    self.requests.gate.give_back();
                }
                if !state.in_flight {
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

    fn reconsider_doubt(&mut self, id: &PageId, page: &RemotePage) {
        let owned = self.world.page(id).map_or(&[][..], |managed| &managed.page.variables);
        if let Some(state) = self.pages.get_mut(id) {
            let last = state.known.observed.as_ref().map(|observed| observed.page.clone());
            state.gaps.reconsider(page, last.as_deref(), &state.known.baseline, owned);
        }
    }

    fn request_fetch(&mut self, id: &PageId, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.look_wanted = true;
            self.pages.schedule(id, Some(now));
        }
    }

    /// Schedules a retry after a fetch or PATCH failed; returns the number of attempts.
    ///
    /// The retry is at the page's next transition at the latest. A refused attempt is not sent
    /// again until something changes.
    fn try_later(&mut self, id: &PageId, error: &ApiError, now: Instant) -> u32 {
        let Some(state) = self.pages.get_mut(id) else { return 0 };
        if std::mem::take(&mut state.reserved) {
            self.requests.gate.give_back();
        }
        state.attempts += 1;
        let attempts = state.attempts;
        let due = match error.meaning {
            // The refusal is remembered, so this decision sends nothing unless something changed.
            Meaning::Refused if state.refused.is_some() && !state.look_wanted => now,
            _ => {
                let page = self.world.page(id).map(|managed| &managed.page);
                let transition = page.and_then(|page| state.known.next_transition(page, now));
                let due = backoff::after(now, backoff::wait(attempts, &mut self.random));
                transition.into_iter().chain([due]).min().unwrap_or(due)
            }
        };
        self.pages.schedule(id, Some(due));
        self.fail(id, error, attempts);
        attempts
    }

    fn fail(&mut self, id: &PageId, error: &ApiError, attempts: u32) {
        let stuck = match error.meaning {
            Meaning::KeyRefused => true,
            // It may be temporary.
            Meaning::Refused | Meaning::Unavailable => {
                let is_remembered = self.pages.get(id).is_some_and(|state| state.refused.is_some());
                attempts >= STUCK_AFTER || is_remembered
            }
            Meaning::TryAgain | Meaning::Slower | Meaning::OutcomeUnknown => false,
        };
        match stuck {
            true => tracing::error!(page = %id, %error, attempts, "request failed"),
            false => tracing::warn!(page = %id, %error, attempts, "request failed; it will be retried"),
        }
        let text = error.to_string();
        self.set_standing(id, if stuck { Standing::Stuck(text) } else { Standing::Retrying(text) });
    }

    /// Records that the API answered a request.
    ///
    /// If the key was refused before, it is accepted again now. An answer to a request from before
    /// the refusal proves nothing.
    fn came_through(&mut self, whom: &str, key: u32) {
        if self.requests.gate.came_through(whom) {
            self.recover();
        }
        if self.requests.gate.stopped().is_none() || key != self.key.number() {
            return;
        }
        tracing::info!("the API accepts the key again");
        self.requests.gate.open();
        self.key.accepted();
        let now = self.actor.clock.now();
        self.retry_lists(now);
        let mut seen = Vec::new();
        let known = |state: &PageState| state.known.observed.is_some() || state.look_wanted;
        for (id, state) in self.pages.all_mut().filter(|(_, state)| known(state)) {
            state.attempts = 0;
            state.refused = None;
            seen.extend((!state.in_flight).then(|| id.clone()));
        }
        for id in seen {
            self.pages.schedule(&id, Some(now));
        }
    }

    /// Resets failures after an outage: they no longer count as retries and use the full rate.
    fn recover(&mut self) {
        let now = self.actor.clock.now();
        let failed = |(id, state): (&PageId, &mut PageState)| {
            let waits = state.attempts > 0 && !state.in_flight && state.due().is_some();
            waits.then(|| {
                state.attempts = 0;
                id.clone()
            })
        };
        let failed: Vec<PageId> = self.pages.all_mut().filter_map(failed).collect();
        for id in failed {
            self.pages.schedule(&id, Some(now));
        }
        self.retry_lists(now);
    }

    /// Makes failed lists due now and no longer retries.
    fn retry_lists(&mut self, now: Instant) {
        self.agents.change_all(|agent| {
            if agent.attempts > 0 {
                (agent.due, agent.attempts) = (now, 0);
            }
        });
    }

    /// Draws conclusions from an error about the API and the key.
    ///
    /// A key that was replaced in the meantime is not judged.
    fn judge(&mut self, error: &ApiError, (whom, attempts): (&str, u32), key: u32, now: Instant) {
        self.report.counts.failures += 1;
        let up = self.actor.clock.uptime();
        match error.meaning {
            _ if key != self.key.number() => {}
            Meaning::Slower => {
                let asked = error.retry_after.unwrap_or(Duration::from_secs(5));
                let pause = asked.min(LONGEST_PAUSE) + backoff::wait(1, &mut self.random);
                if self.requests.gate.pause_for(pause, asked, up) {
                    let until = self.actor.clock.after(pause).to_rfc3339();
                    let asked = asked.as_secs();
                    tracing::warn!(
                        until,
                        retry_after_secs = asked,
                        "the API asks for fewer requests; all pages wait"
                    );
                }
            }
            Meaning::KeyRefused => {
                self.key.refused(now, &mut self.random);
                tracing::error!(%error, "the API refused the key: nothing is sent until it accepts the key; one request is tried at least every minute");
                self.requests.gate.stop(error.to_string());
            }
            // Nothing changed on the page, but the API is up and accepts the key.
            Meaning::Refused | Meaning::Unavailable | Meaning::TryAgain if error.status.is_some() => {
                self.came_through(whom, key);
            }
            Meaning::Refused | Meaning::Unavailable | Meaning::TryAgain | Meaning::OutcomeUnknown => {
                if let Some(pause) =
                    self.requests.gate.failed(whom, attempts > 1, self.agents.count(), up, &mut self.random)
                {
                    let until = self.actor.clock.after(pause).to_rfc3339();
                    tracing::warn!(
                        until,
                        "the requests of half of the agents failed; all pages wait, then one is tried"
                    );
                }
            }
        }
    }

    pub(super) fn set_standing(&mut self, id: &PageId, standing: Standing) {
        self.pages.note_move(id);
        let Some(state) = self.pages.get_mut(id) else { return };
        let was = std::mem::replace(&mut state.standing, standing);
        if state.standing == Standing::Right
            && matches!(was, Standing::Stuck(_) | Standing::Retrying(_) | Standing::Stale(_))
        {
            tracing::info!(page = %id, was = was.problem(), "page recovered");
        }
        let problem = state.standing.problem().map(str::to_owned);
        if problem != state.noted {
            state.noted.clone_from(&problem);
            let Actor { store, api_url, clock, .. } = &self.actor;
            self.notes.push(store.note_problem(api_url, id, problem, clock.now()));
        }
    }
}

fn report_applied(page: &PageId, change: &Change, correlation_id: Option<&str>) {
    tracing::info!(
        %page,
        variable = %change.variable,
        from = change.from.as_ref().map(|value| shorten(value, 200)),
        to = shorten(&change.to, 200),
        because = change.because,
        until = change.until.map(|until| until.to_rfc3339()),
        correlation_id,
        "applied"
    );
}
