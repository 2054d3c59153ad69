//! Values written by users, in settings or JSON.
//!
//! They form a tree of values with their places. The reader collects all problems instead of
//! stopping at the first.

mod node;
mod plain;
mod reader;
mod scope;
mod template;

pub use node::{Entry, Node, Raw, one_or_more};
pub use plain::plain;
pub use reader::{Fields, Reader};
pub use scope::{Scope, ScopedRow, Text};
pub use template::{has_template, is_template};
