//! What will run out: hours that leave a site closed for long, calendars whose last event is near, clauses that can't hold
//! any more. Nothing of it is wrong today; people want to know before it is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

use crate::calendar::{Calendar, Filter, Occurrence, Span, Window};
use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem, nearest};
use crate::zone;

use super::definition::Clause;
use super::unmet::meant_or_known;
use super::uses::Uses;
use super::window::{Condition, Conditions};
use super::{Blueprint, Definition, Inputs, World};

/// Dates ahead in which a long closure is looked for.
const DAYS_AHEAD: u64 = 60;
/// A site that is closed for more dates in a row than this may have been forgotten.
const LONG: usize = 7;
/// A calendar that ends sooner than this is soon to be renewed.
const CALENDAR_DAYS: u64 = 90;
/// Filters of one calendar that are told of; who mends these sees the others then.
const MAX_TOLD: usize = 20;
/// How far ahead events are looked for: what comes once a year, on no fixed date, comes again within it.
const EVENT_DAYS: u64 = 500;

/// Everything of pages and calendars that will run out, as warnings.
pub fn running_out(world: &World, blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Vec<Problem> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for managed in &world.pages {
        let page = &managed.page;
        for owned in &page.variables {
            for hours in owned.definition.hours() {
                // Hours that are written in place may share a name, and those of rows a place.
                let hours_are = format!("{} {}", hours.name, hours.origin);
                if seen.insert((page.id.to_string(), hours_are)) {
                    found.extend(long_closure(hours, at).map(|problem| problem.about(&page.id)));
                }
            }
            let about = format!("{} {}", page.id, owned.variable);
            let mut past = Vec::new();
            past_clauses(&owned.definition, at, &mut past);
            // A clause of the settings that hundreds of pages share is one clause.
            past.retain(|problem| seen.insert((problem.to_string(), String::new())));
            found.extend(past.into_iter().map(|problem| problem.about(&about)));
        }
    }
    found.extend(ending_calendars(blueprint, inputs, at));
    found.into_iter().map(Problem::warning).collect()
}

/// The first stretch of more than a week of dates without any opening. A site that is never open is meant so.
fn long_closure(hours: &Hours, at: Instant) -> Option<Problem> {
    let today = hours.today(at);
    let weeks = hours.seasons.iter().map(|season| &season.weekly).chain([&hours.weekly]);
    if weeks.flatten().flatten().all(|day| day.intervals.is_empty()) {
        return last_opening(hours, today);
    }
    let mut closed: Vec<NaiveDate> = Vec::new();
    for date in (0..DAYS_AHEAD).filter_map(|day| today.checked_add_days(Days::new(day))) {
        match hours.on(date).is_empty() {
            true => closed.push(date),
            false if closed.len() > LONG => break,
            false => closed.clear(),
        }
    }
    let (first, last) = (closed.first()?, closed.last()?);
    (closed.len() > LONG).then(|| {
        let problem = Problem::at(
            &hours.origin,
            format!("{} is closed on all {} dates from {first} to {last}", hours.name, closed.len()),
        );
        problem.hint("look at its hours, special dates and calendars; if it is meant so, all is well")
    })
}

/// Hours that have dates alone are closed for ever after the last of them.
fn last_opening(hours: &Hours, today: NaiveDate) -> Option<Problem> {
    if hours.holidays.is_some() {
        return None;
    }
    let open = hours.special.iter().filter(|(_, day)| !day.intervals.is_empty());
    let (last, day) = open.max_by_key(|(date, _)| **date)?;
    (*last < today.checked_add_days(Days::new(DAYS_AHEAD))?).then(|| {
        let message =
            format!("{} opens on {last} for the last time: it has no hours for any later date", hours.name);
        let hint = "give it weekly hours, or more dates; if it closes for good, all is well";
        Problem::at(&day.origin, message).hint(hint)
    })
}

