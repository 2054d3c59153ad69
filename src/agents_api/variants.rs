//! The wire formats of branches, attributes and variants.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Attribute, RemoteVariant};

use super::wire::{Envelope, read_answer};

/// The name of the branch that is deployed.
const MAIN: &str = "main";

/// Returns the id of the main branch in a list of branches.
///
/// # Errors
/// A message: why it is not found.
pub fn read_main(body: &[u8]) -> Result<String, String> {
    let Branches { branches: Some(listed), .. } = read_answer(body)? else {
        return Err("it lists no branches: branches is missing".to_owned());
    };
    let is_main = |branch: &&Branch| {
        [&branch.branch_id, &branch.id, &branch.name].into_iter().flatten().any(|text| text == MAIN)
    };
    let main = listed.iter().find(is_main).and_then(|main| main.branch_id.as_ref().or(main.id.as_ref()));
    let id = main.ok_or_else(|| format!("it lists no branch {MAIN}"))?;
    match !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        true => Ok(id.clone()),
        false => Err(format!("the id of branch {MAIN} is invalid")),
    }
}

/// Returns the attributes of a branch.
///
/// # Errors
/// A message: why the response is not understood.
pub fn read_attributes(body: &[u8]) -> Result<Vec<Attribute>, String> {
    let Attributes { attributes: Some(listed), .. } = read_answer(body)? else {
        return Err("it lists no attributes: attributes is missing".to_owned());
    };
    check_distinct("attributes", listed.iter().map(|one| (&one.id, &one.name)))?;
    Ok(listed.into_iter().map(|one| Attribute { id: one.id, name: one.name }).collect())
}

/// Returns the variants of a branch.
///
/// # Errors
/// A message: why the response is not understood.
pub fn read_variants(body: &[u8]) -> Result<Vec<RemoteVariant>, String> {
    let Variants { variants: Some(listed), .. } = read_answer(body)? else {
        return Err("it lists no variants: variants is missing".to_owned());
    };
    check_distinct("variants", listed.iter().map(|one| (&one.id, &one.name)))?;
    let variant = |one: Variant| {
        let values = one.attribute_values.and_then(|given| given.values).unwrap_or_default();
        let values = values.into_iter().filter_map(|(id, value)| Some((id, text(value)?)));
        RemoteVariant {
            id: one.id,
            name: one.name,
            is_default: one.is_default.unwrap_or(false),
            values: values.collect(),
        }
    };
    Ok(listed.into_iter().map(variant).collect())
}

/// Returns a value as text; attributes of other kinds may have values of other types.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// Checks that ids and names occur once: values are found by both.
fn check_distinct<'a>(
    what: &str,
    listed: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), String> {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (id, name) in listed {
        if !ids.insert(id) {
            return Err(format!("it lists two {what} with the id {id}"));
        }
        if !names.insert(name) {
            return Err(format!("it lists two {what} with the name \"{name}\""));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Branches {
    branches: Option<Vec<Branch>>,
    success: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Branch {
    id: Option<String>,
    branch_id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Attributes {
    attributes: Option<Vec<Named>>,
    success: Option<bool>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Variants {
    variants: Option<Vec<Variant>>,
    success: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variant {
    id: String,
    name: String,
    is_default: Option<bool>,
    attribute_values: Option<Values>,
}

#[derive(Deserialize)]
struct Values {
    values: Option<BTreeMap<String, Value>>,
}

impl Envelope for Branches {
    fn is_failure(&self) -> bool {
        self.success == Some(false)
    }
}

impl Envelope for Attributes {
    fn is_failure(&self) -> bool {
        self.success == Some(false)
    }
}

impl Envelope for Variants {
    fn is_failure(&self) -> bool {
        self.success == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_is_found_by_any_of_its_names() {
        for (body, expected) in [
            (r#"{"branches": [{"id": "B-1", "name": "x"}, {"branchId": "main"}]}"#, Ok("main")),
            (r#"{"branches": [{"id": "B-7", "name": "main", "active": true}]}"#, Ok("B-7")),
            (r#"{"branches": [{"id": "B-1", "branchId": "main", "name": "Main"}]}"#, Ok("main")),
            (r#"{"branches": [{"id": "B-1", "name": "x"}]}"#, Err("it lists no branch main")),
            (r#"{"branches": [{"id": "../x", "name": "main"}]}"#, Err("the id of branch main is invalid")),
            ("{}", Err("branches is missing")),
            (r#"{"success": false, "error_message": "later"}"#, Err("it reports a failure: later")),
        ] {
            match (read_main(body.as_bytes()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{body}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{body}: {error}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
    }

    #[test]
    fn variants_are_read_with_whatever_is_optional_missing() {
        let body = r#"{"variants": [
            {"id": "V-1", "name": "Leeds", "isDefault": true, "attributeValues": {"values": {"A": "1", "B": null, "C": 2}}},
            {"id": "V-2", "name": "York", "attributeValues": null, "kind": "new"}]}"#;
        let read = read_variants(body.as_bytes()).unwrap();
        let values = [("A", "1"), ("C", "2")].map(|(id, text)| (id.to_owned(), text.to_owned()));
        assert_eq!(read[0].values, BTreeMap::from(values));
        assert!(read[0].is_default && !read[1].is_default && read[1].values.is_empty());
        for (body, part) in [
            (r#"{"variants": [{"id": "V-1"}]}"#, "missing field `name`"),
            (r#"{"variants": [{"id": "V", "name": "a"}, {"id": "V", "name": "b"}]}"#, "with the id V"),
            (r#"{"variants": [{"id": "V", "name": "a"}, {"id": "W", "name": "a"}]}"#, "the name \"a\""),
            (r#"{"variants": null}"#, "variants is missing"),
            ("", "it is empty"),
        ] {
            let read = read_variants(body.as_bytes());
            assert!(read.as_ref().is_err_and(|error| error.contains(part)), "{body}: {read:?}");
        }
    }
}
