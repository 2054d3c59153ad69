//! `[listen]`: the HTTP server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::model::Problem;
use crate::written::{Fields, Reader};

/// The address of the HTTP server and the credentials that callers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Host names by which callers reach it, besides this machine's own.
    pub hosts: Vec<String>,
    /// The file with the bearer token for requests that change state.
    pub token_file: Option<PathBuf>,
    /// The file with the webhook's secret.
    pub webhook_secret_file: Option<PathBuf>,
    /// The header that carries the secret.
    pub webhook_header: String,
    /// The query parameter that may carry the secret instead.
    pub webhook_query: Option<String>,
}

const KEYS: &[&str] =
    &["address", "hosts", "token_file", "webhook_secret_file", "webhook_header", "webhook_query"];

/// Reads `[listen]`; an inner `None` means no HTTP.
#[allow(clippy::option_option, reason = "None means wrong, Some(None) means nothing is set")]
pub(super) fn read(reader: &Reader, fields: &Fields, directory: &Path) -> Option<Option<Listen>> {
    let Some(node) = fields.get("listen") else { return Some(None) };
    let listen = reader.table(node, "listen", KEYS)?;
    let text = |key: &str| match listen.get(key) {
        Some(node) => reader.text(node, key).map(|text| Some(text.value)),
        None => Some(None),
    };
    let file = |key: &str| text(key).map(|path| path.map(|path| directory.join(path)));
    let address =
        listen.require(reader, "address").and_then(|node| reader.text(node, "address")).and_then(|text| {
            reader.ok(text.value.parse().map_err(|_| {
                Problem::at(&text.origin, format!("invalid address \"{}\"", text.value))
                    .hint("write address and port, as in 127.0.0.1:9464")
            }))
        });
    let hosts = match listen.get("hosts") {
        Some(node) => reader.list(node, "hosts").map(|items| {
            items.iter().filter_map(|item| reader.text(item, "hosts")).map(|text| text.value).collect()
        }),
        None => Some(Vec::new()),
    };
    let header = text("webhook_header")?.unwrap_or_else(|| "x-webhook-secret".to_owned());
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if header.is_empty() || !header.chars().all(is_name) {
        let origin = listen.get("webhook_header").map_or(listen.origin, |node| &node.origin);
        let problem = Problem::at(origin, format!("invalid header name `{header}`"));
        reader.note(problem.hint("write a name without blanks, for example x-webhook-secret"));
        return None;
    }
    Some(Some(Listen {
        address: address?,
        hosts: hosts?,
        token_file: file("token_file")?,
        webhook_secret_file: file("webhook_secret_file")?,
        webhook_header: header.to_lowercase(),
        webhook_query: text("webhook_query")?,
    }))
}
