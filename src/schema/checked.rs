//! Values that were validated together with the page that they will be merged into.

use std::collections::HashSet;
use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use crate::limits::pages::MAX_BROKEN_RULES;
use crate::model::{Instant, Missing, Origin, PageId, Places, Problem, RemotePage, Variable, shorten};
use crate::pages::{Desired, DesiredValue};

use super::Schema;
use super::message::{brief, rule};

/// Values that may be sent: the merged page meets its schema.
#[derive(Clone, Debug)]
pub struct Checked {
    page: PageId,
    values: Vec<CheckedValue>,
    missing: Missing,
    observed: Arc<RemotePage>,
    schema: Arc<Schema>,
    /// True if no rule is broken, including by values that are not ours.
    is_clean: bool,
}

/// One value that may be sent.
#[derive(Clone, Debug)]
pub struct CheckedValue {
    /// The place of the value on the page.
    pub variable: Variable,
    /// The value, typed.
    pub value: Value,
    /// The value's source location.
    origin: Origin,
    /// The next time the value may change by itself.
    pub until: Option<Instant>,
}

impl Checked {
    /// Returns the page's id.
    pub fn page(&self) -> &PageId {
        &self.page
    }

    /// Returns the values.
    pub fn values(&self) -> &[CheckedValue] {
        &self.values
    }

    /// Returns the page that the values were checked with.
    pub fn observed(&self) -> &RemotePage {
        &self.observed
    }

    /// Returns the page with the values merged in.
    pub fn merged(&self) -> Map<String, Value> {
        let (mut page, mut places) = (self.observed.variables.clone(), Places::default());
        for checked in &self.values {
            // Cannot fail: `check` has written every one of these before.
            let _ = checked.variable.write(&mut page, checked.value.clone(), self.missing, &mut places);
        }
        page
    }

    /// Returns a copy without some variables, validated again: the rest must meet the schema on its
    /// own.
    ///
    /// # Errors
    /// The rules that the rest breaks.
    pub fn without(&self, withheld: &HashSet<Variable>) -> Result<Self, Vec<Problem>> {
        let mut rest = self.clone();
        rest.values.retain(|checked| !withheld.contains(&checked.variable));
        let merged = rest.merged();
        rest.validated(merged)
    }

    /// Validates the page with the values merged in.
    ///
    /// A page can be large: without errors, this is the only copy of the fetched one.
    fn validated(self, merged: Map<String, Value>) -> Result<Self, Vec<Problem>> {
        if self.schema.validator.is_none() {
            return Ok(Self { is_clean: true, ..self });
        }
        let merged = Arc::new(Value::Object(merged));
        let errors = self.schema.errors(&merged).map_err(|problem| vec![problem])?;
        let problems = self.ours(&errors, &merged);
        let is_clean = errors.is_empty();
        drop(errors);
        if problems.is_empty() { Ok(Self { is_clean, ..self }) } else { Err(problems) }
    }

    /// Returns the problems that are ours to fix: rules broken by our values, and rules that the
    /// page did not break before.
    ///
    /// Values that other clients set and the schema rejects must not block our updates: a shop could
    /// otherwise stay open on the page.
    fn ours(&self, errors: &[ValidationError], merged: &Value) -> Vec<Problem> {
        if errors.is_empty() {
            return Vec::new();
        }
        let before = Arc::new(Value::Object(self.observed.variables.clone()));
        let known: HashSet<(String, String)> = match self.schema.errors(&before) {
            Ok(errors) => errors.iter().map(identity).collect(),
            Err(_) => HashSet::new(),
        };
        let mut places = Places::default();
        let mut problems = Vec::new();
        for error in errors {
            let value = self.broken_value(error, merged, &mut places);
            // A missing required key belongs to no value: the API would refuse the page whatever is
            // sent.
            let is_missing = matches!(error.kind(), ValidationErrorKind::Required { .. })
                && error.instance_path().to_string().is_empty();
            if value.is_some() || is_missing || !known.contains(&identity(error)) {
                problems.push(explain(error, value));
            }
            if problems.len() == MAX_BROKEN_RULES {
                break;
            }
        }
        problems
    }

