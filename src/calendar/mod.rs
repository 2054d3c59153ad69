//! iCalendar text (RFC 5545), events and their occurrences in a window, and public holidays by
//! country.
//!
//! Reads no files and does not use the current time.

mod agenda;
mod categories;
mod component;
mod event;
mod length;
mod lines;
mod local_time;
mod notes;
mod occurrence;
mod occurrences;
mod public_holidays;
mod recurrence;
mod rule_parts;
mod stamp;
mod timezones;

pub(crate) use agenda::Entry;
pub use agenda::{Agenda, Filter};
pub use event::Calendar;
pub use occurrence::Window;
pub(crate) use occurrence::{Occurrence, Span};
pub use public_holidays::{Edition, Region};

#[cfg(test)]
mod tests;
