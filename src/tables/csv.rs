//! Strict CSV (RFC 4180): csv-core reads the fields, and errors that it tolerates are rejected
//! here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use csv_core::{ReadFieldResult, ReaderBuilder};

use crate::limits::files::{MAX_CELL_BYTES, MAX_COLUMN_NAME, MAX_COLUMNS, MAX_REJECTED};
use crate::model::{Cell, Origin, Problem, Row, SourceText};

use super::format::{Layout, Size, SourceFormat};
use super::{Rejected, Rows, Table};

/// Comma-separated values (RFC 4180).
pub(super) struct Csv;

impl SourceFormat for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn other_endings(&self) -> &'static [&'static str] {
        &["tsv", "txt"]
    }

    fn has_rows(&self) -> bool {
        true
    }

    fn shows_its_end(&self) -> bool {
        false
    }

    fn delimiter(&self, ending: &str) -> Option<u8> {
        Some(if ending == "tsv" { b'\t' } else { b',' })
    }

    fn parse(&self, file: &Arc<str>, text: &str, layout: &Layout) -> Result<Table, Problem> {
        let delimiter = layout.delimiter.unwrap_or(b',');
        parse_sized(file, text, delimiter, layout.key.as_deref(), layout.size).map(Table::Rows)
    }
}

/// Parses a header and rows.
///
/// With `key`, that column identifies the rows: its cells must be unique and not empty.
///
/// # Errors
/// Fails for problems that make the whole file unusable. A bad row is only added to
/// [`Rows::rejected`].
pub fn parse(file: &Arc<str>, text: &str, delimiter: u8, key: Option<&str>) -> Result<Rows, Problem> {
    parse_sized(file, text, delimiter, key, Size::default())
}

fn parse_sized(
    file: &Arc<str>,
    text: &str,
    delimiter: u8,
    key: Option<&str>,
    size: Size,
) -> Result<Rows, Problem> {
    check_count(file, text, delimiter, size)?;
    let (delimiter, start) = declared(text).unwrap_or((delimiter, 0));
    let mut records = read_records(file, text, start, delimiter)?;
    // Spreadsheets write a row of delimiters for a cleared row.
    records.retain(|cells| !cells.iter().all(is_blank));
    without_empty_columns(&mut records)?;
    let mut records = records.into_iter();
    let header = records.next().ok_or_else(|| {
        Problem::at(&Origin::line(file, 1), "the file is empty")
            .hint("write the column names in the first line")
    })?;
    let columns = column_names(&header, delimiter)?;
    let key_index = key.map(|key| key_column(&header, &columns, key)).transpose()?;

    let mut rows = Rows {
        file: file.clone(),
        columns: columns.clone(),
        rows: Vec::new(),
        rejected: Vec::new(),
        by_key: HashMap::new(),
        by_column: columns.iter().map(|_| OnceLock::new()).collect(),
    };
    for cells in records {
        match build_row(cells, &columns, key_index) {
            Ok(row) => rows.rows.push(row),
            Err(rejected) => rows.rejected.push(*rejected),
        }
    }
    reject_repeated_keys(&mut rows);
    if let Some(last) = rows.rejected.get(MAX_REJECTED) {
        let message = format!("more than {MAX_REJECTED} rows are bad, so none is used");
        let problem = Problem { message, ..last.problem.clone() };
        return Err(problem.hint("check that the file and its delimiter are the right ones"));
    }
    if rows.rows.is_empty() && rows.rejected.is_empty() {
        return Err(Problem::at(&Origin::line(file, 1), "the file has a header and no rows").hint(
            "missing rows never mean \"closed\"; remove the source from the settings if it is not needed",
        ));
    }
    Ok(rows)
}

/// Returns the delimiter that a first line `sep=;` declares, and the offset of the lines after it.
///
/// Excel writes such a line.
fn declared(text: &str) -> Option<(u8, usize)> {
    let line = text.split(['\r', '\n']).next()?;
    let declared = line.trim_matches('"').to_ascii_lowercase();
    let delimiter = declared.strip_prefix("sep=")?;
    let delimiter =
        delimiter.bytes().next().filter(|byte| delimiter.len() == 1 && b",;\t|".contains(byte))?;
    Some((delimiter, line.len()))
}

fn is_blank(cell: &Cell) -> bool {
    cell.text.trim().is_empty()
}

