//! The hours of one day.

use crate::model::Origin;

use super::Interval;

/// The hours of a day, and where they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Open in these; closed when there are none.
    pub intervals: Vec<Interval>,
    /// What a special date is called; of a weekday, why it is closed.
    pub name: Option<String>,
    /// Where the hours stand.
    pub origin: Origin,
}
