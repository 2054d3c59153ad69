//! Counts the work that a schema causes before any of it is done. A page's schema is untrusted
//! text, and a dozen small definitions can require more steps than a day has microseconds.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::limits::pages::{
    MAX_EVALUATED, MAX_EXPANDED, MAX_LEVELS, MAX_PATTERNS, MAX_SCHEMA_BYTES, MAX_SCHEMA_VALUES,
};
use crate::model::Problem;

use super::patterns;

const REMEDY: &str = "put a smaller Draft 7 schema on the page, without references that multiply";

/// Keywords whose subschemas apply to the same value.
const IN_PLACE: &[&str] = &["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
/// Keywords with a subschema, or a list of them, for the contents of the value.
const INSIDE: &[&str] = &["additionalProperties", "propertyNames", "items", "additionalItems", "contains"];
/// Keywords with subschemas by name.
const NAMED: &[&str] = &["properties", "patternProperties", "dependencies", "definitions"];

/// Refuses a schema that is too large.
///
/// # Errors
/// The excess, the limit, and the place in the schema if there is one.
pub fn check_size(root: &Value) -> Result<(), Problem> {
    let mut size = Size::default();
    size.add(root);
    if size.nodes > MAX_SCHEMA_VALUES || size.bytes > MAX_SCHEMA_BYTES {
        let message = format!("the page's schema has {} values and {} bytes of text", size.nodes, size.bytes);
        let hint =
            format!("at most {MAX_SCHEMA_VALUES} values and {MAX_SCHEMA_BYTES} bytes are read; {REMEDY}");
        return Err(Problem::new(message).hint(hint));
    }
    Ok(())
}

/// Returns true if `keyword` appears as a key anywhere, as a keyword or as a name.
pub fn has_keyword(schema: &Value, keyword: &str) -> bool {
    match schema {
        Value::Object(object) => {
            object.contains_key(keyword) || object.values().any(|part| has_keyword(part, keyword))
        }
        Value::Array(items) => items.iter().any(|item| has_keyword(item, keyword)),
        _ => false,
    }
}

/// Refuses a schema whose references leave it, form cycles, or multiply.
///
/// # Errors
/// The excess, the limit, and the place in the schema if there is one.
pub fn check(root: &Value) -> Result<(), Problem> {
    let mut survey = Survey::new(root);
    survey.visit(root)?;
    if survey.patterns.len() > MAX_PATTERNS {
        let message = format!("the page's schema has {} different patterns", survey.patterns.len());
        return Err(Problem::new(message).hint(format!("at most {MAX_PATTERNS} are read")));
    }
    if survey.levels > MAX_LEVELS {
        let message = format!("references in the page's schema lead through {} levels", survey.levels);
        return Err(Problem::new(message).hint(format!("at most {MAX_LEVELS} are followed; {REMEDY}")));
    }
    let mut expansion = Expansion { root, known: HashMap::new(), open: HashSet::new() };
    for schema in survey.seen {
        if expansion.of(schema)? > MAX_EXPANDED {
            let message = "references in the page's schema multiply: one value would have to meet more than \
                           100000 subschemas";
            return Err(Problem::new(message).hint(REMEDY));
        }
    }
    Ok(())
}

/// Returns the maximum number of steps to check a page against a schema; `None` above
/// [`MAX_EVALUATED`].
///
/// The schema must have passed [`check`].
pub fn steps(root: &Value, page: &Value) -> Option<u64> {
    let mut count = Count { root, known: HashMap::new(), counted: 0 };
    count.of(root, page, 0).filter(|steps| *steps <= MAX_EVALUATED)
}

#[derive(Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, value: &Value) {
        self.nodes += 1;
        match value {
            Value::String(text) => self.bytes += text.len(),
            Value::Number(number) => self.bytes += number.as_str().len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                self.bytes += key.len();
                self.add(value);
            }),
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// Returns the direct subschemas under the given keywords.
fn parts<'s>(schema: &'s Map<String, Value>, keywords: &[&str]) -> Vec<&'s Value> {
    let values = keywords.iter().filter_map(|keyword| schema.get(*keyword));
    values
        .flat_map(|value| match value {
            Value::Array(items) => items.iter().collect(),
            other => vec![other],
        })
        .collect()
}

