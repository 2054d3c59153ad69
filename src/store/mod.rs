//! The state that must outlive the process: baselines, intents and their outcomes, history,
//! overrides, the active settings and inputs.
//!
//! [`Store`] is what the driver needs of it, and [`Reading`] what commands read beside the driver.
//! [`sqlite`] keeps it in a file, and [`at`] locates it. A further store is an entry of `KINDS`. The
//! tests have a second store, `memory.rs`; all pass the same suite, `conformance.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::model::{Instant, PageId, Variable};
use crate::pages::Override;
use crate::plan::Drift;
use crate::pulse::Pulse;

mod claims;
mod error;
mod moving;
pub mod postgres;
pub mod relay;
mod sql;
pub mod sqlite;
mod types;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;

pub(crate) use claims::{Claim, Conflict};
pub use error::StoreError;
pub use moving::move_store;
use relay::{Relay, Taken};
pub use sql::Copied;
pub(crate) use types::{
    Acceptance, Accepted, Behind, Contents, Description, DriftRow, HistoryRow, Intent, OpenIntent, Outcome,
    OverrideRow, Owner, PageState, Remembered,
};
pub use types::{Alone, Origin};

/// The result of a job, available once it is durable.
pub(crate) type Written<T> = BoxFuture<'static, Result<T, StoreError>>;

/// A kind of store that keeps its state in a file.
struct Kind {
    /// The ending of its files.
    ending: &'static str,
    /// Names a store of this kind.
    locate: fn(&Path) -> Box<dyn Location>,
    /// Returns the name and version of its library.
    library: fn() -> String,
}

/// All kinds of stores in files. The first one also takes files with any other ending.
///
/// `conformance.rs` checks each entry.
const KINDS: &[Kind] = &[Kind {
    ending: "sqlite",
    locate: |path| Box::new(sqlite::Sqlite::new(Some(path))),
    library: sqlite::library,
}];

/// Returns the location of a store: a file, or memory for `None`.
pub fn at(path: Option<&Path>) -> Box<dyn Location> {
    let Some(path) = path else { return Box::new(sqlite::Sqlite::new(None)) };
    let kind = KINDS.iter().find(|kind| path.extension().is_some_and(|ending| ending == kind.ending));
    (kind.unwrap_or(&KINDS[0]).locate)(path)
}

/// Returns the libraries of all kinds of stores, with their versions.
pub fn libraries() -> String {
    KINDS.iter().map(|kind| (kind.library)()).collect::<Vec<_>>().join(", ")
}

/// Takes one row of a store.
pub type TakeRow<'t> = dyn FnMut(Copied) -> Result<(), StoreError> + Send + 't;

/// A store whose rows are on their way to another one; no program can write it meanwhile.
pub trait Moving: Send {
    /// Passes on all rows.
    ///
    /// # Errors
    /// As all methods, when the store cannot be read or written; the error of `take`.
    fn rows(&mut self, take: &mut TakeRow) -> Result<(), StoreError>;

    /// Notes that the store was moved to another one, or that it was not: no program opens it then.
    fn mark(&mut self, to: Option<&str>) -> Result<(), StoreError>;
}

/// The location of a store.
pub trait Location: Send + Sync {
    /// Opens the store for reading without creating it; returns `None` when there is none.
    ///
    /// Without an owner, reads the rows of all owners.
    ///
    /// # Errors
    /// Something that is not a store, a store of another version, or one that is lost.
    fn read(&self, owner: Option<&Owner>) -> Result<Option<Box<dyn Reading>>, StoreError>;

