//! The gate: desired values, typed and validated with the page they will be merged into. Only this
//! module makes a [`Checked`], and nothing else is ever sent.

mod cell;
mod checking;
mod diff;
mod patterns;
mod resources;
mod strangers;
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
use crate::pages::{Desired, DesiredValue, Wanted};

pub use diff::{Difference, MAX_TOLD as MAX_DIFFERENCES, differences};

/// Bytes that one compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 19;
/// Steps back that a pattern with look-around may take; only those need backtracking.
const PATTERN_STEPS: usize = 10_000;
/// Broken rules that are told of one page; who mends these sees the others then.
const MAX_TOLD: usize = 50;
/// Broken rules of a page that are compared with those that it broke before.
const MAX_COMPARED: usize = 1_000;
/// Characters of a validator's message, which may quote the whole page.
const MAX_MESSAGE: usize = 400;

/// A page's JSON Schema (Draft 7), compiled: no network, no files, bounded patterns.
pub struct Schema {
    /// As it stands on the page.
    source: Arc<Value>,
    /// The same with its references as places in it.
    whole: Arc<Value>,
    validator: Option<Checker>,
    /// The same validator with formats, where the schema has some and they are not asserted.
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
    /// Why it can't be compiled: it is no Draft 7 schema, refers to another document, or asks for too much work.
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
            Problem::new(format!("the page's schema can't be used: {}", brief(&error)))
                .hint("put a self-contained Draft 7 schema on the page")
        })?;
        // Draft 7, validation 7.2: a format is an annotation unless somebody asks for its assertion.
        let has_formats = !assert_formats && work::has_keyword(&whole, "format");
        let with_formats = has_formats.then(|| self::validator(&whole, true).ok()).flatten();
        let with_formats = with_formats.map(Checker::new);
        Ok(Self { source: source.clone(), whole, validator: Some(Checker::new(validator)), with_formats })
    }

    /// Compiles a schema that somebody wants to put on a page.
    ///
    /// # Errors
    /// As [`compile`](Self::compile), and when it is no object, or says that it is of another draft.
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
                return Err(Problem::new(format!(
                    "the schema says that it is of {draft}, and pages take Draft 7"
                ))
                .hint("write \"$schema\": \"http://json-schema.org/draft-07/schema#\", or leave it out"));
            }
        }
        Self::compile(Some(source)).map_err(|problem| Problem {
            message: problem.message.replacen("the page's schema", "the schema", 1),
            ..problem
        })
    }

    /// The rules that the values of a page break, each with the place on the page.
    pub fn broken_by(&self, page: &Map<String, Value>) -> Vec<Problem> {
        let page = Value::Object(page.clone());
        let broken = |error: &ValidationError| {
            let path = error.instance_path().to_string();
            let place = match page.pointer(&path) {
                Some(value) if !path.is_empty() => format!("{path} = {}", shorten(value, 60)),
                _ => "the page".to_owned(),
            };
            Problem::new(format!("{place}: {}", brief(error)))
                .hint(format!("the schema says so at {}", rule(error)))
        };
        match self.errors(&page) {
            Ok(errors) => errors.iter().take(MAX_TOLD).map(broken).collect(),
            Err(problem) => vec![problem],
        }
    }

    /// The value of a variable as the schema types it; what is no cell stays as it is.
    ///
    /// # Errors
    /// A cell whose text is none of the types that the schema allows there.
    pub fn typed(&self, variable: &Variable, wanted: &Wanted) -> Result<Value, Problem> {
        match wanted {
            Wanted::Json(value) => Ok(value.clone()),
            Wanted::Cell(cell) => cell::typed(cell, variable, &self.whole),
            Wanted::Object(entries) => {
                let typed = |(key, wanted): &(String, Wanted)| {
                    Ok((key.clone(), self.typed(&variable.part(Step::Key(key.clone())), wanted)?))
                };
                entries.iter().map(typed).collect::<Result<_, _>>().map(Value::Object)
            }
            Wanted::List(items) => {
                let typed = |(index, wanted): (usize, &Wanted)| {
                    self.typed(&variable.part(Step::Key(index.to_string())), wanted)
                };
                items.iter().enumerate().map(typed).collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    /// What settings and schema don't know of each other: variables, and keys of the values that they have now, that the
    /// schema has no place for, and top-level ones that it requires though they are neither on the page nor owned.
    pub fn strangers(
        &self,
        owned: &[(Variable, Option<Value>)],
        is_there: impl Fn(&str) -> bool,
    ) -> Vec<Problem> {
        strangers::strangers(&self.whole, owned, is_there)
    }

    /// Whether a page's values meet the schema, and can be checked within a bounded amount of work.
    pub fn takes(&self, values: &Value) -> bool {
        self.errors(values).is_ok_and(|errors| errors.is_empty())
    }

    /// The rules that a page's values break.
    ///
    /// # Errors
    /// When it would take too much work to tell.
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
    // The linear engine knows no look-around; a schema that needs it gets a bounded backtracking one.
    linear.or_else(|_| {
        let patterns = PatternOptions::fancy_regex().size_limit(PATTERN_BYTES).backtrack_limit(PATTERN_STEPS);
        options.with_pattern_options(patterns).build(schema)
    })
}

/// Compiled schemas, each once however many pages have it.
#[derive(Debug, Default)]
pub struct Schemas {
    known: HashSet<Known>,
    assert_formats: bool,
}

impl Schemas {
    /// None yet; with or without `format` as a rule that values must meet.
    pub fn new(assert_formats: bool) -> Self {
        Self { known: HashSet::new(), assert_formats }
    }

    /// Compiles a page's schema, unless a page has been seen with the same. The page then shares what it was written as, too.
    ///
    /// # Errors
    /// As [`Schema::compile`]; what can't be compiled is not remembered.
    pub fn compile(&mut self, source: &mut Option<Arc<Value>>) -> Result<Arc<Schema>, Problem> {
        let Some(source) = source else { return Ok(Arc::new(Schema::anything())) };
        if let Some(Known(schema)) = self.known.get(&**source) {
            source.clone_from(&schema.source);
            return Ok(schema.clone());
        }
        let schema = Arc::new(Schema::of(source, self.assert_formats)?);
        // Those that no page has any more; looked for ever less often, so that pages without two alike cost no more.
        if self.known.len().is_power_of_two() {
            self.known.retain(|Known(schema)| Arc::strong_count(schema) > 1);
        }
        self.known.insert(Known(schema.clone()));
        Ok(schema)
    }
}

/// A schema that is found by what it is written as.
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

/// Values that may be sent: the page they will make meets its schema.
#[derive(Clone, Debug)]
pub struct Checked {
    page: PageId,
    values: Vec<CheckedValue>,
    missing: Missing,
    observed: Arc<RemotePage>,
    schema: Arc<Schema>,
    /// No rule is broken, not by others' values either.
    is_clean: bool,
}

/// One value that may be sent.
#[derive(Clone, Debug)]
pub struct CheckedValue {
    /// Its place on the page.
    pub variable: Variable,
    /// The value, typed.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
    /// When it may next change by itself.
    pub until: Option<Instant>,
}

impl Checked {
    /// Which page.
    pub fn page(&self) -> &PageId {
        &self.page
    }

    /// The values.
    pub fn values(&self) -> &[CheckedValue] {
        &self.values
    }

    /// The page that they were checked with.
    pub fn observed(&self) -> &RemotePage {
        &self.observed
    }

    /// The page as it will be, and the keys to send for it.
    pub fn merged(&self) -> Map<String, Value> {
        let (mut page, mut places) = (self.observed.variables.clone(), Places::default());
        for checked in &self.values {
            // `check` has written every one of these before.
            let _ = checked.variable.write(&mut page, checked.value.clone(), self.missing, &mut places);
        }
        page
    }

    /// The same without some variables, checked anew: what is left must meet the schema without them.
    ///
    /// # Errors
    /// What breaks the schema then.
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

    /// The problems of broken rules that are for us to solve: those of our values, and those that the page did not break
    /// before. What others put on the page and its schema refuses must not keep a shop open.
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
            // A required key that is missing is nobody's value: the API would refuse the page whatever is sent.
            let is_missing = matches!(error.kind(), ValidationErrorKind::Required { .. })
                && error.instance_path().to_string().is_empty();
            if value.is_some() || is_missing || !known.contains(&identity(error)) {
                problems.push(explain(error, value));
            }
            if problems.len() == MAX_TOLD {
                break;
            }
        }
        problems
    }

    /// What the page's schema says of its values that is no reason to withhold ours: rules that others' values broke
    /// before, and formats.
    pub fn warnings(&self) -> Vec<Problem> {
        if self.is_clean && self.schema.with_formats.is_none() {
            return Vec::new();
        }
        let merged = Value::Object(self.merged());
        let mut places = Places::default();
        let broken = self.schema.errors(&merged).unwrap_or_default();
        let formats = self.schema.with_formats.as_ref();
        let formats = formats.and_then(|checker| checker.errors(&self.schema.whole, &merged, MAX_TOLD).ok());
        let formats = formats.unwrap_or_default();
        let formats =
            formats.iter().filter(|error| matches!(error.kind(), ValidationErrorKind::Format { .. }));
        let all = broken.iter().take(MAX_TOLD).chain(formats);
        all.map(|error| {
            let value = self.broken_value(error, &merged, &mut places);
            explain(error, value).hint("it is sent all the same, and the API decides").warning()
        })
        .collect()
    }

    /// The value of ours that breaks a rule; none when it is another's, or the page as a whole.
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
        // An unknown key is reported at the object that has it; the key itself is the variable.
        let named = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => self.values.iter().find(|checked| {
                unexpected.iter().any(|key| checked.variable.steps().any(|step| step.key() == Some(key)))
            }),
            _ => None,
        };
        named.or_else(|| self.values.iter().find(about))
    }
}

/// What tells a broken rule from another: the rule, and the place on the page.
fn identity(error: &ValidationError) -> (String, String) {
    // A required key that is missing and one that is not allowed are told apart by the message alone.
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
        .hint(format!("the page's schema says so at {rule}")),
        None => {
            let path = error.instance_path().to_string();
            let place = if path.is_empty() { "the page" } else { path.as_str() };
            Problem::new(format!("{place} would break the schema of the page: {said}"))
                .hint(format!("the rule is {rule}; own that variable too, or set it on the page"))
        }
    }
}

/// A validator's message, cut while it is written.
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

/// Types the desired values and validates the page they will make.
///
/// # Errors
/// Every value that breaks the schema, with its cell, its variable and the rule. Nothing of the page is
/// sent then (DESIGN 4.2).
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
        Problem::at(&wanted.origin, format!("{} can't be set: {blocked}", wanted.variable))
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
