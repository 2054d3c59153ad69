//! The attempts to change a page that the API refused.

use std::sync::Arc;

use serde_json::Value;

use crate::limits::api::STUCK_AFTER;
use crate::model::Variable;

/// The content of a PATCH and the page state it applies to.
///
/// The body is not part of it, because it includes the changes of our own last attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The changed variables and their values.
    pub changes: Vec<(Variable, Value)>,
    /// The update time of the page.
    pub last_updated: Option<String>,
    /// The schema of the page.
    pub schema: Option<Arc<Value>>,
}

impl Attempt {
    /// Returns true if both send the same changes, to any page state.
    fn sends_the_same(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

/// The refused attempts to change one page.
#[derive(Debug, Default)]
pub struct Refusals {
    /// The attempt that is in progress or was refused; a refused one is not sent again.
    remembered: Option<Attempt>,
    /// The last attempt.
    last: Option<Attempt>,
    /// Number of times in a row that the last attempt was refused.
    count: u32,
}

impl Refusals {
    /// Remembers an attempt that is sent now.
    pub fn begin(&mut self, attempt: Attempt) {
        if !self.last.as_ref().is_some_and(|last| last.sends_the_same(&attempt)) {
            (self.last, self.count) = (Some(attempt.clone()), 0);
        }
        self.remembered = Some(attempt);
    }

    /// Takes the remembered attempt; only a refused one is to be remembered again.
    pub fn take(&mut self) -> Option<Attempt> {
        self.remembered.take()
    }

    /// Forgets all of them: a PATCH was applied.
    pub fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Counts a refusal of an attempt, and remembers it after [`STUCK_AFTER`] in a row.
    ///
    /// Returns true if that many are reached.
    pub fn refuse(&mut self, attempt: Option<Attempt>) -> bool {
        self.count += 1;
        let is_last = self.count >= STUCK_AFTER;
        self.remembered = attempt.filter(|_| is_last);
        is_last
    }

    /// Forgets the remembered attempt, so that it may be sent again.
    pub fn forget(&mut self) {
        self.remembered = None;
    }

    /// Returns true if an attempt is remembered.
    pub fn has_any(&self) -> bool {
        self.remembered.is_some()
    }

    /// Returns true if the attempt is the remembered one.
    pub fn is_refused(&self, attempt: &Attempt) -> bool {
        self.remembered.as_ref() == Some(attempt)
    }
}
