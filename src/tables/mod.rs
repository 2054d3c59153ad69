//! Text of sources to rows and values with their places: one file a format. Reads no files.

mod csv;
mod format;
mod json;
mod json_size;
mod registry;

use std::sync::{Arc, OnceLock};

use crate::model::{Head, Origin, Problem, Row, SourceText};
use crate::written::Node;

pub use csv::parse as parse_csv;
pub(crate) use format::{Layout, Size, SourceFormat};
pub use json::parse as parse_json;
pub(crate) use json_size::JsonSize;
pub(crate) use registry::{FORMATS, Format, format_named, names_of_formats};

/// The content of a source after it was read.
#[derive(Debug)]
pub enum Table {
    /// Rows under a header.
    Rows(Rows),
    /// A tree of values.
    Tree(Node),
}

impl Table {
    /// Returns the same table with its rows marked as those of a source.
    pub fn of_source(self, name: &str) -> Self {
        match self {
            Self::Rows(rows) => Self::Rows(rows.of_source(name)),
            Self::Tree(root) => Self::Tree(root),
        }
    }
}

/// The rows of a table.
#[derive(Debug)]
pub struct Rows {
    /// The facts that all rows share.
    pub head: Arc<Head>,
    /// The valid rows, in file order.
    pub rows: Vec<Row>,
    /// The rejected rows; values that depend on them do not change.
    pub rejected: Vec<Rejected>,
    /// For each column, the rows in the order of its texts; built on first use.
    by_column: Vec<OnceLock<Box<[u32]>>>,
}

/// A row that cannot be used.
#[derive(Debug)]
pub struct Rejected {
    /// Its key, if it is certain.
    pub key: Option<String>,
    /// The reason why it was rejected.
    pub problem: Problem,
}

impl Rows {
    /// Makes a table of rows.
    fn new(head: Arc<Head>, rows: Vec<Row>, rejected: Vec<Rejected>) -> Self {
        let by_column = head.columns.iter().map(|_| OnceLock::new()).collect();
        Self { head, rows, rejected, by_column }
    }

    fn of_source(mut self, name: &str) -> Self {
        let Head { file, columns, key_index, .. } = &*self.head;
        let (file, columns, key_index) = (file.clone(), columns.clone(), *key_index);
        self.head = Arc::new(Head { file, source: Some(name.into()), columns, key_index });
        self.rows.iter_mut().for_each(|row| row.head = self.head.clone());
        self
    }

    /// Returns the row with this key.
    pub fn row(&self, key: &str) -> Option<&Row> {
        self.with_text(self.head.key_index?, key).next()
    }

    /// Returns the keys that another table does not have, in file order.
    pub fn keys_not_in(&self, other: &Self) -> Vec<&str> {
        let (Some(ours), Some(theirs)) = (self.head.key_index, other.head.key_index) else {
            return Vec::new();
        };
        let key = |row: u32| self.rows[row as usize].text_at(ours);
        let sorted = other.sorted(theirs).iter();
        let mut others = sorted.map(|row| other.rows[*row as usize].text_at(theirs)).peekable();
        let is_missing = |row: &u32| {
            while others.next_if(|other| *other < key(*row)).is_some() {}
            others.peek().is_none_or(|other| *other != key(*row))
        };
        let mut missing: Vec<u32> = self.sorted(ours).iter().copied().filter(is_missing).collect();
        missing.sort_unstable();
        missing.into_iter().map(key).collect()
    }

    /// Returns the rows with this text in a column, in file order, ignoring surrounding blanks.
    ///
    /// Returns none if the column does not exist.
    pub fn having(&self, column: &str, text: &str) -> Option<impl Iterator<Item = &Row>> {
        let column = self.head.columns.iter().position(|name| **name == *column)?;
        Some(self.with_text(column, text.trim()))
    }

    /// Returns the rows with a text in the column with an index.
    fn with_text(&self, column: usize, text: &str) -> impl Iterator<Item = &Row> {
        let sorted = self.sorted(column);
        let text_of = |row: &u32| self.rows[*row as usize].text_at(column).trim();
        let from = sorted.partition_point(|row| text_of(row) < text);
        let length = sorted[from..].partition_point(|row| text_of(row) == text);
        sorted[from..from + length].iter().map(|row| &self.rows[*row as usize])
    }

    /// Returns the indices of all rows in the order of their texts in a column, then in file order.
    fn sorted(&self, column: usize) -> &[u32] {
        let text_of = |row: &u32| self.rows[*row as usize].text_at(column).trim();
        self.by_column[column].get_or_init(|| {
            let mut sorted: Box<[u32]> = (0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)).collect();
            sorted.sort_by(|one, other| text_of(one).cmp(text_of(other)));
            sorted
        })
    }

    /// Returns true if a missing row may merely be unreadable.
    ///
    /// Its key may have been rejected, or a rejected row has no certain key.
    pub fn may_hide(&self, key: &str) -> bool {
        self.rejected.iter().any(|rejected| rejected.key.as_deref().is_none_or(|hidden| hidden == key))
    }
}

/// Decodes bytes of at most some lines as UTF-8, with or without a byte order mark.
///
/// # Errors
/// Fails on too many lines, invalid UTF-8 and NUL bytes. The error names the place, the fix,
/// and for invalid UTF-8 the likely encoding.
pub fn decode<'b>(file: &Arc<str>, bytes: &'b [u8], lines: usize) -> Result<&'b str, Problem> {
    if bytes.iter().filter(|byte| **byte == b'\n').count() > lines {
        return Err(Problem::at(&Origin::line(file, 1), format!("the file has more than {lines} lines"))
            .hint("remove blank lines, or split the file"));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Problem::at(&Origin::line(file, 1), "this is UTF-16, not UTF-8")
            .hint("save the file as UTF-8 (in Excel: \"CSV UTF-8\")"));
    }
    let place = |valid: &str| SourceText::new(file, valid).origin(valid.len()..valid.len());
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        Problem::at(
            &place(valid),
            format!("byte 0x{byte:02X} is not UTF-8; the file looks like Windows-1252 or Latin-1"),
        )
        .hint("save the file as UTF-8 (in Excel: \"CSV UTF-8\")")
    })?;
    if let Some(offset) = text.find('\0') {
        return Err(Problem::at(&place(&text[..offset]), "a NUL byte: the file was written incompletely")
            .hint("write the file again"));
    }
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}
