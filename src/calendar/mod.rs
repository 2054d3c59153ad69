//! iCalendar text (RFC 5545) to events, and events to their occurrences in a window. Reads no files
//! and knows no "now".

mod agenda;
mod event;
mod lines;
mod occurrences;
mod recurrence;
mod timezones;

pub use agenda::{Agenda, Entry, Filter, Timed};
pub use event::Calendar;
pub use occurrences::{Occurrence, Span, Window};

#[cfg(test)]
mod tests;
