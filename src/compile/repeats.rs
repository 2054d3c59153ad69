//! The budget of repetitions: `each` within `each` multiplies, and every repetition takes memory.

use std::cell::Cell;

use crate::model::{Origin, Problem};
use crate::written::Reader;

/// The most rows that one page may be repeated for.
///
/// A page with more would be larger than the API's limit for an answer.
const MAX_OF_PAGE: usize = 50_000;
/// The most rows for all pages together, limited by memory.
const MAX_OF_ALL: usize = 500_000;
/// The number of rows that hours within a repetition count as, since they take as much memory.
pub(super) const HOURS_WEIGHT: usize = 4;

/// The repetitions that are left.
pub(super) struct Repeats {
    of_page: Cell<usize>,
    of_all: Cell<usize>,
    /// The number of repetitions around the current place.
    depth: Cell<usize>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { of_page: Cell::new(MAX_OF_PAGE), of_all: Cell::new(MAX_OF_ALL), depth: Cell::new(0) }
    }
}

impl Repeats {
    /// Returns a budget for each page, but none for all pages together.
    pub(super) fn unlimited_in_all() -> Self {
        Self { of_all: Cell::new(usize::MAX), ..Self::default() }
    }

    /// Begins the budget of another page.
    pub(super) fn begin_page(&self) {
        self.of_page.set(MAX_OF_PAGE);
    }

    /// Returns true inside of a repetition.
    pub(super) fn is_inside(&self) -> bool {
        self.depth.get() > 0
    }

    /// Runs `one` inside of a repetition.
    pub(super) fn within<T>(&self, one: impl FnOnce() -> T) -> T {
        self.depth.set(self.depth.get() + 1);
        let made = one();
        self.depth.set(self.depth.get() - 1);
        made
    }

    /// Takes repetitions from the budget, and notes a problem if too few are left.
    pub(super) fn spend(&self, reader: &Reader, at: &Origin, rows: usize) -> Option<()> {
        let left = [&self.of_page, &self.of_all].map(|left| left.get().checked_sub(rows));
        let [Some(page), Some(all)] = left else {
            let message = "this is repeated for too many rows: `each` within `each` multiplies";
            let hint = "use `where` to select the rows that belong together, or use fewer rows";
            reader.note(Problem::at(at, message).hint(hint));
            return None;
        };
        self.of_page.set(page);
        self.of_all.set(all);
        Some(())
    }
}
