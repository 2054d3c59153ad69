//! The gate: types desired values and validates them together with the page they will be merged
//! into. Only this module creates a `Checked`, and nothing else is ever sent.

mod cell;
mod checked;
mod checking;
mod diff;
mod message;
mod patterns;
mod resources;
mod schemas;
mod series;
mod unknown_names;
mod work;

use std::borrow::Cow;
use std::sync::Arc;

use checking::Checker;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use message::{brief, rule};
use serde_json::{Map, Value};

use crate::limits::pages::{MAX_BROKEN_RULES, MAX_PATTERN_BYTES, MAX_PATTERN_STEPS};
use crate::model::{Problem, Step, Variable, shorten};
use crate::pages::UntypedValue;

pub use checked::check;
pub(crate) use checked::{Checked, CheckedValue};
pub(crate) use diff::Difference;
pub use diff::differences;
pub(crate) use schemas::Schemas;
pub(crate) use series::Series;

/// Maximum broken rules of a page that are compared with the rules it broke before.
const RULES_COMPARED: usize = 1_000;
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
        let page = Arc::new(Value::Object(page.clone()));
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
            Ok(errors) => errors.iter().take(MAX_BROKEN_RULES).map(broken).collect(),
            Err(problem) => vec![problem],
        }
    }

    /// Returns a variable's value in the type the schema requires; JSON values stay unchanged.
    ///
    /// # Errors
    /// A cell whose text matches none of the types that the schema allows there.
    pub fn typed(&self, variable: &Variable, desired: &UntypedValue) -> Result<Value, Problem> {
        match desired {
            UntypedValue::Json(value) => Ok(value.clone()),
            UntypedValue::Cell(cell) => cell::typed(cell, variable, &self.whole),
            UntypedValue::Object(entries) => {
                let typed = |(key, desired): &(String, UntypedValue)| {
                    Ok((key.clone(), self.typed(&variable.part(Step::Key(key.clone())), desired)?))
                };
                entries.iter().map(typed).collect::<Result<_, _>>().map(Value::Object)
            }
            UntypedValue::List(items) => {
                let typed = |(index, desired): (usize, &UntypedValue)| {
                    self.typed(&variable.part(Step::Key(index.to_string())), desired)
                };
                items.iter().enumerate().map(typed).collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    /// Returns the mismatches between settings and schema.
    ///
    /// - Variables, and keys of their current values, that are unknown to the schema.
    /// - Top-level keys that the schema requires, but that are neither on the page nor owned.
    pub fn unknown_names(
        &self,
        owned: &[(Variable, Option<Value>)],
        is_there: impl Fn(&str) -> bool,
    ) -> Vec<Problem> {
        unknown_names::unknown_names(&self.whole, owned, is_there)
    }

    /// Returns true if a page's values meet the schema and can be checked within bounded work.
    pub fn takes(&self, values: &Value) -> bool {
        self.errors(&Arc::new(values.clone())).is_ok_and(|errors| errors.is_empty())
    }

    /// Returns the rules that a page's values break.
    ///
    /// # Errors
    /// Returns an error when the check would take too much work.
    fn errors<'i>(&'i self, instance: &'i Arc<Value>) -> Result<Vec<ValidationError<'i>>, Problem> {
        match &self.validator {
            Some(checker) => checker.errors(&self.whole, instance, RULES_COMPARED),
            None => Ok(Vec::new()),
        }
    }
}

fn validator(schema: &Value, assert_formats: bool) -> Result<Validator, ValidationError<'static>> {
    let options =
        jsonschema::options().with_draft(Draft::Draft7).offline().should_validate_formats(assert_formats);
    let linear = options
        .clone()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .build(schema);
    // The linear engine does not support look-around; a schema that needs it gets a bounded
    // backtracking engine.
    linear.or_else(|_| {
        let patterns =
            PatternOptions::fancy_regex().size_limit(MAX_PATTERN_BYTES).backtrack_limit(MAX_PATTERN_STEPS);
        options.with_pattern_options(patterns).build(schema)
    })
}

#[cfg(test)]
mod tests;
