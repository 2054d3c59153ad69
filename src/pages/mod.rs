//! Pages and their variables: definitions, values at an instant, reasons and transitions.
//!
//! Pure: the instant is an argument.

pub(crate) mod conditions;
pub(crate) mod definition;
mod expression;
mod filters;
mod override_value;
mod overrides;
mod page;
mod read_back;
mod reason;

pub use definition::{Definition, Evaluated, Overruled, Wanted};
pub use override_value::check_kind;
pub use overrides::{Made, Override, Part, Says};
pub use page::{Desired, DesiredValue, Flip, Follow, Owned, Page};

#[cfg(test)]
mod tests;
