//! The rows that templates are filled in from, and the text that comes of it.

use crate::model::{Origin, Row};

/// What `{{ row.x }}` means where a value is read.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    /// No row: a template is an error.
    Plain,
    /// There will be a row, but it isn't known yet: templated values are passed over, everything
    /// else is checked.
    RowToCome,
    /// These rows: `{{ row.x }}`, and the rows joined to it under the names of their sources. Never empty.
    Rows(&'a [ScopedRow]),
}

/// A row and the name that templates know it by.
#[derive(Clone, Debug)]
pub struct ScopedRow {
    /// The name.
    pub name: String,
    /// The row.
    pub row: Row,
}

/// Text that was read, and the place it really comes from: the cell, for `{{ row.x }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, templates filled in.
    pub value: String,
    /// Where it stands.
    pub origin: Origin,
}
