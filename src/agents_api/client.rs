//! The HTTP client: limits time and size, follows no redirect, redacts the key.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, redirect};
use serde_json::{Map, Value, json};

use crate::limits::api::{DEFAULT_RETRY_AFTER, MAX_ANSWER_BYTES, MAX_CORRELATION_ID, MAX_ERROR_TEXT};
use crate::model::{Environment, Instant, PageId, RemotePage, RemoteVariants, is_unprintable};

use super::variants::{read_attributes, read_main, read_variants};
use super::wire::{WireError, read_agents, read_page, read_pages, weight};
use super::{
    AccountId, Agent, ApiError, ApiKey, Meaning, Patched, ReadAgents, ReadPages, ReadVariants, WritePages,
    WriteSchemas,
};

/// The maximum wait taken from a Retry-After header; the gate decides the actual wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(366 * 86_400);
const CORRELATION_ID: &str = "x-polyai-correlation-id";

/// The timeouts of requests.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Time limit for connecting.
    pub connect: Duration,
    /// Time limit between two parts of a response.
    pub read: Duration,
    /// Time limit for a whole request.
    pub total: Duration,
}

/// A client of the Agents API at a base URL.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    key: RwLock<ApiKey>,
}

impl Client {
    /// Creates a client for one base URL and key.
    ///
    /// # Errors
    /// Returns an error when TLS cannot be set up, for example on a machine without root
    /// certificates.
    pub fn new(base_url: &str, key: ApiKey, timeouts: Timeouts) -> Result<Self, ApiError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rtconfd/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the key and the body to another host.
            .redirect(redirect::Policy::none())
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read)
            .timeout(timeouts.total)
            .tcp_nodelay(true);
        let url = reqwest::Url::parse(base_url).ok();
        // A key meant for TLS is never sent without it, even if a later request asks for plain
        // HTTP.
        let is_https = url.as_ref().is_some_and(|url| url.scheme() == "https");
        builder = builder.https_only(is_https);
        // A proxy would resolve a loopback address to its own machine.
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        if host.is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]") {
            builder = builder.no_proxy();
            if !is_https {
                // Loading the machine's certificates takes longer than most commands.
                builder = builder.tls_certs_only([]);
            }
        }
        let http = builder.build().map_err(|error| ApiError {
            message: format!("cannot set up the HTTP client: {error} (hint: install ca-certificates)"),
            ..ApiError::of(Meaning::TryAgain)
        })?;
        Ok(Self { http, base_url: base_url.trim_end_matches('/').to_owned(), key: RwLock::new(key) })
    }

    /// Replaces the key for future requests.
    pub fn set_key(&self, key: ApiKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    fn key(&self) -> ApiKey {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer, ApiError> {
        let key = self.key();
        let mut secret = HeaderValue::from_str(key.expose()).map_err(|_| ApiError {
            message: "the API key has characters that are invalid in a header".to_owned(),
            ..ApiError::of(Meaning::KeyRefused)
        })?;
        secret.set_sensitive(true);
        let mut request =
            self.http.request(method.clone(), format!("{}{path}", self.base_url)).header("x-api-key", secret);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| unanswered(&key, &error))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let correlation_id = header(&headers, CORRELATION_ID).map(|id| clean(&key, &id, MAX_CORRELATION_ID));
        let body = read_body(response).await.map_err(|message| ApiError {
            status: Some(status),
            message: clean(&key, &message, MAX_ERROR_TEXT),
            correlation_id: correlation_id.clone(),
            // An accepted change may have been made even if the rest of the response is lost.
            ..ApiError::of(Meaning::OutcomeUnknown)
        })?;
        if !(200..300).contains(&status) {
            return Err(refused(&key, status, &headers, correlation_id, &body));
        }
        let served_at = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        Ok(Answer { body, correlation_id, key, served_at })
    }
}

struct Answer {
    body: Vec<u8>,
    correlation_id: Option<String>,
    /// The key, to be redacted from messages about the body.
    key: ApiKey,
    /// The time by the API's clock.
    served_at: Option<Instant>,
}

impl Answer {
    fn understood<T>(&self, read: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, ApiError> {
        read(&self.body).map_err(|why| ApiError {
            message: clean(&self.key, &format!("the API's answer is invalid: {why}"), MAX_ERROR_TEXT),
            correlation_id: self.correlation_id.clone(),
            ..ApiError::of(Meaning::OutcomeUnknown)
        })
    }

    fn page(&self, expected: &PageId) -> Result<RemotePage, ApiError> {
        self.understood(|body| read_page(body, expected)).map(|page| self.dated(page, 1))
    }

    /// Returns the page with the response's time and its share of the weight; `of` is the number of
    /// pages in the response.
    fn dated(&self, page: RemotePage, of: usize) -> RemotePage {
        RemotePage { served_at: self.served_at, weight: weight(&self.body) / of.max(1), ..page }
    }
}

impl ReadPages for Client {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        let path = format!("/v1/agents/{agent}/real-time-configs");
        let answer = self.send(Method::GET, &path, None).await?;
        let pages = answer.understood(|body| read_pages(body, agent))?;
        let count = pages.len();
        Ok(pages.into_iter().map(|(environment, page)| (environment, answer.dated(page, count))).collect())
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        self.send(Method::GET, &path(page), None).await?.page(page)
    }
}

impl WritePages for Client {
    async fn patch(&self, page: &PageId, variables: &Map<String, Value>) -> Result<Patched, ApiError> {
        let path = format!("{}/variables", path(page));
        let answer =
            self.send(Method::PATCH, &path, Some(format!("{{\"variables\":{}}}", text(variables)))).await?;
        Ok(Patched { page: answer.page(page)?, correlation_id: answer.correlation_id })
    }
}

