//! Passes requests at a replica that stands by on to the active one.

use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::settings::Right;
use crate::store::relay;

use super::body::read_bytes;
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
    cluster.ask(relay::Request { visitor: visitor.written(), method, path, body }).await
}
