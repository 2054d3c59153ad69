//! One time that an event takes place, and the window in which it is asked for.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use crate::model::{Instant, Origin};
use crate::zone::{self, Zone};

use super::timezones::EventZone;

/// Local dates from one, up to and not including another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first date.
    pub from: NaiveDate,
    /// The date after the last.
    pub to: NaiveDate,
}

/// When something takes place, as it is written; a zone turns it into instants.
#[derive(Clone, Debug)]
pub enum Span {
    /// Whole dates, wherever one looks; the end is the date after the last.
    Dates(NaiveDate, NaiveDate),
    /// From one local time to another; `Zone` is used for floating ones.
    Times(Moment, Moment),
}

impl Span {
    /// Whether it may lie in the window, in some zone.
    pub(super) fn touches(&self, window: Window) -> bool {
        match self {
            Self::Dates(from, to) => *from < window.to && *to > window.from,
            Self::Times(..) => true,
        }
    }
}

/// A local time in an event's zone, moved by an exact number of seconds.
#[derive(Clone, Debug)]
pub struct Moment {
    pub(super) local: NaiveDateTime,
    pub(super) zone: EventZone,
    pub(super) plus_seconds: i64,
}

impl Moment {
    /// The instant; floating time counts in `here`.
    pub fn instant(&self, here: Zone) -> Instant {
        let at = self.zone.instant(self.local, here);
        TimeDelta::try_seconds(self.plus_seconds).and_then(|by| at.checked_add_signed(by)).unwrap_or(at)
    }
}

/// One time that an event takes place.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// When.
    pub span: Span,
    /// Its SUMMARY.
    pub summary: String,
    /// Its CATEGORIES.
    pub categories: Vec<String>,
    /// Whether it comes by a rule, and is not written for this one time.
    pub recurs: bool,
    /// Where the event stands.
    pub origin: Origin,
}

impl Occurrence {
    /// The first and the end instant as seen in a zone.
    pub fn instants(&self, here: Zone) -> (Instant, Instant) {
        match &self.span {
            Span::Dates(from, to) => (zone::start_of(here, *from), zone::start_of(here, *to)),
            Span::Times(from, to) => (from.instant(here), to.instant(here)),
        }
    }
}
