//! The requests of one page, which decide if the answer to an older request still counts.

use std::time::Duration;

/// The fetches and PATCHes of one page.
#[derive(Debug, Default)]
pub struct OwnRequests {
    /// True while a fetch or PATCH of the page is in progress.
    in_flight: bool,
    /// The turn at which the page's last request ended. Answers to older requests are ignored.
    settled_at: Option<u64>,
    /// The uptime of the page's own last successful request.
    succeeded_at: Option<Duration>,
}

impl OwnRequests {
    /// Records the start of a request.
    pub fn begin(&mut self) {
        self.in_flight = true;
    }

    /// Records the end of a request, successful or not.
    pub fn settle(&mut self, turn: u64) {
        self.in_flight = false;
        self.settled_at = Some(turn);
    }

    /// Records the uptime of a successful request.
    pub fn succeed(&mut self, at: Duration) {
        self.succeeded_at = Some(at);
    }

    /// Returns true while a request is in progress.
    pub fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Returns the uptime of the last successful request.
    pub fn succeeded_at(&self) -> Option<Duration> {
        self.succeeded_at
    }

    /// Returns true if an answer to a request begun at turn `asked` is current.
    ///
    /// No request of the page may be in progress, and none may have ended since then.
    pub fn is_current(&self, asked: u64) -> bool {
        !self.in_flight && self.settled_at.is_none_or(|settled| settled < asked)
    }
}
