//! The read-back check: the hours that an agent reads from sent values must be correct.
//!
//! This must be true at every minute until the values change. A value that would mislead an agent
//! is refused, and the error names the minute.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem, Variable, after};
use crate::zone;

use super::owned::{DesiredValue, Owned};
use super::{Definition, UntypedValue};
use crate::shapes::{ConsumerModel, Intervals, Misread, ReadBack, Rendering, Sent};

/// The time ahead for which values that never change are checked.
const AHEAD: TimeDelta = TimeDelta::days(8);

/// The read-back checks of a page's values, with the time for which each value has passed.
pub(super) struct ReadBackChecks<'p> {
    objects: Vec<Object<'p>>,
}

/// The variables of one object, which an agent reads together.
#[derive(Default)]
struct Object<'p> {
    variables: Vec<OfObject<'p>>,
    /// For each variable, the instant before which its value, if it stays, needs no other check.
    passed_until: Vec<Option<Instant>>,
}

struct OfObject<'p> {
    /// The place among the variables of the page.
    place: usize,
    name: String,
    definition: &'p Definition,
}

impl<'p> ReadBackChecks<'p> {
    /// Prepares the checks of a page's variables.
    pub(super) fn new(variables: &'p [Owned]) -> Self {
        let mut objects: BTreeMap<Option<Variable>, Object> = BTreeMap::new();
        if variables.iter().any(|owned| owned.definition.is_read()) {
            for (place, Owned { variable, definition, .. }) in variables.iter().enumerate() {
                if definition.is_read_back() {
                    let object = objects.entry(variable.parent()).or_default();
                    object.variables.push(OfObject { place, name: variable.to_string(), definition });
                    object.passed_until.push(None);
                }
            }
        }
        Self { objects: objects.into_values().collect() }
    }

    /// Checks the values that the page has from `at` until `until`.
    ///
    /// A value is checked ahead, up to its next change. Unless that fails, it is not checked again
    /// before.
    ///
    /// # Errors
    /// The first value that would be misread before `until`.
    pub(super) fn check(
        &mut self,
        values: &[DesiredValue],
        at: Instant,
        until: Option<Instant>,
    ) -> Result<(), Problem> {
        let until = until.unwrap_or_else(|| after(at, AHEAD));
        self.objects.iter_mut().try_for_each(|object| object.check(values, at, until))
    }
}

impl Object<'_> {
    fn check(&mut self, values: &[DesiredValue], at: Instant, until: Instant) -> Result<(), Problem> {
        let has_passed = |passed: &Option<Instant>| passed.is_some_and(|passed| until <= passed);
        if self.passed_until.iter().all(has_passed) {
            return Ok(());
        }
        let values = || self.variables.iter().map(|variable| &values[variable.place]);
        let json: Vec<Cow<Value>> = values().map(|value| as_json(&value.value)).collect();
        let parts: Vec<Part> = std::iter::zip(&self.variables, &json)
            .map(|(OfObject { name, definition, .. }, value)| Part { name, definition, value })
            .collect();
        let stay: Vec<Instant> =
            values().map(|value| value.until.unwrap_or_else(|| after(at, AHEAD).max(until))).collect();
        let all_stay = stay.iter().min().copied().unwrap_or(until);
        let together = LazyCell::new(|| all_shown(&parts, at, until));
        for (index, passed) in self.passed_until.iter_mut().enumerate() {
            if has_passed(passed) {
                continue;
            }
            let ahead = if parts[index].is_read_alone(at) { stay[index] } else { all_stay };
            *passed = check_part(&parts[index], &together, at, ahead).ok().map(|()| ahead);
            if passed.is_none() {
                check_part(&parts[index], &together, at, until)?;
            }
        }
        Ok(())
    }
}

fn as_json(value: &UntypedValue) -> Cow<'_, Value> {
    match value {
        UntypedValue::Json(value) => Cow::Borrowed(value),
        value => Cow::Owned(value.to_json()),
    }
}

/// A part of an object: a name, its definition and its value.
struct Part<'a> {
    name: &'a str,
    definition: &'a Definition,
    value: &'a Value,
}

impl Part<'_> {
    /// Returns true if an agent needs no other part of the object to read this one.
    fn is_read_alone(&self, at: Instant) -> bool {
        match resolve(self.definition, at).0 {
            Definition::Hours { show, .. } => {
                !matches!(show.shape.read_back(), ReadBack::Intervals { beside: Some(_), .. })
            }
            _ => false,
        }
    }

    /// Returns the part as a value that shows hours, if it is one.
    fn shown(&self, at: Instant, until: Instant) -> Option<Shown<'_>> {
        let (definition, ahead) = resolve(self.definition, at);
        let (at, until) = (after(at, ahead), after(until, ahead));
        match definition {
            Definition::Hours { hours, show, origin, .. } => {
                Some(Shown { name: self.name, hours, show, origin, value: self.value, at, until })
            }
            _ => None,
        }
    }
}

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

