//! The reason for a value at an instant, in words; computed only when it is shown.

use chrono::TimeDelta;

use crate::model::{Instant, after};

use super::Definition;
use crate::shapes::CalendarShape;

impl Definition {
    /// Returns the reason for its value at an instant: the deciding rule, and its place.
    pub fn because(&self, at: Instant) -> String {
        match self {
            Self::Constant { origin, .. }
            | Self::Set { origin, .. }
            | Self::Object { origin, .. }
            | Self::List { origin, .. } => origin.to_string(),
            Self::Cell(cell) => cell.origin.to_string(),
            Self::Hours { hours, .. } => hours.because(at),
            Self::Calendar { agenda, name, zone, .. } => CalendarShape::because(agenda, name, *zone, at),
            Self::When { clauses, otherwise } => {
                match clauses.iter().enumerate().find(|(_, clause)| clause.holds(at)) {
                    Some((index, clause)) => format!("clause {} holds: {}", index + 1, clause.describe()),
                    None => format!("no clause holds, otherwise {}", otherwise.because(at)),
                }
            }
            Self::Overridden(overridden) if overridden.is_on(at) => overridden.words.clone(),
            Self::Overridden(overridden) => overridden.computed.because(at),
            Self::Expression(expression) => {
                format!("the expression \"{}\" ({})", expression.text, expression.origin)
            }
            Self::Ahead { of, by } => format!("{} ahead: {}", words(*by), of.because(after(at, *by))),
        }
    }
}

fn words(length: TimeDelta) -> String {
    crate::model::length(length.to_std().unwrap_or_default())
}
