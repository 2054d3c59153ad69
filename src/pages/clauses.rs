//! The parts of a definition that apply only at times: clauses of `when`, and overrides.

use crate::model::{Instant, Problem};

use super::definition::{Clause, Evaluated, Overridden};

impl Overridden {
    /// Returns true if the override is active at an instant.
    pub fn is_on(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Returns the override's value while it is active, else the computed value.
    pub(super) fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        if !self.is_on(at) && self.from <= at {
            return self.computed.evaluate(at);
        }
        if at < self.from {
            let mut evaluated = self.computed.evaluate(at)?;
            evaluated.until = Some(evaluated.until.map_or(self.from, |until| until.min(self.from)));
            return Ok(evaluated);
        }
        let mut evaluated = self.during.evaluate(at)?;
        evaluated.until = [evaluated.until, self.until].into_iter().flatten().min();
        Ok(evaluated)
    }
}

impl Clause {
    /// Returns true if the clause's conditions hold at an instant.
    pub fn holds(&self, at: Instant) -> bool {
        self.conditions.at(at).holds
    }

    /// Describes the conditions, and the place where they are written.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.conditions.describe(), self.origin)
    }
}
