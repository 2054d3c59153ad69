//! The simulator's own controls: faults, request log, pages, edits by a user, and a web page.

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State as FromState};
use axum::http::{Request, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::project_routes::Edit;
use super::state::Simulator;

const BODY_BYTES: usize = 1 << 20;

fn json(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn reported(status: StatusCode, message: String) -> Response {
    (status, json(&json!({ "error": message }))).into_response()
}

async fn read(request: Request<Body>) -> Option<Value> {
    let bytes = to_bytes(request.into_body(), BODY_BYTES).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The query of the request log.
#[derive(Deserialize)]
pub struct Since {
    #[serde(default)]
    since: usize,
}

/// Returns the request log; `?since=N` from number N on.
pub async fn requests(
    FromState(simulator): FromState<Simulator>,
    Query(Since { since }): Query<Since>,
) -> Response {
    let log = simulator.log();
    json(&json!(log.get(since..).unwrap_or_default()))
}

/// Adds a fault.
pub async fn inject(FromState(simulator): FromState<Simulator>, request: Request<Body>) -> Response {
    match read(request).await.map(serde_json::from_value::<Fault>) {
        Some(Ok(fault)) => {
            simulator.inject(fault.clone());
            json(&json!(fault))
        }
        Some(Err(error)) => reported(StatusCode::BAD_REQUEST, error.to_string()),
        None => reported(StatusCode::BAD_REQUEST, "the body must be JSON".to_owned()),
    }
}

/// Removes all faults.
pub async fn heal(FromState(simulator): FromState<Simulator>) -> StatusCode {
    simulator.heal();
    StatusCode::NO_CONTENT
}

/// Returns all pages that were written at least once.
pub async fn all_pages(FromState(simulator): FromState<Simulator>) -> Response {
    let pages = simulator.with_pages(|pages| {
        let keys: Vec<_> =
            pages.touched().map(|(agent, environment)| (agent.to_owned(), environment)).collect();
        let page = |(agent, environment): &(String, _)| {
            let mut page = pages.page(agent, *environment);
            page["agent"] = json!(agent);
            page
        };
        keys.iter().map(page).collect::<Vec<_>>()
    });
    json(&json!({ "now": simulator.shared.clock.now(), "pages": pages }))
}

/// Edits a page with `PATCH {"variables": …}`, as a user of the vendor's UI would.
pub async fn edit(
    FromState(simulator): FromState<Simulator>,
    Path((agent, environment)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let body = read(request).await;
    simulator.edit(&agent, &environment, body.as_ref())
}

/// Returns the variants and deployments of an agent.
pub async fn project(FromState(simulator): FromState<Simulator>, Path(agent): Path<String>) -> Response {
    json(&simulator.edit_project(&agent, &Edit::default()))
}

/// Edits the variants of main with `PATCH {"variants": …}`, as a user of the vendor's UI would.
pub async fn edit_project(
    FromState(simulator): FromState<Simulator>,
    Path(agent): Path<String>,
    request: Request<Body>,
) -> Response {
    match read(request).await.map(serde_json::from_value::<Edit>) {
        Some(Ok(edit)) => json(&simulator.edit_project(&agent, &edit)),
        Some(Err(error)) => reported(StatusCode::BAD_REQUEST, error.to_string()),
        None => reported(StatusCode::BAD_REQUEST, "the body must be JSON".to_owned()),
    }
}

/// Returns the simulator's web page.
pub async fn ui() -> Html<&'static str> {
    Html(include_str!("ui.html"))
}
