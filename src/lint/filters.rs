//! Lint for conditions that no row meets, and for rows that nothing takes.
//!
//! Most of them are mistakes. Without a warning, a site would be silently missing, or a closure
//! would silently close nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Days, NaiveDate};

use crate::model::{Instant, Problem, Row, nearest};
use crate::tables::{Rows, Table};
use crate::written::{Entry, Node, Raw, is_template, one_or_more};

use crate::compile::uses::{TakenRows, UnmatchedCondition, Uses, joined, nth_of};
use crate::compile::{Blueprint, Inputs};

/// The most values of a column that a message lists.
const NAMED: usize = 8;
/// The most unused texts of a table that are listed, so that users can fix these first.
const REPORTED: usize = 20;

/// Returns warnings for unmet `where` and `unless` conditions, and for unused rows.
///
/// Rows of other tables are unused if no `match` takes them.
///
/// Exceptions of dates before today are skipped. So is an `unless` that a row fills in: the row
/// that it excludes may not exist.
pub fn unmet_conditions(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Vec<Problem> {
    let mut found = Vec::new();
    blueprint.pages.iter().for_each(|page| walk(page, inputs, &mut found));
    let uses = Uses::of_tables(blueprint, inputs, at);
    found.extend(uses.unmet.iter().map(|((_, column), unmet)| filled_in(column, unmet)));
    for (source, taken) in &uses.taken {
        if let Some(Table::Rows(rows)) = inputs.tables.get(source).map(|table| &**table) {
            found.extend(unused_texts(rows, taken, at.date_naive()));
        }
    }
    found.into_iter().map(Problem::warning).collect()
}

fn walk(node: &Node, inputs: &Inputs, found: &mut Vec<Problem>) {
    match &node.raw {
        Raw::Table(entries) => {
            conditions(node, inputs, found);
            // A constant may look like anything, so it is skipped.
            let inside = entries.iter().filter(|entry| entry.key != "value" || entries.len() > 1);
            inside.for_each(|entry| walk(&entry.node, inputs, found));
        }
        Raw::List(items) => items.iter().for_each(|item| walk(item, inputs, found)),
        Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => {}
    }
}

/// Checks the conditions beside the name of a source.
fn conditions(node: &Node, inputs: &Inputs, found: &mut Vec<Problem>) {
    let name = ["source", "each"].iter().find_map(|key| match &node.get(key)?.raw {
        Raw::Text(name) => Some(name),
        _ => None,
    });
    let Some(Table::Rows(rows)) = name.and_then(|name| inputs.tables.get(name)).map(|table| &**table) else {
        return;
    };
    for key in ["where", "unless"] {
        let Some(Node { raw: Raw::Table(entries), .. }) = node.get(key) else { continue };
        found.extend(entries.iter().filter_map(|entry| unmet(key, entry, rows)));
    }
}

fn unmet(key: &str, entry: &Entry, rows: &Rows) -> Option<Problem> {
    let column = &entry.key;
    let texts = one_or_more(Some(&entry.node)).iter().map(|node| match &node.raw {
        Raw::Text(text) if !is_template(text) => Some(text.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect::<Option<_>>()?;
    // A missing column is an error, which is reported elsewhere.
    let is_met = |text: &&str| rows.having(column, text).is_none_or(|mut rows| rows.next().is_some());
    if texts.iter().any(is_met) {
        return None;
    }
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    let message = format!("{key}: no row of {} has {column} = {}", rows.head.file, quoted.join(" or "));
    let problem = Problem::at(&entry.at, message);
    let known: BTreeSet<&str> = rows.rows.iter().filter_map(|row| Some(row.text(column)?.trim())).collect();
    let meant = texts.iter().find_map(|text| nearest(text.trim(), known.iter().copied()));
    Some(problem.hint(suggest_or_list(meant, "the column has", &known)))
}

/// Returns the problem of a condition that matches no row once some rows fill it in.
fn filled_in(column: &str, UnmatchedCondition { origin, file, rows }: &UnmatchedCondition) -> Problem {
    let named: Vec<String> =
        rows.iter().take(NAMED).map(|(row, text)| format!("\"{text}\" (for row \"{row}\")")).collect();
    let more = match rows.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("where: no row of {file} has {column} = {}{more}", named.join(" or "));
    Problem::at(origin, message).hint("correct the cell in either table, or exclude the row with unless")
}

/// Returns a hint with the likely correction, and some of the known values.
pub(super) fn suggest_or_list(meant: Option<&str>, what: &str, known: &BTreeSet<&str>) -> String {
    let mut values: Vec<String> = known.iter().take(NAMED).map(|value| format!("\"{value}\"")).collect();
    if known.len() > NAMED {
        values.push(format!("and {} more", known.len() - NAMED));
    }
    let values = format!("{what} {}", values.join(", "));
    match meant {
        Some(meant) => format!("did you mean \"{meant}\"? {values}"),
        None => values,
    }
}

/// Returns a problem for each text whose rows no `match` and no `row` takes.
fn unused_texts(rows: &Rows, taken: &TakenRows, on: NaiveDate) -> Vec<Problem> {
    let position = |column: &String| rows.head.columns.iter().position(|name| **name == **column);
    // A missing column is an error, which is reported elsewhere.
    let asked: Option<Vec<_>> = taken
        .texts
        .iter()
        .map(|(columns, texts)| Some((columns.iter().map(position).collect::<Option<Vec<_>>>()?, texts)))
        .collect();
    let Some(asked) = asked.filter(|_| taken.matched && !taken.everything) else { return Vec::new() };
    // All requested texts of each column.
    let mut known: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (columns, texts) in &asked {
        for (index, column) in columns.iter().enumerate() {
            known.entry(*column).or_default().extend(texts.iter().map(|text| nth_of(text, index)));
        }
    }
    let text = |row: &Row, column: usize| row.text_at(column).trim().to_owned();
    let is_taken = |row: &Row| {
        asked.iter().any(|(columns, texts)| {
            texts.contains(&joined(columns.iter().map(|column| row.text_at(*column))))
        })
    };
    let (mut reported, mut count): (Vec<&Row>, HashMap<(usize, String), usize>) = Default::default();
    let blamed = |row: &Row| {
        let mut columns = asked.iter().flat_map(|(columns, _)| columns);
        let unknown = columns.clone().find(|column| !known[*column].contains(&*text(row, **column)));
        unknown.or(columns.next()).copied().unwrap_or_default()
    };
    for row in rows.rows.iter().filter(|row| !is_taken(row) && !is_past(row, taken, on)) {
        let column = blamed(row);
        let seen = count.entry((column, text(row, column))).or_default();
        *seen += 1;
        if *seen == 1 {
            reported.push(row);
        }
    }
    let beyond = reported.len().saturating_sub(REPORTED);
    let problem = |row: &&Row| {
        let (column, text) = (blamed(row), text(row, blamed(row)));
        let more = match count.get(&(column, text.clone())) {
            Some(count) if *count > 1 => format!(" ({} rows)", count),
            _ => String::new(),
        };
        let message = format!("no page and no hours use this row: \"{text}\"{more}");
        let meant = nearest(&text, known[&column].iter().copied()).filter(|meant| *meant != text);
        let hint = suggest_or_list(meant, "pages and hours use", &known[&column]);
        Problem::at(&row.cell_at(column).origin, message).hint(hint)
    };
    let mut found: Vec<Problem> = reported.iter().take(REPORTED).map(problem).collect();
    if let Some(row) = reported.get(REPORTED) {
        let message = format!("{beyond} more values from here on are not used by any page or hours");
        found.push(Problem::at(&row.origin(), message).hint("fix the listed values first, or check match"));
    }
    found
}

/// Returns true for an exception whose date is over.
fn is_past(row: &Row, taken: &TakenRows, on: NaiveDate) -> bool {
    let date = |column: &Option<String>| row.text(column.as_ref()?)?.trim().parse::<NaiveDate>().ok();
    // In some time zones it may still be yesterday.
    taken.dates.iter().all(|column| date(column).is_some_and(|date| date < on - Days::new(1)))
}
