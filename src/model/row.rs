//! A row of a table, whose cells know where they stand.

use std::fmt;
use std::sync::Arc;

use super::Origin;

/// The text of one cell and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text as it stands in the file, without its quotes; of a key without the blanks around it.
    pub text: String,
    /// File, line and column.
    pub origin: Origin,
}

/// One row: a cell for each column, in the order of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the settings call its table, since two tables may have the same keys.
    pub source: Option<Arc<str>>,
    /// What names the row, when its table has a key column.
    pub key: Option<String>,
    /// Which column that stands in.
    pub key_index: Option<usize>,
    /// Where the row begins.
    pub origin: Origin,
    /// The columns' names, shared by all rows of the table.
    pub columns: Arc<[Arc<str>]>,
    /// The cells, as many as there are columns.
    pub cells: Arc<[Cell]>,
}

/// What a row is known by, whatever else becomes of it: its key, the column of that, and its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    /// The source; none in what was stored before sources were, which means that of any.
    pub source: Option<String>,
    /// The key column.
    pub column: String,
    /// The key.
    pub key: String,
}

impl fmt::Display for RowName {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}={}", self.column, self.key)
    }
}

impl Row {
    /// What the row is known by, when its table has a key column.
    pub fn name(&self) -> Option<RowName> {
        let column = self.key_column()?.to_owned();
        Some(RowName { source: self.source.as_deref().map(str::to_owned), column, key: self.key.clone()? })
    }

    /// The column that names the row.
    pub fn key_column(&self) -> Option<&str> {
        self.columns.get(self.key_index?).map(|name| &**name)
    }

    /// Whether the cell in a column has a text, but for blanks around both.
    pub fn has(&self, column: &str, text: &str) -> bool {
        self.cell(column).is_some_and(|cell| cell.text.trim() == text.trim())
    }

    /// The cell in a column.
    pub fn cell(&self, column: &str) -> Option<&Cell> {
        let index = self.columns.iter().position(|name| &**name == column)?;
        self.cells.get(index)
    }
}
