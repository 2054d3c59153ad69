//! `show = "next_open_at"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::{ConsumerModel, Moment, ReadBack, Shape, Takes, TimeFormat};

/// The next opening.
pub(super) struct NextOpenAt;

impl Shape for NextOpenAt {
    fn name(&self) -> &'static str {
        "next_open_at"
    }

    fn doc(&self) -> &'static str {
        "The next opening after now, by default as `2026-12-25T09:00:00+00:00`; `otherwise` when there \
         is none."
    }

    fn takes(&self) -> Takes {
        Takes { format: Some(TimeFormat::Rfc3339), ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::AsWritten
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        moment.hours.next_open(moment.at).map_or(Ok(None), |when| moment.write(when, false))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        hours.next_change(at)
    }
}
