//! `show = "numbered"`.

use serde_json::{Map, Value, json};

use crate::hours::Hours;
use crate::model::{Instant, Problem, WEEKDAYS};

use super::ordinary_week::{self, weekday};
use super::shape::midnight;
use super::{ConsumerModel, Misread, Moment, ReadBack, Shape, Takes, special_dates};

const SPECIAL_KEY: &str = "08_special_dates";

/// The hours of an ordinary week under numbered keys, and the coming dates that differ.
///
/// Several intervals are separated by `;`.
pub(super) struct Numbered;

impl Shape for Numbered {
    fn name(&self) -> &'static str {
        "numbered"
    }

    fn doc(&self) -> &'static str {
        "Like `weekdays` with numbered keys, for agents that read several intervals a date and intervals \
         past midnight: `{\"00_timezone\": …, \"01_monday\": \"11:00-22:00;23:00-01:00\", …, \
         \"08_special_dates\": [{\"date\", \"hours\"}]}`."
    }

    fn takes(&self) -> Takes {
        Takes { days: true, ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::Intervals
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals {
            beside: None,
            read: |sent, date| ordinary_week::read(sent, SPECIAL_KEY, &key(weekday(date)), date),
        }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let consumer = ConsumerModel::Intervals;
        let apart = |text: &str| json!(text.replace(", ", ";"));
        let day = |day: usize| (key(day), apart(&ordinary_week::text(moment.hours, day, consumer)));
        let mut value = Map::new();
        value.insert("00_timezone".to_owned(), json!(moment.hours.zone.name()));
        value.extend((0..7).map(day));
        let mut special = special_dates::list(moment, consumer, "name");
        for date in special.as_array_mut().into_iter().flatten() {
            date["hours"] = apart(date["hours"].as_str().unwrap_or_default());
        }
        value.insert(SPECIAL_KEY.to_owned(), special);
        Ok(Some(Value::Object(value)))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }

    fn remedy(&self, misread: &Misread) -> Option<&'static str> {
        (misread.consumer != ConsumerModel::OneInterval)
            .then_some("show is_open; or, if the agent reads it differently, set reader = \"none\"")
    }
}

/// Returns the key of a weekday: `01_monday`.
fn key(day: usize) -> String {
    format!("{:02}_{}", day + 1, WEEKDAYS[day].key)
}
