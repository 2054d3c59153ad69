//! Limits of the store, of lists from it, and of the log.

use std::time::Duration;

use chrono::TimeDelta;

use super::section::{Row, Section, bytes, count, time};

limits! {
    "Store and log"

    /// A year, and the same season of the year before.
    const KEEP_HISTORY: TimeDelta = TimeDelta::days(400);
    "age of history" => time(KEEP_HISTORY),
        "deleted, with ended overrides and used approvals; open PATCHes, lasting drift and active \
         overrides are kept",
        "[`store.keep_history`](settings.md#store)";

    const CHECKED_AT_START: u64 = 32 << 20;
    /// A large store of an older version is upgraded first.
    const UPGRADE_TIME: Duration = Duration::from_secs(600);
    "store that is checked before it is used" => bytes(CHECKED_AT_START),
        format!(
            "a larger one is checked only after an unclean end, while it is in use; systemd gets {} \
             more for the start",
            time(UPGRADE_TIME),
        );

    const HISTORY_LISTED: usize = 50;
    "changes that `history` lists" => count(HISTORY_LISTED), "the older ones are left out", "`--limit`";

    const DRIFTS_LISTED: usize = 1_000;
    "lasting drift that `status` lists" => count(DRIFTS_LISTED), "the rest is left out";

    const MAX_QUEUED_EVENTS: usize = 4_096;
    "log events that wait to be written" => count(MAX_QUEUED_EVENTS),
        "events are lost, and a line counts them";

    const MAX_EVENT: usize = 300;
    "line of the log" => format!("{MAX_EVENT} characters"), "the longest texts in it are cut";

    /// A shorter key would also be found in ordinary words.
    const MIN_HIDDEN: usize = 8;
    "API key that is kept out of the log" => format!("at least {MIN_HIDDEN} characters"),
        "a shorter one is not searched for";
}
