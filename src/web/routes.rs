//! The routes of the socket and of HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::{Extensions, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::limits::listener::{ANSWER_TIMEOUT, WRONG_TOKEN_PAUSE};
use crate::model::{Environment, PageId, Problem};
use crate::reconcile::{Control, Feed, Status};
use crate::redact::redacted;
use crate::settings::Right;
use crate::store::relay as relayed;

use super::body::{read, read_bytes};
use super::connections::{Arrival, Connection};
use super::guard::Secrets;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::{Handles, OverrideRequest, health, html, metrics, relay, wire};

/// Returns all routes, unguarded: the socket's permissions protect them.
pub fn on_socket(driver: Handles) -> Router {
    let passed_on = for_programs().layer(from_fn_with_state(driver.clone(), relay::pass_on));
    passed_on.merge(local()).merge(for_monitors()).layer(Extension(Visitor::Owner)).with_state(driver)
}

/// Returns the routes of people and programs behind the guard, those of monitors, and the webhook.
pub fn on_network(driver: Handles, secrets: Arc<Secrets>) -> Router {
    let hook = Router::new().route("/webhook", post(webhook)).with_state((driver.clone(), secrets.clone()));
    let nosniff = |mut response: Response| async {
        let value = header::HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, value);
        response
    };
    let guarded = for_programs()
        .with_state(driver.clone())
        .layer(from_fn_with_state(driver.clone(), relay::pass_on))
        .merge(html::views(driver.clone(), secrets.clone()))
        .merge(local().with_state(driver.clone()))
        .merge(html::local(driver.clone(), secrets.clone()))
        .layer(from_fn_with_state(secrets, guard));
    let open = for_monitors().with_state(driver);
    guarded.merge(open).merge(hook).layer(axum::middleware::map_response(nosniff))
}

/// Returns the routes of requests that other replicas admitted.
pub fn for_replicas(driver: Handles) -> Router {
    let views = html::views(driver.clone(), Arc::default());
    let others = Router::new().route("/digest", get(html::digest)).route("/fetch", post(fetch));
    for_programs().merge(others).with_state(driver).merge(views)
}

/// The routes of probes and scrapers. They name a host by its address, and no secret is behind them.
fn for_monitors() -> Router<Handles> {
    Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(numbers))
}

fn for_programs() -> Router<Handles> {
    Router::new()
        .route("/status", get(status))
        .route("/overrides", post(set_override))
        .route("/overrides/{id}", patch(extend_override).delete(release_override))
        .route("/approvals", post(approve))
        .route("/rejections", post(reject))
}

/// The routes of each replica itself.
fn local() -> Router<Handles> {
    Router::new().route("/reload", post(reload))
}

async fn guard(
    State(secrets): State<Arc<Secrets>>,
    Extension(arrival): Extension<Arrival>,
    mut request: Request,
    next: Next,
) -> Response {
    match secrets.admit(request.headers(), request.uri(), arrival) {
        Ok(visitor) => {
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        Err(refusal) => {
            if refusal == Refusal::Token {
                slow_down(request.extensions()).await;
            }
            refused(refusal)
        }
    }
}

/// Waits before a wrong secret is refused, so that secrets cannot be guessed fast.
///
/// Meanwhile the connection may be closed for another one: wrong guesses keep no other caller out.
async fn slow_down(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<Arc<Connection>>() {
        connection.gives_way();
    }
    tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
}

fn refused(refusal: Refusal) -> Response {
    answer(StatusCode::FORBIDDEN, &wire::problems(&[Problem::new(refusal.words())]))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], redacted(body.to_string())).into_response()
}

fn refuse(problems: &[Problem]) -> Response {
    answer(StatusCode::UNPROCESSABLE_ENTITY, &wire::problems(problems))
}

fn unavailable() -> Box<Response> {
    let hint = "check its log: it may be stopping, and the request may have been carried out";
    let problem = Problem::new("the daemon does not answer").hint(hint);
    Box::new(answer(StatusCode::SERVICE_UNAVAILABLE, &wire::problems(&[problem])))
}

