//! The shapes on the wire, liberal in what they take.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::{Environment, RemotePage};

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
            schema: page.schema,
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
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut message = text("error_message").or_else(|| text("error")).or_else(|| text("message"));
        // The older envelope lists the fields.
        for error in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
            let listed = format!("{} {}", part("field"), part("message"));
            message = Some(message.map_or(listed.clone(), |message| format!("{message}; {listed}")));
        }
        Self { code: text("error_code"), message }
    }
}
