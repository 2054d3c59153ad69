//! The schedule of checks for promoted pages.

use std::collections::BTreeSet;

use crate::model::{Instant, PageId};

/// The promoted pages to check, and when.
///
/// Only pages that may have changed are checked, so thousands of waiting pages cost nothing.
#[derive(Default)]
pub(super) struct Waiting {
    /// The times at which pages may be promoted.
    pub(super) ripe: BTreeSet<(Instant, PageId)>,
    /// True when the set of waiting pages changed.
    pub(super) is_new: bool,
}

impl Waiting {
    /// Makes the next turn check all waiting pages.
    pub(super) fn begin_anew(&mut self) {
        self.is_new = true;
    }

    pub(super) fn reschedule(&mut self, page: &PageId, before: Option<Instant>, ripe_at: Option<Instant>) {
        if let Some(before) = before {
            self.ripe.remove(&(before, page.clone()));
        }
        self.ripe.extend(ripe_at.map(|at| (at, page.clone())));
    }
}
