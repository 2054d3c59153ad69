//! Carries out the requests of replicas that stand by.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, mpsc};

use crate::limits::listener::MAX_ANSWER_BYTES;
use crate::model::Problem;
use crate::store::relay::{self, Taken};

use super::visitor::Visitor;
use super::{Handles, routes, wire};

/// Requests that are carried out at once; more wait.
const AT_ONCE: usize = 16;

/// Carries out the requests of other replicas, until the relay ends.
pub async fn serve_replicas(handles: Handles, mut taken: mpsc::Receiver<Taken>) {
    let app = routes::for_replicas(handles);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(taken) = taken.recv().await {
        let (app, place) = (app.clone(), places.clone().acquire_owned().await);
        tokio::spawn(async move {
            let _place = place;
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
