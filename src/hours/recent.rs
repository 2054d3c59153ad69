//! The dates of hours that were asked for last: nearly all questions are about today and its neighbours.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{Datelike, NaiveDate};

use super::Stretch;

/// Dates that are kept.
const DATES: usize = 8;

type Known = Option<(NaiveDate, Arc<[Stretch]>)>;

/// The open stretches of recent dates, which follow from the hours and cost more to compute than to keep.
#[derive(Default)]
pub struct Recent(Mutex<[Known; DATES]>);

impl Recent {
    /// Returns the stretches of a date, computed where they are not known.
    pub(super) fn get_or(&self, date: NaiveDate, compute: impl FnOnce() -> Vec<Stretch>) -> Arc<[Stretch]> {
        let place = date.num_days_from_ce().unsigned_abs() as usize % DATES;
        let known = |known: &[Known; DATES]| match &known[place] {
            Some((known, stretches)) if *known == date => Some(stretches.clone()),
            _ => None,
        };
        if let Some(stretches) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return stretches;
        }
        let stretches: Arc<[Stretch]> = compute().into();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some((date, stretches.clone()));
        stretches
    }
}

/// A copy may get other hours, so it knows nothing yet.
impl Clone for Recent {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}
