//! Reload requests to the daemon, and the result of the last one.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::model::{Instant, Problem};

/// The channel for a reload's result: the problems of the settings, if any.
pub type Answer = oneshot::Sender<Result<(), Vec<Problem>>>;

/// The last reload of the settings.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// Time of that reload.
    pub at: Instant,
    /// Time of the last successful reload; earlier than `at` when the last one failed.
    pub succeeded_at: Instant,
    /// Problems of the settings; empty when they became active.
    pub problems: Vec<Problem>,
}

/// The subject of a reload.
#[derive(Debug)]
pub enum ReloadRequest {
    /// The settings; a caller may wait for the result.
    Settings(Option<Answer>),
    /// The zone database alone, for the active settings.
    Zones,
}

/// The sender of reload requests; all clones share the same state.
#[derive(Clone, Debug)]
pub struct Reloads {
    ask: mpsc::Sender<ReloadRequest>,
    last: Arc<Mutex<LastReload>>,
}

impl Reloads {
    /// Returns a handle without any reload yet, and the receiver of its requests.
    pub fn new(started_at: Instant) -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (ask, asked) = mpsc::channel(16);
        let last = LastReload { at: started_at, succeeded_at: started_at, problems: Vec::new() };
        (Self { ask, last: Arc::new(Mutex::new(last)) }, asked)
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

    /// Records the result of a reload.
    pub fn note(&self, at: Instant, result: &Result<(), Vec<Problem>>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.at = at;
        match result {
            Ok(()) => (last.succeeded_at, last.problems) = (at, Vec::new()),
            Err(problems) => last.problems.clone_from(problems),
        }
    }

    /// Returns the last reload.
    pub fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
