//! What a simulator holds: pages, faults and the log of requests.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::model::Instant;

use super::faults::Fault;
use super::pages::Pages;

/// A request, as the log shows it. The key is not in it.
#[derive(Clone, Debug, Serialize)]
pub struct Logged {
    /// When it came.
    pub at: Instant,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its body, when that was JSON.
    pub body: Option<Value>,
    /// How it was answered; 0 when the connection was reset.
    pub status: u16,
    /// Whether it was carried out; an unlucky one may be without being answered so.
    pub applied: bool,
    /// Its correlation id.
    pub correlation_id: String,
}

/// How a simulator is set up.
pub struct Options {
    /// The key that requests must bring.
    pub api_key: String,
    /// The agents that exist; every id does when there is none here.
    pub agents: Vec<String>,
    /// Where pages are kept between runs.
    pub state_file: Option<PathBuf>,
    /// Stamps the pages.
    pub clock: Arc<dyn Clock>,
}

/// A running simulator's inside, for tests and the demo that look at it and meddle.
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
    /// Sets a simulator up, with the pages of its state file if there is one.
    ///
    /// # Errors
    /// A state file that can't be read or understood.
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

    /// Makes the next matching requests fail.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// The requests so far, oldest first.
    pub fn log(&self) -> Vec<Logged> {
        self.state().log.clone()
    }

    /// Runs something with the pages, as somebody with hands on the database would.
    pub fn with_pages<T>(&self, run: impl FnOnce(&mut Pages) -> T) -> T {
        run(&mut self.state().pages)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
