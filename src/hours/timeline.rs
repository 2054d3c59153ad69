//! The timeline of open and closed periods, which can be queried at any instant.

use chrono::{Datelike, Days, NaiveDate};

use crate::calendar::Entry;
use crate::limits::time::HORIZON_DAYS;
use crate::model::Instant;
use crate::zone;

use super::dates::{Rule, add, join};
use super::{Day, Hours, Interval, Period};

/// A date whose hours differ from the weekly ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialDate {
    /// The date.
    pub date: NaiveDate,
    /// Open during these periods; closed if there are none.
    pub open: Vec<Period>,
    /// The name of the day.
    pub name: Option<String>,
}

impl Hours {
    /// Returns true if it is open at an instant.
    pub fn is_open(&self, at: Instant) -> bool {
        self.current(at).is_some()
    }

    /// Returns the open period that contains an instant.
    pub fn current(&self, at: Instant) -> Option<Period> {
        let mut periods = self.around(at, 1);
        periods.retain(|period| period.from <= at && at < period.to);
        periods.pop()
    }

    /// Returns the next instant after `at` at which it opens or closes, within 400 days.
    pub fn next_change(&self, at: Instant) -> Option<Instant> {
        self.search(at, HORIZON_DAYS, |period| [period.from, period.to].into_iter().find(|edge| *edge > at))
    }

    /// Returns the next instant after `at` at which it opens or closes or another date begins.
    pub fn next_change_of_the_day(&self, at: Instant) -> Instant {
        let midnight = zone::start_of(self.zone, zone::next(self.today(at)));
        let change =
            self.search(at, 0, |period| [period.from, period.to].into_iter().find(|edge| *edge > at));
        change.map_or(midnight, |change| change.min(midnight))
    }

    /// Returns the next instant after `at` at which it opens, within 400 days.
    pub fn next_open(&self, at: Instant) -> Option<Instant> {
        self.search(at, HORIZON_DAYS, |period| Some(period.from).filter(|from| *from > at))
    }

    /// Returns the first answer along the timeline.
    ///
    /// An answer at the end of the last date examined does not count yet: the next date may extend
    /// that period.
    fn search(&self, at: Instant, days: u64, answer: impl Fn(&Period) -> Option<Instant>) -> Option<Instant> {
        if self.never_change() {
            return None;
        }
        let (mut date, end) = (self.first_around(at), self.date_after(at, days));
        let mut found: Vec<Period> = Vec::new();
        while date <= end {
            for period in &*self.on(date) {
                add(&mut found, *period);
            }
            if let Some(answer) = found.iter().find_map(&answer)
                && answer < zone::start_of(self.zone, zone::next(date))
            {
                return Some(answer);
            }
            found.retain(|period| period.to >= at);
            date = zone::next(date);
        }
        None
    }

    /// Returns true if it is open on all days or closed on all days, without exceptions.
    ///
    /// Searching for a change is pointless then.
    fn never_change(&self) -> bool {
        const ALL_DAY: Interval = Interval { open: 0, close: 24 * 60 };
        let is_always = |open: &[Interval]| {
            self.weekly.iter().all(|day| day.map_or(&[][..], |day| &day.intervals) == open)
        };
        self.special.is_empty()
            && self.seasons.is_empty()
            && self.closures.is_empty()
            && self.forced.is_empty()
            && (is_always(&[]) || is_always(&[ALL_DAY]))
    }

    /// Returns true if an exception or a calendar decides the hours of the current local date.
    pub fn is_special(&self, at: Instant) -> bool {
        self.special_date(self.today(at)).is_some()
    }

    /// Returns the dates whose hours an exception or a calendar decides, among `days` days from
    /// `from` on.
    pub fn special_dates(&self, from: NaiveDate, days: u64) -> Vec<SpecialDate> {
        let dates = (0..days).filter_map(|day| from.checked_add_days(Days::new(day)));
        dates.filter_map(|date| self.special_date(date)).collect()
    }

    /// Returns true for a date that simply has the hours of its weekday.
    ///
    /// A fast path: most dates are ordinary, and a shape evaluates many at once.
    fn is_ordinary(&self, date: NaiveDate) -> bool {
        let is_taken = || {
            let start = zone::start_of(self.zone, date);
            // An interval that begins on the date may continue over the next.
            let end = zone::start_of(self.zone, zone::next(zone::next(zone::next(date))));
            !self.closures.taken(start, end).is_empty()
        };
        self.forced.is_empty()
            && matches!(self.rule(date), Rule::Weekly(_))
            && self.seasonal(date).is_none()
            && (self.closures.timed().is_empty() || !is_taken())
            && zone::occurs(self.zone, date)
    }

