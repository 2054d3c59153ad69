//! Sends a message by HTTP: no redirects, a time limit, and no URL in any text.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};

use crate::limits::notifications::MAX_NOTIFY_ANSWER;
use crate::model::Instant;
use crate::settings::{Address, Receiver, Via, check_url, is_on_this_machine};

use super::outcome::{Failure, Outcome, Refusal};
use super::secret::Secret;
use super::signature::sign;

/// A request that is ready to be sent, and the secrets that must not be shown.
pub(super) struct Prepared {
    request: RequestBuilder,
    secrets: Vec<Secret>,
}

/// The address of a receiver, its signing secret, and everything that must not be shown.
pub(super) struct Target {
    url: String,
    signing: Option<String>,
    secrets: Vec<Secret>,
}

/// Reads the address and the secrets of a receiver.
///
/// # Errors
/// The problem with a secret or a URL, as text that may be shown.
pub(super) fn read_target(receiver: &Receiver) -> Result<Target, String> {
    let mut secrets = Vec::new();
    let mut from_file = |path, what| -> Result<String, String> {
        let secret = Secret::read(path, what)?;
        let text = secret.expose();
        secrets.push(secret);
        // The whole URL first: its parts are parts of it.
        if what == "URL" {
            secrets.extend(Secret::parts_of(&text));
        }
        Ok(text)
    };
    let (url, signing) = match &receiver.via {
        Via::Webhook { url: Address::Url(url), secret_file } => (url.clone(), Some(secret_file)),
        Via::Webhook { url: Address::File(path), secret_file } => {
            (from_file(path, "URL")?, Some(secret_file))
        }
        Via::Slack(path) | Via::Teams(path) => (from_file(path, "URL")?, None),
        Via::Command(_) => return Err("a command has no URL".to_owned()),
    };
    check_url(&url).map_err(|why| format!("invalid URL: {why}"))?;
    let signing = match signing {
        Some(path) => {
            let secret = from_file(path, "signing secret")?;
            let checked = sign(&secret, "", 0, "");
            checked.map_err(|why| format!("invalid signing secret in {}: {why}", path.display()))?;
            Some(secret)
        }
        None => None,
    };
    Ok(Target { url, signing, secrets })
}

/// Prepares the request with a body.
///
/// # Errors
/// The problem with a secret, a URL or the client, as text that may be shown.
pub(super) fn prepare(receiver: &Receiver, id: &str, body: String, now: Instant) -> Result<Prepared, String> {
    let Target { url, signing, secrets } = read_target(receiver)?;
    let mut request = client(&url, receiver.timeout)?.post(&url).header(CONTENT_TYPE, "application/json");
    if let Some(secret) = signing {
        let timestamp = now.timestamp();
        request = request
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", sign(&secret, id, timestamp, &body)?);
    }
    Ok(Prepared { request: request.body(body), secrets })
}

fn client(url: &str, timeout: Duration) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("rtconfd/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the message to another host.
        .redirect(redirect::Policy::none())
        .https_only(url.starts_with("https://"))
        .timeout(timeout);
    if is_on_this_machine(url) {
        builder = builder.no_proxy();
        if !url.starts_with("https://") {
            // Loading the machine's certificates takes a while.
            builder = builder.tls_certs_only([]);
        }
    }
    builder.build().map_err(|error| format!("cannot set up the HTTP client: {}", error.without_url()))
}

impl Prepared {
    /// Sends the request.
    pub(super) async fn send(self) -> Outcome {
        let Self { request, secrets } = self;
        let redact = |text: &str| secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::failed(&redact(&unanswered(error)), Failure::default()),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await;
        let answer = redact(&format!("{status} {}", body.trim()));
        let answer = answer.trim_end();
        if status.is_success() {
            return Outcome::delivered(answer);
        }
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let refusal = refusal(status);
        Outcome::failed(answer, Failure { retry_after: seconds.map(Duration::from_secs), refusal })
    }
}

/// Returns the refusal that a status means; none for a failure that may be temporary.
fn refusal(status: StatusCode) -> Option<Refusal> {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => None,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Some(Refusal::Content)
        }
        status if status.is_server_error() => None,
        _ => Some(Refusal::Other),
    }
}

/// Describes an error with its causes, without the URL.
fn unanswered(error: reqwest::Error) -> String {
    let what = match () {
        () if error.is_timeout() => "timed out",
        () if error.is_connect() => "cannot connect",
        () => "the request failed",
    };
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    let mut deepest = String::new();
    while let Some(error) = cause {
        deepest = format!(": {error}");
        cause = error.source();
    }
    format!("{what}{deepest}")
}

/// Reads the beginning of an answer.
async fn read(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_NOTIFY_ANSWER {
            body.truncate(MAX_NOTIFY_ANSWER);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}
