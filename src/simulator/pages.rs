//! The pages: shallow merge, schemas, and a stamp that changes with every accepted write.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use chrono::{SecondsFormat, TimeDelta};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{Environment, Instant};
use crate::schema::Schema;

use super::project::Project;

/// The reason why a write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The merged values violate the schema.
    InvalidForSchema,
    /// The schema is not a valid Draft 7 schema.
    InvalidSchema,
}

/// All agents and their pages.
#[derive(Debug)]
pub struct Pages {
    /// True if every agent id exists.
    open: bool,
    state_file: Option<PathBuf>,
    kept: Kept,
}

/// The state that is kept between runs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    agents: BTreeMap<String, Agent>,
    /// Pages by `AGENT/environment`; a page that was never written is absent.
    pages: BTreeMap<String, Page>,
    /// The versioned part of each agent that was used.
    #[serde(default)]
    projects: BTreeMap<String, Project>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Agent {
    name: String,
    created_at: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Page {
    variables: Map<String, Value>,
    schema: Option<Value>,
    last_updated: Option<Instant>,
}

impl Pages {
    /// Loads the pages of the state file, if it exists. Without agents, every id exists.
    pub fn load(agents: Vec<String>, state_file: Option<PathBuf>) -> io::Result<Self> {
        let mut kept = Kept::default();
        if let Some(path) = state_file.as_ref().filter(|path| path.exists()) {
            let file = std::fs::read(path)?;
            kept = serde_json::from_slice(&file)
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        }
        let open = agents.is_empty();
        for id in agents {
            let agent = Agent { name: id.clone(), created_at: "2026-01-01T00:00:00.000Z".to_owned() };
            kept.agents.entry(id).or_insert(agent);
        }
        Ok(Self { open, state_file, kept })
    }

    /// Returns true if an agent exists.
    pub fn has_agent(&self, agent: &str) -> bool {
        self.open || self.kept.agents.contains_key(agent)
    }

    /// Returns the created agents, and those with a page.
    pub fn agents(&self) -> Vec<Value> {
        let touched = self.kept.pages.keys().filter_map(|key| Some(key.split_once('/')?.0));
        let ids: BTreeSet<&str> = self.kept.agents.keys().map(String::as_str).chain(touched).collect();
        ids.iter().map(|id| self.agent(id)).collect()
    }

    /// Creates an agent; `None` if its id is taken.
    pub fn create_agent(&mut self, id: &str, name: &str, at: Instant) -> Option<Value> {
        if self.kept.agents.contains_key(id) {
            return None;
        }
        let agent = Agent { name: name.to_owned(), created_at: stamp(at) };
        self.kept.agents.insert(id.to_owned(), agent);
        self.save();
        Some(self.agent(id))
    }

    fn agent(&self, id: &str) -> Value {
        let known = self.kept.agents.get(id);
        let name = known.map_or(id, |agent| &agent.name);
        let created_at = known.map_or("2026-01-01T00:00:00.000Z", |agent| &agent.created_at);
        json!({
            "accountId": "ws-simulator", "agentId": id, "agentName": name,
            "createdAt": created_at, "updatedAt": created_at, "branchCount": 1,
        })
    }

    /// Returns a page as the API sends it.
    ///
    /// A page that was never written has no schema, no stamp and no values.
    pub fn page(&self, agent: &str, environment: Environment) -> Value {
        let page = self.kept.pages.get(&key(agent, environment)).cloned().unwrap_or_default();
        json!({
            "clientEnv": environment.as_str(),
            "variables": page.variables,
            "schema": page.schema,
            "lastUpdated": page.last_updated.map(stamp),
        })
    }

    /// Returns the keys of all pages that were written.
    pub fn touched(&self) -> impl Iterator<Item = (&str, Environment)> {
        self.kept.pages.keys().filter_map(|key| {
            let (agent, environment) = key.split_once('/')?;
            Some((agent, environment.parse().ok()?))
        })
    }

    /// Sets the schema of a page; its current values may violate it.
    pub fn put_schema(
        &mut self,
        agent: &str,
        environment: Environment,
        schema: &Value,
        at: Instant,
    ) -> Result<Value, Refusal> {
        if !schema.is_object() || Schema::compile(Some(schema)).is_err() {
            return Err(Refusal::InvalidSchema);
        }
        self.write(agent, environment, at, |page| page.schema = Some(schema.clone()));
        Ok(self.page(agent, environment))
    }

    /// Merges top-level keys into a page, if the result meets the schema.
    pub fn patch(
        &mut self,
        agent: &str,
        environment: Environment,
        variables: &Map<String, Value>,
        at: Instant,
    ) -> Result<Value, Refusal> {
        let page = self.kept.pages.get(&key(agent, environment)).cloned().unwrap_or_default();
        let mut merged = page.variables;
        merged.extend(variables.iter().map(|(key, value)| (key.clone(), value.clone())));
        let schema = Schema::compile(page.schema.as_ref()).map_err(|_| Refusal::InvalidForSchema)?;
        if !schema.takes(&Value::Object(merged.clone())) {
            return Err(Refusal::InvalidForSchema);
        }
        self.write(agent, environment, at, |page| page.variables = merged);
        Ok(self.page(agent, environment))
    }

    /// Returns the versioned part of an agent; [`save`](Self::save) keeps its changes.
    pub fn project(&mut self, agent: &str) -> &mut Project {
        self.kept.projects.entry(agent.to_owned()).or_insert_with(|| Project::new(agent))
    }

    fn write(&mut self, agent: &str, environment: Environment, at: Instant, change: impl FnOnce(&mut Page)) {
        let page = self.kept.pages.entry(key(agent, environment)).or_default();
        change(page);
        // Stamps differ even for two writes within a microsecond, or after the clock was set back.
        let next = page.last_updated.and_then(|last| last.checked_add_signed(TimeDelta::microseconds(1)));
        page.last_updated = Some(next.map_or(at, |next| next.max(at)));
        self.save();
    }

    /// Saves everything to the state file, if there is one.
    ///
    /// It writes a temporary file and renames it over the state file.
    pub fn save(&self) {
        let Some(path) = &self.state_file else { return };
        let beside = path.with_extension("tmp");
        let written = serde_json::to_vec_pretty(&self.kept)
            .map_err(io::Error::other)
            .and_then(|json| std::fs::write(&beside, json))
            .and_then(|()| std::fs::rename(&beside, path));
        if let Err(error) = written {
            tracing::error!(%error, file = %path.display(), "the simulator's state was not saved");
        }
    }
}

fn key(agent: &str, environment: Environment) -> String {
    format!("{agent}/{environment}")
}

pub(super) fn stamp(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
