//! The words every floor shares: where a value stands, what is wrong with it, which page and
//! variable it is for. Knows nothing of files, networks or clocks.

mod json;
mod length;
mod page;
mod problem;
mod row;
mod source_text;
mod variable;

pub use json::{same_value, shorten};
pub use length::length;
pub use page::{Change, DriftPolicy, Environment, OnDrift, PageId, RemotePage};
pub use problem::{Origin, Problem, Severity, each_once, nearest};
pub use row::{Cell, Row, RowName};
pub use source_text::SourceText;
pub use variable::{Blocked, Missing, Places, Step, Variable, position};

/// A point in time; always UTC, shown to people with its local time beside it.
pub type Instant = chrono::DateTime<chrono::Utc>;

/// Days ahead that are looked at: whatever comes within a year and a month, so that each date of a year is seen with its
/// neighbours.
pub const HORIZON_DAYS: u64 = 400;
/// The same as a length of time.
pub const HORIZON: chrono::TimeDelta = chrono::TimeDelta::days(HORIZON_DAYS as i64);

/// Returns the instant a length of time later; the same one at the ends of the calendar.
pub fn after(at: Instant, length: chrono::TimeDelta) -> Instant {
    at.checked_add_signed(length).unwrap_or(at)
}
