//! The conditions of a `when` clause: dates, calendars, hours, and cron windows.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate, TimeDelta, Utc};
use croner::{Cron, Weekday};

use crate::calendar::Agenda;
use crate::hours::Hours;
use crate::model::{Instant, after};
use crate::zone::{self, Zone};

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub struct Conditions(pub(crate) Vec<Condition>);

/// One condition.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// The range `[from, until)`; either end may be open.
    Dates { from: Option<Instant>, until: Option<Instant>, text: String },
    /// Holds during an event of a calendar.
    Calendar { agenda: Arc<Agenda>, zone: Zone, name: String },
    /// Holds while hours are open, or closed.
    Hours { hours: Arc<Hours>, open: bool },
    /// Holds for a length of time after each start by the pattern.
    Cron(Box<CronWindow>),
}

impl Condition {
    fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dates { from, until, .. }, Self::Dates { from: other_from, until: other_until, .. }) => {
                (from, until) == (other_from, other_until)
            }
            (Self::Calendar { agenda: a, zone, .. }, Self::Calendar { agenda: b, zone: other, .. }) => {
                zone == other && (Arc::ptr_eq(a, b) || a.is_equivalent(b))
            }
            (Self::Hours { hours: a, open }, Self::Hours { hours: b, open: other }) => {
                open == other && (Arc::ptr_eq(a, b) || a.is_equivalent(b))
            }
            (Self::Cron(a), Self::Cron(b)) => (&a.text, a.length, a.zone) == (&b.text, b.length, b.zone),
            _ => false,
        }
    }
}

/// Windows that start by a cron pattern, in the local time of a zone.
#[derive(Clone, Debug)]
pub(crate) struct CronWindow {
    pub(crate) cron: Cron,
    pub(crate) length: TimeDelta,
    pub(crate) zone: Zone,
    pub(crate) text: String,
}

/// The state of conditions, and the next instant at which it may change.
pub(crate) struct State {
    pub(crate) holds: bool,
    pub(crate) until: Option<Instant>,
}

/// Returns true if a pattern matches any date within forty years.
///
/// Forty years contain every date on every weekday. Searching for a 30th of February, the crate
/// would go through three thousand years on each call.
pub(crate) fn ever_starts(cron: &Cron) -> bool {
    const WEEK: [Weekday; 7] = [
        Weekday::Sunday,
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
    ];
    let first = NaiveDate::from_ymd_opt(2000, 1, 1);
    let mut dates = first.into_iter().flat_map(|first| first.iter_days().take(40 * 366));
    dates.any(|date| {
        let weekday = WEEK[date.weekday().num_days_from_sunday() as usize];
        let of_month = cron.pattern.month_match(date.month());
        let of_day = cron.pattern.day_match(date.year(), date.month(), date.day(), weekday);
        of_month.is_ok_and(|matches| matches) && of_day.is_ok_and(|matches| matches)
    })
}

