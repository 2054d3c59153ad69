//! Requests to a running driver: overrides, approvals, fetches, status.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::compile::{Blueprint, Inputs, World};
use crate::model::{Environment, Instant, PageId, Problem};
use crate::pages::Override;
use crate::plan::Drift;
use crate::zone::{Database, Zone};

use super::{Counts, Draft, Held, Promotion, Standing};

/// A request with a channel for its answer.
///
/// A successful answer means that the change is durable.
#[derive(Debug)]
pub enum Control {
    /// Set an override.
    Set(Box<Draft>, oneshot::Sender<Result<Override, Vec<Problem>>>),
    /// Release an override before its end.
    Release {
        /// The override's ID.
        id: i64,
        /// The requester.
        who: String,
        /// The channel for the answer: an error if no such override is active.
        answer: oneshot::Sender<Result<(), Problem>>,
    },
    /// Approve the held revision, or confirm the clock.
    Approve {
        /// The revision ID, or `clock`.
        revision: String,
        /// The requester.
        who: String,
        /// The channel for the answer: an error if that revision is not held, or the clock is
        /// already trusted.
        answer: oneshot::Sender<Result<(), Problem>>,
    },
    /// Fetch pages because a change was reported.
    Fetch {
        /// The agent; `None` means every agent.
        agent: Option<String>,
        /// The environment; `None` means every environment.
        environment: Option<Environment>,
        /// The reported author of the change.
        by: Option<String>,
    },
    /// Return the active definitions.
    Define(oneshot::Sender<Definitions>),
}

/// The active revision, for lint.
#[derive(Clone, Debug)]
pub struct Definitions {
    /// The number of the revision.
    pub number: i64,
    /// The pages.
    pub world: World,
    /// The settings of the pages.
    pub blueprint: Blueprint,
    /// The sources and calendars.
    pub inputs: Inputs,
}

/// The status of a running driver.
#[derive(Clone, Debug)]
pub struct Status {
    /// Each page.
    pub pages: Vec<PageStatus>,
    /// The reason for withholding all requests.
    pub withheld: Option<Withheld>,
    /// The number of the active revision.
    pub active: i64,
    /// The revision held for approval.
    pub held: Option<Held>,
    /// The progress of a rollout: revision, remaining pages, and the page it stopped at.
    pub rollout: Option<(String, usize, Option<PageId>)>,
    /// The promoted pages that wait for the page they follow.
    pub following: Vec<Promotion>,
    /// The latest values of other clients that were replaced by ours, oldest first.
    pub restored: Vec<Restored>,
    /// The active overrides.
    pub overrides: Vec<Override>,
    /// The problems of the inputs.
    pub problems: Vec<Problem>,
    /// The base URL of the API.
    pub api: String,
    /// The zone database: its release and location.
    pub zones: Arc<Database>,
    /// Counts since the start.
    pub counts: Counts,
}

#[cfg(test)]
impl Status {
    /// Returns the status of a driver without pages.
    pub fn of_nothing() -> Self {
        Self {
            pages: Vec::new(),
            withheld: None,
            active: 0,
            held: None,
            rollout: None,
            following: Vec::new(),
            restored: Vec::new(),
            overrides: Vec::new(),
            problems: Vec::new(),
            api: String::new(),
            zones: Database::embedded(),
            counts: Counts::default(),
        }
    }
}

/// The reason for withholding all requests, as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The clock is untrusted.
    Clock(String),
    /// The API refused the key.
    Key(String),
    /// A pause that ends by itself.
    Pause(String),
}

impl Withheld {
    /// Returns the message.
    pub fn text(&self) -> &str {
        match self {
            Self::Clock(text) | Self::Key(text) | Self::Pause(text) => text,
        }
    }
}

/// One page.
#[derive(Clone, Debug)]
pub struct PageStatus {
    /// The page's ID.
    pub page: PageId,
    /// Its status.
    pub standing: Standing,
    /// True once it was fetched.
    pub is_fetched: bool,
    /// Its time zone, if it has one.
    pub zone: Option<Zone>,
    /// The time of its next decision.
    pub due: Option<Instant>,
    /// The lasting changes of other clients; none if unknown.
    pub drift: Option<Vec<Drift>>,
}

/// A value of another client that was replaced by ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// Its number since the start, from 1.
    pub number: u64,
    /// The page.
    pub page: PageId,
    /// The value that was found.
    pub drift: Drift,
    /// The user who changed it, if the webhook reported one.
    pub by: Option<String>,
    /// The time when it was found.
    pub at: Instant,
}
