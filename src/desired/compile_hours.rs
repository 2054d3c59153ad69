//! Hours as the settings write them, put together with the tables and calendars they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::calendar::{Agenda, Filter};
use crate::hours::{Day, Hours, Interval, parse_day, parse_days, parse_week};
use crate::model::{Origin, Problem, Row};
use crate::tables::{Rows, Table};
use crate::written::{Fields, Node, Raw, Reader, Text};

use super::compile::Compiler;
use super::compile_formats::{self, Published};
use super::compile_rows::{keyed, no_column};

const HOURS_KEYS: &[&str] =
    &["timezone", "weekly", "weekly_from", "google", "schema_org", "special", "special_from", "closed_on"];
/// What the weekly hours can come from; one of them.
const WEEKLY_KEYS: &[&str] = &["weekly", "weekly_from", "google", "schema_org"];
const SPECIAL_FROM_KEYS: &[&str] = &["source", "pointer", "date", "hours", "name", "match"];

impl Compiler<'_> {
    /// Hours by name, or written in place.
    pub(super) fn hours(
        &self,
        reader: &Reader,
        node: &Node,
        zone: Option<Tz>,
        name: Option<&str>,
    ) -> Option<Arc<Hours>> {
        if let Raw::Table(_) = &node.raw {
            let name = name.unwrap_or("the page");
            return self.build_hours(reader, node, name, zone).map(Arc::new);
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
        let published = self.published(reader, &fields);
        let (weekly, mut special, holidays) = match published {
            Some(Published { weekly, special, holidays }) => (Some(weekly), special, holidays),
            None => (None, BTreeMap::new(), None),
        };
        if let Some(holidays) = &holidays
            && fields.get("closed_on").is_none()
        {
            reader.note(
                Problem::at(
                    &holidays.origin,
                    "these are the hours of public holidays, and no calendar says when those are",
                )
                .hint("set closed_on to a calendar of public holidays"),
            );
        }
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
            holidays: holidays.filter(|day| !day.intervals.is_empty()),
            closures: Arc::new(closures),
            forced: Vec::new(),
            origin: node.origin.clone(),
        })
    }

    /// The weekly hours and what comes with them, in the one way that they are written.
    fn published(&self, reader: &Reader, fields: &Fields) -> Option<Published> {
        let given: Vec<&str> = WEEKLY_KEYS.iter().copied().filter(|key| fields.get(key).is_some()).collect();
        match given.as_slice() {
            ["weekly"] => weekly(reader, fields.get("weekly")?),
            ["weekly_from"] => self.weekly_from(reader, fields.get("weekly_from")?),
            [format @ ("google" | "schema_org")] => self.published_json(reader, fields.get(format)?, format),
            [] => {
                reader
                    .note(Problem::at(fields.origin, "hours needs \"weekly\"").hint(
                        "write weekly, or take them from elsewhere: weekly_from, google or schema_org",
                    ));
                None
            }
            several => {
                let message = format!("the weekly hours come from {} at once", several.join(" and "));
                reader.note(Problem::at(fields.origin, message).hint("keep one of them"));
                None
            }
        }
    }

    /// `google = { source = "places", pointer = "/0" }`: a location or a thing in a JSON source.
    fn published_json(&self, reader: &Reader, node: &Node, format: &str) -> Option<Published> {
        let google = format == "google";
        let keys: &[&str] = if google { &["source", "pointer", "more"] } else { &["source", "pointer"] };
        let fields = reader.table(node, "published hours", keys)?;
        let source = reader.text(fields.require(reader, "source")?, "source")?;
        let pointer = match fields.get("pointer") {
            Some(node) => reader.text(node, "pointer")?,
            None => Text { value: String::new(), origin: node.origin.clone() },
        };
        let more = match fields.get("more") {
            Some(node) => Some(reader.text(node, "more")?.value),
            None => None,
        };
        let table = self.table(reader, &source)?;
        let Table::Tree(root) = &*table else {
            let message = format!("source \"{}\" is CSV; published hours are JSON", source.value);
            reader.note(Problem::at(&source.origin, message).hint("name a JSON source"));
            return None;
        };
        let Some(found) = root.pointer(&pointer.value) else {
            let message = format!("{} has nothing at \"{}\"", root.origin.file, pointer.value);
            reader.note(Problem::at(&pointer.origin, message).hint("write /key/key or /list/0"));
            return None;
        };
        match google {
            true => compile_formats::google(reader, found, more.as_deref()),
            false => compile_formats::schema_org(reader, found),
        }
    }

    /// Weekly hours from another table: a cell, a column for each day, or a row for each interval.
    fn weekly_from(&self, reader: &Reader, node: &Node) -> Option<Published> {
        const KEYS: &[&str] =
            &["source", "row", "column", "columns", "match", "day", "open", "close", "hours"];
        let fields = reader.table(node, "weekly_from", KEYS)?;
        let source = reader.text(fields.require(reader, "source")?, "source")?;
        let table = self.table(reader, &source);
        let (by_row, by_match) = (fields.get("row").is_some(), fields.get("match").is_some());
        if by_row == by_match {
            let problem = match by_row {
                true => Problem::at(&node.origin, "weekly_from has row and match at once")
                    .hint("keep one of them"),
                false => Problem::at(&node.origin, "weekly_from needs \"row\" or \"match\"").hint(
                    "write row with column or columns, or match for the rows that have an interval each",
                ),
            };
            reader.note(problem);
            return None;
        }
        if by_row && fields.get("column").is_some() == fields.get("columns").is_some() {
            let problem = Problem::at(&node.origin, "weekly_from with a row needs \"column\" or \"columns\"");
            reader.note(problem.hint(
                "write column = \"COLUMN\" for the week in one cell, or columns = { mon-fri = \"COLUMN\" }",
            ));
            return None;
        }
        if let Some(key) = fields.get("row") {
            let key = reader.text(key, "row");
            let (table, key) = (table?, key?);
            return self.with_rows(reader, &source, &table, |rows| {
                let row = keyed(reader, rows, &key)?;
                weekly_of_row(reader, &fields, row)
            });
        }
        let wanted = fields.require(reader, "match").map(|node| matching(reader, node))?;
        let table = table?;
        self.with_rows(reader, &source, &table, |rows| {
            // Which days a bad row would have opened can't be known.
            rows.rejected.iter().for_each(|rejected| reader.note(rejected.problem.clone()));
            let problems = reader.problem_count();
            let rows = matching_rows(reader, rows, &wanted);
            if reader.problem_count() > problems {
                return None;
            }
            if rows.is_empty() {
                let problem = Problem::at(
                    &node.origin,
                    format!("source \"{}\" has no row for these hours", source.value),
                );
                reader.note(problem.hint("a place that is always closed has rows that say closed"));
                return None;
            }
            weekly_of_rows(reader, &fields, &rows)
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

/// The rows whose cells are all these; of many rows an index finds the few.
fn matching_rows<'r>(reader: &Reader, rows: &'r Rows, wanted: &[(String, Text)]) -> Vec<&'r Row> {
    let has_column = |name: &str| rows.columns.iter().any(|column| **column == *name);
    if let Some((column, text)) = wanted.iter().find(|(column, _)| !has_column(column)) {
        reader.note(no_column(&text.origin, rows, column));
        return Vec::new();
    }
    let Some(((column, text), rest)) = wanted.split_first() else {
        return rows.rows.iter().collect();
    };
    let meets = |row: &&Row| {
        rest.iter()
            .all(|(column, text)| row.cell(column).is_some_and(|cell| cell.text.trim() == text.value.trim()))
    };
    rows.having(column, &text.value).into_iter().flatten().filter(meets).collect()
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

/// `row` with `column` or `columns`: the hours of a week in one cell, or in a cell for each day.
fn weekly_of_row(reader: &Reader, fields: &Fields, row: &Row) -> Option<Published> {
    if let Some(node) = fields.get("column") {
        let column = reader.text(node, "column")?;
        return week_text(reader, &cell_text(reader, row, &column.value, &column.origin)?);
    }
    let columns = reader.open_table(fields.require(reader, "columns")?, "columns")?;
    let mut published = Published::default();
    for entry in columns.entries {
        let column = reader.text(&entry.node, "columns")?;
        let days = parse_days(&entry.key).map_err(|bad| Problem::at(&entry.at, bad.message).hint(bad.hint));
        let text = cell_text(reader, row, &column.value, &column.origin)?;
        let intervals = day_text(reader, &text)?;
        for day in reader.ok(days)? {
            let day_hours = Day { intervals: intervals.clone(), name: None, origin: text.origin.clone() };
            let slot = &mut published.weekly[day.num_days_from_monday() as usize];
            if slot.replace(day_hours).is_some() {
                let message = format!("{day} has hours already");
                reader.note(Problem::at(&entry.at, message).hint("name each day once"));
            }
        }
    }
    Some(published)
}

/// A row for each interval: its day, and its hours in one cell or in two.
fn weekly_of_rows(reader: &Reader, fields: &Fields, rows: &[&Row]) -> Option<Published> {
    let column = |key: &str| match fields.get(key) {
        Some(node) => reader.text(node, key),
        None => Some(Text { value: key.to_owned(), origin: fields.origin.clone() }),
    };
    let (day, open, close) = (column("day")?, column("open")?, column("close")?);
    let mut published = Published::default();
    for row in rows {
        let days = cell_text(reader, row, &day.value, &day.origin)?;
        let named =
            parse_days(&days.value).map_err(|bad| Problem::at(&days.origin, bad.message).hint(bad.hint));
        let hours = match fields.get("hours") {
            Some(_) => {
                let hours = column("hours")?;
                cell_text(reader, row, &hours.value, &hours.origin)?
            }
            None => {
                let mut opens = cell_text(reader, row, &open.value, &open.origin)?;
                let closes = cell_text(reader, row, &close.value, &close.origin)?;
                // "closed" stands in the first of them, and then the second says nothing.
                if !closes.value.trim().is_empty() {
                    opens.value = format!("{}-{}", opens.value.trim(), closes.value.trim());
                }
                opens
            }
        };
        let intervals = day_text(reader, &hours)?;
        for weekday in reader.ok(named)? {
            let slot = &mut published.weekly[weekday.num_days_from_monday() as usize];
            if let Some(known) = slot.as_ref().filter(|day| day.intervals.is_empty() != intervals.is_empty())
            {
                let message = format!("{weekday} is open and closed at once ({})", known.origin);
                reader.note(Problem::at(&hours.origin, message).hint("keep one of the rows"));
            }
            let new = || Day { intervals: Vec::new(), name: None, origin: hours.origin.clone() };
            let slot = slot.get_or_insert_with(new);
            if slot.intervals.iter().any(|known| intervals.contains(known)) {
                let message = format!("{weekday} has these hours already ({})", slot.origin);
                reader.note(Problem::at(&hours.origin, message).hint("keep one of the rows"));
            }
            slot.intervals.extend(&intervals);
        }
    }
    Some(published)
}

fn cell_text(reader: &Reader, row: &Row, column: &str, at: &Origin) -> Option<Text> {
    let cell = row.cell(column);
    if cell.is_none() {
        let problem = Problem::at(at, format!("{} has no column \"{column}\"", row.origin.file));
        reader.note(problem.hint(format!("its columns are: {}", row.columns.join(", "))));
    }
    cell.map(|cell| Text { value: cell.text.clone(), origin: cell.origin.clone() })
}

fn week_text(reader: &Reader, text: &Text) -> Option<Published> {
    let week = parse_week(&text.value).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
    let week = reader.ok(week)?;
    let day = |intervals| Day { intervals, name: None, origin: text.origin.clone() };
    let weekly = week.days.map(|intervals| intervals.map(day));
    Some(Published { weekly, special: BTreeMap::new(), holidays: week.holidays.map(day) })
}

/// Weekly hours: one text, or a table of days and texts.
fn weekly(reader: &Reader, node: &Node) -> Option<Published> {
    if let Raw::Text(_) = &node.raw {
        return week_text(reader, &reader.text(node, "weekly")?);
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
    complete.then(|| Published { weekly: week, ..Published::default() })
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
