//! The state that must outlive the process: baselines, intents and their outcomes, history,
//! overrides, the active settings and inputs.
//!
//! [`Store`] is what the driver needs of it. [`sqlite`] keeps it in a file, and [`Memory`] serves
//! tests; both pass the same suite, `conformance.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::{Instant, PageId, Variable};
use crate::pages::Override;
use crate::plan::Drift;
use crate::pulse::Pulse;

mod claims;
mod error;
mod memory;
pub mod sqlite;
mod types;

#[cfg(test)]
mod conformance;

pub use claims::{Claim, Taken};
pub use error::StoreError;
pub use memory::Memory;
pub use sqlite::{Location, Reading, Writer};
pub use types::{
    Acceptance, Accepted, Behind, DriftRow, HistoryRow, Intent, OpenIntent, Outcome, OverrideRow, PageState,
    Remembered,
};

/// The result of a job, available once it is durable.
pub type Written<T> = BoxFuture<'static, Result<T, StoreError>>;

/// A store that one process writes.
///
/// Jobs run in the order in which the methods are called, even if the caller does not await their
/// results. An acknowledged job is durable, together with all jobs before it. After a failure
/// nothing more is written.
pub trait Store: Send + Sync {
    /// Returns the pulse of the thread that owns the connection.
    fn pulse(&self) -> Pulse;

    /// Returns the stored state of one API's pages.
    fn pages(&self, api: &str) -> Written<BTreeMap<PageId, PageState>>;

    /// Returns the settings and inputs that were active when the program last ended.
    ///
    /// Entries per page are those of one API.
    fn remembered(&self, api: &str) -> Written<Remembered>;

    /// Returns the overrides of an API's pages that are neither released nor expired, oldest first.
    fn overrides(&self, api: &str, now: Instant) -> Written<Vec<Override>>;

    /// Stores an override and returns it with its number.
    fn set_override(&self, api: &str, set: Override) -> Written<Override>;

    /// Releases an override; returns true if there was one to release.
    fn release_override(&self, id: i64, who: &str, at: Instant) -> Written<bool>;

    /// Returns the approved revisions that have not been used yet.
    fn approvals(&self) -> Written<BTreeSet<String>>;

    /// Approves one revision, once.
    fn approve(&self, revision: &str, who: &str, at: Instant) -> Written<()>;

    /// Marks an approval as used when its revision becomes active: if that revision comes back
    /// later, it needs a new approval.
    fn use_approval(&self, revision: &str, at: Instant) -> Written<()>;

    /// Returns the latest time at which a PATCH was recorded.
    fn last_known(&self) -> Written<Option<Instant>>;

    /// Returns a single fact by its name.
    fn fact(&self, name: &'static str) -> Written<Option<String>>;

    /// Stores or deletes a single fact.
    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()>;

    /// Records drift on a page and ends drift that is gone.
    ///
    /// Drift that continues keeps its start; drift that was restored ends immediately.
    fn note_drift(
        &self,
        api: &str,
        page: &PageId,
        drift: Vec<Drift>,
        by: Option<String>,
        at: Instant,
    ) -> Written<()>;

    /// Stores settings and inputs that become active, and which pages are still based on older
    /// ones.
    ///
    /// Existing inputs that are not passed stay as they are. Versions that no page is based on any
    /// more are deleted.
    fn accept(&self, api: &str, acceptance: Acceptance, at: Instant) -> Written<()>;

    /// Stores the progress of a promoted page, or that it is up to date.
    fn set_behind(&self, api: &str, page: &PageId, behind: Option<Behind>) -> Written<()>;

    /// Stores an intent before its PATCH is sent; returns its number.
    fn intend(&self, intent: Intent) -> Written<i64>;

    /// Stores the outcome of an intent; applied values become the baseline.
    fn settle(
        &self,
        write: i64,
        outcome: Outcome,
        correlation_id: Option<String>,
        at: Instant,
    ) -> Written<()>;

    /// Adds to the baseline values that are on a page as desired but not from a PATCH of ours.
    fn adopt(&self, api: &str, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()>;

    /// Deletes one batch of the history older than `before`.
    fn prune(&self, before: Instant) -> Written<()>;

    /// Stores a page's schema as fetched.
    fn saw_schema(&self, api: &str, page: &PageId, schema: Option<Arc<Value>>) -> Written<()>;

    /// Stores or clears the problem that prevents a page from being correct.
    fn note_problem(&self, api: &str, page: &PageId, problem: Option<String>, at: Instant) -> Written<()>;
}
