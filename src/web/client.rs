//! The client side of the socket, by which a command talks to the running daemon.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::limits::listener::SOCKET_TIMEOUT;

use super::{OverrideRequest, socket_path};

/// A daemon that answers at its socket.
#[derive(Debug)]
pub struct Daemon {
    client: reqwest::Client,
    socket: PathBuf,
}

/// The reason why a daemon that may be running cannot be reached.
#[derive(Debug)]
pub enum Unreachable {
    /// This user has no permission for its socket.
    Denied(PathBuf),
    /// Any other reason, as text.
    Other(String),
}

/// An error for a daemon that accepted the connection and did not answer.
#[derive(Debug, thiserror::Error)]
#[error(
    "the rtconfd at {socket} does not answer: {why}\n  hint: check its log: the request may have been \
     carried out"
)]
pub struct NoAnswer {
    socket: String,
    why: &'static str,
}

/// The daemon's answer, or its problems, each as message and hint.
pub type Reply = Result<Value, Vec<(String, Option<String>)>>;

impl Daemon {
    /// Returns the daemon of this store; `None` when nothing listens at its socket.
    ///
    /// # Errors
    /// When the socket may exist and cannot be used.
    pub fn at(store: &Path) -> Result<Option<Self>, Unreachable> {
        let path = socket_path(store);
        match UnixStream::connect(&path) {
            Ok(_) => {}
            Err(error) => match error.kind() {
                // A killed daemon leaves its socket behind.
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                    return Ok(None);
                }
                ErrorKind::PermissionDenied => return Err(Unreachable::Denied(path)),
                _ => return Err(Unreachable::Other(error.to_string())),
            },
        }
        let socket = path.clone();
        // A socket needs no certificates, and a small container may have none.
        let builder = reqwest::Client::builder().unix_socket(path).tls_certs_only([]);
        let client = builder.timeout(SOCKET_TIMEOUT).build();
        client
            .map(|client| Some(Self { client, socket }))
            .map_err(|error| Unreachable::Other(error.to_string()))
    }

    /// Sets an override.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn set_override(&self, asking: &OverrideRequest) -> Result<Reply, NoAnswer> {
        self.send(self.client.post("http://rtconfd/overrides").body(json!(asking).to_string())).await
    }

    /// Releases an override.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn release(&self, id: i64, who: &str) -> Result<Reply, NoAnswer> {
        let request = self.client.delete(format!("http://rtconfd/overrides/{id}")).query(&[("who", who)]);
        self.send(request).await
    }

    /// Approves a revision.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn approve(&self, revision: &str, who: &str) -> Result<Reply, NoAnswer> {
        let body = json!({ "revision": revision, "who": who }).to_string();
        self.send(self.client.post("http://rtconfd/approvals").body(body)).await
    }

    /// Rejects a held revision.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn reject(&self, revision: &str, who: &str) -> Result<Reply, NoAnswer> {
        let body = json!({ "revision": revision, "who": who }).to_string();
        self.send(self.client.post("http://rtconfd/rejections").body(body)).await
    }

    /// Gives an override another end.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn extend(&self, id: i64, until: &str, who: &str) -> Result<Reply, NoAnswer> {
        let body = json!({ "until": until, "who": who }).to_string();
        self.send(self.client.patch(format!("http://rtconfd/overrides/{id}")).body(body)).await
    }

    /// Makes the daemon reload its settings.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn reload(&self) -> Result<Reply, NoAnswer> {
        self.send(self.client.post("http://rtconfd/reload")).await
    }

    /// Returns the daemon's status.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn status(&self) -> Result<Reply, NoAnswer> {
        self.send(self.client.get("http://rtconfd/status")).await
    }

    /// Returns the text of the daemon's health, or with `ready` of its readiness; an error if it is not well.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn health(&self, ready: bool) -> Result<Result<String, String>, NoAnswer> {
        let path = if ready { "readyz" } else { "healthz" };
        let response = self.client.get(format!("http://rtconfd/{path}")).send().await;
        let response = response.map_err(|error| self.no_answer(&error))?;
        let is_well = response.status().is_success();
        let text = response.text().await.map_err(|error| self.no_answer(&error))?;
        Ok(if is_well { Ok(text) } else { Err(text) })
    }

    fn no_answer(&self, error: &reqwest::Error) -> NoAnswer {
        let why = if error.is_timeout() { "timed out" } else { "the connection broke off" };
        NoAnswer { socket: self.socket.display().to_string(), why }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, NoAnswer> {
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let good = response.status().is_success();
        let body: Value = response.json().await.map_err(|error| self.no_answer(&error))?;
        if good {
            return Ok(Ok(body));
        }
        Ok(Err(problems_of(&body)))
    }
}

/// Returns the problems of an answer: place and message, and the hint.
pub fn problems_of(answer: &Value) -> Vec<(String, Option<String>)> {
    let read = |problem: &Value| {
        let text = |key: &str| problem[key].as_str().map(str::to_owned);
        let place = text("place").map_or_else(String::new, |place| format!("{place}: "));
        (place + &text("message").unwrap_or_default(), text("hint"))
    };
    answer["problems"].as_array().into_iter().flatten().map(read).collect()
}
