//! A stand-in for the Agents API: the demo's backend and the test bed. It keeps pages as the real one
//! does, misbehaves on request, and lets a person edit a page as in the vendor's UI.

mod connection;
mod control;
mod faults;
mod pages;
mod routes;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::any;
use tokio::net::TcpListener;

use crate::clock::Clock;

pub use faults::{Fault, Kind};
pub use pages::Pages;
pub use routes::Logged;

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
    shared: Arc<Shared>,
}

struct Shared {
    api_key: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    pages: Pages,
    faults: Vec<Fault>,
    log: Vec<Logged>,
    requests: u64,
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

    /// Serves until `stop` is over.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let app = Router::new()
            .route("/", any(control::ui))
            .route("/_simulator/requests", any(control::requests))
            .route("/_simulator/faults", any(control::faults))
            .route("/_simulator/pages", any(control::all_pages))
            .route("/_simulator/pages/{agent}/{environment}", any(control::edit))
            .fallback(any(routes::api))
            .with_state(self);
        let listener = connection::Breakable(listener);
        let service = app.into_make_service_with_connect_info::<connection::Hangup>();
        axum::serve(listener, service).with_graceful_shutdown(stop).await
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
