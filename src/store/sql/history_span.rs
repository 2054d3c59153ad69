//! The length of the history, known without reading it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::store::StoreError;

use super::Session;

/// The numbers of the first and the last PATCH of the history.
///
/// Two lookups in an index find them; counting 20,000,000 rows takes seconds. Retention deletes the
/// oldest rows, so that nearly all numbers between the two exist.
#[derive(Debug, Default)]
pub(super) struct HistorySpan {
    first: AtomicI64,
    /// 0 for an empty history.
    last: AtomicI64,
}

impl HistorySpan {
    /// Reads both numbers again.
    pub(super) fn read(&self, session: &mut dyn Session) -> Result<(), StoreError> {
        let numbers = "SELECT (SELECT min(id) FROM writes), (SELECT max(id) FROM writes)";
        session.each(numbers, &[], &mut |row| {
            let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            self.first.store(first.unwrap_or(0), Ordering::Relaxed);
            self.last.store(last.unwrap_or(0), Ordering::Relaxed);
            Ok(())
        })
    }

    /// Notes the number of a new PATCH.
    pub(super) fn extend(&self, number: i64) {
        let _ = self.first.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
        self.last.fetch_max(number, Ordering::Relaxed);
    }

    /// Returns the most rows that there can be.
    pub(super) fn len(&self) -> u64 {
        let (first, last) = (self.first.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        if last == 0 { 0 } else { u64::try_from(last - first + 1).unwrap_or(0) }
    }
}