fn named<'s>(schema: &'s Map<String, Value>, keyword: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
    schema.get(keyword).and_then(Value::as_object).into_iter().flatten()
}

fn reference(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

/// Returns the subschema that a reference within the schema points to.
fn target<'s>(root: &'s Value, reference: &str) -> Result<&'s Value, Problem> {
    let own = root.get("$id").and_then(Value::as_str).unwrap_or_default().trim_end_matches('#');
    let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let found = (base.is_empty() || base == own).then(|| root.pointer(&percent_decoded(fragment)?)).flatten();
    found.ok_or_else(|| {
        Problem::new(format!(
            "the page's schema cannot be used: it refers to \"{}\", which is not in it",
            cut(reference)
        ))
        .hint("write references as #/definitions/NAME; no other document is read")
    })
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Decodes a URI fragment to a JSON Pointer (RFC 6901, 6).
fn percent_decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The parts reachable in a schema, each once.
struct Survey<'s> {
    root: &'s Value,
    seen: Vec<&'s Value>,
    known: HashSet<*const Value>,
    patterns: BTreeSet<&'s str>,
    levels: usize,
}

impl<'s> Survey<'s> {
    fn new(root: &'s Value) -> Self {
        Self { root, seen: Vec::new(), known: HashSet::new(), patterns: BTreeSet::new(), levels: 0 }
    }

    /// Visits a subschema and everything below it. Reference targets wait in a list, so that
    /// recursion is never deeper than the nesting of the schema's text.
    fn visit(&mut self, schema: &'s Value) -> Result<(), Problem> {
        let mut targets = Vec::new();
        self.levels += self.tree(schema, &mut targets)?;
        while let Some(reference) = targets.pop() {
            let target = target(self.root, reference)?;
            // A target inside a visited part is compiled again from there, so its levels count
            // again.
            let is_new = self.known.insert(std::ptr::from_ref(target));
            if is_new {
                self.levels += self.tree(target, &mut targets)?;
            }
        }
        Ok(())
    }

    /// Returns the nesting depth of the text here.
    fn tree(&mut self, schema: &'s Value, targets: &mut Vec<&'s str>) -> Result<usize, Problem> {
        let Value::Object(object) = schema else {
            return Ok(1);
        };
        self.seen.push(schema);
        if let Some(reference) = reference(object) {
            targets.push(reference);
        }
        self.patterns.extend(object.get("pattern").and_then(Value::as_str));
        self.patterns.extend(named(object, "patternProperties").map(|(pattern, _)| pattern.as_str()));
        let mut below = parts(object, IN_PLACE);
        below.extend(parts(object, INSIDE));
        below.extend(NAMED.iter().flat_map(|keyword| named(object, keyword)).map(|(_, value)| value));
        let mut deepest = 0;
        for part in below {
            deepest = self.tree(part, targets)?.max(deepest);
        }
        Ok(deepest + 1)
    }
}

/// Counts the subschemas that apply to one value, following each reference every time it occurs.
struct Expansion<'s> {
    root: &'s Value,
    known: HashMap<*const Value, u64>,
    open: HashSet<*const Value>,
}

impl<'s> Expansion<'s> {
    fn of(&mut self, schema: &'s Value) -> Result<u64, Problem> {
        let Value::Object(object) = schema else {
            return Ok(1);
        };
        let place = std::ptr::from_ref(schema);
        if let Some(known) = self.known.get(&place) {
            return Ok(*known);
        }
        if !self.open.insert(place) {
            let message = "references in the page's schema form a cycle without going into the value";
            return Err(Problem::new(message).hint("put the reference below properties or items"));
        }
        let mut sum = 1_u64;
        for part in same_value(self.root, object)? {
            sum = sum.saturating_add(self.of(part)?);
        }
        self.open.remove(&place);
        self.known.insert(place, sum);
        Ok(sum)
    }
}

