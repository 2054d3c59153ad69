//! The hours of single dates, measured for a picture.

use chrono::NaiveDate;

use crate::model::Instant;
use crate::zone;

use super::dates::Rule;
use super::{Hours, HoursOverride, Period};

/// The width of a date in a picture: a unit is a minute on a date of 24 hours.
pub const WIDTH: u32 = 24 * 60;

/// The hours of one date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayChart {
    /// The date.
    pub date: NaiveDate,
    /// Its hours as text, for example `09:00-17:00`.
    pub text: String,
    /// The kind of rule that decides them.
    pub kind: DayKind,
    /// The name of the special date or of the closing event.
    pub name: Option<String>,
    /// The open parts of the date, from and to, in units of its width.
    pub open: Vec<(u32, u32)>,
    /// The parts during which an override is active.
    pub overridden: Vec<(u32, u32)>,
    /// The place of an instant, if it is on this date.
    pub now: Option<u32>,
}

/// The kind of rule that decides the hours of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// The weekly hours.
    Ordinary,
    /// A dated exception.
    Exception,
    /// A closing calendar.
    Holiday,
}

impl DayKind {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Exception => "exception",
            Self::Holiday => "holiday",
        }
    }
}

impl Hours {
    /// Returns the hours of a number of dates, with the place of `now` among them if it is given.
    pub fn chart(&self, from: NaiveDate, days: usize, now: Option<Instant>) -> Vec<DayChart> {
        let dates = std::iter::successors(Some(from), |date| Some(zone::next(*date)));
        dates.take(days).map(|date| self.day_chart(date, now)).collect()
    }

    fn day_chart(&self, date: NaiveDate, now: Option<Instant>) -> DayChart {
        let day =
            Period { from: zone::start_of(self.zone, date), to: zone::start_of(self.zone, zone::next(date)) };
        // A period may begin on the date before and last until the one after.
        let dates = [date.pred_opt(), Some(date)].into_iter().flatten();
        let open: Vec<Period> = dates.flat_map(|date| self.on(date).to_vec()).collect();
        let (kind, name) = self.day_kind(date);
        let forced = self.forced.iter().map(|HoursOverride { from, until, .. }| Period {
            from: *from,
            to: until.unwrap_or(Instant::MAX_UTC),
        });
        DayChart {
            date,
            text: self.text(date),
            kind,
            name,
            open: open.into_iter().filter_map(|period| part(day, period)).collect(),
            overridden: forced.filter_map(|period| part(day, period)).collect(),
            now: now.filter(|now| day.from <= *now && *now < day.to).map(|now| place(day, now)),
        }
    }

    fn day_kind(&self, date: NaiveDate) -> (DayKind, Option<String>) {
        let name = self.special_dates(date, 1).pop().map(|special| special.name);
        match (self.rule(date), name) {
            (_, None) => (DayKind::Ordinary, None),
            (Rule::Closed(_), Some(name)) => (DayKind::Holiday, name),
            // The event of a closing calendar may close a part of the day.
            (Rule::Weekly(_), Some(Some(name))) => (DayKind::Holiday, Some(name)),
            (Rule::Weekly(_), Some(None)) => (DayKind::Ordinary, None),
            (Rule::Special(_), Some(name)) => (DayKind::Exception, name),
        }
    }
}

/// Returns the part of a day that a period covers; `None` if it covers nothing.
fn part(day: Period, period: Period) -> Option<(u32, u32)> {
    let (from, to) = (period.from.max(day.from), period.to.min(day.to));
    (from < to).then(|| (place(day, from), place(day, to)))
}

/// Returns the place of an instant of a day.
fn place(day: Period, at: Instant) -> u32 {
    let (since, length) = ((at - day.from).num_seconds(), (day.to - day.from).num_seconds().max(1));
    u32::try_from(since * i64::from(WIDTH) / length).unwrap_or(0).min(WIDTH)
}
