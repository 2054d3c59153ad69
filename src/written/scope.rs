//! The rows from which templates are filled in, and the resulting text.

use crate::model::{Origin, Row};

/// The meaning of `{{ row.x }}` where a value is read.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    /// No row: a template is an error.
    Plain,
    /// A row that is not known yet: templated values are skipped, everything else is checked.
    RowToCome,
    /// These rows: the one for `{{ row.x }}`, and those joined to it under the names of their
    /// sources. Never empty.
    Rows(&'a [ScopedRow]),
}

/// A row and its name in templates.
#[derive(Clone, Debug)]
pub struct ScopedRow {
    /// The name.
    pub name: String,
    /// The row.
    pub row: Row,
}

/// A text that was read, and the place it comes from: the cell, for `{{ row.x }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, with templates filled in.
    pub value: String,
    /// The place where it is written.
    pub origin: Origin,
}
