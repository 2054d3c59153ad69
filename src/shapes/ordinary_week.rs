//! The hours of an ordinary week, without exceptions, as several shapes write them.

use chrono::{Datelike, NaiveDate};
use serde_json::Value;

use crate::hours::{Hours, Interval};

use super::{ConsumerModel, Intervals, Sent};

/// Returns the number of a date's weekday, Monday being 0.
pub(super) fn weekday(date: NaiveDate) -> usize {
    date.weekday().num_days_from_monday() as usize
}

/// Writes the hours of a weekday: `09:00-12:00, 13:00-17:00` or `closed`.
pub(super) fn text(hours: &Hours, day: usize, consumer: ConsumerModel) -> String {
    let text = |Interval { open, close }: Interval| format!("{}-{}", minutes(open), minutes(close));
    let texts: Vec<String> = intervals(hours, day).into_iter().map(text).collect();
    if texts.is_empty() { "closed".to_owned() } else { consumer.midnight(texts.join(", ")) }
}

/// Returns the intervals of a weekday, merged if they touch or overlap.
///
/// A merged interval is at most a day long, since times of day cannot express more.
pub(super) fn intervals(hours: &Hours, day: usize) -> Vec<Interval> {
    let mut intervals = hours.weekly.day(day).map_or(Vec::new(), |day| day.intervals.clone());
    intervals.sort_unstable();
    intervals.dedup_by(|next, one| {
        let (touch, close) = (next.open <= one.close, one.close.max(next.close));
        let is_one = touch && close <= one.open + 1440;
        if is_one {
            one.close = close;
        }
        is_one
    });
    intervals
}

/// Writes minutes since midnight as a time of day; the end of the day is 24:00.
pub(super) fn minutes(minute: u16) -> String {
    let minute = if minute > 1440 { minute - 1440 } else { minute };
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Reads the hours of a date: its special date, else the text of its weekday.
///
/// The value is an object with a text for each weekday, and a list of special dates under a key.
pub(super) fn read(
    sent: &Sent<'_>,
    special_key: &str,
    weekday_key: &str,
    date: NaiveDate,
) -> Option<Intervals> {
    let exceptional = sent.value.get(special_key).and_then(Value::as_array).into_iter().flatten();
    let on_date = Value::String(date.to_string());
    let exception = exceptional.into_iter().find(|item| item.get("date") == Some(&on_date));
    let text = match exception {
        Some(item) => item.get("hours"),
        None => sent.value.get(weekday_key),
    };
    Some(sent.consumer.read(text.and_then(Value::as_str).unwrap_or_default()))
}
