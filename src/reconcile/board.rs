//! How things stand, published for whoever asks. Nobody asks the driver itself: it publishes between its turns, once for all
//! who wait, and never more often than it can afford.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Status;

/// The shortest time between two publications.
const PAUSE: Duration = Duration::from_millis(50);
/// To publish may take this part of the driver's time.
const SHARE: u32 = 20;

/// Where a driver publishes and others read. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Counts those who asked.
    asked: AtomicU64,
    wake: Notify,
    published: watch::Sender<Published>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { asked: AtomicU64::new(0), wake: Notify::new(), published: watch::Sender::default() }
    }
}

/// A status, and whom it answers.
#[derive(Clone, Debug, Default)]
struct Published {
    status: Option<Arc<Status>>,
    /// So many of those who asked.
    answers: u64,
}

/// When a driver may publish next.
#[derive(Debug)]
pub struct Turn(Instant);

impl Default for Turn {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Board {
    /// Returns how things stand after this was called. It waits for as long as there is no driver, so whoever asks sets a limit.
    pub async fn ask(&self) -> Option<Arc<Status>> {
        let mut published = self.0.published.subscribe();
        let number = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.wake.notify_one();
        let answer = published.wait_for(|published| published.answers >= number).await.ok()?;
        answer.status.clone()
    }

    /// Waits until somebody asks and it is time to publish.
    pub(super) async fn is_due(&self, turn: &Turn) {
        while self.0.asked.load(Ordering::SeqCst) == self.0.published.borrow().answers {
            self.0.wake.notified().await;
        }
        tokio::time::sleep_until(turn.0).await;
    }

    /// Publishes for all who asked before.
    pub(super) fn publish(&self, status: impl FnOnce() -> Status) -> Turn {
        let (answers, begun) = (self.0.asked.load(Ordering::SeqCst), Instant::now());
        self.0.published.send_replace(Published { status: Some(Arc::new(status())), answers });
        Turn(Instant::now() + PAUSE.max(begun.elapsed() * SHARE))
    }
}
