//! Until when a program may trust that it alone writes a store.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, WallClock};
use crate::store::StoreError;

/// The end of a trust; shared by the writer and its users.
#[derive(Clone, Debug)]
pub(in crate::store) struct Trust {
    end: Arc<watch::Sender<End>>,
    /// The error after the end.
    error: Arc<StoreError>,
}

/// The time since the machine started, in milliseconds; `None` as long as nothing ends it.
type End = Option<u64>;

impl Trust {
    /// Trusts until an end; `path` names the store in the error.
    pub(in crate::store) fn until(end: Duration, path: &str) -> Self {
        let error = StoreError::LeaseEnded { path: path.to_owned() };
        Self { end: Arc::new(watch::Sender::new(Some(milliseconds(end)))), error: Arc::new(error) }
    }

    /// Trusts until it is withdrawn, for the reason of an error.
    pub(in crate::store) fn until_withdrawn(error: StoreError) -> Self {
        Self { end: Arc::new(watch::Sender::new(None)), error: Arc::new(error) }
    }

    /// Returns a handle that ends the trust while a writer still uses it.
    pub(in crate::store) fn withdrawal(&self) -> Withdrawal {
        Withdrawal(Arc::downgrade(&self.end))
    }

    /// Moves the end to a later time.
    pub(in crate::store) fn extend(&self, end: Duration) {
        self.end.send_if_modified(|known| {
            *known = known.map(|known| known.max(milliseconds(end)));
            // Who waits for the end looks again at the earlier one.
            false
        });
    }

    /// Returns the time that is left.
    pub(in crate::store) fn left(&self) -> Duration {
        let left = |end| Duration::from_millis(end).saturating_sub(WallClock.uptime());
        self.end.borrow().map_or(Duration::MAX, left)
    }

    /// Returns the error for its end.
    pub(super) fn end(&self) -> StoreError {
        (*self.error).clone()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> StoreError {
        let mut moved = self.end.subscribe();
        loop {
            moved.mark_unchanged();
            let left = self.left();
            if left.is_zero() {
                return self.end();
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                // The sender is ours, so the channel cannot close.
                _ = moved.changed() => {}
            }
        }
    }
}

/// Ends a trust.
pub(in crate::store) struct Withdrawal(Weak<watch::Sender<End>>);

impl Withdrawal {
    /// Returns true while a writer still uses the trust.
    pub(in crate::store) fn is_of_use(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Ends the trust.
    pub(in crate::store) fn withdraw(&self) {
        if let Some(end) = self.0.upgrade() {
            end.send_replace(Some(0));
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
