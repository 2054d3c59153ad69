//! An event as one line: text for people or JSON for programs, of a bounded length.

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::limits::store::MAX_EVENT;
use crate::model::is_unprintable;

/// The lengths to which long texts of an event are cut, tried in this order.
const CUTS: [usize; 9] = [MAX_EVENT, 200, 150, 120, 100, 80, 60, 40, 24];

/// An event.
#[derive(Clone, Debug)]
pub struct Line {
    /// The time; none where the reader adds its own.
    pub at: Option<String>,
    pub level: Level,
    message: String,
    fields: Vec<(&'static str, Shown)>,
}

/// The value of a field.
#[derive(Clone, Debug)]
enum Shown {
    /// A text, quoted.
    Text(String),
    /// A value that formats itself.
    Formatted(String),
    /// A number, or true or false.
    Plain(Value),
}

impl Line {
    /// Creates a line without fields.
    pub fn new(level: Level, message: &str) -> Self {
        Self { at: None, level, message: one_line(message), fields: Vec::new() }
    }

    /// Reads an event of `tracing`.
    pub fn of(event: &Event<'_>) -> Self {
        let mut line = Self::new(*event.metadata().level(), "");
        event.record(&mut line);
        line
    }

    /// Replaces every text by the result of `change`.
    #[must_use]
    pub fn map(mut self, change: impl Fn(&str) -> String) -> Self {
        self.message = change(&self.message);
        for (_, value) in &mut self.fields {
            if let Shown::Text(text) | Shown::Formatted(text) = value {
                *text = change(text);
            }
        }
        self
    }

    /// Returns a line of text; its longest texts are cut until it fits.
    pub fn text(&self, is_colored: bool) -> String {
        let plain = |line: &Self| line.as_text(false);
        self.fitting(plain).as_text(is_colored)
    }

    /// Returns an object in JSON; its longest texts are cut until it fits.
    pub fn json(&self) -> String {
        self.fitting(Self::as_json).as_json()
    }

    fn fitting(&self, render: impl Fn(&Self) -> String) -> Self {
        let fits = |line: &Self| render(line).chars().count() <= MAX_EVENT;
        if fits(self) {
            return self.clone();
        }
        let cut = |length: &usize| self.clone().map(|text| shorten(text, *length));
        // The message may have a command to copy, so it is cut last.
        let cut_fields = |length: &usize| Self { message: self.message.clone(), ..cut(length) };
        let mut lines = CUTS.iter().map(cut_fields).chain(CUTS.iter().map(cut));
        lines.by_ref().find(fits).unwrap_or_else(|| cut(&CUTS[CUTS.len() - 1]))
    }

