//! The pulse of a thread that does blocking work. Such a thread may hang where nothing can wake it,
//! for example in a file system that does not respond; the process watchdog checks its pulse.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, WallClock};

/// The time since which a thread has been at work; shared with the watchdog.
#[derive(Clone, Debug)]
pub struct Pulse {
    what: &'static str,
    patience: Duration,
    /// Uptime in milliseconds; zero while it waits for work.
    since_ms: Arc<AtomicU64>,
}

impl Pulse {
    /// Creates the pulse of an idle thread; `what` is its name in messages.
    ///
    /// A thread that spends longer than `patience` on one piece of work counts as hung.
    pub fn new(what: &'static str, patience: Duration) -> Self {
        Self { what, patience, since_ms: Arc::default() }
    }

    /// Marks the start of a piece of work.
    pub fn begin(&self) {
        let up = u64::try_from(WallClock.uptime().as_millis()).unwrap_or(u64::MAX);
        self.since_ms.store(up.max(1), Ordering::Relaxed);
    }

    /// Marks the thread as idle.
    pub fn rest(&self) {
        self.since_ms.store(0, Ordering::Relaxed);
    }

    /// Returns a message if the thread hangs; `None` while it is healthy.
    fn problem(&self) -> Option<String> {
        let since = self.since_ms.load(Ordering::Relaxed);
        let length = WallClock.uptime().saturating_sub(Duration::from_millis(since));
        (since > 0 && length > self.patience)
            .then(|| format!("{} has hung for {} s", self.what, length.as_secs()))
    }
}

/// The pulses of a daemon's threads, one per name. All clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<BTreeMap<&'static str, Pulse>>>);

impl Pulses {
    /// Watches a thread; replaces a watched thread of the same name.
    pub fn watch(&self, pulse: Pulse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pulse.what, pulse);
    }

    /// Returns a message that names a hung thread; `None` while all are healthy.
    pub fn problem(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().find_map(Pulse::problem)
    }
}
