//! Mismatches between the settings and the schema of a page.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{Problem, Step, Variable, nearest, position};

use super::cell::follow;

/// Keywords besides `properties` that may allow further keys.
const OPEN: &[&str] = &["allOf", "anyOf", "oneOf", "if", "patternProperties", "dependencies"];

/// Keys that the schema does not know, by the names on the path to them, without item steps.
#[derive(Default)]
struct Unknown {
    unknown_names: BTreeMap<Vec<String>, UnknownName>,
    order: Vec<Vec<String>>,
}

struct UnknownName {
    message: String,
    meant: Option<String>,
    count: usize,
}

/// Returns the mismatches between owned variables and a schema.
///
/// These are variables, and keys of their values, that are unknown to the schema, and top-level
/// keys that it requires but that are neither on the page nor owned. Where the schema allows any
/// key, no key is unknown.
pub(super) fn unknown_names(
    schema: &Value,
    owned: &[(Variable, Option<Value>)],
    is_there: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut found = Unknown::default();
    for (variable, value) in owned {
        let (mut at, mut way) = (Some(schema), Vec::new());
        for step in variable.steps() {
            let key = match &step {
                Step::Key(key) => key,
                Step::Item { .. } => {
                    at = at.and_then(|at| items(at, schema));
                    continue;
                }
            };
            way.push(key.clone());
            match at.map(|at| below(at, schema, key)) {
                Some(Below::Known(next)) => at = Some(next),
                Some(Below::Unknown(known)) => {
                    let message = format!("{variable} is owned but unknown to the page's schema");
                    found.add(&way, message, nearest(key, known));
                    at = None;
                }
                Some(Below::Open) | None => at = None,
            }
        }
        if let (Some(at), Some(value)) = (at, value) {
            inside(at, schema, value, variable, &mut way, &mut found);
        }
    }
    let mut problems = found.problems();
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for key in required.filter_map(Value::as_str) {
        if !is_there(key) && !owned.iter().any(|(variable, _)| variable.key() == key) {
            problems.push(
                Problem::new(format!(
                    "{key} is required by the page's schema, but is neither on the page nor owned"
                ))
                .hint("own it, or set it on the page")
                .warning(),
            );
        }
    }
    problems
}

/// Finds the keys of a value that its part of the schema does not know.
fn inside(
    at: &Value,
    root: &Value,
    value: &Value,
    variable: &Variable,
    way: &mut Vec<String>,
    found: &mut Unknown,
) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                way.push(key.clone());
                match below(at, root, key) {
                    Below::Known(next) => inside(next, root, value, variable, way, found),
                    Below::Unknown(known) => {
                        let message = format!(
                            "{variable} has the key \"{key}\", which is unknown to the page's schema"
                        );
                        found.add(way, message, nearest(key, known));
                    }
                    Below::Open => {}
                }
                way.pop();
            }
        }
        Value::Array(values) => {
            if let Some(next) = items(at, root) {
                values.iter().for_each(|value| inside(next, root, value, variable, way, found));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema's rule for a key.
enum Below<'s> {
    /// The key has this subschema.
    Known(&'s Value),
    /// The schema lists its keys, and this is not one of them.
    Unknown(BTreeSet<&'s str>),
    /// Any key is allowed.
    Open,
}

fn below<'s>(at: &'s Value, root: &'s Value, key: &str) -> Below<'s> {
    let Some(at) = follow(at, root) else { return Below::Open };
    let properties = at.get("properties").and_then(Value::as_object);
    match properties.and_then(|properties| properties.get(key)) {
        Some(next) => Below::Known(next),
        // An item addressed by its position.
        None if position(key).is_some() && at.get("items").is_some() => {
            items(at, root).map_or(Below::Open, Below::Known)
        }
        None => {
            let more = at.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
            match properties {
                Some(known) if !more && !OPEN.iter().any(|keyword| at.get(keyword).is_some()) => {
                    Below::Unknown(known.keys().map(String::as_str).collect())
                }
                _ => Below::Open,
            }
        }
    }
}

/// Returns the subschema that applies to all items of an array.
fn items<'s>(at: &'s Value, root: &'s Value) -> Option<&'s Value> {
    follow(at, root)?.get("items").filter(|items| items.is_object())
}

impl Unknown {
    fn add(&mut self, way: &[String], message: String, meant: Option<&str>) {
        let new = || UnknownName { message, meant: meant.map(str::to_owned), count: 0 };
        let stranger = self.unknown_names.entry(way.to_vec()).or_insert_with(new);
        stranger.count += 1;
        if stranger.count == 1 {
            self.order.push(way.to_vec());
        }
    }

    /// Returns one problem per place in the schema, for any number of items.
    fn problems(&self) -> Vec<Problem> {
        let reported = self.order.iter().filter_map(|way| self.unknown_names.get(way)).map(|stranger| {
            let more = match stranger.count - 1 {
                0 => String::new(),
                more => format!(" (and {more} more like it)"),
            };
            let problem = Problem::new(format!("{}{more}", stranger.message));
            let problem = match &stranger.meant {
                Some(meant) => {
                    problem.hint(format!("did you mean \"{meant}\"? if not, add it to the schema"))
                }
                None => problem.hint("correct the name, or add it to the schema"),
            };
            problem.warning()
        });
        reported.collect()
    }
}
