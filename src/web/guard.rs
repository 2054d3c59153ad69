//! Access control for HTTP.
//!
//! Requests that change state need a token, and the webhook a secret. Checks of host and origin
//! keep out web pages in a browser on this machine.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};
use ipnet::IpNet;

use super::connections::Arrival;
use super::refusal::Refusal;
use super::secret_file::SecretFile;
use super::sessions::Sessions;
use super::visitor::{Caller, Visitor};

/// The secrets that HTTP callers must present; none of them is ever printed.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The tokens; without any, all requests that change state are refused.
    pub tokens: Vec<Token>,
    /// The webhook's secret; without it the webhook is off.
    pub webhook: Option<SecretFile>,
    /// The header that carries the webhook's secret.
    pub webhook_header: String,
    /// The query parameter that may carry it instead.
    pub webhook_query: Option<String>,
    /// Names of the listener besides those of this machine's loopback.
    pub hosts: Vec<String>,
    /// The network of the proxy whose connections count as encrypted.
    pub trusted_proxy: Option<IpNet>,
    /// The name of the cookie of a session. Servers on other ports of one host need other names.
    pub cookie: String,
    /// The people who signed in.
    pub sessions: Arc<Sessions>,
}

/// A token and its holder.
#[derive(Debug)]
pub struct Token {
    /// The holder.
    pub caller: Caller,
    /// The secret.
    pub secret: SecretFile,
}

impl Secrets {
    /// Checks how a request arrived, its host and its origin; returns its sender.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn admit(&self, headers: &HeaderMap, uri: &Uri, arrival: Arrival) -> Result<Visitor, Refusal> {
        let scheme = self.schemes(arrival).ok_or(Refusal::Plain)?;
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // With two Host headers, the one that a proxy in front used is unknown.
        if headers.get_all(header::HOST).iter().count() != 1 {
            return Err(Refusal::Host);
        }
        let host = text(header::HOST).ok_or(Refusal::Host)?;
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().ok();
            let named =
                origin.and_then(|origin| scheme.iter().find_map(|scheme| origin.strip_prefix(scheme)));
            if named != Some(host) {
                return Err(Refusal::Origin);
            }
        }
        let visitor = self.visitor(headers)?;
        // The request line may name a host, too.
        let is_ours = uri.authority().is_none_or(|authority| self.is_ours(authority.as_str()));
        if (is_ours && self.is_ours(host)) || visitor.caller().is_some() {
            Ok(visitor)
        } else {
            Err(Refusal::Host)
        }
    }

    /// Returns the beginnings of origins that a request may have; `None` if it was not encrypted on
    /// its way from another machine.
    fn schemes(&self, arrival: Arrival) -> Option<&'static [&'static str]> {
        let address = arrival.address?;
        match () {
            () if arrival.is_encrypted => Some(&["https://"]),
            () if self.trusted_proxy.is_some_and(|proxy| proxy.contains(&address.to_canonical())) => {
                Some(&["https://", "http://"])
            }
            () if address.to_canonical().is_loopback() => Some(&["http://"]),
            () => None,
        }
    }

    /// Returns the sender of a request by its token or its session.
    fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Refusal> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // Other schemes are for a proxy in front.
        if let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) {
            return self
                .token(given)
                .map(|token| Visitor::Program(token.caller.clone()))
                .ok_or(Refusal::Token);
        }
        let session = self.session(headers).and_then(|cookie| self.sessions.find(cookie));
        // A session ends with its token: when another one is in the file.
        let person = session.and_then(|session| {
            let token = self.tokens.iter().find(|token| token.secret.fingerprint() == session.token)?;
            let caller = &token.caller;
            Some(Visitor::Person(caller.clone(), session.csrf))
        });
        Ok(person.unwrap_or(Visitor::Anonymous))
    }

    /// Returns a token by its text.
    pub fn token(&self, given: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.secret.is(given))
    }

    /// Returns the address for which failed attempts to sign in count.
    ///
    /// The trusted proxy names the caller last in `X-Forwarded-For`.
    pub fn origin(&self, headers: &HeaderMap, arrival: Arrival) -> Option<IpAddr> {
        let address = arrival.address?.to_canonical();
        if !self.trusted_proxy.is_some_and(|proxy| proxy.contains(&address)) {
            return Some(address);
        }
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.or(Some(address))
    }

    /// Returns the cookie of a session.
    pub fn session<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, value)| value)
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

