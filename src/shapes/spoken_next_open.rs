//! `show = "spoken_next_open"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};
use crate::zone;

use super::{ConsumerModel, Moment, ReadBack, Shape, Takes};

/// The next opening in words.
pub(super) struct SpokenNextOpen;

impl Shape for SpokenNextOpen {
    fn name(&self) -> &'static str {
        "spoken_next_open"
    }

    fn doc(&self) -> &'static str {
        "The next opening in words of a `language`: `tomorrow at nine in the morning`; `otherwise` when \
         there is none."
    }

    fn takes(&self) -> Takes {
        Takes { language: true, ..Takes::default() }
    }

    fn consumer(&self) -> ConsumerModel {
        ConsumerModel::None
    }

    fn read_back(&self) -> ReadBack {
        ReadBack::AsWritten
    }

    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem> {
        let local = |at: Instant| zone::local(moment.hours.zone, at);
        let words = |opens| Value::String(moment.with.language.moment(local(moment.at), local(opens)));
        Ok(moment.hours.next_open(moment.at).map(words))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        // Words such as "tomorrow" depend on the date.
        Some(hours.next_change_of_the_day(at))
    }
}
