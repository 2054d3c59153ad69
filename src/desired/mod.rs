//! What every owned variable of a page should be at an instant, why, and until when. Pure: inputs and
//! the instant are arguments.

mod blueprint;
mod compile;
mod coverage;
mod definition;
mod ending;
mod expression;
mod filters;
mod interval_lint;
mod override_value;
mod overrule;
mod page;
mod reach;
mod reading;
mod reason;
mod shape;
mod show;
mod spoken;
mod unmet;
mod uses;
mod window;
mod world;

pub use blueprint::{Blueprint, CalendarUse, Inputs, PublicHolidays, SourceUse};
pub use compile::check_shape;
pub use coverage::running_out;
pub use definition::{Definition, Evaluated, Wanted};
pub use interval_lint::doubtful_hours;
pub use override_value::check_kind;
pub use overrule::{Made, Override, Overruled, Part, Says};
pub use page::{Desired, DesiredValue, Flip, Follow, Owned, Page};
pub use unmet::unmet_conditions;
pub use world::{Gone, Managed, World};

#[cfg(test)]
mod tests;
