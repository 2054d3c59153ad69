//! The pages that another daemon on this machine owns; nothing is sent to them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Instant, PageId, Problem};

/// The wait before pages are claimed again if some are contested, or if the claim failed.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// The contested pages, and when to claim them.
#[derive(Default)]
pub(super) struct Contested {
    pages: BTreeMap<PageId, Problem>,
    /// The time of the next claim without new pages.
    again: Option<Instant>,
    /// True once the current pages were claimed.
    is_claimed: bool,
}

impl Contested {
    /// Makes the next turn claim the pages, before anything is sent.
    pub(super) fn begin_anew(&mut self) {
        self.is_claimed = false;
    }

    /// Returns true once the current pages were claimed.
    pub(super) fn is_claimed(&self) -> bool {
        self.is_claimed
    }

    /// Returns the problem of a contested page.
    pub(super) fn problem(&self, page: &PageId) -> Option<Problem> {
        self.pages.get(page).cloned()
    }

    /// Returns the time to wake up for the next claim. Without contested pages it can wait.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again.filter(|_| !self.pages.is_empty())
    }

    /// Returns true if the pages must be claimed now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_claimed || self.again.is_some_and(|again| again <= now)
    }

    /// Records the outcome of a claim, and when to repeat it; returns the pages that are no longer
    /// contested.
    ///
    /// After a failed claim (`None`) the same pages are contested as before.
    pub(super) fn claimed(
        &mut self,
        pages: Option<BTreeMap<PageId, Problem>>,
        again: Instant,
    ) -> Vec<PageId> {
        let before = std::mem::take(&mut self.pages);
        self.pages = pages.unwrap_or_else(|| before.clone());
        self.again = Some(again);
        self.is_claimed = true;
        before.into_keys().filter(|page| !self.pages.contains_key(page)).collect()
    }
}
