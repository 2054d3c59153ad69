//! Opening hours: weekly intervals, seasons, dated exceptions and closing calendars.
//!
//! Together they form one timeline of open and closed periods.

mod chart;
mod dates;
mod day;
mod period;
mod recent;
mod season;
mod special;
mod text;
mod timeline;
mod week;

pub(crate) use chart::{DayChart, DayKind, WIDTH};
pub(crate) use dates::{Hours, HoursOverride};
pub(crate) use day::Day;
pub(crate) use period::Period;
pub(crate) use recent::Recent;
pub(crate) use season::{Clash, Season, nested, settle};
pub(crate) use special::SpecialDays;
pub use text::{Interval, parse_day, parse_days, parse_week};
pub(crate) use timeline::SpecialDate;
pub(crate) use week::Week;

#[cfg(test)]
pub(crate) mod tests;
