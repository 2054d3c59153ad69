//! Dated exceptions: written in the settings, in a table, or in JSON.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::hours::{Day, parse_day};
use crate::limits::settings::MAX_RANGE_DATES;
use crate::model::{Problem, Row, shorten};
use crate::tables::{Table, names_of_formats};
use crate::written::{Fields, Node, Raw, Reader, Text};

use super::compiler::Compiler;
use super::rows::{cell_text, is_complete, matching, matching_rows};
use super::weekly::day_text;

const KEYS: &[&str] = &["source", "pointer", "date", "through", "hours", "name", "match"];

impl Compiler<'_> {
    /// Reads dated exceptions from a table, or from a list or object in JSON.
    pub(super) fn special_from(
        &self,
        reader: &Reader,
        node: &Node,
        special: &mut BTreeMap<NaiveDate, Day>,
    ) -> Option<()> {
        let fields = reader.table(node, "special_from", KEYS)?;
        let source = fields.require(reader, "source")?;
        let source = reader.text(source, "source")?;
        let criteria = fields.get("match").map(|node| matching(reader, node));
        let column = |key: &str| match fields.get(key) {
            Some(node) => reader.text(node, key).map(|text| text.value),
            None => Some(key.to_owned()),
        };
        let columns = Columns {
            date: column("date")?,
            through: match fields.get("through") {
                Some(node) => Some(reader.text(node, "through")?.value),
                None => None,
            },
            hours: match fields.get("hours") {
                Some(node) => Hours::read(reader.text(node, "hours")?),
                None => Hours::Column("hours".to_owned()),
            },
            name: column("name")?,
            reads_name: fields.get("name").is_some(),
        };
        let pointer = match fields.get("pointer") {
            Some(node) => reader.text(node, "pointer")?.value,
            None => String::new(),
        };
        if let Some(criteria) = &criteria
            && is_complete(fields.get("match"), criteria)
        {
            self.record_taken(&source.value, criteria, true, Some(columns.date.clone()));
        }
        let table = self.table(reader, &source)?;
        match &*table {
            Table::Rows(rows) => {
                for rejected in &rows.rejected {
                    // The dates that a bad row would have closed are unknown.
                    reader.note(rejected.problem.clone());
                }
                for row in matching_rows(reader, rows, criteria.as_deref().unwrap_or_default()) {
                    columns.read_row(reader, row, special);
                }
            }
            Table::Tree(root) => match root.pointer(&pointer) {
                Some(node) => {
                    columns.read_node(reader, node, criteria.as_deref().unwrap_or_default(), special)
                }
                None => {
                    let (message, hint) = root.nothing_at(&pointer);
                    reader.note(Problem::at(fields.origin, message).hint(hint));
                }
            },
        }
        Some(())
    }
}

/// The source of the hours of dated exceptions.
enum Hours {
    /// A column or key.
    Column(String),
    /// The same hours for all, unless a column or key has that name.
    All(Text),
}

impl Hours {
    fn read(text: Text) -> Self {
        match parse_day(&text.value) {
            Ok(_) => Self::All(text),
            Err(_) => Self::Column(text.value),
        }
    }

    /// Returns the name of the column or key, and the hours to use if it is missing.
    fn parts(&self) -> (&str, Option<&Text>) {
        match self {
            Self::Column(name) => (name, None),
            Self::All(text) => (&text.value, Some(text)),
        }
    }
}

/// The columns or keys of dated exceptions.
struct Columns {
    date: String,
    /// The last date of a range, where dates are ranges.
    through: Option<String>,
    hours: Hours,
    name: String,
    reads_name: bool,
}

impl Columns {
    fn read_row(&self, reader: &Reader, row: &Row, special: &mut BTreeMap<NaiveDate, Day>) {
        let text = |column: &str| cell_text(reader, row, column, &row.origin());
        let has_name = self.reads_name || row.text(&self.name).is_some();
        let name = if has_name { text(&self.name) } else { None };
        let (column, all) = self.hours.parts();
        let hours = match (row.text(column), all) {
            (None, Some(all)) => Some(all.clone()),
            _ => text(column),
        };
        let through = self.through.as_ref().map(|column| text(column));
        if let (Some(date), Some(hours)) = (text(&self.date), hours) {
            add_range(reader, &date, through, (&hours, name.map(|name| name.value)), special);
        }
    }

