//! `show = "is_open"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::{ConsumerModel, Moment, ReadBack, Shape};

/// True while open.
pub(super) struct IsOpen;

impl Shape for IsOpen {
    fn name(&self) -> &'static str {
        "is_open"
    }

    fn doc(&self) -> &'static str {
        "`true` while open."
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::AsWritten
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        Ok(Some(Value::Bool(moment.hours.is_open(moment.at))))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        hours.next_change(at)
    }
}
