//! The API key in use, and the probes of a key that the API refuses.

use std::time::Duration;

use crate::agents_api::ApiKey;
use crate::limits::api::LONGEST_RETRY_WAIT;
use crate::model::Instant;
use crate::reconcile::backoff;

/// The shortest time between two probes caused by a transition or input.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// The key, and when a refused one is tried again.
pub(super) struct Key {
    set: Box<dyn Fn(ApiKey) + Send>,
    /// The generation of the key: a new key and a refusal increment it.
    ///
    /// An answer to a request of an older generation says nothing about the key now.
    number: u32,
    /// Number of refusals in a row.
    refusals: u32,
    /// The time of the next probe.
    probe_at: Instant,
    /// The time of the last probe.
    probed_at: Instant,
}

impl Key {
    /// Starts with the key that requests already use; `set` replaces it.
    pub(super) fn new(set: Box<dyn Fn(ApiKey) + Send>, now: Instant) -> Self {
        Self { set, number: 0, refusals: 0, probe_at: now, probed_at: now }
    }

    /// Returns the number that a request made now carries.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Replaces the key.
    pub(super) fn replace(&mut self, key: ApiKey) {
        (self.set)(key);
        self.accepted();
        self.number += 1;
    }

    /// Records that the API accepted the key.
    pub(super) fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// Records a refusal, and schedules a probe.
    pub(super) fn refused(&mut self, now: Instant, random: &mut fastrand::Rng) {
        self.refusals += 1;
        self.probe_at = backoff::after(now, backoff::wait(self.refusals, random));
        self.number += 1;
    }

    /// Returns the time of the next probe of a refused key.
    pub(super) fn probe_at(&self) -> Instant {
        self.probe_at
    }

    /// Brings the next probe forward for a change that waits, a moment after the last one.
    pub(super) fn probe_soon(&mut self, now: Instant) {
        self.probe_by(backoff::after(self.probed_at, PROBE_PAUSE).max(now));
    }

    /// Brings the next probe forward.
    pub(super) fn probe_by(&mut self, at: Instant) {
        self.probe_at = self.probe_at.min(at);
    }

    /// Returns true if a probe is due, and schedules the one after it.
    pub(super) fn take_probe(&mut self, now: Instant) -> bool {
        let is_due = self.probe_at <= now;
        if is_due {
            (self.probed_at, self.probe_at) = (now, backoff::after(now, LONGEST_RETRY_WAIT));
        }
        is_due
    }
}