/// Clauses that no instant of the coming time reaches: they hold no more, or an earlier one holds all the while.
fn past_clauses(definition: &Definition, at: Instant, found: &mut Vec<Problem>) {
    if let Definition::When { clauses, .. } = definition {
        for (index, clause) in clauses.iter().enumerate() {
            let words = format!("clause {} will not hold", index + 1);
            let conditions = clause.conditions.describe();
            let problem = match never_holds(&clause.conditions, at) {
                Some(Condition::Hours { .. }) => {
                    let problem = Problem::at(&clause.origin, format!("{words}: {conditions}"));
                    problem.hint(
                        "those hours never change; correct the state or the hours, or remove the clause",
                    )
                }
                Some(_) => {
                    let problem = Problem::at(&clause.origin, format!("{words} again: {conditions}"));
                    problem.hint("remove it, or give it new dates")
                }
                None if is_covered(&clause.conditions, &clauses[..index], at) => {
                    let message =
                        format!("clause {} is never reached: those before it hold all the while", index + 1);
                    let problem = Problem::at(&clause.origin, message);
                    problem.hint("the first that holds counts: put it in front of them, or give these an end")
                }
                None => continue,
            };
            found.push(problem);
        }
    }
    definition.parts().for_each(|part| past_clauses(part, at, found));
}

/// A condition that doesn't hold and won't.
fn never_holds(conditions: &Conditions, at: Instant) -> Option<&Condition> {
    conditions.0.iter().find(|condition| condition.at(at) == (false, None))
}

/// Whether earlier clauses hold at every instant at which this one can.
fn is_covered(conditions: &Conditions, earlier: &[Clause], at: Instant) -> bool {
    let held: Vec<(Instant, Option<Instant>)> =
        earlier.iter().filter_map(|clause| certain(&clause.conditions, at)).collect();
    let (mut start, end) = conditions.0.iter().fold((at, None), |span, condition| match condition {
        Condition::Dates { from, until, .. } => narrowed(span, *from, *until),
        _ => span,
    });
    // From the end of one to the end of the next, as long as one of them goes on.
    loop {
        let goes_on = |(from, until): &&(Instant, Option<Instant>)| {
            *from <= start && until.is_none_or(|until| start < until)
        };
        match held.iter().find(goes_on) {
            None => return false,
            Some((_, None)) => return true,
            Some((_, Some(until))) if end.is_some_and(|end| end <= *until) => return true,
            Some((_, Some(until))) => start = *until,
        }
    }
}

/// The span in which conditions hold for certain: dates, and what holds now and doesn't change.
fn certain(conditions: &Conditions, at: Instant) -> Option<(Instant, Option<Instant>)> {
    conditions.0.iter().try_fold((at, None), |span, condition| match condition {
        Condition::Dates { from, until, .. } => Some(narrowed(span, *from, *until)),
        other => (other.at(at) == (true, None)).then_some(span),
    })
}

/// A span within another; an end that is none is never.
fn narrowed(
    (start, end): (Instant, Option<Instant>),
    from: Option<Instant>,
    until: Option<Instant>,
) -> (Instant, Option<Instant>) {
    (from.map_or(start, |from| from.max(start)), [end, until].into_iter().flatten().min())
}

/// Calendars whose last event is near or past, of all events or of those that count somewhere; and filters that no event
/// meets, so that nothing closes by them.
fn ending_calendars(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Vec<Problem> {
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
        let mut wanted = filters.remove(name.as_str()).unwrap_or_default();
        let own = used.filter_origin.as_ref().map(|origin| (used.filter.clone(), origin.clone()));
        wanted.extend(own);
        wanted.sort_by_key(|(_, origin)| (origin.file.clone(), origin.line, origin.column));
        let calendar = format!("calendar \"{name}\"");
        // Of public holidays it is known when they end, and told by themselves.
        let is_told = |filter: &Filter| match events.last(filter) {
            None => !events.events.is_empty(),
            Some(last) => public.is_none() && events.is_near(last),
        };
        wanted.retain(|(filter, _)| is_told(filter));
        let problem = |(filter, origin): &(Filter, Origin)| match events.last(filter) {
            None => Some(events.unmet(filter, origin, &calendar)),
            Some(_) => events.ending(filter).map(|problem| problem.about(format!("{calendar}, {filter}"))),
        };
        let mut told: Vec<Problem> = wanted.iter().take(MAX_TOLD).filter_map(problem).collect();
        if let Some((_, origin)) = wanted.get(MAX_TOLD) {
            let more = wanted.len() - MAX_TOLD;
            let message =
                format!("{calendar}: {more} more filters from here on have no event to come, or soon none");
            told.push(Problem::at(origin, message).hint("mend the others first, or get a newer file"));
        }
        let is_plain = used.filter.is_open() && told.is_empty() && public.is_none();
        let of_all = if is_plain || (public.is_none() && events.events.is_empty()) {
            events.ending(&Filter::default())
        } else {
            None
        };
        told.extend(of_all.map(|problem| problem.about(&calendar)));
        found.append(&mut told);
    }
    found
}

