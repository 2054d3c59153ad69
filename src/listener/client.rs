//! The other end of the socket: how a command asks the running daemon.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Asking, socket_path};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(35);

/// A daemon that answers at its socket.
#[derive(Debug)]
pub struct Daemon(reqwest::Client);

/// Why a daemon that may be there cannot be asked.
#[derive(Debug)]
pub enum Unreachable {
    /// This user may not use its socket.
    Denied(PathBuf),
    /// For another reason, in words.
    Other(String),
}

/// An answer: what was asked for, or what is wrong with it, message and hint.
pub type Asked = Result<Value, Vec<(String, Option<String>)>>;

impl Daemon {
    /// The daemon with this store; none when nothing listens at its socket.
    ///
    /// # Errors
    /// When the socket may be there, and cannot be used.
    pub fn at(store: &Path) -> Result<Option<Self>, Unreachable> {
        let path = socket_path(store);
        match UnixStream::connect(&path) {
            Ok(_) => {}
            Err(error) => match error.kind() {
                // A daemon that was killed leaves its socket behind.
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                    return Ok(None);
                }
                ErrorKind::PermissionDenied => return Err(Unreachable::Denied(path)),
                _ => return Err(Unreachable::Other(error.to_string())),
            },
        }
        let client = reqwest::Client::builder().unix_socket(path).timeout(PATIENCE).build();
        client.map(|client| Some(Self(client))).map_err(|error| Unreachable::Other(error.to_string()))
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

    /// Lets it read its settings again.
    ///
    /// # Errors
    /// When the daemon can't be reached.
    pub async fn reload(&self) -> Result<Asked, reqwest::Error> {
        Self::asked(self.0.post("http://rtconfd/reload")).await
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
