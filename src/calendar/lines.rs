//! Content lines (RFC 5545, 3.1): unfolded, and split into properties.
//!
//! Each keeps its line number. This module has its own parser because no crate reports on which
//! line a property is written.

use std::sync::Arc;

use crate::limits::calendars::{MAX_LINE_BYTES, MAX_LIST_VALUES, MAX_PARAMETERS};
use crate::model::{Origin, Problem};

use super::notes::Notes;

/// Bytes at the start of a long line that are enough to identify its property.
const DECIDING_BYTES: usize = 100;
/// Maximum characters of a message, which may quote the property's value.
const MESSAGE_LENGTH: usize = 300;

/// One property: `NAME;PARAM=value:value`.
#[derive(Clone, Debug)]
pub struct Property {
    pub name: String,
    pub params: Vec<(String, String)>,
    pub value: String,
    pub origin: Origin,
}

impl Property {
    /// Returns the value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Splits the value as a comma-separated list.
    ///
    /// # Errors
    /// Fails when there are too many values.
    pub fn values(&self) -> Result<impl Iterator<Item = &str>, Problem> {
        match self.value.split(',').nth(MAX_LIST_VALUES) {
            Some(_) => Err(self
                .problem(format!("lists more than {MAX_LIST_VALUES} values"))
                .hint("list only upcoming dates")),
            None => Ok(self.value.split(',')),
        }
    }

    /// Returns a problem with this property, naming file, line and property.
    pub fn problem(&self, message: impl std::fmt::Display) -> Problem {
        let whole = format!("{}: {message}", self.name);
        let mut message: String = whole.chars().take(MESSAGE_LENGTH).collect();
        if message.len() < whole.len() {
            message.push('…');
        }
        Problem::at(&self.origin, message)
    }
}

/// Properties that set when an event happens, or that identify the event.
pub(super) const DECIDING: &[&str] = &[
    "BEGIN",
    "END",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RRULE",
    "RDATE",
    "EXDATE",
    "EXRULE",
    "RECURRENCE-ID",
    "STATUS",
    "UID",
    "TZID",
    "TZOFFSETFROM",
    "TZOFFSETTO",
];

/// Deciding properties that hold times; an unreadable line after one may continue its value.
const TIMED: &[&str] = &["DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"];

/// Parses the property on a line; returns none and notes a warning if the line is not a property.
///
/// An unreadable line after one of the `TIMED` properties may be the rest of its value.
pub(super) fn property(
    file: &Arc<str>,
    line: &Line,
    last: &str,
    notes: &Notes,
) -> Result<Option<Property>, Problem> {
    let origin = Origin::line(file, line.number);
    let read = match split(file, line) {
        Ok(property) => Ok(property),
        Err(problem) => without_blanks(&line.text)
            .and_then(|text| split(file, &Line { number: line.number, text }).ok())
            .inspect(|property| {
                let name = &property.name;
                notes.note("blanks", &origin, format!("{name}: spaces around names are ignored"));
            })
            .ok_or(problem),
    };
    match read {
        Ok(property) if is_prose(&line.text, &property) => {
            notes.note("unfolded", &origin, "this line looks like text that was not folded and is ignored");
            Ok(None)
        }
        Ok(property) => Ok(Some(property)),
        Err(problem) if may_decide(&line.text) => Err(problem),
        Err(problem) if TIMED.contains(&last) && !is_named(&line.text) => {
            Err(problem.hint(format!("if it continues the {last} above it, begin it with a space")))
        }
        Err(problem) => {
            notes.note("unreadable", &origin, format!("{}: the line is ignored", problem.message));
            Ok(None)
        }
    }
}

/// Returns true if a line begins with a property name of its own.
///
/// Such a line cannot be the rest of the line above.
fn is_named(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || matches!(c, '-' | ' '));
    rest.len() < text.len() && rest.starts_with([';', ':'])
}

/// Returns true for a deciding property written as in a sentence.
///
/// An example is `Duration: two hours` in the body of a message.
fn is_prose(text: &str, property: &Property) -> bool {
    let name: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let is_mixed =
        name.chars().any(|c| c.is_ascii_lowercase()) && name.chars().any(|c| c.is_ascii_uppercase());
    let is_sentence = property.value.starts_with(' ') && property.value.trim().contains(' ');
    is_mixed && is_sentence && DECIDING.contains(&property.name.as_str())
}

/// Returns true if an unreadable line may have been meant as a deciding property.
///
/// "End of the year sale" is text, `EXDATE 20261225` is not.
fn may_decide(text: &str) -> bool {
    let text = text.trim_start().to_ascii_uppercase();
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '-';
    let is_text = |rest: &str| rest.starts_with(' ') && rest.trim_start().starts_with(is_letter);
    DECIDING.iter().any(|name| {
        text.strip_prefix(name).is_some_and(|rest| !rest.starts_with(is_letter) && !is_text(rest))
    })
}

/// Returns the line without blanks around its name, its parameters and their values.
fn without_blanks(text: &str) -> Option<String> {
    let (head, value) = split_unquoted(text, ':')?;
    let mut parts = Vec::new();
    let mut rest = Some(head);
    while let Some(text) = rest {
        let (part, next) = match split_unquoted(text, ';') {
            Some((part, next)) => (part, Some(next)),
            None => (text, None),
        };
        parts.push(match part.split_once('=') {
            Some((key, value)) => format!("{}={}", key.trim(), value.trim()),
            None => part.trim().to_owned(),
        });
        rest = next;
    }
    Some(format!("{}:{}", parts.join(";"), value.trim()))
}

