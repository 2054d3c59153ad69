//! Until when a program may trust that it alone writes a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, WallClock};
use crate::store::StoreError;

/// The end of a trust, by the time since the machine started; shared by the writer and its users.
#[derive(Clone, Debug)]
pub(in crate::store) struct Trust {
    end_ms: Arc<AtomicU64>,
    path: Arc<str>,
}

impl Trust {
    /// Trusts until an end; `path` names the store in the error.
    pub(in crate::store) fn until(end: Duration, path: &str) -> Self {
        Self { end_ms: Arc::new(AtomicU64::new(milliseconds(end))), path: path.into() }
    }

    /// Moves the end to a later time.
    pub(in crate::store) fn extend(&self, end: Duration) {
        self.end_ms.fetch_max(milliseconds(end), Ordering::SeqCst);
    }

    /// Returns the time that is left.
    pub(in crate::store) fn left(&self) -> Duration {
        Duration::from_millis(self.end_ms.load(Ordering::SeqCst)).saturating_sub(WallClock.uptime())
    }

    /// Returns the error for its end.
    pub(super) fn end(&self) -> StoreError {
        StoreError::LeaseEnded { path: self.path.to_string() }
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> StoreError {
        loop {
            match self.left() {
                Duration::ZERO => return self.end(),
                left => tokio::time::sleep(left).await,
            }
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
