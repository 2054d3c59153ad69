//! JSON text to a tree of values with their places.
//!
//! serde_json parses the text; errors that it tolerates are rejected here.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::files::{MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_JSON_WEIGHT, MAX_NUMBER};
use crate::model::{Origin, Problem, SourceText};
use crate::written::{Entry, Node, Raw};

use super::format::{Layout, SourceFormat};
use super::{JsonSize, Table};

/// JSON (RFC 8259).
pub(super) struct Json;

impl SourceFormat for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn has_rows(&self) -> bool {
        false
    }

    fn shows_its_end(&self) -> bool {
        true
    }

    fn parse(&self, file: &Arc<str>, text: &str, _layout: &Layout) -> Result<Table, Problem> {
        parse(file, text).map(Table::Tree)
    }
}

/// Parses one JSON document.
///
/// Numbers keep their text. An object with a duplicate key is rejected.
///
/// # Errors
/// Fails on the first error, with its line and column.
pub fn parse(file: &Arc<str>, text: &str) -> Result<Node, Problem> {
    let size = JsonSize::of(text.as_bytes());
    let too_much = match () {
        () if size.values > MAX_JSON_VALUES => format!("it holds {} values", size.values),
        () if size.weight > MAX_JSON_WEIGHT => {
            format!("it is nested {} levels deep for its size", size.depth)
        }
        () => String::new(),
    };
    if !too_much.is_empty() {
        return Err(Problem::at(&Origin::line(file, 1), format!("the document is too large: {too_much}"))
            .hint(format!(
                "at most {MAX_JSON_VALUES} values are read; nest less, split it, or write it as CSV"
            )));
    }
    let document = Document::new(file, text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| document.syntax_problem(&error))?;
    document.node(raw, 0)
}

/// A hint with the most common mistakes in hand-written JSON.
const REMEDY: &str = "fix it there: keys and text in double quotes, a comma between values and none \
                      after the last, no comments";

struct Document<'t> {
    file: &'t Arc<str>,
    text: &'t str,
    places: SourceText<'t>,
}

impl<'t> Document<'t> {
    fn new(file: &'t Arc<str>, text: &'t str) -> Self {
        Self { file, text, places: SourceText::new(file, text) }
    }

    fn syntax_problem(&self, error: &serde_json::Error) -> Problem {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let origin = Origin { column: error.column(), ..Origin::line(self.file, error.line()) };
        Problem::at(&origin, format!("this is not JSON: {message}")).hint(REMEDY)
    }

    /// The raw text is a slice of the document, so its address gives its offset.
    fn origin(&self, raw: &str) -> Origin {
        let offset = (raw.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.places.origin(offset..offset + raw.len())
    }

    fn node(&self, raw: &'t RawValue, depth: usize) -> Result<Node, Problem> {
        let text = raw.get();
        let origin = self.origin(text);
        if depth > MAX_JSON_DEPTH {
            return Err(Problem::at(&origin, format!("nested more than {MAX_JSON_DEPTH} levels deep")));
        }
        let raw = match text.as_bytes().first() {
            Some(b'{') => self.table(text, depth)?,
            Some(b'[') => self.list(text, depth)?,
            Some(b'"') => Raw::Text(self.read(text)?),
            Some(b't' | b'f') => Raw::Bool(text == "true"),
            Some(b'n') => Raw::Null,
            _ => Raw::Number(self.number(text, &origin)?),
        };
        Ok(Node { origin, raw })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, Problem> {
        serde_json::from_str(text).map_err(|error| {
            Problem::at(&self.origin(text), format!("this is not JSON: {error}")).hint(REMEDY)
        })
    }

    /// Parses a number that other programs can read too.
    ///
    /// No JSON parser represents `1e400` correctly.
    fn number(&self, text: &str, origin: &Origin) -> Result<serde_json::Number, Problem> {
        let number: serde_json::Number = self.read(text)?;
        match text.len() <= MAX_NUMBER && number.as_f64().is_some_and(f64::is_finite) {
            true => Ok(number),
            false => {
                let shown: String = text.chars().take(20).collect();
                Err(Problem::at(origin, format!("the number {shown}… is too long or too large"))
                    .hint("write it as text, or with fewer digits"))
            }
        }
    }

    fn list(&self, text: &'t str, depth: usize) -> Result<Raw, Problem> {
        let Items(items) = serde_json::from_str(text).map_err(|error| self.syntax_problem(&error))?;
        let nodes = items.into_iter().map(|item| self.node(item, depth + 1));
        Ok(Raw::List(nodes.collect::<Result<_, _>>()?))
    }

    fn table(&self, text: &'t str, depth: usize) -> Result<Raw, Problem> {
        let Pairs(pairs) = serde_json::from_str(text).map_err(|error| self.syntax_problem(&error))?;
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let at = self.origin(key.get());
            let key: String = self.read(key.get())?;
            if !seen.insert(key.clone()) {
                return Err(Problem::at(&at, format!("duplicate key \"{key}\" in one object"))
                    .hint("keep one of them"));
            }
            let node = self.node(value, depth + 1)?;
            entries.push(Entry { key, at, node });
        }
        Ok(Raw::Table(entries))
    }
}

struct Items<'t>(Vec<&'t RawValue>);

impl<'de> serde::Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Collect)
    }
}

/// The pairs of an object; keys stay raw too, to keep their places and to detect duplicates.
struct Pairs<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> serde::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_key_has_its_position() {
        let root = parse(&"m.json".into(), "{\n  \"a\": [1.0, {\"é\": \"x\"}],\n  \"b\": null\n}").unwrap();
        let place = |pointer: &str| {
            let node = root.pointer(pointer).unwrap();
            (node.origin.line, node.origin.column)
        };
        assert_eq!(place("/a/0"), (2, 9));
        assert_eq!(place("/a/1/é"), (2, 20));
        assert_eq!(place("/b"), (3, 8));
        assert_eq!(root.to_json().to_string(), "{\"a\":[1.0,{\"é\":\"x\"}],\"b\":null}");
    }

    #[test]
    fn invalid_json_is_refused_with_its_position() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for (text, expected) in [
            ("{\n\"a\": 1,\n\"a\": 2}", "m.json:3:1: duplicate key \"a\""),
            ("{\"a\": {\"b\": 1, \"\\u0062\": 2}}", "m.json:1:16: duplicate key \"b\""),
            ("{\"a\": 1", "m.json:1:7: this is not JSON"),
            ("", "this is not JSON"),
            ("{\"a\": 1} x", "this is not JSON"),
            ("[01]", "this is not JSON"),
            (deep.as_str(), "nested more than 128 levels deep"),
        ] {
            let problem = parse(&"m.json".into(), text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
