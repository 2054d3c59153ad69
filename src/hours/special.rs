//! The hours of dated exceptions.

use std::collections::BTreeMap;
use std::ops::Deref;

use chrono::NaiveDate;

use super::Day;

/// Hours by date, in the order of the dates.
///
/// A sorted slice, not a tree: a chain has exceptions for each site.
#[derive(Clone, Debug, Default)]
pub struct SpecialDays(Box<[(NaiveDate, Day)]>);

impl SpecialDays {
    /// Returns the hours of a date.
    pub fn on(&self, date: NaiveDate) -> Option<&Day> {
        let found = self.0.binary_search_by_key(&date, |(date, _)| *date).ok()?;
        self.0.get(found).map(|(_, day)| day)
    }
}

impl From<BTreeMap<NaiveDate, Day>> for SpecialDays {
    fn from(days: BTreeMap<NaiveDate, Day>) -> Self {
        Self(days.into_iter().collect())
    }
}

impl Deref for SpecialDays {
    type Target = [(NaiveDate, Day)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
