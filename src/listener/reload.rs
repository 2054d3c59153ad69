//! Asks the daemon to read its settings again, and remembers how that last went.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::model::{Instant, Problem};

/// The place for the result of a reload: what is wrong with the settings, if something is.
pub type Answer = oneshot::Sender<Result<(), Vec<Problem>>>;

/// The last time that the settings were read.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// When.
    pub at: Instant,
    /// When they last became active; earlier than `at` when the last reload failed.
    pub succeeded_at: Instant,
    /// What was wrong with them; empty when they became active.
    pub problems: Vec<Problem>,
}

/// What is to be read again.
#[derive(Debug)]
pub enum Asked {
    /// The settings; somebody may wait for the result.
    Settings(Option<Answer>),
    /// The zone database alone, for the settings that are active.
    Zones,
}

/// Asks for reloads. All clones are one.
#[derive(Clone, Debug)]
pub struct Reloads {
    ask: mpsc::Sender<Asked>,
    last: Arc<Mutex<LastReload>>,
}

impl Reloads {
    /// Nothing was read again yet; also gives where the asking arrives.
    pub fn new(started_at: Instant) -> (Self, mpsc::Receiver<Asked>) {
        let (ask, asked) = mpsc::channel(16);
        let last = LastReload { at: started_at, succeeded_at: started_at, problems: Vec::new() };
        (Self { ask, last: Arc::new(Mutex::new(last)) }, asked)
    }

    /// Asks for the zone database to be read again, without waiting for it.
    pub fn read_zones(&self) {
        // One that is already asked for is enough.
        let _ = self.ask.try_send(Asked::Zones);
    }

    /// Asks for a reload and waits for its result; none when the daemon is ending.
    pub async fn reload(&self) -> Option<Result<(), Vec<Problem>>> {
        let (answer, answered) = oneshot::channel();
        self.ask.send(Asked::Settings(Some(answer))).await.ok()?;
        answered.await.ok()
    }

    /// Notes the result of a reload.
    pub fn note(&self, at: Instant, result: &Result<(), Vec<Problem>>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.at = at;
        match result {
            Ok(()) => (last.succeeded_at, last.problems) = (at, Vec::new()),
            Err(problems) => last.problems.clone_from(problems),
        }
    }

    /// How the last reload went.
    pub fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
