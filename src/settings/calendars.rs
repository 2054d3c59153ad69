//! Calendars in the settings: iCalendar files, and public holidays, which need no file.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::calendar::{Entry as Holiday, Filter, Region};
use crate::compile::{CalendarUse, PublicHolidays};
use crate::limits::calendars::{MAX_HOLIDAY_CHANGES, MAX_PUBLIC};
use crate::model::{Origin, Problem};
use crate::written::{Entry, Fields, Node, Reader, Text};

use super::sources::file_path;

/// A calendar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarFile {
    /// The resolved path.
    pub path: PathBuf,
    /// Its path as the settings write it, for messages.
    pub shown: String,
}

const KEYS: &[&str] = &["path", "public_holidays", "add", "remove", "summary", "category", "timezone"];
/// Keys that are valid with public holidays only.
const CHANGES: &[&str] = &["add", "remove"];

/// A calendar's settings, resolved.
pub(super) struct Read {
    /// The calendar as pages use it.
    pub used: CalendarUse,
    /// The file, if it is a file calendar.
    pub file: Option<CalendarFile>,
    /// A warning about a valid setting.
    pub warning: Option<Problem>,
}

/// Reads the settings of one calendar: a file, or public holidays.
///
/// `count` is the number of public-holiday calendars read so far.
pub(super) fn read(reader: &Reader, entry: &Entry, directory: &Path, count: &Cell<usize>) -> Option<Read> {
    let fields = reader.table(&entry.node, "a calendar", KEYS)?;
    let text = |key: &str| fields.get(key).and_then(|node| reader.text(node, key)).map(|text| text.value);
    let filter = Filter { summary: text("summary"), category: text("category") };
    let zone = fields.get("timezone").and_then(|node| reader.zone(node, "timezone"));
    let filter_origin = fields.get("summary").or(fields.get("category")).map(|node| node.origin.clone());
    let used = CalendarUse { file: None, filter, filter_origin, zone, public: None };
    let mut read = Read { used, file: None, warning: None };
    match (fields.get("path"), fields.get("public_holidays")) {
        (Some(path), None) => {
            for key in CHANGES {
                if let Some(node) = fields.get(key) {
                    let problem = Problem::at(&node.origin, format!("{key} is only for public_holidays"));
                    reader.note(problem.hint("change the dates in the calendar file"));
                }
            }
            let path = file_path(reader, path)?;
            read.used.file = Some(path.value.clone());
            read.file = Some(CalendarFile { path: directory.join(&path.value), shown: path.value });
        }
        (None, Some(node)) => {
            count.set(count.get() + 1);
            if count.get() > MAX_PUBLIC {
                let problem = Problem::at(
                    &node.origin,
                    format!("more than {MAX_PUBLIC} calendars have public holidays"),
                );
                reader.note(problem.hint("let hours share calendars: one for each place is enough"));
                return None;
            }
            let public = public_holidays(reader, node, &fields)?;
            // No warning for users who add or remove dates: they have reviewed the list.
            let warning = public.region.incomplete().filter(|_| !fields.has_any(CHANGES));
            read.warning = warning.map(|warning| Problem { origin: Some(node.origin.clone()), ..warning });
            read.used.public = Some(public);
        }
        (Some(_), Some(node)) => {
            let problem = Problem::at(&node.origin, "path and public_holidays are both set");
            reader.note(problem.hint("keep one of them; hours can be closed on several calendars"));
            return None;
        }
        (None, None) => {
            let problem = Problem::at(fields.origin, "a calendar needs \"path\" or \"public_holidays\"");
            reader.note(problem.hint("write path = \"FILE.ics\", or public_holidays = \"GB-ENG\""));
            return None;
        }
    }
    Some(read)
}

/// Returns the public holidays of a region code, with dates added and removed.
fn public_holidays(reader: &Reader, node: &Node, fields: &Fields) -> Option<PublicHolidays> {
    let code = reader.text(node, "public_holidays")?;
    let (added, removed) = (added(reader, fields), removed(reader, fields));
    let region = Region::named(&code.value);
    let region = region.map_err(|problem| Problem { origin: Some(code.origin.clone()), ..problem });
    let region = reader.ok(region)?;
    match region.calendar(&added?, &removed?) {
        Ok(calendar) => Some(PublicHolidays { region, calendar: Arc::new(calendar), origin: code.origin }),
        Err(problems) => {
            problems.into_iter().for_each(|problem| reader.note(problem));
            None
        }
    }
}

/// `add = { "2026-06-05" = "Founders' day" }`.
fn added(reader: &Reader, fields: &Fields) -> Option<Vec<(NaiveDate, Holiday)>> {
    let Some(node) = fields.get("add") else { return Some(Vec::new()) };
    let table = reader.open_table(node, "add")?;
    few(reader, node, "add", table.entries.len())?;
    let added: Vec<Option<_>> = table
        .entries
        .iter()
        .map(|entry| {
            let date = reader.date_named(&Text { value: entry.key.clone(), origin: entry.at.clone() });
            let name = reader.text(&entry.node, "the name of an added date")?;
            if name.value.trim().is_empty() {
                let problem = Problem::at(&name.origin, "the added date has no name");
                reader.note(problem.hint("name it, as in \"Founders' day\""));
                return None;
            }
            Some((date?, Holiday { name: name.value.trim().into(), origin: entry.at.clone() }))
        })
        .collect();
    added.into_iter().collect()
}

/// `remove = ["2026-12-28"]`.
fn removed(reader: &Reader, fields: &Fields) -> Option<Vec<(NaiveDate, Origin)>> {
    let Some(node) = fields.get("remove") else { return Some(Vec::new()) };
    let items = reader.list(node, "remove")?;
    few(reader, node, "remove", items.len())?;
    let removed: Vec<Option<_>> = items
        .iter()
        .map(|item| {
            let text = reader.text(item, "a removed date")?;
            Some((reader.date_named(&text)?, text.origin))
        })
        .collect();
    // Reads all dates before failing, so that every invalid one is reported.
    removed.into_iter().collect()
}

fn few(reader: &Reader, node: &Node, key: &str, count: usize) -> Option<()> {
    if count > MAX_HOLIDAY_CHANGES {
        let message = format!("{key} has {count} dates, and at most {MAX_HOLIDAY_CHANGES} are read");
        reader.note(Problem::at(&node.origin, message).hint("write a calendar file, and name it with path"));
        return None;
    }
    Some(())
}