/// The coming events of a calendar, and the day that they are looked at. A rule that goes on never ends.
struct Events {
    events: Vec<Occurrence>,
    here: Tz,
    today: NaiveDate,
}

impl Events {
    fn of(calendar: &Calendar, at: Instant) -> Option<Self> {
        let today = at.date_naive();
        let window = Window { from: today, to: today.checked_add_days(Days::new(EVENT_DAYS))? };
        Some(Self {
            events: calendar.occurrences(window).ok()?,
            here: calendar.zone.unwrap_or(Tz::UTC),
            today,
        })
    }

    /// The last date of those that count.
    fn last(&self, filter: &Filter) -> Option<NaiveDate> {
        let last = self.events.iter().filter(|event| filter.takes(event)).map(|event| match &event.span {
            Span::Dates(_, to) => to.pred_opt().unwrap_or(*to),
            Span::Times(_, to) => zone::date(self.here, to.instant(self.here)),
        });
        last.max()
    }

    /// Whether a date is soon, or over.
    fn is_near(&self, date: NaiveDate) -> bool {
        self.today.checked_add_days(Days::new(CALENDAR_DAYS)).is_some_and(|end| date < end)
    }

    /// Whether the last event that counts is near.
    fn ending(&self, filter: &Filter) -> Option<Problem> {
        let message = match self.last(filter) {
            Some(last) if self.is_near(last) => format!("its last event is on {last}"),
            Some(_) => return None,
            None => format!("it has no event in the coming {EVENT_DAYS} days"),
        };
        let hint = "get a newer file: what it doesn't have doesn't close anything";
        Some(Problem::new(message).hint(hint))
    }

    /// A filter that no event meets, with what was probably meant.
    fn unmet(&self, filter: &Filter, origin: &Origin, calendar: &str) -> Problem {
        let message = format!(
            "{filter}: {calendar} has no such event in the coming {EVENT_DAYS} days, so nothing comes of it"
        );
        let problem = Problem::at(origin, message);
        let by_summary = Filter { category: None, ..filter.clone() };
        let by_category = Filter { summary: None, ..filter.clone() };
        let events = self.events.iter();
        let (wanted, what, known): (_, _, BTreeSet<&str>) = match (&filter.summary, &filter.category) {
            (Some(summary), _) if self.last(&by_summary).is_none() => {
                (summary, "its events are", events.map(|event| event.summary.trim()).collect())
            }
            (_, Some(category)) if self.last(&by_category).is_none() => {
                let categories = events.flat_map(|event| &event.categories).map(|name| name.trim());
                (category, "its categories are", categories.collect())
            }
            _ => return problem.hint("there are events of each, and none of both"),
        };
        match known.is_empty() {
            true => problem.hint("its events have no categories; name a part of their summary"),
            false => problem.hint(meant_or_known(nearest_phrase(wanted, &known).as_deref(), what, &known)),
        }
    }
}

/// The part of a known text, of as many words, that was probably meant. A filter knows no case.
fn nearest_phrase(wanted: &str, known: &BTreeSet<&str>) -> Option<String> {
    let count = wanted.split_whitespace().count();
    let mut phrases: BTreeMap<String, String> = BTreeMap::new();
    for text in known {
        let words: Vec<&str> = text.split_whitespace().collect();
        let parts = words.windows(count.clamp(1, words.len().max(1))).map(|part| part.join(" "));
        phrases.extend(parts.map(|part| (part.to_lowercase(), part)));
    }
    let meant = nearest(&wanted.trim().to_lowercase(), phrases.keys().map(String::as_str))?;
    phrases.get(meant).cloned()
}
