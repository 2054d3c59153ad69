//! What a calendar says in one zone, ready to be asked: which dates, which times, what comes next.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::model::{Instant, Origin};
use crate::zone;

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
    fn takes(&self, occurrence: &Occurrence) -> bool {
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
    pub timed: Vec<Timed>,
}

impl Agenda {
    /// Sorts occurrences into a zone's dates and instants; the dates within the window.
    pub fn new(occurrences: &[Occurrence], filter: &Filter, here: Tz, window: Window) -> Self {
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
        agenda.timed.sort_by_key(|timed| (timed.from, timed.to));
        agenda
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
        self.timed.sort_by_key(|timed| (timed.from, timed.to));
    }

    /// The events that take place on a date, at least for a while: whole days first.
    pub fn on(&self, here: Tz, date: NaiveDate) -> Vec<&Entry> {
        let (start, end) = (zone::start_of(here, date), zone::start_of(here, zone::next(date)));
        let whole_days = self.days.get(&date).into_iter().flatten();
        let timed = self.timed.iter().filter(|timed| {
            timed.from < end && (timed.to > start || (timed.from == timed.to && timed.from >= start))
        });
        whole_days.chain(timed.map(|timed| &timed.entry)).collect()
    }

    /// The event that is going on at an instant.
    pub fn at(&self, here: Tz, at: Instant) -> Option<&Entry> {
        let whole_day = self.days.get(&zone::date(here, at)).and_then(|entries| entries.first());
        whole_day.or_else(|| {
            let going_on = |timed: &&Timed| timed.from <= at && at < timed.to;
            self.timed.iter().find(going_on).map(|timed| &timed.entry)
        })
    }

    /// The first instant after `at` at which an event begins or ends.
    pub fn next_edge(&self, here: Tz, at: Instant) -> Option<Instant> {
        let today = zone::date(here, at);
        let edges_of_days = self
            .days
            .range(today..)
            .take(2)
            .flat_map(|(date, _)| [*date, zone::next(*date)])
            .map(|date| zone::start_of(here, date));
        let edges_of_times = self.timed.iter().flat_map(|timed| [timed.from, timed.to]);
        edges_of_days.chain(edges_of_times).filter(|edge| *edge > at).min()
    }

    /// The first date from `date` on with an event on it.
    pub fn next_date(&self, here: Tz, date: NaiveDate) -> Option<NaiveDate> {
        let start = zone::start_of(here, date);
        let whole_day = self.days.range(date..).next().map(|(date, _)| *date);
        let timed = self.timed.iter().filter(|timed| timed.to > start || timed.from >= start);
        let timed = timed.map(|timed| zone::date(here, timed.from).max(date)).min();
        whole_day.into_iter().chain(timed).min()
    }
}
