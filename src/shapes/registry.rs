//! The list of shapes.

use super::rendering::Rendering;
use super::shape::Shape;
use super::{
    closes_at, is_closed, is_open, next_change_at, next_open_at, numbered, opens_at, regular_hours,
    special_dates, special_hours, spoken, spoken_next_open, today, variant_week, week, weekdays,
};

/// Every shape, in the order of the reference.
///
/// A new shape needs its file, a line here, and its `mod` in the folder.
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

/// Returns the shape with a name in settings, with its default parameters; none if unknown.
pub fn named(name: &str) -> Option<Rendering> {
    SHAPES.iter().find(|shape| shape.name() == name).map(|shape| Rendering::new(*shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::ReadBack;

    /// A check that looks for a shape under a wrong name would silently check nothing.
    #[test]
    fn shapes_that_are_read_back_together_name_each_other() {
        for shape in SHAPES {
            match shape.read_back() {
                ReadBack::AsWritten | ReadBack::Intervals { beside: None, .. } => {}
                ReadBack::With(other) => {
                    let other = named(other).unwrap().shape.read_back();
                    assert!(
                        matches!(other, ReadBack::Intervals { beside: Some(name), .. } if name == shape.name())
                    );
                }
                ReadBack::Intervals { beside: Some(other), .. } => {
                    let other = named(other).unwrap().shape.read_back();
                    assert!(matches!(other, ReadBack::With(name) if name == shape.name()));
                }
            }
        }
    }
}
