//! The wire formats: liberal in accepting, strict about the page that a response belongs to.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::limits::api::{MAX_AGENTS, MAX_ANSWER_BYTES, MAX_ANSWER_DEPTH, MAX_ANSWER_VALUES, MAX_PAGES};
use crate::model::{Environment, PageId, RemotePage};
use crate::tables::JsonSize;

use super::Agent;

/// Bytes below which the number of values is only estimated.
const SMALL_BODY: usize = 1 << 16;
/// Bytes of memory that a value takes besides its text.
const VALUE_BYTES: usize = 72;
/// Maximum listed fields of an error that are reported.
const ERRORS_READ: usize = 20;

/// Parses a response as `T`, unless its tree of values would take too much memory.
///
/// # Errors
/// A message: the limit that is exceeded, or why it cannot be parsed.
fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let size = JsonSize::of(body);
    if body.len() > MAX_ANSWER_BYTES {
        return Err(format!("it is larger than {MAX_ANSWER_BYTES} bytes"));
    }
    if size.values > MAX_ANSWER_VALUES {
        return Err(format!("it holds {} values, and at most {MAX_ANSWER_VALUES} are read", size.values));
    }
    if size.depth > MAX_ANSWER_DEPTH {
        return Err(format!(
            "it is nested {} levels deep, and at most {MAX_ANSWER_DEPTH} are read",
            size.depth
        ));
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// Reads the page of a response, which must identify itself as the requested page.
///
/// If another page were taken for it, a later write could destroy values of the requested page.
///
/// # Errors
/// A message: why it is not that page.
pub fn read_page(body: &[u8], expected: &PageId) -> Result<RemotePage, String> {
    let page = read_answer::<WirePage>(body)?;
    page.check_agent(&expected.agent)?;
    match &page.client_env {
        Some(environment) if environment == expected.environment.as_str() => Ok(page.into()),
        Some(environment) => Err(format!("it is the page of {environment}, not of {expected}")),
        None => Err("it does not say which page it is: clientEnv is missing".to_owned()),
    }
}

/// Reads the pages of an agent; pages with an unknown or missing environment are left out.
///
/// # Errors
/// A message: why the response is not understood.
pub fn read_pages(body: &[u8], agent: &str) -> Result<Vec<(Environment, RemotePage)>, String> {
    let WirePages { config_pages: Some(listed), .. } = read_answer(body)? else {
        return Err("it lists no pages: configPages is missing".to_owned());
    };
    if listed.len() > MAX_PAGES {
        return Err(format!("it lists {} pages, and at most {MAX_PAGES} are read", listed.len()));
    }
    let mut pages: Vec<(Environment, RemotePage)> = Vec::new();
    for page in listed {
        page.check_agent(agent)?;
        let Some(environment) = page.environment() else { continue };
        if pages.iter().any(|(known, _)| *known == environment) {
            return Err(format!("it lists two pages of {environment}"));
        }
        pages.push((environment, page.into()));
    }
    Ok(pages)
}

/// Returns the approximate memory, in bytes, that a response takes as a tree of values.
pub fn weight(body: &[u8]) -> usize {
    // Small responses are not worth counting.
    let values = if body.len() < SMALL_BODY { body.len() / 16 } else { JsonSize::of(body).values };
    body.len() + values * VALUE_BYTES
}

/// Reads a response with a success flag: an error may arrive with a success status.
pub(super) fn read_answer<T: serde::de::DeserializeOwned + Envelope>(body: &[u8]) -> Result<T, String> {
    if body.len() <= MAX_ANSWER_BYTES && body.trim_ascii().is_empty() {
        return Err("it is empty".to_owned());
    }
    let answer = read::<T>(body)?;
    if !answer.is_failure() {
        return Ok(answer);
    }
    let WireError { code, message, .. } = WireError::read(body);
    let parts: Vec<String> = code.into_iter().chain(message).collect();
    Err(format!("it reports a failure: {}", parts.join(": ")))
}

/// The common part of all responses.
pub(super) trait Envelope {
    /// Returns true if the response reports a failure.
    fn is_failure(&self) -> bool;
}

/// Reads the agents of a response, listed as an array or in an object. Only the id of an agent is
/// required.
///
/// # Errors
/// A message: why the response is not understood.
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

/// A page; every field but the environment may be missing or null.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    client_env: Option<String>,
    variables: Option<Map<String, Value>>,
    schema: Option<Value>,
    last_updated: Option<String>,
    success: Option<bool>,
    agent_id: Option<String>,
    project_id: Option<String>,
}

/// The pages of an agent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePages {
    config_pages: Option<Vec<WirePage>>,
    success: Option<bool>,
}

impl Envelope for WirePage {
    fn is_failure(&self) -> bool {
        self.success == Some(false)
    }
}

impl Envelope for WirePages {
    fn is_failure(&self) -> bool {
        self.success == Some(false)
    }
}

impl WirePage {
    /// Returns the environment, if it is known.
    fn environment(&self) -> Option<Environment> {
        self.client_env.as_deref()?.parse().ok()
    }