impl WriteSchemas for Client {
    async fn put_schema(&self, page: &PageId, schema: &Value) -> Result<Patched, ApiError> {
        let path = format!("{}/schema", path(page));
        let answer = self.send(Method::PUT, &path, Some(json!({ "schema": schema }).to_string())).await?;
        Ok(Patched { page: answer.page(page)?, correlation_id: answer.correlation_id })
    }
}

impl ReadAgents for Client {
    async fn agents(&self, account: Option<&AccountId>) -> Result<Vec<Agent>, ApiError> {
        let path = match account {
            Some(AccountId(account)) => format!("/v1/accounts/{account}/agents"),
            None => "/v1/agents".to_owned(),
        };
        self.send(Method::GET, &path, None).await?.understood(read_agents)
    }
}

impl ReadVariants for Client {
    async fn variants(&self, agent: &str) -> Result<RemoteVariants, ApiError> {
        let branches = self.send(Method::GET, &format!("/v1/agents/{agent}/branches"), None).await?;
        let main = branches.understood(|body| of_list("branches", read_main(body)))?;
        let of_main = format!("/v1/agents/{agent}/branches/{main}");
        let attributes = self.send(Method::GET, &format!("{of_main}/attributes"), None).await?;
        let variants = self.send(Method::GET, &format!("{of_main}/variants"), None).await?;
        Ok(RemoteVariants {
            attributes: attributes.understood(|body| of_list("attributes", read_attributes(body)))?,
            variants: variants.understood(|body| of_list("variants", read_variants(body)))?,
        })
    }
}

/// Names the list in the reason why it is not understood.
fn of_list<T>(name: &str, read: Result<T, String>) -> Result<T, String> {
    read.map_err(|why| format!("the list of {name}: {why}"))
}

/// Serializes variables as they are sent.
fn text(variables: &Map<String, Value>) -> String {
    // Cannot fail: all keys are strings.
    serde_json::to_string(variables).unwrap_or_default()
}

fn path(page: &PageId) -> String {
    format!("/v1/agents/{}/real-time-configs/{}", page.agent, page.environment)
}

/// Builds the error for a missing response: without a connection nothing was sent, otherwise the
/// outcome is unknown.
fn unanswered(key: &ApiKey, error: &reqwest::Error) -> ApiError {
    let meaning =
        if error.is_connect() || error.is_builder() { Meaning::TryAgain } else { Meaning::OutcomeUnknown };
    // Reports the causes but not the URL: reqwest's own text is only the outermost error.
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let what = if error.is_timeout() { "the API did not answer in time" } else { "cannot reach the API" };
    let is_plain = causes.iter().any(|cause| cause.contains("InvalidContentType"));
    let hint = match is_plain {
        true => {
            "(hint: write http:// in base_url for a server on this machine, or correct the port: the \
             server answered without TLS)"
        }
        false => "(hint: check base_url or region, and the network)",
    };
    let message = match causes.last() {
        Some(cause) => format!("{what}: {cause} {hint}"),
        None => format!("{what} {hint}"),
    };
    ApiError { message: clean(key, &message, MAX_ERROR_TEXT), ..ApiError::of(meaning) }
}

fn refused(
    key: &ApiKey,
    status: u16,
    headers: &HeaderMap,
    correlation_id: Option<String>,
    body: &[u8],
) -> ApiError {
    let said = WireError::read(body);
    let message = said.message.unwrap_or_else(|| match std::str::from_utf8(body) {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "no message".to_owned(),
    });
    let message = clean(key, &message, MAX_ERROR_TEXT);
    let meaning = Meaning::of_status(status, said.is_envelope);
    ApiError {
        status: Some(status),
        code: said.code.map(|code| clean(key, &code, MAX_ERROR_TEXT)),
        message,
        correlation_id,
        retry_after: headers.get(RETRY_AFTER).map(|value| retry_after(value, headers)),
        ..ApiError::of(meaning)
    }
}

/// Makes external text safe to log, store and show: key redacted, on one line, and short.
fn clean(key: &ApiKey, text: &str, most: usize) -> String {
    // Redact before truncating: a cut through the key would leave its beginning. Unprintable
    // characters are removed for the check, so that a key split by them is found.
    let printable: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let joined: String = text.chars().filter(|c| !is_unprintable(*c)).collect();
    let shown = if key.is_in(&joined) { key.redact(&joined) } else { printable };
    shown.chars().take(most).collect()
}

/// Parses seconds or a date (RFC 9110, 10.2.3); a date is relative to the response's own Date.
fn retry_after(value: &HeaderValue, headers: &HeaderMap) -> Duration {
    let text = value.to_str().unwrap_or_default();
    let seconds = text.trim().parse::<u64>().map(Duration::from_secs).ok();
    let until = || {
        let then = http_date(text)?;
        let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
        (then - now).to_std().ok()
    };
    seconds.or_else(until).unwrap_or(DEFAULT_RETRY_AFTER).min(LONGEST_RETRY_AFTER)
}

/// Parses a date in header format (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Instant> {
    chrono::DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes")),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("the answer broke off: {}", error.without_url())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_for_https_sends_nothing_without_tls() {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts { connect: second, read: second, total: second };
        let client = |url: &str| Client::new(url, ApiKey::from("k-1"), timeouts).unwrap();
        // Nothing listens on port 1: a request that is sent fails to connect, a refused one is not
        // sent.
        let plain = "http://127.0.0.1:1";
        let refused = client("https://127.0.0.1:1").http.get(plain).send().await.unwrap_err();
        assert!(refused.is_builder(), "{refused:?}");
        let tried = client(plain).http.get(plain).send().await.unwrap_err();
        assert!(tried.is_connect(), "{tried:?}");
    }
}
