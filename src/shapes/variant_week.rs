//! `show = "variant_week"`.

use chrono::NaiveDate;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, NamedWeekday, Problem, WEEKDAYS};

use super::ordinary_week::{self, weekday};
use super::shape::midnight;
use super::{ConsumerModel, Intervals, Moment, ReadBack, Sent, Shape};

/// The hours of an ordinary week on one line, as variants of an agent keep them.
pub(super) struct VariantWeek;

impl Shape for VariantWeek {
    fn name(&self) -> &'static str {
        "variant_week"
    }

    fn doc(&self) -> &'static str {
        "The hours of an ordinary week on one line, as an agent's variants keep opening hours: `Mon: \
         09:00-17:00; Tue: Closed; …`. Exceptions are not included."
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals { beside: None, read }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let day = |(day, NamedWeekday { short, .. }): (usize, &NamedWeekday)| {
            let text = ordinary_week::text(moment.hours, day, moment.with.consumer);
            format!("{short}: {}", text.replace("closed", "Closed"))
        };
        let days: Vec<String> = WEEKDAYS.iter().enumerate().map(day).collect();
        Ok(Some(Value::String(days.join("; "))))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }
}

fn read(sent: &Sent<'_>, date: NaiveDate) -> Option<Intervals> {
    let name = format!("{}: ", WEEKDAYS[weekday(date)].short);
    let text = sent.value.as_str()?.split("; ").find_map(|day| day.strip_prefix(&name));
    Some(sent.consumer.read(text.unwrap_or_default()))
}
