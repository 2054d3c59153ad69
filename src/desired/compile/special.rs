//! Dated exceptions: written in place, in a table, or in JSON.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::hours::Day;
use crate::model::{Problem, Row};
use crate::tables::Table;
use crate::written::{Node, Raw, Reader, Text};

use super::Compiler;
use super::rows::{matching, matching_rows};
use super::weekly::day_text;

const KEYS: &[&str] = &["source", "pointer", "date", "hours", "name", "match"];

impl Compiler<'_> {
    /// Dated exceptions from a table, or from a list or object in JSON.
    pub(super) fn special_from(
        &self,
        reader: &Reader,
        node: &Node,
        special: &mut BTreeMap<NaiveDate, Day>,
    ) -> Option<()> {
        let fields = reader.table(node, "special_from", KEYS)?;
        let source = fields.require(reader, "source")?;
        let source = reader.text(source, "source")?;
        let wanted = fields.get("match").map(|node| matching(reader, node));
        let column = |key: &str| match fields.get(key) {
            Some(node) => reader.text(node, key).map(|text| text.value),
            None => Some(key.to_owned()),
        };
        let columns = Columns {
            date: column("date")?,
            hours: column("hours")?,
            name: column("name")?,
            name_is_wanted: fields.get("name").is_some(),
        };
        let pointer = match fields.get("pointer") {
            Some(node) => reader.text(node, "pointer")?.value,
            None => String::new(),
        };
        let table = self.table(reader, &source)?;
        match &*table {
            Table::Rows(rows) => {
                for rejected in &rows.rejected {
                    // Which dates a bad row would have closed can't be known.
                    reader.note(rejected.problem.clone());
                }
                for row in matching_rows(reader, rows, wanted.as_deref().unwrap_or_default()) {
                    columns.read_row(reader, row, special);
                }
            }
            Table::Tree(root) => match root.pointer(&pointer) {
                Some(node) => columns.read_node(reader, node, special),
                None => reader.note(Problem::at(&root.origin, format!("there is nothing at \"{pointer}\""))),
            },
        }
        Some(())
    }
}

/// The columns or keys of dated exceptions.
struct Columns {
    date: String,
    hours: String,
    name: String,
    name_is_wanted: bool,
}

impl Columns {
    fn read_row(&self, reader: &Reader, row: &Row, special: &mut BTreeMap<NaiveDate, Day>) {
        let text = |column: &str| {
            let cell = row.cell(column);
            if cell.is_none() {
                let message = format!("{} has no column \"{column}\"", row.origin.file);
                reader.note(
                    Problem::at(&row.origin, message)
                        .hint(format!("its columns are: {}", row.columns.join(", "))),
                );
            }
            cell.map(|cell| Text { value: cell.text.clone(), origin: cell.origin.clone() })
        };
        let name = match (self.name_is_wanted, row.cell(&self.name)) {
            (true, None) => text(&self.name),
            (_, cell) => cell.map(|cell| Text { value: cell.text.clone(), origin: cell.origin.clone() }),
        };
        if let (Some(date), Some(hours)) = (text(&self.date), text(&self.hours)) {
            add(reader, &date, &hours, name.map(|name| name.value), special);
        }
    }

    /// A list of objects, or one object with dates as its keys.
    fn read_node(&self, reader: &Reader, node: &Node, special: &mut BTreeMap<NaiveDate, Day>) {
        match &node.raw {
            Raw::List(items) => {
                for item in items {
                    let Some(fields) = reader.open_table(item, "a dated exception") else {
                        continue;
                    };
                    let text = |key: &str| {
                        let node = fields.require(reader, key)?;
                        reader.text(node, key)
                    };
                    let name = fields.get(&self.name).and_then(|node| reader.text(node, &self.name));
                    if let (Some(date), Some(hours)) = (text(&self.date), text(&self.hours)) {
                        add(reader, &date, &hours, name.map(|name| name.value), special);
                    }
                }
            }
            _ => inline(reader, node, special),
        }
    }
}

/// `{ "2026-12-24" = "09:00-13:00", "2026-12-25" = { hours = "closed", name = "Christmas Day" } }`
pub(super) fn inline(reader: &Reader, node: &Node, special: &mut BTreeMap<NaiveDate, Day>) {
    let Some(fields) = reader.open_table(node, "special") else {
        return;
    };
    for entry in fields.entries {
        // A row to come has it.
        let date = reader.fill_in(&entry.key, &entry.at);
        let (hours, name) = match &entry.node.raw {
            Raw::Table(_) => {
                let Some(fields) = reader.table(&entry.node, "a special date", &["hours", "name"]) else {
                    continue;
                };
                let text = |key: &str| reader.text(fields.get(key)?, key);
                fields.require(reader, "hours");
                (text("hours"), text("name"))
            }
            _ => (reader.text(&entry.node, "the hours of a special date"), None),
        };
        let Some(date) = date else { continue };
        match hours {
            Some(hours) => add(reader, &date, &hours, name.map(|name| name.value), special),
            // A templated text: the date can be checked all the same.
            None => drop(reader.date_named(&date)),
        }
    }
}

fn add(
    reader: &Reader,
    date: &Text,
    hours: &Text,
    name: Option<String>,
    special: &mut BTreeMap<NaiveDate, Day>,
) {
    let (Some(date_value), Some(intervals)) = (reader.date_named(date), day_text(reader, hours)) else {
        return;
    };
    let day = Day {
        intervals,
        name: name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        origin: hours.origin.clone(),
    };
    if let Some(other) = special.insert(date_value, day) {
        reader.note(
            Problem::at(&date.origin, format!("{date_value} has hours already ({})", other.origin))
                .hint("keep one of them"),
        );
    }
}