    /// Reads a list of objects, or one object with dates as its keys.
    fn read_node(
        &self,
        reader: &Reader,
        node: &Node,
        criteria: &[(String, Text)],
        special: &mut BTreeMap<NaiveDate, Day>,
    ) {
        match &node.raw {
            Raw::List(items) => {
                for item in items {
                    let Some(fields) = reader.open_table(item, "a dated exception") else {
                        continue;
                    };
                    if !meets(reader, &fields, criteria) {
                        continue;
                    }
                    self.check_end(reader, &fields);
                    let text = |key: &str| {
                        let hint = "name the item's key in special_from, as in date = \"startDate\"";
                        reader.text(fields.require_or(reader, key, hint)?, key)
                    };
                    let (key, all) = self.hours.parts();
                    let hours = match (fields.get(key), all) {
                        (None, Some(all)) => {
                            Some(Text { value: all.value.clone(), origin: item.origin.clone() })
                        }
                        (None, None) => {
                            fields.require_or(reader, key, CONSTANT);
                            None
                        }
                        (Some(node), _) => reader.text(node, key),
                    };
                    let name = fields.get(&self.name).and_then(|node| name(reader, node));
                    let through = self.through.as_ref().map(|key| text(key));
                    if let (Some(date), Some(hours)) = (text(&self.date), hours) {
                        add_range(reader, &date, through, (&hours, name), special);
                    }
                }
            }
            _ if !criteria.is_empty() => {
                let message = format!("match needs a list of objects in {}", names_of_formats(false));
                let problem = Problem::at(&node.origin, message);
                reader.note(problem.hint("leave match out, or point at a list"));
            }
            _ => inline(reader, node, special),
        }
    }

    /// Notes an item that ends on another date: such a range needs `through`.
    fn check_end(&self, reader: &Reader, fields: &Fields) {
        let text = |key: &str| match fields.get(key).map(|node| &node.raw) {
            Some(Raw::Text(text)) => Some(text.trim().to_owned()),
            _ => None,
        };
        if self.through.is_none()
            && let Some(end) = text("endDate").filter(|end| text(&self.date).is_some_and(|date| date != *end))
        {
            let problem = Problem::at(fields.origin, format!("this item is a range: it ends on {end}"));
            reader.note(problem.hint("set through = \"endDate\" in special_from"));
        }
    }
}

/// Returns true for an item with the values of `match`; notes an item without such a key.
fn meets(reader: &Reader, fields: &Fields, criteria: &[(String, Text)]) -> bool {
    criteria.iter().all(|(key, text)| {
        let hint = "match a key that every item has";
        let found = fields.require_or(reader, key, hint).map(|node| node.to_json());
        found.is_some_and(|found| shorten(&found, usize::MAX).trim_matches('"') == text.value.trim())
    })
}

/// The hint for lists of holidays, which contain only dates.
const CONSTANT: &str =
    "where all of them are closed, as in a list of holidays, set hours = \"closed\" in special_from";

/// Reads a name: text, or the first text of a list by language (OpenHolidays).
fn name(reader: &Reader, node: &Node) -> Option<String> {
    let first = match &node.raw {
        Raw::List(items) => items.first()?.get("text")?,
        _ => node,
    };
    reader.text(first, "name").map(|name| name.value)
}

/// Adds the hours of a date, or of each date of a range.
fn add_range(
    reader: &Reader,
    date: &Text,
    through: Option<Option<Text>>,
    (hours, name): (&Text, Option<String>),
    special: &mut BTreeMap<NaiveDate, Day>,
) {
    let Some(through) = through else { return add(reader, date, hours, name, special) };
    let Some(through) = through else { return };
    let (Some(from), Some(last)) = (reader.date_named(date), reader.date_named(&through)) else { return };
    if !(0..MAX_RANGE_DATES).contains(&(last - from).num_days()) {
        let message = format!("{from} to {last} is not a range of at most {MAX_RANGE_DATES} dates");
        return reader.note(
            Problem::at(&through.origin, message).hint("write the first date, and a last one after it"),
        );
    }
    for day in from.iter_days().take_while(|day| *day <= last) {
        let date = Text { value: day.to_string(), origin: date.origin.clone() };
        add(reader, &date, hours, name.clone(), special);
    }
}

/// Reads exceptions that are written in the settings.
///
/// `{ "2026-12-24" = "09:00-13:00", "2026-12-25" = { hours = "closed", name = "Christmas Day" } }`
pub(super) fn inline(reader: &Reader, node: &Node, special: &mut BTreeMap<NaiveDate, Day>) {
    let Some(fields) = reader.open_table(node, "special") else {
        return;
    };
    for entry in fields.entries {
        // None if the date comes from a row that is not read yet.
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
            // The hours are a template. The date can still be checked.
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
    // Published lists contain a date twice if two holidays share it.
    if special.get(&date_value).is_some_and(|other| other.intervals == day.intervals) {
        return;
    }
    if let Some(other) = special.insert(date_value, day) {
        reader.note(
            Problem::at(&date.origin, format!("{date_value} has hours already ({})", other.origin))
                .hint("keep one of them"),
        );
    }
}
