//! Wall-clock times in iCalendar notation.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

/// The message for a time in UTC where a date is expected.
pub(super) const AMBIGUOUS: &str = "ambiguous date: a time in UTC in an all-day series";

/// Parses a local time such as `19970714T133000` (RFC 5545, 3.3.5, form 1).
///
/// A leap second counts as the second before it.
pub(super) fn parse_local(text: &str) -> Option<NaiveDateTime> {
    let (date, time) = text.trim().split_once('T')?;
    // Years have four digits; longer ones would make rules run through hundreds of thousands of
    // years.
    if date.len() != 8 || time.len() != 6 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let date = NaiveDate::parse_from_str(date, "%Y%m%d").ok()?;
    let part = |at: usize| time[at..at + 2].parse::<u32>().ok();
    date.and_hms_opt(part(0)?, part(2)?, part(4)?.min(59))
}

/// Adds days and seconds to a wall-clock time; returns it unchanged beyond chrono's range.
pub(super) fn add(local: NaiveDateTime, days: i64, seconds: i64) -> NaiveDateTime {
    TimeDelta::try_days(days)
        .zip(TimeDelta::try_seconds(seconds))
        .and_then(|(days, seconds)| local.checked_add_signed(days)?.checked_add_signed(seconds))
        .unwrap_or(local)
}
