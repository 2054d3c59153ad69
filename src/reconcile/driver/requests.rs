//! The requests in progress, the room for more, and the gate that each passes.
//!
//! Slow requests get places of their own, so that hanging pages do not delay other pages.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::agents_api::ApiError;
use crate::clock::Clock;
use crate::model::{Environment, Instant, PageId, RemotePage};
use crate::reconcile::Acted;
use crate::reconcile::gate::{Gate, GateState, Limits};
use crate::store::{StoreError, Written};

/// A request that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(500);
/// Number of places for slow requests per ordinary place.
const SLOW_SHARE: usize = 4;

/// The gate at the end of a driver or the start of a pause, as stored.
///
/// The next driver continues it, so a restart, a reload and a replica that takes over keep to the
/// rate and the pause. A crash loses the tokens spent since; another replica takes over half a minute
/// after it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredGate {
    at: Instant,
    state: GateState,
}

impl StoredGate {
    /// The name under which the store keeps it.
    pub(super) const FACT: &'static str = "gate";

    /// Returns the fact to store.
    pub(super) fn of(gate: &Gate, clock: &dyn Clock) -> Option<String> {
        serde_json::to_string(&Self { at: clock.now(), state: gate.state(clock.uptime()) }).ok()
    }

    /// Returns the gate that continues a stored one, or a new one if there is none.
    pub(super) fn resume(fact: Option<&str>, limits: Limits, clock: &dyn Clock) -> Gate {
        let stored = fact.and_then(|fact| serde_json::from_str::<Self>(fact).ok());
        let Some(Self { at, state }) = stored else { return Gate::new(limits, clock.uptime()) };
        let passed = (clock.now() - at).to_std().unwrap_or_default();
        let gate = Gate::resume(limits, &state, passed, clock.uptime());
        if let Some(pause) = gate.pause() {
            tracing::warn!("still {}", pause.words());
        }
        gate
    }
}

/// A completed request.
pub(super) struct Done {
    /// The turn and the uptime at which it began.
    pub(super) asked: (u64, Duration),
    /// The number of the key it used.
    pub(super) key: u32,
    pub(super) answer: Answered,
}

/// The answer to a request.
pub(super) enum Answered {
    List(String, Result<Vec<(Environment, RemotePage)>, ApiError>),
    Fetch(PageId, Result<RemotePage, ApiError>),
    Act(PageId, Result<(Acted, Written<()>), StoreError>),
}

/// The requests of a driver.
pub(super) struct Requests {
    /// Knows rates, pauses and the breaker.
    pub(super) gate: Gate,
    pub(super) jobs: JoinSet<Done>,
    under_way: UnderWay,
    /// Counts requests as they begin and end, to order these events.
    turn: u64,
    /// Maximum number of requests at once.
    concurrency: usize,
    /// The time at which there may be room for a request that found none.
    pub(super) room_at: Option<Instant>,
    /// The same for retries.
    pub(super) retry_at: Option<Instant>,
    /// True if the next retry is a list.
    is_lists_turn: bool,
}

impl Requests {
    /// Starts with no request.
    pub(super) fn new(gate: Gate, concurrency: usize) -> Self {
        Self {
            gate,
            jobs: JoinSet::new(),
            under_way: UnderWay::default(),
            turn: 0,
            concurrency,
            room_at: None,
            retry_at: None,
            is_lists_turn: false,
        }
    }

    /// Starts a request at an uptime, with the number of the key.
    pub(super) fn start(
        &mut self,
        up: Duration,
        key: u32,
        request: impl Future<Output = Answered> + Send + 'static,
    ) {
        let asked = (self.next_turn(), up);
        self.under_way.begin(asked.0, up);
        self.jobs.spawn(async move { Done { asked, key, answer: request.await } });
    }

    /// Records the end of a request that began at a turn.
    pub(super) fn end(&mut self, turn: u64) {
        self.under_way.end(turn);
    }

    /// Counts one more beginning or end.
    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Returns true if one more request fits beside those about to begin.
    pub(super) fn has_room(&self, starting: usize, up: Duration) -> bool {
        self.under_way.has_room(starting, self.concurrency, up)
    }

    /// Returns the time until a place may become free.
    pub(super) fn next_room(&self, up: Duration) -> Option<Duration> {
        self.under_way.next_room(up)
    }

    /// Returns true if the next retry may be a list, which is every second one.
    ///
    /// Pages that keep failing must not delay lists.
    pub(super) fn take_lists_turn(&mut self) -> bool {
        self.is_lists_turn = !self.is_lists_turn;
        self.is_lists_turn
    }
}

/// The requests in progress, by the turn at which each began, with the uptime then.
#[derive(Debug, Default)]
struct UnderWay(BTreeMap<u64, Duration>);

impl UnderWay {
    fn begin(&mut self, turn: u64, up: Duration) {
        self.0.insert(turn, up);
    }

    fn end(&mut self, turn: u64) {
        self.0.remove(&turn);
    }

    /// Returns true if one more request fits beside those about to begin.
    fn has_room(&self, starting: usize, concurrency: usize, up: Duration) -> bool {
        let slow = self.0.values().filter(|begun| is_slow(**begun, up)).count();
        self.0.len() - slow.min(concurrency.saturating_mul(SLOW_SHARE)) + starting < concurrency
    }

    /// Returns the time until the next request becomes slow and frees its place.
    fn next_room(&self, up: Duration) -> Option<Duration> {
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
