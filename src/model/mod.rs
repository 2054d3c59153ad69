//! Types shared by all layers: the place of a value, a problem with it, and its page and variable.
//!
//! Does not depend on files, networks or clocks.

mod json;
mod length;
mod page;
mod problem;
mod row;
mod source_text;
mod unprintable;
mod variable;
mod variant;
mod weekdays;

pub(crate) use json::{same_value, shorten, shorten_both};
pub(crate) use length::length;
pub(crate) use page::{Change, DriftPolicy, OnDrift};
pub use page::{Environment, PageId, RemotePage};
pub(crate) use problem::each_once;
pub use problem::{Origin, Problem, Severity, nearest};
pub use row::Cell;
pub(crate) use row::{Head, Record, Row, RowName, no_column};
pub(crate) use source_text::SourceText;
pub(crate) use unprintable::is_unprintable;
pub(crate) use variable::{Missing, Places, Step, Variable, position};
pub use variant::{Attribute, DesiredVariant, RemoteVariant, RemoteVariants};
pub(crate) use weekdays::{NamedWeekday, WEEKDAYS};

/// A point in time in UTC; local time is shown beside it.
pub type Instant = chrono::DateTime<chrono::Utc>;

/// Returns the instant a length of time later, or `at` itself at the ends of the calendar.
pub(crate) fn after(at: Instant, length: chrono::TimeDelta) -> Instant {
    at.checked_add_signed(length).unwrap_or(at)
}
