//! The values that a store keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::limits::replicas::ALONE_PAUSE;
use crate::model::{Change, Instant, PageId, Variable};
use crate::pages::Override;
use crate::plan::Baseline;

/// The program that rows belong to.
///
/// Programs that share a store never touch each other's rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The API's base URL.
    pub api: String,
    /// The id of the program, `[store] owner`.
    pub id: String,
}

/// A person's decision to use the copy of a store while its database does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    /// The time of the decision.
    pub since: Instant,
    /// The person.
    pub who: String,
    /// The reason, if one was given.
    pub reason: Option<String>,
}

impl Alone {
    /// The name of the fact that keeps the last decision.
    pub(crate) const FACT: &'static str = "alone";

    /// Returns the fact: the decision, and the time at which the database had returned.
    pub(crate) fn to_fact(&self, until: Option<Instant>) -> String {
        json!({ "since": self.since, "until": until, "who": self.who, "reason": self.reason }).to_string()
    }

    /// Reads the fact.
    pub(crate) fn from_fact(fact: &str) -> Option<(Self, Option<Instant>)> {
        let fact: Value = serde_json::from_str(fact).ok()?;
        let at = |name: &str| fact[name].as_str()?.parse().ok();
        let reason = fact["reason"].as_str().map(str::to_owned);
        Some((Self { since: at("since")?, who: fact["who"].as_str()?.to_owned(), reason }, at("until")))
    }
}

/// The origin of a copy of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The database.
    pub(in crate::store) database: String,
    /// The id of the store in the database.
    pub(in crate::store) store: String,
    /// The number of the lease in which it was copied.
    pub(in crate::store) epoch: i64,
    /// The id of that lease.
    pub(in crate::store) lease: String,
    /// The host and process that held it.
    pub(in crate::store) described: String,
    /// The number of the last transaction that it has.
    pub(in crate::store) commits: i64,
    /// The time of that transaction; while the copy is used alone, its last use.
    pub at: Instant,
    /// The lease that began to put its rows back into the database.
    pub(in crate::store) returning: Option<String>,
    /// The decision to use it alone; none before, and once its rows are back.
    pub alone: Option<Alone>,
    /// The time at which its rows were refused, because another program wrote the database.
    pub refused: Option<Instant>,
}

impl Origin {
    /// Returns true if a replica follows the decision to use the copy alone.
    ///
    /// Not once its rows were refused, and not after a pause: the database may have returned meanwhile.
    pub fn is_followed(&self, now: Instant) -> bool {
        let is_recent = |at: Instant| (now - at).abs() < ALONE_PAUSE;
        let decided = self.alone.as_ref().filter(|_| self.refused.is_none());
        decided.is_some_and(|alone| is_recent(self.at) || is_recent(alone.since))
    }
}

/// A store, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its file or database.
    pub path: String,
    /// Its size in bytes, with the changes that are not in the file itself yet.
    pub bytes: u64,
    /// Its version.
    pub version: i64,
    /// The version that this program writes.
    pub known: i64,
    /// Its contents; `None` for another version.
    pub contents: Option<Contents>,
}

/// The contents of a store, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The owners of rows: the API's base URL and the id of each.
    pub owners: Vec<(String, String)>,
    /// Number of pages that were ever kept.
    pub pages: u64,
    /// Number of PATCHes in the history.
    pub patches: u64,
    /// Time of the oldest PATCH.
    pub oldest: Option<Instant>,
    /// Time of the newest PATCH.
    pub newest: Option<Instant>,
    /// Number of active overrides.
    pub overrides: u64,
    /// Number of PATCHes whose outcome is unknown.
    pub open_intents: u64,
}

/// The stored state of a page.
#[derive(Clone, Debug, Default)]
pub struct PageState {
    /// The baseline: the values last written by us and confirmed on the page.
    pub baseline: Baseline,
    /// A PATCH with an unknown outcome.
    pub open: Option<OpenIntent>,
    /// Its schema as last fetched.
    pub schema: Option<Arc<Value>>,
    /// The problem that prevents the page from being correct, and its start.
    pub problem: Option<(String, Instant)>,
    /// True while other clients' changes remain on it.
    pub is_adrift: bool,
}

/// A PATCH with an unknown outcome: the process died, or no response arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIntent {
    /// Its number.
    pub id: i64,
    /// The changes it was to make.
    pub changes: Vec<Change>,
}

