//! Lint for calendars that end or have a gap, and for filters that no event matches.
//!
//! A missing event closes nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate};

use crate::calendar::{Calendar, Filter, Occurrence, Span, Window};
use crate::compile::uses::Uses;
use crate::compile::{Blueprint, Inputs};
use crate::model::{Instant, Origin, Problem, nearest};
use crate::written::{Node, Raw, is_template, one_or_more};
use crate::zone::{self, Zone};

use super::filters::suggest_or_list;

/// The days before its end in which a calendar is due for renewal.
const CALENDAR_DAYS: u64 = 90;
/// The most filters of one calendar that are listed, so that users can fix these first.
const REPORTED: usize = 20;
/// The days ahead in which events are searched.
///
/// An annual event without a fixed date recurs in them.
const EVENT_DAYS: u64 = 500;
/// The days back in which events are searched; an annual event occurs twice in them.
const KNOWN_DAYS: u64 = 800;
/// The days ahead in which a stretch without events is searched.
const GAP_DAYS: u64 = 400;
/// The fewest past events that show the usual length of such stretches.
const KNOWN_EVENTS: usize = 6;
/// The hint for missing events.
const NEWER: &str = "get a newer file: events that it lacks close nothing";

/// Returns problems of calendars that end or have a gap, and of unmatched filters.
///
/// Both all events of a calendar and those that a filter selects are checked. A filter that no
/// event matches closes nothing.
pub(super) fn ending_calendars(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Vec<Problem> {
    let mut filters: BTreeMap<&str, Vec<(Filter, Origin)>> = BTreeMap::new();
    let uses = Uses::of_calendars(blueprint, inputs, at);
    for ((name, filter), origin) in &uses.filters {
        filters.entry(name).or_default().push((filter.clone(), origin.clone()));
    }
    let mut found = Vec::new();
    for (name, used) in &blueprint.calendars {
        let public = used.public.as_ref().map(|public| &public.calendar);
        let Some(calendar) = public.or_else(|| inputs.calendars.get(name)) else { continue };
        let Some(events) = Events::of(calendar, at) else { continue };
        let mut uses = filters.remove(name.as_str()).unwrap_or_default();
        let own = used.filter_origin.as_ref().map(|origin| (used.filter.clone(), origin.clone()));
        uses.extend(own);
        uses.sort_by_key(|(_, origin)| (origin.file.clone(), origin.line, origin.column));
        let calendar = format!("calendar \"{name}\"");
        // Filters with a problem. It is none for a filter that no event matches: that problem is
        // built below, and only if it is listed. The end of public holidays is reported elsewhere.
        let mut wrong: Vec<(Filter, Origin, Option<Problem>)> = Vec::new();
        for (filter, origin) in uses {
            let taken = events.taken(&filter);
            let (is_unmet, running_out) = match taken.last() {
                None => (!events.all.is_empty(), None),
                Some(_) => (false, taken.running_out().filter(|_| public.is_none())),
            };
            if is_unmet || running_out.is_some() {
                wrong.push((filter, origin, running_out));
            }
        }
        let more = wrong.split_off(wrong.len().min(REPORTED));
        let problem = |(filter, origin, running_out): (Filter, Origin, Option<Problem>)| match running_out {
            Some(problem) => problem.about(format!("{calendar}, {filter}")),
            None => events.unmet(&filter, &origin, &calendar),
        };
        let mut reported: Vec<Problem> = wrong.into_iter().map(problem).collect();
        if let Some((_, origin, _)) = more.first() {
            let more = more.len();
            let message = format!("{calendar}: {more} more filters match no upcoming event, now or soon");
            reported
                .push(Problem::at(origin, message).hint("fix the listed filters first, or get a newer file"));
        }
        // If every use is filtered, the problems of the filters are enough.
        let is_plain = used.filter.is_open()
            && public.is_none()
            && (reported.is_empty() || is_taken_whole(blueprint, name));
        let reports_all = is_plain || (public.is_none() && events.all.is_empty());
        let of_all = events.taken(&Filter::default()).running_out().filter(|_| reports_all);
        reported.extend(of_all.map(|problem| problem.about(&calendar)));
        found.append(&mut reported);
    }
    found
}

/// Returns the date of a calendar's last event within 500 days.
///
/// A rule without an end reaches up to there.
pub fn last_event(calendar: &Calendar, at: Instant) -> Option<NaiveDate> {
    let today = at.date_naive();
    let to = today.checked_add_days(Days::new(EVENT_DAYS))?;
    let all = calendar.occurrences(Window { from: today, to }).ok()?;
    let events = Events { all, here: calendar.zone.unwrap_or(Zone::UTC), today };
    events.taken(&Filter::default()).last()
}

/// Returns true if some place takes, or may take, all events of a calendar.
fn is_taken_whole(blueprint: &Blueprint, calendar: &str) -> bool {
    let is_named =
        |node: &Node| matches!(&node.raw, Raw::Text(text) if text == calendar || is_template(text));
    let takes = |node: &Node| {
        let is_narrowed = node.get("summary").or(node.get("category")).is_some();
        let closing = one_or_more(node.get("closed_on"));
        closing.iter().any(is_named) || (!is_narrowed && node.get("calendar").is_some_and(is_named))
    };
    blueprint.hours.values().chain(&blueprint.pages).any(|node| node.any(&takes))
}

/// An event with its first and last date.
type Dated<'e> = (NaiveDate, NaiveDate, &'e Occurrence);

