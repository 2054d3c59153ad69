//! Decides what to send: the page three ways against what we last put there and what it should be.
//! No IO, no clock; acting on a plan has no choices left.

mod difference;
mod hold;

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::model::{Change, DriftPolicy, OnDrift, PageId, Places, Problem, Variable, same_value};
use crate::schema::{Checked, CheckedValue};

pub use difference::{Changed, Difference, differences};
pub use hold::{Recent, Side, Thresholds, Weighed, lost_by_source, weigh};

/// The values that we last put on a page and saw confirmed.
pub type Base = BTreeMap<Variable, Value>;

/// What happens to one page now.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which page.
    pub page: PageId,
    /// What to change, all in one PATCH; empty when nothing is to be sent.
    pub changes: Vec<Change>,
    /// The body of that PATCH: the top-level keys of the changes, neighbours included.
    pub body: Map<String, Value>,
    /// Values that others changed.
    pub drift: Vec<Drift>,
    /// Values that stand on the page as wanted, though not by us: the base learns them.
    pub adopted: Vec<(Variable, Value)>,
}

/// A value that somebody else changed, and what is done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Which variable.
    pub variable: Variable,
    /// What we last put there.
    pub base: Value,
    /// What stands there.
    pub found: Option<Value>,
    /// What should stand there.
    pub desired: Value,
    /// What happens.
    pub answer: Answer,
}

/// What is done about a drifted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Ours is sent.
    Restored,
    /// Theirs stays until our value next changes.
    Kept,
    /// Theirs stays; people are told.
    Reported,
    /// Ours has changed too, and is withheld until a person decides.
    Held,
}

impl Answer {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Kept => "kept",
            Self::Reported => "reported",
            Self::Held => "held",
        }
    }
}

enum Verdict {
    Nothing,
    Adopt,
    Send,
    Drift(Answer),
}

/// Three ways (DESIGN 4.3), for a value that differs from the page:
///
/// | page vs base | desired vs base | restore | keep | report |
/// |---|---|---|---|---|
/// | same | changed | send | send | send |
/// | changed | same | send | leave | leave, tell |
/// | changed | changed | send | send | hold, tell |
/// | no base | any | send | send | send |
fn verdict(base: Option<&Value>, found: Option<&Value>, desired: &Value, policy: OnDrift) -> Verdict {
    if found.is_some_and(|found| same_value(found, desired)) {
        return match base {
            Some(base) if same_value(base, desired) => Verdict::Nothing,
            _ => Verdict::Adopt,
        };
    }
    let Some(base) = base else {
        return Verdict::Send;
    };
    if found.is_some_and(|found| same_value(found, base)) {
        return Verdict::Send;
    }
    match (policy, same_value(base, desired)) {
        (OnDrift::Restore, _) | (OnDrift::Keep, false) => Verdict::Drift(Answer::Restored),
        (OnDrift::Keep, true) => Verdict::Drift(Answer::Kept),
        (OnDrift::Report, true) => Verdict::Drift(Answer::Reported),
        (OnDrift::Report, false) => Verdict::Drift(Answer::Held),
    }
}

/// Decides for one page. Why a value is wanted, by its number among those desired, is asked only of those that are sent.
///
/// # Errors
/// When the values that stay others' would break the schema together with ours.
pub fn plan(
    checked: &Checked,
    base: &Base,
    policy: &DriftPolicy,
    because: &dyn Fn(usize) -> String,
) -> Result<Plan, Vec<Problem>> {
    let change = |(number, wanted): (usize, &CheckedValue), found: Option<&Value>| Change {
        variable: wanted.variable.clone(),
        from: found.cloned(),
        to: wanted.value.clone(),
        because: because(number),
        until: wanted.until,
    };
    let mut plan = Plan {
        page: checked.page().clone(),
        changes: Vec::new(),
        body: Map::new(),
        drift: Vec::new(),
        adopted: Vec::new(),
    };
    let found = &checked.observed().variables;
    let (mut withheld, mut places) = (HashSet::new(), Places::default());
    for (number, wanted) in checked.values().iter().enumerate() {
        let variable = &wanted.variable;
        let at_page = variable.read_at(found, &mut places);
        match verdict(base.get(variable), at_page, &wanted.value, policy.on(variable)) {
            Verdict::Nothing => {}
            Verdict::Adopt => plan.adopted.push((variable.clone(), wanted.value.clone())),
            Verdict::Send => plan.changes.push(change((number, wanted), at_page)),
            Verdict::Drift(answer) => {
                plan.drift.push(Drift {
                    variable: variable.clone(),
                    base: base.get(variable).cloned().unwrap_or_default(),
                    found: at_page.cloned(),
                    desired: wanted.value.clone(),
                    answer,
                });
                match answer {
                    Answer::Restored => plan.changes.push(change((number, wanted), at_page)),
                    _ => drop(withheld.insert(variable.clone())),
                }
            }
        }
    }
    if plan.changes.is_empty() {
        return Ok(plan);
    }
    let mut merged = match withheld.is_empty() {
        true => checked.merged(),
        false => checked.without(&withheld)?.merged(),
    };
    for change in &plan.changes {
        // Once taken, a key is no longer there for the next change below it.
        let key = change.variable.key();
        plan.body.extend(merged.remove(key).map(|value| (key.to_owned(), value)));
    }
    Ok(plan)
}

/// What became of an intent, told by the page as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The page holds what was intended.
    Applied,
    /// The page holds what it held before.
    NotApplied,
    /// The page holds something else: others wrote since.
    Overwritten,
}

/// Looks up an unknown outcome: a reply that never came is not guessed (DESIGN 4.6).
pub fn look_up(intent: &[Change], page: &Map<String, Value>) -> Found {
    let mut places = Places::default();
    let mut holds = |wanted: &dyn Fn(&Change) -> Option<Value>| {
        intent.iter().all(|change| match (change.variable.read_at(page, &mut places), wanted(change)) {
            (Some(found), Some(wanted)) => same_value(found, &wanted),
            (None, None) => true,
            _ => false,
        })
    };
    if holds(&|change| Some(change.to.clone())) {
        Found::Applied
    } else if holds(&|change| change.from.clone()) {
        Found::NotApplied
    } else {
        Found::Overwritten
    }
}

#[cfg(test)]
mod tests;
