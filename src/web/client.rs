//! The client side of the socket, by which a command talks to the running daemon.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::limits::listener::SOCKET_TIMEOUT;
use crate::store::relay::{Delivery, Relay, Request};

use super::visitor::Visitor;
use super::{OverrideRequest, socket_path};

/// A daemon that answers: at its socket, or through the store that it shares.
#[derive(Debug)]
pub struct Daemon(Way);

#[derive(Debug)]
enum Way {
    Socket(reqwest::Client, PathBuf),
    Store(Relay),
}

/// The reason why a daemon that may be running cannot be reached.
#[derive(Debug)]
pub enum Unreachable {
    /// This user has no permission for its socket.
    Denied(PathBuf),
    /// Any other reason, as text.
    Other(String),
}

/// An error for a daemon that did not answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It accepted the connection.
    #[error(
        "the rtconfd at {socket} does not answer: {why}\n  hint: check its log: the request may have been \
         carried out"
    )]
    Silent {
        /// The socket.
        socket: String,
        /// The reason.
        why: &'static str,
    },
    /// No replica took the request.
    #[error(
        "no replica of rtconfd is active on this store, so nothing was carried out\n  hint: check the log of \
         the replicas, and whether they reach the database"
    )]
    NotTaken,
    /// A replica took the request.
    #[error(
        "the active replica of rtconfd took the request and does not answer\n  hint: it may have been \
         carried out: run rtconfd override list"
    )]
    Unanswered,
    /// The request is for the daemon of this machine.
    #[error("no rtconfd runs on this machine\n  hint: run this on the machine of a replica")]
    Elsewhere,
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
            .map(|client| Some(Self(Way::Socket(client, socket))))
            .map_err(|error| Unreachable::Other(error.to_string()))
    }

    /// Returns the active one of the daemons that share a store.
    pub fn through(relay: Relay) -> Self {
        Self(Way::Store(relay))
    }

    /// Sets an override.
    ///
    /// # Errors
    /// As all methods, when the daemon does not answer.
    pub async fn set_override(&self, asking: &OverrideRequest) -> Result<Reply, NoAnswer> {
        self.send(Method::POST, "/overrides", &json!(asking)).await
    }

    /// Releases an override.
    pub async fn release(&self, id: i64, who: &str) -> Result<Reply, NoAnswer> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("who", who).finish();
        self.send(Method::DELETE, &format!("/overrides/{id}?{query}"), &Value::Null).await
    }

    /// Approves a revision.
    pub async fn approve(&self, revision: &str, who: &str) -> Result<Reply, NoAnswer> {
        self.send(Method::POST, "/approvals", &json!({ "revision": revision, "who": who })).await
    }

    /// Rejects a held revision.
    pub async fn reject(&self, revision: &str, who: &str) -> Result<Reply, NoAnswer> {
        self.send(Method::POST, "/rejections", &json!({ "revision": revision, "who": who })).await
    }

    /// Gives an override another end.
    pub async fn extend(&self, id: i64, until: &str, who: &str) -> Result<Reply, NoAnswer> {
        self.send(Method::PATCH, &format!("/overrides/{id}"), &json!({ "until": until, "who": who })).await
    }

    /// Makes the daemon of this machine reload its settings.
    pub async fn reload(&self) -> Result<Reply, NoAnswer> {
        match &self.0 {
            Way::Socket(..) => self.send(Method::POST, "/reload", &Value::Null).await,
            Way::Store(_) => Err(NoAnswer::Elsewhere),
        }
    }

    /// Returns the daemon's status.
    pub async fn status(&self) -> Result<Reply, NoAnswer> {
        self.send(Method::GET, "/status", &Value::Null).await
    }

    /// Returns the text of the health of this machine's daemon, or with `ready` of its readiness; an error
    /// if it is not well.
    pub async fn health(&self, ready: bool) -> Result<Result<String, String>, NoAnswer> {
        let Way::Socket(client, socket) = &self.0 else { return Err(NoAnswer::Elsewhere) };
        let path = if ready { "readyz" } else { "healthz" };
        let response = client.get(format!("http://rtconfd/{path}")).send().await;
        let response = response.map_err(|error| silent(socket, &error))?;
        let is_well = response.status().is_success();
        let text = response.text().await.map_err(|error| silent(socket, &error))?;
        Ok(if is_well { Ok(text) } else { Err(text) })
    }

    /// Sends a request; a body of null is none.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Reply, NoAnswer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (good, body) = match &self.0 {
            Way::Socket(client, socket) => {
                let request = client.request(method, format!("http://rtconfd{path}")).body(body);
                let response = request.send().await.map_err(|error| silent(socket, &error))?;
                let good = response.status().is_success();
                (good, response.json().await.map_err(|error| silent(socket, &error))?)
            }
            Way::Store(relay) => {
                let (visitor, method) = (Visitor::Owner.written(), method.to_string());
                let request = Request { visitor, method, path: path.to_owned(), body };
                match relay.ask(request).await {
                    Delivery::Answered(answer) => {
                        let good = (200..300).contains(&answer.status);
                        (good, serde_json::from_slice(&answer.body).unwrap_or_default())
                    }
                    Delivery::NotTaken => return Err(NoAnswer::NotTaken),
                    Delivery::Unanswered => return Err(NoAnswer::Unanswered),
                }
            }
        };
        Ok(if good { Ok(body) } else { Err(problems_of(&body)) })
    }
}

fn silent(socket: &Path, error: &reqwest::Error) -> NoAnswer {
    let why = if error.is_timeout() { "timed out" } else { "the connection broke off" };
    NoAnswer::Silent { socket: socket.display().to_string(), why }
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
