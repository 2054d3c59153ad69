//! Handles failed requests: retries, the key, and the state of the API.

use crate::agents_api::{ApiError, Meaning, ReadPages, WritePages};
use crate::limits::api::{LONGEST_PAUSE, STUCK_AFTER};
use crate::model::{Instant, PageId};
use crate::reconcile::page_state::PageState;
use crate::reconcile::{Actor, backoff};

use super::{Driver, Duration, Standing};

impl<R: ReadPages + WritePages> Driver<R> {
    /// Schedules a retry after a fetch or PATCH failed; returns the number of attempts.
    ///
    /// The retry is at the page's next transition at the latest. A refused attempt is not sent
    /// again until something changes.
    pub(super) fn try_later(&mut self, id: &PageId, error: &ApiError, now: Instant) -> u32 {
        let Some(state) = self.pages.get_mut(id) else { return 0 };
        if state.schedule.take_reservation() {
            self.requests.gate.give_back();
        }
        let attempts = state.schedule.fail();
        let due = match error.meaning {
            // The refusal is remembered, so this decision sends nothing unless something changed.
            Meaning::Refused if state.refusals.has_any() && !state.needs_fetch => now,
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

    pub(super) fn fail(&mut self, id: &PageId, error: &ApiError, attempts: u32) {
        let stuck = match error.meaning {
            Meaning::KeyRefused => true,
            // It may be temporary.
            Meaning::Refused | Meaning::Unavailable => {
                let is_remembered = self.pages.get(id).is_some_and(|state| state.refusals.has_any());
                attempts >= STUCK_AFTER || is_remembered
            }
            Meaning::TryAgain | Meaning::Slower | Meaning::OutcomeUnknown => false,
        };
        let is_known = self.pages.get(id).is_some_and(|state| match &state.standing {
            Standing::Stuck(known) => stuck && error.is_same(known),
            Standing::Retrying(known) => !stuck && error.is_same(known),
            _ => false,
        });
        let correlation_id = error.correlation_id.as_deref();
        match (is_known, stuck) {
            // The same problem is logged once, until the page has recovered or has another one.
            (true, _) => {
                tracing::debug!(page = %id, %error, attempts, correlation_id, "request failed again")
            }
            (false, true) => tracing::error!(page = %id, %error, attempts, correlation_id, "request failed"),
            (false, false) => {
                tracing::warn!(page = %id, %error, attempts, correlation_id, "request failed; it will be retried");
            }
        }
        let text = error.to_string();
        self.set_standing(id, if stuck { Standing::Stuck(text) } else { Standing::Retrying(text) });
    }

    /// Records that the API answered a request.
    ///
    /// If the key was refused before, it is accepted again now. An answer to a request from before
    /// the refusal proves nothing.
    pub(super) fn record_answer(&mut self, whom: &str, key: u32) {
        if self.requests.gate.record_answer(whom) {
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
        let known = |state: &PageState| state.known.observed.is_some() || state.needs_fetch;
        for (id, state) in self.pages.all_mut().filter(|(_, state)| known(state)) {
            state.schedule.forget_failures();
            state.refusals.forget();
            seen.extend((!state.requests.in_flight()).then(|| id.clone()));
        }
        for id in seen {
            self.pages.schedule(&id, Some(now));
        }
    }

    /// Resets failures after an outage: they no longer count as retries and use the full rate.
    fn recover(&mut self) {
        tracing::info!("the API answers again: all pages continue");
        let now = self.actor.clock.now();
        let failed = |(id, state): (&PageId, &mut PageState)| {
            let waits = state.schedule.is_retry() && !state.requests.in_flight() && state.due().is_some();
            waits.then(|| {
                state.schedule.forget_failures();
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
    pub(super) fn judge(&mut self, error: &ApiError, (whom, attempts): (&str, u32), key: u32, now: Instant) {
        self.report.counts.failures += 1;
        let up = self.actor.clock.uptime();
        match error.meaning {
            _ if key != self.key.number() => {}
            Meaning::Slower => {
                let asked = error.retry_after.unwrap_or(Duration::from_secs(5));
                let is_known = self.requests.gate.is_pausing();
                let pause = asked.min(LONGEST_PAUSE) + backoff::wait(1, &mut self.random);
                if self.requests.gate.pause_for(pause, asked, up) && !is_known {
                    let until = self.actor.clock.after(pause).to_rfc3339();
                    let asked = asked.as_secs();
                    tracing::warn!(
                        until,
                        retry_after_secs = asked,
                        "the API asks for fewer requests; all pages wait"
                    );
                    self.store_gate();
                }
            }
            Meaning::KeyRefused => {
                self.key.refused(now, &mut self.random);
                if self.requests.gate.stopped().is_none_or(|known| !error.is_same(known)) {
                    tracing::error!(%error, "the API refused the key: nothing is sent until it accepts the key; one request is tried at least every minute");
                }
                self.requests.gate.stop(error.to_string());
            }
            // Nothing changed on the page, but the API is up and accepts the key.
            Meaning::Refused | Meaning::Unavailable | Meaning::TryAgain if error.status.is_some() => {
                self.record_answer(whom, key);
            }
            Meaning::Refused | Meaning::Unavailable | Meaning::TryAgain | Meaning::OutcomeUnknown => {
                let is_known = self.requests.gate.is_pausing();
                if let Some(pause) =
                    self.requests.gate.failed(whom, attempts > 1, self.agents.count(), up, &mut self.random)
                    && !is_known
                {
                    let until = self.actor.clock.after(pause).to_rfc3339();
                    tracing::warn!(
                        until,
                        "the requests of half of the agents failed; all pages wait, then one is tried"
                    );
                    self.store_gate();
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
            let Actor { store, clock, .. } = &self.actor;
            self.notes.push(store.note_problem(id, problem, clock.now()));
        }
    }
}
