//! What the driver remembers of a page between two looks.

use std::time::Duration;

use tokio::time::Instant as Monotonic;

use crate::model::{Instant, RemotePage};
use crate::plan::Drift;
use crate::store;

use super::{Knowledge, Observed};

/// A page that was seen this long ago is fresh enough to be sent to; an older look is repeated, so that a
/// person's edit in between is seen.
const FRESH: Duration = Duration::from_secs(2);

/// How a page stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not looked at yet.
    Unseen,
    /// It holds what it should.
    Right,
    /// It holds what its last good definition says; the newest one is bad.
    Stale(String),
    /// Others changed it, and the settings only want that told.
    Drifted(String),
    /// It will be tried again by itself.
    Retrying(String),
    /// It waits until something about it changes.
    Stuck(String),
    /// It waits for a person's decision.
    Held(String),
}

impl Standing {
    /// What keeps the page from being right, in words.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Unseen | Self::Right => None,
            Self::Stale(text)
            | Self::Drifted(text)
            | Self::Retrying(text)
            | Self::Stuck(text)
            | Self::Held(text) => Some(text),
        }
    }
}

/// One page's state.
#[derive(Debug)]
pub struct PageState {
    /// What is known of it.
    pub known: Knowledge,
    seen_at: Option<Monotonic>,
    /// When it is next to be decided on; none while nothing is expected.
    pub due: Option<Instant>,
    /// It is being looked at or sent to.
    pub in_flight: bool,
    /// Tries that failed since the last that didn't.
    pub attempts: u32,
    /// What was refused; the same is not sent again.
    pub refused: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// The drift that was logged.
    pub told_drift: Vec<Drift>,
    /// The problem that the store has for it.
    pub noted: Option<String>,
}

impl PageState {
    /// What the store knows of a page, to begin with.
    pub fn new(stored: store::PageState) -> Self {
        Self {
            known: Knowledge { observed: None, base: stored.base, open: stored.open },
            seen_at: None,
            due: None,
            in_flight: false,
            attempts: 0,
            refused: None,
            standing: Standing::Unseen,
            told_drift: Vec::new(),
            noted: stored.problem.map(|(problem, _)| problem),
        }
    }

    /// Takes in the page as it was just seen. Gives whether its schema or stamp is another.
    pub fn see(&mut self, page: RemotePage) -> bool {
        let observed = Observed::new(page, self.known.observed.as_ref());
        let before = self.known.observed.as_ref().map(|before| &before.page);
        let is_new = before.is_none_or(|before| {
            before.schema != observed.page.schema || before.last_updated != observed.page.last_updated
        });
        self.known.observed = Some(observed);
        self.seen_at = Some(Monotonic::now());
        is_new
    }

    /// Makes the next decision begin with a look.
    pub fn forget_page(&mut self) {
        self.seen_at = None;
    }

    /// Whether the page was seen so recently that it can be sent to.
    pub fn is_fresh(&self) -> bool {
        self.seen_at.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Whether it has to be looked at before anything is decided.
    pub fn needs_look(&self) -> bool {
        self.known.observed.is_none() || (self.known.open.is_some() && !self.is_fresh())
    }
}
