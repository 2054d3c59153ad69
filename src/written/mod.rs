//! What a user wrote, in settings or JSON: a tree of values that know their place, and a reader
//! that collects every problem instead of stopping at the first.

mod node;
mod plain;
mod reader;
mod scope;
mod template;

pub use node::{Entry, Node, Raw, one_or_more};
pub use plain::plain;
pub use reader::{Fields, Reader};
pub use scope::{Scope, ScopedRow, Text};
pub use template::is_template;