/// Removes columns without a name and without cells.
///
/// They result from a delimiter at the end of each line.
///
/// # Errors
/// Fails on a cell in a column without a name.
fn without_empty_columns(records: &mut [Vec<Cell>]) -> Result<(), Problem> {
    let Some((header, rows)) = records.split_first_mut() else { return Ok(()) };
    // A row may also have more fields than the header; the additional ones have no name either.
    let width = rows.iter().map(Vec::len).max().unwrap_or(0).max(header.len());
    let unnamed: Vec<usize> = (0..width).filter(|index| header.get(*index).is_some_and(is_blank)).collect();
    for index in &unnamed {
        if let Some(cell) = rows.iter().filter_map(|row| row.get(*index)).find(|cell| !is_blank(cell)) {
            let name = &header[*index].origin;
            return Err(Problem::at(
                &cell.origin,
                format!("this cell is in a column without a name ({name})"),
            )
            .hint("name the column in the first line, or clear the cell"));
        }
    }
    let columns = header.len();
    for row in std::iter::once(header).chain(rows) {
        while row.len() > columns && row.last().is_some_and(is_blank) {
            row.pop();
        }
        if row.len() == columns {
            let mut index = 0;
            row.retain(|_| {
                index += 1;
                !unnamed.contains(&(index - 1))
            });
        }
    }
    Ok(())
}

/// Rejects a table that is too large before anything is built from it.
fn check_count(file: &Arc<str>, text: &str, delimiter: u8, size: Size) -> Result<(), Problem> {
    // This count includes delimiters and line ends within quotes, so only a large count is
    // verified.
    let ends = |byte: &&u8| **byte == delimiter || matches!(**byte, b'\n' | b'\r');
    let at_most = text.as_bytes().iter().filter(ends).count();
    if at_most < size.rows {
        return Ok(());
    }
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut rest, mut buffer) = (text.as_bytes(), [0; 4096]);
    let (mut cells, mut rows) = (0, 0);
    loop {
        let (result, read, _) = reader.read_field(rest, &mut buffer);
        rest = &rest[read..];
        match result {
            ReadFieldResult::Field { record_end } => {
                cells += 1;
                rows += usize::from(record_end);
            }
            ReadFieldResult::End => return Ok(()),
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
        }
        // The header is a row as well.
        if cells > size.cells || rows > size.rows + 1 {
            let message = format!("the table has more than {} rows or {} cells", size.rows, size.cells);
            let hint = "split it into several sources, or set max_rows of the source";
            return Err(Problem::at(&Origin::line(file, 1), message).hint(hint));
        }
    }
}

fn column_names(header: &[Cell], delimiter: u8) -> Result<Arc<[Arc<str>]>, Problem> {
    let mut seen: HashMap<&str, &Cell> = HashMap::new();
    for cell in header {
        if cell.text.trim().is_empty() {
            return Err(Problem::at(&cell.origin, "a column has no name")
                .hint("name it in the first line, or remove it from all lines"));
        }
        if cell.text.len() > MAX_COLUMN_NAME {
            return Err(Problem::at(
                &cell.origin,
                format!("a column name has more than {MAX_COLUMN_NAME} bytes"),
            )
            .hint("write the column names in the first line"));
        }
        if seen.insert(cell.text.trim(), cell).is_some() {
            return Err(Problem::at(&cell.origin, format!("duplicate column \"{}\"", cell.text))
                .hint("give each column a name of its own in the first line"));
        }
    }
    let other = [b',', b';', b'\t']
        .into_iter()
        .find(|other| *other != delimiter && header[0].text.contains(char::from(*other)));
    if let (1, Some(other)) = (header.len(), other) {
        return Err(Problem::at(
            &header[0].origin,
            format!("the header has one column, with {:?} in its name", char::from(other)),
        )
        .hint(format!("set delimiter = {:?} for this source", char::from(other).to_string())));
    }
    Ok(header.iter().map(|cell| Arc::from(cell.text.trim())).collect())
}

fn key_column(header: &[Cell], columns: &[Arc<str>], key: &str) -> Result<usize, Problem> {
    columns.iter().position(|name| &**name == key).ok_or_else(|| {
        Problem::at(&header[0].origin, format!("missing key column \"{key}\"")).did_you_mean(
            key,
            columns.iter().map(|name| &**name),
            format!("the columns are: {}", columns.join(", ")),
        )
    })
}

fn build_row(
    mut cells: Vec<Cell>,
    columns: &Arc<[Arc<str>]>,
    key_index: Option<usize>,
) -> Result<Row, Box<Rejected>> {
    let origin = Origin { column: 0, ..cells[0].origin.clone() };
    let key = key_index.and_then(|index| cells.get(index)).map(|cell| cell.text.trim().to_owned());
    if cells.len() != columns.len() {
        // If fields are missing or added, the cell in the key column may be another column's.
        return Err(Box::new(Rejected { key: None, problem: wrong_count(&cells, &origin, columns.len()) }));
    }
    for (cell, name) in cells.iter_mut().zip(columns.iter()) {
        cell.origin.field = Some(name.clone());
    }
    // Templates insert the key as the row is identified: without surrounding blanks.
    if let (Some(index), Some(key)) = (key_index, &key) {
        cells[index].text.clone_from(key);
    }
    if let (Some(index), Some("")) = (key_index, key.as_deref()) {
        return Err(Box::new(Rejected {
            key: None,
            problem: Problem::at(&cells[index].origin, "the key is empty")
                .hint("give every row a key of its own"),
        }));
    }
    Ok(Row { source: None, key, key_index, origin, columns: columns.clone(), cells: cells.into() })
}

