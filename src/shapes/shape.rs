//! The trait of a shape, and the inputs of its methods.

use chrono::NaiveDate;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem};
use crate::zone;

use super::consumer::{ConsumerModel, Intervals};
use super::language::Language;
use super::time_format::TimeFormat;

/// A form in which opening hours are shown.
///
/// Everything about a shape is one implementation, in a file of its own.
pub trait Shape: Sync {
    /// Returns the name in settings: `show = "weekdays"`.
    fn name(&self) -> &'static str;

    /// Describes the value in one paragraph of Markdown, for the reference.
    fn doc(&self) -> &'static str;

    /// Returns the parameters that the settings may set.
    fn takes(&self) -> Takes {
        Takes::default()
    }

    /// Returns the default consumer model, which the settings may replace.
    fn consumer(&self) -> ConsumerModel;

    /// Returns the read-back check of a value before it is sent.
    ///
    /// Each shape must decide, so this has no default.
    fn read_back(&self) -> ReadBack;

    /// Returns the value at an instant; none without such a time.
    ///
    /// # Errors
    /// Fails if the format cannot express it, for example half past nine as a whole hour.
    fn value(&self, moment: &Moment) -> Result<Option<Value>, Problem>;

    /// Returns the next instant at which the value may differ; none if it stays.
    fn until(&self, hours: &Hours, at: Instant) -> Option<Instant>;

    /// Returns the hint for a value that would be misread; none for the hint of all shapes.
    fn remedy(&self, _misread: &Misread) -> Option<&'static str> {
        None
    }
}

/// The parameters that a shape takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// The default of `format`, if the shape shows a time.
    pub format: Option<TimeFormat>,
    /// True if it shows coming dates, whose number is `days`.
    pub days: bool,
    /// True if it is in words, which depend on `language`.
    pub language: bool,
}

/// The parameters of a shape, as set or by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// The format of times.
    pub format: TimeFormat,
    /// The number of dates to show, starting today.
    pub days: u64,
    /// The language of words.
    pub language: Language,
    /// The consumer model of agents that read the value.
    pub consumer: ConsumerModel,
}

/// The input from which a value is computed.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The hours.
    pub hours: &'a Hours,
    /// The instant.
    pub at: Instant,
    /// The shape's parameters.
    pub with: &'a Parameters,
    /// The place of the definition, for problems.
    pub origin: &'a Origin,
}

impl Moment<'_> {
    /// Returns the local date.
    pub fn today(&self) -> NaiveDate {
        self.hours.today(self.at)
    }

    /// Writes a time in the shape's format; `closes` makes a midnight the end of its date.
    ///
    /// # Errors
    /// Fails if the format cannot express it.
    pub fn write(&self, when: Instant, closes: bool) -> Result<Option<Value>, Problem> {
        self.with.format.write(when.with_timezone(&self.hours.zone), closes, self.origin).map(Some)
    }
}

/// The read-back check of a value before it is sent.
pub enum ReadBack {
    /// No check: code uses the value unchanged, or it is read aloud.
    AsWritten,
    /// Checked together with the shape of this name, whose check reads both.
    With(&'static str),
    /// Checked as open intervals, which an agent's code reads from it.
    Intervals {
        /// The other shape that is read with it.
        beside: Option<&'static str>,
        /// Returns the intervals that the consumer reads as open; none if they are unknown.
        read: fn(&Sent<'_>, NaiveDate) -> Option<Intervals>,
    },
}

/// A value to be sent, for the consumer model.
pub struct Sent<'a> {
    /// The value.
    pub value: &'a Value,
    /// The value of the other shape that is read with it.
    pub beside: Option<&'a Value>,
    /// The consumer model.
    pub consumer: ConsumerModel,
    /// The date on which it is sent.
    pub today: NaiveDate,
}

/// The circumstances in which a value would be misread.
#[derive(Clone, Copy, Debug)]
pub struct Misread {
    /// The consumer model.
    pub consumer: ConsumerModel,
    /// True if the misread interval ends at midnight.
    pub to_midnight: bool,
    /// True if an exception or a calendar decides the date.
    pub is_special: bool,
}

/// Returns the next local midnight.
pub(super) fn midnight(hours: &Hours, at: Instant) -> Instant {
    zone::start_of(hours.zone, zone::next(hours.today(at)))
}
