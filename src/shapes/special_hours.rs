//! `show = "special_hours"`.

use serde_json::{Map, Value, json};

use crate::hours::{Hours, Period};
use crate::model::{Instant, Problem};
use crate::zone;

use super::shape::midnight;
use super::{ConsumerModel, Moment, ReadBack, Shape, Takes};

/// The coming dates that differ as a list, an item for each interval.
pub(super) struct SpecialHours;

impl Shape for SpecialHours {
    fn name(&self) -> &'static str {
        "special_hours"
    }

    fn doc(&self) -> &'static str {
        "The coming dates that differ as a list, an item for each interval: `[{\"date\": \"2026-12-25\", \
         \"name\": \"Christmas Day\", \"is_open\": false}, …]`; open ones have `opening` and `closing` \
         as in `regular_hours`."
    }

    fn takes(&self) -> Takes {
        Takes { days: true, ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::With("regular_hours")
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let (hours, consumer) = (moment.hours, moment.with.consumer);
        let mut items = Vec::new();
        for special in consumer.special_dates(hours, moment.today(), moment.with.days) {
            let mut item = Map::new();
            item.insert("date".to_owned(), json!(special.date));
            if let Some(name) = special.name.filter(|name| !name.is_empty()) {
                item.insert("name".to_owned(), json!(name));
            }
            item.insert("is_open".to_owned(), json!(!special.open.is_empty()));
            if special.open.is_empty() {
                items.push(Value::Object(item));
                continue;
            }
            for Period { from, to } in special.open {
                let mut item = item.clone();
                let (hour, minute) = hours.closing_time(special.date, to);
                let closing = consumer.midnight(format!("{hour:02}:{minute:02}"));
                item.insert("opening".to_owned(), json!(clock(hours, from)));
                item.insert("closing".to_owned(), json!(closing + ":00"));
                items.push(Value::Object(item));
            }
        }
        Ok(Some(Value::Array(items)))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }
}

fn clock(hours: &Hours, at: Instant) -> String {
    zone::local(hours.zone, at).format("%H:%M:%S").to_string()
}
