//! The trait of a shape, and what its methods are given.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem};
use crate::zone;

use super::consumer::{ConsumerModel, Intervals};
use super::language::Language;
use super::time_format::TimeFormat;

/// A form in which opening hours are shown. Everything about it is one implementation, in a file of its own.
pub trait Shape: Sync {
    /// Returns the name in settings: `show = "weekdays"`.
    fn name(&self) -> &'static str;

    /// Describes the value in one paragraph of Markdown, for the reference.
    fn doc(&self) -> &'static str;

    /// Returns the parameters that the settings may give it.
    fn takes(&self) -> Takes {
        Takes::default()
    }

    /// Returns how agents read it, unless the settings name another consumer model.
    fn consumer(&self) -> ConsumerModel;

    /// Returns how a value is read back before it is sent. There is no default: each shape decides.
    fn read_back(&self) -> ReadBack;

    /// Returns the value at an instant; none when there is no such time.
    ///
    /// # Errors
    /// When the format cannot express it, such as half past nine as a whole hour.
    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem>;

    /// Returns the next instant at which the value may differ; none when it stays.
    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant>;

    /// Suggests what to do about a value that would be misread; none for the suggestion that all shapes share.
    fn remedy(&self, _misread: &Misread) -> Option<&'static str> {
        None
    }
}

/// The parameters that a shape takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// The default of `format`, where a time is shown.
    pub format: Option<TimeFormat>,
    /// True when it shows coming dates, so that `days` says how many.
    pub days: bool,
    /// True when it is in words, so that `language` matters.
    pub language: bool,
}

/// The parameters of a shape, as given or by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// How times are written.
    pub format: TimeFormat,
    /// How many dates are shown, today the first.
    pub days: u64,
    /// The language of words.
    pub language: Language,
    /// How agents read the value.
    pub consumer: ConsumerModel,
}

/// What a value is computed from.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The hours.
    pub hours: &'a Hours,
    /// The instant.
    pub at: Instant,
    /// The shape's parameters.
    pub with: &'a Parameters,
    /// Where the definition stands, for problems.
    pub origin: &'a Origin,
}

impl Moment<'_> {
    /// Returns the local date.
    pub fn today(&self) -> NaiveDate {
        self.hours.today(self.at)
    }

    /// Writes a time in the format asked for; `closes` makes a midnight the end of its date.
    ///
    /// # Errors
    /// When the format cannot express it.
    pub fn write(&self, when: Instant, closes: bool) -> Result<Option<Value>, Problem> {
        self.with.format.write(when.with_timezone(&self.hours.zone), closes, self.origin).map(Some)
    }
}

/// How a value is read back before it is sent.
pub enum ReadBack {
    /// Nothing is concluded from it: code uses the value as it stands, or it is read aloud.
    AsItStands,
    /// With the shape of this name beside it, whose check reads both.
    With(&'static str),
    /// Code makes open intervals of it.
    Intervals {
        /// The shape beside it that is read too.
        beside: Option<&'static str>,
        /// Returns the intervals that the consumer takes for open; none where it cannot be told.
        read: fn(&Sent<'_>, NaiveDate) -> Option<Intervals>,
    },
}

/// A value as it is sent, for the consumer model.
pub struct Sent<'a> {
    /// The value.
    pub value: &'a Value,
    /// That of the shape beside it.
    pub beside: Option<&'a Value>,
    /// How it is read.
    pub consumer: ConsumerModel,
    /// The date on which it is sent.
    pub today: NaiveDate,
}

/// How a value would be misread.
#[derive(Clone, Copy, Debug)]
pub struct Misread {
    /// How it is read.
    pub consumer: ConsumerModel,
    /// True when the interval that is misread ends at midnight.
    pub to_midnight: bool,
    /// True when an exception or a calendar decides the date.
    pub is_special: bool,
}

/// Returns the next local midnight.
pub(super) fn midnight(hours: &Hours, at: Instant) -> Instant {
    zone::start_of(hours.zone, zone::next(hours.today(at)))
}

/// Lists names for a message: `a, b and c`.
pub fn listed(names: &[&str]) -> Cow<'static, str> {
    match names {
        [] => "".into(),
        [one] => (*one).to_owned().into(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")).into(),
    }
}
