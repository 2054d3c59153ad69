//! What will run out: hours that leave a site closed for long, calendars whose last event is near, clauses that can't hold
//! any more. Nothing of it is wrong today; people want to know before it is.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

use crate::calendar::{Calendar, Span, Window};
use crate::hours::Hours;
use crate::model::{Instant, Problem};
use crate::zone;

use super::window::Condition;
use super::{Definition, Inputs, World};

/// Dates ahead in which a long closure is looked for.
const DAYS_AHEAD: u64 = 60;
/// A site that is closed for more dates in a row than this may have been forgotten.
const LONG: usize = 7;
/// A calendar that ends sooner than this is soon to be renewed.
const CALENDAR_DAYS: u64 = 90;

/// Everything of pages and calendars that will run out, as warnings.
pub fn running_out(world: &World, inputs: &Inputs, at: Instant) -> Vec<Problem> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for managed in &world.pages {
        let page = &managed.page;
        for owned in &page.variables {
            for hours in owned.definition.hours() {
                if seen.insert((page.id.to_string(), hours.name.clone())) {
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
    for (name, calendar) in &inputs.calendars {
        found.extend(ending(calendar, at).map(|problem| problem.about(format!("calendar \"{name}\""))));
    }
    found.into_iter().map(Problem::warning).collect()
}

/// The first stretch of more than a week of dates without any opening. A site that is never open is meant so.
fn long_closure(hours: &Hours, at: Instant) -> Option<Problem> {
    if hours.weekly.iter().flatten().all(|day| day.intervals.is_empty()) {
        return None;
    }
    let today = hours.today(at);
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

/// Clauses whose time is over.
fn past_clauses(definition: &Definition, at: Instant, found: &mut Vec<Problem>) {
    if let Definition::When { clauses, .. } = definition {
        for (index, clause) in clauses.iter().enumerate() {
            let is_over = |condition: &Condition| match condition {
                Condition::Dates { until, .. } => until.is_some_and(|until| until <= at),
                Condition::Calendar { agenda, zone, .. } => {
                    agenda.at(*zone, at).is_none() && agenda.next_edge(*zone, at).is_none()
                }
                Condition::Hours { .. } | Condition::Cron(_) => false,
            };
            if clause.conditions.0.iter().any(is_over) {
                let problem = Problem::at(
                    &clause.origin,
                    format!("clause {} will not hold again: {}", index + 1, clause.conditions.describe()),
                );
                found.push(problem.hint("remove it, or give it new dates"));
            }
        }
    }
    definition.parts().for_each(|part| past_clauses(part, at, found));
}

/// Whether a calendar's last event is near or past. One with a rule that goes on never ends.
fn ending(calendar: &Calendar, at: Instant) -> Option<Problem> {
    let today = at.date_naive();
    let window = Window { from: today, to: today.checked_add_days(Days::new(400))? };
    let occurrences = calendar.occurrences(window).ok()?;
    let here = calendar.zone.unwrap_or(chrono_tz::UTC);
    let last = occurrences.iter().map(|occurrence| match &occurrence.span {
        Span::Dates(_, to) => to.pred_opt().unwrap_or(*to),
        Span::Times(_, to) => zone::date(here, to.instant(here)),
    });
    let message = match last.max() {
        Some(last) if last < today.checked_add_days(Days::new(CALENDAR_DAYS))? => {
            format!("its last event is on {last}")
        }
        Some(_) => return None,
        None => "it has no event in the coming 400 days".to_owned(),
    };
    let hint = "get a newer file: what it doesn't have doesn't close anything";
    Some(Problem::new(message).hint(hint))
}
