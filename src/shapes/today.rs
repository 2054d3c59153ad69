//! `show = "today"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::shape::midnight;
use super::{ConsumerModel, Moment, ReadBack, Shape};

/// Today's hours as text.
pub(super) struct Today;

impl Shape for Today {
    fn name(&self) -> &'static str {
        "today"
    }

    fn doc(&self) -> &'static str {
        "Today's hours as text: `09:00-12:00, 13:00-17:00`, or `closed`."
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::Intervals {
            beside: None,
            read: |sent, date| {
                let text = sent.value.as_str().filter(|_| date == sent.today);
                Some(sent.consumer.read(text.unwrap_or_default()))
            },
        }
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let text = moment.hours.text(moment.today());
        Ok(Some(Value::String(moment.with.consumer.midnight(text))))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(midnight(hours, at))
    }
}
