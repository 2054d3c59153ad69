//! Opening hours by name, and their open periods on each date.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Timelike};

use crate::calendar::{Agenda, Entry};
use crate::model::{Instant, Origin};
use crate::zone::{self, Zone};

use super::{Day, Interval, Period, Recent, Season, SpecialDays, Week};

/// Named opening hours, combined from all settings.
#[derive(Clone, Debug)]
pub struct Hours {
    /// The name that messages use.
    pub name: String,
    /// The zone whose wall-clock time the hours use.
    pub zone: Zone,
    /// Hours by weekday.
    pub weekly: Week,
    /// Weekly hours for ranges of dates, which replace the ordinary ones.
    ///
    /// The first season with hours for a date decides.
    pub seasons: Vec<Season>,
    /// Dated exceptions, which take precedence over everything but overrides.
    pub special: SpecialDays,
    /// Events that close; they take precedence over weekly hours, including a season's.
    pub closures: Arc<Agenda>,
    /// Dates in `closures` that remain closed even if `holidays` has hours.
    pub closed_holidays: BTreeSet<NaiveDate>,
    /// Hours on dates of a closing calendar, except on `closed_holidays`.
    pub holidays: Option<Day>,
    /// Overrides, which take precedence over everything; a later one wins over an earlier one.
    pub forced: Vec<HoursOverride>,
    /// The place where the hours are written.
    pub origin: Origin,
    /// A cache of computed periods; the hours must not change once they have been queried.
    pub recent: Recent,
}

/// An override that opens or closes during `[from, until)`; without an end, until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoursOverride {
    /// True to open, false to close.
    pub open: bool,
    /// The instant at which it begins.
    pub from: Instant,
    /// The instant at which it ends (exclusive); none until it is released.
    pub until: Option<Instant>,
}

