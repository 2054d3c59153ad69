//! Publishes the status to all readers.
//!
//! Readers do not query the driver itself. It publishes between turns, once for all waiting
//! readers, and limits how often it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Status;

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
}

impl Default for Inner {
    fn default() -> Self {
        let (published, turns) = (watch::Sender::default(), watch::Sender::default());
        Self { asked: AtomicU64::new(0), wake: Notify::new(), published, turns }
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
