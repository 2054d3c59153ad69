//! The revisions that a driver knows: the newest inputs, the active revision, the held one and the
//! one being rolled out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compile::Blueprint;
use crate::model::PageId;
use crate::plan::{Recent, Thresholds};
use crate::reconcile::revision::{Out, Rollout, parts_of, revision_id};
use crate::reconcile::{ActiveRevision, Held, Proposal};
use crate::settings::Settings;
use crate::sources::Revision;

/// The settings and inputs as last read.
pub struct Newest {
    /// The pages as defined by the settings.
    pub blueprint: Blueprint,
    /// The settings as written, for storing them.
    pub written: String,
    /// Distinguishes input read with these settings from input left by older settings.
    pub number: u32,
    /// The inputs.
    pub revision: Revision,
}

impl Newest {
    /// Returns the settings and inputs that were read under a number.
    pub fn of(settings: &Settings, revision: Revision, number: u32) -> Self {
        let (blueprint, written) = (settings.blueprint.clone(), settings.written.clone());
        Self { blueprint, written, number, revision }
    }

    /// Returns the ID of the revision.
    pub(super) fn id(&self) -> String {
        revision_id(&self.written, &self.revision, &self.blueprint.zones)
    }
}

impl Newest {
    /// Returns the versions of the settings and of each file.
    pub(super) fn parts(&self) -> BTreeSet<String> {
        parts_of(&self.written, &self.revision)
    }
}

impl Revisions {
    /// Returns true if people have decided about a revision other than this one, or are about to.
    pub(super) fn has_decision_on_another(&self, id: &str) -> bool {
        let is_held = self.held.as_ref().is_some_and(|held| held.revision != id);
        let is_rolling_out = !self.out.revision.is_empty() && self.out.revision != id;
        is_held || is_rolling_out || self.approved.iter().any(|approved| approved != id)
    }
}

/// All revisions, and the progress of approvals.
pub(super) struct Revisions {
    /// The settings and inputs as last read.
    pub(super) newest: Newest,
    /// The active revision.
    pub(super) active: ActiveRevision,
    /// True when the active pages are defined by the current settings.
    pub(super) is_blueprint_active: bool,
    /// The revision held for approval.
    pub(super) held: Option<Held>,
    /// The pages of the active and the held revision.
    pub(super) proposal: Option<Arc<Proposal>>,
    /// The pages that the held revision would change because of lost rows, with the rows.
    pub(super) losing_rows: BTreeMap<PageId, String>,
    /// The approved revision being rolled out.
    pub(super) rollout: Option<Rollout>,
    /// The pages rolled out to so far, including before a restart.
    pub(super) out: Out,
    /// The approvals that were not used yet.
    pub(super) approved: BTreeSet<String>,
    /// The limits for a change without approval.
    pub(super) thresholds: Thresholds,
    /// Recently accepted changes.
    pub(super) recent: Recent,
}