/// The rule that decides the hours of a date, highest precedence first.
pub(super) enum Rule<'h> {
    Special(&'h Day),
    Closed(&'h Entry),
    Weekly(Option<&'h Day>),
}

impl Hours {
    /// Returns true if both have the same hours, ignoring names and origins.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let day = |a: &Day, b: &Day| a.intervals == b.intervals && a.name == b.name;
        let weekday = |(a, b): (Option<&Day>, Option<&Day>)| match (a, b) {
            (Some(a), Some(b)) => a.intervals == b.intervals,
            (a, b) => a.is_none() && b.is_none(),
        };
        let season = |(a, b): (&Season, &Season)| {
            let weekdays = a.weekly.iter().zip(&b.weekly);
            (a.from, a.through) == (b.from, b.through)
                && weekdays.map(|(a, b)| (a.as_ref(), b.as_ref())).all(weekday)
        };
        self.zone == other.zone
            && self.forced == other.forced
            && self.weekly.iter().zip(other.weekly.iter()).all(weekday)
            && self.seasons.len() == other.seasons.len()
            && self.seasons.iter().zip(&other.seasons).all(season)
            && self.special.len() == other.special.len()
            && self.special.iter().zip(other.special.iter()).all(|(a, b)| a.0 == b.0 && day(&a.1, &b.1))
            && self.holidays.as_ref().map(|day| &day.intervals)
                == other.holidays.as_ref().map(|day| &day.intervals)
            && (Arc::ptr_eq(&self.closures, &other.closures) || self.closures.is_equivalent(&other.closures))
            && self.closed_holidays == other.closed_holidays
    }

    /// Returns the same hours with one more override.
    pub fn forced(&self, forced: HoursOverride) -> Self {
        let mut hours = self.clone();
        hours.forced.push(forced);
        hours
    }

    /// Returns the periods that start on a date, joined where they are adjacent.
    pub fn on(&self, date: NaiveDate) -> Arc<[Period]> {
        self.recent.get_or(date, || {
            self.forced.iter().fold(self.computed_on(date), |open, forced| self.force(open, date, forced))
        })
    }

    /// Applies an override to the periods of a date.
    ///
    /// If it closes a current period, nothing of that period remains, not even the past part: a
    /// reader of "09:00-10:32" could think that it opens at nine tomorrow. A period that it opens
    /// is shown from the full hour.
    fn force(&self, open: Vec<Period>, date: NaiveDate, forced: &HoursOverride) -> Vec<Period> {
        let until = forced.until.unwrap_or(Instant::MAX_UTC);
        if !forced.open {
            let left = |period: Period| match period.from < until && period.to > forced.from {
                true => Period { from: period.from.max(until), to: period.to },
                false => period,
            };
            return open.into_iter().map(left).filter(|period| period.from < period.to).collect();
        }
        let local = zone::local(self.zone, forced.from);
        let hour = local.date().and_hms_opt(local.hour(), 0, 0).map(|hour| zone::instant(self.zone, hour));
        let day = (zone::start_of(self.zone, date), zone::start_of(self.zone, zone::next(date)));
        let from = hour.filter(|hour| *hour <= forced.from).unwrap_or(forced.from).max(day.0);
        let opened = Period { from, to: until.min(day.1) };
        join(open.into_iter().chain((opened.from < opened.to).then_some(opened)).collect())
    }

    fn computed_on(&self, date: NaiveDate) -> Vec<Period> {
        if !zone::occurs(self.zone, date) {
            return Vec::new();
        }
        let written = match self.rule(date) {
            Rule::Special(day) => return join(self.periods(date, &day.intervals)),
            Rule::Closed(_) => match &self.holidays {
                Some(day) if !self.closed_holidays.contains(&date) => self.periods(date, &day.intervals),
                _ => return Vec::new(),
            },
            Rule::Weekly(None) => return Vec::new(),
            Rule::Weekly(Some(day)) => self.periods(date, &day.intervals),
        };
        // A special date takes precedence over timed closures too, so they are cut out of all other
        // hours.
        let open = written.into_iter().flat_map(|period| {
            let closed = self.closures.taken(period.from, period.to);
            left_of(period, closed)
        });
        join(open.collect())
    }

    /// Returns the local date at an instant.
    pub fn today(&self, at: Instant) -> NaiveDate {
        zone::date(self.zone, at)
    }

    /// Formats the hours of a date: `09:00-12:30, 13:30-17:30`, or `closed`.
    pub fn text(&self, date: NaiveDate) -> String {
        self.text_of(date, &self.on(date))
    }

    /// Formats periods of a date; a period that ends with the date ends at `24:00`.
    pub fn text_of(&self, date: NaiveDate, open: &[Period]) -> String {
        if open.is_empty() {
            return "closed".to_owned();
        }
        let texts: Vec<String> = open
            .iter()
            .map(|period| {
                let (hour, minute) = self.closing_time(date, period.to);
                let from = zone::local(self.zone, period.from).format("%H:%M");
                format!("{from}-{hour:02}:{minute:02}")
            })
            .collect();
        texts.join(", ")
    }

    /// Returns hour and minute of a closing time relative to `date`: midnight at its end is 24:00.
    pub fn closing_time(&self, date: NaiveDate, at: Instant) -> (u32, u32) {
        let local = zone::local(self.zone, at);
        match local.date() > date && local.time() == NaiveTime::MIN {
            true => (24, 0),
            false => (local.hour(), local.minute()),
        }
    }

    /// Returns the rule that decides the hours of a date.
    pub(super) fn rule(&self, date: NaiveDate) -> Rule<'_> {
        if let Some(day) = self.special.on(date) {
            return Rule::Special(day);
        }
        match self.closures.days.get(&date).and_then(|entries| entries.first()) {
            Some(entry) => Rule::Closed(entry),
            None => Rule::Weekly(self.seasonal(date).map(|(_, day)| day).or(self.ordinary(date))),
        }
    }

    /// Returns the hours of a date by its weekday alone.
    pub(super) fn ordinary(&self, date: NaiveDate) -> Option<&Day> {
        self.weekly.day(date.weekday().num_days_from_monday() as usize)
    }

    /// Returns the season that has hours for a date, and those hours.
    pub(super) fn seasonal(&self, date: NaiveDate) -> Option<(&Season, &Day)> {
        self.seasons.iter().find_map(|season| Some((season, season.day(date)?)))
    }

    /// Returns the periods of intervals that begin on a date.
    pub(super) fn periods(&self, date: NaiveDate, intervals: &[Interval]) -> Vec<Period> {
        let instant = |minutes: u16| {
            let (days, minutes) = (u64::from(minutes / 1440), u32::from(minutes % 1440));
            let date = date.checked_add_days(Days::new(days)).unwrap_or(date);
            let time = NaiveTime::from_num_seconds_from_midnight_opt(minutes * 60, 0);
            zone::instant(self.zone, date.and_time(time.unwrap_or(NaiveTime::MIN)))
        };
        intervals
            .iter()
            .map(|interval| Period { from: instant(interval.open), to: instant(interval.close) })
            // A clock change can leave nothing of an interval.
            .filter(|period| period.from < period.to)
            .collect()
    }
}

/// Joins adjacent or overlapping periods.
pub(super) fn join(mut periods: Vec<Period>) -> Vec<Period> {
    periods.sort_unstable();
    let mut joined: Vec<Period> = Vec::with_capacity(periods.len());
    for period in periods {
        add(&mut joined, period);
    }
    joined
}

/// Adds a period that starts no earlier than the last one.
pub(super) fn add(joined: &mut Vec<Period>, period: Period) {
    match joined.last_mut() {
        Some(last) if period.from <= last.to => last.to = last.to.max(period.to),
        _ => joined.push(period),
    }
}

/// Returns the parts of a period that remain after cutting out `closed`, which must be sorted.
fn left_of(period: Period, closed: &[(Instant, Instant)]) -> Vec<Period> {
    let mut left = Vec::with_capacity(closed.len() + 1);
    let mut from = period.from;
    for (start, end) in closed {
        left.push(Period { from, to: *start });
        from = *end;
    }
    left.push(Period { from, to: period.to });
    left.retain(|part| part.from < part.to);
    left
}
