//! The shapes on the wire, liberal in what they take.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::{Environment, RemotePage};
use crate::tables::Shape;

use super::Agent;

/// Bytes of an answer; a page with ten thousand sites is smaller.
pub const MAX_BODY_BYTES: usize = 8 << 20;
/// Values in an answer, keys counted too; ten thousand sites with ten fields each have as many.
pub const MAX_VALUES: usize = 250_000;
/// Levels of arrays and objects; what JSON readers take by default.
pub const MAX_DEPTH: usize = 100;
/// Pages in one answer; an agent has one for each environment.
pub const MAX_PAGES: usize = 100;
/// Agents in one answer; an account with more is not known.
pub const MAX_AGENTS: usize = 10_000;
/// Fields that an error lists; more are not told.
const MAX_LISTED: usize = 20;

/// An answer read as `T`, unless it would take too much memory as a tree of values.
///
/// # Errors
/// In words: what is too much, or why it is no such answer.
pub fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let shape = Shape::of(body);
    if body.len() > MAX_BODY_BYTES {
        return Err(format!("it is larger than {MAX_BODY_BYTES} bytes"));
    }
    if shape.values > MAX_VALUES {
        return Err(format!("it holds {} values, and at most {MAX_VALUES} are read", shape.values));
    }
    if shape.depth > MAX_DEPTH {
        return Err(format!("it is nested {} levels deep, and at most {MAX_DEPTH} are read", shape.depth));
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// The page that an answer holds; an answer without a body counts as an empty one.
///
/// # Errors
/// In words: why it is not understood.
pub fn read_page(body: &[u8]) -> Result<RemotePage, String> {
    match body.is_empty() {
        true => Ok(RemotePage::default()),
        false => read::<WirePage>(body).map(RemotePage::from),
    }
}

/// The pages that an answer lists; those of environments that we don't know are left out.
///
/// # Errors
/// In words: why it is not understood.
pub fn read_pages(body: &[u8]) -> Result<Vec<(Environment, RemotePage)>, String> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let pages = read::<WirePages>(body)?.config_pages;
    if pages.len() > MAX_PAGES {
        return Err(format!("it lists {} pages, and at most {MAX_PAGES} are read", pages.len()));
    }
    Ok(pages.into_iter().filter_map(|page| Some((page.environment()?, page.into()))).collect())
}

/// The agents that an answer lists, as an array or in an object. Of an agent only its id is needed.
///
/// # Errors
/// In words: why it is not understood.
pub fn read_agents(body: &[u8]) -> Result<Vec<Agent>, String> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let listed = match read::<Value>(body)? {
        Value::Object(mut object) => ["agents", "data"].iter().find_map(|key| object.remove(*key)),
        other => Some(other),
    };
    let Some(Value::Array(items)) = listed else {
        return Err("it holds no list of agents".to_owned());
    };
    if items.len() > MAX_AGENTS {
        return Err(format!("it lists {} agents, and at most {MAX_AGENTS} are read", items.len()));
    }
    let agents: Vec<Agent> = items.iter().filter_map(agent).collect();
    match agents.is_empty() && !items.is_empty() {
        true => Err("none of the agents it lists has an agentId".to_owned()),
        false => Ok(agents),
    }
}

fn agent(item: &Value) -> Option<Agent> {
    let text = |keys: [&str; 2]| {
        let found = keys.iter().find_map(|key| item.get(key)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Some(Agent {
        id: text(["agentId", "id"])?,
        name: text(["agentName", "name"]),
        account: text(["accountId", "account"]),
    })
}

/// A page; all but its environment may be missing or null.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WirePage {
    client_env: Option<String>,
    variables: Option<Map<String, Value>>,
    schema: Option<Value>,
    last_updated: Option<String>,
}

/// The pages of an agent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WirePages {
    pub config_pages: Vec<WirePage>,
}

impl WirePage {
    /// The environment, when it is one that we know.
    pub fn environment(&self) -> Option<Environment> {
        self.client_env.as_deref()?.parse().ok()
    }
}

impl From<WirePage> for RemotePage {
    fn from(page: WirePage) -> Self {
        Self {
            variables: page.variables.unwrap_or_default(),
            schema: page.schema.map(Arc::new),
            last_updated: page.last_updated,
            served_at: None,
        }
    }
}

/// What an error's body says: the current envelope, the older one, or neither.
#[derive(Debug, Default)]
pub struct WireError {
    pub code: Option<String>,
    pub message: Option<String>,
}

impl WireError {
    pub fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(body)) = read(body) else {
            return Self::default();
        };
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut message = text("error_message").or_else(|| text("error")).or_else(|| text("message"));
        // The older envelope lists the fields.
        for error in body.get("errors").and_then(Value::as_array).into_iter().flatten().take(MAX_LISTED) {
            let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
            let listed = format!("{} {}", part("field"), part("message"));
            message = Some(message.map_or(listed.clone(), |message| format!("{message}; {listed}")));
        }
        Self { code: text("error_code"), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_read_however_the_list_is_wrapped() {
        let read = |body: &str| {
            read_agents(body.as_bytes())
                .map(|agents| agents.into_iter().map(|agent| (agent.id, agent.name)).collect::<Vec<_>>())
        };
        let named = |id: &str, name: Option<&str>| (id.to_owned(), name.map(str::to_owned));
        for (body, wanted) in [
            (
                r#"[{"agentId": "A-1", "agentName": "One", "branchCount": 1}]"#,
                Ok(vec![named("A-1", Some("One"))]),
            ),
            (r#"{"agents": [{"id": "A-1", "name": null}]}"#, Ok(vec![named("A-1", None)])),
            (r#"[{"agentId": "A-1"}, {"agentName": "without"}]"#, Ok(vec![named("A-1", None)])),
            ("[]", Ok(vec![])),
            ("", Ok(vec![])),
            ("{}", Err("it holds no list of agents")),
            ("[1]", Err("none of the agents it lists has an agentId")),
        ] {
            assert_eq!(read(body), wanted.map_err(str::to_owned), "{body}");
        }
    }
}
