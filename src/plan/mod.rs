//! Computes the changes to send by a three-way comparison: page, baseline, desired values.
//!
//! No IO, no clock. Executing a plan makes no further choices.

mod baseline;
mod difference;
mod hold;
mod variants;

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::model::{Change, OnDrift, PageId, Places, Problem, Variable, same_value};
use crate::schema::{Checked, CheckedValue};

pub use baseline::Baseline;
pub(crate) use difference::{Changed, Difference, differences};
pub(crate) use hold::{Impact, lost_by_source};
pub use hold::{Recent, Side, Thresholds, assess};
pub(crate) use variants::{VariantDifference, compare_variants};

/// The changes of one page now.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The page's ID.
    pub page: PageId,
    /// The changes, sent in one PATCH; empty if there are none.
    pub changes: Vec<Change>,
    /// The body of the PATCH: the top-level keys of the changes, with their other contents.
    pub body: Map<String, Value>,
    /// Values changed by another client.
    pub drift: Vec<Drift>,
    /// Values already as desired, though not set by us; they are added to the baseline.
    pub adopted: Vec<(Variable, Value)>,
}

/// A value that another client changed, and the response to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The variable.
    pub variable: Variable,
    /// The baseline.
    pub baseline: Value,
    /// The value on the page.
    pub found: Option<Value>,
    /// The desired value.
    pub desired: Value,
    /// The response.
    pub answer: Answer,
}

/// The response to a drifted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Our value is sent.
    Restored,
    /// The other client's value stays until our value next changes.
    Kept,
    /// The other client's value stays and is reported.
    Reported,
    /// Our value changed too and is withheld until a person decides.
    Held,
}

impl Answer {
    /// Returns the response as one word.
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

/// Decides on one value by a three-way comparison.
///
/// For a value that differs from the page:
///
/// | page vs baseline | desired vs baseline | restore | keep | report |
/// |---|---|---|---|---|
/// | same | changed | send | send | send |
/// | changed | same | send | leave | leave, report |
/// | changed | changed | send | send | hold, report |
/// | no baseline | any | send | send | send |
fn verdict(
    baseline: Option<&Value>,
    found: Option<&Value>,
    desired: &Value,
    policy: impl Fn() -> OnDrift,
) -> Verdict {
    if found.is_some_and(|found| same_value(found, desired)) {
        return match baseline {
            Some(baseline) if same_value(baseline, desired) => Verdict::Nothing,
            _ => Verdict::Adopt,
        };
    }
    let Some(baseline) = baseline else {
        return Verdict::Send;
    };
    if found.is_some_and(|found| same_value(found, baseline)) {
        return Verdict::Send;
    }
    match (policy(), same_value(baseline, desired)) {
        (OnDrift::Restore, _) | (OnDrift::Keep, false) => Verdict::Drift(Answer::Restored),
        (OnDrift::Keep, true) => Verdict::Drift(Answer::Kept),
        (OnDrift::Report, true) => Verdict::Drift(Answer::Reported),
        (OnDrift::Report, false) => Verdict::Drift(Answer::Held),
    }
}

/// Computes the plan for one page.
///
/// `on_drift` returns the policy for a desired value by its index, and `because` the reason. They
/// are called only for values that drifted or are sent.
///
/// # Errors
/// Fails when our values would violate the schema together with drifted values that stay.
pub(crate) fn plan(
    checked: &Checked,
    baseline: &Baseline,
    on_drift: &dyn Fn(usize) -> OnDrift,
    because: &dyn Fn(usize) -> String,
) -> Result<Plan, Vec<Problem>> {
    let change = |(number, desired): (usize, &CheckedValue), found: Option<&Value>| Change {
        variable: desired.variable.clone(),
        from: found.cloned(),
        to: desired.value.clone(),
        because: because(number),
        until: desired.until,
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
    for (number, desired) in checked.values().iter().enumerate() {
        let variable = &desired.variable;
        let at_page = variable.read_at(found, &mut places);
        match verdict(baseline.get(variable), at_page, &desired.value, || on_drift(number)) {
            Verdict::Nothing => {}
            Verdict::Adopt => plan.adopted.push((variable.clone(), desired.value.clone())),
            Verdict::Send => plan.changes.push(change((number, desired), at_page)),
            Verdict::Drift(answer) => {
                plan.drift.push(Drift {
                    variable: variable.clone(),
                    baseline: baseline.get(variable).cloned().unwrap_or_default(),
                    found: at_page.cloned(),
                    desired: desired.value.clone(),
                    answer,
                });
                match answer {
                    Answer::Restored => plan.changes.push(change((number, desired), at_page)),
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
        // The first change below a key takes the whole key.
        let key = change.variable.key();
        plan.body.extend(merged.remove(key).map(|value| (key.to_owned(), value)));
    }
    Ok(plan)
}

/// The outcome of an intent, determined from the current page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentOutcome {
    /// The page holds the intended values.
    Applied,
    /// The page holds the values from before.
    NotApplied,
    /// The page holds other values: another client wrote since.
    Overwritten,
}

/// Determines an unknown outcome from the page instead of guessing it.
pub(crate) fn look_up(intent: &[Change], page: &Map<String, Value>) -> IntentOutcome {
    let mut places = Places::default();
    let mut holds = |side: &dyn Fn(&Change) -> Option<Value>| {
        intent.iter().all(|change| match (change.variable.read_at(page, &mut places), side(change)) {
            (Some(found), Some(value)) => same_value(found, &value),
            (None, None) => true,
            _ => false,
        })
    };
    if holds(&|change| Some(change.to.clone())) {
        IntentOutcome::Applied
    } else if holds(&|change| change.from.clone()) {
        IntentOutcome::NotApplied
    } else {
        IntentOutcome::Overwritten
    }
}

#[cfg(test)]
mod tests;
