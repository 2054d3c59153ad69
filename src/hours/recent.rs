//! A cache of the hours of recent dates.
//!
//! Nearly all queries concern today and its neighbours.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{Datelike, NaiveDate};

use super::Period;

/// Number of dates in the cache.
const DATES: usize = 8;

type Known = Option<(NaiveDate, Arc<[Period]>)>;

/// The open periods of recent dates.
///
/// They are derived from the hours, and computing them costs more than keeping them.
#[derive(Default)]
pub struct Recent(Mutex<[Known; DATES]>);

impl Recent {
    /// Returns the periods of a date, computing them if they are not cached.
    pub(super) fn get_or(&self, date: NaiveDate, compute: impl FnOnce() -> Vec<Period>) -> Arc<[Period]> {
        let place = date.num_days_from_ce().unsigned_abs() as usize % DATES;
        let known = |known: &[Known; DATES]| match &known[place] {
            Some((known, periods)) if *known == date => Some(periods.clone()),
            _ => None,
        };
        if let Some(periods) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return periods;
        }
        let periods: Arc<[Period]> = compute().into();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some((date, periods.clone()));
        periods
    }
}

/// A clone starts with an empty cache, because its hours may be changed.
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
