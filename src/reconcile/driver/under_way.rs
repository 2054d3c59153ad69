//! The requests in progress, and the room for more.
//!
//! Slow requests get places of their own, so that hanging pages do not delay others.

use std::collections::BTreeMap;
use std::time::Duration;

/// A request that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(500);
/// Number of places for slow requests per ordinary place.
const SLOW_SHARE: usize = 4;

/// The requests in progress, by the turn at which each began, with the uptime then.
#[derive(Debug, Default)]
pub(super) struct UnderWay(BTreeMap<u64, Duration>);

impl UnderWay {
    pub(super) fn begin(&mut self, turn: u64, up: Duration) {
        self.0.insert(turn, up);
    }

    pub(super) fn end(&mut self, turn: u64) {
        self.0.remove(&turn);
    }

    /// Returns true if one more request fits beside those about to begin.
    pub(super) fn has_room(&self, starting: usize, concurrency: usize, up: Duration) -> bool {
        let slow = self.0.values().filter(|begun| is_slow(**begun, up)).count();
        self.0.len() - slow.min(concurrency.saturating_mul(SLOW_SHARE)) + starting < concurrency
    }

    /// Returns the time until the next request becomes slow and frees its place.
    pub(super) fn next_room(&self, up: Duration) -> Option<Duration> {
        let first = self.0.values().find(|begun| !is_slow(**begun, up))?;
        Some((*first + SLOW).saturating_sub(up))
    }
}

fn is_slow(begun: Duration, up: Duration) -> bool {
    up.saturating_sub(begun) >= SLOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_requests_free_their_slots_up_to_a_limit() {
        let at = Duration::from_millis;
        let mut under_way = UnderWay::default();
        (0..4).for_each(|turn| under_way.begin(turn, at(0)));
        assert!(!under_way.has_room(0, 4, at(499)));
        assert_eq!(under_way.next_room(at(400)), Some(at(100)));
        assert!(under_way.has_room(3, 4, at(500)) && !under_way.has_room(4, 4, at(500)));
        (4..20).for_each(|turn| under_way.begin(turn, at(0)));
        assert!(!under_way.has_room(0, 4, at(900)), "four times as many at most");
        under_way.end(7);
        assert!(under_way.has_room(0, 4, at(900)));
    }
}
