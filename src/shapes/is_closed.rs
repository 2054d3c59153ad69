//! `show = "is_closed"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::{ConsumerModel, Moment, ReadBack, Shape};

/// True while closed.
pub(super) struct IsClosed;

impl Shape for IsClosed {
    fn name(&self) -> &'static str {
        "is_closed"
    }

    fn doc(&self) -> &'static str {
        "`true` while closed."
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::AsWritten
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        Ok(Some(Value::Bool(!moment.hours.is_open(moment.at))))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        hours.next_change(at)
    }
}
