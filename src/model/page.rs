//! Which page, which place on it, and a change to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Instant;

/// The three environments that an agent's config pages exist in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Environment {
    /// For trying things out.
    Sandbox,
    /// For acceptance.
    PreRelease,
    /// What callers hear.
    Live,
}

impl Environment {
    /// All of them, in the order of promotion.
    pub const ALL: [Environment; 3] = [Self::Sandbox, Self::PreRelease, Self::Live];

    /// The name in URLs and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::PreRelease => "pre-release",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|environment| environment.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is no environment"))
    }
}

/// The real-time config page of one agent in one environment; written `AGENT/environment`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId {
    /// The agent id ("Project ID" in the vendor's UI): ASCII letters, digits, `-` and `_`.
    pub agent: String,
    /// The environment.
    pub environment: Environment,
}

impl PageId {
    /// Checks the agent id, which becomes part of a URL.
    pub fn new(agent: &str, environment: Environment) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if agent.is_empty() || agent.len() > 128 || !agent.chars().all(allowed) {
            return Err(format!("\"{agent}\" is no agent id"));
        }
        Ok(Self { agent: agent.to_owned(), environment })
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.agent, self.environment)
    }
}

impl FromStr for PageId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (agent, environment) =
            text.rsplit_once('/').ok_or_else(|| format!("\"{text}\" is no page; write AGENT/environment"))?;
        Self::new(agent, environment.parse()?)
    }
}

/// A place on a page that we own: a top-level key, or a JSON Pointer (RFC 6901) below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variable {
    key: String,
    below: Vec<String>,
}

impl Variable {
    /// The top-level key that is sent when this variable changes.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The steps from the page to the value: the key first.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.key.as_str()).chain(self.below.iter().map(String::as_str))
    }

    /// Whether one of the two contains the other, so that both can't be owned.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.steps().zip(other.steps()).all(|(a, b)| a == b)
    }

    /// The value at this place, if the page has one.
    pub fn read<'a>(&self, page: &'a Map<String, Value>) -> Option<&'a Value> {
        let mut value = page.get(&self.key)?;
        for step in &self.below {
            value = match value {
                Value::Object(object) => object.get(step)?,
                Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Puts a value at this place; objects on the way are made when they are missing.
    ///
    /// # Errors
    /// The place that is in the way, when something on the path is neither object nor array.
    pub fn write(&self, page: &mut Map<String, Value>, value: Value) -> Result<(), String> {
        let mut slot = page.entry(self.key.clone()).or_insert(Value::Null);
        for step in &self.below {
            if slot.is_null() {
                *slot = Value::Object(Map::new());
            }
            slot = match slot {
                Value::Object(object) => object.entry(step.clone()).or_insert(Value::Null),
                Value::Array(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get_mut(index))
                    .ok_or_else(|| format!("the array on the page has no item \"{step}\""))?,
                _ => return Err(format!("\"{step}\" would go below a value that is no object")),
            };
        }
        *slot = value;
        Ok(())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below.is_empty() && !self.key.starts_with('/') {
            return f.write_str(&self.key);
        }
        self.steps().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let steps: Vec<String> = match text.strip_prefix('/') {
            None => vec![text.to_owned()],
            Some(pointer) => {
                pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
            }
        };
        let mut steps = steps.into_iter();
        match steps.next() {
            Some(key) if !key.is_empty() => Ok(Self { key, below: steps.collect() }),
            _ => Err(format!("\"{text}\" names no variable")),
        }
    }
}

/// What happens to a value that somebody else changed on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// Ours is sent again.
    #[default]
    Restore,
    /// Theirs stays until our value next changes.
    Keep,
    /// Theirs stays; people are told.
    Report,
}

impl FromStr for OnDrift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "restore" => Ok(Self::Restore),
            "keep" => Ok(Self::Keep),
            "report" => Ok(Self::Report),
            _ => Err(format!("\"{text}\" is no way to treat drift")),
        }
    }
}

/// How drift of a page's variables is treated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftPolicy {
    /// Where nothing else is said.
    pub all: OnDrift,
    /// Of single variables.
    pub of: BTreeMap<Variable, OnDrift>,
}

impl DriftPolicy {
    /// What happens to a variable.
    pub fn on(&self, variable: &Variable) -> OnDrift {
        self.of.get(variable).copied().unwrap_or(self.all)
    }
}

impl From<OnDrift> for DriftPolicy {
    fn from(all: OnDrift) -> Self {
        Self { all, of: BTreeMap::new() }
    }
}

/// A page as the API answered it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemotePage {
    /// Its values; a page that nobody has touched has none.
    pub variables: Map<String, Value>,
    /// Its JSON Schema (Draft 7), if it has one.
    pub schema: Option<Value>,
    /// When it was last written, as the API words it; only good for telling whether it is another.
    pub last_updated: Option<String>,
    /// What the API's clock showed when it answered, if it told.
    pub served_at: Option<Instant>,
}

/// One variable of a page going from one value to another, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which variable.
    pub variable: Variable,
    /// The value on the page before; none when the page has none.
    pub from: Option<Value>,
    /// The value after.
    pub to: Value,
    /// The reason, in words, with the places it rests on.
    pub because: String,
    /// When the value next changes by itself.
    pub until: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pointer_sets_its_place_and_leaves_the_neighbours() {
        let mut page = json!({"a": {"b": 1, "c": [1, 2]}, "d": 4});
        let page = page.as_object_mut().unwrap();
        let write = |page: &mut Map<String, Value>, at: &str, value: Value| {
            at.parse::<Variable>().unwrap().write(page, value)
        };
        write(page, "/a/b", json!(9)).unwrap();
        write(page, "/a/c/1", json!(8)).unwrap();
        write(page, "/new/deep", json!(true)).unwrap();
        assert_eq!(
            Value::Object(page.clone()),
            json!({"a": {"b": 9, "c": [1, 8]}, "d": 4, "new": {"deep": true}})
        );
        assert!(write(page, "/d/x", json!(0)).is_err());
        assert!(write(page, "/a/c/7", json!(0)).is_err());
    }

    #[test]
    fn variables_print_as_they_are_written_and_know_when_they_overlap() {
        for text in ["is_open", "/messages/seasonal", "/a~1b/c~0d"] {
            assert_eq!(text.parse::<Variable>().unwrap().to_string(), text);
        }
        let overlaps = |a: &str, b: &str| a.parse::<Variable>().unwrap().overlaps(&b.parse().unwrap());
        assert!(overlaps("messages", "/messages/seasonal"));
        assert!(!overlaps("/messages/a", "/messages/b"));
        assert!("/".parse::<Variable>().is_err());
        assert!("".parse::<Variable>().is_err());
    }

    #[test]
    fn a_page_id_is_safe_in_a_url() {
        assert!("PROJECT-58RP822I/pre-release".parse::<PageId>().is_ok());
        for bad in ["a b/live", "../x/live", "a/b/live", "x/Live", "/live", "x"] {
            assert!(bad.parse::<PageId>().is_err(), "{bad}");
        }
    }
}
