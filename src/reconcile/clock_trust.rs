//! Decides if the wall clock can be trusted.
//!
//! A clock that starts in 1970, or jumps by more than an hour, would change every page. Nothing is
//! sent until the clock is right again, the API's clock agrees with it, or a person confirms it.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::limits::time::{CLOCK_AGREEMENT, CLOCK_JUMP, EARLIEST_TIME};
use crate::model::Instant;

/// Compares the wall clock with the elapsed uptime.
#[derive(Debug)]
pub struct ClockTrust {
    now: Instant,
    up: Duration,
    distrust: Option<Distrust>,
    /// True after a person confirmed the clock, regardless of the API's clock.
    confirmed_by_person: bool,
    /// True after the API's clock agreed.
    agreed: bool,
}

/// A reading of a trusted clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockReading {
    at: Instant,
    /// The uptime at the reading, in milliseconds.
    up_ms: u64,
    /// The boot ID of the machine, to which the uptime belongs.
    boot: String,
}

impl ClockReading {
    /// The name under which the store keeps it.
    pub const FACT: &'static str = "clock";

    fn up(&self) -> Duration {
        Duration::from_millis(self.up_ms)
    }
}

/// The reason why the clock is untrusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Distrust {
    /// The problem, as text.
    what: String,
    /// The time it would show had it not been set, and the matching uptime.
    expected: Option<(Instant, Duration)>,
}

impl Distrust {
    /// Returns the problem with a hint.
    pub fn describe(&self) -> String {
        format!(
            "nothing is sent while the clock is untrusted: {} (hint: correct the clock; if it is right, \
             run rtconfd approve clock)",
            self.what
        )
    }
}

/// The result of a clock check.
#[derive(Clone, Debug, PartialEq)]
pub enum TrustChange {
    /// Nothing new.
    None,
    /// The clock became untrusted, or is now untrusted for another reason.
    Untrusted,
    /// The clock is trusted again.
    Trusted,
}

impl ClockTrust {
    /// Starts watching the clock.
    ///
    /// A clock that is more than an hour behind `last_known`, or shows a time before the program
    /// existed, is untrusted.
    pub fn new(clock: &dyn Clock, last_known: Option<Instant>) -> Self {
        let now = clock.now();
        let first: Option<Instant> = EARLIEST_TIME.parse().ok();
        let known = last_known.and_then(|at| at.checked_sub_signed(CLOCK_JUMP));
        let earliest = first.into_iter().chain(known).max();
        let distrust = earliest.filter(|earliest| now < *earliest).map(|earliest| Distrust {
            what: format!("it shows {}, but it was {} before", utc(now), utc(earliest)),
            expected: None,
        });
        Self { now, up: clock.uptime(), distrust, confirmed_by_person: false, agreed: false }
    }

    /// Compares the clock with a reading from an earlier run during the same boot.
    ///
    /// The uptime gives the exact time since then, even if the clock was set.
    pub fn remember(&mut self, seen: &ClockReading, clock: &dyn Clock) {
        let is_same_boot = clock.boot().is_some_and(|boot| boot == seen.boot);
        let (now, up) = (clock.now(), clock.uptime());
        let Some(passed) = up.checked_sub(seen.up()).filter(|_| is_same_boot) else { return };
        let expected = add(seen.at, Some(passed));
        if (now - expected).abs() > CLOCK_JUMP && self.distrust.is_none() {
            let what =
                format!("it shows {}, but should show {} by its earlier reading", utc(now), utc(expected));
            self.distrust = Some(Distrust { what, expected: Some((expected, up)) });
        }
    }

    /// Returns the current reading, for the next start.
    pub fn reading(&self, clock: &dyn Clock) -> Option<ClockReading> {
        let up_ms = u64::try_from(clock.uptime().as_millis()).ok()?;
        self.distrust.is_none().then_some(ClockReading { at: clock.now(), up_ms, boot: clock.boot()? })
    }

    /// Checks the clock once more.
    pub fn update(&mut self, clock: &dyn Clock) -> TrustChange {
        let (now, up) = (clock.now(), clock.uptime());
        let expected = add(self.now, (up.saturating_sub(self.up)).checked_mul(clock.speed()));
        let leap = now - expected;
        let before = self.distrust.clone();
        if leap.abs() > CLOCK_JUMP {
            let what = format!("it jumped from {} to {}", utc(expected), utc(now));
            // A jump back to the original time means that the clock was corrected.
            let origin = before.as_ref().map_or(Some((expected, up)), |distrust| distrust.expected);
            self.distrust = Some(Distrust { what, expected: origin });
        }
        (self.now, self.up) = (now, up);
        if let Some((expected, then)) = self.distrust.as_ref().and_then(|distrust| distrust.expected)
            && (now - add(expected, up.saturating_sub(then).checked_mul(clock.speed()))).abs()
                < CLOCK_AGREEMENT
        {
            self.distrust = None;
        }
        match (&before, &self.distrust) {
            (Some(_), None) => TrustChange::Trusted,
            (before, Some(distrust)) if before.as_ref() != Some(distrust) => TrustChange::Untrusted,
            _ => TrustChange::None,
        }
    }

