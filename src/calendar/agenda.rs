//! The events of a calendar in one time zone, indexed by date and by instant.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::model::{Instant, Origin};
use crate::zone::{self, Zone};

use super::{Occurrence, Span, Window};

/// A filter that selects events of a calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Text that the SUMMARY must contain, ignoring case.
    pub summary: Option<String>,
    /// A name that one of the CATEGORIES must equal, ignoring case.
    pub category: Option<String>,
}

impl Filter {
    /// Returns true if the filter accepts every event.
    pub fn is_open(&self) -> bool {
        self.summary.is_none() && self.category.is_none()
    }

    /// Returns true if the filter accepts the event.
    pub fn takes(&self, occurrence: &Occurrence) -> bool {
        let summary = self
            .summary
            .as_ref()
            .is_none_or(|filter| occurrence.summary.to_lowercase().contains(&filter.to_lowercase()));
        let category = self.category.as_ref().is_none_or(|filter| {
            let filter = filter.to_lowercase();
            occurrence.categories.names().any(|name| name.to_lowercase() == filter)
        });
        summary && category
    }
}

/// Formats the filter as the settings write it: `summary = "bank holiday"`.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("summary", &self.summary), ("category", &self.category)];
        let parts =
            parts.iter().filter_map(|(key, filter)| Some(format!("{key} = \"{}\"", filter.as_ref()?)));
        f.write_str(&parts.collect::<Vec<_>>().join(" and "))
    }
}

/// The name and origin of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its SUMMARY.
    pub name: Arc<str>,
    /// The place where the event is written.
    pub origin: Origin,
}

/// An event at a time of day.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Its first instant.
    pub from: Instant,
    /// The instant at which it ends (exclusive).
    pub to: Instant,
    /// Its name and origin.
    pub entry: Entry,
}

/// The occurrences of a calendar in one time zone.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    /// All-day events, listed under each of their dates. A long event is shared by its dates.
    pub days: BTreeMap<NaiveDate, Vec<Arc<Entry>>>,
    /// Timed events, sorted by start.
    timed: Vec<Timed>,
    /// The latest end of each timed event and all events before it.
    reach: Vec<Instant>,
    /// The instants at which a timed event begins or ends.
    edges: Vec<Instant>,
    /// Periods `[from, to)` during which at least one timed event lasts; they neither touch nor
    /// overlap.
    taken: Vec<(Instant, Instant)>,
}

