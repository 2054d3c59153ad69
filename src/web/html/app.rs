//! The state that all routes of the status page share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::limits::listener::MAX_STREAMS;

use super::super::guard::Secrets;
use super::super::handles::Handles;

/// The daemon, the secrets, and the free places for browsers that follow the page live.
#[derive(Clone)]
pub struct App {
    /// The running daemon.
    pub driver: Handles,
    /// The tokens and sessions.
    pub secrets: Arc<Secrets>,
    /// The free places for streams of events.
    pub streams: Arc<Semaphore>,
}

impl App {
    /// Returns the state of a daemon's status page.
    pub fn new(driver: Handles, secrets: Arc<Secrets>) -> Self {
        Self { driver, secrets, streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }
}
