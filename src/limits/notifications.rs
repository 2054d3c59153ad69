//! Limits of notifications.

use std::time::Duration;

use chrono::TimeDelta;

use super::section::{Row, Section, bytes, count, days, time};

limits! {
    "Notifications"

    const MAX_RECEIVERS: usize = 20;
    "`[[notify]]` blocks" => count(MAX_RECEIVERS), "refused";

    const COLLECT: Duration = Duration::from_secs(10);
    const SLOWEST_COLLECT: u32 = 16;
    "time in which events are collected for one message" => time(COLLECT),
        format!(
            "it doubles with each message that follows soon, up to {SLOWEST_COLLECT} times the setting",
        ),
        "[`collect`](settings.md#notify)";

    const EVENTS_LISTED: usize = 5;
    "events of one kind that a message lists" => count(EVENTS_LISTED), "the rest is counted";

    const MAX_EVENT_TEXT: usize = 300;
    "text of an event" => format!("{} characters", count(MAX_EVENT_TEXT)), "the end is cut off, marked with `…`";

    const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);
    "delivery of a message, or run of a command" => time(NOTIFY_TIMEOUT),
        "it failed and is retried", "[`timeout`](settings.md#notify)";

    const FIRST_NOTIFY_RETRY: Duration = Duration::from_secs(5);
    const LONGEST_NOTIFY_RETRY: Duration = Duration::from_secs(600);
    "wait before the next attempt" =>
        format!("{}, doubled up to {}", time(FIRST_NOTIFY_RETRY), time(LONGEST_NOTIFY_RETRY)),
        "a longer `Retry-After` is shortened to the maximum";

    const GIVE_UP: TimeDelta = TimeDelta::days(3);
    const GIVE_UP_REFUSED: TimeDelta = TimeDelta::hours(1);
    const GIVE_UP_CONTENT: TimeDelta = TimeDelta::minutes(1);
    "age of a message that is retried" =>
        format!(
            "{}; {} if the receiver refuses it; {} if it refuses the content and newer events wait",
            time(GIVE_UP), time(GIVE_UP_REFUSED), time(GIVE_UP_CONTENT),
        ),
        "it is dropped; the log and the next message say so";

    const MAX_NOTIFY_ANSWER: usize = 4 << 10;
    "answer of a receiver, or output of a command, that is read" => bytes(MAX_NOTIFY_ANSWER),
        "the rest is ignored";

    const MAX_CONDITIONS: usize = 1_000;
    "input problems, ending data and overrides that are reported, of each" => count(MAX_CONDITIONS),
        "the rest is not reported until some of them end";

    const RESTORED_LISTED: usize = 100;
    "restored drift that waits to be reported" => count(RESTORED_LISTED), "the oldest is forgotten";

    const KEY_WARNED_DAYS: u64 = 14;
    "time before `api.key_expires` in which it is reported" => days(KEY_WARNED_DAYS), "";
}
