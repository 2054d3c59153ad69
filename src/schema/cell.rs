//! The type of a cell: text in a file, but a number or boolean on the page if its schema requires
//! one.

use serde_json::{Number, Value};

use crate::model::{Cell, Problem, Variable, position};

/// Maximum parts of a schema that are inspected for the type of one place.
const NODES_READ: usize = 500;
/// Maximum references followed from one place; a schema that needs more has a cycle.
const REFERENCES_FOLLOWED: usize = 32;

/// Returns the cell's text in a type that the schema allows for the variable; text without a
/// schema.
pub fn typed(cell: &Cell, variable: &Variable, schema: &Value) -> Result<Value, Problem> {
    let mut types = Vec::new();
    collect_types(place(schema, variable), schema, &mut types, &mut { NODES_READ });
    let text = &cell.text;
    let found = if types.is_empty() {
        Some(Value::String(text.clone()))
    } else {
        // Where text is allowed too, `0113` and `+44` are not numbers: only a JSON number is.
        let is_text = |name: &str| {
            types.contains(&"string") && ["integer", "number"].contains(&name) && !is_json_number(text)
        };
        let allowed = ORDER.iter().filter(|(name, _)| types.contains(name) && !is_text(name));
        allowed.into_iter().find_map(|(_, read)| read(text))
    };
    found.ok_or_else(|| {
        Problem::at(&cell.origin, format!("{variable}: \"{text}\" is not of type {}", types.join(" or ")))
            .hint(format!("the page's schema requires type {} there", types.join(" or ")))
    })
}

type Read = fn(&str) -> Option<Value>;

/// Types from the most specific to the least: a text that can be a number and may be one is one.
const ORDER: &[(&str, Read)] = &[
    ("null", |text| text.trim().is_empty().then_some(Value::Null)),
    ("boolean", boolean),
    ("integer", |text| text.trim().parse::<i128>().ok().and_then(Number::from_i128).map(Value::Number)),
    ("number", |text| serde_json::from_str::<Number>(text.trim()).ok().map(Value::Number)),
    ("array", |text| serde_json::from_str(text).ok().filter(Value::is_array)),
    ("object", |text| serde_json::from_str(text).ok().filter(Value::is_object)),
    ("string", |text| Some(Value::String(text.to_owned()))),
];

fn is_json_number(text: &str) -> bool {
    serde_json::from_str::<Number>(text).is_ok()
}

fn boolean(text: &str) -> Option<Value> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" => Some(Value::Bool(true)),
        "false" | "no" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// Returns the part of the schema for a variable's place, if there is one.
fn place<'s>(schema: &'s Value, variable: &Variable) -> Option<&'s Value> {
    variable.steps().try_fold(schema, |at, step| {
        let at = follow(at, schema)?;
        let Some(key) = step.key() else { return at.get("items") };
        at.get("properties")
            .and_then(|properties| properties.get(key))
            .or_else(|| at.get("items").filter(|_| position(key).is_some()))
            .or_else(|| at.get("additionalProperties").filter(|value| value.is_object()))
    })
}

/// Follows local `$ref`s to the schema they point to.
pub(super) fn follow<'s>(mut at: &'s Value, root: &'s Value) -> Option<&'s Value> {
    for _ in 0..REFERENCES_FOLLOWED {
        match at.get("$ref").and_then(Value::as_str) {
            Some(reference) => at = root.pointer(reference.strip_prefix('#')?)?,
            None => return Some(at),
        }
    }
    None
}

fn collect_types(at: Option<&Value>, root: &Value, types: &mut Vec<&'static str>, nodes_left: &mut usize) {
    let Some(at) = at.and_then(|at| follow(at, root)).filter(|_| *nodes_left > 0) else {
        return;
    };
    *nodes_left -= 1;
    let mut add = |name: &str| {
        if let Some((known, _)) = ORDER.iter().find(|(known, _)| *known == name)
            && !types.contains(known)
        {
            types.push(known);
        }
    };
    match at.get("type") {
        Some(Value::String(name)) => return add(name),
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).for_each(add),
        _ => {}
    }
    let listed = at.get("enum").and_then(Value::as_array);
    for value in listed.into_iter().flatten().chain(at.get("const")) {
        add(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        });
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for part in at.get(key).and_then(Value::as_array).into_iter().flatten() {
            collect_types(Some(part), root, types, nodes_left);
        }
    }
}