/// Returns the subschemas that apply to the same value. Draft 7 ignores everything beside `$ref`
/// (8.3).
fn same_value<'s>(root: &'s Value, schema: &'s Map<String, Value>) -> Result<Vec<&'s Value>, Problem> {
    if let Some(reference) = reference(schema) {
        return Ok(vec![target(root, reference)?]);
    }
    let mut parts = parts(schema, IN_PLACE);
    parts.extend(named(schema, "dependencies").map(|(_, value)| value).filter(|value| !value.is_array()));
    Ok(parts)
}

/// Counts the maximum steps of a validator. The count behind a reference is cached per value, so
/// that counting is fast where validating is not.
struct Count<'s> {
    root: &'s Value,
    known: HashMap<(*const Value, *const Value), u64>,
    counted: u64,
}

impl<'s> Count<'s> {
    /// Returns `None` when the count exceeds the limit.
    fn of(&mut self, schema: &'s Value, value: &Value, depth: usize) -> Option<u64> {
        let Value::Object(object) = schema else {
            return Some(1);
        };
        self.counted += 1;
        if self.counted > MAX_EVALUATED || depth > MAX_LEVELS {
            return None;
        }
        if let Some(reference) = reference(object) {
            let target = target(self.root, reference).ok()?;
            let key = (std::ptr::from_ref(target), std::ptr::from_ref(value));
            if let Some(known) = self.known.get(&key) {
                return Some(*known);
            }
            let steps = self.of(target, value, depth + 1)?.saturating_add(1);
            self.known.insert(key, steps);
            return Some(steps);
        }
        let listed = object.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
        let mut steps = 1 + u64::try_from(listed).unwrap_or(u64::MAX);
        for part in same_value(self.root, object).ok()? {
            steps = steps.saturating_add(self.of(part, value, depth + 1)?);
        }
        if let (Value::String(text), Some(pattern)) = (value, object.get("pattern").and_then(Value::as_str)) {
            steps = steps.saturating_add(patterns::steps(pattern, text));
        }
        let inside = match value {
            Value::Object(members) => self.members(object, members, depth + 1)?,
            Value::Array(items) => self.items(object, items, depth + 1)?,
            _ => 0,
        };
        Some(steps.saturating_add(inside))
    }

    fn members(
        &mut self,
        schema: &'s Map<String, Value>,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Option<u64> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let of_keys = schema.get("propertyNames");
        let others = schema.get("additionalProperties");
        let key_pattern = of_keys.and_then(|part| part.get("pattern")).and_then(Value::as_str);
        let by_name: Vec<&str> =
            named(schema, "patternProperties").map(|(pattern, _)| pattern.as_str()).collect();
        let mut steps = 0_u64;
        for (key, value) in members {
            for pattern in by_name.iter().copied().chain(key_pattern) {
                steps = steps.saturating_add(patterns::steps(pattern, key));
            }
            let own = properties.and_then(|properties| properties.get(key));
            let by_pattern = named(schema, "patternProperties").map(|(_, part)| part);
            for part in own.into_iter().chain(others.filter(|_| own.is_none())).chain(by_pattern) {
                steps = steps.saturating_add(self.of(part, value, depth)?);
            }
            if let Some(part) = of_keys {
                // A key is a string, which has no contents.
                steps = steps.saturating_add(self.of(part, &Value::Null, depth)?);
            }
            self.counted += 1;
        }
        Some(steps)
    }

    fn items(&mut self, schema: &'s Map<String, Value>, items: &[Value], depth: usize) -> Option<u64> {
        let positions = match schema.get("items") {
            Some(Value::Array(parts)) => parts.as_slice(),
            _ => &[],
        };
        let every = schema.get("items").filter(|part| !part.is_array());
        let mut steps = 0_u64;
        for (index, value) in items.iter().enumerate() {
            let own = every.or(positions.get(index)).or(schema.get("additionalItems"));
            for part in own.into_iter().chain(schema.get("contains")) {
                steps = steps.saturating_add(self.of(part, value, depth)?);
            }
            self.counted += 1;
        }
        Some(steps)
    }
}
