//! Passes requests at a replica that stands by on to the active one.

use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};

use crate::settings::Right;
use crate::store::relay;

use super::body::read_bytes;
use super::cluster::RelayFailure;
use super::visitor::Visitor;
use super::{Handles, wire};

/// Passes a request on if this replica stands by.
pub(super) async fn pass_on(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    let Some(cluster) = driver.standby() else { return next.run(request).await };
    // Who may change nothing is refused here, so that strangers cannot fill the database.
    if request.method() != Method::GET && !visitor.may(Right::Override) && !visitor.may(Right::Approve) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match read_bytes(body).await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(problems) => {
            let problems = wire::problems(&problems).to_string();
            return (
                StatusCode::UNPROCESSABLE_ENTITY,
                [(header::CONTENT_TYPE, "application/json")],
                problems,
            )
                .into_response();
        }
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let method = parts.method.to_string();
    let wants_page = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_page = wants_page.is_some_and(|accept| accept.contains("text/html"));
    match cluster.ask(relay::Request { visitor: visitor.written(), method, path, body }).await {
        Ok(response) => response,
        Err(refusal) if wants_page => page(&refusal),
        Err(refusal) => refusal.into_response(),
    }
}

/// Returns a page for a browser: the last known state would look like the current one.
fn page(refusal: &RelayFailure) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Standing by - rtconfd" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                main {
                    h1 { "This replica stands by" }
                    p.bad { (refusal.why) "." }
                    p { (refusal.hint) "." }
                }
            }
        }
    };
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::SERVICE_UNAVAILABLE, kind, page.into_string()).into_response()
}
