//! The definition of a page, which can be evaluated at an instant.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use chrono::TimeDelta;
use serde_json::Value;

use crate::model::{
    DriftPolicy, Environment, Instant, Missing, Origin, PageId, Problem, Row, Variable, after,
};
use crate::zone::Zone;

use super::{Definition, Wanted, read_back};

/// The most steps of a scan ahead for one variable.
///
/// A change every minute for two months takes fewer.
const MAX_STEPS: usize = 100_000;
/// The time ahead for which the read-back check covers values that never change.
const READ_AHEAD: TimeDelta = TimeDelta::days(8);
/// The wait before a page without a value is evaluated again.
const WITHOUT_VALUE: TimeDelta = TimeDelta::hours(1);
/// The hours without a value after which a page is evaluated only once a day.
const MAX_HOURS: usize = 8 * 24;
/// The most steps to find only the next change; a year of midnights takes fewer.
const MAX_STEPS_TO_NEXT: usize = 2_000;

/// The owned variables of one page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The id of the page.
    pub id: PageId,
    /// The key of the definition across reloads: its settings block and its row.
    pub key: String,
    /// The page that must have held a change before it reaches this one.
    pub follow: Option<Follow>,
    /// The policy for values that another client changes.
    pub on_drift: DriftPolicy,
    /// The zone in which users read the page's times.
    pub zone: Option<Zone>,
    /// The owned variables, in the order written.
    pub variables: Vec<Owned>,
    /// The policy for array items that the page does not have.
    pub missing: Missing,
    /// The place that defines the page: the settings block or the row.
    pub origin: Origin,
    /// The row that the page is made for.
    pub row: Option<Row>,
}

/// The page of the same agent that must hold a change first, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// The environment of that page.
    pub environment: Environment,
    /// The time that it must have held a change.
    pub after: TimeDelta,
}

/// One owned variable.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Its place on the page.
    pub variable: Variable,
    /// The definition of its value.
    pub definition: Definition,
    /// The row that it is made for, if the page has it once for each row of a table.
    pub row: Option<Row>,
}

/// A page's desired values at one instant.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The id of the page.
    pub page: PageId,
    /// Every owned variable.
    pub values: Vec<DesiredValue>,
    /// The policy for array items that the page does not have.
    pub missing: Missing,
    /// The next instant at which a value may change by itself.
    pub until: Option<Instant>,
}

/// The desired value of a variable.
#[derive(Clone, Debug)]
pub struct DesiredValue {
    /// Its place on the page.
    pub variable: Variable,
    /// The value, or the cell that contains it.
    pub wanted: Wanted,
    /// The place where the value is written.
    pub origin: Origin,
    /// The next instant at which it may change by itself.
    pub until: Option<Instant>,
}

/// A transition of a variable to a value.
#[derive(Clone, Debug)]
pub struct Flip {
    /// The instant of the transition.
    pub at: Instant,
    /// The new value.
    pub wanted: Wanted,
    /// The reason in words.
    pub because: String,
}

impl Page {
    /// Returns the page's desired values at an instant.
    ///
    /// # Errors
    /// Every variable that has no value then, for example a whole hour at half past nine.
    pub fn desired(&self, at: Instant) -> Result<Desired, Vec<Problem>> {
        let (desired, end) = self.evaluate(Vec::new(), at)?;
        self.check_reading(&desired.values, at, end).map_err(|problem| vec![problem])?;
        Ok(desired)
    }

    /// Calls `see` with the desired values at each instant at which they may change.
    ///
    /// Stops early if `see` breaks. The whole range must be within 400 days.
    pub fn walk(
        &self,
        from: Instant,
        to: Instant,
        mut see: impl FnMut(Instant, Result<&Desired, Vec<Problem>>) -> ControlFlow<()>,
    ) {
        let (mut at, mut hours) = (from, 0);
        let (mut before, mut right_until) = (Vec::new(), None);
        while at < to {
            let (seen, until);
            match self.evaluate_and_read_back(before, at, &mut right_until) {
                Ok(desired) => {
                    until = desired.until;
                    seen = see(at, Ok(&desired));
                    before = desired.values;
                }
                Err(problems) => {
                    hours += 1;
                    until =
                        Some(after(at, if hours > MAX_HOURS { TimeDelta::days(1) } else { WITHOUT_VALUE }));
                    seen = see(at, Err(problems));
                    before = Vec::new();
                }
            }
            match until {
                Some(until) if until > at && seen.is_continue() => at = until,
                _ => break,
            }
        }
    }

