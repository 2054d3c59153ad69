//! The other end of the socket: how a command asks the running daemon.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Asking, socket_path};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(35);

/// A daemon that answers at its socket.
#[derive(Debug)]
pub struct Daemon(reqwest::Client);

/// An answer: what was asked for, or what is wrong with it, message and hint.
pub type Asked = Result<Value, Vec<(String, Option<String>)>>;

impl Daemon {
    /// The daemon with this store, should its socket be there.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn at(store: &Path) -> Result<Option<Self>, reqwest::Error> {
        let path = socket_path(store);
        if !path.exists() {
            return Ok(None);
        }
        let client = reqwest::Client::builder().unix_socket(path).timeout(PATIENCE).build()?;
        Ok(Some(Self(client)))
    }

    /// Sets an override.
    ///
    /// # Errors
    /// When the daemon can't be reached.
    pub async fn set_override(&self, asking: &Asking) -> Result<Asked, reqwest::Error> {
        Self::asked(self.0.post("http://rtconfd/overrides").body(json!(asking).to_string())).await
    }

    /// Releases one.
    ///
    /// # Errors
    /// When the daemon can't be reached.
    pub async fn release(&self, id: i64, who: &str) -> Result<Asked, reqwest::Error> {
        let request = self.0.delete(format!("http://rtconfd/overrides/{id}")).query(&[("who", who)]);
        Self::asked(request).await
    }

    /// Approves a revision.
    ///
    /// # Errors
    /// When the daemon can't be reached.
    pub async fn approve(&self, revision: &str, who: &str) -> Result<Asked, reqwest::Error> {
        let body = json!({ "revision": revision, "who": who }).to_string();
        Self::asked(self.0.post("http://rtconfd/approvals").body(body)).await
    }

    /// How things stand.
    ///
    /// # Errors
    /// When the daemon can't be reached.
    pub async fn status(&self) -> Result<Asked, reqwest::Error> {
        Self::asked(self.0.get("http://rtconfd/status")).await
    }

    async fn asked(request: reqwest::RequestBuilder) -> Result<Asked, reqwest::Error> {
        let response = request.send().await?;
        let good = response.status().is_success();
        let body: Value = response.json().await?;
        if good {
            return Ok(Ok(body));
        }
        let problems = body["problems"].as_array().cloned().unwrap_or_default().into_iter().map(|problem| {
            let text = |key: &str| problem[key].as_str().map(str::to_owned);
            let place = text("place").map_or_else(String::new, |place| format!("{place}: "));
            (place + &text("message").unwrap_or_default(), text("hint"))
        });
        Ok(Err(problems.collect()))
    }
}
