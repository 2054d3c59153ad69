//! Hours as the settings write them, put together with the tables and calendars they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::calendar::{Agenda, Filter};
use crate::hours::{Day, Hours, Interval, parse_day, parse_days, parse_week};
use crate::model::{Problem, Row};
use crate::tables::Table;
use crate::written::{Fields, Node, Raw, Reader, Text};

use super::compile::Compiler;

const HOURS_KEYS: &[&str] = &["timezone", "weekly", "special", "special_from", "closed_on"];
const SPECIAL_FROM_KEYS: &[&str] = &["source", "pointer", "date", "hours", "name", "match"];

impl Compiler<'_> {
    /// Hours by name, or written in place.
    pub(super) fn hours(&self, reader: &Reader, node: &Node, zone: Option<Tz>) -> Option<Arc<Hours>> {
        if let Raw::Table(_) = &node.raw {
            return self.build_hours(reader, node, "the page's hours", zone).map(Arc::new);
        }
        let name = reader.text(node, "hours")?;
        if !self.blueprint.hours.contains_key(&name.value) {
            reader.note(self.unknown("hours", &name.value, &name.origin, self.blueprint.hours.keys()));
            return None;
        }
        self.named_hours(reader, &name.value, zone)
    }

    pub(super) fn build_hours(
        &self,
        reader: &Reader,
        node: &Node,
        name: &str,
        zone: Option<Tz>,
    ) -> Option<Hours> {
        let fields = reader.table(node, "hours", HOURS_KEYS)?;
        let problems = reader.problem_count();
        let zone = match fields.get("timezone") {
            Some(node) => reader.zone(node, "timezone"),
            None => zone.or(self.blueprint.zone).or_else(|| {
                reader.note(
                    Problem::at(&node.origin, format!("{name} needs a time zone"))
                        .hint("set timezone = \"Europe/London\", here or at the top of the settings"),
                );
                None
            }),
        };
        let weekly = fields.require(reader, "weekly").and_then(|node| weekly(reader, node));
        let mut special = BTreeMap::new();
        if let Some(node) = fields.get("special") {
            inline_special(reader, node, &mut special);
        }
        for node in one_or_more(fields.get("special_from")) {
            self.special_from(reader, node, &mut special);
        }
        let mut closures = Agenda::default();
        for node in one_or_more(fields.get("closed_on")) {
            if let Some(agenda) = self.closing_agenda(reader, node, zone) {
                closures.merge(&agenda);
            }
        }
        if reader.problem_count() > problems {
            return None;
        }
        Some(Hours {
            name: name.to_owned(),
            zone: zone?,
            weekly: weekly?,
            special,
            closures: Arc::new(closures),
            forced: Vec::new(),
            origin: node.origin.clone(),
        })
    }

    /// A calendar by name, or `{ calendar, summary, category }`.
    fn closing_agenda(&self, reader: &Reader, node: &Node, zone: Option<Tz>) -> Option<Arc<Agenda>> {
        let (name, filter) = match &node.raw {
            Raw::Table(_) => {
                let fields = reader.table(node, "closed_on", &["calendar", "summary", "category"])?;
                let name = fields.require(reader, "calendar")?;
                (reader.text(name, "calendar")?, filter(reader, &fields))
            }
            _ => (reader.text(node, "closed_on")?, None),
        };
        if !self.knows_calendar(reader, &name) {
            return None;
        }
        self.agenda(reader, &name, filter, zone?)
    }

    /// Dated exceptions from a table, or from a list or object in JSON.
    fn special_from(
        &self,
        reader: &Reader,
        node: &Node,
        special: &mut BTreeMap<NaiveDate, Day>,
    ) -> Option<()> {
        let fields = reader.table(node, "special_from", SPECIAL_FROM_KEYS)?;
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
                for row in &rows.rows {
                    if takes(reader, row, wanted.as_deref(), &source) {
                        columns.read_row(reader, row, special);
                    }
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
            add_special(reader, &date, &hours, name.map(|name| name.value), special);
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
                        add_special(reader, &date, &hours, name.map(|name| name.value), special);
                    }
                }
            }
            _ => inline_special(reader, node, special),
        }
    }
}

