//! `show = "next_change_at"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::{ConsumerModel, Moment, ReadBack, Shape, Takes, TimeFormat};

/// The next opening or closing.
pub(super) struct NextChangeAt;

impl Shape for NextChangeAt {
    fn name(&self) -> &'static str {
        "next_change_at"
    }

    fn doc(&self) -> &'static str {
        "The next opening or closing after now, by default as `2026-12-25T09:00:00+00:00`; `otherwise` \
         when there is none."
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
        let closes = moment.hours.is_open(moment.at);
        moment.hours.next_change(moment.at).map_or(Ok(None), |when| moment.write(when, closes))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        hours.next_change(at)
    }
}
