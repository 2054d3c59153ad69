//! The differences between two schemas, rule by rule, for people who decide if one may replace the
//! other. Only the text is compared; two different texts with the same meaning still differ.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::same_value;

/// One place where two schemas differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The place in the schema, as a JSON Pointer (RFC 6901).
    pub at: String,
    /// The kind of change: `property added`, `limit changed`, `now required`.
    pub change: String,
    /// The first schema's value there.
    pub from: Option<Value>,
    /// The second schema's value there.
    pub to: Option<Value>,
}

/// Keywords with subschemas by name, and the noun for such a name.
const NAMED: &[(&str, &str)] = &[
    ("properties", "property"),
    ("patternProperties", "pattern"),
    ("definitions", "definition"),
    ("dependencies", "dependency"),
];
/// Keywords with a subschema, or a list of them.
const SUBSCHEMAS: &[&str] = &[
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "additionalProperties",
    "propertyNames",
    "items",
    "additionalItems",
    "contains",
];
/// Keywords that limit size, number or form.
const LIMITS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "const",
];
/// Annotations for people; they reject no value.
const NOTES: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
];

/// Maximum differences reported; with more, the two are different schemas altogether.
pub const MAX_REPORTED: usize = 10_000;
/// Maximum bytes of a reported place: below a long key every place is at least as long.
const MAX_PLACE: usize = 1_000;

/// Returns the differences between two schemas, in the order of the first; at most `MAX_REPORTED`.
///
/// The order of keys, of `required` and of `enum`, and the notation of numbers, make no difference.
pub fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut comparison = Comparison { at: String::new(), found: Vec::new() };
    comparison.subschema(from, to);
    comparison.found
}

struct Comparison {
    at: String,
    found: Vec<Difference>,
}

type Side<'v> = Option<&'v Value>;

impl Comparison {
    /// Runs `compare` one step further down.
    fn below(&mut self, step: &str, compare: impl FnOnce(&mut Self)) {
        let length = self.at.len();
        self.at.push('/');
        self.at.push_str(&step.replace('~', "~0").replace('/', "~1"));
        compare(self);
        self.at.truncate(length);
    }

    fn note(&mut self, change: impl Into<String>, from: Side, to: Side) {
        if self.found.len() == MAX_REPORTED {
            return;
        }
        let cut = self.at.floor_char_boundary(MAX_PLACE);
        let at = if cut < self.at.len() { format!("{}…", &self.at[..cut]) } else { self.at.clone() };
        self.found.push(Difference { at, change: change.into(), from: from.cloned(), to: to.cloned() });
    }

    fn subschema(&mut self, from: &Value, to: &Value) {
        let (Value::Object(from), Value::Object(to)) = (from, to) else {
            return self.whole("rule", Some(from), Some(to));
        };
        for keyword in both_keys(from, to) {
            self.below(keyword, |inner| inner.keyword(keyword, from.get(keyword), to.get(keyword)));
        }
    }

    fn keyword(&mut self, keyword: &str, from: Side, to: Side) {
        let none = Map::new();
        if let Some((_, noun)) = NAMED.iter().find(|(known, _)| *known == keyword)
            && let (Some(from), Some(to)) = (members(from, &none), members(to, &none))
        {
            return self.named(noun, from, to);
        }
        match (keyword, from, to) {
            ("required", ..) => self.set(("now required", "no longer required"), "rule", from, to),
            ("enum", ..) => self.set(("value allowed", "value no longer allowed"), "rule", from, to),
            ("type", ..) => self.types(from, to),
            (_, Some(Value::Array(from)), Some(Value::Array(to))) if SUBSCHEMAS.contains(&keyword) => {
                self.list(from, to);
            }
            (_, Some(from), Some(to)) if SUBSCHEMAS.contains(&keyword) => self.subschema(from, to),
            _ if LIMITS.contains(&keyword) => self.whole("limit", from, to),
            _ if NOTES.contains(&keyword) => self.whole("note", from, to),
            _ => self.whole("rule", from, to),
        }
    }

    /// Compares two values as a whole.
    fn whole(&mut self, noun: &str, from: Side, to: Side) {
        let word = match (from, to) {
            (None, Some(_)) => "added",
            (Some(_), None) => "removed",
            (Some(from), Some(to)) if !same_value(from, to) => "changed",
            _ => return,
        };
        self.note(format!("{noun} {word}"), from, to);
    }

