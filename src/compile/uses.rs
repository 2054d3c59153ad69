//! The use of calendars and tables by pages and hours, recorded while these are compiled.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::calendar::Filter;
use crate::model::Origin;
use crate::written::{Node, Raw, is_template, one_or_more};

use super::blueprint::Inputs;

/// All uses of calendars and tables by pages and hours.
#[derive(Default)]
pub(crate) struct Uses {
    /// The filters of each calendar, with the first place that each is written.
    pub(crate) filters: HashMap<(String, Filter), Origin>,
    /// The rows taken from each source whose rows are selected by their cells.
    pub(crate) taken: BTreeMap<String, TakenRows>,
    /// Conditions that match no row once a row has filled them in, by their places.
    pub(crate) unmet: BTreeMap<(usize, String), UnmatchedCondition>,
}

/// A condition, and the rows that fill it in with a text that no row has.
pub(crate) struct UnmatchedCondition {
    /// The place where it is written.
    pub(crate) origin: Origin,
    /// The table in which no row has the text.
    pub(crate) file: Arc<str>,
    /// The rows by key, each with the texts that it fills in.
    pub(crate) rows: BTreeMap<String, String>,
}

/// The rows taken from a source.
#[derive(Default)]
pub(crate) struct TakenRows {
    /// The requested texts, joined, by the columns that must have them.
    pub(crate) texts: BTreeMap<Vec<String>, HashSet<String>>,
    /// True if some rows are taken by `match`.
    ///
    /// A source whose rows are all taken by key may have further rows for other purposes.
    pub(crate) matched: bool,
    /// True if all rows are taken, or if it is unknown which.
    ///
    /// Some place takes rows by other rules, or could not be read.
    pub(crate) everything: bool,
    /// The columns that hold the dates of exceptions; none for rows of weekly hours.
    pub(crate) dates: BTreeSet<Option<String>>,
}

/// The separator of the joined texts of one row; users cannot type it.
const BETWEEN: &str = "\u{1}";

/// Joins the texts of several cells into one.
pub(crate) fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(str::trim).collect::<Vec<_>>().join(BETWEEN)
}

/// Returns one of the joined texts.
pub(crate) fn nth_of(joined: &str, index: usize) -> &str {
    joined.split(BETWEEN).nth(index).unwrap_or_default()
}

/// Records uses while pages are compiled.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) uses: RefCell<Uses>,
    /// The number of times that taken rows were recorded.
    pub(super) taken_count: Cell<usize>,
    /// True while a row is compiled that a condition excludes: its calendars are not used.
    pub(super) is_excluded: Cell<bool>,
    /// Visited repetitions whose rows do not depend on an outer row, with `is_excluded`.
    pub(super) visited: RefCell<HashSet<(*const Node, bool)>>,
}

impl Recorder {
    /// Compiles with the mark that a condition excludes the row, or as before.
    pub(super) fn within_row<T>(&self, is_excluded: bool, compile: impl FnOnce() -> T) -> T {
        let before = self.is_excluded.get();
        self.is_excluded.set(before || is_excluded);
        let made = compile();
        self.is_excluded.set(before);
        made
    }

    /// Marks all rows of the named source as taken, since the actual ones are unknown.
    ///
    /// If a row fills in the name of the source, marks every source.
    pub(super) fn mark_source(&self, node: &Node, inputs: &Inputs) {
        let Some(Raw::Text(source)) = node.get("source").map(|node| &node.raw) else { return };
        match is_template(source) {
            true => inputs.tables.keys().for_each(|source| self.take_all(source)),
            false => self.take_all(source),
        }
    }

    /// Marks the sources of hours inside of a node as taken.
    pub(super) fn mark_sources_inside(&self, node: &Node, inputs: &Inputs) {
        match &node.raw {
            Raw::List(items) => items.iter().for_each(|item| self.mark_sources_inside(item, inputs)),
            Raw::Table(entries) => {
                for entry in entries {
                    if ["special_from", "weekly_from"].contains(&entry.key.as_str()) {
                        one_or_more(Some(&entry.node)).iter().for_each(|node| self.mark_source(node, inputs));
                    }
                    self.mark_sources_inside(&entry.node, inputs);
                }
            }
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => {}
        }
    }

    fn take_all(&self, source: &str) {
        self.uses.borrow_mut().taken.entry(source.to_owned()).or_default().everything = true;
    }

    /// Marks sources as taken that a block names to repeat for, to join, or to read a single cell.
    ///
    /// Their rows serve that purpose, so a row that no `match` takes is not a mistake. This holds
    /// even if the block cannot be compiled.
    pub(super) fn take_named(&self, node: &Node, inputs: &Inputs) {
        let entries = match &node.raw {
            Raw::List(items) => return items.iter().for_each(|item| self.take_named(item, inputs)),
            Raw::Table(entries) => entries,
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => return,
        };
        self.mark_source(node, inputs);
        for entry in entries {
            match (entry.key.as_str(), &entry.node.raw) {
                ("special_from" | "weekly_from", _) => {}
                ("for_each" | "each", Raw::Text(source)) => self.take_all(source),
                ("join", Raw::Table(joined)) => joined.iter().for_each(|entry| self.take_all(&entry.key)),
                _ => self.take_named(&entry.node, inputs),
            }
        }
    }
}
