//! Shapes: the forms in which opening hours are shown on a page.
//!
//! Each shape is one file. [`SHAPES`] lists them all.

mod calendar;
mod closes_at;
mod consumer;
mod is_closed;
mod is_open;
mod language;
mod next_change_at;
mod next_open_at;
mod numbered;
mod one_interval;
mod opens_at;
mod ordinary_week;
mod registry;
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
pub use consumer::ConsumerModel;
pub(crate) use consumer::Intervals;
pub use language::Language;
pub use registry::SHAPES;
pub(crate) use registry::named;
pub(crate) use rendering::Rendering;
pub(crate) use shape::{Misread, Moment, Sent, Takes};
pub use shape::{ReadBack, Shape};
pub use time_format::TimeFormat;
