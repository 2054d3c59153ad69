//! Lint: rules about what will run out.
//!
//! They report hours that leave a site closed for long, calendars whose last event is near, and
//! clauses that can no longer hold. Nothing is wrong today, but it will be without a correction.

mod calendars;
mod clauses;
mod filters;
mod intervals;

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, TimeDelta};

use crate::compile::{Blueprint, Inputs, World};
use crate::hours::Hours;
use crate::model::{Instant, Problem};
use crate::zone::Database;

use calendars::ending_calendars;
use clauses::Reach;

pub use calendars::last_event;
pub use filters::unmet_conditions;
pub use intervals::suspicious_hours;

/// The dates ahead in which a long closure is searched.
const DAYS_AHEAD: u64 = 60;
/// The days before its end in which a list of special dates is due for renewal.
const LIST_DAYS: u64 = 90;
/// The fewest special dates of one year that count as a list that is renewed each year.
const LISTED: usize = 5;
/// The most consecutive closed dates that are normal; a site with more may be forgotten.
const LONG: usize = 7;

/// Returns warnings about everything of pages and calendars that will run out.
pub fn running_out(world: &World, blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Vec<Problem> {
    let (mut found, mut seen, mut reach) = (Vec::new(), BTreeSet::new(), Reach::default());
    for managed in &world.pages {
        // A temporary override does not mean that anything was forgotten.
        let page = &managed.computed;
        for owned in page.variables.iter() {
            for hours in owned.definition.hours() {
                // Hours that are written in place may share a name, and those of rows a place.
                let hours_are = format!("{} {}", hours.name, hours.origin);
                if seen.insert((page.id.to_string(), hours_are)) {
                    found.extend(long_closure(hours, at).map(|problem| problem.about(&page.id)));
                    // A table with hundreds of sites is reported once.
                    let ending = ending_list(hours, at).filter(|(problem, last)| {
                        let file = problem.origin.as_ref().map(|origin| origin.file.to_string());
                        seen.insert((file.unwrap_or_default(), last.to_string()))
                    });
                    found.extend(ending.map(|(problem, _)| problem.about(&page.id)));
                }
            }
            let about = format!("{} {}", page.id, owned.variable);
            let mut unreached = Vec::new();
            reach.unreached(&owned.definition, at, &mut unreached);
            // A clause in the settings that hundreds of pages share is reported once.
            unreached.retain(|problem| seen.insert((problem.to_string(), String::new())));
            found.extend(unreached.into_iter().map(|problem| problem.about(&about)));
        }
    }
    found.extend(ending_calendars(blueprint, inputs, at));
    found.into_iter().map(Problem::warning).collect()
}

/// Returns a warning when the zone database is older than a year.
pub fn old_zone_database(zones: &Database, at: Instant) -> Option<Problem> {
    let version = zones.version().filter(|version| version.is_old(at.date_naive()))?;
    let message =
        format!("the zone database {zones} is older than a year: rules changed after {version} are missing");
    Some(Problem::new(message).hint("update the package tzdata of the system, or rtconfd").warning())
}

/// Returns a problem for more than a week of dates without opening.
///
/// A site that never opens is meant to be closed.
fn long_closure(hours: &Hours, at: Instant) -> Option<Problem> {
    let today = hours.today(at);
    match opens_on_dates_alone(hours) {
        false => closed_dates(hours, today),
        true => last_opening(hours, today)
            .or_else(|| closed_dates(hours, today).filter(|_| has_long_gap(hours, today))),
    }
}

/// Returns a problem for the first stretch of more than a week of dates without opening.
fn closed_dates(hours: &Hours, today: NaiveDate) -> Option<Problem> {
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
        problem.hint("check its hours, special dates and calendars; ignore this if it is intended")
    })
}

/// Returns true if hours that open on single dates alone have an unusually long coming gap.
///
/// A monthly market, for example, is closed for long each time.
fn has_long_gap(hours: &Hours, today: NaiveDate) -> bool {
    let open: Vec<NaiveDate> =
        hours.special.iter().filter(|(_, day)| !day.intervals.is_empty()).map(|(date, _)| *date).collect();
    let mut gaps: Vec<(TimeDelta, NaiveDate)> =
        open.windows(2).map(|pair| (pair[1] - pair[0], pair[1])).collect();
    gaps.sort_unstable();
    match gaps.as_slice() {
        [.., (ordinary, _), (longest, until)] if gaps.len() > LONG => {
            *longest > *ordinary * 2 && *until > today
        }
        _ => false,
    }
}

/// Returns a problem for a yearly list of special dates that ends soon.
///
/// Calendars that close the hours contain the holidays, so no list is needed then.
fn ending_list(hours: &Hours, at: Instant) -> Option<(Problem, NaiveDate)> {
    let (last, day) = hours.special.last()?;
    let year = last.checked_sub_days(Days::new(365))?;
    let listed: Vec<&NaiveDate> =
        hours.special.iter().map(|(date, _)| date).filter(|date| **date >= year).collect();
    let is_list = listed.len() >= LISTED && (*last - **listed.first()?).num_days() > 180;
    let is_near = *last < hours.today(at).checked_add_days(Days::new(LIST_DAYS))?;
    (is_list && is_near && hours.closures.is_empty() && !opens_on_dates_alone(hours)).then(|| {
        let hint = "add the dates of the coming year: on later dates its weekly hours apply";
        let message = format!("the last special date of {} is {last}", hours.name);
        (Problem::at(&day.origin, message).hint(hint), *last)
    })
}

fn opens_on_dates_alone(hours: &Hours) -> bool {
    let seasons = hours.seasons.iter().flat_map(|season| season.weekly.iter().flatten());
    hours.weekly.iter().flatten().chain(seasons).all(|day| day.intervals.is_empty())
}

/// Returns a problem for hours that open on single dates alone, if the last is near.
///
/// They stay closed forever after it.
fn last_opening(hours: &Hours, today: NaiveDate) -> Option<Problem> {
    if hours.holidays.is_some() {
        return None;
    }
    let open = hours.special.iter().filter(|(_, day)| !day.intervals.is_empty());
    let (last, day) = open.max_by_key(|(date, _)| *date)?;
    (*last < today.checked_add_days(Days::new(DAYS_AHEAD))?).then(|| {
        let message =
            format!("{} opens on {last} for the last time: it has no hours for any later date", hours.name);
        let hint = "add weekly hours, or more dates; ignore this if it closes for good";
        Problem::at(&day.origin, message).hint(hint)
    })
}
