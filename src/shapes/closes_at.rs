//! `show = "closes_at"`.

use chrono::NaiveDate;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::consumer::time;
use super::{
    ConsumerModel, Intervals, Misread, Moment, ReadBack, Sent, Shape, Takes, TimeFormat, one_interval,
};

/// The closing time of the interval that `opens_at` shows.
pub(super) struct ClosesAt;

impl Shape for ClosesAt {
    fn name(&self) -> &'static str {
        "closes_at"
    }

    fn doc(&self) -> &'static str {
        "The closing time of the interval that `opens_at` shows: `17:30`; a closing at midnight is `24:00`."
    }

    fn takes(&self) -> Takes {
        Takes { format: Some(TimeFormat::Minutes), ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        one_interval::CONSUMER
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals { beside: Some("opens_at"), read }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        one_interval::shown(moment).map_or(Ok(None), |period| moment.write(period.to, true))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(hours.next_change_of_the_day(at))
    }

    fn remedy(&self, misread: &Misread) -> Option<&'static str> {
        one_interval::remedy(misread)
    }
}

/// Reads both times of day of a date.
///
/// Instants are not read, since they compare correctly whatever their dates.
fn read(sent: &Sent<'_>, date: NaiveDate) -> Option<Intervals> {
    let opens = sent.beside.filter(|_| !is_instant(sent.value))?;
    // An agent compares times within one date, so an end on the next date is never reached.
    let interval = minutes(opens).zip(minutes(sent.value)).filter(|(opens, closes)| opens < closes);
    Some(interval.filter(|_| date == sent.today).into_iter().collect())
}

/// Returns true for a time that includes its date.
fn is_instant(value: &Value) -> bool {
    value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok())
}

/// Reads a time of day in minutes: an hour up to 24, `HH:MM` or `HH:MM:SS`.
///
/// An hour may also be the text of a cell that the schema types. In the other forms, no consumer
/// accepts 24:00.
fn minutes(value: &Value) -> Option<u32> {
    let hours = |hours: u32| hours.checked_mul(60);
    match value {
        Value::Number(number) => hours(u32::try_from(number.as_u64()?).ok()?),
        Value::String(text) => match text.trim().parse() {
            Ok(number) => hours(number),
            Err(_) => {
                let mut parts = text.splitn(3, ':');
                time(&format!("{}:{}", parts.next()?, parts.next()?))
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_back_in_every_format() {
        for (value, expected) in [
            (json!("08:00"), Some(480)),
            (json!("8:00"), Some(480)),
            (json!("8:00:00"), Some(480)),
            (json!("08:30:59"), Some(510)),
            (json!(8), Some(480)),
            (json!("8"), Some(480)),
            (json!(24), Some(1440)),
            (json!("24:00"), None),
            (json!("closed"), None),
            (json!("8:"), None),
            (json!(100_000_000), None),
            (json!(null), None),
        ] {
            assert_eq!(minutes(&value), expected, "{value}");
        }
    }
}
