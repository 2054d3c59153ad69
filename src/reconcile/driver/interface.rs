//! The interface of the driver: its parts at the start, its input, and its final state.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

use crate::agents_api::ApiKey;
use crate::compile::World;
use crate::model::{Instant, PageId, Problem};
use crate::plan::Thresholds;
use crate::reconcile::board::Board;
use crate::reconcile::gate::Limits;
use crate::reconcile::page_state::Standing;
use crate::reconcile::{ActiveRevision, Actor, Control, Held};
use crate::settings::Settings;
use crate::sources::Revision;

use super::revisions::Newest;

/// Input to the driver from outside.
#[derive(Debug)]
pub enum Feed {
    /// New inputs, with the number of the settings they were read with.
    Inputs(u32, Box<Revision>),
    /// A new key, with the number of the settings it was read with.
    Key(u32, ApiKey),
    /// A request from a user or tool.
    Control(Control),
    /// End in order.
    Stop,
    /// End in order, then restart with new settings.
    Reload,
}

/// The duration of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped.
    Daemon,
    /// Until every page is right or cannot be made so, or the deadline passes.
    Once {
        /// The deadline.
        deadline: Instant,
    },
}

/// The supervisor of the process.
pub trait Supervisor: Send + Sync {
    /// Called when the first decisions can be made.
    fn ready(&self) {}
    /// Called before each sleep, with the number of requests in progress.
    fn resting(&self, _under_way: usize) {}
    /// Called at least every `beat` while the driver runs.
    fn alive(&self) {}
    /// Called at the start and whenever the pages were computed again.
    ///
    /// Returns the pages that another daemon owns; nothing is sent to them. While there are any, or
    /// if the claim failed (`None`), it is called again every few seconds.
    fn claim(&self, _world: &World) -> Option<BTreeMap<PageId, Problem>> {
        Some(BTreeMap::new())
    }
    /// Returns the interval for `alive`, if it is needed.
    fn beat(&self) -> Option<Duration> {
        None
    }
}

/// A supervisor that does nothing.
pub struct Unsupervised;
impl Supervisor for Unsupervised {}

/// Everything needed to build a driver.
pub struct Setup<R> {
    /// Executes plans.
    pub actor: Actor<R>,
    /// Applies a new key.
    pub set_key: Box<dyn Fn(ApiKey) + Send>,
    /// The settings and inputs at the start.
    pub newest: Newest,
    /// The active revision.
    pub active: ActiveRevision,
    /// The limits for a change without approval.
    pub thresholds: Thresholds,
    /// The latest instant known to be past; a clock that shows an earlier one is untrusted.
    pub last_known: Option<Instant>,
    /// The driver's pace and limits.
    pub pace: Pace,
    /// The seed of the jitter.
    pub seed: u64,
    /// The place where the status is published.
    pub board: Board,
}

/// The driver's pace and limits.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// True if values must match the `format` in their schema.
    pub assert_formats: bool,
    /// The interval of the resync of every page.
    pub resync: Duration,
    /// The age up to which history is kept.
    pub keep_history: TimeDelta,
    /// Maximum number of requests at once.
    pub concurrency: usize,
    /// The memory for all fetched pages, in bytes.
    pub max_fetched_bytes: usize,
    /// The rate limits for requests.
    pub limits: Limits,
    /// True if other replicas may write the store.
    pub is_shared: bool,
}

impl From<&Settings> for Pace {
    fn from(settings: &Settings) -> Self {
        Self {
            assert_formats: settings.assert_formats,
            resync: settings.resync,
            keep_history: settings.store.keep_history,
            concurrency: settings.api.concurrency,
            max_fetched_bytes: settings.api.max_fetched_mib << 20,
            limits: Limits { rate: settings.api.rate, burst: settings.api.burst },
            is_shared: settings.store.path.is_shared(),
        }
    }
}

/// The reason why a driver ended, and its final state.
#[derive(Debug)]
pub struct Ended {
    /// True if the settings must be read again.
    pub reload: bool,
    /// The last active revision.
    pub active: ActiveRevision,
    /// The revision held for approval.
    pub held: Option<Held>,
    /// Pages of an approved revision that were not yet confirmed.
    pub to_come: usize,
    /// The final status of each page.
    pub pages: Vec<PageReport>,
    /// The problems of the inputs.
    pub problems: Vec<Problem>,
}

/// The final status of a page.
#[derive(Clone, Debug)]
pub struct PageReport {
    /// The page's ID.
    pub page: PageId,
    /// Its status.
    pub standing: Standing,
    /// Number of values applied to it.
    pub applied: usize,
}
