//! The hours of one day.

use crate::model::Origin;

use super::Interval;

/// The hours of a day, and the place where they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Open during these intervals; closed if there are none.
    pub intervals: Vec<Interval>,
    /// The name of a special date; for a weekday, the reason why it is closed.
    pub name: Option<String>,
    /// The place where the hours are written.
    pub origin: Origin,
}
