//! A row of a table, with cells that keep their places.

use std::fmt;
use std::sync::Arc;

use super::{Origin, Problem};

/// The text of one cell and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text as in the file, without its quotes; for a key, also without surrounding blanks.
    pub text: String,
    /// File, line and column.
    pub origin: Origin,
}

/// One row: a cell for each column, in the order of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of its table in the settings, because two tables may have the same keys.
    pub source: Option<Arc<str>>,
    /// The key that identifies the row, if its table has a key column.
    pub key: Option<String>,
    /// The index of the key column.
    pub key_index: Option<usize>,
    /// The place where the row begins.
    pub origin: Origin,
    /// The columns' names, shared by all rows of the table.
    pub columns: Arc<[Arc<str>]>,
    /// The cells, as many as there are columns.
    pub cells: Arc<[Cell]>,
}

/// Returns the problem at `at` that a table has no column of this name.
pub fn no_column(at: &Origin, file: &str, columns: &[Arc<str>], column: &str) -> Problem {
    Problem::at(at, format!("{file} has no column \"{column}\"")).did_you_mean(
        column,
        columns.iter().map(|name| &**name),
        format!("its columns are: {}", columns.join(", ")),
    )
}

/// The stable identity of a row: its key, key column and source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    /// The source; none in data stored before sources were recorded, which matches any source.
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
    /// Returns the identity of the row, if its table has a key column.
    pub fn name(&self) -> Option<RowName> {
        let column = self.key_column()?.to_owned();
        Some(RowName { source: self.source.as_deref().map(str::to_owned), column, key: self.key.clone()? })
    }

    /// Returns the name of the key column.
    pub fn key_column(&self) -> Option<&str> {
        self.columns.get(self.key_index?).map(|name| &**name)
    }

    /// Returns true if the cell in a column has a text, ignoring blanks around both.
    pub fn has(&self, column: &str, text: &str) -> bool {
        self.cell(column).is_some_and(|cell| cell.text.trim() == text.trim())
    }

    /// Returns the problem at `at` that the row's table has no column of this name.
    pub fn no_column(&self, at: &Origin, column: &str) -> Problem {
        no_column(at, &self.origin.file, &self.columns, column)
    }

    /// Returns the cell in a column.
    pub fn cell(&self, column: &str) -> Option<&Cell> {
        let index = self.columns.iter().position(|name| &**name == column)?;
        self.cells.get(index)
    }
}