impl Conditions {
    /// Returns true if both are equal, ignoring the names of their calendars and hours.
    pub(crate) fn is_equivalent(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.is_equivalent(b))
    }

    pub(crate) fn at(&self, at: Instant) -> State {
        let mut state = State { holds: true, until: None };
        for condition in &self.0 {
            let (holds, until) = condition.at(at);
            state.holds &= holds;
            state.until = [state.until, until].into_iter().flatten().min();
        }
        state
    }

    /// Returns the earliest instant from `at` on at which all conditions may hold.
    ///
    /// They cannot all hold before it. It is `at` itself if they hold now, and none if they never
    /// do.
    pub(crate) fn not_before(&self, at: Instant) -> Option<Instant> {
        self.0.iter().map(|condition| condition.at(at)).try_fold(at, |latest, (holds, until)| match holds {
            true => Some(latest),
            false => Some(latest.max(until?)),
        })
    }

    /// Returns a condition that does not hold at an instant, and never will.
    pub(crate) fn over(&self, at: Instant) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.at(at) == (false, None))
    }

    /// Returns the range of time in which the conditions can hold.
    pub(crate) fn dates(&self) -> (Option<Instant>, Option<Instant>) {
        self.0.iter().fold((None, None), |(start, end): (Option<Instant>, _), condition| match condition {
            Condition::Dates { from, until, .. } => {
                (start.max(*from), [end, *until].into_iter().flatten().min())
            }
            _ => (start, end),
        })
    }

    /// Estimates the cost of an evaluation, in units of a simple condition.
    ///
    /// The cost of hours depends on their number of intervals.
    pub(crate) fn work(&self) -> usize {
        let intervals = |hours: &Hours| {
            hours.weekly.iter().flatten().map(|day| day.intervals.len()).max().unwrap_or_default()
        };
        let work = self.0.iter().map(|condition| match condition {
            Condition::Hours { hours, .. } => 1 + intervals(hours) / 4,
            Condition::Dates { .. } | Condition::Calendar { .. } | Condition::Cron(_) => 1,
        });
        work.sum()
    }

    /// Returns true if events of calendars affect one of the conditions.
    pub(crate) fn rest_on_calendars(&self) -> bool {
        self.0.iter().any(|condition| match condition {
            Condition::Calendar { .. } => true,
            Condition::Hours { hours, .. } => !hours.closures.is_empty(),
            Condition::Dates { .. } | Condition::Cron(_) => false,
        })
    }

    /// Returns true if one of the conditions is about hours.
    pub(crate) fn has_hours(&self) -> bool {
        self.0.iter().any(|condition| matches!(condition, Condition::Hours { .. }))
    }

    /// Describes the conditions in words.
    pub(crate) fn describe(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(Condition::describe).collect();
        texts.join(" and ")
    }
}

impl Condition {
    /// Returns true if it holds, and the next instant at which that may change.
    fn at(&self, at: Instant) -> (bool, Option<Instant>) {
        match self {
            Self::Dates { from, until, .. } => {
                let holds = from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until);
                let edges = [*from, *until].into_iter().flatten();
                (holds, edges.filter(|edge| *edge > at).min())
            }
            Self::Calendar { agenda, zone, .. } => {
                (agenda.at(*zone, at).is_some(), agenda.next_edge(*zone, at))
            }
            Self::Hours { hours, open } => (hours.is_open(at) == *open, hours.next_change(at)),
            Self::Cron(window) => window.at(at),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Dates { text, .. } => text.clone(),
            Self::Calendar { name, .. } => format!("an event of calendar \"{name}\" is in progress"),
            Self::Hours { hours, open: true } => format!("{} is open", hours.name),
            Self::Hours { hours, open: false } => format!("{} is closed", hours.name),
            Self::Cron(window) => window.text.clone(),
        }
    }
}

impl CronWindow {
    fn at(&self, at: Instant) -> (bool, Option<Instant>) {
        let started = self.last_start(at);
        match started.map(|start| after(start, self.length)) {
            Some(end) if at < end => (true, Some(end)),
            _ => (false, self.next_start(at)),
        }
    }

    // The pattern is searched in local time, represented as UTC. `zone` alone decides which instant
    // a start is. Near a clock change the two orders differ by a few hours at most. The search
    // therefore begins three hours off, and skips starts on the wrong side.

    fn last_start(&self, at: Instant) -> Option<Instant> {
        let mut local = after(zone::local(self.zone, at).and_utc(), TimeDelta::hours(3));
        loop {
            local = self.cron.find_previous_occurrence(&local, false).ok()?;
            match self.start(local) {
                Some(start) if start <= at => return Some(start),
                _ => {}
            }
        }
    }

    fn next_start(&self, at: Instant) -> Option<Instant> {
        let mut local = after(zone::local(self.zone, at).and_utc(), TimeDelta::hours(-3));
        loop {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            match self.start(local) {
                Some(start) if start > at => return Some(start),
                _ => {}
            }
        }
    }

    /// Returns the instant of a start; none on a date that does not occur in the zone.
    fn start(&self, local: chrono::DateTime<Utc>) -> Option<Instant> {
        let local = local.naive_utc();
        zone::occurs(self.zone, local.date()).then(|| zone::instant(self.zone, local))
    }
}