    /// Compares the clock with the API's current time.
    ///
    /// If they agree, the clock is trusted again. If they differ by more than an hour, it becomes
    /// untrusted, but only if it is a real wall clock that no person confirmed.
    pub fn compare(&mut self, api: Instant, clock: &dyn Clock) -> TrustChange {
        let off = (api - clock.now()).abs();
        self.agreed |= off < CLOCK_AGREEMENT;
        if off < CLOCK_AGREEMENT && self.distrust.take().is_some() {
            return TrustChange::Trusted;
        }
        if off > CLOCK_JUMP && self.distrust.is_none() && clock.is_wall() && !self.confirmed_by_person {
            let what = format!("it shows {}, but the API's clock shows {}", utc(clock.now()), utc(api));
            self.distrust = Some(Distrust { what, expected: None });
            return TrustChange::Untrusted;
        }
        TrustChange::None
    }

    /// Records that a person confirmed the clock. Returns true if it was untrusted.
    pub fn confirm(&mut self) -> bool {
        self.confirmed_by_person = true;
        self.distrust.take().is_some()
    }

    /// Returns true if the clock is trusted and was confirmed by the API or a person.
    pub fn is_confirmed(&self) -> bool {
        self.distrust.is_none() && (self.agreed || self.confirmed_by_person)
    }

    /// Returns why the clock is untrusted, if it is.
    pub fn distrust(&self) -> Option<&Distrust> {
        self.distrust.as_ref()
    }
}

fn add(at: Instant, length: Option<Duration>) -> Instant {
    let length = length.and_then(|length| TimeDelta::from_std(length).ok());
    length.and_then(|length| at.checked_add_signed(length)).unwrap_or(at)
}

fn utc(at: Instant) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn elapsed_time_and_small_corrections_are_trusted() {
        let clock = ManualClock::new(at("2026-11-26T12:00:00Z"));
        let mut watch = ClockTrust::new(&clock, Some(at("2026-11-26T11:00:00Z")));
        for hours in [1, 5, 72] {
            // A suspend counts as elapsed time.
            clock.set(clock.now() + TimeDelta::hours(hours));
            assert_eq!(watch.update(&clock), TrustChange::None);
        }
        for minutes in [-59, 59, -1] {
            clock.step(clock.now() + TimeDelta::minutes(minutes));
            assert_eq!(watch.update(&clock), TrustChange::None, "{minutes}");
        }
        assert!(watch.distrust().is_none());
    }

    #[test]
    fn a_clock_jump_is_untrusted_until_reverted_or_confirmed() {
        for hours in [2, -2, 24 * 365 * 10] {
            let start = at("2026-11-26T12:00:00Z");
            let clock = ManualClock::new(start);
            let leap = || {
                let mut watch = ClockTrust::new(&clock, None);
                clock.step(clock.now() + TimeDelta::hours(hours));
                assert_eq!(watch.update(&clock), TrustChange::Untrusted);
                assert_eq!(watch.update(&clock), TrustChange::None, "it stays untrusted");
                watch
            };
            let mut watch = leap();
            clock.set(clock.now() + TimeDelta::minutes(10));
            clock.step(clock.now() - TimeDelta::hours(hours));
            assert_eq!(watch.update(&clock), TrustChange::Trusted);
            let mut watch = leap();
            assert_eq!(watch.compare(start, &clock), TrustChange::None, "that is the time before the jump");
            assert_eq!(watch.compare(clock.now() + TimeDelta::minutes(1), &clock), TrustChange::Trusted);
            assert!(!leap().distrust().unwrap().describe().is_empty());
            clock.step(start);
            assert!(leap().confirm());
            clock.step(start);
        }
    }

    /// A clock that is days ahead or behind is untrusted, even if the API reports no time.
    #[test]
    fn a_clock_set_while_the_program_was_off_is_untrusted_within_the_same_boot() {
        /// A manual clock with a boot ID.
        struct Booted(ManualClock, &'static str);
        impl Clock for Booted {
            fn now(&self) -> Instant {
                self.0.now()
            }
            fn uptime(&self) -> Duration {
                self.0.uptime()
            }
            fn boot(&self) -> Option<String> {
                Some(self.1.to_owned())
            }
            fn sleep_until(&self, at: Instant) -> crate::clock::Wait<'_> {
                self.0.sleep_until(at)
            }
        }
        let start = at("2026-11-26T12:00:00Z");
        for (days, boot, is_doubted) in [(26, "a", true), (-3, "a", true), (0, "a", false), (26, "b", false)]
        {
            let clock = Booted(ManualClock::new(start), "a");
            let reading = ClockTrust::new(&clock, None).reading(&clock).unwrap();
            clock.0.set(clock.now() + TimeDelta::minutes(7));
            clock.0.step(clock.now() + TimeDelta::days(days));
            let clock = Booted(clock.0, boot);
            let mut watch = ClockTrust::new(&clock, None);
            watch.remember(&reading, &clock);
            assert_eq!(watch.distrust().is_some(), is_doubted, "{days} {boot}");
            assert_eq!(watch.reading(&clock).is_none(), is_doubted, "it is not remembered");
            if is_doubted {
                clock.0.step(clock.now() - TimeDelta::days(days));
                watch.update(&clock);
                assert!(watch.distrust().is_none(), "{days}: it was corrected");
            }
        }
    }

    #[test]
    fn a_clock_that_starts_before_the_last_known_time_is_untrusted() {
        let clock = ManualClock::new(at("1970-01-01T00:00:30Z"));
        assert!(ClockTrust::new(&clock, None).distrust().is_some());
        let clock = ManualClock::new(at("2026-11-26T12:00:00Z"));
        let watch = ClockTrust::new(&clock, Some(at("2026-11-27T12:00:00Z")));
        assert!(watch.distrust().unwrap().describe().contains("rtconfd approve clock"));
    }
}
