//! Conditions on rows that no row meets: mostly a slip, which otherwise would show as a site that is silently missing.

use std::collections::BTreeSet;

use crate::model::{Problem, nearest};
use crate::tables::{Rows, Table};
use crate::written::{Entry, Node, Raw, is_template, one_or_more};

use super::{Blueprint, Inputs};

/// Values of a column that are named.
const NAMED: usize = 8;

/// Every `where` and `unless` that no row of its table meets, as warnings. One that a row fills in is passed over.
pub fn unmet_conditions(blueprint: &Blueprint, inputs: &Inputs) -> Vec<Problem> {
    let mut found = Vec::new();
    blueprint.pages.iter().for_each(|page| walk(page, inputs, &mut found));
    found.into_iter().map(Problem::warning).collect()
}

fn walk(node: &Node, inputs: &Inputs, found: &mut Vec<Problem>) {
    match &node.raw {
        Raw::Table(entries) => {
            conditions(node, inputs, found);
            // A constant may look like anything.
            let inside = entries.iter().filter(|entry| entry.key != "value");
            inside.for_each(|entry| walk(&entry.node, inputs, found));
        }
        Raw::List(items) => items.iter().for_each(|item| walk(item, inputs, found)),
        Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => {}
    }
}

/// The conditions beside the name of a source.
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
    // That there is no such column is an error, and told as one.
    let is_met = |text: &&str| rows.having(column, text).is_none_or(|mut rows| rows.next().is_some());
    if texts.iter().any(is_met) {
        return None;
    }
    let wanted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    let message = format!("{key}: no row of {} has {column} = {}", rows.file, wanted.join(" or "));
    let problem = Problem::at(&entry.at, message);
    let known: BTreeSet<&str> =
        rows.rows.iter().filter_map(|row| Some(row.cell(column)?.text.trim())).collect();
    let meant = texts.iter().find_map(|text| nearest(text.trim(), known.iter().copied()));
    let mut values: Vec<String> = known.iter().take(NAMED).map(|value| format!("\"{value}\"")).collect();
    if known.len() > NAMED {
        values.push(format!("and {} more", known.len() - NAMED));
    }
    let values = format!("the column has {}", values.join(", "));
    Some(match meant {
        Some(meant) => problem.hint(format!("did you mean \"{meant}\"? {values}")),
        None => problem.hint(values),
    })
}
