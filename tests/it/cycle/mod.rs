//! The driver in this process, against the simulator, on a clock that only the test moves.

mod drift;
mod faults;
mod inputs;
mod refusals;
mod transitions;

use chrono::TimeDelta;
use rtconfd::model::Instant;

use crate::support::at;

/// Thursday noon in London, five hours before the next transition.
const NOON: &str = "2026-11-26T12:00:00Z";

fn later(minutes: i64) -> Instant {
    at(NOON) + TimeDelta::minutes(minutes)
}