/// The settings and inputs that were active when the program last ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// The number of the newest acceptance; 0 if there was none.
    pub number: i64,
    /// The settings and inputs that it made active.
    pub newest: Accepted,
    /// The same for older acceptances that pages are still based on.
    pub older: BTreeMap<i64, Accepted>,
    /// The promoted pages that are still based on an older acceptance.
    pub behind: BTreeMap<PageId, Behind>,
    /// The pages affected by a problem, each with the acceptance it is based on.
    pub kept: BTreeMap<PageId, i64>,
}

/// Settings and inputs as an acceptance made them active.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepted {
    /// The settings as written.
    pub settings: Option<String>,
    /// The inputs, by path.
    pub inputs: BTreeMap<String, Vec<u8>>,
}

/// The progress of a promoted page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// The acceptance that the page is based on; `None` if it was never active.
    pub as_of: Option<i64>,
    /// The time since which the page that it follows has held the newest values; `None` while it
    /// does not.
    pub since: Option<Instant>,
}

/// One change in the history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryRow {
    /// The time of the intent (UTC).
    pub at: Instant,
    /// The originator of the change: the command, and the user that ran it.
    pub who: String,
    /// The page.
    pub page: String,
    /// The variable.
    pub variable: String,
    /// The value before; null when there was none.
    pub from: Value,
    /// The value after.
    pub to: Value,
    /// The reason in words.
    pub because: String,
    /// `applied`, `failed`, `unknown`, `overwritten`, or `intended` while under way.
    pub outcome: String,
    /// The ID to give to the vendor's support.
    pub correlation_id: Option<String>,
    /// The last error.
    pub error: Option<String>,
    /// The number of attempts.
    pub tries: i64,
}

/// An override and its release, if any.
#[derive(Clone, Debug, PartialEq)]
pub struct OverrideRow {
    /// The override.
    pub set: Override,
    /// The time of the release and the user who released it.
    pub released: Option<(Instant, String)>,
}

/// A value of ours that another client changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftRow {
    /// The time when it was first seen (UTC).
    pub since: Instant,
    /// The page.
    pub page: String,
    /// The variable.
    pub variable: String,
    /// The baseline: our last confirmed value.
    pub baseline: Value,
    /// The value that was found; null if it was deleted.
    pub found: Value,
    /// The desired value.
    pub desired: Value,
    /// `restored`, `kept`, `reported` or `held`.
    pub answer: String,
    /// The user who changed it, if the webhook reported one.
    pub by: Option<String>,
    /// The time when it ended; `None` while it lasts.
    pub ended_at: Option<Instant>,
}

/// A PATCH that is about to be sent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The page.
    pub page: PageId,
    /// The time of the intent.
    pub at: Instant,
    /// The originator: the command and the user that runs it.
    pub who: String,
    /// The changes.
    pub changes: Vec<Change>,
    /// The failed intent that this one retries.
    pub again: Option<i64>,
}

/// Settings and inputs that become active.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    /// The number of this acceptance, counted from 1.
    pub number: i64,
    /// The settings as written.
    pub settings: String,
    /// The inputs, by path.
    pub inputs: BTreeMap<String, Arc<[u8]>>,
    /// The paths of all existing inputs; inputs with other paths are no longer active.
    pub paths: BTreeSet<String>,
    /// The promoted pages that are not yet based on this acceptance.
    pub behind: BTreeMap<PageId, Behind>,
    /// The pages that a problem prevents from being based on it, each with the acceptance it is
    /// based on.
    pub kept: BTreeMap<PageId, i64>,
}

/// The outcome of a PATCH.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The page holds the values; they become the baseline.
    Applied(Vec<(Variable, Value)>),
    /// The API refused it, and nothing changed.
    Failed(String),
    /// Unknown; the page must be fetched.
    Unknown(String),
    /// Another client wrote since; its effect can no longer be determined.
    Overwritten,
}

impl Outcome {
    /// Returns its name in the history.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Applied(_) => "applied",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::Overwritten => "overwritten",
        }
    }

    /// Returns the error, if there is one.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Failed(error) | Self::Unknown(error) => Some(error),
            Self::Applied(_) | Self::Overwritten => None,
        }
    }
}