    /// Opens the store for writing: creates or upgrades it, and keeps other processes out.
    ///
    /// Without an owner, it can only release overrides.
    ///
    /// # Errors
    /// Returns an error when another process writes it, it cannot be written, it is damaged or
    /// lost, or it is of a newer version.
    fn open(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError>;

    /// Opens the store on explicit request, replacing a missing or damaged one.
    ///
    /// A missing store is created, and a damaged one is moved aside first. Nothing is deleted.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for failures that a new store resolves.
    fn open_or_begin_anew(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError>;

    /// Creates the store, or upgrades it; without effect on a current one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and missing rights.
    fn create(&self) -> Result<(), StoreError> {
        self.open(None).map(drop)
    }

    /// Returns true for a store that several machines share.
    fn is_shared(&self) -> bool {
        false
    }

    /// Connects to the programs that share the store, as one of them or only to ask; `None` if none can.
    fn relay(&self, _is_replica: bool) -> Option<(Relay, mpsc::Receiver<Taken>)> {
        None
    }

    /// Copies the store into a new file, as of one instant, also while a process writes it.
    ///
    /// # Errors
    /// A missing or unreadable store, or a file that exists or cannot be written.
    fn back_up(&self, to: &Path) -> Result<(), StoreError>;

    /// Replaces the store by a backup; returns the new path of the replaced one.
    ///
    /// # Errors
    /// When a process has the store open, or the backup is damaged, of a newer version or none.
    fn restore(&self, from: &Path) -> Result<Option<PathBuf>, StoreError>;

    /// Takes the store to move it; `None` if there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for a store that was moved before.
    fn begin_move(&self) -> Result<Option<Box<dyn Moving>>, StoreError>;

    /// Stores the rows of another store in this one, all or nothing; returns their number.
    ///
    /// `seal` is called once all rows have arrived, before they become durable.
    ///
    /// # Errors
    /// As [`open`](Self::open), a store that is not empty, and the errors of `seal`.
    fn import(
        &self,
        rows: &mut (dyn Iterator<Item = Copied> + Send),
        seal: &mut (dyn FnMut() -> Result<(), StoreError> + Send),
    ) -> Result<u64, StoreError>;

    /// Describes the store at an instant, of whatever version; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn describe(&self, now: Instant) -> Result<Option<Description>, StoreError>;

    /// Returns true while a process has the store open for writing.
    fn is_in_use(&self) -> bool;

    /// Returns true for a store that takes long to check or upgrade.
    fn is_large(&self) -> bool;

    /// Returns a description of the process that writes the store now, if it can be determined.
    fn user(&self) -> String;
}

/// A store opened for reading only, for one owner or for all.
pub trait Reading {
    /// Returns all owners of rows.
    ///
    /// # Errors
    /// As all methods, when the store cannot be read.
    fn owners(&self) -> Result<Vec<Owner>, StoreError>;

    /// Returns overrides, newest first.
    ///
    /// `all` includes overrides that have expired or were released.
    ///
    /// # Errors
    /// All methods fail when the store cannot be read.
    fn overrides(&self, now: Instant, all: bool) -> Result<Vec<OverrideRow>, StoreError>;

    /// Returns the approved revisions that have not been used yet.
    fn approvals(&self) -> Result<BTreeSet<String>, StoreError>;

    /// Returns a single fact by its name.
    fn fact(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Returns drift of one page or all, newest first, at most `limit` rows.
    ///
    /// With `lasting`, only drift that has not ended is returned.
    fn drifts(&self, page: Option<&PageId>, lasting: bool, limit: usize)
    -> Result<Vec<DriftRow>, StoreError>;

    /// Returns the stored state of the pages.
    fn pages(&self) -> Result<BTreeMap<PageId, PageState>, StoreError>;

    /// Returns the settings and inputs that were active when the program last ended.
    fn remembered(&self) -> Result<Remembered, StoreError>;

    /// Returns the changes of one page or all, newest first, at most `limit`.
    fn history(&self, page: Option<&PageId>, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;

    /// Returns the time at which the last applied PATCH of a page was settled.
    fn last_applied(&self, page: &PageId) -> Result<Option<Instant>, StoreError>;
}

/// A store that one process writes, for one owner.
///
/// Jobs run in the order in which the methods are called, even if the caller does not await their
/// results. An acknowledged job is durable, together with all jobs before it. After a failure
/// nothing more is written.
pub trait Store: fmt::Debug + Send + Sync {
    /// Returns the pulse of the thread that owns the connection.
    fn pulse(&self) -> Pulse;

    /// Checks that this process alone may send, for at least this time.
    ///
    /// A store that several machines share is lent to one of them at a time.
    ///
    /// # Errors
    /// When another process may write the store before that.
    fn may_send(&self, _within: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    /// Resolves once the store cannot be written any more, with the reason.
    fn ended(&self) -> BoxFuture<'static, StoreError> {
        Box::pin(std::future::pending())
    }

    /// Returns the number of PATCHes in the history of all owners, at most.
    ///
    /// It reads nothing.
    fn history_rows(&self) -> u64;

    /// Returns the same store for another owner.
    fn owned_by(&self, owner: &Owner) -> Written<Arc<dyn Store>>;

    /// Returns the stored state of the pages.
    fn pages(&self) -> Written<BTreeMap<PageId, PageState>>;

    /// Returns the settings and inputs that were active when the program last ended.
    fn remembered(&self) -> Written<Remembered>;

    /// Returns the overrides that are neither released nor expired, oldest first.
    fn overrides(&self, now: Instant) -> Written<Vec<Override>>;

    /// Stores an override and returns it with its number.
    fn set_override(&self, set: Override) -> Written<Override>;

    /// Releases an override; returns true if there was one to release.
    ///
    /// Without an owner, it may be of any: a person names it by its number, perhaps without valid
    /// settings.
    fn release_override(&self, id: i64, who: &str, at: Instant) -> Written<bool>;

    /// Returns the approved revisions that have not been used yet.
    fn approvals(&self) -> Written<BTreeSet<String>>;

    /// Approves one revision, once.
    fn approve(&self, revision: &str, who: &str, at: Instant) -> Written<()>;

    /// Marks an approval as used when its revision becomes active: if that revision comes back
    /// later, it needs a new approval.
    fn use_approval(&self, revision: &str, at: Instant) -> Written<()>;

    /// Returns the latest time at which any owner recorded a PATCH.
    fn last_known(&self) -> Written<Option<Instant>>;

    /// Returns a single fact by its name.
    fn fact(&self, name: &'static str) -> Written<Option<String>>;

    /// Stores or deletes a single fact.
    fn set_fact(&self, name: &'static str, value: Option<String>) -> Written<()>;

    /// Records drift on a page and ends drift that is gone.
    ///
    /// Drift that continues keeps its start; drift that was restored ends immediately.
    fn note_drift(&self, page: &PageId, drift: Vec<Drift>, by: Option<String>, at: Instant) -> Written<()>;

    /// Stores settings and inputs that become active, and which pages are still based on older
    /// ones.
    ///
    /// Existing inputs that are not passed stay as they are. Versions that no page is based on any
    /// more are deleted.
    fn accept(&self, acceptance: Acceptance, at: Instant) -> Written<()>;

    /// Stores the progress of a promoted page, or that it is up to date.
    fn set_behind(&self, page: &PageId, behind: Option<Behind>) -> Written<()>;

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
    fn adopt(&self, page: &PageId, values: Vec<(Variable, Value)>) -> Written<()>;

    /// Deletes one batch of the history older than `before`.
    fn prune(&self, before: Instant) -> Written<()>;

    /// Stores a page's schema as fetched.
    fn saw_schema(&self, page: &PageId, schema: Option<Arc<Value>>) -> Written<()>;

    /// Stores or clears the problem that prevents a page from being correct.
    fn note_problem(&self, page: &PageId, problem: Option<String>, at: Instant) -> Written<()>;
}
