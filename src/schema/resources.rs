//! Schemas inside a schema, by their `$id` (Draft 7, core 8.2). References are rewritten as places
//! in the whole, so that counting, compiling and typing need no other base.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

/// Keywords whose values are data, not schemas.
const DATA: &[&str] = &["enum", "const", "default", "examples"];

/// Returns the schema without inner ids; its references become JSON Pointers into the whole.
///
/// A schema that has no inner ids is returned unchanged. A reference without a target is kept.
pub fn in_one(root: &Value) -> Cow<'_, Value> {
    if !has_inner_id(root, true) {
        return Cow::Borrowed(root);
    }
    let mut places = Places::default();
    let base = id_of(root).map_or_else(String::new, |id| document(id).to_owned());
    places.by_id.insert(base.clone(), String::new());
    places.gather(root, &base, String::new());
    let mut whole = root.clone();
    rewrite(&mut whole, &base, true, &places, root);
    Cow::Owned(whole)
}

/// The places of schemas with an id, and of names within them, in the whole.
#[derive(Default)]
struct Places {
    by_id: HashMap<String, String>,
    /// The places of `$id: "#name"`, by document and name.
    by_name: HashMap<(String, String), String>,
}

impl Places {
    fn gather(&mut self, schema: &Value, base: &str, place: String) {
        walk(schema, |key, part| {
            let place = format!("{place}/{}", escaped(key));
            let base = match id_of(part) {
                Some(id) => {
                    let whole = join(base, id);
                    let document = document(&whole).to_owned();
                    match whole[document.len()..].strip_prefix('#').filter(|name| !name.is_empty()) {
                        Some(name) => {
                            drop(self.by_name.insert((document.clone(), name.to_owned()), place.clone()))
                        }
                        None => drop(self.by_id.insert(document.clone(), place.clone())),
                    }
                    document
                }
                None => base.to_owned(),
            };
            self.gather(part, &base, place);
        });
    }

    /// Returns the place of a reference's target as a fragment; `None` without a target.
    fn target(&self, base: &str, reference: &str, root: &Value) -> Option<String> {
        let whole = join(base, reference);
        let document = document(&whole);
        let fragment = whole[document.len()..].trim_start_matches('#');
        let place = match fragment.is_empty() || fragment.starts_with('/') {
            true => format!("{}{fragment}", self.by_id.get(document)?),
            false => self.by_name.get(&(document.to_owned(), fragment.to_owned()))?.clone(),
        };
        root.pointer(&place).map(|_| format!("#{place}"))
    }
}

fn rewrite(schema: &mut Value, base: &str, is_root: bool, places: &Places, root: &Value) {
    let base = match id_of(schema) {
        Some(id) if !is_root => document(&join(base, id)).to_owned(),
        _ => base.to_owned(),
    };
    if let Value::Object(object) = schema {
        if !is_root && object.get("$id").is_some_and(Value::is_string) {
            object.shift_remove("$id");
        }
        if let Some(Value::String(reference)) = object.get_mut("$ref")
            && let Some(target) = places.target(&base, reference, root)
        {
            *reference = target;
        }
    }
    walk_mut(schema, |part| rewrite(part, &base, false, places, root));
}

fn has_inner_id(schema: &Value, is_root: bool) -> bool {
    let mut found = !is_root && id_of(schema).is_some();
    walk(schema, |_, part| found = found || has_inner_id(part, false));
    found
}

/// Returns the id of a schema. A property named `$id` has a schema there instead of text.
fn id_of(schema: &Value) -> Option<&str> {
    schema.get("$id").and_then(Value::as_str)
}

fn walk<'s>(schema: &'s Value, mut visit: impl FnMut(&str, &'s Value)) {
    match schema {
        Value::Object(object) => schemas(object).for_each(|(key, part)| visit(key, part)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| visit(&index.to_string(), item));
        }
        _ => {}
    }
}

fn schemas(object: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    object.iter().filter(|(key, _)| !DATA.contains(&key.as_str())).map(|(key, part)| (key.as_str(), part))
}

fn walk_mut(schema: &mut Value, mut visit: impl FnMut(&mut Value)) {
    match schema {
        Value::Object(object) => {
            object
                .iter_mut()
                .filter(|(key, _)| !DATA.contains(&key.as_str()))
                .for_each(|(_, part)| visit(part));
        }
        Value::Array(items) => items.iter_mut().for_each(visit),
        _ => {}
    }
}

/// Returns a URI without its fragment.
fn document(uri: &str) -> &str {
    uri.split('#').next().unwrap_or_default()
}

/// Resolves a reference against a base (RFC 3986, 5.2), as far as schema ids need it.
fn join(base: &str, reference: &str) -> String {
    let is_absolute = |uri: &str| {
        uri.split_once(':').is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
        })
    };
    if is_absolute(reference) {
        return reference.to_owned();
    }
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let authority = base
        .find("://")
        .map_or(0, |scheme| base[scheme + 3..].find('/').map_or(base.len(), |slash| scheme + 3 + slash));
    match reference.starts_with('/') {
        true => format!("{}{reference}", &base[..authority]),
        false => {
            let folder =
                base.rfind('/').filter(|slash| *slash >= authority).map_or(authority, |slash| slash + 1);
            format!("{}{reference}", &base[..folder])
        }
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_resolve_against_the_whole_document_whatever_ids_enclose_them() {
        for (schema, references) in [
            // The form that generators write: an id at each property.
            (
                json!({"properties": {"a": {"$id": "#/properties/a", "$ref": "#/definitions/s"}}, "definitions": {"s": {}}}),
                vec!["#/definitions/s"],
            ),
            // A name.
            (
                json!({"definitions": {"s": {"$id": "#site", "type": "object"}}, "items": {"$ref": "#site"}}),
                vec!["#/definitions/s"],
            ),
            // An embedded schema: its references are relative to it, and other schemas refer to it by its id.
            (
                json!({
                    "$id": "http://x.example/page.json",
                    "properties": {"a": {"$ref": "site.json"}, "b": {"$ref": "http://x.example/site.json#/definitions/n"}},
                    "definitions": {"s/s": {"$id": "site.json", "definitions": {"n": {}}, "items": {"$ref": "#/definitions/n"}}},
                }),
                vec![
                    "#/definitions/s~1s",
                    "#/definitions/s~1s/definitions/n",
                    "#/definitions/s~1s/definitions/n",
                ],
            ),
            // A reference to another document stays unchanged.
            (
                json!({"properties": {"a": {"$id": "a.json", "$ref": "http://y.example/"}}}),
                vec!["http://y.example/"],
            ),
            // Data is not a schema.
            (json!({"properties": {"a": {"const": {"$id": "x", "$ref": "#/y"}, "$id": "b"}}}), vec!["#/y"]),
        ] {
            let whole = in_one(&schema).into_owned();
            fn all(value: &Value, found: &mut Vec<String>) {
                match value {
                    Value::Object(object) => object.iter().for_each(|(key, part)| match part {
                        Value::String(text) if key == "$ref" => found.push(text.clone()),
                        part => all(part, found),
                    }),
                    Value::Array(items) => items.iter().for_each(|item| all(item, found)),
                    _ => {}
                }
            }
            let mut found = Vec::new();
            all(&whole, &mut found);
            assert_eq!(found, references, "{schema}");
        }
        let plain = json!({"$id": "http://x.example/", "properties": {"$id": {"type": "string"}}});
        assert!(matches!(in_one(&plain), Cow::Borrowed(_)));
    }
}
