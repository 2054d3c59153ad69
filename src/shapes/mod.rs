//! Shapes: the forms in which opening hours are shown on a page. Each is one file; [`SHAPES`] lists them all.

mod calendar;
mod closes_at;
mod consumer;
mod is_closed;
mod is_open;
mod next_change_at;
mod next_open_at;
mod numbered;
mod one_interval;
mod opens_at;
mod ordinary_week;
mod regular_hours;
mod rendering;
mod shape;
mod special_dates;
mod special_hours;
mod spoken;
mod spoken_next_open;
mod time_format;
mod today;
mod variant_week;
mod week;
mod weekdays;

pub use calendar::CalendarShape;
pub use consumer::{ConsumerModel, Intervals};
pub use rendering::Rendering;
pub use shape::{Misread, Moment, ReadBack, Sent, Shape, Takes, listed};
pub use spoken::Language;
pub use time_format::TimeFormat;

/// Every shape, in the order of the reference. A new one is its file, and a line here and above.
pub const SHAPES: &[&dyn Shape] = &[
    &is_open::IsOpen,
    &is_closed::IsClosed,
    &opens_at::OpensAt,
    &closes_at::ClosesAt,
    &next_open_at::NextOpenAt,
    &next_change_at::NextChangeAt,
    &today::Today,
    &week::Week,
    &special_dates::SpecialDates,
    &weekdays::Weekdays,
    &numbered::Numbered,
    &regular_hours::RegularHours,
    &special_hours::SpecialHours,
    &variant_week::VariantWeek,
    &spoken::Spoken,
    &spoken_next_open::SpokenNextOpen,
];
