//! The simulator over HTTP as the vendor's own client sees it, and our client against it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rtconfd::agents_api::{Client, KeySource, Meaning, ReadPages, Timeouts, WritePages};
use rtconfd::clock::WallClock;
use rtconfd::model::PageId;
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Api, Folder, KEY};

const PAGE: &str = "/v1/agents/A-1/real-time-configs/live";

/// Method, path, key, body, content type; status, error code.
type Case =
    (Method, &'static str, Option<&'static str>, Option<&'static str>, &'static str, u16, &'static str);

struct Reply {
    status: u16,
    body: Value,
    text: String,
    headers: reqwest::header::HeaderMap,
}

async fn send(
    api: &Api,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: Option<&str>,
    kind: &str,
) -> Reply {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}", api.url)).header("content-type", kind);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    if let Some(body) = body {
        request = request.body(body.to_owned());
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Reply { status, body: serde_json::from_str(&text).unwrap_or_default(), text, headers }
}

async fn call(api: &Api, method: Method, path: &str, body: Option<&str>) -> Reply {
    send(api, method, path, Some(KEY), body, "application/json").await
}

#[tokio::test]
async fn every_refusal_has_its_status_error_code_and_correlation_id() {
    let api = Api::with(vec!["A-1".to_owned()], Arc::new(WallClock));
    call(
        &api,
        Method::PUT,
        &format!("{PAGE}/schema"),
        Some(r#"{"schema": {"properties": {"n": {"type": "integer"}}}}"#),
    )
    .await;
    let json = "application/json";
    let cases: Vec<Case> = vec![
        (Method::GET, PAGE, None, None, json, 401, "AUTH_USER_UNAUTHORISED"),
        (Method::GET, PAGE, Some("wrong"), None, json, 401, "AUTH_USER_UNAUTHORISED"),
        (
            Method::GET,
            "/v1/agents/A-9/real-time-configs/live",
            Some(KEY),
            None,
            json,
            404,
            "PROJECT_NOT_FOUND",
        ),
        (
            Method::GET,
            "/v1/agents/A-9/real-time-configs",
            Some(KEY),
            None,
            json,
            403,
            "REAL_TIME_CONFIG_FORBIDDEN_ACCESS",
        ),
        (
            Method::GET,
            "/v1/agents/A-1/real-time-configs/prod",
            Some(KEY),
            None,
            json,
            400,
            "REAL_TIME_CONFIG_UNKNOWN_CLIENT_ENVIRONMENT",
        ),
        (
            Method::GET,
            "/v1/agents/A%201/real-time-configs/live",
            Some(KEY),
            None,
            json,
            422,
            "VALIDATION_ERROR",
        ),
        (Method::GET, "/v1/nothing", Some(KEY), None, json, 404, "NOT_FOUND"),
        (Method::POST, PAGE, Some(KEY), Some("{}"), json, 405, "METHOD_NOT_ALLOWED"),
        (
            Method::PATCH,
            "/v1/agents/A-1/real-time-configs/live/variables",
            Some(KEY),
            Some("{}"),
            "text/plain",
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            Method::PATCH,
            "/v1/agents/A-1/real-time-configs/live/variables",
            Some(KEY),
            Some("{nonsense"),
            json,
            400,
            "VALIDATION_ERROR",
        ),
        (
            Method::PATCH,
            "/v1/agents/A-1/real-time-configs/live/variables",
            Some(KEY),
            Some(r#"{"variables": []}"#),
            json,
            400,
            "VALIDATION_ERROR",
        ),
        (
            Method::PATCH,
            "/v1/agents/A-1/real-time-configs/live/variables",
            Some(KEY),
            Some(r#"{"variables": {"n": "x"}}"#),
            json,
            400,
            "REAL_TIME_CONFIG_INVALID_FOR_SCHEMA",
        ),
        (
            Method::PUT,
            "/v1/agents/A-1/real-time-configs/live/schema",
            Some(KEY),
            Some(r#"{"schema": {"type": "nonsense"}}"#),
            json,
            400,
            "REAL_TIME_CONFIG_INVALID_SCHEMA",
        ),
    ];
    for (method, path, key, body, kind, status, code) in cases {
        let reply = send(&api, method.clone(), path, key, body, kind).await;
        assert_eq!(
            (reply.status, reply.body["error_code"].as_str()),
            (status, Some(code)),
            "{method} {path} {body:?}"
        );
        assert_eq!(reply.body["success"], json!(false));
        assert_eq!(reply.body["data"], Value::Null);
        assert!(reply.body["error"].is_string() && reply.body["error_message"].is_string());
        let id = reply.headers["x-polyai-correlation-id"].to_str().unwrap();
        assert_eq!(reply.body["error_id"], json!(id));
        if status == 405 {
            assert_eq!(reply.headers["allow"], "GET");
        }
    }
}

#[tokio::test]
async fn a_page_behaves_as_the_vendors_client_expects() {
    let api = Api::start();
    let untouched = call(&api, Method::GET, PAGE, None).await;
    assert_eq!(untouched.status, 200);
    assert_eq!(
        untouched.body,
        json!({"clientEnv": "live", "variables": {}, "schema": null, "lastUpdated": null})
    );

    // The schema is put first; the stored values may not meet it yet.
    let patched = call(
        &api,
        Method::PATCH,
        &format!("{PAGE}/variables"),
        Some(r#"{"variables": {"n": "text", "keep": {"a": 1}}}"#),
    )
    .await;
    assert_eq!(patched.status, 200);
    let schema = r#"{"schema": {"properties": {"n": {"type": "number"}}}}"#;
    let put = call(&api, Method::PUT, &format!("{PAGE}/schema"), Some(schema)).await;
    assert_eq!(put.status, 200);
    assert_ne!(put.body["lastUpdated"], patched.body["lastUpdated"], "each write has its own lastUpdated");
    let refused =
        call(&api, Method::PATCH, &format!("{PAGE}/variables"), Some(r#"{"variables": {"keep": 2}}"#)).await;
    assert_eq!(refused.status, 400, "the merged page is checked");
    let read = call(&api, Method::GET, PAGE, None).await;
    assert_eq!(read.body["lastUpdated"], put.body["lastUpdated"], "a refused write keeps lastUpdated");

    // Shallow merge: a nested object is replaced whole; numbers and text stay exact.
    let body = r#"{"variables": {"n": 1.0, "big": 9007199254740993, "keep": {"b": 2}, "text": "caf\u00e9 \ud83d\ude00"}}"#;
    let merged = call(&api, Method::PATCH, &format!("{PAGE}/variables"), Some(body)).await;
    assert_eq!(merged.status, 200);
    let read = call(&api, Method::GET, PAGE, None).await;
    assert_eq!(read.body["lastUpdated"], merged.body["lastUpdated"]);
    assert!(read.text.contains("\"n\":1.0") && read.text.contains("9007199254740993"), "{}", read.text);
    assert_eq!(read.body["variables"]["keep"], json!({"b": 2}));
    assert_eq!(read.body["variables"]["text"], json!("café 😀"));

    for empty in [r#"{"schema": {}}"#, r#"{"variables": {}}"#] {
        let (method, path) =
            if empty.contains("schema") { (Method::PUT, "schema") } else { (Method::PATCH, "variables") };
        assert_eq!(call(&api, method, &format!("{PAGE}/{path}"), Some(empty)).await.status, 200);
    }
    let list = call(&api, Method::GET, "/v1/agents/A-1/real-time-configs", None).await;
    let environments: Vec<&str> = list.body["configPages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|page| page["clientEnv"].as_str().unwrap())
        .collect();
    assert_eq!(environments, ["sandbox", "pre-release", "live"]);
}

#[tokio::test]
async fn a_sent_correlation_id_is_echoed_and_agents_can_be_created_and_listed() {
    let api = Api::with(vec!["A-1".to_owned()], Arc::new(WallClock));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let reply = client
        .get(format!("{}/v1/agents", api.url))
        .header("x-api-key", KEY)
        .header("X-PolyAI-Correlation-Id", "mine-1")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.headers()["x-polyai-correlation-id"], "mine-1");
    let body = r#"{"name": "Desk", "agentId": "A-2", "responseSettings": {"greeting": "Hello"}}"#;
    let made = call(&api, Method::POST, "/v1/accounts/ws-1/agents", Some(body)).await;
    assert_eq!((made.status, &made.body["agentId"]), (200, &json!("A-2")));
    assert_eq!(call(&api, Method::POST, "/v1/accounts/ws-1/agents", Some(body)).await.status, 409);
    assert_eq!(call(&api, Method::POST, "/v1/accounts/ws-1/agents", Some("{}")).await.status, 400);
    let agents = call(&api, Method::GET, "/v1/accounts/ws-1/agents", None).await;
    let ids: Vec<&Value> = agents.body.as_array().unwrap().iter().map(|agent| &agent["agentId"]).collect();
    assert_eq!(ids, [&json!("A-1"), &json!("A-2")]);
    assert_eq!(call(&api, Method::GET, "/v1/agents/A-2/real-time-configs/live", None).await.status, 200);
}

#[tokio::test]
async fn faults_log_and_edits_are_available_over_http() {
    let api = Api::start();
    let fault = r#"{"kind": "rate_limit", "retry_after": 7, "method": "GET", "times": 1}"#;
    assert_eq!(call(&api, Method::POST, "/_simulator/faults", Some(fault)).await.status, 200);
    let limited = call(&api, Method::GET, PAGE, None).await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(call(&api, Method::GET, PAGE, None).await.status, 200);
    assert_eq!(
        call(&api, Method::POST, "/_simulator/faults", Some(r#"{"kind": "earthquake"}"#)).await.status,
        400
    );

    let edit =
        call(&api, Method::PATCH, "/_simulator/pages/A-1/live", Some(r#"{"variables": {"x": 1}}"#)).await;
    assert_eq!((edit.status, &edit.body["variables"]), (200, &json!({"x": 1})));
    let pages = call(&api, Method::GET, "/_simulator/pages", None).await;
    assert_eq!(pages.body["pages"][0]["agent"], json!("A-1"));
    let log = call(&api, Method::GET, "/_simulator/requests", None).await;
    assert_eq!(log.body.as_array().unwrap().len(), 2, "control requests are not logged");
    assert!(!log.text.contains(KEY));
    assert!(call(&api, Method::GET, "/", None).await.text.contains("<title>Agents API simulator</title>"));
}

// ---- our client ----

fn client(url: &str, total: Duration) -> Client {
    let folder = Folder::new(url, "");
    let key = KeySource::File(folder.path("key")).load().unwrap();
    let timeouts = Timeouts { connect: Duration::from_secs(5), read: total, total };
    Client::new(url, key, timeouts).unwrap()
}

fn page() -> PageId {
    "A-1/live".parse().unwrap()
}

#[tokio::test]
async fn each_failure_is_classified() {
    let api = Api::start();
    let client = client(&api.url, Duration::from_millis(400));
    for (kind, meaning) in [
        (Kind::Status { status: 400 }, Meaning::Refused),
        (Kind::Status { status: 404 }, Meaning::Unavailable),
        (Kind::Status { status: 409 }, Meaning::TryAgain),
        (Kind::Status { status: 422 }, Meaning::Refused),
        (Kind::Status { status: 401 }, Meaning::KeyRefused),
        (Kind::Status { status: 403 }, Meaning::Unavailable),
        (Kind::Status { status: 408 }, Meaning::OutcomeUnknown),
        (Kind::Status { status: 500 }, Meaning::OutcomeUnknown),
        (Kind::Status { status: 502 }, Meaning::OutcomeUnknown),
        (Kind::Status { status: 503 }, Meaning::OutcomeUnknown),
        (Kind::RateLimit { retry_after: 9 }, Meaning::Slower),
        (Kind::Reset, Meaning::OutcomeUnknown),
        (Kind::Latency { ms: 60_000 }, Meaning::OutcomeUnknown),
    ] {
        api.simulator.inject(Fault::new(kind.clone()).times(1));
        let error = client.patch(&page(), &serde_json::Map::new()).await.unwrap_err();
        assert_eq!(error.meaning, meaning, "{kind:?}: {error}");
        if let Kind::RateLimit { .. } = kind {
            assert_eq!(error.retry_after, Some(Duration::from_secs(9)));
        }
        if let Kind::Status { .. } = kind {
            assert!(error.correlation_id.is_some());
        }
    }
    // Nothing listens on this port.
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error =
        self::client(&format!("http://{unused}"), Duration::from_secs(5)).page(&page()).await.unwrap_err();
    assert_eq!(error.meaning, Meaning::TryAgain, "{error}");
}

/// Starts a server that answers one connection with fixed bytes and returns the request.
async fn canned(answer: String) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = vec![0; 8192];
        let length = stream.read(&mut received).await.unwrap();
        // The client may disconnect before it has read everything.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        String::from_utf8_lossy(&received[..length]).into_owned()
    });
    (url, task)
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_an_echoed_key_is_redacted() {
    let (elsewhere, hit) = canned("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}/x\r\ncontent-length: 0\r\n\r\n");
    let (url, _) = canned(answer).await;
    let error = client(&url, Duration::from_secs(5)).page(&page()).await.unwrap_err();
    assert_eq!((error.status, error.meaning), (Some(307), Meaning::Unavailable));
    assert!(error.to_string().contains("redirects are not followed"), "{error}");
    assert!(!hit.is_finished(), "the key was sent to another host");

    let body = format!(
        "{{\"message\": \"bad key {KEY}\", \"errors\": [{{\"field\": \"x-api-key\", \"message\": \"{KEY}?\"}}]}}"
    );
    let (url, sent) =
        canned(format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    let error = client(&url, Duration::from_secs(5)).page(&page()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    assert!(
        error.to_string().contains("bad key [key]; x-api-key [key]?"),
        "the older error format is also read: {error}"
    );
    assert!(sent.await.unwrap().to_lowercase().contains(&format!("x-api-key: {KEY}")));
}

/// A server or proxy may echo the key anywhere in its answer, or forge log lines.
#[tokio::test]
async fn text_from_the_api_never_contains_the_key_or_control_characters() {
    let (start, end) = KEY.split_at(7);
    for (status, body) in [
        ("200 OK", format!("{{\"clientEnv\": \"live\", \"variables\": [\"{KEY}\"]}}")),
        (
            "400 Bad Request",
            format!("{{\"error_code\": \"{KEY}\", \"error_message\": \"a\\u001b[2J\\nERROR {KEY}\"}}"),
        ),
        ("500 Oops", format!("plain\x1b[31m\r\n{start}\x07{end}\u{202e}")),
    ] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nx-polyai-correlation-id: c-{KEY}-1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (url, _) = canned(answer).await;
        let error = client(&url, Duration::from_secs(5)).page(&page()).await.unwrap_err();
        let reported = format!("{error}");
        assert!(
            !reported.contains(KEY)
                && !reported.chars().any(char::is_control)
                && !reported.contains('\u{202e}'),
            "{reported:?}"
        );
        assert_eq!(error.correlation_id.as_deref(), Some("c-[key]-1"), "{status}");
    }
}

#[tokio::test]
async fn invalid_answers_are_reported_with_their_defect() {
    for (answer, expected) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", "it is empty"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"clientEnv\":\"live\",   }",
            "the API's answer is invalid",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"clientEnv\"", "broke off"),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 12\r\n\r\n<html></html", "502: <html></html"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"variables\":{\"a\":1}}", "clientEnv is missing"),
    ] {
        let (url, _) = canned(answer.to_owned()).await;
        let got = client(&url, Duration::from_secs(5)).page(&page()).await;
        let error = got.unwrap_err();
        assert!(error.to_string().contains(expected), "{answer}: {error}");
    }
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n{}", " ".repeat(40_000_000));
    let (url, _) = canned(huge).await;
    let error = client(&url, Duration::from_secs(20)).page(&page()).await.unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
    assert_eq!(StatusCode::OK.as_u16(), error.status.unwrap());
}
