//! The interface of a source format.

use crate::limits::files::{MAX_CELLS, MAX_FILE_BYTES, MAX_LINES, MAX_ROWS};
use std::sync::Arc;

use crate::model::Problem;

use super::Table;

/// A format of source files.
///
/// Each one is an `impl` in a file of its own, listed in `registry.rs`.
pub trait SourceFormat: Sync {
    /// Returns the name in the settings and messages, which is also the ending of such files.
    fn name(&self) -> &'static str;

    /// Returns further endings of such files.
    fn other_endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns true if [`parse`](Self::parse) returns [`Table::Rows`], false for [`Table::Tree`].
    fn has_rows(&self) -> bool;

    /// Returns true if a truncated file always fails to parse, as JSON without its last bracket.
    fn shows_its_end(&self) -> bool;

    /// Returns the field separator of a file with this ending; none if the format has no choice.
    fn delimiter(&self, _ending: &str) -> Option<u8> {
        None
    }

    /// Parses the text of a file. Each value and cell carries its place.
    ///
    /// The text is valid UTF-8, and only its bytes and lines are limited so far. The format limits
    /// the number and depth of its values (`limits/files.rs`), and refuses duplicate keys.
    ///
    /// # Errors
    /// Fails for a problem that makes the whole file unusable, with its place.
    fn parse(&self, file: &Arc<str>, text: &str, layout: &Layout) -> Result<Table, Problem>;
}

/// The layout of one file, as the settings give it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The separator between fields, if the format has a choice.
    pub delimiter: Option<u8>,
    /// The column that identifies a row.
    pub key: Option<String>,
    /// The size that a file may have.
    pub size: Size,
}

/// The size that a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The bytes.
    pub bytes: u64,
    /// The lines.
    pub lines: usize,
    /// The rows.
    pub rows: usize,
    /// The cells of all rows.
    pub cells: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { bytes: MAX_FILE_BYTES, lines: MAX_LINES, rows: MAX_ROWS, cells: MAX_CELLS }
    }
}

impl Size {
    /// Returns the size of a file with other rows; its bytes, lines and cells grow alike.
    pub fn of_rows(rows: usize) -> Self {
        let times = rows.div_ceil(MAX_ROWS).max(1);
        Self {
            bytes: MAX_FILE_BYTES * times as u64,
            lines: MAX_LINES * times,
            rows,
            cells: MAX_CELLS * times,
        }
    }
}
