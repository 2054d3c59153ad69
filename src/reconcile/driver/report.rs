//! The driver's reports: its status, its counts, and the problems already logged.

use std::collections::BTreeMap;

use crate::model::PageId;
use crate::reconcile::{Board, Counts};

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
        }
    }

    /// Counts values applied to a page.
    pub(super) fn count_applied(&mut self, page: &PageId, values: usize) {
        *self.applied.entry(page.clone()).or_default() += values;
    }
}
