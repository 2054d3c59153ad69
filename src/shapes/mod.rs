//! What can be shown of opening hours and calendars.

pub(crate) mod shape;
pub(crate) mod show;
pub(crate) mod spoken;

pub use shape::Reading;
pub use show::{CalendarShow, HoursShow, TimeFormat};
