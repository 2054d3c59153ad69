//! A row of a table, whose cells know where they stand.

use std::sync::Arc;

use super::Origin;

/// The text of one cell and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text as it stands in the file, without its quotes.
    pub text: String,
    /// File, line and column.
    pub origin: Origin,
}

/// One row: a cell for each column, in the order of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What names the row, when its table has a key column.
    pub key: Option<String>,
    /// Where the row begins.
    pub origin: Origin,
    /// The columns' names, shared by all rows of the table.
    pub columns: Arc<[Arc<str>]>,
    /// The cells, as many as there are columns.
    pub cells: Arc<[Cell]>,
}

impl Row {
    /// The cell in a column.
    pub fn cell(&self, column: &str) -> Option<&Cell> {
        let index = self.columns.iter().position(|name| &**name == column)?;
        self.cells.get(index)
    }
}