/// Returns the parts that show hours.
fn all_shown<'p>(parts: &'p [Part], at: Instant, until: Instant) -> Vec<Shown<'p>> {
    parts.iter().filter_map(|part| part.shown(at, until)).collect()
}

/// Checks one part of an object, and the values nested in it.
///
/// `together` holds all parts of the object that show hours. It is computed only if needed.
fn check_part<'p, F: FnOnce() -> Vec<Shown<'p>>>(
    part: &Part,
    together: &LazyCell<Vec<Shown<'p>>, F>,
    at: Instant,
    until: Instant,
) -> Result<(), Problem> {
    let (definition, ahead) = resolve(part.definition, at);
    let (ahead_at, ahead_until) = (after(at, ahead), after(until, ahead));
    match (definition, part.value) {
        (Definition::Hours { .. }, _) => {
            part.shown(at, until).map_or(Ok(()), |shown| shown.check(|| together))
        }
        (Definition::Object { entries, .. }, Value::Object(values)) => {
            let nested = entries
                .iter()
                .filter_map(|(name, definition)| Some(Part { name, definition, value: values.get(name)? }));
            check_all(&nested.collect::<Vec<_>>(), ahead_at, ahead_until)
        }
        (Definition::List { items, .. }, Value::Array(values)) => {
            let mut items = items.iter().zip(values);
            items.try_for_each(|(definition, value)| {
                check_all(&[Part { name: part.name, definition, value }], ahead_at, ahead_until)
            })
        }
        _ => Ok(()),
    }
}

fn check_all(parts: &[Part], at: Instant, until: Instant) -> Result<(), Problem> {
    let together = LazyCell::new(|| all_shown(parts, at, until));
    parts.iter().try_for_each(|part| check_part(part, &together, at, until))
}

/// Resolves conditions and overrides at an instant.
///
/// Returns the definition that applies, and how far ahead of the clock it is evaluated.
fn resolve(mut definition: &Definition, at: Instant) -> (&Definition, TimeDelta) {
    let mut ahead = TimeDelta::zero();
    loop {
        let at = after(at, ahead);
        definition = match definition {
            Definition::When { clauses, otherwise } => {
                let holds = clauses.iter().find(|clause| clause.holds(at));
                holds.map_or(&**otherwise, |clause| &clause.definition)
            }
            Definition::Overridden(overridden) if overridden.is_on(at) => &overridden.during,
            Definition::Overridden(overridden) => &overridden.computed,
            Definition::Ahead { of, by } => {
                ahead += *by;
                of
            }
            _ => return (definition, ahead),
        };
    }
}

impl Shown<'_> {
    /// Reads the value as an agent would; `together` returns all parts of the object.
    fn check<'t>(&self, together: impl FnOnce() -> &'t [Shown<'t>]) -> Result<(), Problem> {
        let ReadBack::Intervals { beside, read } = self.show.shape.read_back() else { return Ok(()) };
        if self.show.with.consumer == ConsumerModel::None {
            return Ok(());
        }
        let sent = Sent {
            value: self.value,
            beside: beside.and_then(|shape| self.beside(shape, together())),
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
    fn beside<'t>(&self, shape: &str, together: &[Shown<'t>]) -> Option<&'t Value> {
        let mut others = together.iter().filter(|other| other.show.shape.name() == shape);
        let known = others.clone().find(|other| Arc::ptr_eq(other.hours, self.hours));
        let found = known.or_else(|| others.find(|other| other.hours.is_equivalent(self.hours)));
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
                "{} would be read as {taken} on {}, but {} is {is} then ({})",
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
        let to_midnight = open.is_some_and(|period| is_midnight(period.to));
        let all_day = open.is_some_and(|period| period.to - period.from >= TimeDelta::days(1));
        if all_day {
            return "show is_open, because no consumer model for such texts supports a day that is open \
                    throughout; or, if the agent reads it differently, set reader = \"none\"";
        }
        let consumer = self.show.with.consumer;
        let misread = Misread { consumer, to_midnight, is_special: self.hours.is_special(minute) };
        self.show.shape.remedy(&misread).unwrap_or(match consumer {
            ConsumerModel::OneInterval if to_midnight => {
                "use show = \"numbered\" or is_open, because its consumer model does not support 24:00; \
                 or, if the agent reads it differently, set reader = \"intervals\" or \"none\""
            }
            ConsumerModel::OneInterval => {
                "use show = \"numbered\" or is_open, because its consumer model supports one interval a \
                 date and none past midnight; or, if the agent reads it differently, \
                 set reader = \"intervals\" or \"none\""
            }
            ConsumerModel::Intervals | ConsumerModel::None => {
                "use show = \"numbered\" or is_open; or, if the agent reads it differently, \
                 set reader = \"none\""
            }
        })
    }
}
