//! A page's definition, ready to be asked at an instant.

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

/// Steps that a look ahead takes for one variable; a flip every minute for two months is less.
const MAX_STEPS: usize = 100_000;
/// How far ahead values that never change are held against what their reader makes of them.
const READ_AHEAD: TimeDelta = TimeDelta::days(8);
/// After so long it is asked again whether there is a value, where there was none.
const WITHOUT_VALUE: TimeDelta = TimeDelta::hours(1);
/// Hours without values after which it is asked but once a day.
const MAX_HOURS: usize = 8 * 24;
/// Steps that are taken to find the next change alone; a year of midnights is fewer.
const MAX_STEPS_TO_NEXT: usize = 2_000;

/// The owned variables of one page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which page.
    pub id: PageId,
    /// What names the definition across reloads: its settings block and its row.
    pub key: String,
    /// The page that a change must have been on before it reaches this one.
    pub follow: Option<Follow>,
    /// What happens to values that others change.
    pub on_drift: DriftPolicy,
    /// The zone that people read the page's times in.
    pub zone: Option<Zone>,
    /// What is owned, in the order written.
    pub variables: Vec<Owned>,
    /// What becomes of array items that the page doesn't have.
    pub missing: Missing,
    /// Where the page is defined: the settings block or the row.
    pub origin: Origin,
    /// The row that the page stands for.
    pub row: Option<Row>,
}

/// The page of the same agent in another environment, and how long a change must have been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Where that page is.
    pub environment: Environment,
    /// How long.
    pub after: TimeDelta,
}

/// One owned variable.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Its place on the page.
    pub variable: Variable,
    /// What it should be.
    pub definition: Definition,
    /// The row that it is made for, where the page has it once for each row of a table.
    pub row: Option<Row>,
}

/// What a page should hold at an instant.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which page.
    pub page: PageId,
    /// Every owned variable.
    pub values: Vec<DesiredValue>,
    /// What becomes of array items that the page doesn't have.
    pub missing: Missing,
    /// When a value may next change by itself.
    pub until: Option<Instant>,
}

/// What a variable should hold.
#[derive(Clone, Debug)]
pub struct DesiredValue {
    /// Its place on the page.
    pub variable: Variable,
    /// The value, or the cell it is in.
    pub wanted: Wanted,
    /// Where the value stands.
    pub origin: Origin,
    /// When it may next change by itself.
    pub until: Option<Instant>,
}

/// A variable taking a value at an instant.
#[derive(Clone, Debug)]
pub struct Flip {
    /// When.
    pub at: Instant,
    /// What it then is.
    pub wanted: Wanted,
    /// The reason in words.
    pub because: String,
}

impl Page {
    /// What the page should hold at an instant.
    ///
    /// # Errors
    /// Every variable that has no value then, such as one asked for a whole hour at half past nine.
    pub fn desired(&self, at: Instant) -> Result<Desired, Vec<Problem>> {
        let (desired, end) = self.worked_out(Vec::new(), at)?;
        self.check_reading(&desired.values, at, end).map_err(|problem| vec![problem])?;
        Ok(desired)
    }

    /// Shows what the page should hold from one instant up to another, at each instant at which that may change, until
    /// `see` has seen enough. All of it lies within 400 days.
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
            match self.worked_out_and_read(before, at, &mut right_until) {
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

    /// The same with what is read held against the hours. What was found right up to an instant, and stays, is not read
    /// again before it.
    fn worked_out_and_read(
        &self,
        before: Vec<DesiredValue>,
        at: Instant,
        right_until: &mut Option<Instant>,
    ) -> Result<Desired, Vec<Problem>> {
        let (desired, end) = self.worked_out(before, at)?;
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

    /// The values at an instant, and until when all of them stay. What stays as it was before, at an earlier instant, is
    /// not worked out again.
    fn worked_out(&self, before: Vec<DesiredValue>, at: Instant) -> Result<(Desired, Instant), Vec<Problem>> {
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

    /// Holds what stands beside each other against what is made of it.
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

    /// The page that this one follows.
    pub fn leader(&self) -> Option<PageId> {
        let environment = self.follow?.environment;
        Some(PageId { agent: self.id.agent.clone(), environment })
    }

    /// Whether two definitions of a page come to the same up to an instant for all that either owns.
    pub fn says_the_same(&self, other: &Self, from: Instant, to: Instant) -> bool {
        self.variables.len() == other.variables.len()
            && self
                .beside(other)
                .all(|(owned, other)| other.is_some_and(|other| owned.says_the_same(other, from, to)))
    }

    /// Each owned variable, with what another definition has at its place.
    pub fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Owned, Option<&'a Owned>)> {
        // They are mostly in the same order. Where they are not, an index finds them: a page may have a hundred thousand.
        let mut index: Option<HashMap<&Variable, &Owned>> = None;
        self.variables.iter().enumerate().map(move |(number, owned)| {
            let near = other.variables.get(number).filter(|other| other.variable == owned.variable);
            let found =
                near.or_else(|| index.get_or_insert_with(|| other.by_place()).get(&owned.variable).copied());
            (owned, found)
        })
    }

    /// The owned variables by their places, for whoever asks for many.
    pub fn by_place(&self) -> HashMap<&Variable, &Owned> {
        self.variables.iter().map(|owned| (&owned.variable, owned)).collect()
    }

    /// The owned variable at a place.
    pub fn owned(&self, variable: &Variable) -> Option<&Owned> {
        self.variables.iter().find(|owned| owned.variable == *variable)
    }
}

impl Owned {
    /// The same a while ahead of the clock.
    pub fn ahead(&self, by: TimeDelta) -> Self {
        let definition = Definition::Ahead { of: Box::new(self.definition.clone()), by };
        Self { variable: self.variable.clone(), definition, row: self.row.clone() }
    }

    /// Whether two definitions come to the same from one instant to another.
    pub fn says_the_same(&self, other: &Self, from: Instant, to: Instant) -> bool {
        if self.definition.says_the_same(&other.definition) {
            return true;
        }
        let mut at = from;
        for _ in 0..MAX_STEPS {
            let next = match (self.definition.evaluate(at), other.definition.evaluate(at)) {
                (Ok(a), Ok(b)) if a.wanted.same(&b.wanted) => [a.until, b.until].into_iter().flatten().min(),
                // Neither has a value, and neither knows when it has one again.
                (Err(_), Err(_)) => Some(after(at, WITHOUT_VALUE)),
                _ => return false,
            };
            match next {
                Some(next) if next > at && next < to => at = next,
                _ => return true,
            }
        }
        // They change more often than is looked at.
        false
    }

    /// The next change after an instant and before another; none also when it is not found within a bounded
    /// number of steps, as for a window that starts anew every minute and never ends.
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

    /// The values from one instant up to another: the one at the start first, then every change.
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
