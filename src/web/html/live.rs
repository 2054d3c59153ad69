//! Server-sent events: a browser that shows a view learns when it is out of date.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::reconcile::Status;
use crate::store::relay::Request;

use super::super::handles::Handles;
use super::super::visitor::Visitor;
use super::app::App;

/// The time between two looks at the status.
const PAUSE: Duration = Duration::from_secs(1);
/// A line is sent at least this often, so that both sides see a broken connection.
const QUIET: Duration = Duration::from_secs(10);
/// The stream ends before the connection's own limit, and the browser connects again.
const LIFE: Duration = Duration::from_secs(90);

/// Sends an event whenever the status changed.
pub async fn events(State(app): State<App>) -> Response {
    let Ok(place) = app.streams.clone().try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let follower = Follower { app, _place: place, seen: None, since: Instant::now(), spoke: Instant::now() };
    let lines = stream::unfold(follower, |mut follower| async move {
        let line = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), follower))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(lines)).into_response()
}

/// One browser.
struct Follower {
    app: App,
    _place: OwnedSemaphorePermit,
    seen: Option<String>,
    since: Instant,
    spoke: Instant,
}

impl Follower {
    /// Waits for the next line; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        while self.since.elapsed() < LIFE {
            let seen = current(&self.app.driver).await?;
            let is_new = self.seen.as_ref() != Some(&seen);
            self.seen = Some(seen.clone());
            if is_new || self.spoke.elapsed() >= QUIET {
                self.spoke = Instant::now();
                // A comment keeps the connection alive and tells the browser nothing.
                return Some(if is_new { format!("data: {seen}\n\n") } else { ":\n\n".to_owned() });
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }
}

/// Returns the text for the status now, from the active replica; `None` if there is no answer.
async fn current(driver: &Handles) -> Option<String> {
    let Some(cluster) = driver.standby() else { return Some(digest(&*driver.status().await.ok()?)) };
    let request = Request {
        visitor: Visitor::Anonymous.written(),
        method: "GET".to_owned(),
        path: "/digest".to_owned(),
        body: String::new(),
    };
    let answer = cluster.ask(request).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let body = to_bytes(answer.into_body(), DIGEST_BYTES).await.ok()?;
    String::from_utf8(body.into()).ok()
}

/// The longest text.
const DIGEST_BYTES: usize = 1_000;

/// Answers with the text for the status now.
pub async fn show_digest(State(driver): State<Handles>) -> Response {
    current(&driver)
        .await
        .map_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response(), IntoResponse::into_response)
}

/// Returns a text that changes with what the views show; it means nothing outside this process.
pub fn digest(status: &Status) -> String {
    let mut hasher = DefaultHasher::new();
    for page in &status.pages {
        (page.standing.word(), page.standing.problem(), Arc::as_ptr(&page.definition)).hash(&mut hasher);
    }
    (status.counts.applied, status.counts.drifted).hash(&mut hasher);
    let held = status.held.as_ref().map(|held| (&held.revision, &held.approvals, held.rejected.is_some()));
    held.hash(&mut hasher);
    status.rollout.hash(&mut hasher);
    status.following.len().hash(&mut hasher);
    status.withheld.as_ref().map(|withheld| withheld.text()).hash(&mut hasher);
    status.overrides.iter().for_each(|set| set.id.hash(&mut hasher));
    status.problems.len().hash(&mut hasher);
    (status.reload.at, status.reload.problems.len()).hash(&mut hasher);
    let failing = status.receivers.iter().filter(|(_, failed)| **failed > 0).map(|(name, _)| name);
    failing.for_each(|name| name.hash(&mut hasher));
    format!("{:016x}", hasher.finish())
}
