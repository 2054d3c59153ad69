//! The identity of a page, its drift policy, and a change to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::settings::MAX_ID;

use super::{Instant, Variable};

/// The three environments that an agent's config pages exist in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// For experiments.
    Sandbox,
    /// For acceptance tests.
    PreRelease,
    /// The environment that callers hear.
    Live,
}

impl Environment {
    /// All environments, in the order of promotion.
    pub const ALL: [Environment; 3] = [Self::Sandbox, Self::PreRelease, Self::Live];

    /// Returns the name used in URLs and settings.
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
            .ok_or_else(|| format!("unknown environment \"{text}\""))
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
    /// The remedy for an invalid agent id.
    pub const AGENT_HINT: &str = "write the Project ID from the vendor's UI: letters, digits and -";

    /// Creates a page id; validates the agent id, which becomes part of a URL.
    pub fn new(agent: &str, environment: Environment) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if agent.is_empty() || agent.len() > MAX_ID || !agent.chars().all(allowed) {
            return Err(format!("invalid agent id \"{agent}\""));
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
        let (agent, environment) = text
            .rsplit_once('/')
            .ok_or_else(|| format!("invalid page \"{text}\"; write AGENT/environment"))?;
        Self::new(agent, environment.parse()?)
    }
}

/// The handling of a value that another client changed on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// Sends our value again.
    #[default]
    Restore,
    /// Keeps the other client's value until our value next changes.
    Keep,
    /// Keeps the other client's value and reports it.
    Report,
}

impl FromStr for OnDrift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "restore" => Ok(Self::Restore),
            "keep" => Ok(Self::Keep),
            "report" => Ok(Self::Report),
            _ => Err(format!("unknown drift policy \"{text}\"")),
        }
    }
}

/// The handling of drift for a page's variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftPolicy {
    /// The default.
    pub all: OnDrift,
    /// Exceptions for single variables.
    pub of: BTreeMap<Variable, OnDrift>,
}

impl DriftPolicy {
    /// Returns the handling for a variable.
    pub fn on(&self, variable: &Variable) -> OnDrift {
        self.of.get(variable).copied().unwrap_or(self.all)
    }
}

impl From<OnDrift> for DriftPolicy {
    fn from(all: OnDrift) -> Self {
        Self { all, of: BTreeMap::new() }
    }
}

/// A page as returned by the API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemotePage {
    /// Its values; empty for a page that was never written.
    pub variables: Map<String, Value>,
    /// Its JSON Schema (Draft 7), if it has one.
    pub schema: Option<Arc<Value>>,
    /// The time of the last write, as formatted by the API.
    ///
    /// Only useful for detecting a new version of the page.
    pub last_updated: Option<String>,
    /// The API's clock when it answered, if reported.
    pub served_at: Option<Instant>,
    /// The approximate memory that it takes, in bytes.
    pub weight: usize,
}

/// A change of one variable on a page, and the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The variable that changes.
    pub variable: Variable,
    /// The value on the page before; none if the page has none.
    pub from: Option<Value>,
    /// The value after.
    pub to: Value,
    /// The reason, in words, with the places it depends on.
    pub because: String,
    /// The instant at which the value next changes by itself.
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
