//! Lint for hours that are valid but probably not intended.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::hours::{Day, Hours, Interval};
use crate::limits::settings::LONG_HOURS;
use crate::model::{Origin, Problem};

use crate::compile::{Blueprint, Inputs, World};

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// The most warnings of one kind that are listed; the rest are counted.
const LISTED: usize = 20;

/// Returns warnings about suspicious hours, and about calendars that close nothing.
///
/// Hours are suspicious if they end a minute before midnight, overlap, or are very long. A calendar
/// is reported if it closes hours and has an event without length.
pub fn suspicious_hours(world: &World, blueprint: &Blueprint, inputs: &Inputs) -> Vec<Problem> {
    let mut found = Reported::default();
    let mut seen: HashSet<*const Hours> = HashSet::new();
    for managed in &world.pages {
        for hours in managed.computed.variables.iter().flat_map(|owned| owned.definition.hours()) {
            if seen.insert(Arc::as_ptr(hours)) {
                found.add_hours(hours);
            }
        }
    }
    let mut problems = found.into_problems();
    problems.extend(closing_nothing(blueprint, inputs));
    problems
}

/// The kinds of suspicious hours, in the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Overlap,
    Long,
    LastMinute,
}

#[derive(Default)]
struct Reported {
    problems: BTreeMap<Kind, Vec<Problem>>,
    places: HashSet<(String, String)>,
}

impl Reported {
    fn add_hours(&mut self, hours: &Hours) {
        let seasons = hours.seasons.iter().flat_map(|season| season.weekly.iter().map(Option::as_ref));
        let weekly = hours.weekly.iter().chain(seasons).flatten();
        weekly
            .chain(hours.special.iter().map(|(_, day)| day))
            .chain(&hours.holidays)
            .for_each(|day| self.add_day(day));
    }

    fn add_day(&mut self, day: &Day) {
        let mut intervals = day.intervals.clone();
        intervals.sort_unstable();
        for pair in intervals.windows(2) {
            if let [first, second] = pair
                && second.open < first.close
            {
                let message = format!(
                    "{} and {} overlap, so it is open without a break from {} to {}",
                    shown(*first),
                    shown(*second),
                    clock(first.open),
                    clock(first.close.max(second.close))
                );
                self.add(
                    Kind::Overlap,
                    &day.origin,
                    message,
                    "correct the time at which one of them ends or begins",
                );
            }
        }
        for interval in intervals {
            let length = interval.close - interval.open;
            if interval.close % DAY == DAY - 1 {
                let message = format!("{} closes a minute before midnight, each time", shown(interval));
                self.add(Kind::LastMinute, &day.origin, message, "write 24:00 for the end of the day");
            }
            if length > LONG_HOURS * 60 && length < DAY - 1 {
                let message =
                    format!("{} is open for more than {LONG_HOURS} hours without a break", shown(interval));
                self.add(
                    Kind::Long,
                    &day.origin,
                    message,
                    "correct the closing time, unless this is intended",
                );
            }
        }
    }

    /// Adds a warning, once for each place: one cell may be the hours of several weekdays.
    fn add(&mut self, kind: Kind, origin: &Origin, message: String, hint: &str) {
        if self.places.insert((origin.to_string(), message.clone())) {
            self.problems.entry(kind).or_default().push(Problem::at(origin, message).hint(hint).warning());
        }
    }

    fn into_problems(self) -> Vec<Problem> {
        let listed = self.problems.into_values().flat_map(|mut problems| {
            let others = problems.split_off(problems.len().min(LISTED));
            let more = others.first().map(|first| {
                let message = format!("{} more hours like these, from here on", others.len());
                Problem { message, ..first.clone() }
            });
            problems.into_iter().chain(more)
        });
        listed.collect()
    }
}

fn clock(minutes: u16) -> String {
    let minutes = if minutes > DAY { minutes - DAY } else { minutes };
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn shown(interval: Interval) -> String {
    format!("{}-{}", clock(interval.open), clock(interval.close))
}

/// Returns warnings for calendars in `closed_on` with an event that has no length.
///
/// Such an event marks a holiday, but the hours stay open.
fn closing_nothing(blueprint: &Blueprint, inputs: &Inputs) -> Vec<Problem> {
    let mut named = Vec::new();
    blueprint
        .hours
        .values()
        .chain(&blueprint.pages)
        .for_each(|node| node.texts_under("closed_on", &mut named));
    let names: HashSet<&str> = named.iter().map(|(name, _)| *name).collect();
    let calendars = inputs.calendars.iter().filter(|(name, _)| names.contains(name.as_str()));
    let warning = |(name, calendar): (&String, &Arc<crate::calendar::Calendar>)| {
        let origin = calendar.without_length.as_ref()?;
        let message = format!("this event has no length, so it closes no hours with closed_on = \"{name}\"");
        Some(
            Problem::at(origin, message)
                .hint("give it a DTEND or a DURATION, or make it a whole day: DTSTART;VALUE=DATE:20261225")
                .warning(),
        )
    };
    calendars.filter_map(warning).collect()
}
