//! A simulator's state: pages, faults and the log of requests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::model::Instant;

use super::faults::Fault;
use super::pages::{Pages, stamp};

/// A logged request, without the API key.
#[derive(Clone, Debug, Serialize)]
pub struct Logged {
    /// Time of arrival.
    pub at: Instant,
    /// HTTP method.
    pub method: String,
    /// Path of the URL.
    pub path: String,
    /// Body, if it was JSON.
    pub body: Option<Value>,
    /// HTTP status of the answer; 0 when the connection was reset.
    pub status: u16,
    /// True if it was carried out, even if a fault changed its answer.
    pub applied: bool,
    /// Correlation id.
    pub correlation_id: String,
}

/// The setup of a simulator.
pub struct Options {
    /// The key that requests must carry.
    pub api_key: String,
    /// The agents that exist; if empty, every id exists.
    pub agents: Vec<String>,
    /// The file that keeps pages between runs.
    pub state_file: Option<PathBuf>,
    /// The clock that stamps the pages.
    pub clock: Arc<dyn Clock>,
}

/// A handle to a running simulator, for tests and the demo to inspect and modify it.
#[derive(Clone)]
pub struct Simulator {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) api_key: String,
    pub(super) clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) pages: Pages,
    pub(super) faults: Vec<Fault>,
    pub(super) log: Vec<Logged>,
    pub(super) requests: u64,
}

impl Simulator {
    /// Creates a simulator, with the pages of its state file if it exists.
    ///
    /// # Errors
    /// When the state file cannot be read or parsed.
    pub fn new(options: Options) -> std::io::Result<Self> {
        let pages = Pages::load(options.agents, options.state_file)?;
        Ok(Self {
            shared: Arc::new(Shared {
                api_key: options.api_key,
                clock: options.clock,
                state: Mutex::new(State { pages, faults: Vec::new(), log: Vec::new(), requests: 0 }),
            }),
        })
    }

    /// Adds a fault, which affects the next matching requests.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Returns the requests so far, oldest first.
    pub fn log(&self) -> Vec<Logged> {
        self.state().log.clone()
    }

    /// Sets values of variants on main, by variant and attribute, as a user of the vendor's UI would.
    ///
    /// Missing ones are created.
    pub fn edit_variants(&self, agent: &str, variants: &BTreeMap<String, BTreeMap<String, String>>) {
        let at = stamp(self.shared.clock.now());
        let mut state = self.state();
        state.pages.project(agent).edit_main(variants, &at);
        state.pages.save();
    }

    /// Runs a closure on the pages, as direct access to the database would.
    pub fn with_pages<T>(&self, run: impl FnOnce(&mut Pages) -> T) -> T {
        run(&mut self.state().pages)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
