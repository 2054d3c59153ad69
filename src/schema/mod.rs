//! The gate: types desired values and validates them together with the page they will be merged
//! into. Only this module creates a [`Checked`], and nothing else is ever sent.

mod cell;
mod checking;
mod diff;
mod patterns;
mod resources;
mod series;
mod unknown_names;
mod work;

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use checking::Checker;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::model::{Instant, Missing, Origin, PageId, Places, Problem, RemotePage, Step, Variable, shorten};
use crate::pages::{Desired, DesiredValue, UntypedValue};

pub use diff::{Difference, MAX_REPORTED as MAX_DIFFERENCES, differences};
pub use series::Series;

/// Maximum bytes of one compiled pattern.
const PATTERN_BYTES: usize = 1 << 19;
/// Maximum backtracking steps of a pattern with look-around; only such patterns backtrack.
const PATTERN_STEPS: usize = 10_000;
/// Maximum broken rules reported per page; further ones appear once these are fixed.
const MAX_REPORTED: usize = 50;
/// Maximum broken rules of a page that are compared with the rules it broke before.
const MAX_COMPARED: usize = 1_000;
/// Maximum characters of a validator's message, which may quote the whole page.
const MAX_MESSAGE: usize = 400;

/// A page's JSON Schema (Draft 7), compiled: no network, no files, bounded patterns.
pub struct Schema {
    /// The schema as written on the page.
    source: Arc<Value>,
    /// The same schema with its references rewritten as places in it.
    whole: Arc<Value>,
    validator: Option<Checker>,
    /// The same validator with formats asserted, if the schema has formats and they are not already
    /// asserted.
    with_formats: Option<Checker>,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").field("source", &self.source).finish()
    }
}

impl Schema {
    /// Compiles a page's schema; a page without one takes every value.
    ///
    /// # Errors
    /// Returns an error when it cannot be compiled: it is not a Draft 7 schema, refers to another
    /// document, or requires too much work.
    pub fn compile(source: Option<&Value>) -> Result<Self, Problem> {
        source.map_or_else(|| Ok(Self::anything()), |source| Self::of(&Arc::new(source.clone()), false))
    }

    fn anything() -> Self {
        let anything = Arc::new(Value::Bool(true));
        Self { source: anything.clone(), whole: anything, validator: None, with_formats: None }
    }

    fn of(source: &Arc<Value>, assert_formats: bool) -> Result<Self, Problem> {
        work::check_size(source)?;
        let whole = match resources::in_one(source) {
            Cow::Borrowed(_) => source.clone(),
            Cow::Owned(whole) => Arc::new(whole),
        };
        work::check(&whole)?;
        let validator = validator(&whole, assert_formats).map_err(|error| {
            Problem::new(format!("the page's schema cannot be used: {}", brief(&error)))
                .hint("put a self-contained Draft 7 schema on the page")
        })?;
        // Draft 7, validation 7.2: a format is an annotation unless its assertion is requested.
        let has_formats = !assert_formats && work::has_keyword(&whole, "format");
        let with_formats = has_formats.then(|| self::validator(&whole, true).ok()).flatten();
        let with_formats = with_formats.map(Checker::new);
        Ok(Self { source: source.clone(), whole, validator: Some(Checker::new(validator)), with_formats })
    }

    /// Compiles a schema that a user proposes for a page.
    ///
    /// # Errors
    /// As [`compile`](Self::compile), and when it is not an object or declares another draft.
    pub fn proposed(source: &Value) -> Result<Self, Problem> {
        let Value::Object(object) = source else {
            return Err(Problem::new("a page's schema must be an object")
                .hint("write a Draft 7 schema, as in {\"type\": \"object\", \"properties\": {…}}"));
        };
        match object.get("$schema").map(Value::as_str) {
            None => {}
            Some(Some(draft)) if draft.contains("json-schema.org/draft-07/schema") => {}
            Some(draft) => {
                let draft: String = draft.unwrap_or("something else").chars().take(100).collect();
                return Err(Problem::new(format!("the schema declares {draft}, but pages use Draft 7"))
                    .hint(
                        "write \"$schema\": \"http://json-schema.org/draft-07/schema#\", or leave it out",
                    ));
            }
        }
        Self::compile(Some(source)).map_err(|problem| Problem {
            message: problem.message.replacen("the page's schema", "the schema", 1),
            ..problem
        })
    }