/// The events of a calendar around the current day.
///
/// A rule without an end counts as endless.
struct Events {
    all: Vec<Occurrence>,
    here: Zone,
    today: NaiveDate,
}

impl Events {
    fn of(calendar: &Calendar, at: Instant) -> Option<Self> {
        let today = at.date_naive();
        let to = today.checked_add_days(Days::new(EVENT_DAYS))?;
        // A calendar with too many events is limited to those to come.
        let from = [KNOWN_DAYS, 0].into_iter().filter_map(|back| today.checked_sub_days(Days::new(back)));
        let mut events = from.filter_map(|from| calendar.occurrences(Window { from, to }).ok());
        Some(Self { all: events.next()?, here: calendar.zone.unwrap_or(Zone::UTC), today })
    }

    /// Returns the events that a filter selects.
    fn taken(&self, filter: &Filter) -> TakenEvents<'_> {
        let events = self.all.iter().filter(|event| filter.takes(event));
        TakenEvents { events: events.map(|event| self.dated(event)).collect(), today: self.today }
    }

    fn dated<'e>(&self, event: &'e Occurrence) -> Dated<'e> {
        match &event.span {
            Span::Dates(from, to) => (*from, to.pred_opt().unwrap_or(*to), event),
            Span::Times(from, to) => {
                let [from, to] = [from, to].map(|time| zone::date(self.here, time.instant(self.here)));
                (from, to, event)
            }
        }
    }

    /// Returns the problem of a filter that no event matches, with the likely correction.
    fn unmet(&self, filter: &Filter, origin: &Origin, calendar: &str) -> Problem {
        let message = format!(
            "{filter}: {calendar} has no such event in the coming {EVENT_DAYS} days, so it has no effect"
        );
        let problem = Problem::at(origin, message);
        let by_summary = Filter { category: None, ..filter.clone() };
        let by_category = Filter { summary: None, ..filter.clone() };
        let events = self.all.iter();
        let (used, what, known): (_, _, BTreeSet<&str>) = match (&filter.summary, &filter.category) {
            (Some(summary), _) if self.taken(&by_summary).last().is_none() => {
                (summary, "its events are", events.map(|event| event.summary.trim()).collect())
            }
            (_, Some(category)) if self.taken(&by_category).last().is_none() => {
                let categories = events.flat_map(|event| event.categories.names());
                (category, "its categories are", categories.collect())
            }
            _ => return problem.hint("change one of them: each matches events, but no event matches both"),
        };
        match known.is_empty() {
            true => problem.hint("its events have no categories; name a part of their summary"),
            false => problem.hint(suggest_or_list(nearest_phrase(used, &known).as_deref(), what, &known)),
        }
    }
}

/// The events of a calendar that a filter selects.
struct TakenEvents<'e> {
    events: Vec<Dated<'e>>,
    today: NaiveDate,
}

