//! `show = "special_dates"`.

use serde_json::{Map, Value, json};

use crate::hours::{Hours, SpecialDate};
use crate::model::{Instant, Problem};

use super::shape::midnight;
use super::{ConsumerModel, Moment, ReadBack, Shape, Takes};

/// The coming dates whose hours an exception or a calendar decides.
pub(super) struct SpecialDates;

impl Shape for SpecialDates {
    fn name(&self) -> &'static str {
        "special_dates"
    }

    fn doc(&self) -> &'static str {
        "The coming dates, within `days` days, whose hours an exception or a calendar decides: \
         `[{\"date\": \"2026-12-25\", \"hours\": \"closed\", \"special_date_name\": \"Christmas Day\"}]`."
    }

    fn takes(&self) -> Takes {
        Takes { days: true, ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::AsWritten
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        Ok(Some(list(moment, moment.with.consumer, "special_date_name")))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }
}

/// Lists the coming special dates, each with its name under `name_key`.
pub(super) fn list(moment: &Moment, consumer: ConsumerModel, name_key: &str) -> Value {
    let item = |special: SpecialDate| {
        let mut item = Map::new();
        let text = consumer.midnight(moment.hours.text_of(special.date, &special.open));
        item.insert("date".to_owned(), json!(special.date));
        item.insert("hours".to_owned(), json!(text));
        if let Some(name) = special.name.filter(|name| !name.is_empty()) {
            item.insert(name_key.to_owned(), json!(name));
        }
        Value::Object(item)
    };
    let dates = consumer.special_dates(moment.hours, moment.today(), moment.with.days);
    Value::Array(dates.into_iter().map(item).collect())
}