    fn named(&mut self, noun: &str, from: &Map<String, Value>, to: &Map<String, Value>) {
        for name in both_keys(from, to) {
            self.below(name, |inner| match (from.get(name), to.get(name)) {
                (Some(from), Some(to)) => inner.subschema(from, to),
                (from, to) => inner.whole(noun, from, to),
            });
        }
    }

    fn list(&mut self, from: &[Value], to: &[Value]) {
        for index in 0..from.len().max(to.len()) {
            self.below(&index.to_string(), |inner| match (from.get(index), to.get(index)) {
                (Some(from), Some(to)) => inner.subschema(from, to),
                (from, to) => inner.whole("rule", from, to),
            });
        }
    }

    /// Compares lists as sets. A missing list differs from an empty one, except for `required`.
    fn set(&mut self, (added, removed): (&str, &str), noun: &str, from: Side, to: Side) {
        let may_be_missing = self.at.ends_with("/required");
        let (Some(old), Some(new)) = (items(from, may_be_missing), items(to, may_be_missing)) else {
            return self.whole(noun, from, to);
        };
        for (key, value) in &old {
            if !new.contains_key(key) {
                self.note(removed, Some(value), None);
            }
        }
        for (key, value) in &new {
            if !old.contains_key(key) {
                self.note(added, None, Some(value));
            }
        }
    }

    /// Compares types; `"string"` and `["string"]` are the same.
    fn types(&mut self, from: Side, to: Side) {
        let types = |side: Side| match side {
            Some(Value::Array(names)) => Some(by_meaning(names).into_keys().collect::<Vec<_>>()),
            Some(name) => Some(vec![meaning(name)]),
            None => None,
        };
        if types(from) != types(to) {
            self.note("type changed", from, to);
        }
    }
}

/// Returns the members of an object; `none` for a missing object.
fn members<'v>(side: Side<'v>, none: &'v Map<String, Value>) -> Option<&'v Map<String, Value>> {
    match side {
        None => Some(none),
        Some(Value::Object(members)) => Some(members),
        Some(_) => None,
    }
}

/// Returns the items of a list, keyed by meaning.
fn items(side: Side<'_>, may_be_missing: bool) -> Option<BTreeMap<String, &Value>> {
    match side {
        Some(Value::Array(items)) => Some(by_meaning(items)),
        None if may_be_missing => Some(BTreeMap::new()),
        _ => None,
    }
}

/// Returns the first object's keys in order, then the keys only the second has.
fn both_keys<'v>(
    from: &'v Map<String, Value>,
    to: &'v Map<String, Value>,
) -> impl Iterator<Item = &'v String> {
    from.keys().chain(to.keys().filter(|key| !from.contains_key(*key)))
}

fn by_meaning(items: &[Value]) -> BTreeMap<String, &Value> {
    items.iter().map(|item| (meaning(item), item)).collect()
}