    /// Returns schema violations that do not withhold our values: rules that other clients' values
    /// already broke, and formats.
    pub fn warnings(&self) -> Vec<Problem> {
        if self.is_clean && self.schema.with_formats.is_none() {
            return Vec::new();
        }
        let merged = Arc::new(Value::Object(self.merged()));
        let mut places = Places::default();
        let broken = self.schema.errors(&merged).unwrap_or_default();
        let formats = self.schema.with_formats.as_ref();
        let formats =
            formats.and_then(|checker| checker.errors(&self.schema.whole, &merged, MAX_BROKEN_RULES).ok());
        let formats = formats.unwrap_or_default();
        let formats =
            formats.iter().filter(|error| matches!(error.kind(), ValidationErrorKind::Format { .. }));
        let all = broken.iter().take(MAX_BROKEN_RULES).chain(formats);
        all.map(|error| {
            let value = self.broken_value(error, &merged, &mut places);
            explain(error, value).hint("it is sent anyway, and the API decides").warning()
        })
        .collect()
    }

    /// Returns our value that breaks a rule; `None` if it is another client's or the page as a
    /// whole.
    fn broken_value(
        &self,
        error: &ValidationError,
        merged: &Value,
        places: &mut Places,
    ) -> Option<&CheckedValue> {
        let path = error.instance_path().to_string();
        let steps: Vec<String> =
            path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        let about = |checked: &&CheckedValue| {
            let own = merged.as_object().and_then(|page| checked.variable.pointer(page, places));
            let own = own.unwrap_or_default();
            own.iter().zip(&steps).all(|(a, b)| a == b) && !steps.is_empty()
        };
        // An unknown key is reported at the object that contains it; the key itself is the
        // variable.
        let named = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => self.values.iter().find(|checked| {
                unexpected.iter().any(|key| checked.variable.steps().any(|step| step.key() == Some(key)))
            }),
            _ => None,
        };
        named.or_else(|| self.values.iter().find(about))
    }
}

/// Returns the identity of a broken rule: the rule and the place on the page.
fn identity(error: &ValidationError) -> (String, String) {
    // Only the message distinguishes a missing required key from one that is not allowed.
    (format!("{} {}", error.schema_path(), brief(error)), error.instance_path().to_string())
}

/// Names the cell, the variable and the rule that a value breaks.
fn explain(error: &ValidationError, value: Option<&CheckedValue>) -> Problem {
    let (rule, said) = (rule(error), brief(error));
    match value {
        Some(checked) => Problem::at(
            &checked.origin,
            format!("{} = {}: {said}", checked.variable, shorten(&checked.value, 60)),
        )
        .hint(format!("see the page's schema at {rule}")),
        None => {
            let path = error.instance_path().to_string();
            let place = if path.is_empty() { "the page" } else { path.as_str() };
            Problem::new(format!("{place} would break the schema of the page: {said}"))
                .hint(format!("the rule is {rule}; own that variable too, or set it on the page"))
        }
    }
}

/// Types the desired values and validates the page that results from them.
///
/// # Errors
/// Every value that breaks the schema, with its cell, its variable and the rule. Nothing of the
/// page is then sent.
pub fn check(
    desired: &Desired,
    observed: &Arc<RemotePage>,
    schema: &Arc<Schema>,
) -> Result<Checked, Vec<Problem>> {
    let (mut values, mut problems) = (Vec::with_capacity(desired.values.len()), Vec::new());
    let (mut page, mut places) = (observed.variables.clone(), Places::default());
    for value in &desired.values {
        match typed_and_placed(value, schema, (&mut page, &mut places), desired.missing) {
            Ok(checked) => values.push(checked),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let checked = Checked {
        page: desired.page.clone(),
        values,
        missing: desired.missing,
        observed: observed.clone(),
        schema: schema.clone(),
        is_clean: false,
    };
    checked.validated(page)
}

fn typed_and_placed(
    desired: &DesiredValue,
    schema: &Schema,
    (page, places): (&mut Map<String, Value>, &mut Places),
    missing: Missing,
) -> Result<CheckedValue, Problem> {
    let value = schema.typed(&desired.variable, &desired.value)?;
    desired.variable.write(page, value.clone(), missing, places).map_err(|blocked| {
        Problem::at(&desired.origin, format!("{} cannot be set: {blocked}", desired.variable))
            .hint(blocked.remedy())
    })?;
    Ok(CheckedValue {
        variable: desired.variable.clone(),
        value,
        origin: desired.origin.clone(),
        until: desired.until,
    })
}
