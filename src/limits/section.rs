//! A section of the reference of limits, and the texts of values by their units.

use std::fmt::Display;
use std::time::Duration;

use chrono::TimeDelta;

/// A section of the reference: a heading, a table, and a note below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The rows of the table.
    pub rows: Vec<Row>,
    /// The text below the table; empty if there is none.
    pub note: String,
}

impl Section {
    /// Creates a section without a note.
    pub(super) fn new(title: &'static str, rows: Vec<Row>) -> Self {
        Self { title, rows, note: String::new() }
    }

    /// Returns the section with a note below its table.
    pub(super) fn with_note(self, note: String) -> Self {
        Self { note, ..self }
    }
}

/// A row of a section's table; all texts are Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The subject of the limit.
    pub what: &'static str,
    /// The value with its unit.
    pub value: String,
    /// The consequence beyond the limit.
    pub beyond: String,
    /// The setting or flag that changes it; empty if there is none.
    pub setting: &'static str,
}

impl Row {
    /// Creates a row for a limit that no setting changes.
    pub(super) fn new(what: &'static str, value: &dyn Display, beyond: &dyn Display) -> Self {
        Self { what, value: value.to_string(), beyond: beyond.to_string(), setting: "" }
    }

    /// Returns the row with the setting that changes the limit.
    pub(super) fn set_by(self, setting: &'static str) -> Self {
        Self { setting, ..self }
    }
}

/// Returns a count with separators of thousands: `1,000,000`.
pub(super) fn count(number: impl Display) -> String {
    let digits = number.to_string();
    let separated = digits.char_indices().map(|(at, digit)| match (digits.len() - at) % 3 {
        0 if at > 0 => format!(",{digit}"),
        _ => digit.to_string(),
    });
    separated.collect()
}

/// Returns a size: `24 MiB`, `64 KiB`, or `4,096 bytes` for a small one.
pub(super) fn bytes(size: impl TryInto<u64>) -> String {
    const LARGE: u64 = 16 << 10;
    match size.try_into().unwrap_or(u64::MAX) {
        size if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{} MiB", count(size >> 20)),
        size if size >= LARGE && size.is_multiple_of(1 << 10) => format!("{} KiB", count(size >> 10)),
        size => format!("{} bytes", count(size)),
    }
}

/// A length of time of either library.
pub(super) trait Length {
    /// Returns its milliseconds.
    fn milliseconds(&self) -> u128;
}

impl Length for Duration {
    fn milliseconds(&self) -> u128 {
        self.as_millis()
    }
}

impl Length for TimeDelta {
    fn milliseconds(&self) -> u128 {
        self.num_milliseconds().unsigned_abs().into()
    }
}

/// Returns a length of time in its largest whole unit: `250 ms`, `60 s`, `5 minutes`, `400 days`.
pub(super) fn time(length: impl Length) -> String {
    const UNITS: [(u128, &str); 3] = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")];
    let length = length.milliseconds();
    // One minute is written as 60 s, like the shorter times around it.
    let unit = UNITS.iter().find(|(unit, _)| length > 60_000 && length.is_multiple_of(*unit));
    match unit.map(|(unit, name)| (length / unit, name)) {
        Some((1, name)) => format!("1 {name}"),
        Some((number, name)) => format!("{} {name}s", count(number)),
        None if length.is_multiple_of(1_000) => format!("{} s", count(length / 1_000)),
        None => format!("{} ms", count(length)),
    }
}

/// Returns a number of days.
pub(super) fn days(number: impl Display) -> String {
    format!("{} days", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_their_largest_whole_unit() {
        let counts = [(7, "7"), (999, "999"), (1_000, "1,000"), (86_400, "86,400"), (1_000_000, "1,000,000")];
        for (number, text) in counts {
            assert_eq!(count(number), text);
        }
        for (size, text) in [
            (256_u64, "256 bytes"),
            (4_096, "4,096 bytes"),
            (64 << 10, "64 KiB"),
            (512 << 10, "512 KiB"),
            ((64 << 10) + 1, "65,537 bytes"),
            (24 << 20, "24 MiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (milliseconds, text) in [
            (250, "250 ms"),
            (10_000, "10 s"),
            (60_000, "60 s"),
            (90_000, "90 s"),
            (120_000, "2 minutes"),
            (3_600_000, "1 hour"),
            (400 * 86_400_000, "400 days"),
        ] {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
            assert_eq!(time(TimeDelta::milliseconds(milliseconds.cast_signed())), text);
        }
    }
}