    /// Returns the rules that a page's values break, each with its place on the page.
    pub fn broken_by(&self, page: &Map<String, Value>) -> Vec<Problem> {
        let page = Value::Object(page.clone());
        let broken = |error: &ValidationError| {
            let path = error.instance_path().to_string();
            let place = match page.pointer(&path) {
                Some(value) if !path.is_empty() => format!("{path} = {}", shorten(value, 60)),
                _ => "the page".to_owned(),
            };
            Problem::new(format!("{place}: {}", brief(error)))
                .hint(format!("see the schema at {}", rule(error)))
        };
        match self.errors(&page) {
            Ok(errors) => errors.iter().take(MAX_REPORTED).map(broken).collect(),
            Err(problem) => vec![problem],
        }
    }

    /// Returns a variable's value in the type the schema requires; JSON values stay unchanged.
    ///
    /// # Errors
    /// A cell whose text matches none of the types that the schema allows there.
    pub fn typed(&self, variable: &Variable, wanted: &UntypedValue) -> Result<Value, Problem> {
        match wanted {
            UntypedValue::Json(value) => Ok(value.clone()),
            UntypedValue::Cell(cell) => cell::typed(cell, variable, &self.whole),
            UntypedValue::Object(entries) => {
                let typed = |(key, wanted): &(String, UntypedValue)| {
                    Ok((key.clone(), self.typed(&variable.part(Step::Key(key.clone())), wanted)?))
                };
                entries.iter().map(typed).collect::<Result<_, _>>().map(Value::Object)
            }
            UntypedValue::List(items) => {
                let typed = |(index, wanted): (usize, &UntypedValue)| {
                    self.typed(&variable.part(Step::Key(index.to_string())), wanted)
                };
                items.iter().enumerate().map(typed).collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    /// Returns the mismatches between settings and schema.
    ///
    /// These are variables, and keys of their current values, that are unknown to the schema, and
    /// top-level keys that it requires but that are neither on the page nor owned.
    pub fn unknown_names(
        &self,
        owned: &[(Variable, Option<Value>)],
        is_there: impl Fn(&str) -> bool,
    ) -> Vec<Problem> {
        unknown_names::unknown_names(&self.whole, owned, is_there)
    }

    /// Returns true if a page's values meet the schema and can be checked within bounded work.
    pub fn takes(&self, values: &Value) -> bool {
        self.errors(values).is_ok_and(|errors| errors.is_empty())
    }

    /// Returns the rules that a page's values break.
    ///
    /// # Errors
    /// Returns an error when the check would take too much work.
    fn errors<'i>(&'i self, instance: &'i Value) -> Result<Vec<ValidationError<'i>>, Problem> {
        match &self.validator {
            Some(checker) => checker.errors(&self.whole, instance, MAX_COMPARED),
            None => Ok(Vec::new()),
        }
    }
}

fn validator(schema: &Value, assert_formats: bool) -> Result<Validator, ValidationError<'static>> {
    let options =
        jsonschema::options().with_draft(Draft::Draft7).offline().should_validate_formats(assert_formats);
    let linear =
        options.clone().with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES)).build(schema);
    // The linear engine does not support look-around; a schema that needs it gets a bounded
    // backtracking engine.
    linear.or_else(|_| {
        let patterns = PatternOptions::fancy_regex().size_limit(PATTERN_BYTES).backtrack_limit(PATTERN_STEPS);
        options.with_pattern_options(patterns).build(schema)
    })
}

/// Compiled schemas, each compiled once for all pages that share it.
#[derive(Debug, Default)]
pub struct Schemas {
    known: HashSet<Known>,
    assert_formats: bool,
}