    fn as_text(&self, is_colored: bool) -> String {
        let paint = |color: &str, text: &str| match is_colored {
            true => format!("\u{1b}[{color}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        };
        let color = match self.level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            _ => "34",
        };
        let mut text = self.at.as_ref().map_or_else(String::new, |at| paint("2", at) + " ");
        text += &paint(color, &format!("{:>5}", self.level.as_str()));
        text.push(' ');
        text += &self.message;
        for (name, value) in &self.fields {
            let value = match value {
                Shown::Text(text) => format!("{text:?}"),
                Shown::Formatted(text) => text.clone(),
                Shown::Plain(value) => value.to_string(),
            };
            let separator = if text.ends_with(' ') { "" } else { " " };
            let _ = write!(text, "{separator}{}{value}", paint("2", &format!("{name}=")));
        }
        text
    }

    fn as_json(&self) -> String {
        let mut object = Map::new();
        object.extend(self.at.as_ref().map(|at| ("timestamp".to_owned(), at.as_str().into())));
        object.insert("level".to_owned(), self.level.as_str().into());
        object.insert("message".to_owned(), self.message.as_str().into());
        for (name, value) in &self.fields {
            let value = match value {
                Shown::Text(text) | Shown::Formatted(text) => text.as_str().into(),
                Shown::Plain(value) => value.clone(),
            };
            object.insert((*name).to_owned(), value);
        }
        Value::Object(object).to_string()
    }

    fn add(&mut self, field: &Field, value: Shown) {
        match value {
            Shown::Text(text) | Shown::Formatted(text) if field.name() == "message" => self.message = text,
            value => self.fields.push((field.name(), value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Shown::Formatted(one_line(&format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Shown::Text(one_line(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Shown::Plain(value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Shown::Plain(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Shown::Plain(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Shown::Plain(value.into()));
    }
}

/// Returns text without line breaks and other characters that control a terminal.
///
/// Text from outside cannot pass for another event, and cannot move the cursor.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // A break and the indentation after it are one blank.
            ' ' if line.ends_with('\n') => {}
            '\n' => {
                while line.ends_with(['\n', ' ']) {
                    line.pop();
                }
                line.push('\n');
            }
            _ if is_unprintable(c) => line.push(' '),
            _ => line.push(c),
        }
    }
    line.trim_end_matches('\n').replace('\n', " ")
}

/// Cuts a text to `length` characters.
fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let start: String = text.chars().take(length.saturating_sub(1)).collect();
    start + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: &[(&'static str, &str)]) -> Line {
        let text = |(name, text): &(&'static str, &str)| (*name, Shown::Text(one_line(text)));
        Line { fields: fields.iter().map(text).collect(), ..Line::new(Level::WARN, message) }
    }

    #[test]
    fn external_text_cannot_forge_log_lines_or_move_the_cursor() {
        for (message, value, expected) in [
            ("a problem", "x", " WARN a problem reason=\"x\""),
            ("a problem\n  hint: do", "", " WARN a problem hint: do reason=\"\""),
            ("a", "x\nERROR forged", " WARN a reason=\"x ERROR forged\""),
            ("a", "\u{1b}[2Jgone\r\u{7}", " WARN a reason=\" [2Jgone  \""),
            ("\u{202e}desrever\u{85}", "", " WARN  desrever reason=\"\""),
        ] {
            let line = line(message, &[("reason", value)]);
            assert_eq!(line.text(false), expected, "{message:?}");
            assert!(!line.json().contains(['\n', '\u{1b}', '\u{202e}']), "{message:?}");
        }
        let colored = line("a\u{1b}[2J", &[]).text(true);
        assert_eq!(colored, "\u{1b}[33m WARN\u{1b}[0m a [2J");
    }

    #[test]
    fn a_long_event_keeps_its_short_fields_and_fits() {
        let long = "0123456789".repeat(100);
        let fields =
            [("page", "A-1/live"), ("from", long.as_str()), ("to", "\"true\""), ("correlation_id", "c-77")];
        let line = line("applied", &fields);
        let (text, json) = (line.text(false), line.json());
        for written in [&text, &json] {
            let length = written.chars().count();
            assert!((200..=MAX_EVENT).contains(&length), "{length}: {written}");
        }
        let expected = "page=\"A-1/live\" from=\"0123456789";
        assert!(text.contains(expected) && text.ends_with("…\" to=\"\\\"true\\\"\" correlation_id=\"c-77\""));
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["page"], &json["correlation_id"]), (&"A-1/live".into(), &"c-77".into()));
        assert_eq!(json["level"], "WARN");
    }

    #[test]
    fn a_message_is_cut_after_the_fields() {
        let message = format!("revision r1 is held: {} rtconfd approve r1", "x".repeat(100));
        let text = line(&message, &[("because", &"y".repeat(500))]).text(false);
        assert!(text.contains(&message) && text.chars().count() <= MAX_EVENT, "{text}");
    }

    #[test]
    fn many_long_fields_are_cut_alike() {
        let long = "x".repeat(500);
        let line = line(&long, &[("from", &long), ("to", &long), ("because", &long), ("error", &long)]);
        assert!(line.text(false).chars().count() <= MAX_EVENT, "{}", line.text(false));
    }
}
