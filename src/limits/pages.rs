//! Limits of fetched pages, of their schemas, and of commands that evaluate them.

use std::time::Duration;

use chrono::TimeDelta;

use super::section::{Row, Section, bytes, count, days, time};
use super::time::HORIZON;

limits! {
    "Pages and schemas"

    const MAX_FETCHED_MIB: usize = 512;
    "memory for all fetched pages" => bytes(MAX_FETCHED_MIB << 20), "nothing is sent to the pages beyond it",
        "`api.max_fetched_mib`";

    /// Arrays and objects are included.
    const MAX_SCHEMA_VALUES: usize = 50_000;
    "values of a schema" => count(MAX_SCHEMA_VALUES), "nothing is sent to the page";

    /// Keys, patterns and descriptions are text.
    const MAX_SCHEMA_BYTES: usize = 1 << 20;
    "text in a schema" => bytes(MAX_SCHEMA_BYTES), "nothing is sent to the page";

    /// Each may take [`MAX_PATTERN_BYTES`] of memory.
    const MAX_PATTERNS: usize = 100;
    "different patterns in a schema" => count(MAX_PATTERNS), "nothing is sent to the page";

    const MAX_PATTERN_BYTES: usize = 512 << 10;
    "size of one compiled pattern" => bytes(MAX_PATTERN_BYTES), "nothing is sent to the page";

    /// Only such patterns backtrack.
    const MAX_PATTERN_STEPS: usize = 10_000;
    "work of a pattern with look-around" => format!("{} steps of backtracking", count(MAX_PATTERN_STEPS)),
        "the value breaks the schema";

    /// They are summed over all targets. A compiler recurses that deep, and twice as many still fit a
    /// thread's stack.
    const MAX_LEVELS: usize = 500;
    "levels that references lead through" => count(MAX_LEVELS), "nothing is sent to the page";

    const MAX_EXPANDED: u64 = 100_000;
    "subschemas for one place of the page, references followed" => count(MAX_EXPANDED),
        "nothing is sent to the page";

    /// They are counted once for each value and rule.
    const MAX_EVALUATED: u64 = 500_000;
    "subschemas evaluated for the whole page" => count(MAX_EVALUATED), "nothing is sent to the page";

    const CHECK_TIMEOUT: Duration = Duration::from_millis(250);
    "time of one check against the schema" => time(CHECK_TIMEOUT), "nothing is sent to the page";

    const MAX_ABANDONED_CHECKS: usize = 8;
    "checks beyond that time that still run" => count(MAX_ABANDONED_CHECKS),
        "no check that may take long is started";

    const MAX_BROKEN_RULES: usize = 50;
    "broken rules that are reported for one page" => count(MAX_BROKEN_RULES),
        "the others appear once these are fixed";

    const MAX_DIFFERENCES: usize = 10_000;
    "differences that `schema diff` and `schema push` report" => count(MAX_DIFFERENCES),
        "the rest is left out";

    /// Eight changes an hour for 400 days stay within both.
    const MAX_LOOK_AHEAD_STEPS: usize = 80_000;
    const MAX_LOOK_AHEAD_TIME: Duration = Duration::from_secs(10);
    "look-ahead of `check` and `schema push`, for each page" =>
        format!(
            "{}, {} changes, {} of work",
            time(HORIZON), count(MAX_LOOK_AHEAD_STEPS), time(MAX_LOOK_AHEAD_TIME),
        ),
        "the page is checked up to there, with a warning";

    const MAX_SINCE: TimeDelta = TimeDelta::days(40);
    "`explain`: search for the start of a value" => time(MAX_SINCE), "`since` is null";

    const PAGES_SHOWN: usize = 20;
    "`status`: pages that are all listed" => count(PAGES_SHOWN), "only pages with a problem are listed; `--all` lists all";

    const MAX_NEXT_CHANGE: TimeDelta = TimeDelta::days(60);
    "`status`: search for the next change" => time(MAX_NEXT_CHANGE), "`next_change` is null";

    const MAX_PREVIEW_DAYS: u64 = 4_000;
    "`preview --days`" => days(MAX_PREVIEW_DAYS), "a usage error";
}
