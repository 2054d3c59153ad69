//! Events to occurrences in a window: rules, extra dates and exceptions put together.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, NaiveTime, TimeDelta};

use crate::model::Problem;

use super::Calendar;
use super::event::{Event, Series};
use super::length::Length;
use super::local_time::add;
use super::occurrence::{Moment, Occurrence, Span, Window};
use super::recurrence::Budget;
use super::stamp::{Stamp, local_of};

/// Occurrences of a calendar in one window; a shop that closes for lunch has a twentieth in a year.
const MAX_OCCURRENCES: usize = 100_000;
/// Dates that all events of whole days may cover together in one window; an event of a year covers 365.
const MAX_DATES: i64 = 200_000;
/// Bytes of the names and categories of all occurrences in one window.
const MAX_TEXT: usize = 16 << 20;

impl Calendar {
    /// The occurrences that may touch the window in any zone; cancelled ones are left out. In no order.
    ///
    /// # Errors
    /// A rule that gives too many occurrences or takes too long, with its place.
    pub fn occurrences(&self, window: Window) -> Result<Vec<Occurrence>, Problem> {
        // Zones reach from UTC-12 to UTC+14, so two days of margin hold every zone's view.
        let from = add(window.from.and_time(NaiveTime::MIN), -2, 0);
        let to = add(window.to.and_time(NaiveTime::MIN), 2, 0);
        let mut gathered = Gathered { window, found: Vec::new(), dates: 0, text: 0 };
        let mut budget = Budget::default();
        for series in &self.series {
            series.expand(from, to, &mut gathered, &mut budget)?;
        }
        for occurrence in &self.listed {
            if occurrence.span.touches(window) {
                gathered.add(occurrence.clone())?;
            }
        }
        Ok(gathered.found)
    }
}

/// The occurrences so far, and what they will cost whoever looks through them.
struct Gathered {
    window: Window,
    found: Vec<Occurrence>,
    dates: i64,
    text: usize,
}

impl Gathered {
    fn add(&mut self, occurrence: Occurrence) -> Result<(), Problem> {
        if let Span::Dates(from, to) = &occurrence.span {
            let (from, to) = ((*from).max(self.window.from), (*to).min(self.window.to));
            self.dates += (to - from).num_days().max(0);
        }
        let categories = occurrence.categories.iter().map(|category| category.len() + size_of::<String>());
        self.text += occurrence.summary.len() + categories.sum::<usize>();
        let too_much = match () {
            () if self.found.len() >= MAX_OCCURRENCES => format!("more than {MAX_OCCURRENCES} occurrences"),
            () if self.dates > MAX_DATES => format!("events of whole days on more than {MAX_DATES} dates"),
            () if self.text > MAX_TEXT => format!("occurrences with more than {MAX_TEXT} bytes of text"),
            () => {
                self.found.push(occurrence);
                return Ok(());
            }
        };
        let window = self.window;
        let message = format!("from {} to {} the calendar has {too_much}", window.from, window.to);
        Err(Problem::at(&occurrence.origin, message)
            .hint("end this event's rule with an UNTIL, or split the calendar"))
    }
}

impl Series {
    fn expand(
        &self,
        from: NaiveDateTime,
        to: NaiveDateTime,
        gathered: &mut Gathered,
        budget: &mut Budget,
    ) -> Result<(), Problem> {
        // A series that is cancelled takes its changed instances with it.
        if self.master.as_ref().is_some_and(|master| master.cancelled) {
            return Ok(());
        }
        if let Some(master) = &self.master {
            let starts = master.starts(self.earliest_start(from), to, budget)?;
            if let Some((_, property)) = master.rules.first() {
                // Every start is compared with every changed instance.
                budget.spend(4 * (starts.len() * self.changed.len()) as u64, property)?;
            }
            for (start, length) in starts {
                let local = start.local();
                if master.except.has(local)
                    || self.changed.iter().any(|event| event.replaces_at(master, local))
                {
                    continue;
                }
                match self.moved_by(master, local) {
                    None => gathered.add(master.occurrence(&start, length))?,
                    Some(event) if event.cancelled => {}
                    Some(event) => gathered.add(event.moved_occurrence(master, &start))?,
                }
            }
        }
        let mut changed = self.changed.iter().filter(|event| !event.cancelled);
        changed.try_for_each(|event| gathered.add(event.occurrence(&event.start, event.length)))
    }

