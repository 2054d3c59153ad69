//! Opening hours: weekly intervals, dated exceptions and closing calendars, and the one timeline they make.

mod text;
mod timeline;

pub use text::{Interval, Week, parse_day, parse_days, parse_week};
pub use timeline::{Day, Forced, Hours, SpecialDate, Stretch};

#[cfg(test)]
mod tests;