fn takes(reader: &Reader, row: &Row, wanted: Option<&[(String, Text)]>, source: &Text) -> bool {
    wanted.unwrap_or_default().iter().all(|(column, text)| match row.cell(column) {
        Some(cell) => cell.text.trim() == text.value.trim(),
        None => {
            let message = format!("source \"{}\" has no column \"{column}\"", source.value);
            reader.note(Problem::at(&text.origin, message));
            false
        }
    })
}

/// `match = { site = "{{ row.site }}" }`: the rows whose cells are these.
fn matching(reader: &Reader, node: &Node) -> Vec<(String, Text)> {
    let Some(fields) = reader.open_table(node, "match") else {
        return Vec::new();
    };
    let entries = fields.entries.iter();
    entries.filter_map(|entry| Some((entry.key.clone(), reader.text(&entry.node, "match")?))).collect()
}

/// A list as its items, anything else as itself.
pub(super) fn one_or_more(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node { raw: Raw::List(items), .. }) => items,
        Some(node) => std::slice::from_ref(node),
        None => &[],
    }
}

pub(super) fn filter(reader: &Reader, fields: &Fields) -> Option<Filter> {
    if !fields.has_any(&["summary", "category"]) {
        return None;
    }
    let text = |key: &str| Some(reader.text(fields.get(key)?, key)?.value);
    Some(Filter { summary: text("summary"), category: text("category") })
}

/// Weekly hours: one text, or a table of days and texts.
fn weekly(reader: &Reader, node: &Node) -> Option<[Option<Day>; 7]> {
    if let Raw::Text(_) = &node.raw {
        let text = reader.text(node, "weekly")?;
        let week =
            parse_week(&text.value).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
        let day = |intervals| Day { intervals, name: None, origin: text.origin.clone() };
        return Some(reader.ok(week)?.map(|intervals| intervals.map(day)));
    }
    let fields = reader.open_table(node, "weekly")?;
    if fields.entries.is_empty() {
        reader.note(
            Problem::at(&node.origin, "the weekly hours are empty")
                .hint("write hours such as { mon-fri = \"09:00-17:00\" }, or weekly = \"closed\""),
        );
        return None;
    }
    let mut week: [Option<Day>; 7] = Default::default();
    let mut complete = true;
    for entry in fields.entries {
        let days = parse_days(&entry.key).map_err(|bad| Problem::at(&entry.at, bad.message).hint(bad.hint));
        let (Some(days), Some(day)) = (reader.ok(days), day(reader, &entry.node)) else {
            complete = false;
            continue;
        };
        for weekday in days {
            let slot = &mut week[weekday.num_days_from_monday() as usize];
            if slot.is_some() {
                let message = format!("{weekday} has hours already");
                reader.note(Problem::at(&entry.at, message).hint("name each day once"));
            }
            *slot = Some(day.clone());
        }
    }
    complete.then_some(week)
}

fn day(reader: &Reader, node: &Node) -> Option<Day> {
    let text = reader.text(node, "the hours of a day")?;
    let intervals = day_text(reader, &text)?;
    Some(Day { intervals, name: None, origin: text.origin })
}

fn day_text(reader: &Reader, text: &Text) -> Option<Vec<Interval>> {
    let intervals = parse_day(&text.value);
    reader.ok(intervals.map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint)))
}

/// `{ "2026-12-24" = "09:00-13:00", "2026-12-25" = { hours = "closed", name = "Christmas Day" } }`
fn inline_special(reader: &Reader, node: &Node, special: &mut BTreeMap<NaiveDate, Day>) {
    let Some(fields) = reader.open_table(node, "special") else {
        return;
    };
    for entry in fields.entries {
        let date = Text { value: entry.key.clone(), origin: entry.at.clone() };
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
        match hours {
            Some(hours) => add_special(reader, &date, &hours, name.map(|name| name.value), special),
            // A templated text: the date can be checked all the same.
            None => drop(parse_date(reader, &date)),
        }
    }
}

fn add_special(
    reader: &Reader,
    date: &Text,
    hours: &Text,
    name: Option<String>,
    special: &mut BTreeMap<NaiveDate, Day>,
) {
    let (Some(date_value), Some(intervals)) = (parse_date(reader, date), day_text(reader, hours)) else {
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

/// `2026-12-24`.
pub(super) fn parse_date(reader: &Reader, text: &Text) -> Option<NaiveDate> {
    reader.date_named(text)
}
