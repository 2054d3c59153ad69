//! Lint for clauses of a `when` that no coming instant chooses.
//!
//! Their time is over, their conditions never hold at once, or an earlier clause always holds.

use std::collections::HashSet;

use crate::limits::time::HORIZON;
use crate::model::{Instant, Problem, after};

use crate::pages::Definition;
use crate::pages::conditions::{Condition, Conditions};
use crate::pages::definition::Clause;

/// The most conditions evaluated for one clause; a clause that needs more is not judged.
const ASKED_OF_CLAUSE: usize = 10_000;
/// The most conditions evaluated for all clauses together.
const ASKED_OF_ALL: usize = 100_000;

/// A search for unreachable clauses, within a limited amount of work.
#[derive(Default)]
pub(super) struct Reach {
    asked: usize,
    /// The places of clauses that were reported, or take too long.
    ///
    /// Rows that share a clause do not repeat it.
    settled: HashSet<String>,
}

/// The reason that a clause is not chosen.
struct Unreached {
    /// True if the clause holds at times, but an earlier one always holds then too.
    holds: bool,
    /// The instant up to which the result is known; none if it never changes.
    before: Option<Instant>,
}

impl Reach {
    /// Finds clauses of a definition, and of nested ones, that are not chosen from `at` on.
    pub(super) fn unreached(&mut self, definition: &Definition, at: Instant, found: &mut Vec<Problem>) {
        let at = match definition {
            Definition::Ahead { by, .. } => after(at, *by),
            _ => at,
        };
        if let Definition::When { clauses, .. } = definition {
            for index in 0..clauses.len() {
                found.extend(self.judge(&clauses[..=index], at));
            }
        }
        definition.parts().for_each(|part| self.unreached(part, at, found));
    }

    /// Returns the problem of the last of the clauses, if it has one.
    fn judge(&mut self, clauses: &[Clause], at: Instant) -> Option<Problem> {
        let (clause, earlier) = clauses.split_last()?;
        if let Some(condition) = clause.conditions.over(at) {
            return Some(never_applies(clauses.len(), clause, condition));
        }
        let place = clause.origin.to_string();
        if self.settled.contains(&place) {
            return None;
        }
        let most = ASKED_OF_CLAUSE.min(ASKED_OF_ALL - self.asked);
        let mut left = most;
        let unreached = unreached(clause, earlier, at, &mut left);
        self.asked += most - left;
        if left == 0 || unreached.is_some() {
            self.settled.insert(place);
        }
        unreached.map(|unreached| unreached.problem(clauses.len(), clause))
    }
}

/// Scans the time of a clause until it is chosen.
///
/// Returns none if it is chosen, or if that is unknown.
fn unreached(clause: &Clause, earlier: &[Clause], now: Instant, left: &mut usize) -> Option<Unreached> {
    let (from, until) = clause.conditions.dates();
    let mut at = from.map_or(now, |from| from.max(now));
    // The scan starts at a rare event that is beyond the horizon, such as a 29th of February.
    at = clause.conditions.not_before(at).filter(|first| *first > after(at, HORIZON)).unwrap_or(at);
    let end = until.map_or(after(at, HORIZON), |until| until.min(after(at, HORIZON)));
    // Calendars are known up to the horizon.
    let is_known = |conditions: &Conditions| end <= after(now, HORIZON) || !conditions.rest_on_calendars();
    if !is_known(&clause.conditions) {
        return None;
    }
    let work = earlier.iter().chain([clause]).map(|clause| clause.conditions.work()).sum();
    let mut holds = false;
    while at < end {
        let Some(next) = clause.conditions.not_before(at) else {
            return Some(Unreached { holds, before: None });
        };
        *left = left.saturating_sub(work);
        if *left == 0 {
            return None;
        }
        if next > at {
            at = next;
            continue;
        }
        holds = true;
        let known = earlier.iter().filter(|clause| is_known(&clause.conditions));
        let covering = known.map(|clause| clause.conditions.at(at)).filter(|state| state.holds);
        // Chosen if no earlier clause holds. Otherwise not before the last of these ends.
        let Some(until) = covering.max_by_key(|state| state.until.unwrap_or(Instant::MAX_UTC))?.until else {
            return Some(Unreached { holds, before: None });
        };
        at = until;
    }
    Some(Unreached { holds, before: Some(end).filter(|end| until != Some(*end)) })
}

impl Unreached {
    fn problem(&self, number: usize, clause: &Clause) -> Problem {
        let before = self.before.map_or(String::new(), |end| format!(" before {}", end.date_naive()));
        let never = if self.before.is_some() { "not" } else { "never" };
        let (message, hint) = match self.holds {
            true => (
                format!("clause {number} is {never} reached{before}: the clauses before it always hold"),
                "the first clause that holds applies: move this one before them, or give them an end",
            ),
            false => (
                format!("clause {number} will not hold{before}: {}", clause.conditions.describe()),
                "its conditions never hold at the same time: correct one of them, or remove the clause",
            ),
        };
        Problem::at(&clause.origin, message).hint(hint)
    }
}

/// Returns the problem of a clause with a condition that does not hold, and never will.
fn never_applies(number: usize, clause: &Clause, condition: &Condition) -> Problem {
    let conditions = clause.conditions.describe();
    let (again, hint) = match condition {
        Condition::Hours { .. } => {
            ("", "those hours never change; correct the state or the hours, or remove the clause")
        }
        _ => (" again", "remove it, or give it new dates"),
    };
    Problem::at(&clause.origin, format!("clause {number} will not hold{again}: {conditions}")).hint(hint)
}
