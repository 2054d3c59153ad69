//! The driver's reports: its status, its counts, and the problems already logged.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::notifications::RESTORED_LISTED;
use crate::model::{Instant, PageId};
use crate::plan::{Answer, Drift};
use crate::reconcile::{Board, Counts, Restored};

use super::calendar_ends::CalendarEnds;

/// Limit of a value's characters in the log.
pub(super) const LOGGED: usize = 60;

/// The state of the driver's reports.
pub(super) struct Report {
    /// The place where the status is published.
    pub(super) board: Board,
    pub(super) counts: Counts,
    /// Number of values applied to each page.
    pub(super) applied: BTreeMap<PageId, usize>,
    /// The last events of the calendars.
    pub(super) ends: CalendarEnds,
    /// The problems of the inputs that were logged, errors marked; sorted.
    pub(super) problems: Vec<(bool, String)>,
    /// The latest restored drift, which nothing else shows.
    pub(super) restored: VecDeque<Restored>,
}

impl Report {
    /// Starts with nothing reported.
    pub(super) fn new(board: Board) -> Self {
        Self {
            board,
            counts: Counts::default(),
            applied: BTreeMap::new(),
            ends: CalendarEnds::default(),
            problems: Vec::new(),
            restored: VecDeque::new(),
        }
    }

    /// Counts values applied to a page.
    pub(super) fn count_applied(&mut self, page: &PageId, values: usize) {
        *self.applied.entry(page.clone()).or_default() += values;
    }

    /// Lists the drift of a page that is being restored.
    pub(super) fn note_restored(&mut self, page: &PageId, new: &[&Drift], by: Option<&str>, at: Instant) {
        for drift in new.iter().filter(|drift| drift.answer == Answer::Restored) {
            let number = self.restored.back().map_or(0, |last| last.number) + 1;
            let (page, drift, by) = (page.clone(), (*drift).clone(), by.map(str::to_owned));
            self.restored.push_back(Restored { number, page, drift, by, at });
        }
        let beyond = self.restored.len().saturating_sub(RESTORED_LISTED);
        self.restored.drain(..beyond);
    }
}
