//! CSV and JSON text to rows and values that know where they stand. Reads no files.

mod csv;
mod json;
mod shape;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::model::{Origin, Problem, Row, SourceText};
use crate::written::Node;

pub use csv::parse as parse_csv;
pub use json::parse as parse_json;
pub use shape::Shape;

/// Lines of a text; a place is told by its line, so each costs memory even when it is blank.
pub const MAX_LINES: usize = 1_000_000;

/// What a source holds, once it was read.
#[derive(Debug)]
pub enum Table {
    /// Rows, from CSV.
    Rows(Rows),
    /// A tree, from JSON.
    Tree(Node),
}

impl Table {
    /// The same, its rows known as those of a source.
    pub fn of_source(self, name: &str) -> Self {
        match self {
            Self::Rows(rows) => Self::Rows(rows.of_source(name)),
            Self::Tree(root) => Self::Tree(root),
        }
    }
}

/// The rows of a CSV file.
#[derive(Debug)]
pub struct Rows {
    /// The file as the settings name it.
    pub file: Arc<str>,
    /// The header.
    pub columns: Arc<[Arc<str>]>,
    /// The rows that are good, in file order.
    pub rows: Vec<Row>,
    /// The rows that are not. Nothing that rests on them changes.
    pub rejected: Vec<Rejected>,
    by_key: HashMap<String, usize>,
    /// For each column, the rows by the text of their cell; made when it is first asked for.
    by_column: Vec<OnceLock<HashMap<Box<str>, Vec<usize>>>>,
}

/// A row that can't be used.
#[derive(Debug)]
pub struct Rejected {
    /// Its key, when that much is certain.
    pub key: Option<String>,
    /// Why.
    pub problem: Problem,
}

impl Rows {
    fn of_source(mut self, name: &str) -> Self {
        let name: Arc<str> = name.into();
        self.rows.iter_mut().for_each(|row| row.source = Some(name.clone()));
        self
    }

    /// The row with this key.
    pub fn row(&self, key: &str) -> Option<&Row> {
        self.by_key.get(key).map(|index| &self.rows[*index])
    }

    /// The rows whose cell in a column has this text, but for blanks around it, in file order; none when there is no such
    /// column.
    pub fn having(&self, column: &str, text: &str) -> Option<impl Iterator<Item = &Row>> {
        let column = self.columns.iter().position(|name| **name == *column)?;
        let index = self.by_column[column].get_or_init(|| {
            let mut index: HashMap<Box<str>, Vec<usize>> = HashMap::new();
            for (number, row) in self.rows.iter().enumerate() {
                index.entry(row.cells[column].text.trim().into()).or_default().push(number);
            }
            index
        });
        Some(index.get(text.trim()).into_iter().flatten().map(|number| &self.rows[*number]))
    }

    /// Whether a row that used to be here may only be unreadable: its key was rejected, or a
    /// rejected row has no key to tell.
    pub fn may_hide(&self, key: &str) -> bool {
        self.rejected.iter().any(|rejected| rejected.key.as_deref().is_none_or(|hidden| hidden == key))
    }
}

/// Text from bytes: UTF-8, with or without a byte order mark.
///
/// # Errors
/// Too many lines. Else it names the encoding it looks like, the place, and how to save the file instead.
pub fn decode<'b>(file: &Arc<str>, bytes: &'b [u8]) -> Result<&'b str, Problem> {
    if bytes.iter().filter(|byte| **byte == b'\n').count() > MAX_LINES {
        return Err(Problem::at(&Origin::line(file, 1), format!("the file has more than {MAX_LINES} lines"))
            .hint("leave blank lines out, or split the file"));
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
            .hint("write the file anew"));
    }
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}
