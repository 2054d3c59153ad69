//! A row of a table, with cells that keep their places.

use std::fmt;
use std::ops::Range;
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

/// The facts that all rows of a table share.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The file as the settings name it.
    pub file: Arc<str>,
    /// The name of the table in the settings, because two tables may have the same keys.
    pub source: Option<Arc<str>>,
    /// The names of the columns.
    pub columns: Arc<[Arc<str>]>,
    /// The index of the key column, if there is one.
    pub key_index: Option<usize>,
}

/// One row: a cell for each column, in the order of the header.
///
/// A table may have a million rows, so the texts of a row are one string, and its cells are made
/// when they are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The facts that it shares with the other rows.
    pub head: Arc<Head>,
    text: Arc<str>,
    fields: Arc<[Field]>,
}

/// The place of a field in its file, and of its text in the text of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    line: u32,
    column: u32,
    bytes: Range<u32>,
    text: Range<u32>,
}

/// The fields of a record before their columns are known.
#[derive(Debug, Default)]
pub struct Record {
    text: String,
    fields: Vec<Field>,
}

impl Record {
    /// Adds a field with its text and its place.
    pub fn push(&mut self, text: &str, place: &Origin) {
        let from = narrow(self.text.len());
        self.text.push_str(text);
        self.fields.push(Field {
            line: narrow(place.line),
            column: narrow(place.column),
            bytes: place.bytes.clone(),
            text: from..narrow(self.text.len()),
        });
    }

    /// Removes the last field.
    pub fn pop(&mut self) {
        self.fields.pop();
    }

    /// Removes the fields with these indices.
    pub fn remove(&mut self, indices: &[usize]) {
        let mut index = 0;
        self.fields.retain(|_| {
            index += 1;
            !indices.contains(&(index - 1))
        });
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Returns the text of a field, which is empty beyond the last one.
    pub fn text(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |field| field.of(&self.text))
    }

    /// Returns the texts of all fields.
    pub fn texts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.fields.iter().map(|field| field.of(&self.text))
    }

    /// Returns the place of a field in a file; none beyond the last one.
    pub fn origin(&self, index: usize, file: &Arc<str>) -> Option<Origin> {
        self.fields.get(index).map(|field| field.origin(file))
    }

    /// Makes the record a row of a table, with a field for each column.
    pub fn into_row(mut self, head: &Arc<Head>) -> Row {
        // Templates insert the key as the row is identified: without surrounding blanks.
        if let Some(key) = head.key_index.and_then(|index| self.fields.get_mut(index)) {
            let text = key.of(&self.text);
            let blanks = (text.len() - text.trim_start().len(), text.len() - text.trim_end().len());
            key.text.start = (key.text.start + narrow(blanks.0)).min(key.text.end);
            key.text.end = (key.text.end - narrow(blanks.1)).max(key.text.start);
        }
        Row { head: head.clone(), text: self.text.into(), fields: self.fields.into() }
    }
}

impl Field {
    /// Returns its text in the text of its record.
    fn of<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.text.start as usize..self.text.end as usize).unwrap_or_default()
    }

    fn origin(&self, file: &Arc<str>) -> Origin {
        let (line, column) = (self.line as usize, self.column as usize);
        Origin { file: file.clone(), line, column, field: None, bytes: self.bytes.clone(), others: None }
    }
}

/// Narrows a length or a place in a file: the limits of files are far below 4 GB.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
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
        Some(RowName {
            source: self.head.source.as_deref().map(str::to_owned),
            column,
            key: self.key()?.to_owned(),
        })
    }

    /// Returns the key that identifies the row, if its table has a key column.
    pub fn key(&self) -> Option<&str> {
        Some(self.text_at(self.head.key_index?))
    }

    /// Returns the name of the key column.
    pub fn key_column(&self) -> Option<&str> {
        self.head.columns.get(self.head.key_index?).map(|name| &**name)
    }

    /// Returns the place where the row begins.
    pub fn origin(&self) -> Origin {
        let first = self.fields.first().map(|field| field.origin(&self.head.file));
        Origin { column: 0, ..first.unwrap_or_default() }
    }

    /// Returns true if the cell in a column has a text, ignoring blanks around both.
    pub fn has(&self, column: &str, text: &str) -> bool {
        self.text(column).is_some_and(|found| found.trim() == text.trim())
    }

    /// Returns the problem at `at` that the row's table has no column of this name.
    pub fn no_column(&self, at: &Origin, column: &str) -> Problem {
        no_column(at, &self.head.file, &self.head.columns, column)
    }

    /// Returns the cell in a column.
    pub fn cell(&self, column: &str) -> Option<Cell> {
        Some(self.cell_at(self.position(column)?))
    }

    /// Returns the cell in the column with an index.
    pub fn cell_at(&self, index: usize) -> Cell {
        let place = self.fields.get(index).map(|field| field.origin(&self.head.file));
        let origin = Origin { field: self.head.columns.get(index).cloned(), ..place.unwrap_or_default() };
        Cell { text: self.text_at(index).to_owned(), origin }
    }

    /// Returns the text of the cell in a column.
    pub fn text(&self, column: &str) -> Option<&str> {
        Some(self.text_at(self.position(column)?))
    }

    /// Returns the text of the cell in the column with an index; empty if there is none.
    pub fn text_at(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |field| field.of(&self.text))
    }

    /// Returns the columns with the texts of their cells.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.fields.iter().map(|field| field.of(&self.text));
        self.head.columns.iter().map(|name| &**name).zip(texts)
    }

    fn position(&self, column: &str) -> Option<usize> {
        self.head.columns.iter().position(|name| **name == *column)
    }
}
