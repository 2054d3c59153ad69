//! What every owned variable of a page should be at an instant, why, and until when. Pure: inputs and
//! the instant are arguments.

mod compile;
mod compile_formats;
mod compile_hours;
mod compile_rows;
mod compile_value;
mod coverage;
mod definition;
mod expression;
mod overrule;
mod page;
mod reading;
mod shape;
mod show;
mod spoken;
mod unmet;
mod window;
mod world;

pub use compile::{Blueprint, CalendarUse, Inputs, PublicHolidays, SourceUse, check_shape};
pub use coverage::running_out;
pub use definition::{Definition, Evaluated, Wanted};
pub use overrule::{Made, Override, Overruled, Part, Says};
pub use page::{Desired, DesiredValue, Flip, Follow, Owned, Page};
pub use unmet::unmet_conditions;
pub use world::{Managed, World};
