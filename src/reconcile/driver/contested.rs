//! The pages that another daemon on this machine owns; nothing is sent to them.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::model::{Instant, PageId, Problem};

/// The wait before contested pages are claimed again.
const RETRY: TimeDelta = TimeDelta::seconds(5);

/// The contested pages, and when to claim them.
#[derive(Default)]
pub(super) struct Contested {
    pages: BTreeMap<PageId, Problem>,
    /// The time of the next claim, while there are contested pages.
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

    /// Returns the problem of a contested page, and when it is claimed again.
    pub(super) fn problem(&self, page: &PageId) -> Option<(Problem, Option<Instant>)> {
        Some((self.pages.get(page)?.clone(), self.again))
    }

    /// Returns true if the pages must be claimed now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_claimed || self.again.is_some_and(|again| again <= now)
    }

    /// Records the outcome of a claim; returns the pages that are no longer contested.
    pub(super) fn claimed(&mut self, pages: BTreeMap<PageId, Problem>, now: Instant) -> Vec<PageId> {
        let again = (!pages.is_empty()).then(|| now + RETRY);
        let before = std::mem::replace(self, Self { pages, again, is_claimed: true });
        before.pages.into_keys().filter(|page| !self.pages.contains_key(page)).collect()
    }
}
