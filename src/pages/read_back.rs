//! The reader's rule: what an agent will conclude from the values that are to be sent must be what the hours say, at
//! every minute until the values change. A value that would mislead is refused, with the minute named.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem};
use crate::zone;

use super::Definition;
use super::definition::after;
use crate::shapes::shape;
use crate::shapes::{HoursShow, Reading};

/// A value that shows hours, and how it is read.
struct Shown<'a> {
    name: &'a str,
    hours: &'a Arc<Hours>,
    show: HoursShow,
    reading: Reading,
    origin: &'a Origin,
    value: &'a Value,
    /// The instant that it is of, ahead of the clock or not.
    at: Instant,
    /// Until when it is read.
    until: Instant,
}

/// Checks the values of one object together, for they are read together, and what is in them.
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
            (Definition::Hours { hours, show, reading, origin, .. }, _) => {
                shown.push(Shown { name, hours, show: *show, reading: *reading, origin, value, at, until });
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

/// What a definition comes to at an instant, past conditions and overrides, and how far ahead of the clock it is.
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
        if self.reading == Reading::Unread {
            return Ok(());
        }
        // Hours that are written twice, once for each variable, are the same to whoever reads both.
        let sibling = |show: &dyn Fn(HoursShow) -> bool| {
            let mut others = together.iter().filter(|other| show(other.show));
            let known = others.clone().find(|other| Arc::ptr_eq(other.hours, self.hours));
            known.or_else(|| others.find(|other| other.hours.says_the_same(self.hours)))
        };
        let misread = match self.show {
            HoursShow::Week | HoursShow::Weekdays { .. } => {
                self.misread(|date| self.reading.of_week(self.value, "special_dates", false, date))
            }
            HoursShow::NumberedKeys { .. } => {
                self.misread(|date| self.reading.of_week(self.value, "08_special_dates", true, date))
            }
            HoursShow::RegularHours => {
                let special = sibling(&|show| matches!(show, HoursShow::SpecialHours { .. }));
                let special = special.map(|special| special.value);
                self.misread(|date| self.reading.of_lists(self.value, special, date))
            }
            HoursShow::Today => {
                let today = self.hours.today(self.at);
                self.misread(|date| match date == today {
                    true => self.reading.of_text(self.value.as_str().unwrap_or_default()),
                    false => Vec::new(),
                })
            }
            // Two instants compare as they are, whatever their dates.
            HoursShow::ClosesAt if is_instant(self.value) => None,
            HoursShow::ClosesAt => match sibling(&|show| show == HoursShow::OpensAt) {
                Some(opens) => {
                    let today = self.hours.today(self.at);
                    let (opens, closes) = (minutes(opens.value), minutes(self.value));
                    // One comparison on the clock of a date, so an end on the next date is never reached.
                    let interval = opens.zip(closes).filter(|(opens, closes)| opens < closes);
                    self.misread(|date| interval.filter(|_| date == today).into_iter().collect())
                }
                None => None,
            },
            _ => None,
        };
        match misread {
            Some(minute) => Err(self.problem(minute)),
            None => Ok(()),
        }
    }

    /// The first instant at which a reader that takes these intervals for dates is wrong.
    fn misread(&self, read: impl Fn(chrono::NaiveDate) -> Vec<(u32, u32)>) -> Option<Instant> {
        let Self { at, until, .. } = *self;
        let zone = self.hours.zone;
        let first = self.hours.today(at);
        let dates = first
            .pred_opt()
            .into_iter()
            .chain(first.iter_days().take_while(|date| zone::start_of(zone, *date) < until));
        let mut read_open = Vec::new();
        for date in dates {
            for (from, to) in read(date) {
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
        // Both stay as they are between the instants at which one of them changes.
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
        match (self.show, self.reading) {
            _ if all_day => {
                "no reader of such texts knows a day that is open throughout: show is_open; or, if the agent reads it otherwise, say so with reader = \"none\""
            }
            (HoursShow::OpensAt | HoursShow::ClosesAt, _) if to_midnight => {
                "no reader of such times knows 24:00: set format = \"hour\", or show is_open; or, if the agent reads it otherwise, say so with reader = \"none\""
            }
            (_, Reading::OneInterval) if to_midnight => {
                "its reader knows no 24:00: use show = \"numbered\" or is_open; or, if the agent reads it otherwise, say so with reader = \"intervals\" or \"none\""
            }
            (HoursShow::RegularHours, Reading::Intervals) if self.hours.is_special(minute) => {
                "put special_hours with reader = \"intervals\" beside it, or show is_open"
            }
            (HoursShow::RegularHours, _) if self.hours.is_special(minute) => {
                "put special_hours beside it, or show is_open"
            }
            (HoursShow::OpensAt | HoursShow::ClosesAt, _) => {
                "show is_open, or show = \"numbered\", whose reader knows several intervals and nights"
            }
            (_, Reading::OneInterval) => {
                "its reader knows one interval a date and no nights: use show = \"numbered\" or is_open; or, if the agent reads it otherwise, say so with reader = \"intervals\" or \"none\""
            }
            (HoursShow::NumberedKeys { .. }, _) => {
                "show is_open; or, if the agent reads it otherwise, say so with reader = \"none\""
            }
            _ => {
                "use show = \"numbered\" or is_open; or, if the agent reads it otherwise, say so with reader = \"none\""
            }
        }
    }
}

/// Whether a time has its date with it.
fn is_instant(value: &Value) -> bool {
    value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok())
}

/// A time of day in minutes: an hour up to 24, also as the text of a cell that the schema types, or `HH:MM` or `HH:MM:SS`,
/// of which no reader knows 24:00.
fn minutes(value: &Value) -> Option<u32> {
    let hours = |hours: u32| hours.checked_mul(60);
    match value {
        Value::Number(number) => hours(u32::try_from(number.as_u64()?).ok()?),
        Value::String(text) => match text.trim().parse() {
            Ok(number) => hours(number),
            Err(_) => {
                let mut parts = text.splitn(3, ':');
                shape::time(&format!("{}:{}", parts.next()?, parts.next()?))
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_however_it_is_written() {
        for (value, wanted) in [
            (json!("08:00"), Some(480)),
            (json!("8:00"), Some(480)),
            (json!("8:00:00"), Some(480)),
            (json!("08:30:59"), Some(510)),
            (json!(8), Some(480)),
            (json!("8"), Some(480)),
            (json!(24), Some(1440)),
            (json!("24:00"), None),
            (json!("closed"), None),
            (json!("8:"), None),
            (json!(100_000_000), None),
            (json!(null), None),
        ] {
            assert_eq!(minutes(&value), wanted, "{value}");
        }
    }
}
