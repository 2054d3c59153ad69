//! `show = "spoken"`.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Problem};
use crate::zone;

use super::language::Language;
use super::{ConsumerModel, Moment, ReadBack, Shape, Takes};

/// The state, open or closed, and its end, in words.
pub(super) struct Spoken;

impl Shape for Spoken {
    fn name(&self) -> &'static str {
        "spoken"
    }

    fn doc(&self) -> &'static str {
        "The current state and when it changes, in words of a `language`: `open until ten in the \
         evening`, `closed, open again on Monday at eight in the morning`."
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
        let (hours, language) = (moment.hours, moment.with.language);
        let local = |at: Instant| zone::local(hours.zone, at);
        let now = local(moment.at);
        Ok(Some(Value::String(match hours.is_open(moment.at) {
            true => language.open(now, hours.next_change(moment.at).map(local)),
            false => language.closed(now, hours.next_open(moment.at).map(local)),
        })))
    }

    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        let end = hours.next_change_of_the_day(at);
        let closes = hours.next_change(at).filter(|_| hours.is_open(at));
        let shortens = closes.map(|closes| Language::shortens(zone::local(hours.zone, closes)));
        let shortens = shortens.map(|local| zone::instant(hours.zone, local));
        Some(shortens.filter(|shortens| *shortens > at).map_or(end, |shortens| shortens.min(end)))
    }
}
