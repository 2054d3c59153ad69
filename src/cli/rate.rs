//! The rate of the requests of commands.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::reconcile::{Gate, Limits, Urgency};
use crate::settings::Api;

use super::load;

/// A rate limit like the daemon's gate, for one request after the other.
pub struct Rate {
    gate: Mutex<Gate>,
    clock: Arc<dyn Clock>,
}

impl Rate {
    /// Returns the limit of the settings.
    pub fn new(api: &Api) -> Self {
        let (limits, clock) = (Limits { rate: api.rate, burst: api.burst }, load::wall_clock());
        Self { gate: Mutex::new(Gate::new(limits, clock.uptime())), clock }
    }

    /// Waits until a request may be sent, in order of arrival.
    pub async fn wait(&self) {
        let mut gate = self.gate.lock().await;
        while !gate.take(self.clock.uptime(), 1, Urgency::default(), false) {
            let wait = gate.wait(self.clock.uptime(), 1, Urgency::default(), false);
            tokio::time::sleep(wait.unwrap_or_default()).await;
        }
    }
}
