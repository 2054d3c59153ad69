//! Requests at a replica that stands by: the active one carries them out.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;

use crate::limits::listener::MAX_ANSWER_BYTES;
use crate::model::Problem;
use crate::store::relay::{self, Asked, Relay, Replicas, Taken};

use super::body::read_bytes;
use super::visitor::Visitor;
use super::{Handles, routes, wire};

/// The replicas that share a store, and this one's part; clones share one state.
#[derive(Clone, Debug)]
pub struct Cluster {
    relay: Relay,
    /// The reason why this replica stands by; `None` while it is active.
    standby: Arc<Mutex<Option<String>>>,
}

impl Cluster {
    /// Returns the state of a replica that stands by.
    pub fn new(relay: Relay) -> Self {
        Self { relay, standby: Arc::new(Mutex::new(Some("it has just started".to_owned()))) }
    }

    /// Notes why this replica stands by; `None` once it is active.
    pub fn note(&self, standby: Option<String>) {
        self.relay.set_active(standby.is_none());
        *self.standby.lock().unwrap_or_else(PoisonError::into_inner) = standby;
    }

    /// Returns why this replica stands by; `None` while it is active.
    pub fn standby(&self) -> Option<String> {
        self.standby.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the replicas, as last seen.
    pub fn replicas(&self) -> Replicas {
        self.relay.replicas()
    }

    /// Has the active replica carry out a request.
    pub(super) async fn ask(&self, request: relay::Request) -> Response {
        match self.relay.ask(request).await {
            Asked::Answered(answered) => response(answered),
            Asked::NotTaken => refused(
                "no replica is active, so the request was not carried out",
                "try again in a minute; rtconfd health says why, and the log of each replica",
            ),
            Asked::Unanswered => refused(
                "the active replica did not answer: the request may have been carried out",
                "look at the overrides and the held revision before you try again",
            ),
        }
    }
}

impl Handles {
    /// Returns the cluster if this replica stands by.
    pub(super) fn standby(&self) -> Option<&Cluster> {
        self.cluster.as_ref().filter(|cluster| cluster.standby().is_some())
    }
}

/// Passes a request on if this replica stands by.
pub(super) async fn pass_on(
    State(driver): State<Handles>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    let Some(cluster) = driver.standby() else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let body = match read_bytes(body).await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(problems) => {
            let problems = wire::problems(&problems).to_string();
            return (StatusCode::UNPROCESSABLE_ENTITY, json_type(), problems).into_response();
        }
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let method = parts.method.to_string();
    cluster.ask(relay::Request { visitor: visitor.written(), method, path, body }).await
}

/// Carries out the requests of other replicas, until the relay ends.
pub async fn serve_replicas(handles: Handles, mut taken: mpsc::Receiver<Taken>) {
    let app = routes::for_replicas(handles);
    while let Some(taken) = taken.recv().await {
        let app = app.clone();
        tokio::spawn(async move {
            let answer = carry_out(app, &taken.request).await;
            taken.answer(answer);
        });
    }
}

async fn carry_out(app: Router, request: &relay::Request) -> relay::Response {
    let invalid = |why: &str| relay::Response {
        status: StatusCode::BAD_REQUEST.as_u16(),
        kind: "application/json".to_owned(),
        location: None,
        body: wire::problems(&[Problem::new(why)]).to_string().into_bytes(),
    };
    let Some(visitor) = Visitor::read(&request.visitor) else {
        return invalid("the other replica has another version");
    };
    let built = Request::builder()
        .method(request.method.as_str())
        .uri(&request.path)
        .header(header::HOST, "replica")
        .extension(visitor)
        .body(Body::from(request.body.clone()));
    let Ok(built) = built else { return invalid("invalid request") };
    let Ok(response) = TowerToHyperService::new(app).call(built).await;
    let (parts, body) = response.into_parts();
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (kind, location) = (text(header::CONTENT_TYPE).unwrap_or_default(), text(header::LOCATION));
    let status = parts.status.as_u16();
    match to_bytes(body, MAX_ANSWER_BYTES).await {
        Ok(body) => relay::Response { status, kind, location, body: body.into() },
        Err(_) => invalid("the answer is too large for a replica that stands by: ask the active one"),
    }
}

fn response(answered: relay::Response) -> Response {
    let relay::Response { status, kind, location, body } = answered;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [(header::CONTENT_TYPE, Some(kind)), (header::LOCATION, location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

fn refused(why: &str, hint: &'static str) -> Response {
    let problems = wire::problems(&[Problem::new(why).hint(hint)]).to_string();
    (StatusCode::SERVICE_UNAVAILABLE, json_type(), problems).into_response()
}

fn json_type() -> [(header::HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, "application/json")]
}