/// Returns the same text for equivalent values: `1` and `1.0`, objects in any key order.
fn meaning(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_i128() {
            Some(whole) => whole.to_string(),
            None => number.as_f64().map_or_else(|| number.to_string(), |float| format!("{float}")),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(meaning).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let sorted: BTreeMap<&String, String> =
                members.iter().map(|(key, value)| (key, meaning(value))).collect();
            let members = sorted.iter().map(|(key, value)| format!("{key:?}:{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `place change from to`, one per line.
    #[track_caller]
    fn check(from: &str, to: &str, expected: &[&str]) {
        let read = |text: &str| serde_json::from_str(text).unwrap();
        let side = |side: &Option<Value>| side.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
        let found = differences(&read(from), &read(to));
        let reported: Vec<String> = found
            .iter()
            .map(|found| format!("{} {}: {} {}", found.at, found.change, side(&found.from), side(&found.to)))
            .collect();
        assert_eq!(reported, expected, "{from} -> {to}");
    }

    #[test]
    fn differences_are_reported_rule_by_rule() {
        let in_property = |rule: &str| format!(r#"{{"properties": {{"a/b": {rule}}}}}"#);
        let of_property = |from: &str, to: &str, expected: &[&str]| {
            check(&in_property(from), &in_property(to), expected);
        };
        check("{}", r#"{"properties": {"a": true}}"#, &["/properties/a property added: - true"]);
        check(
            r#"{"properties": {"a": {}, "b": {}}}"#,
            r#"{"properties": {"b": {}}}"#,
            &["/properties/a property removed: {} -"],
        );
        check(
            r#"{"required": ["a", "b"]}"#,
            r#"{"required": ["c", "b"]}"#,
            &["/required no longer required: \"a\" -", "/required now required: - \"c\""],
        );
        check("{}", r#"{"required": ["a"]}"#, &["/required now required: - \"a\""]);
        of_property(
            r#"{"type": "string"}"#,
            r#"{"type": ["string", "null"]}"#,
            &["/properties/a~1b/type type changed: \"string\" [\"string\",\"null\"]"],
        );
        of_property(
            r#"{"maxLength": 80}"#,
            r#"{"maxLength": 120}"#,
            &["/properties/a~1b/maxLength limit changed: 80 120"],
        );
        of_property(r#"{"pattern": "a"}"#, "{}", &["/properties/a~1b/pattern limit removed: \"a\" -"]);
        of_property(
            r#"{"enum": [1, 2]}"#,
            r#"{"enum": [2, 3]}"#,
            &[
                "/properties/a~1b/enum value no longer allowed: 1 -",
                "/properties/a~1b/enum value allowed: - 3",
            ],
        );
        of_property("{}", r#"{"enum": []}"#, &["/properties/a~1b/enum rule added: - []"]);
        of_property(
            r#"{"items": {"type": "string"}}"#,
            r#"{"items": {"type": "number"}}"#,
            &["/properties/a~1b/items/type type changed: \"string\" \"number\""],
        );
    }

    #[test]
    fn changes_in_subschemas_annotations_and_invalid_keywords_are_reported() {
        check(
            r#"{"allOf": [{"minimum": 1}]}"#,
            r#"{"allOf": [{"minimum": 2}, {}]}"#,
            &["/allOf/0/minimum limit changed: 1 2", "/allOf/1 rule added: - {}"],
        );
        check(
            r#"{"additionalProperties": false}"#,
            r#"{"additionalProperties": {"type": "string"}}"#,
            &["/additionalProperties rule changed: false {\"type\":\"string\"}"],
        );
        check(
            r#"{"title": "a"}"#,
            r#"{"title": "b", "x-own": 1}"#,
            &["/title note changed: \"a\" \"b\"", "/x-own rule added: - 1"],
        );
        // A property may have the name of a keyword.
        check(
            r#"{"properties": {"required": {"type": "string"}}}"#,
            r#"{"properties": {"required": {"type": "null"}}}"#,
            &["/properties/required/type type changed: \"string\" \"null\""],
        );
        // A value that is not a schema is compared as a whole.
        check(
            r#"{"properties": 1, "required": 2}"#,
            r#"{"properties": {}, "required": []}"#,
            &["/properties rule changed: 1 {}", "/required rule changed: 2 []"],
        );
    }

    #[test]
    fn hostile_schemas_cost_little_to_compare() {
        let many: Map<String, Value> =
            (0..50_000).map(|number| (number.to_string(), Value::Bool(true))).collect();
        let deep = serde_json::json!({"properties": {"k".repeat(1 << 20): {"properties": many}}});
        let empty = serde_json::json!({"properties": {"k".repeat(1 << 20): {}}});
        let found = differences(&empty, &deep);
        assert_eq!(found.len(), MAX_REPORTED);
        assert!(found.iter().all(|found| found.at.len() < MAX_PLACE + 10));
    }

    #[test]
    fn equivalent_schemas_have_no_differences() {
        for (from, to) in [
            ("{}", "{}"),
            (r#"{"type": "string"}"#, r#"{"type": ["string"]}"#),
            (r#"{"type": ["null", "string"]}"#, r#"{"type": ["string", "null"]}"#),
            (r#"{"required": ["a", "b"]}"#, r#"{"required": ["b", "a"]}"#),
            (r#"{"required": []}"#, "{}"),
            ("{}", r#"{"properties": {}}"#),
            (r#"{"minimum": 1, "maximum": 2}"#, r#"{"maximum": 2.0, "minimum": 1}"#),
            (r#"{"enum": [1, {"a": 1, "b": 2}]}"#, r#"{"enum": [{"b": 2, "a": 1.0}, 1.0]}"#),
        ] {
            check(from, to, &[]);
        }
    }
}
