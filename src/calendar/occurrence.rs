//! One occurrence of an event, and the window of dates that is evaluated.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use crate::model::{Instant, Origin};
use crate::zone::{self, Zone};

use super::categories::Categories;
use super::timezones::EventZone;

/// A range of local dates, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first date.
    pub from: NaiveDate,
    /// The date after the last one.
    pub to: NaiveDate,
}

/// The time of an occurrence as written; a zone turns it into instants.
#[derive(Clone, Debug)]
pub enum Span {
    /// Whole dates, in every zone; the end is the date after the last.
    Dates(NaiveDate, NaiveDate),
    /// A period between two local times; floating times use the zone of the evaluation.
    Times(EventTime, EventTime),
}

impl Span {
    /// Returns true if the span may overlap the window in some zone.
    pub(super) fn touches(&self, window: Window) -> bool {
        match self {
            Self::Dates(from, to) => *from < window.to && *to > window.from,
            Self::Times(..) => true,
        }
    }
}

/// A local time in an event's zone, moved by an exact number of seconds.
#[derive(Clone, Debug)]
pub struct EventTime {
    pub(super) local: NaiveDateTime,
    pub(super) zone: EventZone,
    pub(super) plus_seconds: i64,
}

impl EventTime {
    /// Returns the instant; floating times are interpreted in `here`.
    pub fn instant(&self, here: Zone) -> Instant {
        let at = self.zone.instant(self.local, here);
        TimeDelta::try_seconds(self.plus_seconds).and_then(|by| at.checked_add_signed(by)).unwrap_or(at)
    }
}

/// One occurrence of an event.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// The time at which it takes place.
    pub span: Span,
    /// Its SUMMARY.
    pub summary: Arc<str>,
    /// Its CATEGORIES.
    pub categories: Categories,
    /// True if a rule generates it; false if it is written for this one time.
    pub recurs: bool,
    /// The place where the event is written.
    pub origin: Origin,
}

impl Occurrence {
    /// Returns the first instant and the end instant (exclusive), as seen in a zone.
    pub fn instants(&self, here: Zone) -> (Instant, Instant) {
        match &self.span {
            Span::Dates(from, to) => (zone::start_of(here, *from), zone::start_of(here, *to)),
            Span::Times(from, to) => (from.instant(here), to.instant(here)),
        }
    }
}
