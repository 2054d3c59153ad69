//! The budget of repetitions: `each` within `each` multiplies, and every repetition takes memory.

use std::cell::Cell;

use crate::limits::settings::{MAX_REPEATS, MAX_REPEATS_OF_ALL};
use crate::model::{Origin, Problem};
use crate::written::Reader;

/// The repetitions that are left.
pub(super) struct Repeats {
    of_page: Cell<usize>,
    of_all: Cell<usize>,
    /// The number of repetitions around the current place.
    depth: Cell<usize>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { of_page: Cell::new(MAX_REPEATS), of_all: Cell::new(MAX_REPEATS_OF_ALL), depth: Cell::new(0) }
    }
}

impl Repeats {
    /// Returns a budget for each page, but none for all pages together.
    pub(super) fn unlimited_in_all() -> Self {
        Self { of_all: Cell::new(usize::MAX), ..Self::default() }
    }

    /// Begins the budget of another page.
    pub(super) fn begin_page(&self) {
        self.of_page.set(MAX_REPEATS);
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
