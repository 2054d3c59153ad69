//! Publishes the status to all readers.
//!
//! Readers do not query the driver itself. It publishes between turns, once for all waiting
//! readers, and limits how often it does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::model::{Instant as Wall, Problem};

use super::Status;
use super::control::LastReload;

/// The shortest time between two publications.
const PAUSE: Duration = Duration::from_millis(50);
/// One part in `SHARE` of the driver's time may go to publishing.
const SHARE: u32 = 20;

/// The place where a driver publishes and readers read. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Number of requests so far.
    asked: AtomicU64,
    wake: Notify,
    published: watch::Sender<Published>,
    /// Number of turns that may have changed the status.
    turns: watch::Sender<u64>,
    /// Reported beside the driver, and published with its status.
    beside: Mutex<Beside>,
}

/// The part of the status that the driver does not know.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// The last reload of the settings.
    pub(super) reload: LastReload,
    /// The receivers of notifications, and the number of failed attempts for the message on its way.
    pub(super) receivers: BTreeMap<String, u32>,
}

impl Default for Inner {
    fn default() -> Self {
        let (published, turns) = (watch::Sender::default(), watch::Sender::default());
        Self { asked: AtomicU64::new(0), wake: Notify::new(), published, turns, beside: Mutex::default() }
    }
}

/// A status and the requests it answers.
#[derive(Clone, Debug, Default)]
struct Published {
    status: Option<Arc<Status>>,
    /// Number of requests answered so far.
    answers: u64,
}

/// The earliest time at which a driver may publish next.
#[derive(Debug)]
pub struct Turn(Instant);

impl Default for Turn {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Board {
    /// Returns the status as of a moment after this call.
    ///
    /// Waits as long as no driver runs, so the caller should set a timeout.
    pub async fn ask(&self) -> Option<Arc<Status>> {
        let mut published = self.0.published.subscribe();
        let number = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.wake.notify_one();
        let answer = published.wait_for(|published| published.answers >= number).await.ok()?;
        answer.status.clone()
    }

    /// Returns a receiver that is notified whenever the status may have changed.
    ///
    /// Nothing is published for it, so a driver at rest stays at rest. The receiver waits a moment
    /// and then asks.
    pub fn turns(&self) -> watch::Receiver<u64> {
        self.0.turns.subscribe()
    }

    /// Notes that the driver did something that may have changed the status.
    pub(super) fn note_turn(&self) {
        self.0.turns.send_modify(|turns| *turns += 1);
    }

    /// Records the result of a reload of the settings.
    pub fn note_reload(&self, at: Wall, result: &Result<(), Vec<Problem>>) {
        self.note(|beside| {
            beside.reload.at = at;
            match result {
                Ok(()) => (beside.reload.succeeded_at, beside.reload.problems) = (at, Vec::new()),
                Err(problems) => beside.reload.problems.clone_from(problems),
            }
        });
    }

    /// Records the receivers of notifications, and the failed attempts for the message on its way.
    pub fn note_receivers(&self, receivers: BTreeMap<String, u32>) {
        if self.beside().receivers != receivers {
            self.note(|beside| beside.receivers = receivers);
        }
    }

    fn note(&self, change: impl FnOnce(&mut Beside)) {
        change(&mut self.0.beside.lock().unwrap_or_else(PoisonError::into_inner));
        self.note_turn();
    }

    /// Returns the part of the status that the driver does not know.
    pub(super) fn beside(&self) -> Beside {
        self.0.beside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a reader asks and publishing is allowed.
    pub(super) async fn is_due(&self, turn: &Turn) {
        while self.0.asked.load(Ordering::SeqCst) == self.0.published.borrow().answers {
            self.0.wake.notified().await;
        }
        tokio::time::sleep_until(turn.0).await;
    }

    /// Publishes for all earlier requests.
    pub(super) fn publish(&self, status: impl FnOnce() -> Status) -> Turn {
        let (answers, begun) = (self.0.asked.load(Ordering::SeqCst), Instant::now());
        self.0.published.send_replace(Published { status: Some(Arc::new(status())), answers });
        Turn(Instant::now() + PAUSE.max(begun.elapsed() * SHARE))
    }
}
