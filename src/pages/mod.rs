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
mod variant;
mod walk;

pub use definition::UntypedValue;
pub(crate) use definition::{Definition, Evaluated};
pub(crate) use made::Made;
pub(crate) use override_value::check_kind;
pub use overrides::Override;
pub(crate) use overrides::OverrideKind;
pub use owned::DesiredValue;
pub(crate) use owned::{Owned, Transition};
pub(crate) use page::Follow;
pub use page::{Desired, Page};
pub(crate) use part::Part;
pub(crate) use variant::Variant;

#[cfg(test)]
mod tests;
