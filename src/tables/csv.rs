//! Strict CSV (RFC 4180): csv-core reads the fields, and errors that it tolerates are rejected
//! here.

use std::collections::HashSet;
use std::sync::Arc;

use csv_core::{ReadFieldResult, ReaderBuilder};

use crate::limits::files::{MAX_CELL_BYTES, MAX_COLUMN_NAME, MAX_COLUMNS, MAX_REJECTED};
use crate::model::{Head, Origin, Problem, Record, Row, SourceText};

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
    records.retain(|record| !record.texts().all(is_blank));
    without_empty_columns(file, &mut records)?;
    let mut records = records.into_iter();
    let header = records.next().ok_or_else(|| {
        Problem::at(&Origin::line(file, 1), "the file is empty")
            .hint("write the column names in the first line")
    })?;
    let columns = column_names(file, &header, delimiter)?;
    let key_index = key.map(|key| key_column(file, &header, &columns, key)).transpose()?;
    let head = Arc::new(Head { file: file.clone(), source: None, columns, key_index });
    let (mut rows, mut rejected) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records {
        match build_row(record, &head) {
            Ok(row) => rows.push(row),
            Err(rejection) => rejected.push(*rejection),
        }
    }
    let rows = without_repeated_keys(Rows::new(head, rows, rejected));
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

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Removes columns without a name and without cells.
///
/// They result from a delimiter at the end of each line.
///
/// # Errors
/// Fails on a cell in a column without a name.
fn without_empty_columns(file: &Arc<str>, records: &mut [Record]) -> Result<(), Problem> {
    let Some((header, rows)) = records.split_first_mut() else { return Ok(()) };
    let names = header.texts().enumerate();
    let unnamed: Vec<usize> = names.filter(|(_, name)| is_blank(name)).map(|(index, _)| index).collect();
    for index in &unnamed {
        let cell =
            rows.iter().find(|row| !is_blank(row.text(*index))).and_then(|row| row.origin(*index, file));
        if let (Some(cell), Some(name)) = (cell, header.origin(*index, file)) {
            return Err(Problem::at(&cell, format!("this cell is in a column without a name ({name})"))
                .hint("name the column in the first line, or clear the cell"));
        }
    }
    let columns = header.len();
    for row in std::iter::once(header).chain(rows) {
        // A row may also have more fields than the header; the additional ones have no name either.
        while row.len() > columns && row.texts().next_back().is_some_and(is_blank) {
            row.pop();
        }
        if row.len() == columns && !unnamed.is_empty() {
            row.remove(&unnamed);
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

fn column_names(file: &Arc<str>, header: &Record, delimiter: u8) -> Result<Arc<[Arc<str>]>, Problem> {
    let mut seen: HashSet<&str> = HashSet::new();
    for (index, name) in header.texts().enumerate() {
        let problem = |message: String| Problem::at(&header.origin(index, file).unwrap_or_default(), message);
        if is_blank(name) {
            return Err(problem("a column has no name".to_owned())
                .hint("name it in the first line, or remove it from all lines"));
        }
        if name.len() > MAX_COLUMN_NAME {
            return Err(problem(format!("a column name has more than {MAX_COLUMN_NAME} bytes"))
                .hint("write the column names in the first line"));
        }
        if !seen.insert(name.trim()) {
            return Err(problem(format!("duplicate column \"{name}\""))
                .hint("give each column a name of its own in the first line"));
        }
    }
    let other = [b',', b';', b'\t']
        .into_iter()
        .find(|other| *other != delimiter && header.text(0).contains(char::from(*other)));
    if let (1, Some(other)) = (header.len(), other) {
        return Err(Problem::at(
            &header.origin(0, file).unwrap_or_default(),
            format!("the header has one column, with {:?} in its name", char::from(other)),
        )
        .hint(format!("set delimiter = {:?} for this source", char::from(other).to_string())));
    }
    Ok(header.texts().map(|name| Arc::from(name.trim())).collect())
}

fn key_column(file: &Arc<str>, header: &Record, columns: &[Arc<str>], key: &str) -> Result<usize, Problem> {
    columns.iter().position(|name| &**name == key).ok_or_else(|| {
        let place = header.origin(0, file).unwrap_or_default();
        Problem::at(&place, format!("missing key column \"{key}\"")).did_you_mean(
            key,
            columns.iter().map(|name| &**name),
            format!("the columns are: {}", columns.join(", ")),
        )
    })
}

fn build_row(record: Record, head: &Arc<Head>) -> Result<Row, Box<Rejected>> {
    if record.len() != head.columns.len() {
        // If fields are missing or added, the cell in the key column may be another column's.
        return Err(Box::new(Rejected { key: None, problem: wrong_count(&record, head) }));
    }
    let row = record.into_row(head);
    match (head.key_index, row.key()) {
        (Some(index), Some("")) => Err(Box::new(Rejected {
            key: None,
            problem: Problem::at(&row.cell_at(index).origin, "the key is empty")
                .hint("give every row a key of its own"),
        })),
        _ => Ok(row),
    }
}

/// Returns the problem for a row with more or fewer fields than the header.
fn wrong_count(record: &Record, head: &Head) -> Problem {
    let (found, expected) = (record.len(), head.columns.len());
    let origin = Origin { column: 0, ..record.origin(0, &head.file).unwrap_or_default() };
    let fields = if found == 1 { "field" } else { "fields" };
    let problem = Problem::at(&origin, format!("{found} {fields}, but the header has {expected}"));
    problem.hint(match found <= expected {
        true => "write a field for each column, even if it is empty; check also for a cut-off row or a wrong delimiter",
        false => "put quotes around a field that contains the delimiter",
    })
}

/// Rejects rows that share a key: they contradict each other, so none of them counts.
fn without_repeated_keys(rows: Rows) -> Rows {
    let Some(key_index) = rows.head.key_index else { return rows };
    let mut repeated = Vec::new();
    let key = |row: &u32| rows.rows[*row as usize].text_at(key_index);
    for same in rows.sorted(key_index).chunk_by(|one, other| key(one) == key(other)) {
        let Some((first, others)) = same.split_first() else { continue };
        let line = rows.rows[*first as usize].origin().line;
        for row in others {
            let message = format!("duplicate key \"{}\": line {line} already has it", key(row));
            let problem =
                Problem::at(&rows.rows[*row as usize].origin(), message).hint("keep one of the rows");
            repeated.push((*row, Rejected { key: Some(key(row).to_owned()), problem }));
        }
    }
    if repeated.is_empty() {
        return rows;
    }
    let Rows { head, mut rows, mut rejected, .. } = rows;
    repeated.sort_unstable_by_key(|(row, _)| *row);
    let repeated: Vec<Rejected> = repeated.into_iter().map(|(_, rejection)| rejection).collect();
    let keys: HashSet<&str> = repeated.iter().filter_map(|rejection| rejection.key.as_deref()).collect();
    rows.retain(|row| row.key().is_none_or(|key| !keys.contains(key)));
    rejected.extend(repeated);
    rejected.sort_by_key(|rejected| rejected.problem.origin.as_ref().map_or(0, |origin| origin.line));
    Rows::new(head, rows, rejected)
}

/// Splits text into records of fields with their lines and columns.
fn read_records(file: &Arc<str>, text: &str, start: usize, delimiter: u8) -> Result<Vec<Record>, Problem> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let places = SourceText::new(file, text);
    let mut records = Vec::new();
    let mut record = Record::default();
    let mut offset = start;
    let mut buffer = vec![0; text.len().clamp(1, MAX_CELL_BYTES)];
    loop {
        if record.len() == 0 {
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
        record.push(&String::from_utf8_lossy(&buffer[..length]), &origin);
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
