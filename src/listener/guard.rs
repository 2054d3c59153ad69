//! Who may do what over HTTP: a token for what changes state, a secret for the webhook, and no help for a web page
//! that tries its luck from a browser on this machine.

use axum::http::{HeaderMap, Method, header};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// What callers over HTTP have to know. None of it is ever printed.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The bearer token for what changes state; without it nothing can be changed.
    pub token: Option<SecretString>,
    /// The webhook's secret; without it there is no webhook.
    pub webhook: Option<SecretString>,
    /// The header that brings the webhook's secret.
    pub webhook_header: String,
    /// The query parameter that may bring it instead.
    pub webhook_query: Option<String>,
    /// Names by which the listener is called, beside this machine's own.
    pub hosts: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was meant for another host: some page resolved its own name to this machine.
    Host,
    /// A page of another origin sent it.
    Origin,
    /// It changes state, and no token is set up.
    NoToken,
    /// The token is missing or wrong.
    Token,
}

impl Refusal {
    /// In words, with the remedy.
    pub fn words(self) -> &'static str {
        match self {
            Self::Host => {
                "the request names a host that this is not (hint: call it by its address, or add the name to listen.hosts)"
            }
            Self::Origin => "a page of another origin may not ask this",
            Self::NoToken => "nothing can be changed over HTTP (hint: set listen.token_file)",
            Self::Token => "the bearer token is missing or wrong",
        }
    }
}

impl Secrets {
    /// Whether a request may pass.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).ok_or(Refusal::Host)?;
        if !self.is_ours(host) {
            return Err(Refusal::Host);
        }
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
        is_equal(token, given).then_some(()).ok_or(Refusal::Token)
    }

    /// Whether a call of the webhook brings the secret.
    pub fn knows_webhook(&self, headers: &HeaderMap, query: &[(String, String)]) -> bool {
        let Some(secret) = &self.webhook else { return false };
        let header = headers.get(self.webhook_header.as_str()).and_then(|value| value.to_str().ok());
        let by_query = self
            .webhook_query
            .as_ref()
            .and_then(|name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()));
        [header, by_query].into_iter().flatten().any(|given| is_equal(secret, given))
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        name == "localhost" || is_loopback || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// However alike the two are, it takes as long.
fn is_equal(secret: &SecretString, given: &str) -> bool {
    secret.expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect::<Vec<(header::HeaderName, header::HeaderValue)>>().into_iter().collect()
    }

    #[test]
    fn a_change_needs_the_token_and_a_look_the_right_host_and_origin() {
        let secrets = Secrets {
            token: Some("t0ken".to_owned().into()),
            hosts: vec!["ops.example".to_owned()],
            ..Secrets::default()
        };
        let local = ("host", "127.0.0.1:9464");
        let (get, post) = (Method::GET, Method::POST);
        for (method, given, wanted) in [
            (&get, vec![local], Ok(())),
            (&get, vec![("host", "localhost")], Ok(())),
            (&get, vec![("host", "[::1]:9464")], Ok(())),
            (&get, vec![("host", "Ops.example:80")], Ok(())),
            (&get, vec![("host", "evil.example:9464")], Err(Refusal::Host)),
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
            assert_eq!(secrets.check(method, &headers(&given)), wanted, "{method} {given:?}");
        }
        let open = Secrets::default();
        assert_eq!(open.check(&post, &headers(&[local])), Err(Refusal::NoToken));
    }

    #[test]
    fn the_webhook_brings_its_secret_by_header_or_query() {
        let secrets = Secrets {
            webhook: Some("s3cret".to_owned().into()),
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
