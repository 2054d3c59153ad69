//! Access control for HTTP.
//!
//! Requests that change state need a token, and the webhook a secret. Checks of host and origin
//! keep out web pages in a browser on this machine.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::agents_api::{KeyError, KeySource};

/// The secrets that HTTP callers must present; none of them is ever printed.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The bearer token for requests that change state; without it they are all refused.
    pub token: Option<SecretFile>,
    /// The webhook's secret; without it the webhook is off.
    pub webhook: Option<SecretFile>,
    /// The header that carries the webhook's secret.
    pub webhook_header: String,
    /// The query parameter that may carry it instead.
    pub webhook_query: Option<String>,
    /// Names of the listener besides those of this machine's loopback.
    pub hosts: Vec<String>,
}

/// The reason why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It names another host: a web page may have resolved its own name to this machine.
    Host,
    /// A web page of another origin sent it.
    Origin,
    /// It changes state, and no token is configured.
    NoToken,
    /// The token is missing or wrong.
    Token,
}

impl Refusal {
    /// Returns the message, with its hint.
    pub fn words(self) -> &'static str {
        match self {
            Self::Host => {
                "unknown host name in the request (hint: use the address of this server, or add the name \
                 to listen.hosts)"
            }
            Self::Origin => "requests from web pages of another origin are refused",
            Self::NoToken => "changes over HTTP are disabled (hint: set listen.token_file)",
            Self::Token => "the bearer token is missing or wrong",
        }
    }
}

impl Secrets {
    /// Checks the host, the origin and the token of a request.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // With two Host headers, the one that a proxy in front used is unknown.
        if headers.get_all(header::HOST).iter().count() != 1 {
            return Err(Refusal::Host);
        }
        let host = text(header::HOST).filter(|host| self.is_ours(host)).ok_or(Refusal::Host)?;
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            if origin != Some(host) {
                return Err(Refusal::Origin);
            }
        }
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        let token = self.token.as_ref().ok_or(Refusal::NoToken)?;
        let given =
            text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        token.is(given).then_some(()).ok_or(Refusal::Token)
    }

    /// Returns true if a webhook call carries the secret.
    pub fn knows_webhook(&self, headers: &HeaderMap, query: &[(String, String)]) -> bool {
        let Some(secret) = &self.webhook else { return false };
        let header = headers.get(self.webhook_header.as_str()).and_then(|value| value.to_str().ok());
        let by_query = self
            .webhook_query
            .as_ref()
            .and_then(|name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()));
        [header, by_query].into_iter().flatten().any(|given| secret.is(given))
    }

    /// Returns true if a host, with or without its port, is one of ours.
    pub fn is_ours(&self, host: &str) -> bool {
        let (name, rest) = match host.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some(parts)) => parts,
            Some(None) => return false,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let port = rest.strip_prefix(':');
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !(rest.is_empty() || port.is_some_and(is_port)) {
            return false;
        }
        if host.starts_with('[') && name.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        name.eq_ignore_ascii_case("localhost")
            || is_loopback
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// A secret in a file, read again when the file changes.
///
/// If the changed file is invalid, the previous secret stays.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    known: Mutex<(Option<Stamp>, SecretString)>,
}

/// Inode, modification time, length and mode of a file.
type Stamp = (u64, i64, i64, u64, u32);

