//! Limits of changes without approval, of rollouts and of overrides.

use chrono::TimeDelta;

use super::section::{Row, Section, count, time};
use super::time::HORIZON;

limits! {
    "Changes and overrides"

    const HOLD_PAGES_PERCENT: usize = 10;
    const HOLD_PAGES: usize = 5;
    "pages whose schedule may change at once" =>
        format!("{HOLD_PAGES_PERCENT}% or {HOLD_PAGES} pages, whichever is more"),
        "the revision is held", "`hold.pages_percent`, `hold.pages`";

    const HOLD_AHEAD: TimeDelta = TimeDelta::days(14);
    "period of the schedules that is compared" => format!("the next {}", time(HOLD_AHEAD)), "later changes are not counted";

    const MAX_CHANGES_COMPARED: usize = 1_000;
    "changes of one value that `diff` compares" => count(MAX_CHANGES_COMPARED),
        "the value is listed as not compared from there on";

    const HOLD_ROWS_PERCENT: usize = 5;
    "rows that a source may lose" => format!("{HOLD_ROWS_PERCENT}%"),
        "the revision is held", "`hold.rows_percent`";

    const HOLD_CLOSED_PERCENT: usize = 20;
    "sites that may become closed all day on one date" => format!("{HOLD_CLOSED_PERCENT}%"),
        "the revision is held", "`hold.closed_percent`";

    const HOLD_APPROVALS: usize = 1;
    const MAX_APPROVALS: u64 = 10;
    "people who must approve a held revision" => format!("{HOLD_APPROVALS}, at most {MAX_APPROVALS}"),
        "it stays held until then", "`hold.approvals`";

    /// Otherwise a large change could pass in small pieces.
    const HOLD_TOGETHER: TimeDelta = TimeDelta::hours(1);
    "time in which changes count together" => time(HOLD_TOGETHER), "";

    const SECOND_STAGE_PERCENT: usize = 5;
    "second stage of a rollout" => format!("{SECOND_STAGE_PERCENT}% of its pages"), "the rest follows";

    const MAX_OVERRIDE: TimeDelta = HORIZON;
    "length of an override with an end" => time(MAX_OVERRIDE),
        "refused; one without an end lasts until it is released";

    const OVERRIDE_CHECKED: TimeDelta = TimeDelta::days(14);
    /// No other page is processed during the check.
    const MAX_OVERRIDE_STEPS: usize = 5_000;
    "check of an override's values against the schema" =>
        format!("{}, and {} instants for all its pages", time(OVERRIDE_CHECKED), count(MAX_OVERRIDE_STEPS)),
        "later values are checked when they are due";

    note "The thresholds are described in \
          [holds and rollouts](../concepts/holds-and-rollouts.md#thresholds).".to_owned();
}
