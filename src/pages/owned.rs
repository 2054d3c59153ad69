//! Owned variables: their values over time.

use chrono::TimeDelta;

use crate::limits::time::{MAX_SCAN_STEPS, MAX_STEPS_TO_NEXT, WITHOUT_VALUE};
use crate::model::{Instant, Origin, Problem, Row, Variable, after};

use super::{Definition, UntypedValue};

/// One owned variable.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Its place on the page.
    pub variable: Variable,
    /// The definition of its value.
    pub definition: Definition,
    /// The row that it is made for, if the page has it once for each row of a table.
    ///
    /// In a box, because most variables have none.
    pub row: Option<Box<Row>>,
}

/// The desired value of a variable.
#[derive(Clone, Debug)]
pub struct DesiredValue {
    /// Its place on the page.
    pub variable: Variable,
    /// The value, or the cell that contains it.
    pub value: UntypedValue,
    /// The place where the value is written.
    pub origin: Origin,
    /// The next instant at which it may change by itself.
    pub until: Option<Instant>,
}

/// A transition of a variable to a value.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The instant of the transition.
    pub at: Instant,
    /// The new value.
    pub value: UntypedValue,
    /// The reason in words.
    pub because: String,
}

/// The transitions of a variable over a range of time.
#[derive(Clone, Debug, Default)]
pub struct Transitions {
    /// The value at the start of the range, then every change.
    pub found: Vec<Transition>,
    /// The instant up to which changes were searched, if that is before the end of the range.
    pub cut_short_at: Option<Instant>,
}

impl Definition {
    /// Returns the next change between two instants.
    ///
    /// Also returns none if the change is not found within a limited number of steps, for example
    /// for a window that starts every minute and never ends.
    pub fn next_transition(&self, from: Instant, to: Instant) -> Option<Transition> {
        let first = self.evaluate(from).ok()?;
        let mut at = first.until?;
        for _ in 0..MAX_STEPS_TO_NEXT {
            if at >= to {
                return None;
            }
            let evaluated = self.evaluate(at).ok()?;
            if !first.value.same(&evaluated.value) {
                return Some(Transition { at, value: evaluated.value, because: self.because(at) });
            }
            at = evaluated.until.filter(|next| *next > at)?;
        }
        None
    }
}

impl Owned {
    /// Returns the same variable, evaluated ahead of the clock.
    pub fn ahead(&self, by: TimeDelta) -> Self {
        let definition = Definition::Ahead { of: Box::new(self.definition.clone()), by };
        Self { variable: self.variable.clone(), definition, row: self.row.clone() }
    }

    /// Returns true if two definitions have the same value over a range of time.
    pub fn is_equivalent(&self, other: &Self, from: Instant, to: Instant) -> bool {
        if self.definition.is_equivalent(&other.definition) {
            return true;
        }
        let mut at = from;
        for _ in 0..MAX_SCAN_STEPS {
            let next = match (self.definition.evaluate(at), other.definition.evaluate(at)) {
                (Ok(a), Ok(b)) if a.value.same(&b.value) => [a.until, b.until].into_iter().flatten().min(),
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

    /// Returns the values over a range of time, searched in at most this number of steps.
    ///
    /// # Errors
    /// The first instant without a value.
    pub fn transitions(&self, from: Instant, to: Instant, steps: usize) -> Result<Transitions, Problem> {
        let mut found: Vec<Transition> = Vec::new();
        let mut at = from;
        for _ in 0..steps {
            let evaluated = self.definition.evaluate(at).map_err(|problem| {
                problem.about(format!("{} at {}", self.variable, at.format("%Y-%m-%dT%H:%M:%SZ")))
            })?;
            if found.last().is_none_or(|last| !last.value.same(&evaluated.value)) {
                found.push(Transition { at, value: evaluated.value, because: self.definition.because(at) });
            }
            match evaluated.until.filter(|until| *until > at && *until < to) {
                Some(until) => at = until,
                None => return Ok(Transitions { found, cut_short_at: None }),
            }
        }
        Ok(Transitions { found, cut_short_at: Some(at) })
    }
}
