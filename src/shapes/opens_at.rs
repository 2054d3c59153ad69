//! `show = "opens_at"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};

use super::{ConsumerModel, Misread, Moment, ReadBack, Shape, Takes, TimeFormat, one_interval};

/// The opening time of one interval of today.
pub(super) struct OpensAt;

impl Shape for OpensAt {
    fn name(&self) -> &'static str {
        "opens_at"
    }

    fn doc(&self) -> &'static str {
        "The opening time of the current interval, else of today's next, else of today's last: `09:00`. \
         With `closes_at` beside it, `opens_at <= now < closes_at` is true exactly while it is open."
    }

    fn takes(&self) -> Takes {
        Takes { format: Some(TimeFormat::Minutes), ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        one_interval::CONSUMER
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::With("closes_at")
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        one_interval::shown(moment).map_or(Ok(None), |period| moment.write(period.from, false))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        Some(hours.next_change_of_the_day(at))
    }

    fn remedy(&self, misread: &Misread) -> Option<&'static str> {
        one_interval::remedy(misread)
    }
}