/// An unfolded line, and the number of its first physical line.
pub(super) struct Line {
    pub(super) number: usize,
    text: String,
}

/// An iterator that joins folded lines one at a time.
///
/// A fold may split a character, so bytes are joined before they are decoded.
struct Unfolded<'b, L: Iterator<Item = &'b [u8]>> {
    file: &'b Arc<str>,
    notes: &'b Notes,
    physical: std::iter::Peekable<std::iter::Enumerate<L>>,
}

impl<'b, L: Iterator<Item = &'b [u8]>> Iterator for Unfolded<'b, L> {
    type Item = Result<Line, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_fold = |line: &[u8]| matches!(line.first(), Some(b' ' | b'\t'));
        loop {
            let (index, first) = self.physical.next()?;
            let mut line = first.to_vec();
            while let Some((_, fold)) = self.physical.next_if(|(_, line)| is_fold(line)) {
                if line.len() <= MAX_LINE_BYTES {
                    line.extend_from_slice(&fold[1..]);
                }
            }
            // A long line is usually an attachment and is skipped; a long deciding property is
            // refused.
            let is_long = line.len() > MAX_LINE_BYTES;
            if is_long && !may_decide(&String::from_utf8_lossy(&line[..DECIDING_BYTES])) {
                let origin = Origin::line(self.file, index + 1);
                let message = format!("this line has more than {MAX_LINE_BYTES} bytes and is ignored");
                self.notes.note("long", &origin, message);
                continue;
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(self.decoded(index + 1, line));
            }
        }
    }
}

impl<'b, L: Iterator<Item = &'b [u8]>> Unfolded<'b, L> {
    fn decoded(&self, number: usize, line: Vec<u8>) -> Result<Line, Problem> {
        let origin = Origin::line(self.file, number);
        if line.len() > MAX_LINE_BYTES {
            return Err(Problem::at(&origin, format!("this line has more than {MAX_LINE_BYTES} bytes"))
                .hint("export the calendar without attachments"));
        }
        let text = String::from_utf8(line).unwrap_or_else(|error| {
            self.notes.note("encoding", &origin, "this line is not UTF-8 and is read as Latin-1");
            error.as_bytes().iter().map(|byte| char::from(*byte)).collect()
        });
        // Concatenated calendars bring a byte order mark each.
        let text = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
        Ok(Line { number, text })
    }
}

/// Strips the CRs at the end of a line; some programs write two.
fn without_returns(mut line: &[u8]) -> &[u8] {
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// Joins folded lines; blank ones are left out.
pub(super) fn unfold<'b>(
    file: &'b Arc<str>,
    bytes: &'b [u8],
    notes: &'b Notes,
) -> impl Iterator<Item = Result<Line, Problem>> {
    // Classic Mac OS files end lines with CR alone.
    let end = if bytes.contains(&b'\n') { b'\n' } else { b'\r' };
    if end == b'\r' && bytes.contains(&b'\r') {
        notes.note(
            "line ends",
            &Origin::line(file, 1),
            "the lines end with CR alone, which is read as a line break",
        );
    }
    let physical = bytes.split(move |byte| *byte == end).map(without_returns);
    Unfolded { file, notes, physical: physical.enumerate().peekable() }
}

fn split(file: &Arc<str>, line: &Line) -> Result<Property, Problem> {
    let origin = Origin::line(file, line.number);
    let bad =
        || Problem::at(&origin, "invalid iCalendar line").hint("write NAME:value or NAME;PARAM=value:value");
    let (head, value) = split_unquoted(&line.text, ':').ok_or_else(bad)?;
    let (name, mut rest) = match split_unquoted(head, ';') {
        Some((name, rest)) => (name, Some(rest)),
        None => (head, None),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(is_name) || value.contains('\0') {
        return Err(bad());
    }
    let mut params = Vec::new();
    while let Some(text) = rest {
        if params.len() >= MAX_PARAMETERS {
            return Err(Problem::at(&origin, format!("more than {MAX_PARAMETERS} parameters"))
                .hint("export the calendar without attendees"));
        }
        let (param, next) = match split_unquoted(text, ';') {
            Some((param, next)) => (param, Some(next)),
            None => (text, None),
        };
        let (key, value) = param.split_once('=').ok_or_else(bad)?;
        params.push((key.to_ascii_uppercase(), value.trim_matches('"').to_owned()));
        rest = next;
    }
    Ok(Property { name: name.to_ascii_uppercase(), params, value: value.to_owned(), origin })
}

/// Splits at the first separator outside of double quotes (RFC 5545, 3.1).
fn split_unquoted(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut quoted = false;
    let index = text.find(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })?;
    Some((&text[..index], &text[index + separator.len_utf8()..]))
}

/// Splits text at unescaped commas and resolves its escapes (RFC 5545, 3.3.11).
pub fn texts(value: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        let next = match c {
            '\\' => match characters.next() {
                Some('n' | 'N') => '\n',
                Some(escaped) => escaped,
                None => '\\',
            },
            ',' => {
                found.push(String::new());
                continue;
            }
            other => other,
        };
        if let Some(text) = found.last_mut() {
            text.push(next);
        }
    }
    found
}
