//! The replicas that share a store, as one of them sees them.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::Problem;
use crate::store::relay::{self, Asked, Relay, Replicas};

use super::wire;

/// The replicas that share a store, and this one's part; clones share one state.
#[derive(Clone, Debug)]
pub struct Cluster {
    relay: Relay,
    /// `None` while this replica is active.
    standby: Arc<Mutex<Option<Standby>>>,
}

/// Why a replica stands by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// The reason.
    pub why: String,
    /// True if it could take over; false if something keeps it from that.
    pub is_ready: bool,
}

impl Cluster {
    /// Returns the state of a replica that stands by.
    pub fn new(relay: Relay) -> Self {
        let standby = Standby { why: "it has just started".to_owned(), is_ready: false };
        Self { relay, standby: Arc::new(Mutex::new(Some(standby))) }
    }

    /// Notes why this replica stands by; `None` once it is active.
    pub fn note(&self, standby: Option<Standby>) {
        self.relay.set_active(standby.is_none());
        *self.standby.lock().unwrap_or_else(PoisonError::into_inner) = standby;
    }

    /// Returns why this replica stands by; `None` while it is active.
    pub fn standby(&self) -> Option<Standby> {
        self.standby.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes this replica from the list of those that live.
    pub async fn leave(&self) {
        self.relay.leave().await;
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
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "application/json")], problems).into_response()
}
