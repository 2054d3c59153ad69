//! Opening hours: weekly intervals, seasons, dated exceptions and closing calendars.
//!
//! Together they form one timeline of open and closed periods.

mod dates;
mod day;
mod period;
mod recent;
mod season;
mod text;
mod timeline;

pub use dates::{Hours, HoursOverride};
pub use day::Day;
pub use period::Period;
pub use recent::Recent;
pub use season::{Clash, Season, nested, settle};
pub use text::{Interval, Week, parse_day, parse_days, parse_week};
pub use timeline::SpecialDate;

#[cfg(test)]
pub(crate) mod tests;
