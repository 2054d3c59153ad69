//! Hours that are written in the settings: one text, or a table of days and texts.

use crate::compile::compiler::Compiler;
use crate::compile::formats::Published;
use crate::hours::{Day, Interval, parse_day, parse_days, parse_week};
use crate::model::Problem;
use crate::written::{Node, Raw, Reader, Text};

use super::notation::Notation;

/// `weekly = "Mo-Fr 09:00-17:00"`, or `weekly = { mon-fri = "09:00-17:00" }`.
pub(super) struct Weekly;

impl Notation for Weekly {
    fn key(&self) -> &'static str {
        "weekly"
    }

    fn read(&self, _: &Compiler, reader: &Reader, node: &Node) -> Option<Published> {
        match &node.raw {
            Raw::Text(_) => week_text(reader, &reader.text(node, "weekly")?),
            _ => by_day(reader, node),
        }
    }
}

/// Reads the hours of a week from one text.
pub(super) fn week_text(reader: &Reader, text: &Text) -> Option<Published> {
    let week = parse_week(&text.value).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
    let week = reader.ok(week)?;
    let day = |intervals| Day { intervals, name: None, origin: text.origin.clone() };
    let weekly = week.days.map(|intervals| intervals.map(day));
    Some(Published { weekly, holidays: week.holidays.map(day), ..Published::default() })
}

/// Reads a table of days and texts.
fn by_day(reader: &Reader, node: &Node) -> Option<Published> {
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

/// Reads the hours of a day from one text.
pub(in crate::compile) fn day_text(reader: &Reader, text: &Text) -> Option<Vec<Interval>> {
    let intervals = parse_day(&text.value);
    reader.ok(intervals.map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint)))
}
