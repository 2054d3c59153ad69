//! What people and their tools ask of a running driver: overrides, approvals, a look, how things stand.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::model::{Environment, Instant, PageId, Problem};
use crate::pages::Override;
use crate::zone::{Database, Zone};

use super::{Draft, Following, Held, Standing};

/// A request, each with the place for its answer. What is answered with success is durable.
#[derive(Debug)]
pub enum Control {
    /// Set an override.
    Set(Box<Draft>, oneshot::Sender<Result<Override, Vec<Problem>>>),
    /// Release an override before its end.
    Release {
        /// Its number.
        id: i64,
        /// Who asks.
        who: String,
        /// Whether there was one to release.
        answer: oneshot::Sender<Result<(), Problem>>,
    },
    /// Let the held revision pass, or believe the clock.
    Approve {
        /// What names the revision; `clock` for the clock.
        revision: String,
        /// Who asks.
        who: String,
        /// Whether that is what waits.
        answer: oneshot::Sender<Result<(), Problem>>,
    },
    /// Look at pages, because somebody says that they were changed.
    Look {
        /// The agent; every one when nobody knows.
        agent: Option<String>,
        /// The environment, likewise.
        environment: Option<Environment>,
        /// Who is said to have changed them.
        by: Option<String>,
    },
}

/// How things stand in a running driver.
#[derive(Clone, Debug)]
pub struct Status {
    /// Each page.
    pub pages: Vec<PageStatus>,
    /// What keeps all requests back: a refused key, a pause, a doubtful clock.
    pub withheld: Option<String>,
    /// A revision that waits for approval.
    pub held: Option<Held>,
    /// How far an approved mass change has come: pages to come, and the page it is stopped at.
    pub rollout: Option<(String, usize, Option<PageId>)>,
    /// The pages that wait for those that they follow.
    pub following: Vec<Following>,
    /// The overrides in force.
    pub overrides: Vec<Override>,
    /// What is wrong with the inputs.
    pub problems: Vec<Problem>,
    /// The API that the pages are of, by its base URL.
    pub api: String,
    /// The zone database: its release and where it is.
    pub zones: Arc<Database>,
    /// Requests sent, values put on pages, and failures, since the start.
    pub counts: Counts,
}

/// One page.
#[derive(Clone, Debug)]
pub struct PageStatus {
    /// Which.
    pub page: PageId,
    /// How it stands.
    pub standing: Standing,
    /// Its time zone, if it has one.
    pub zone: Option<Zone>,
    /// When it is next decided on.
    pub due: Option<Instant>,
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests of all kinds.
    pub requests: u64,
    /// Of these, PATCHes.
    pub patches: u64,
    /// Of all, those that failed.
    pub failures: u64,
    /// Values put on pages.
    pub applied: u64,
    /// Values found changed by others.
    pub drifted: u64,
}