    /// Refuses a page that names another agent. Responses need not name the agent.
    fn check_agent(&self, expected: &str) -> Result<(), String> {
        match [&self.agent_id, &self.project_id].into_iter().flatten().find(|agent| *agent != expected) {
            Some(agent) => Err(format!("it is a page of the agent {agent}, not of {expected}")),
            None => Ok(()),
        }
    }
}

impl From<WirePage> for RemotePage {
    fn from(page: WirePage) -> Self {
        Self {
            variables: page.variables.unwrap_or_default(),
            schema: page.schema.map(Arc::new),
            last_updated: page.last_updated,
            served_at: None,
            weight: 0,
        }
    }
}

/// The body of an error: the current envelope, the older one, or neither.
#[derive(Debug, Default)]
pub struct WireError {
    pub code: Option<String>,
    pub message: Option<String>,
    /// True if the body has one of the two envelopes.
    pub is_envelope: bool,
}

impl WireError {
    pub fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(body)) = read(body) else {
            return Self::default();
        };
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut message = text("error_message").or_else(|| text("error")).or_else(|| text("message"));
        // The older envelope lists the fields.
        for error in body.get("errors").and_then(Value::as_array).into_iter().flatten().take(ERRORS_READ) {
            let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
            let listed = format!("{} {}", part("field"), part("message"));
            message = Some(message.map_or(listed.clone(), |message| format!("{message}; {listed}")));
        }
        let code = text("error_code");
        Self { is_envelope: code.is_some() || message.is_some(), code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_page_only_if_it_names_its_environment() {
        let expected: PageId = "A-1/live".parse().unwrap();
        for (body, problem) in [
            (r#"{"clientEnv": "live"}"#, None),
            (r#"{"clientEnv": "live", "variables": null, "schema": null, "agentId": "A-1"}"#, None),
            (r#"{"clientEnv": "live", "success": true, "projectId": "A-1"}"#, None),
            ("", Some("it is empty")),
            (" \r\n", Some("it is empty")),
            ("{}", Some("clientEnv is missing")),
            ("[]", Some("")),
            (r#"{"variables": {"is_open": true}}"#, Some("clientEnv is missing")),
            (r#"{"clientEnv": "sandbox", "variables": {}}"#, Some("the page of sandbox, not of A-1/live")),
            (r#"{"clientEnv": "Live"}"#, Some("the page of Live")),
            (r#"{"clientEnv": "live", "agentId": "A-2"}"#, Some("the agent A-2, not of A-1")),
            (r#"{"clientEnv": "live", "projectId": "A-2"}"#, Some("the agent A-2, not of A-1")),
            (
                r#"{"success": false, "error_code": "BUSY", "error_message": "later", "data": null}"#,
                Some("it reports a failure: BUSY: later"),
            ),
            (r#"{"clientEnv": "live", "success": false}"#, Some("it reports a failure")),
        ] {
            let read = read_page(body.as_bytes(), &expected);
            match problem {
                None => drop(read.unwrap_or_else(|error| panic!("{body}: {error}"))),
                Some(part) => {
                    assert!(read.as_ref().is_err_and(|error| error.contains(part)), "{body}: {read:?}")
                }
            }
        }
    }

    #[test]
    fn a_list_contains_each_page_of_its_agent_once() {
        let pages = |body: &str| -> Result<Vec<Environment>, String> {
            Ok(read_pages(body.as_bytes(), "A-1")?.into_iter().map(|(environment, _)| environment).collect())
        };
        use Environment::{Live, Sandbox};
        for (body, expected) in [
            (r#"{"configPages": []}"#, Ok(vec![])),
            (
                r#"{"configPages": [{"clientEnv": "live"}, {"clientEnv": "sandbox"}]}"#,
                Ok(vec![Live, Sandbox]),
            ),
            (r#"{"configPages": [{"clientEnv": "draft"}, {}, {"clientEnv": "live"}]}"#, Ok(vec![Live])),
            (r#"{"configPages": [{"clientEnv": "live"}, {"clientEnv": "live"}]}"#, Err("two pages of live")),
            (r#"{"configPages": [{"clientEnv": "live", "agentId": "A-2"}]}"#, Err("the agent A-2")),
            (r#"{"configPages": null}"#, Err("configPages is missing")),
            ("{}", Err("configPages is missing")),
            (r#"{"success": false, "error_message": "later"}"#, Err("it reports a failure: later")),
            ("", Err("it is empty")),
        ] {
            match (pages(body), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{body}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{body}: {error}"),
                (read, _) => panic!("{body}: {read:?}"),
            }
        }
    }

    #[test]
    fn agents_are_read_from_every_known_list_format() {
        let read = |body: &str| {
            read_agents(body.as_bytes())
                .map(|agents| agents.into_iter().map(|agent| (agent.id, agent.name)).collect::<Vec<_>>())
        };
        let named = |id: &str, name: Option<&str>| (id.to_owned(), name.map(str::to_owned));
        for (body, expected) in [
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
            assert_eq!(read(body), expected.map_err(str::to_owned), "{body}");
        }
    }
}