#[cfg(test)]
mod tests {
    use crate::settings::Right;

    use super::super::secret_file::tests::secret;
    use super::super::visitor::Csrf;
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect::<Vec<(header::HeaderName, header::HeaderValue)>>().into_iter().collect()
    }

    #[test]
    fn changes_require_the_token_and_reads_an_allowed_host_and_origin() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = with_token(folder.path(), &[Right::Override]);
        let local = ("host", "127.0.0.1:9464");
        let (get, post) = (false, true);
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
            let visitor = secrets.admit(&headers(&given), &Uri::from_static("/"), LOCAL);
            let checked = match *method {
                true => visitor.and_then(|visitor| visitor.require(Right::Override)),
                false => visitor.map(drop),
            };
            assert_eq!(checked, expected, "{method} {given:?}");
        }
    }

    const LOCAL: Arrival =
        Arrival { address: Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), is_encrypted: false };

    fn with_token(folder: &std::path::Path, rights: &[Right]) -> Secrets {
        let caller = Caller { name: "anna".to_owned(), rights: rights.iter().copied().collect() };
        let tokens = vec![Token { caller, secret: secret(folder, "t0ken") }];
        let (hosts, cookie) = (vec!["ops.example".to_owned()], "session".to_owned());
        Secrets { tokens, hosts, cookie, ..Secrets::default() }
    }

    #[test]
    fn a_request_from_another_machine_must_be_encrypted_or_come_from_the_trusted_proxy() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets {
            trusted_proxy: "10.1.0.0/16".parse().ok(),
            ..with_token(folder.path(), &[Right::Override])
        };
        for (address, is_encrypted, origin, expected) in [
            ("127.0.0.1", false, "http://ops.example", Ok(())),
            ("::ffff:127.0.0.1", false, "http://ops.example", Ok(())),
            ("192.0.2.7", false, "http://ops.example", Err(Refusal::Plain)),
            ("192.0.2.7", true, "https://ops.example", Ok(())),
            ("192.0.2.7", true, "http://ops.example", Err(Refusal::Origin)),
            ("10.1.2.3", false, "https://ops.example", Ok(())),
            ("::ffff:10.1.2.3", false, "https://ops.example", Ok(())),
            ("10.2.2.3", false, "https://ops.example", Err(Refusal::Plain)),
        ] {
            let arrival = Arrival { address: address.parse().ok(), is_encrypted };
            let headers = headers(&[("host", "ops.example"), ("origin", origin)]);
            let admitted = secrets.admit(&headers, &Uri::from_static("/"), arrival).map(drop);
            assert_eq!(admitted, expected, "{address} {is_encrypted} {origin}");
        }
    }

    #[test]
    fn an_unlisted_host_needs_a_token_and_each_change_its_right() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = with_token(folder.path(), &[Right::Override]);
        let admit = |given: &[(&str, &str)]| secrets.admit(&headers(given), &Uri::from_static("/"), LOCAL);
        let unlisted = ("host", "10.1.2.3:9464");
        assert_eq!(admit(&[unlisted]), Err(Refusal::Host));
        let program = admit(&[unlisted, ("authorization", "Bearer t0ken")]).unwrap();
        assert_eq!(program.require(Right::Override), Ok(()));
        assert_eq!(program.require(Right::Approve), Err(Refusal::Right(Right::Approve)));
        assert_eq!(program.who("bert"), "token as anna (for bert)");
        let session = secrets.sessions.begin(secrets.tokens[0].secret.fingerprint()).unwrap();
        let person = admit(&[unlisted, ("cookie", &format!("a=b; session={session}"))]).unwrap();
        let Visitor::Person(_, Csrf(csrf)) = &person else { panic!("{person:?}") };
        assert_eq!(person.require(Right::Override), Err(Refusal::Token), "a browser sends cookies by itself");
        assert_eq!(person.require_in_form(Right::Override, csrf), Ok(()));
        assert_eq!(person.require_in_form(Right::Override, ""), Err(Refusal::Form));
        assert_eq!(person.require_in_form(Right::Approve, csrf), Err(Refusal::Right(Right::Approve)));
        let gone = secrets.sessions.begin([0; 32]).unwrap();
        assert_eq!(admit(&[unlisted, ("cookie", &format!("session={gone}"))]), Err(Refusal::Host));
        let basic = [("host", "localhost"), ("authorization", "Basic eDp5")];
        assert_eq!(admit(&basic), Ok(Visitor::Anonymous));
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
