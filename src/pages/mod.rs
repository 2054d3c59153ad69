//! Pages and their variables: definitions, values at an instant, reasons and transitions.
//!
//! Pure: the instant is an argument.

mod clauses;
pub(crate) mod conditions;
pub(crate) mod definition;
mod expression;
mod filters;
mod made;
mod override_value;
mod overrides;
mod owned;
mod page;
mod part;
mod read_back;
mod reason;
mod walk;

pub use definition::{Definition, Evaluated, Overridden, UntypedValue};
pub use made::Made;
pub use override_value::check_kind;
pub use overrides::{Override, OverrideKind};
pub use owned::{DesiredValue, Owned, Transition};
pub use page::{Desired, Follow, Page};
pub use part::Part;

#[cfg(test)]
mod tests;
