//! Which page, how drift on it is treated, and a change to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Instant, Variable};

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
    pub schema: Option<Arc<Value>>,
    /// When it was last written, as the API words it; only good for telling whether it is another.
    pub last_updated: Option<String>,
    /// What the API's clock showed when it answered, if it told.
    pub served_at: Option<Instant>,
    /// The memory that it takes, in bytes and roughly.
    pub weight: usize,
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

    #[test]
    fn a_page_id_is_safe_in_a_url() {
        assert!("PROJECT-58RP822I/pre-release".parse::<PageId>().is_ok());
        for bad in ["a b/live", "../x/live", "a/b/live", "x/Live", "/live", "x"] {
            assert!(bad.parse::<PageId>().is_err(), "{bad}");
        }
    }
}
