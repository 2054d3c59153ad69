//! `show = "week"`.

use serde_json::{Map, Value};

use crate::hours::Hours;
use crate::model::{Instant, Problem, WEEKDAYS};
use crate::zone;

use super::ordinary_week::{self, weekday};
use super::shape::midnight;
use super::{ConsumerModel, Moment, ReadBack, Shape};

/// Today and the six dates after it under their weekdays.
pub(super) struct Week;

impl Shape for Week {
    fn name(&self) -> &'static str {
        "week"
    }

    fn doc(&self) -> &'static str {
        "Today and the six dates after it under the names of their weekdays, exceptions included: \
         `{\"monday\": \"09:00-17:00\", …}`."
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals {
            beside: None,
            read: |sent, date| ordinary_week::read(sent, "special_dates", WEEKDAYS[weekday(date)].key, date),
        }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let dates = std::iter::successors(Some(moment.today()), |date| Some(zone::next(*date)));
        let mut days: Vec<_> = dates.take(7).map(|date| (weekday(date), moment.hours.text(date))).collect();
        // Monday first, whatever today is, so that the text does not change with the date.
        days.sort_unstable_by_key(|(day, _)| *day);
        let day = |(day, text): (usize, String)| {
            (WEEKDAYS[day].key.to_owned(), Value::String(moment.with.consumer.midnight(text)))
        };
        Ok(Some(Value::Object(days.into_iter().map(day).collect::<Map<_, _>>())))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }
}