/// Returns the problem for a row with more or fewer fields than the header.
fn wrong_count(cells: &[Cell], origin: &Origin, expected: usize) -> Problem {
    let fields = if cells.len() == 1 { "field" } else { "fields" };
    let problem = Problem::at(origin, format!("{} {fields}, but the header has {expected}", cells.len()));
    let beyond = cells.get(expected..).unwrap_or_default();
    problem.hint(match beyond.is_empty() {
        true => "write a field for each column, even if it is empty; check also for a cut-off row or a wrong delimiter",
        false => "put quotes around a field that contains the delimiter",
    })
}

/// Rejects rows that share a key: they contradict each other, so none of them counts.
fn reject_repeated_keys(rows: &mut Rows) {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut repeated: HashSet<String> = HashSet::new();
    for row in &rows.rows {
        let Some(key) = &row.key else { return };
        if let Some(line) = first.get(key) {
            let message = format!("duplicate key \"{key}\": line {line} already has it");
            rows.rejected.push(Rejected {
                key: Some(key.clone()),
                problem: Problem::at(&row.origin, message).hint("keep one of the rows"),
            });
            repeated.insert(key.clone());
        } else {
            first.insert(key.clone(), row.origin.line);
        }
    }
    rows.rows.retain(|row| row.key.as_ref().is_none_or(|key| !repeated.contains(key)));
    rows.rejected.sort_by_key(|rejected| rejected.problem.origin.as_ref().map_or(0, |origin| origin.line));
    rows.by_key =
        rows.rows.iter().enumerate().filter_map(|(index, row)| Some((row.key.clone()?, index))).collect();
}

/// Splits text into records of cells with their lines and columns.
fn read_records(file: &Arc<str>, text: &str, start: usize, delimiter: u8) -> Result<Vec<Vec<Cell>>, Problem> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let places = SourceText::new(file, text);
    let mut records = Vec::new();
    let mut record: Vec<Cell> = Vec::new();
    let mut offset = start;
    let mut buffer = vec![0; text.len().clamp(1, MAX_CELL_BYTES)];
    loop {
        if record.is_empty() {
            offset += text[offset..].len() - text[offset..].trim_start_matches(['\r', '\n']).len();
        }
        let start = offset;
        let mut length = 0;
        let record_ends = loop {
            let (result, read, written) =
                reader.read_field(&text.as_bytes()[offset..], &mut buffer[length..]);
            offset += read;
            length += written;
            match result {
                ReadFieldResult::Field { record_end } => break Some(record_end),
                ReadFieldResult::End => break None,
                ReadFieldResult::OutputFull => {
                    let message = format!("a cell has more than {MAX_CELL_BYTES} bytes");
                    return Err(Problem::at(&places.origin(start..start), message)
                        .hint("close its quote, or shorten its text"));
                }
                ReadFieldResult::InputEmpty => {}
            }
        };
        let Some(record_ends) = record_ends else {
            return Ok(records);
        };
        let raw = text[start..offset].trim_end_matches(['\r', '\n']);
        let raw = raw.strip_suffix(char::from(delimiter)).filter(|_| !record_ends).unwrap_or(raw);
        let origin = places.origin(start..start + raw.len());
        check_quotes(raw, &origin)?;
        if record.len() >= MAX_COLUMNS {
            return Err(Problem::at(&origin, format!("a row has more than {MAX_COLUMNS} fields"))
                .hint("break the file into lines"));
        }
        record.push(Cell { text: String::from_utf8_lossy(&buffer[..length]).into_owned(), origin });
        if record_ends {
            records.push(std::mem::take(&mut record));
        }
    }
}

/// Checks the quotes of a field (RFC 4180, 2.5 to 2.7).
///
/// A field either is quoted from end to end with inner quotes doubled, or contains no quote.
fn check_quotes(raw: &str, origin: &Origin) -> Result<(), Problem> {
    if !raw.contains('"') {
        return Ok(());
    }
    let Some(inner) = raw.strip_prefix('"') else {
        return Err(Problem::at(origin, "a quote inside a field that does not begin with one")
            .hint("put quotes around the whole field and double the quotes inside it"));
    };
    // Without the doubled quotes, a valid field has one quote left: its last character.
    let single = inner.replace("\"\"", "\u{1}");
    match single.find('"') {
        Some(index) if index + 1 == single.len() => Ok(()),
        Some(_) => Err(Problem::at(origin, "text after the closing quote of a field")
            .hint("put quotes around the whole field and double the quotes inside it")),
        None => Err(Problem::at(origin, "the quote that opens here is never closed")
            .hint("close the quote, or write the file again if it is cut off")),
    }
}

#[cfg(test)]
mod tests;
