//! What a calendar says in one zone, ready to be asked: which dates, which times, what comes next.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::model::{Instant, Origin};
use crate::zone::{self, Zone};

use super::{Occurrence, Span, Window};

/// Which events of a calendar count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The SUMMARY must contain this, whatever its case.
    pub summary: Option<String>,
    /// One of the CATEGORIES must be this, whatever its case.
    pub category: Option<String>,
}

impl Filter {
    /// Whether every event counts.
    pub fn is_open(&self) -> bool {
        self.summary.is_none() && self.category.is_none()
    }

    /// Whether an event counts.
    pub fn takes(&self, occurrence: &Occurrence) -> bool {
        let summary = self
            .summary
            .as_ref()
            .is_none_or(|wanted| occurrence.summary.to_lowercase().contains(&wanted.to_lowercase()));
        let category = self.category.as_ref().is_none_or(|wanted| {
            let wanted = wanted.to_lowercase();
            occurrence.categories.iter().any(|category| category.to_lowercase() == wanted)
        });
        summary && category
    }
}

/// As the settings write it: `summary = "bank holiday"`.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("summary", &self.summary), ("category", &self.category)];
        let parts =
            parts.iter().filter_map(|(key, wanted)| Some(format!("{key} = \"{}\"", wanted.as_ref()?)));
        f.write_str(&parts.collect::<Vec<_>>().join(" and "))
    }
}

/// An event's name and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its SUMMARY.
    pub name: Arc<str>,
    /// Where it stands.
    pub origin: Origin,
}

/// An event at a time of day.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Its first instant.
    pub from: Instant,
    /// The instant it is over.
    pub to: Instant,
    /// Name and place.
    pub entry: Entry,
}

/// The occurrences of a calendar as one zone sees them.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    /// The events of whole days, under each of their dates.
    pub days: BTreeMap<NaiveDate, Vec<Entry>>,
    /// The events at a time of day, by their start.
    timed: Vec<Timed>,
    /// For each of them, how long it or an earlier one goes on.
    reach: Vec<Instant>,
    /// The instants at which one begins or ends.
    edges: Vec<Instant>,
    /// While at least one goes on, `[from, to)`; these neither touch nor overlap.
    taken: Vec<(Instant, Instant)>,
}

impl Agenda {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.timed.is_empty()
    }

    /// Sorts occurrences into a zone's dates and instants; the dates within the window.
    pub fn new(occurrences: &[Occurrence], filter: &Filter, here: Zone, window: Window) -> Self {
        let mut agenda = Self::default();
        for occurrence in occurrences.iter().filter(|occurrence| filter.takes(occurrence)) {
            let entry = Entry { name: occurrence.summary.as_str().into(), origin: occurrence.origin.clone() };
            match &occurrence.span {
                // One that lasts for ever fills the window and no more.
                Span::Dates(from, to) => {
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

    /// Puts an event at a time of day beside those that are there.
    pub fn add(&mut self, timed: Timed) {
        self.timed.push(timed);
        self.index();
    }

    /// Prepares the answers, so that none of them goes through all events.
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

    /// Whether two are alike but for the places of their events.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let names = |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        self.days.len() == other.days.len()
            && self.timed.len() == other.timed.len()
            && self.days.iter().zip(&other.days).all(|(a, b)| a.0 == b.0 && names(a.1) == names(b.1))
            && self
                .timed
                .iter()
                .zip(&other.timed)
                .all(|(a, b)| (a.from, a.to, &a.entry.name) == (b.from, b.to, &b.entry.name))
    }

    /// Puts another calendar's events beside these.
    pub fn merge(&mut self, other: &Agenda) {
        for (date, entries) in &other.days {
            self.days.entry(*date).or_default().extend(entries.iter().cloned());
        }
        self.timed.extend(other.timed.iter().cloned());
        self.index();
    }

    /// The events at a time of day, by their start.
    pub fn timed(&self) -> &[Timed] {
        &self.timed
    }

    /// The stretches between two instants in which an event at a time of day goes on; the first and the last may
    /// reach beyond.
    pub fn taken(&self, from: Instant, to: Instant) -> &[(Instant, Instant)] {
        let first = self.taken.partition_point(|(_, end)| *end <= from);
        let last = self.taken.partition_point(|(start, _)| *start < to);
        self.taken.get(first..last).unwrap_or_default()
    }

    /// The first of the events at a time of day that go on at an instant.
    pub fn timed_at(&self, at: Instant) -> Option<&Timed> {
        // The first that is not over: none before it goes on, and those behind it begin no earlier.
        let first = self.reach.partition_point(|reach| *reach <= at);
        self.timed.get(first).filter(|timed| timed.from <= at)
    }

    /// The events that take place on a date, at least for a while: whole days first.
    pub fn on(&self, here: Zone, date: NaiveDate) -> Vec<&Entry> {
        let (start, end) = (zone::start_of(here, date), zone::start_of(here, zone::next(date)));
        let whole_days = self.days.get(&date).into_iter().flatten();
        let timed = self.timed.iter().filter(|timed| {
            timed.from < end && (timed.to > start || (timed.from == timed.to && timed.from >= start))
        });
        whole_days.chain(timed.map(|timed| &timed.entry)).collect()
    }

    /// The event that is going on at an instant.
    pub fn at(&self, here: Zone, at: Instant) -> Option<&Entry> {
        let whole_day = self.days.get(&zone::date(here, at)).and_then(|entries| entries.first());
        whole_day.or_else(|| self.timed_at(at).map(|timed| &timed.entry))
    }

    /// The first instant after `at` at which an event begins or ends.
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

    /// The first date from `date` on with an event on it.
    pub fn next_date(&self, here: Zone, date: NaiveDate) -> Option<NaiveDate> {
        let start = zone::start_of(here, date);
        let whole_day = self.days.range(date..).next().map(|(date, _)| *date);
        let timed = self.timed.iter().filter(|timed| timed.to > start || timed.from >= start);
        let timed = timed.map(|timed| zone::date(here, timed.from).max(date)).min();
        whole_day.into_iter().chain(timed).min()
    }
}