impl Handles {
    /// Sends a control and waits for the answer; fails when the daemon is stopping.
    pub(super) async fn ask<T>(
        &self,
        control: impl FnOnce(oneshot::Sender<T>) -> Control,
    ) -> Result<T, Box<Response>> {
        let (send, answered) = oneshot::channel();
        let asked = async {
            self.feed.send(Feed::Control(control(send))).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok().flatten().ok_or_else(unavailable)
    }

    pub(super) async fn status(&self) -> Result<Arc<Status>, Box<Response>> {
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, self.board.ask());
        // A driver that lost its store answers nothing any more.
        let lost = async {
            match &self.cluster {
                Some(cluster) => cluster.stands_by().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = asked => status.ok().flatten(),
            () = lost => None,
        }
        .ok_or_else(unavailable)
    }
}

async fn numbers(State(driver): State<Handles>) -> Response {
    let text = match driver.standby() {
        Some(_) => Ok(metrics::of_standby()),
        None => driver.status().await.map(|status| metrics::text(&status, driver.alone().is_some())),
    };
    match text {
        Ok(Ok(text)) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Ok(Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(refusal) => *refusal,
    }
}

async fn status(State(driver): State<Handles>) -> Response {
    let status = match driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    // One text for all concurrent requests: with many pages, serializing takes longer than
    // publishing.
    let mut written = driver.written.lock().await;
    let text = match &*written {
        Some((known, text)) if Arc::ptr_eq(known, &status) => text.clone(),
        _ => {
            let mut shown = wire::status(&status);
            if let Some(cluster) = &driver.cluster {
                shown["replicas"] = wire::replicas(&cluster.replicas());
                shown["alone"] = wire::alone(cluster.alone().as_ref());
            }
            let text = Bytes::from(redacted(shown.to_string()));
            *written = Some((status, text.clone()));
            text
        }
    };
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn set_override(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    if let Err(refusal) = visitor.require(Right::Override) {
        return refused(refusal);
    }
    let read = read::<OverrideRequest>(request.into_body()).await;
    let named = read.map(|request| OverrideRequest { who: visitor.who(&request.who), ..request });
    let draft = match named.and_then(OverrideRequest::read) {
        Ok(draft) => draft,
        Err(problems) => return refuse(&problems),
    };
    match driver.ask(|answer| Control::Set(Box::new(draft), answer)).await {
        Ok(Ok(set)) => answer(StatusCode::CREATED, &wire::shown(&set)),
        Ok(Err(problems)) => refuse(&problems),
        Err(refusal) => *refusal,
    }
}

/// The user who sends the request.
#[derive(Deserialize)]
struct Who {
    #[serde(default)]
    who: String,
}

/// The body of an extension.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extend {
    until: String,
    #[serde(default)]
    who: String,
}

async fn extend_override(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<i64>,
    request: Request,
) -> Response {
    if let Err(refusal) = visitor.require(Right::Override) {
        return refused(refusal);
    }
    let asked = read::<Extend>(request.into_body()).await.and_then(|Extend { until, who }| {
        let until = until.parse().map_err(|message: String| vec![Problem::new(message)])?;
        Ok((until, visitor.who(&who)))
    });
    let (until, who) = match asked {
        Ok(asked) => asked,
        Err(problems) => return refuse(&problems),
    };
    match driver.ask(|answer| Control::Extend { id, until, who, answer }).await {
        Ok(Ok(set)) => answer(StatusCode::CREATED, &wire::shown(&set)),
        Ok(Err(problems)) => refuse(&problems),
        Err(refusal) => *refusal,
    }
}

async fn release_override(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<i64>,
    Query(Who { who }): Query<Who>,
) -> Response {
    if let Err(refusal) = visitor.require(Right::Override) {
        return refused(refusal);
    }
    let who = visitor.who(&who);
    done(driver.ask(|answer| Control::Release { id, who, answer }).await)
}

/// The body of an approval or a rejection.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    revision: String,
    #[serde(default)]
    who: String,
}

/// Reads a verdict and the person who gives it.
async fn verdict(visitor: &Visitor, request: Request) -> Result<Verdict, Box<Response>> {
    visitor.require(Right::Approve).map_err(|refusal| Box::new(refused(refusal)))?;
    let read = read::<Verdict>(request.into_body()).await.map_err(|problems| Box::new(refuse(&problems)))?;
    Ok(Verdict { who: visitor.who(&read.who), ..read })
}

/// Approves the held revision; answers with the number of approvals still missing.
async fn approve(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let Verdict { revision, who } = match verdict(&visitor, request).await {
        Ok(verdict) => verdict,
        Err(refusal) => return *refusal,
    };
    match driver.ask(|answer| Control::Approve { revision, who, answer }).await {
        Ok(Ok(missing)) => answer(StatusCode::OK, &json!({ "missing_approvals": missing })),
        Ok(Err(problem)) => refuse(&[problem]),
        Err(refusal) => *refusal,
    }
}

async fn reject(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    match verdict(&visitor, request).await {
        Ok(Verdict { revision, who }) => {
            done(driver.ask(|answer| Control::Reject { revision, who, answer }).await)
        }
        Err(refusal) => *refusal,
    }
}

/// Reloads the settings and reports the result: their problems, or what keeps them from the pages.
async fn reload(State(driver): State<Handles>, Extension(visitor): Extension<Visitor>) -> Response {
    if let Err(refusal) = visitor.require(Right::Approve) {
        return refused(refusal);
    }
    match tokio::time::timeout(ANSWER_TIMEOUT, driver.reloads.reload()).await.ok().flatten() {
        Some(Ok(())) if driver.standby().is_some() => {
            answer(StatusCode::OK, &json!({ "held": null, "withheld": null, "standby": true }))
        }
        Some(Ok(())) => {
            // The reload succeeded, even if the status takes long.
            let status = tokio::time::timeout(STATUS_TIMEOUT, driver.board.ask()).await.ok().flatten();
            let held = status.as_ref().and_then(|status| Some(&status.held.as_ref()?.revision));
            let withheld = status.as_ref().and_then(|status| Some(status.withheld.as_ref()?.text()));
            answer(StatusCode::OK, &json!({ "held": held, "withheld": withheld }))
        }
        Some(Err(problems)) => refuse(&problems),
        None => *unavailable(),
    }
}

/// The wait for the status after a reload.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

fn done(asked: Result<Result<(), Problem>, Box<Response>>) -> Response {
    match asked {
        Ok(Ok(())) => answer(StatusCode::OK, &json!({})),
        Ok(Err(problem)) => refuse(&[problem]),
        Err(refusal) => *refusal,
    }
}

/// Handles the vendor's `on_realtime_config_updated`.
///
/// Requests a fetch of the page with the named agent and environment. A missing name widens this,
/// up to all pages, since users may template the body.
async fn webhook(
    State((driver, secrets)): State<(Handles, Arc<Secrets>)>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    if !secrets.knows_webhook(request.headers(), &query) {
        slow_down(request.extensions()).await;
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(cluster) = driver.standby() else { return fetch(State(driver), request).await };
    let body = read_bytes(request.into_body()).await.unwrap_or_default();
    let request = relayed::Request {
        visitor: Visitor::Anonymous.written(),
        method: "POST".to_owned(),
        path: "/fetch".to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    cluster.ask(request).await.unwrap_or_else(IntoResponse::into_response)
}

/// Requests a fetch of the pages that a call of the webhook names.
async fn fetch(State(driver): State<Handles>, request: Request) -> Response {
    let body: Value = read(request.into_body()).await.unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let environment = text("client_env").and_then(|text| text.parse::<Environment>().ok());
    let agent = text("project_id").filter(|id| PageId::new(id, Environment::Live).is_ok()).map(str::to_owned);
    let by = text("user").map(|user| user.chars().filter(|c| !c.is_control()).take(200).collect());
    let fetch = Feed::Control(Control::Fetch { agent, environment, by });
    match driver.feed.try_send(fetch) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        // Under a flood of calls this one can be dropped: the queued ones cause the fetch as well.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