    fn special_date(&self, date: NaiveDate) -> Option<SpecialDate> {
        if self.is_ordinary(date) {
            return None;
        }
        let open = self.on(date);
        let name = match self.rule(date) {
            Rule::Special(day) => {
                let entry = self.closures.days.get(&date).and_then(|entries| entries.first());
                day.name.clone().or_else(|| entry.map(|entry| entry.name.to_string()))
            }
            Rule::Closed(entry) => Some(entry.name.to_string()),
            Rule::Weekly(day) => {
                let periods =
                    |day: Option<&Day>| join(self.periods(date, day.map_or(&[][..], |day| &day.intervals)));
                // Readers know the ordinary week, so a season's day is special only if it differs.
                if *open == *periods(self.ordinary(date)) {
                    return None;
                }
                // Periods removed by a clock change or an override have no name.
                let written = periods(day);
                let cut = written.iter().find(|period| !open.contains(period));
                cut.and_then(|cut| self.closing_event(*cut)).map(|entry| entry.name.to_string())
            }
        };
        Some(SpecialDate { date, open: open.to_vec(), name })
    }

    /// Explains why it is open or closed at an instant, naming the deciding rule and its origin.
    pub fn because(&self, at: Instant) -> String {
        if self.is_open(at) {
            return self.because_open(at);
        }
        let name = &self.name;
        let today = self.today(at);
        match self.rule(today) {
            Rule::Special(day) => format!(
                "{name} is {} on {today}{} ({})",
                self.text(today),
                day.name.as_ref().map_or_else(String::new, |name| format!(", {name}")),
                day.origin
            ),
            Rule::Closed(entry) => format!("{name} is closed: {} ({})", entry.name, entry.origin),
            Rule::Weekly(day) => {
                let closure = self.closures.timed_at(at);
                match (closure, day) {
                    (Some(timed), _) => {
                        format!("{name} is closed: {} ({})", timed.entry.name, timed.entry.origin)
                    }
                    (None, Some(Day { name: Some(why), origin, .. })) => {
                        format!("{name} is closed: {why} ({origin})")
                    }
                    (None, Some(day)) => {
                        let (text, weekday) = (self.text(today), today.weekday());
                        format!("{name} is {text} on {weekday}{} ({})", self.season_of(today), day.origin)
                    }
                    (None, None) => format!("{name} has no hours on {} ({})", today.weekday(), self.origin),
                }
            }
        }
    }

    fn because_open(&self, at: Instant) -> String {
        let today = self.today(at);
        let dates = [Some(today), today.pred_opt()];
        for date in dates.into_iter().flatten() {
            let is_meant = |period: &Period| period.from <= at && at < period.to;
            if let Some(period) = self.on(date).iter().copied().find(is_meant) {
                let origin = match self.rule(date) {
                    Rule::Special(day) | Rule::Weekly(Some(day)) => &day.origin,
                    Rule::Closed(entry) => &entry.origin,
                    Rule::Weekly(None) => &self.origin,
                };
                let text = self.text_of(date, &[period]);
                let season = match self.rule(date) {
                    Rule::Weekly(_) => self.season_of(date),
                    Rule::Special(_) | Rule::Closed(_) => String::new(),
                };
                return format!(
                    "{} is open {text} on {} {date}{season} ({origin})",
                    self.name,
                    date.weekday()
                );
            }
        }
        format!("{} is open ({})", self.name, self.origin)
    }

    /// Formats the season of a date, as a suffix to its weekday; empty outside of any season.
    fn season_of(&self, date: NaiveDate) -> String {
        match self.seasonal(date).map(|(season, _)| (season.from, season.through)) {
            Some((Some(from), Some(through))) => format!(" from {from} to {through}"),
            Some((Some(from), None)) => format!(" from {from} on"),
            Some((None, Some(through))) => format!(" up to {through}"),
            Some((None, None)) | None => String::new(),
        }
    }

    fn closing_event(&self, period: Period) -> Option<&Entry> {
        let touches = |from: Instant, to: Instant| from < period.to && to > period.from;
        let mut timed = self.closures.timed().iter();
        timed.find(|timed| touches(timed.from, timed.to)).map(|timed| &timed.entry)
    }

    /// Returns the joined periods from two dates before an instant to some days after it.
    fn around(&self, at: Instant, days: u64) -> Vec<Period> {
        let end = self.date_after(at, days);
        let mut date = self.first_around(at);
        let mut found = Vec::new();
        while date <= end {
            found.extend_from_slice(&self.on(date));
            date = zone::next(date);
        }
        join(found)
    }

    /// Returns the first date whose periods may contain an instant.
    ///
    /// A period that contains it starts on its date or the date before, in any zone.
    fn first_around(&self, at: Instant) -> NaiveDate {
        self.today(at).checked_sub_days(Days::new(2)).unwrap_or(NaiveDate::MIN)
    }

    fn date_after(&self, at: Instant, days: u64) -> NaiveDate {
        let today = self.today(at);
        today.checked_add_days(Days::new(days)).unwrap_or(today)
    }
}
