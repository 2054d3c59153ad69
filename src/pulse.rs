//! The pulse of a thread that does blocking work: it may hang where nothing can wake it, as in a file system that does not
//! answer. Whoever watches over the process asks for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, WallClock};

/// How long a thread of the daemon may take for one piece of work.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Since when a thread is at work; shared with those who ask.
#[derive(Clone, Debug)]
pub struct Pulse {
    what: &'static str,
    patience: Duration,
    /// Uptime in milliseconds; zero while it waits for work.
    since_ms: Arc<AtomicU64>,
}

impl Pulse {
    /// The pulse of a thread that waits for work; `what` names it for people. One that is at one piece of work for longer than
    /// `patience` hangs.
    pub fn new(what: &'static str, patience: Duration) -> Self {
        Self { what, patience, since_ms: Arc::default() }
    }

    /// Notes that a piece of work begins.
    pub fn begin(&self) {
        let up = u64::try_from(WallClock.uptime().as_millis()).unwrap_or(u64::MAX);
        self.since_ms.store(up.max(1), Ordering::Relaxed);
    }

    /// Notes that the thread waits for work.
    pub fn rest(&self) {
        self.since_ms.store(0, Ordering::Relaxed);
    }

    /// Says that the thread hangs; none while it is well.
    pub fn problem(&self) -> Option<String> {
        let since = self.since_ms.load(Ordering::Relaxed);
        let length = WallClock.uptime().saturating_sub(Duration::from_millis(since));
        (since > 0 && length > self.patience)
            .then(|| format!("{} hangs, since {} s", self.what, length.as_secs()))
    }
}

/// The pulses of a daemon's threads, each once by its name. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<BTreeMap<&'static str, Pulse>>>);

impl Pulses {
    /// Watches over a thread, in place of one of the same name.
    pub fn watch(&self, pulse: Pulse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pulse.what, pulse);
    }

    /// Says which thread hangs; none while all are well.
    pub fn problem(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().find_map(Pulse::problem)
    }
}