impl Schemas {
    /// Creates an empty cache; `assert_formats` makes `format` a rule that values must meet.
    pub fn new(assert_formats: bool) -> Self {
        Self { known: HashSet::new(), assert_formats }
    }

    /// Compiles a page's schema, or returns the cached one if another page has the same schema.
    ///
    /// In that case the page's `source` is replaced by the shared copy.
    ///
    /// # Errors
    /// As [`Schema::compile`]; failures are not cached.
    pub fn compile(&mut self, source: &mut Option<Arc<Value>>) -> Result<Arc<Schema>, Problem> {
        let Some(source) = source else { return Ok(Arc::new(Schema::anything())) };
        if let Some(Known(schema)) = self.known.get(&**source) {
            source.clone_from(&schema.source);
            return Ok(schema.clone());
        }
        let schema = Arc::new(Schema::of(source, self.assert_formats)?);
        // Drops schemas that no page uses any more. The scan runs at powers of two only, so that it
        // stays cheap when every page has its own schema.
        if self.known.len().is_power_of_two() {
            self.known.retain(|Known(schema)| Arc::strong_count(schema) > 1);
        }
        self.known.insert(Known(schema.clone()));
        Ok(schema)
    }
}

/// A schema that is hashed and compared by its source.
#[derive(Debug)]
struct Known(Arc<Schema>);

impl Borrow<Value> for Known {
    fn borrow(&self) -> &Value {
        &self.0.source
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Known {}

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
    pub origin: Origin,
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
        rest.validated()
    }

    fn validated(self) -> Result<Self, Vec<Problem>> {
        if self.schema.validator.is_none() {
            return Ok(Self { is_clean: true, ..self });
        }
        let merged = Value::Object(self.merged());
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
        let before = Value::Object(self.observed.variables.clone());
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
            if problems.len() == MAX_REPORTED {
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
        let merged = Value::Object(self.merged());
        let mut places = Places::default();
        let broken = self.schema.errors(&merged).unwrap_or_default();
        let formats = self.schema.with_formats.as_ref();
        let formats =
            formats.and_then(|checker| checker.errors(&self.schema.whole, &merged, MAX_REPORTED).ok());
        let formats = formats.unwrap_or_default();
        let formats =
            formats.iter().filter(|error| matches!(error.kind(), ValidationErrorKind::Format { .. }));
        let all = broken.iter().take(MAX_REPORTED).chain(formats);
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

/// Returns a validator's message, truncated while it is written.
fn brief(error: &ValidationError) -> String {
    let mut brief = Brief(String::new());
    if write!(brief, "{error}").is_err() {
        brief.0.push('…');
    }
    brief.0
}

struct Brief(String);

impl std::fmt::Write for Brief {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = MAX_MESSAGE.saturating_sub(self.0.chars().count());
        self.0.extend(text.chars().take(room));
        if text.chars().nth(room).is_some() { Err(std::fmt::Error) } else { Ok(()) }
    }
}

fn rule(error: &ValidationError) -> String {
    let path = error.schema_path().to_string();
    if path.is_empty() { "its root".to_owned() } else { path }
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
    for wanted in &desired.values {
        match typed_and_placed(wanted, schema, (&mut page, &mut places), desired.missing) {
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
    checked.validated()
}

fn typed_and_placed(
    wanted: &DesiredValue,
    schema: &Schema,
    (page, places): (&mut Map<String, Value>, &mut Places),
    missing: Missing,
) -> Result<CheckedValue, Problem> {
    let value = schema.typed(&wanted.variable, &wanted.wanted)?;
    wanted.variable.write(page, value.clone(), missing, places).map_err(|blocked| {
        Problem::at(&wanted.origin, format!("{} cannot be set: {blocked}", wanted.variable))
            .hint(blocked.remedy())
    })?;
    Ok(CheckedValue {
        variable: wanted.variable.clone(),
        value,
        origin: wanted.origin.clone(),
        until: wanted.until,
    })
}

#[cfg(test)]
mod tests;
