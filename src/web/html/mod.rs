//! The status page: server-rendered HTML that needs no JavaScript, one script and one style sheet.
//!
//! `maud` escapes every value, and the Content-Security-Policy allows nothing inline.

mod actions;
mod app;
mod chart;
mod filter;
mod frame;
mod heard;
mod held;
mod live;
mod overrides;
mod overview;
mod page;
mod pairs;
mod row;
mod sign_in;
mod sites;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Handles;
use super::guard::Secrets;
use super::relay::pass_on;

use app::App;
pub(super) use live::show_digest as digest;

pub(crate) use chart::{chart, legend};
pub(crate) use heard::timelines;
pub(crate) use row::site;

/// The style of all views.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The policy for browsers: nothing from elsewhere, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A clock.
const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#11703c"/><path d="M8 4v4l3 2" stroke="#fff" stroke-width="1.6" fill="none"/></svg>"##;

/// Returns the views and actions of the status page. They expect a `Visitor` in each request.
pub(super) fn views(driver: Handles, secrets: Arc<Secrets>) -> Router {
    Router::new()
        .route("/", get(overview::show))
        .route("/pages/{agent}/{environment}", get(page::show))
        .route("/held", get(held::show))
        .route("/sites", get(sites::show))
        .route("/overrides", get(overrides::show))
        .route("/override", get(overrides::ask_by_link).post(overrides::ask))
        .route("/override/set", post(actions::set_override))
        .route("/override/{id}/extend", post(actions::extend_override))
        .route("/override/{id}/release", post(actions::release_override))
        .route("/held/approve", post(actions::approve))
        .route("/held/reject", post(actions::reject))
        .route("/resync", post(actions::resync))
        .with_state(App::new(driver.clone(), secrets))
        // Inside of the policy: a view of the active replica needs it, too.
        .layer(from_fn_with_state(driver, pass_on))
        .layer(map_response(with_policy))
}

/// Returns the parts of the status page that each replica serves itself.
pub(super) fn local(driver: Handles, secrets: Arc<Secrets>) -> Router {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::begin))
        .route("/sign-out", post(sign_in::end))
        .route("/events", get(live::events))
        .with_state(App::new(driver, secrets))
        .route("/style.css", get(|| asset("text/css; charset=utf-8", STYLE)))
        .route("/icon.svg", get(|| asset("image/svg+xml", ICON)))
        .route("/app.js", get(|| asset("text/javascript; charset=utf-8", include_str!("app.js"))))
        .layer(map_response(with_policy))
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=300")], text).into_response()
}

/// Adds the headers that keep a browser from doing more than showing the page.
async fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
