//! Reload requests to the daemon.

use tokio::sync::{mpsc, oneshot};

use crate::model::Problem;

/// The channel for a reload's result: the problems of the settings, if any.
pub type Answer = oneshot::Sender<Result<(), Vec<Problem>>>;

/// The subject of a reload.
#[derive(Debug)]
pub enum ReloadRequest {
    /// The settings; a caller may wait for the result.
    Settings(Option<Answer>),
    /// The zone database alone, for the active settings.
    Zones,
}

/// The sender of reload requests.
#[derive(Clone, Debug)]
pub struct Reloads {
    ask: mpsc::Sender<ReloadRequest>,
}

impl Reloads {
    /// Returns a handle and the receiver of its requests.
    pub fn new() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (ask, asked) = mpsc::channel(16);
        (Self { ask }, asked)
    }

    /// Requests a reload of the zone database, without waiting for it.
    pub fn read_zones(&self) {
        // A full queue is fine: pending requests suffice.
        let _ = self.ask.try_send(ReloadRequest::Zones);
    }

    /// Requests a reload and waits for its result; `None` when the daemon is stopping.
    pub async fn reload(&self) -> Option<Result<(), Vec<Problem>>> {
        let (answer, answered) = oneshot::channel();
        self.ask.send(ReloadRequest::Settings(Some(answer))).await.ok()?;
        answered.await.ok()
    }
}
