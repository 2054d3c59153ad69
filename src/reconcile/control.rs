//! Requests to a running driver: overrides, approvals, fetches, status.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::compile::{Blueprint, Inputs, World};
use crate::model::{Environment, Instant, PageId, Problem, RemotePage};
use crate::pages::{Override, Page};
use crate::plan::Drift;
use crate::zone::{Database, Zone};

use super::{Counts, Draft, Held, Promotion, Standing, Until};

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
        /// The channel for the answer: the number of approvals still missing, or an error if that
        /// revision is not held or the clock is already trusted.
        answer: oneshot::Sender<Result<usize, Problem>>,
    },
    /// Reject the held revision: it stays held until the files change or somebody approves it.
    Reject {
        /// The revision ID.
        revision: String,
        /// The requester.
        who: String,
        /// The channel for the answer: an error if that revision is not held.
        answer: oneshot::Sender<Result<(), Problem>>,
    },
    /// Replace an override by the same one with another end.
    Extend {
        /// The override's ID.
        id: i64,
        /// The new end.
        until: Until,
        /// The requester.
        who: String,
        /// The channel for the answer: the new override.
        answer: oneshot::Sender<Result<Override, Vec<Problem>>>,
    },
    /// Fetch pages because a change was reported, or a person asked for it.
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
    /// The instant of this status.
    pub at: Instant,
    /// Seconds that pass in each real second; 1 except in a rehearsal.
    pub speed: u32,
    /// Each page.
    pub pages: Vec<PageStatus>,
    /// The reason for withholding all requests.
    pub withheld: Option<Withheld>,
    /// The number of the active revision.
    pub active: i64,
    /// The revision held for approval.
    pub held: Option<Held>,
    /// The pages of the active and of the held revision; `None` if no revision is held.
    pub proposal: Option<Arc<Proposal>>,
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
    /// What is waiting, stored, and left.
    pub amounts: Amounts,
    /// The last reload of the settings.
    pub reload: LastReload,
    /// The receivers of notifications, and the number of failed attempts for the message on its way.
    pub receivers: BTreeMap<String, u32>,
}

/// The last reload of the settings.
#[derive(Clone, Debug, Default)]
pub struct LastReload {
    /// Time of that reload.
    pub at: Instant,
    /// Time of the last successful reload; earlier than `at` when the last one failed.
    pub succeeded_at: Instant,
    /// Problems of the settings; empty when they became active.
    pub problems: Vec<Problem>,
}

/// What is waiting, stored, and left.
#[derive(Clone, Debug, Default)]
pub struct Amounts {
    /// Pages that are due and wait for a place or the rate limit.
    pub queued: usize,
    /// PATCHes in the history, at most.
    pub history_rows: u64,
    /// The days left of each calendar.
    pub days_left: Vec<DaysLeft>,
}

/// The days up to the last event of a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaysLeft {
    /// The name of the calendar.
    pub calendar: String,
    /// True for public holidays, false for a file.
    pub is_public: bool,
    /// The days; 0 without a coming event, negative after the end of public holidays.
    pub days: i64,
}

#[cfg(test)]
impl Status {
    /// Returns the status of a driver without pages.
    pub fn of_nothing() -> Self {
        Self {
            at: Instant::UNIX_EPOCH,
            speed: 1,
            proposal: None,
            amounts: Amounts::default(),
            reload: LastReload::default(),
            receivers: BTreeMap::new(),
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

#[cfg(test)]
impl PageStatus {
    /// Returns the status of a page that owns no variable.
    pub fn of(page: PageId, standing: Standing) -> Self {
        let definition = Page {
            id: page.clone(),
            key: page.to_string(),
            follow: None,
            on_drift: crate::model::DriftPolicy::default(),
            zone: None,
            variables: Arc::new([]),
            missing: crate::model::Missing::default(),
            origin: crate::model::Origin::named("a test"),
            row: None,
        };
        let (definition, drift) = (Arc::new(definition), Some(Vec::new()));
        Self { page, standing, is_fetched: true, zone: None, due: None, definition, observed: None, drift }
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
    /// Its active definition, overrides included.
    pub definition: Arc<Page>,
    /// The page as last fetched.
    pub observed: Option<Arc<RemotePage>>,
    /// The lasting changes of other clients; none if unknown.
    pub drift: Option<Vec<Drift>>,
}

/// The pages that a held revision would change, before and after.
#[derive(Debug)]
pub struct Proposal {
    /// The pages of the active revision, without overrides.
    pub active: World,
    /// The pages of the held revision.
    pub held: World,
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
