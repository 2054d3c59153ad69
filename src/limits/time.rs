//! Limits of instants, clocks, and searches through time.

use std::ops::RangeInclusive;

use chrono::TimeDelta;

use super::section::{Row, Section, bytes, count, days, time};

limits! {
    "Time"

    /// A year and a month: each date of a year is then seen together with its neighbours.
    const HORIZON_DAYS: u64 = 400;
    /// The same as a length of time.
    const HORIZON: TimeDelta = TimeDelta::days(HORIZON_DAYS as i64);
    "evaluation ahead" => time(HORIZON), "later values are not checked and have no `until`";

    const YEARS: RangeInclusive<i32> = 1900..=2200;
    "dates in settings and files, instants on the command line" =>
        format!("{} to {}", YEARS.start(), YEARS.end()), "refused";

    /// The program did not exist before.
    const EARLIEST_TIME: &str = "2026-01-01T00:00:00Z";
    "earliest plausible time of the clock" => &EARLIEST_TIME[..10], "the clock is untrusted";

    /// A clock set by more than this was not just corrected.
    const CLOCK_JUMP: TimeDelta = TimeDelta::hours(1);
    "jump of the clock" => time(CLOCK_JUMP), "the clock is untrusted";

    const CLOCK_AGREEMENT: TimeDelta = TimeDelta::minutes(5);
    "difference at which two clocks agree" => format!("less than {}", time(CLOCK_AGREEMENT)),
        "the clock stays untrusted until `rtconfd approve clock` or until it is right";

    // A rule: a release has a year but no day.
    "age of the zone database" => "until June of the year after its release", "a warning";

    const MAX_ZONE_BYTES: u64 = 64 << 10;
    "size of a file of the zone database" => bytes(MAX_ZONE_BYTES), "the zone is unknown";

    /// A year of midnights takes fewer.
    const MAX_STEPS_TO_NEXT: usize = 2_000;
    "search for the next change of one variable" => format!("{} steps", count(MAX_STEPS_TO_NEXT)),
        "no next change is shown";

    /// A change every minute for two months takes fewer.
    const MAX_SCAN_STEPS: usize = 100_000;
    "scan of all changes of one variable" => format!("{} steps", count(MAX_SCAN_STEPS)),
        "`preview` ends there with a warning, `since` of `explain` is null, and two revisions count as different";

    const MAX_SPEED: u32 = 86_400;
    "`--speed`" => count(MAX_SPEED), "a usage error";

    /// The wait before a page without a value is evaluated again.
    const WITHOUT_VALUE: TimeDelta = TimeDelta::hours(1);
    /// The hours without a value after which a page is evaluated only once a day.
    const WITHOUT_VALUE_HOURS: usize = 8 * 24;
    "page without a value" =>
        format!(
            "evaluated again after {}; after {}' worth, each day",
            time(WITHOUT_VALUE), days(WITHOUT_VALUE_HOURS / 24),
        ),
        "";
}
