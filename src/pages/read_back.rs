//! The read-back check: the hours that an agent reads from sent values must be correct.
//!
//! This must be true at every minute until the values change. A value that would mislead an agent
//! is refused, and the error names the minute.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem, after};
use crate::zone;

use super::Definition;
use crate::shapes::{ConsumerModel, Intervals, Misread, ReadBack, Rendering, Sent};

/// A value that shows hours, and the form that an agent reads.
struct Shown<'a> {
    name: &'a str,
    hours: &'a Arc<Hours>,
    show: &'a Rendering,
    origin: &'a Origin,
    value: &'a Value,
    /// The instant that the value is for, possibly ahead of the clock.
    at: Instant,
    /// The instant until which the value is read.
    until: Instant,
}

/// Checks the values of one object together, since an agent reads them together.
///
/// Checks nested values too.
///
/// # Errors
/// The first value that would be misread before `until`.
pub(super) fn check(
    values: &[(&str, &Definition, &Value)],
    at: Instant,
    until: Instant,
) -> Result<(), Problem> {
    let mut shown = Vec::new();
    for &(name, definition, value) in values {
        let (definition, ahead) = in_force(definition, at);
        let (at, until) = (after(at, ahead), after(until, ahead));
        match (definition, value) {
            (Definition::Hours { hours, show, origin, .. }, _) => {
                shown.push(Shown { name, hours, show, origin, value, at, until });
            }
            (Definition::Object { entries, .. }, Value::Object(values)) => {
                let parts: Vec<_> = entries
                    .iter()
                    .filter_map(|(key, definition)| Some((key.as_str(), definition, values.get(key)?)))
                    .collect();
                check(&parts, at, until)?;
            }
            (Definition::List { items, .. }, Value::Array(values)) => {
                let mut parts = items.iter().zip(values);
                parts.try_for_each(|(definition, value)| check(&[(name, definition, value)], at, until))?;
            }
            _ => {}
        }
    }
    shown.iter().try_for_each(|one| one.check(&shown))
}

/// Resolves conditions and overrides at an instant.
///
/// Returns the definition that applies, and how far ahead of the clock it is evaluated.
fn in_force(mut definition: &Definition, at: Instant) -> (&Definition, TimeDelta) {
    let mut ahead = TimeDelta::zero();
    loop {
        let at = after(at, ahead);
        definition = match definition {
            Definition::When { clauses, otherwise } => {
                let holds = clauses.iter().find(|clause| clause.holds(at));
                holds.map_or(&**otherwise, |clause| &clause.definition)
            }
            Definition::Overruled(overruled) if overruled.is_on(at) => &overruled.during,
            Definition::Overruled(overruled) => &overruled.computed,
            Definition::Ahead { of, by } => {
                ahead += *by;
                of
            }
            _ => return (definition, ahead),
        };
    }
}

impl Shown<'_> {
    fn check(&self, together: &[Shown]) -> Result<(), Problem> {
        let ReadBack::Intervals { beside, read } = self.show.shape.read_back() else { return Ok(()) };
        if self.show.with.consumer == ConsumerModel::None {
            return Ok(());
        }
        let sent = Sent {
            value: self.value,
            beside: beside.and_then(|shape| self.beside(shape, together)),
            consumer: self.show.with.consumer,
            today: self.hours.today(self.at),
        };
        match self.misread(|date| read(&sent, date)) {
            Some(minute) => Err(self.problem(minute)),
            None => Ok(()),
        }
    }

    /// Returns the value of another shape for the same hours.
    ///
    /// Hours that are written twice, once for each variable, are the same hours to an agent.
    fn beside<'t>(&self, shape: &str, together: &'t [Shown]) -> Option<&'t Value> {
        let mut others = together.iter().filter(|other| other.show.shape.name() == shape);
        let known = others.clone().find(|other| Arc::ptr_eq(other.hours, self.hours));
        let found = known.or_else(|| others.find(|other| other.hours.says_the_same(self.hours)));
        found.map(|other| other.value)
    }

    /// Returns the first instant at which an agent reading these intervals would be wrong.
    fn misread(&self, read: impl Fn(chrono::NaiveDate) -> Option<Intervals>) -> Option<Instant> {
        let Self { at, until, .. } = *self;
        let zone = self.hours.zone;
        let first = self.hours.today(at);
        let dates = first
            .pred_opt()
            .into_iter()
            .chain(first.iter_days().take_while(|date| zone::start_of(zone, *date) < until));
        let mut read_open = Vec::new();
        for date in dates {
            for (from, to) in read(date)? {
                let instant = |minute: u32| {
                    let date =
                        date.checked_add_days(chrono::Days::new(u64::from(minute / 1440))).unwrap_or(date);
                    let time = chrono::NaiveTime::from_num_seconds_from_midnight_opt(minute % 1440 * 60, 0);
                    zone::instant(zone, date.and_time(time.unwrap_or_default()))
                };
                read_open.push((instant(from), instant(to)));
            }
        }
        let takes_for_open = |at: Instant| read_open.iter().any(|(from, to)| *from <= at && at < *to);
        // Both are constant between the instants at which one of them changes.
        let mut instants: Vec<Instant> = read_open.iter().flat_map(|(from, to)| [*from, *to]).collect();
        instants.push(at);
        let mut change = self.hours.next_change(at);
        while let Some(next) = change.filter(|next| *next < until) {
            instants.push(next);
            change = self.hours.next_change(next);
        }
        instants.sort_unstable();
        instants
            .into_iter()
            .filter(|instant| (at..until).contains(instant))
            .find(|instant| takes_for_open(*instant) != self.hours.is_open(*instant))
    }

    fn problem(&self, minute: Instant) -> Problem {
        let (taken, is) = match self.hours.is_open(minute) {
            true => ("closed", "open"),
            false => ("open", "closed"),
        };
        let remedy = self.remedy(minute);
        Problem::at(
            self.origin,
            format!(
                "{} would be read as {taken} on {}, and {} is {is} then ({})",
                self.name,
                zone::show(self.hours.zone, minute),
                self.hours.name,
                self.hours.because(minute)
            ),
        )
        .hint(remedy)
    }

    fn remedy(&self, minute: Instant) -> &'static str {
        let open = self.hours.current(minute);
        let is_midnight = |at| zone::local(self.hours.zone, at).time() == chrono::NaiveTime::MIN;
        let to_midnight = open.is_some_and(|stretch| is_midnight(stretch.to));
        let all_day = open.is_some_and(|stretch| stretch.to - stretch.from >= TimeDelta::days(1));
        if all_day {
            return "no reader of such texts knows a day that is open throughout: show is_open; or, if the agent reads it otherwise, say so with reader = \"none\"";
        }
        let consumer = self.show.with.consumer;
        let misread = Misread { consumer, to_midnight, is_special: self.hours.is_special(minute) };
        self.show.shape.remedy(&misread).unwrap_or(match consumer {
            ConsumerModel::OneInterval if to_midnight => {
                "its reader knows no 24:00: use show = \"numbered\" or is_open; or, if the agent reads it otherwise, say so with reader = \"intervals\" or \"none\""
            }
            ConsumerModel::OneInterval => {
                "its reader knows one interval a date and no nights: use show = \"numbered\" or is_open; or, if the agent reads it otherwise, say so with reader = \"intervals\" or \"none\""
            }
            ConsumerModel::Intervals | ConsumerModel::None => {
                "use show = \"numbered\" or is_open; or, if the agent reads it otherwise, say so with reader = \"none\""
            }
        })
    }
}
