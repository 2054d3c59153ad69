//! When pages that follow others are asked about.

use std::collections::BTreeSet;

use crate::model::{Instant, PageId};

/// Which of the pages that wait are asked about when. Only what may have changed is, so that thousands of them cost
/// nothing while they wait.
#[derive(Default)]
pub(super) struct Waiting {
    /// When each may take over what it waits for.
    pub(super) ripe: BTreeSet<(Instant, PageId)>,
    /// Others wait than before, or for something else.
    pub(super) is_new: bool,
}

impl Waiting {
    /// All that wait are asked about at the next turn.
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
