//! Hours from a CSV source: the week in one cell, a column for each day, or a row for each interval.

use crate::compile::compiler::Compiler;
use crate::compile::formats::Published;
use crate::compile::rows::{cell_text, is_complete, matching, matching_rows};
use crate::hours::{Day, parse_day, parse_days};
use crate::model::{Problem, Row};
use crate::written::{Fields, Node, Reader, Text};

use super::notation::Notation;
use super::text::{day_text, week_text};

/// `weekly_from = { source = "sites", row = "leeds", column = "hours" }`, or `match` for rows with
/// one interval each.
pub(super) struct WeeklyFrom;

impl Notation for WeeklyFrom {
    fn key(&self) -> &'static str {
        "weekly_from"
    }

    fn read(&self, compiler: &Compiler, reader: &Reader, node: &Node) -> Option<Published> {
        const KEYS: &[&str] =
            &["source", "row", "column", "columns", "match", "day", "open", "close", "hours"];
        let fields = reader.table(node, "weekly_from", KEYS)?;
        let source = reader.text(fields.require(reader, "source")?, "source")?;
        let table = compiler.table(reader, &source);
        let (by_row, by_match) = (fields.get("row").is_some(), fields.get("match").is_some());
        if by_row == by_match {
            let problem = match by_row {
                true => {
                    Problem::at(&node.origin, "weekly_from has both row and match").hint("keep one of them")
                }
                false => Problem::at(&node.origin, "weekly_from needs \"row\" or \"match\"")
                    .hint("set row with column or columns, or match to select rows with one interval each"),
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
            return compiler.with_rows(reader, &source, &table, |rows| {
                if let Some(name) = rows.rows.first().and_then(|row| row.name()) {
                    compiler.record_taken(&source.value, &[(name.column, key.clone())], false, None);
                }
                let row = compiler.keyed(reader, rows, &key)?;
                weekly_of_row(reader, &fields, row)
            });
        }
        let criteria = fields.require(reader, "match").map(|node| matching(reader, node))?;
        if is_complete(fields.get("match"), &criteria) {
            compiler.record_taken(&source.value, &criteria, true, None);
        }
        let table = table?;
        compiler.with_rows(reader, &source, &table, |rows| {
            // The days that a bad row would have opened are unknown.
            rows.rejected.iter().for_each(|rejected| reader.note(rejected.problem.clone()));
            let problems = reader.problem_count();
            let rows = matching_rows(reader, rows, &criteria);
            if reader.problem_count() > problems {
                return None;
            }
            if rows.is_empty() {
                let problem = Problem::at(
                    &node.origin,
                    format!("source \"{}\" has no row for these hours", source.value),
                );
                reader.note(problem.hint("for a site that is always closed, add rows that say closed"));
                return None;
            }
            weekly_of_rows(reader, &fields, &rows)
        })
    }
}

/// Reads `row` with `column` or `columns`: the week in one cell, or in a cell for each day.
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

/// Reads a row for each interval: its day, and its hours in one cell or in two.
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
                let opens = cell_text(reader, row, &open.value, &open.origin)?;
                from_and_to(reader, opens, &cell_text(reader, row, &close.value, &close.origin)?)?
            }
        };
        let intervals = day_text(reader, &hours)?;
        for weekday in reader.ok(named)? {
            let slot = &mut published.weekly[weekday.num_days_from_monday() as usize];
            if let Some(known) = slot.as_ref().filter(|day| day.intervals.is_empty() != intervals.is_empty())
            {
                let message = format!("{weekday} is both open and closed ({})", known.origin);
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

/// Combines two cells into hours: an opening and a closing time, or closed.
///
/// A problem is reported at the cell that has it.
fn from_and_to(reader: &Reader, opens: Text, closes: &Text) -> Option<Text> {
    let is_closed = |text: &str| parse_day(text).is_ok_and(|intervals| intervals.is_empty());
    let (from, to) = (opens.value.trim(), closes.value.trim());
    let problem = match (from, to) {
        // The first cell is complete: closed, an interval, or empty, which is reported as such.
        (_, "") if parse_day(from).is_ok() || from.is_empty() => return Some(opens),
        _ if is_closed(from) && is_closed(to) => return Some(opens),
        (_, "") if parse_day(&format!("{from}-24:00")).is_err() => return Some(opens),
        (_, "") => {
            Problem::at(&closes.origin, format!("it opens at {from}, but its closing time is missing"))
                .hint("write the closing time, or closed in both")
        }
        ("", _) => {
            Problem::at(&opens.origin, format!("it closes at \"{to}\", but its opening time is missing"))
                .hint("write the opening time, or closed in both")
        }
        _ if is_closed(from) || is_closed(to) => {
            Problem::at(&closes.origin, format!("\"{from}\" and \"{to}\" cannot be combined"))
                .hint("write two times, or closed in both")
        }
        _ => {
            let value = format!("{from}-{to}");
            let closing_is_wrong = parse_day(&value).is_err() && parse_day(&format!("{from}-24:00")).is_ok();
            if closing_is_wrong {
                day_text(reader, &Text { value, origin: closes.origin.clone() })?;
                return None;
            }
            return Some(Text { value, origin: opens.origin });
        }
    };
    reader.note(problem);
    None
}
