//! A written value and its place.

use serde_json::Value;

use crate::model::{Origin, position};

/// A value as written, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The place where it is written.
    pub origin: Origin,
    /// The value itself.
    pub raw: Raw,
}

/// A key and its value in a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The place where the key is written.
    pub at: Origin,
    /// The value.
    pub node: Node,
}

/// The kinds of written values; TOML dates are stored as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// JSON's `null`; TOML has none.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with its text preserved.
    Number(serde_json::Number),
    /// Text.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// A table or object, in the order written; keys are unique.
    Table(Vec<Entry>),
}

/// Maximum keys listed when one is missing.
const NAMED: usize = 12;

impl Node {
    /// Returns the value under a key, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.raw {
            Raw::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
        .map(|entry| &entry.node)
    }

    /// Returns the value at a JSON Pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Node> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).try_fold(
            self,
            |node, step| match &node.raw {
                Raw::List(items) => items.get(position(&step)?),
                _ => node.get(&step),
            },
        )
    }

    /// Explains why a JSON Pointer finds nothing here.
    ///
    /// Returns a message and a hint that lists the existing keys.
    pub fn nothing_at(&self, pointer: &str) -> (String, String) {
        let message = format!("{} has nothing at \"{pointer}\"", self.origin.file);
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return (message, format!("a pointer begins with a slash: write /{pointer}"));
        }
        let ends =
            pointer.char_indices().filter(|(index, c)| *c == '/' && *index > 0).map(|(index, _)| index);
        let reached = ends.rev().find(|end| self.pointer(&pointer[..*end]).is_some()).unwrap_or(0);
        let place = if reached == 0 { "the top" } else { &pointer[..reached] };
        let hint = match self.pointer(&pointer[..reached]).map(|node| &node.raw) {
            Some(Raw::Table(entries)) if !entries.is_empty() => {
                let keys: Vec<&str> = entries.iter().take(NAMED).map(|entry| entry.key.as_str()).collect();
                let more = if entries.len() > NAMED { ", …" } else { "" };
                format!("the keys at {place} are: {}{more}", keys.join(", "))
            }
            Some(Raw::List(items)) if !items.is_empty() => {
                format!(
                    "the value at {place} is a list of length {}: write an index from 0 to {}",
                    items.len(),
                    items.len() - 1
                )
            }
            Some(other) => {
                format!(
                    "the value at {place} is {}",
                    Node { origin: self.origin.clone(), raw: other.clone() }.kind()
                )
            }
            None => "write /key/key or /list/0".to_owned(),
        };
        (message, hint)
    }

    /// Returns true if the predicate holds for this value or for one at any depth inside.
    pub fn any(&self, is_so: &impl Fn(&Node) -> bool) -> bool {
        is_so(self)
            || match &self.raw {
                Raw::List(items) => items.iter().any(|item| item.any(is_so)),
                Raw::Table(entries) => entries.iter().any(|entry| entry.node.any(is_so)),
                Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => false,
            }
    }

    /// Collects every text under a key, at any depth, alone or in a list.
    pub fn texts_under<'n>(&'n self, key: &str, found: &mut Vec<(&'n str, &'n Origin)>) {
        match &self.raw {
            Raw::Table(entries) => entries.iter().for_each(|entry| {
                let items = if entry.key == key { one_or_more(Some(&entry.node)) } else { &[] };
                found.extend(items.iter().filter_map(|item| match &item.raw {
                    Raw::Text(text) => Some((text.as_str(), &item.origin)),
                    _ => None,
                }));
                entry.node.texts_under(key, found);
            }),
            Raw::List(items) => items.iter().for_each(|item| item.texts_under(key, found)),
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => {}
        }
    }

    /// Converts the value to plain JSON.
    pub fn to_json(&self) -> Value {
        match &self.raw {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(*value),
            Raw::Number(value) => Value::Number(value.clone()),
            Raw::Text(value) => Value::String(value.clone()),
            Raw::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Raw::Table(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect())
            }
        }
    }

    /// Returns the size of the value: the number of values in it, plus the bytes of text.
    pub fn size(&self) -> usize {
        match &self.raw {
            Raw::Text(text) => 1 + text.len(),
            Raw::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Raw::Table(entries) => {
                1 + entries.iter().map(|entry| entry.key.len() + entry.node.size()).sum::<usize>()
            }
            Raw::Null | Raw::Bool(_) | Raw::Number(_) => 1,
        }
    }

    /// Returns the kind of the value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.raw {
            Raw::Null => "null",
            Raw::Bool(_) => "a boolean",
            Raw::Number(_) => "a number",
            Raw::Text(_) => "text",
            Raw::List(_) => "a list",
            Raw::Table(_) => "a table",
        }
    }
}

/// Returns the items of a list, or any other value as a single item.
pub fn one_or_more(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node { raw: Raw::List(items), .. }) => items,
        Some(node) => std::slice::from_ref(node),
        None => &[],
    }
}