    /// Returns the desired values, after a read-back check against the hours.
    ///
    /// Values that passed the check up to `right_until`, and stay, are not checked again before it.
    fn evaluate_and_read_back(
        &self,
        before: Vec<DesiredValue>,
        at: Instant,
        right_until: &mut Option<Instant>,
    ) -> Result<Desired, Vec<Problem>> {
        let (desired, end) = self.evaluate(before, at)?;
        if right_until.is_some_and(|right| end <= right) {
            return Ok(desired);
        }
        let read =
            self.variables.iter().zip(&desired.values).filter(|(owned, _)| owned.definition.is_read_back());
        let stays = read.filter_map(|(_, value)| value.until).min().unwrap_or_else(|| after(at, READ_AHEAD));
        if self.check_reading(&desired.values, at, stays).is_ok() {
            *right_until = Some(stays);
            return Ok(desired);
        }
        *right_until = None;
        self.check_reading(&desired.values, at, end).map_err(|problem| vec![problem])?;
        Ok(desired)
    }

    /// Returns the values at an instant, and the end of the time in which all of them stay.
    ///
    /// Values of an earlier instant that have not changed since are reused.
    fn evaluate(&self, before: Vec<DesiredValue>, at: Instant) -> Result<(Desired, Instant), Vec<Problem>> {
        let (mut values, mut problems) = (Vec::with_capacity(self.variables.len()), Vec::new());
        let mut before = before.into_iter();
        for owned in &self.variables {
            let stays = |value: &DesiredValue| value.until.is_none_or(|until| at < until);
            if let Some(value) = before.next().filter(stays) {
                values.push(value);
                continue;
            }
            match owned.definition.evaluate(at) {
                Ok(evaluated) => values.push(DesiredValue {
                    variable: owned.variable.clone(),
                    wanted: evaluated.wanted,
                    origin: evaluated.origin,
                    until: evaluated.until,
                }),
                Err(problem) => problems.push(problem.about(&owned.variable)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let until = values.iter().filter_map(|value| value.until).min();
        let end = until.unwrap_or_else(|| after(at, READ_AHEAD));
        Ok((Desired { page: self.id.clone(), missing: self.missing, until, values }, end))
    }

    /// Runs the read-back check on the values of each object.
    fn check_reading(&self, values: &[DesiredValue], at: Instant, until: Instant) -> Result<(), Problem> {
        if !self.variables.iter().any(|owned| owned.definition.is_read()) {
            return Ok(());
        }
        /// The name, definition and value of a variable.
        type Part<'a> = (String, &'a Definition, Cow<'a, Value>);
        let mut objects: BTreeMap<Option<Variable>, Vec<Part>> = BTreeMap::new();
        let all = values.iter().zip(&self.variables);
        for (DesiredValue { variable, wanted, .. }, Owned { definition, .. }) in all {
            if definition.is_read_back() {
                let value = match wanted {
                    Wanted::Json(value) => Cow::Borrowed(value),
                    wanted => Cow::Owned(wanted.to_json()),
                };
                let part = (variable.to_string(), definition, value);
                objects.entry(variable.parent()).or_default().push(part);
            }
        }
        objects.values().try_for_each(|parts| {
            let parts = parts.iter().map(|(name, definition, value)| (name.as_str(), *definition, &**value));
            read_back::check(&parts.collect::<Vec<_>>(), at, until)
        })
    }

    /// Returns the id of the page that this one follows.
    pub fn leader(&self) -> Option<PageId> {
        let environment = self.follow?.environment;
        Some(PageId { agent: self.id.agent.clone(), environment })
    }

    /// Returns true if two definitions of a page have the same values over a range of time.
    pub fn says_the_same(&self, other: &Self, from: Instant, to: Instant) -> bool {
        self.variables.len() == other.variables.len()
            && self
                .beside(other)
                .all(|(owned, other)| other.is_some_and(|other| owned.says_the_same(other, from, to)))
    }

    /// Returns each owned variable, with the same variable of another definition.
    pub fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Owned, Option<&'a Owned>)> {
        // The order is mostly the same. If not, an index helps: a page may have 100,000 variables.
        let mut index: Option<HashMap<&Variable, &Owned>> = None;
        self.variables.iter().enumerate().map(move |(number, owned)| {
            let near = other.variables.get(number).filter(|other| other.variable == owned.variable);
            let found =
                near.or_else(|| index.get_or_insert_with(|| other.by_place()).get(&owned.variable).copied());
            (owned, found)
        })
    }

    /// Returns an index of the owned variables, for callers with many lookups.
    pub fn by_place(&self) -> HashMap<&Variable, &Owned> {
        self.variables.iter().map(|owned| (&owned.variable, owned)).collect()
    }

    /// Returns the owned variable at a place.
    pub fn owned(&self, variable: &Variable) -> Option<&Owned> {
        self.variables.iter().find(|owned| owned.variable == *variable)
    }
}

impl Owned {
    /// Returns the same variable, evaluated ahead of the clock.
    pub fn ahead(&self, by: TimeDelta) -> Self {
        let definition = Definition::Ahead { of: Box::new(self.definition.clone()), by };
        Self { variable: self.variable.clone(), definition, row: self.row.clone() }
    }

    /// Returns true if two definitions have the same value over a range of time.
    pub fn says_the_same(&self, other: &Self, from: Instant, to: Instant) -> bool {
        if self.definition.says_the_same(&other.definition) {
            return true;
        }
        let mut at = from;
        for _ in 0..MAX_STEPS {
            let next = match (self.definition.evaluate(at), other.definition.evaluate(at)) {
                (Ok(a), Ok(b)) if a.wanted.same(&b.wanted) => [a.until, b.until].into_iter().flatten().min(),
                // Neither has a value, and it is unknown when they have one again.
                (Err(_), Err(_)) => Some(after(at, WITHOUT_VALUE)),
                _ => return false,
            };
            match next {
                Some(next) if next > at && next < to => at = next,
                _ => return true,
            }
        }
        // The step limit is reached, so they count as different.
        false
    }

    /// Returns the next change between two instants.
    ///
    /// Also returns none if the change is not found within a limited number of steps, for example
    /// for a window that starts every minute and never ends.
    pub fn next_flip(&self, from: Instant, to: Instant) -> Option<Flip> {
        let first = self.definition.evaluate(from).ok()?;
        let mut at = first.until?;
        for _ in 0..MAX_STEPS_TO_NEXT {
            if at >= to {
                return None;
            }
            let evaluated = self.definition.evaluate(at).ok()?;
            if !first.wanted.same(&evaluated.wanted) {
                return Some(Flip { at, wanted: evaluated.wanted, because: self.definition.because(at) });
            }
            at = evaluated.until.filter(|next| *next > at)?;
        }
        None
    }

    /// Returns the values over a range of time: the one at its start, then every change.
    ///
    /// # Errors
    /// The first instant at which there is no value.
    pub fn flips(&self, from: Instant, to: Instant) -> Result<Vec<Flip>, Problem> {
        let mut flips: Vec<Flip> = Vec::new();
        let mut at = from;
        for _ in 0..MAX_STEPS {
            let evaluated = self.definition.evaluate(at).map_err(|problem| {
                problem.about(format!("{} at {}", self.variable, at.format("%Y-%m-%dT%H:%M:%SZ")))
            })?;
            if flips.last().is_none_or(|last| !last.wanted.same(&evaluated.wanted)) {
                flips.push(Flip { at, wanted: evaluated.wanted, because: self.definition.because(at) });
            }
            match evaluated.until.filter(|until| *until > at && *until < to) {
                Some(until) => at = until,
                None => break,
            }
        }
        Ok(flips)
    }
}
