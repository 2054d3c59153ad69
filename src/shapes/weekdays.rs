//! `show = "weekdays"`.

use serde_json::{Map, Value, json};

use crate::hours::Hours;
use crate::model::{Instant, Problem, WEEKDAYS};

use super::ordinary_week::{self, weekday};
use super::shape::midnight;
use super::{ConsumerModel, Moment, ReadBack, Shape, Takes, special_dates};

/// The hours of an ordinary week by weekday, and the coming dates that differ.
pub(super) struct Weekdays;

impl Shape for Weekdays {
    fn name(&self) -> &'static str {
        "weekdays"
    }

    fn doc(&self) -> &'static str {
        "The hours of an ordinary week under the names of its days, and the coming dates that differ: \
         `{\"monday\": \"09:00-17:00\", …, \"special_dates\": [{\"date\", \"hours\", \
         \"special_date_name\"}]}`."
    }

    fn takes(&self) -> Takes {
        Takes { days: true, ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::OneInterval
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals {
            beside: None,
            read: |sent, date| ordinary_week::read(sent, "special_dates", WEEKDAYS[weekday(date)].key, date),
        }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let consumer = moment.with.consumer;
        let day = |day: usize| {
            (WEEKDAYS[day].key.to_owned(), json!(ordinary_week::text(moment.hours, day, consumer)))
        };
        let mut value: Map<String, Value> = (0..7).map(day).collect();
        let special = special_dates::list(moment, consumer, "special_date_name");
        value.insert("special_dates".to_owned(), special);
        Ok(Some(Value::Object(value)))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }
}