impl Agenda {
    /// Returns true if the agenda contains no event.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.timed.is_empty()
    }

    /// Sorts the occurrences that `filter` accepts into dates and instants of a zone.
    ///
    /// Only dates within the window are kept.
    pub fn new(occurrences: &[Occurrence], filter: &Filter, here: Zone, window: Window) -> Self {
        let mut agenda = Self::default();
        for occurrence in occurrences.iter().filter(|occurrence| filter.takes(occurrence)) {
            let entry = Entry { name: occurrence.summary.clone(), origin: occurrence.origin.clone() };
            match &occurrence.span {
                // An event without an end fills the window and no more.
                Span::Dates(from, to) => {
                    let entry = Arc::new(entry);
                    let mut date = (*from).max(window.from);
                    while date < (*to).min(window.to) {
                        agenda.days.entry(date).or_default().push(entry.clone());
                        date = zone::next(date);
                    }
                }
                Span::Times(from, to) => {
                    agenda.timed.push(Timed { from: from.instant(here), to: to.instant(here), entry })
                }
            }
        }
        agenda.index();
        agenda
    }

    /// Builds the indexes, so that no lookup scans all events.
    fn index(&mut self) {
        self.timed.sort_by_key(|timed| (timed.from, timed.to));
        self.edges = self.timed.iter().flat_map(|timed| [timed.from, timed.to]).collect();
        self.edges.sort_unstable();
        self.edges.dedup();
        (self.reach, self.taken) = (Vec::with_capacity(self.timed.len()), Vec::new());
        for timed in &self.timed {
            self.reach.push(self.reach.last().map_or(timed.to, |reach| timed.to.max(*reach)));
            match self.taken.last_mut() {
                _ if timed.from >= timed.to => {}
                Some((_, to)) if timed.from <= *to => *to = timed.to.max(*to),
                _ => self.taken.push((timed.from, timed.to)),
            }
        }
    }

    /// Returns true if both agendas contain the same events, ignoring their origins.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let names =
            |entries: &[Arc<Entry>]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        self.days.len() == other.days.len()
            && self.timed.len() == other.timed.len()
            && self.days.iter().zip(&other.days).all(|(a, b)| a.0 == b.0 && names(a.1) == names(b.1))
            && self
                .timed
                .iter()
                .zip(&other.timed)
                .all(|(a, b)| (a.from, a.to, &a.entry.name) == (b.from, b.to, &b.entry.name))
    }

    /// Adds the events of another agenda.
    pub fn merge(&mut self, other: &Agenda) {
        for (date, entries) in &other.days {
            self.days.entry(*date).or_default().extend(entries.iter().cloned());
        }
        self.timed.extend(other.timed.iter().cloned());
        self.index();
    }

    /// Returns the timed events, sorted by start.
    pub fn timed(&self) -> &[Timed] {
        &self.timed
    }

    /// Returns the busy periods that overlap `[from, to)`.
    ///
    /// A period lasts while at least one timed event does. The first and the last may extend beyond
    /// the range.
    pub fn taken(&self, from: Instant, to: Instant) -> &[(Instant, Instant)] {
        let first = self.taken.partition_point(|(_, end)| *end <= from);
        let last = self.taken.partition_point(|(start, _)| *start < to);
        self.taken.get(first..last).unwrap_or_default()
    }

    /// Returns the first timed event that lasts at an instant.
    pub fn timed_at(&self, at: Instant) -> Option<&Timed> {
        // Every event before the first one that is not over has ended; events after it begin no
        // earlier.
        let first = self.reach.partition_point(|reach| *reach <= at);
        self.timed.get(first).filter(|timed| timed.from <= at)
    }

    /// Returns the events that take place on a date at least in part, all-day events first.
    pub fn on(&self, here: Zone, date: NaiveDate) -> Vec<&Entry> {
        let (start, end) = (zone::start_of(here, date), zone::start_of(here, zone::next(date)));
        let whole_days = self.days.get(&date).into_iter().flatten().map(|entry| &**entry);
        let timed = self.timed.iter().filter(|timed| {
            timed.from < end && (timed.to > start || (timed.from == timed.to && timed.from >= start))
        });
        whole_days.chain(timed.map(|timed| &timed.entry)).collect()
    }

    /// Returns the event that takes place at an instant; an all-day event comes first.
    pub fn at(&self, here: Zone, at: Instant) -> Option<&Entry> {
        let whole_day =
            self.days.get(&zone::date(here, at)).and_then(|entries| entries.first()).map(|entry| &**entry);
        whole_day.or_else(|| self.timed_at(at).map(|timed| &timed.entry))
    }

    /// Returns the first instant after `at` at which an event begins or ends.
    pub fn next_edge(&self, here: Zone, at: Instant) -> Option<Instant> {
        let today = zone::date(here, at);
        let edges_of_days = self
            .days
            .range(today..)
            .take(2)
            .flat_map(|(date, _)| [*date, zone::next(*date)])
            .map(|date| zone::start_of(here, date));
        let edge_of_times = self.edges.get(self.edges.partition_point(|edge| *edge <= at)).copied();
        edges_of_days.chain(edge_of_times).filter(|edge| *edge > at).min()
    }

    /// Returns the first date from `date` on that has an event.
    pub fn next_date(&self, here: Zone, date: NaiveDate) -> Option<NaiveDate> {
        let start = zone::start_of(here, date);
        let whole_day = self.days.range(date..).next().map(|(date, _)| *date);
        let timed = self.timed.iter().filter(|timed| timed.to > start || timed.from >= start);
        let timed = timed.map(|timed| zone::date(here, timed.from).max(date)).min();
        whole_day.into_iter().chain(timed).min()
    }
}
