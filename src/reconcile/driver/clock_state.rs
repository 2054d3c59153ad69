//! The driver's view of the clock: its trust, its last reading, and the reading that is stored.

use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Clock;
use crate::model::Instant;
use crate::reconcile::clock_trust::{ClockReading, ClockTrust};

/// The shortest time between two stored clock readings: each write costs a disk access.
const STORING_PAUSE: Duration = Duration::from_secs(3600);
/// The shortest time between two steps of pruning: each costs as much as a PATCH.
const PRUNING_PAUSE: Duration = Duration::from_secs(1);

/// The clock as this driver has seen it.
pub(super) struct ClockState {
    /// Decides if the clock can be trusted.
    pub(super) trust: ClockTrust,
    /// The uptime at which a reading was last stored.
    stored_at: Option<Duration>,
    /// The uptime at which the history was last pruned.
    pruned_at: Option<Duration>,
    last_now: Instant,
}

impl ClockState {
    /// Starts at an instant.
    pub(super) fn new(trust: ClockTrust, now: Instant) -> Self {
        Self { trust, stored_at: None, pruned_at: None, last_now: now }
    }

    /// Returns true unless the clock is untrusted.
    pub(super) fn is_trusted(&self) -> bool {
        self.trust.distrust().is_none()
    }

    /// Records the current instant; returns the one before if the clock went back since.
    pub(super) fn went_back(&mut self, now: Instant) -> Option<Instant> {
        let before = std::mem::replace(&mut self.last_now, now);
        (now < before).then_some(before)
    }

    /// Returns the instant before which history is deleted; `None` if it is too early for the next step.
    ///
    /// With a clock that is ahead, all history would look old.
    pub(super) fn prune_before(
        &mut self,
        clock: &dyn Clock,
        now: Instant,
        keep: TimeDelta,
    ) -> Option<Instant> {
        let up = clock.uptime();
        let is_early = self.pruned_at.is_some_and(|at| up.saturating_sub(at) < PRUNING_PAUSE);
        if is_early || !self.is_trusted() {
            return None;
        }
        self.pruned_at = Some(up);
        now.checked_sub_signed(keep)
    }

    /// Returns the reading to store, at most once an hour.
    pub(super) fn hourly_reading(&mut self, clock: &dyn Clock) -> Option<ClockReading> {
        let up = clock.uptime();
        if self.stored_at.is_some_and(|at| up.saturating_sub(at) < STORING_PAUSE) {
            return None;
        }
        self.stored_at = Some(up);
        self.trust.reading(clock)
    }
}
