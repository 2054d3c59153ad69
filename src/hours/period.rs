//! An open stretch of time.

use crate::model::Instant;

/// An open period, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// The instant of opening.
    pub from: Instant,
    /// The instant of closing.
    pub to: Instant,
}