impl TakenEvents<'_> {
    /// Returns the problem of events that end soon or have a gap.
    fn running_out(&self) -> Option<Problem> {
        self.ending().or_else(|| self.gap())
    }

    fn dates(&self) -> impl Iterator<Item = Dated<'_>> {
        self.events.iter().copied()
    }

    /// Returns the last date of the events.
    fn last(&self) -> Option<NaiveDate> {
        self.dates().map(|(_, to, _)| to).max()
    }

    /// Returns true if a date is soon, or past.
    fn is_near(&self, date: NaiveDate) -> bool {
        self.today.checked_add_days(Days::new(CALENDAR_DAYS)).is_some_and(|end| date < end)
    }

    /// Returns a problem if the last event is near.
    fn ending(&self) -> Option<Problem> {
        let message = match self.last() {
            Some(last) if self.is_near(last) => format!("its last event is on {last}"),
            Some(_) => return None,
            None => format!("it has no event in the coming {EVENT_DAYS} days"),
        };
        Some(Problem::new(message).hint(NEWER))
    }

    /// Returns a problem if events are missing although there are later ones.
    fn gap(&self) -> Option<Problem> {
        let message = self.missing_year().or_else(|| self.last_of_single_dates());
        Some(Problem::new(message.or_else(|| self.long_stretch())?).hint(NEWER))
    }

    /// Finds a year without any event between years that have some.
    fn missing_year(&self) -> Option<String> {
        let this = self.today.year();
        let near = this - 3..=this + 10;
        let years: BTreeSet<i32> = self
            .dates()
            .flat_map(|(from, to, _)| from.year().max(*near.start())..=to.year().min(*near.end()))
            .collect();
        // A year that is not covered up to its end is not checked.
        let end = self.today.checked_add_days(Days::new(EVENT_DAYS))?;
        let year = (this..end.year()).find(|year| !years.contains(year) && years.contains(&(year - 1)))?;
        let next = years.range(year..).next()?;
        Some(format!("it has no event in {year}, but some in {} and {next}", year - 1))
    }

    /// Finds annual events with single dates that end, while other events recur by a rule.
    ///
    /// Easter is such an event.
    fn last_of_single_dates(&self) -> Option<String> {
        if !self.dates().any(|(from, _, event)| event.recurs && from > self.today) {
            return None;
        }
        let mut single: Vec<(String, NaiveDate)> = self
            .dates()
            .filter(|(.., event)| !event.recurs)
            .map(|(from, _, event)| (without_year(&event.summary), from))
            .collect();
        single.sort_unstable();
        let is_yearly = |pair: &&[(String, NaiveDate)]| {
            pair[0].0 == pair[1].0 && (300..=GAP_DAYS as i64).contains(&(pair[1].1 - pair[0].1).num_days())
        };
        let (name, _) = &single.windows(2).filter(is_yearly).max_by_key(|pair| pair[1].1)?[1];
        let last = single.iter().map(|(_, date)| *date).max()?;
        let is_recent = last.checked_add_days(Days::new(GAP_DAYS)).is_some_and(|end| end > self.today);
        (self.is_near(last) && is_recent).then(|| {
            format!("its last event with a single date is on {last}, but some of these came every year, such as \"{name}\"")
        })
    }

    /// Finds a coming stretch without events that is much longer than any past one.
    ///
    /// The event after it must have a single date. An event that recurs by a rule does not
    /// show that the calendar is maintained that far ahead.
    fn long_stretch(&self) -> Option<String> {
        let start = self.today.checked_sub_days(Days::new(KNOWN_DAYS))?;
        let end = self.today.checked_add_days(Days::new(GAP_DAYS))?;
        let mut events: Vec<_> = self.dates().filter(|(from, ..)| *from >= start).collect();
        events.sort_unstable_by_key(|(from, to, _)| (*from, *to));
        let (first, mut reach, _) = *events.first()?;
        let periods = events.iter().map(|(from, to, event)| {
            let before = reach;
            reach = before.max(*to);
            (before, *from, (*from - before).num_days(), event.recurs)
        });
        let (known, coming): (Vec<_>, Vec<_>) = periods.partition(|(_, until, ..)| *until <= self.today);
        if known.len() < KNOWN_EVENTS || (self.today - first).num_days() < 365 {
            return None;
        }
        let longest = known.iter().map(|(.., days, _)| *days).max()?.max(60);
        let is_long = |(since, _, days, recurs): &&(NaiveDate, NaiveDate, i64, bool)| {
            *since < end && !recurs && days * 2 > longest * 3
        };
        let (since, until, ..) = coming.iter().find(is_long)?;
        Some(format!(
            "it has no event between {since} and {until}, but was never without one for more than \
             {longest} days before"
        ))
    }
}

/// Removes the digits of a name, so that "Easter Monday 2026" equals that of the next year.
fn without_year(name: &str) -> String {
    let name: String = name.chars().filter(|sign| !sign.is_ascii_digit()).collect();
    name.trim().to_owned()
}

/// Returns the part of a known text that was probably meant.
///
/// It has as many words as the given text. Case is ignored, as in a filter.
fn nearest_phrase(used: &str, known: &BTreeSet<&str>) -> Option<String> {
    let count = used.split_whitespace().count();
    let mut phrases: BTreeMap<String, String> = BTreeMap::new();
    for text in known {
        let words: Vec<&str> = text.split_whitespace().collect();
        let parts = words.windows(count.clamp(1, words.len().max(1))).map(|part| part.join(" "));
        phrases.extend(parts.map(|part| (part.to_lowercase(), part)));
    }
    let meant = nearest(&used.trim().to_lowercase(), phrases.keys().map(String::as_str))?;
    phrases.get(meant).cloned()
}
