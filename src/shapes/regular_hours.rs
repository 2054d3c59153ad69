//! `show = "regular_hours"`.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::hours::{Hours, Interval};
use crate::model::{Instant, Problem, WEEKDAYS};

use super::ordinary_week::{self, minutes, weekday};
use super::shape::midnight;
use super::{ConsumerModel, Intervals, Misread, Moment, ReadBack, Sent, Shape};

/// The hours of an ordinary week as a list, an item for each interval.
pub(super) struct RegularHours;

impl Shape for RegularHours {
    fn name(&self) -> &'static str {
        "regular_hours"
    }

    fn doc(&self) -> &'static str {
        "The hours of an ordinary week as a list, an item for each interval: `[{\"day_of_week\": \
         \"monday\", \"is_open\": true, \"opening\": \"09:00:00\", \"closing\": \"17:30:00\"}, …]`. Put \
         `special_hours` beside it."
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::OneInterval
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals { beside: Some("special_hours"), read }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let mut items = Vec::new();
        for (day, name) in WEEKDAYS.iter().map(|weekday| weekday.key).enumerate() {
            let intervals = ordinary_week::intervals(moment.hours, day);
            if intervals.is_empty() {
                items.push(json!({"day_of_week": name, "is_open": false}));
            }
            items.extend(intervals.into_iter().map(|Interval { open, close }| {
                let closing = moment.with.consumer.midnight(minutes(close)) + ":00";
                let opening = minutes(open) + ":00";
                json!({"day_of_week": name, "is_open": true, "opening": opening, "closing": closing})
            }));
        }
        Ok(Some(Value::Array(items)))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }

    fn remedy(&self, misread: &Misread) -> Option<&'static str> {
        match (misread.is_special, misread.consumer) {
            (true, ConsumerModel::Intervals) => {
                Some("put special_hours with reader = \"intervals\" beside it, or show is_open")
            }
            (true, ConsumerModel::OneInterval) if misread.to_midnight => None,
            (true, _) => Some("put special_hours beside it, or show is_open"),
            (false, _) => None,
        }
    }
}

/// Reads both lists, of special dates and of weekdays.
///
/// The first item for the date decides, or all items if the consumer reads several intervals.
fn read(sent: &Sent<'_>, date: NaiveDate) -> Option<Intervals> {
    let items = |list: Option<&Value>, key: &str, day: &Value| -> Vec<Value> {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        list.filter(|item| item.get(key) == Some(day)).cloned().collect()
    };
    let mut found = items(sent.beside, "date", &json!(date));
    if found.is_empty() {
        found = items(Some(sent.value), "day_of_week", &json!(WEEKDAYS[weekday(date)].key));
    }
    if sent.consumer == ConsumerModel::OneInterval {
        found.truncate(1);
    }
    let text = |item: &Value| {
        let part = |key: &str| Some(item.get(key)?.as_str()?.get(..5)?.to_owned());
        let is_open = item.get("is_open") == Some(&Value::Bool(true));
        is_open.then(|| Some(format!("{}-{}", part("opening")?, part("closing")?)))?
    };
    Some(found.iter().filter_map(text).flat_map(|text| sent.consumer.read(&text)).collect())
}
