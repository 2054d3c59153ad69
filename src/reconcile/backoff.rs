//! Retry delays: exponential with full jitter.
//!
//! Many pages that failed together must not retry together.

use std::time::Duration;

use chrono::TimeDelta;

use crate::limits::api::{FIRST_RETRY_WAIT, LONGEST_RETRY_WAIT};
use crate::model::Instant;

/// Returns a random wait before retry number `attempt` (the first is 1).
///
/// The wait is below a limit that doubles with each attempt.
pub fn wait(attempt: u32, random: &mut fastrand::Rng) -> Duration {
    let limit =
        FIRST_RETRY_WAIT.saturating_mul(1 << attempt.clamp(1, 16).saturating_sub(1)).min(LONGEST_RETRY_WAIT);
    limit.mul_f64(random.f64())
}

/// Returns the instant `length` after `now`; `now` where it would be beyond all time.
pub fn after(now: Instant, length: Duration) -> Instant {
    TimeDelta::from_std(length).ok().and_then(|length| now.checked_add_signed(length)).unwrap_or(now)
}

/// Returns `length` with up to 10% of jitter in either direction.
pub fn jittered(length: Duration, random: &mut fastrand::Rng) -> Duration {
    length.mul_f64(0.9 + 0.2 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_limit_doubles_up_to_a_minute_and_the_wait_is_random_below_it() {
        let mut random = fastrand::Rng::with_seed(7);
        for (attempt, limit_ms) in [(1, 1_000), (2, 2_000), (3, 4_000), (8, 60_000), (40, 60_000)] {
            let waits: Vec<u128> = (0..2000).map(|_| wait(attempt, &mut random).as_millis()).collect();
            assert!(waits.iter().all(|wait| *wait <= limit_ms), "{attempt}");
            assert!(waits.iter().any(|wait| *wait < limit_ms / 10), "{attempt}: jitter is full");
            assert!(waits.iter().any(|wait| *wait > limit_ms * 9 / 10), "{attempt}");
        }
    }
}