impl SecretFile {
    /// Reads a secret from a file that only its owner can read.
    ///
    /// # Errors
    /// When the file holds no secret, or other users can read it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let stamp = stamp(path);
        let secret = KeySource::File(path.to_owned()).load()?.into_secret();
        Ok(Self { path: path.to_owned(), known: Mutex::new((stamp, secret)) })
    }

    /// Compares a text with the secret, in constant time.
    fn is(&self, given: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != known.0 {
            known.0 = stamp;
            match KeySource::File(self.path.clone()).load() {
                Ok(secret) => known.1 = secret.into_secret(),
                Err(error) => tracing::error!(%error, "the secret was not changed"),
            }
        }
        known.1.expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.mode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret in a file that lives as long as the test.
    fn secret(folder: &Path, text: &str) -> SecretFile {
        let path = folder.join(text);
        write(&path, text);
        SecretFile::open(&path).unwrap()
    }

    fn write(path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_replaced_secret_is_reloaded_and_an_invalid_one_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let token = secret(folder.path(), "first");
        let path = folder.path().join("first");
        assert!(token.is("first") && !token.is("second"));
        let beside = folder.path().join("new");
        for (text, expected) in
            [("second\n", "second"), ("", "second"), ("two words", "second"), ("third", "third")]
        {
            write(&beside, text);
            std::fs::rename(&beside, &path).unwrap();
            assert!(token.is(expected), "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(token.is("third"));
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect::<Vec<(header::HeaderName, header::HeaderValue)>>().into_iter().collect()
    }

    #[test]
    fn changes_require_the_token_and_reads_an_allowed_host_and_origin() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets {
            token: Some(secret(folder.path(), "t0ken")),
            hosts: vec!["ops.example".to_owned()],
            ..Secrets::default()
        };
        let local = ("host", "127.0.0.1:9464");
        let (get, post) = (Method::GET, Method::POST);
        for (method, given, expected) in [
            (&get, vec![local], Ok(())),
            (&get, vec![("host", "localhost")], Ok(())),
            (&get, vec![("host", "[::1]:9464")], Ok(())),
            (&get, vec![("host", "Ops.example:80")], Ok(())),
            (&get, vec![("host", "evil.example:9464")], Err(Refusal::Host)),
            (&get, vec![("host", "[::1].evil")], Err(Refusal::Host)),
            (&get, vec![("host", "[::1]:80.evil")], Err(Refusal::Host)),
            (&get, vec![("host", "[::1")], Err(Refusal::Host)),
            (&get, vec![("host", "[localhost]")], Err(Refusal::Host)),
            (&get, vec![("host", "LOCALHOST:80")], Ok(())),
            (&get, vec![("host", "localhost:80:80")], Err(Refusal::Host)),
            (&get, vec![("host", "127.0.0.1:")], Err(Refusal::Host)),
            (&get, vec![("host", "evil@localhost")], Err(Refusal::Host)),
            (&get, vec![local, ("host", "evil.example")], Err(Refusal::Host)),
            (&get, vec![local, local], Err(Refusal::Host)),
            (&get, vec![], Err(Refusal::Host)),
            (&get, vec![local, ("origin", "http://127.0.0.1:9464")], Ok(())),
            (&get, vec![local, ("origin", "http://evil.example")], Err(Refusal::Origin)),
            (&get, vec![local, ("origin", "null")], Err(Refusal::Origin)),
            (&post, vec![local], Err(Refusal::Token)),
            (&post, vec![local, ("authorization", "Bearer t0kem")], Err(Refusal::Token)),
            (&post, vec![local, ("authorization", "Bearer ")], Err(Refusal::Token)),
            (&post, vec![local, ("authorization", "Bearer t0ken")], Ok(())),
            (
                &post,
                vec![local, ("authorization", "Bearer t0ken"), ("origin", "https://x")],
                Err(Refusal::Origin),
            ),
        ] {
            assert_eq!(secrets.check(method, &headers(&given)), expected, "{method} {given:?}");
        }
        let open = Secrets::default();
        assert_eq!(open.check(&post, &headers(&[local])), Err(Refusal::NoToken));
    }

    #[test]
    fn the_webhook_secret_is_accepted_in_a_header_or_the_query() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets {
            webhook: Some(secret(folder.path(), "s3cret")),
            webhook_header: "x-secret".to_owned(),
            webhook_query: Some("key".to_owned()),
            ..Secrets::default()
        };
        let query = |value: &str| vec![("key".to_owned(), value.to_owned())];
        assert!(secrets.knows_webhook(&headers(&[("x-secret", "s3cret")]), &[]));
        assert!(secrets.knows_webhook(&headers(&[]), &query("s3cret")));
        assert!(!secrets.knows_webhook(&headers(&[("x-secret", "other")]), &query("")));
        assert!(!Secrets::default().knows_webhook(&headers(&[("x-secret", "")]), &query("")));
    }
}