    /// The last change for "this and future" instances before a start that stands by its rule.
    fn moved_by(&self, master: &Event, local: NaiveDateTime) -> Option<&Event> {
        let applies =
            |event: &&Event| matches!(&event.replaces, Some((id, true)) if master.local_of(id) <= local);
        self.changed
            .iter()
            .filter(applies)
            .max_by_key(|event| event.replaces.as_ref().map(|(id, _)| master.local_of(id)))
    }

    /// How early an occurrence may start and still touch the window.
    fn earliest_start(&self, from: NaiveDateTime) -> NaiveDateTime {
        let events = self.master.iter().chain(&self.changed);
        let longest = events
            .flat_map(|event| {
                let shift = match (&event.replaces, &self.master) {
                    (Some((id, true)), Some(master)) => {
                        (event.start.local() - master.local_of(id)).num_seconds().abs()
                    }
                    _ => 0,
                };
                let extra = event.extra.iter().filter_map(|(_, length)| *length);
                extra.chain([event.length]).map(move |length| length.days * 86_400 + length.seconds + shift)
            })
            .max();
        add(from, -1, -longest.unwrap_or(0))
    }
}

impl Event {
    /// The starts by DTSTART, RRULE and RDATE, each once.
    fn starts(
        &self,
        from: NaiveDateTime,
        to: NaiveDateTime,
        budget: &mut Budget,
    ) -> Result<Vec<(Stamp, Length)>, Problem> {
        let first = self.start.local();
        // DTSTART is the first instance even where the rule would not give it (RFC 5545, 3.8.5.3).
        let mut starts = BTreeMap::from([(first, self.length)]);
        for (rule, property) in &self.rules {
            let locals = rule.starts(first, from, to, property, budget)?;
            starts.extend(locals.into_iter().map(|local| (local, self.length)));
        }
        for (stamp, length) in &self.extra {
            let local = self.local_of(stamp);
            match length {
                // A period in RDATE tells more than the same start by the rule.
                Some(length) => drop(starts.insert(local, *length)),
                None => drop(starts.entry(local).or_insert(self.length)),
            }
        }
        Ok(starts.into_iter().map(|(local, length)| (self.start_at(local), length)).collect())
    }

    fn start_at(&self, local: NaiveDateTime) -> Stamp {
        match &self.start {
            Stamp::Date(_) => Stamp::Date(local.date()),
            Stamp::Time(_, zone) => Stamp::Time(local, zone.clone()),
        }
    }

    fn local_of(&self, stamp: &Stamp) -> NaiveDateTime {
        local_of(&self.start, stamp)
    }

    fn replaces_at(&self, master: &Event, local: NaiveDateTime) -> bool {
        matches!(&self.replaces, Some((id, _)) if master.start.is_meant(local, id))
    }

    fn occurrence(&self, start: &Stamp, length: Length) -> Occurrence {
        let span = match start {
            Stamp::Date(date) => {
                Span::Dates(*date, add(date.and_time(NaiveTime::MIN), length.days.max(1), 0).date())
            }
            Stamp::Time(local, zone) => {
                let moment = |local, plus_seconds| Moment { local, zone: zone.clone(), plus_seconds };
                Span::Times(moment(*local, 0), moment(add(*local, length.days, 0), length.seconds))
            }
        };
        Occurrence {
            span,
            summary: self.summary.clone(),
            categories: self.categories.clone(),
            recurs: !self.rules.is_empty() || self.replaces.is_some(),
            origin: self.origin.clone(),
        }
    }

    /// An instance after a "this and future" change: moved as the changed one was, and as long.
    fn moved_occurrence(&self, master: &Event, start: &Stamp) -> Occurrence {
        let shift = match &self.replaces {
            Some((id, _)) => self.start.local() - master.local_of(id),
            None => TimeDelta::zero(),
        };
        let local = add(start.local(), 0, shift.num_seconds());
        self.occurrence(&self.start_at(local), self.length)
    }
}
