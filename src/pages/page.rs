//! The definition of a page, which can be evaluated at an instant.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::model::{DriftPolicy, Environment, Instant, Missing, Origin, PageId, Problem, Row, Variable};
use crate::zone::Zone;

use super::owned::{DesiredValue, Owned};
use super::read_back::ReadBackChecks;

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
    /// The owned variables, in the order written; shared by the environments of a settings block.
    pub variables: Arc<[Owned]>,
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

impl Page {
    /// Returns the page's desired values at an instant.
    ///
    /// # Errors
    /// Every variable that has no value then, for example a whole hour at half past nine.
    pub fn desired(&self, at: Instant) -> Result<Desired, Vec<Problem>> {
        let desired = self.evaluate(Vec::new(), at)?;
        let mut read_back = ReadBackChecks::new(&self.variables);
        read_back.check(&desired.values, at, desired.until).map_err(|problem| vec![problem])?;
        Ok(desired)
    }

    /// Returns the values at an instant, without a read-back check.
    ///
    /// Values of an earlier instant that have not changed since are reused.
    pub(super) fn evaluate(&self, before: Vec<DesiredValue>, at: Instant) -> Result<Desired, Vec<Problem>> {
        let (mut values, mut problems) = (Vec::with_capacity(self.variables.len()), Vec::new());
        let mut before = before.into_iter();
        for owned in &*self.variables {
            let stays = |value: &DesiredValue| value.until.is_none_or(|until| at < until);
            if let Some(value) = before.next().filter(stays) {
                values.push(value);
                continue;
            }
            match owned.definition.evaluate(at) {
                Ok(evaluated) => values.push(DesiredValue {
                    variable: owned.variable.clone(),
                    value: evaluated.value,
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
        Ok(Desired { page: self.id.clone(), missing: self.missing, until, values })
    }

    /// Returns the id of the page that this one follows.
    pub fn leader(&self) -> Option<PageId> {
        let environment = self.follow?.environment;
        Some(PageId { agent: self.id.agent.clone(), environment })
    }

    /// Returns true if the other page is of the same settings block and row, in another environment.
    ///
    /// Both have the same values then, at every instant.
    pub fn shares_values(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.variables, &other.variables) && self.missing == other.missing
    }

    /// Returns true if two definitions of a page have the same values over a range of time.
    pub fn is_equivalent(&self, other: &Self, from: Instant, to: Instant) -> bool {
        self.variables.len() == other.variables.len()
            && self
                .beside(other)
                .all(|(owned, other)| other.is_some_and(|other| owned.is_equivalent(other, from, to)))
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
