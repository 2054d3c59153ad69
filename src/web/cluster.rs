//! The replicas that share a store, as one of them sees them.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use crate::model::Problem;
use crate::store::Alone;
use crate::store::relay::{self, Delivery, OwnFiles, Relay, Replicas};

use super::wire;

/// The replicas that share a store, and this one's part; clones share one state.
#[derive(Clone, Debug)]
pub struct Cluster {
    relay: Relay,
    /// `None` while this replica is active.
    standby: Arc<watch::Sender<Option<Standby>>>,
    /// The decision, while this replica goes on without the database.
    alone: Arc<watch::Sender<Option<Alone>>>,
}

/// The reason why the active replica did not carry out a request.
pub(super) struct RelayFailure {
    /// The reason.
    pub(super) why: &'static str,
    /// The remedy.
    pub(super) hint: &'static str,
}

/// The reason for which a replica stands by.
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
        Self { relay, standby: Arc::new(watch::Sender::new(Some(standby))), alone: Arc::default() }
    }

    /// Notes that this replica stands by.
    pub fn stand_by(&self, why: Standby) {
        self.relay.set_active(false);
        self.standby.send_replace(Some(why));
    }

    /// Notes that this replica sends: as the active one, or alone without the database.
    ///
    /// Alone it carries out no requests of other replicas: they may come when another one is active.
    pub fn begin(&self, alone: Option<Alone>) {
        self.relay.set_active(alone.is_none());
        self.alone.send_replace(alone);
        self.standby.send_replace(None);
    }

    /// Returns why this replica stands by; `None` while it is active.
    pub fn standby(&self) -> Option<Standby> {
        self.standby.borrow().clone()
    }

    /// Returns the decision, while this replica goes on without the database.
    pub(super) fn alone(&self) -> Option<Alone> {
        self.alone.borrow().clone()
    }

    /// Waits until this replica stands by.
    pub(super) async fn stands_by(&self) {
        // The sender is ours, so the channel cannot close.
        let _ = self.standby.subscribe().wait_for(Option::is_some).await;
    }

    /// Removes this replica from the list of those that live.
    pub async fn leave(&self) {
        self.relay.leave().await;
    }

    /// Shows the other replicas which settings and files this one reads.
    pub fn show_files(&self, files: OwnFiles) {
        self.relay.show_files(files);
    }

    /// Returns the replicas, as last seen.
    pub fn replicas(&self) -> Replicas {
        self.relay.replicas()
    }

    /// Has the active replica carry out a request.
    ///
    /// # Errors
    /// The reason why it was not carried out, or may not have been.
    pub(super) async fn ask(&self, request: relay::Request) -> Result<Response, RelayFailure> {
        match self.relay.ask(request).await {
            Delivery::Answered(answered) => Ok(response(answered)),
            Delivery::NotTaken => Err(RelayFailure {
                why: "no replica is active, so the request was not carried out",
                hint: "try again in a minute; rtconfd health --ready and the log of each replica say why",
            }),
            Delivery::Unanswered => Err(RelayFailure {
                why: "the active replica did not answer: the request may have been carried out",
                hint: "look at the overrides and the held revision before you try again",
            }),
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

impl IntoResponse for RelayFailure {
    fn into_response(self) -> Response {
        let problems = wire::problems(&[Problem::new(self.why).hint(self.hint)]).to_string();
        (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "application/json")], problems)
            .into_response()
    }
}
