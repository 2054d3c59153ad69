//! The use of calendars and tables by the settings: events that count, rows that are taken.
//!
//! Templates are filled in from the rows that each use repeats for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ptr;
use std::sync::Arc;

use crate::calendar::{Filter, Window};
use crate::model::{Instant, Origin, Row};
use crate::tables::Table;
use crate::written::{Node, Raw, Reader, Scope, ScopedRow, is_template, one_or_more};

use super::blueprint::{Blueprint, Inputs};
use super::compiler::Compiler;
use super::hours::filter;
use super::rows::{Repeat, matching};

/// All uses of calendars and tables by pages and hours.
#[derive(Default)]
pub(crate) struct Uses {
    /// The filters of each calendar, with the first place that each is written.
    pub(crate) filters: HashMap<(String, Filter), Origin>,
    /// The rows taken from each source whose rows are selected by their cells.
    pub(crate) taken: BTreeMap<String, Taken>,
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
pub(crate) struct Taken {
    /// The requested texts, joined, by the columns that must have them.
    pub(crate) texts: BTreeMap<Vec<String>, HashSet<String>>,
    /// True if some rows are taken by `match`.
    ///
    /// If all are taken by key instead, the source may have other rows for other purposes.
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

impl Uses {
    /// Collects the uses of calendars. Unreadable settings are reported elsewhere.
    pub(crate) fn of_calendars(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Self {
        Self::of(blueprint, inputs, at, Asked::Calendars)
    }

    /// Collects the uses of tables.
    pub(crate) fn of_tables(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Self {
        Self::of(blueprint, inputs, at, Asked::Tables)
    }

    /// Collects the conditions of everything that is repeated for each row.
    pub(crate) fn of_conditions(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Self {
        Self::of(blueprint, inputs, at, Asked::Conditions)
    }

    fn of(blueprint: &Blueprint, inputs: &Inputs, at: Instant, asked: Asked) -> Self {
        let today = at.date_naive();
        let mut gathering = Gathering {
            compiler: Compiler::new(blueprint, Some((inputs, Window { from: today, to: today }))),
            inputs,
            uses: Self::default(),
            visited: HashSet::new(),
        };
        let reader = Reader::new(Scope::Plain, &blueprint.zones);
        for node in blueprint.hours.values() {
            gathering.visit(&reader, &Places::inside(node, asked));
        }
        for block in &blueprint.pages {
            gathering.block(&reader, block, asked);
            gathering.taken_otherwise(block);
        }
        gathering.uses
    }
}

/// The kind of use to collect: rows are filled in only where that kind occurs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Calendars,
    Tables,
    Conditions,
}

/// The places of one scope that use a calendar, a table or a condition.
struct Places<'n> {
    asked: Asked,
    filters: Vec<&'n Node>,
    /// Tables, each with true for `special_from` and false for `weekly_from`.
    tables: Vec<(&'n Node, bool)>,
    /// Nested repetitions, each with the key that names its source and the places inside.
    repeated: Vec<(&'n Node, &'static str, Places<'n>)>,
}

impl<'n> Places<'n> {
    fn none(asked: Asked) -> Self {
        Self { asked, filters: Vec::new(), tables: Vec::new(), repeated: Vec::new() }
    }

    fn inside(node: &'n Node, asked: Asked) -> Self {
        let mut places = Self::none(asked);
        places.gather_inside(node);
        places
    }

    fn is_empty(&self) -> bool {
        self.filters.is_empty()
            && self.tables.is_empty()
            && self.repeated.iter().all(|(node, _, inside)| inside.is_empty() && !self.asks(node))
    }

    /// Returns true if the node itself is a use, apart from the places inside.
    fn asks(&self, node: &Node) -> bool {
        self.asked == Asked::Conditions && wheres(node).any(has_template)
    }

    fn gather(&mut self, node: &'n Node) {
        match (node.get("each"), node.get("item")) {
            (Some(_), Some(_)) => self.repeated.push((node, "each", Self::inside(node, self.asked))),
            _ => self.gather_inside(node),
        }
    }

    fn gather_inside(&mut self, node: &'n Node) {
        let entries = match &node.raw {
            Raw::List(items) => return items.iter().for_each(|item| self.gather(item)),
            Raw::Table(entries) => entries,
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => return,
        };
        let is_narrowed = node.get("summary").or(node.get("category")).is_some();
        if self.asked == Asked::Calendars && node.get("calendar").is_some() && is_narrowed {
            self.filters.push(node);
        }
        for entry in entries {
            let nodes = one_or_more(Some(&entry.node)).iter();
            match entry.key.as_str() {
                // A constant may look like anything, so it is skipped.
                "value" if entries.len() == 1 => {}
                "special_from" | "weekly_from" if self.asked != Asked::Tables => {}
                "special_from" => self.tables.extend(nodes.map(|node| (node, true))),
                "weekly_from" => self.tables.extend(nodes.map(|node| (node, false))),
                _ => self.gather(&entry.node),
            }
        }
    }
}

struct Gathering<'a> {
    compiler: Compiler<'a>,
    inputs: &'a Inputs,
    uses: Uses,
    /// Visited repetitions whose rows do not depend on an outer row.
    visited: HashSet<*const Node>,
}

impl Gathering<'_> {
    fn block(&mut self, reader: &Reader, block: &Node, asked: Asked) {
        let mut places = Places::none(asked);
        let Raw::Table(entries) = &block.raw else { return };
        for entry in entries {
            match entry.key.as_str() {
                "each" => {
                    let blocks = one_or_more(Some(&entry.node)).iter();
                    places
                        .repeated
                        .extend(blocks.map(|block| (block, "source", Places::inside(block, asked))));
                }
                _ => places.gather(&entry.node),
            }
        }
        let Some(for_each) = block.get("for_each") else { return self.visit(reader, &places) };
        if !places.is_empty() {
            let repeat = self.compiler.repeat(reader, for_each, "for_each", block.get("join"));
            self.rows(reader, repeat.as_ref(), &places, true);
        }
    }

    fn visit(&mut self, reader: &Reader, places: &Places) {
        places.filters.iter().for_each(|node| self.filter(reader, node));
        for (node, is_special) in &places.tables {
            if self.table(reader, node, *is_special).is_none() {
                self.distrust(node);
            }
        }
        for (node, key, inside) in &places.repeated {
            if places.asks(node) {
                self.unmet(reader, node, key);
            }
            if !inside.is_empty() && (depends_on_a_row(node) || self.visited.insert(ptr::from_ref(*node))) {
                self.repeated(reader, node, key, inside);
            }
        }
    }

    /// Notes each `where` condition that matches no row once the row in scope fills it in.
    fn unmet(&mut self, reader: &Reader, node: &Node, key: &str) -> Option<()> {
        let source = node.get(key)?;
        let Raw::Text(source) = &source.get("source").unwrap_or(source).raw else { return None };
        let Table::Rows(rows) = &**self.inputs.tables.get(source)? else { return None };
        let row = reader.row()?;
        let conditions = wheres(node).filter_map(|conditions| match &conditions.raw {
            Raw::Table(entries) => Some(entries),
            _ => None,
        });
        for entry in conditions.flatten().filter(|entry| has_template(&entry.node)) {
            let texts = one_or_more(Some(&entry.node)).iter();
            let texts: Vec<String> =
                texts.map(|node| Some(reader.text(node, "where")?.value)).collect::<Option<_>>()?;
            let is_met =
                |text: &String| rows.having(&entry.key, text).is_none_or(|mut rows| rows.next().is_some());
            if !texts.iter().any(is_met) {
                let place = (entry.at.span().start, entry.key.clone());
                let new = || UnmatchedCondition {
                    origin: entry.at.clone(),
                    file: rows.file.clone(),
                    rows: BTreeMap::new(),
                };
                let unmet = self.uses.unmet.entry(place).or_insert_with(new);
                unmet.rows.insert(row.key.clone().unwrap_or_default(), texts.join("\" or \""));
            }
        }
        Some(())
    }

    fn repeated(&mut self, reader: &Reader, node: &Node, key: &'static str, inside: &Places) {
        let fields = reader.open_table(node, "each");
        let repeat = fields.and_then(|fields| self.compiler.repeat_of(reader, node, &fields, (key, "each")));
        self.rows(reader, repeat.as_ref(), inside, !depends_on_a_row(node));
    }

    /// Visits the places inside a repetition once for each of its rows.
    ///
    /// If the rows do not depend on an outer row, those that a condition excludes are excluded on
    /// purpose. The rows that they would take from other tables then count as taken.
    fn rows(&mut self, reader: &Reader, repeat: Option<&Repeat>, places: &Places, is_the_same: bool) {
        let table = repeat.and_then(|repeat| self.inputs.tables.get(repeat.source));
        let (Some(repeat), Some(Table::Rows(rows))) = (repeat, table.map(|table| &**table)) else {
            return self.doubt_all(places);
        };
        if !rows.rejected.is_empty() {
            self.doubt_all(places);
        }
        let rows: Vec<&Row> = match is_the_same && places.asked == Asked::Tables {
            true => rows.rows.iter().collect(),
            false => repeat.of(rows),
        };
        for row in rows {
            // A row that is excluded, or that lacks a joined row, still has its own cells.
            let alone = || vec![ScopedRow { name: "row".to_owned(), row: row.clone() }];
            let joined = repeat.takes(row).then(|| self.compiler.scoped(reader, repeat, row)).flatten();
            let scoped = joined.unwrap_or_else(alone);
            reader.within(&scoped, |inner| self.visit(inner, places));
        }
    }

    fn filter(&mut self, reader: &Reader, node: &Node) {
        let Some(fields) = reader.open_table(node, "a calendar") else { return };
        let Some(name) = fields.get("calendar").and_then(|node| reader.text(node, "calendar")) else {
            return;
        };
        let written = fields.get("summary").or(fields.get("category"));
        let (Some(filter), Some(written)) = (filter(reader, &fields), written) else { return };
        let Some(place) = reader.text(written, "summary") else { return };
        self.uses.filters.entry((name.value, filter)).or_insert(place.origin);
    }

    /// Records the rows that `special_from` or `weekly_from` takes.
    ///
    /// Returns none if they are unknown.
    fn table(&mut self, reader: &Reader, node: &Node, is_special: bool) -> Option<()> {
        let fields = reader.open_table(node, "match")?;
        let source = reader.text(fields.get("source")?, "source")?.value;
        let wanted = match (fields.get("match"), fields.get("row")) {
            (Some(node), _) => {
                let wanted = matching(reader, node);
                let Raw::Table(entries) = &node.raw else { return None };
                (wanted.len() == entries.len()).then_some(wanted)?
            }
            (None, Some(row)) => {
                let table = self.inputs.tables.get(&source)?;
                let Table::Rows(rows) = &**table else { return None };
                vec![(rows.rows.first()?.name()?.column, reader.text(row, "row")?)]
            }
            (None, None) => return None,
        };
        let date = match (is_special, fields.get("date")) {
            (false, _) => None,
            (true, None) => Some("date".to_owned()),
            (true, Some(node)) => Some(reader.text(node, "date")?.value),
        };
        let (columns, texts): (Vec<String>, Vec<String>) =
            wanted.into_iter().map(|(column, text)| (column, text.value)).unzip();
        let taken = self.uses.taken.entry(source).or_default();
        taken.texts.entry(columns).or_default().insert(joined(texts.iter().map(String::as_str)));
        taken.dates.insert(date);
        taken.matched |= fields.get("match").is_some();
        Some(())
    }

    /// Marks all rows of the named source as taken, since the actual ones are unknown.
    ///
    /// If a row fills in the name of the source, marks every source.
    fn distrust(&mut self, node: &Node) {
        let Some(Raw::Text(source)) = node.get("source").map(|node| &node.raw) else { return };
        let named: Vec<&String> = match is_template(source) {
            true => self.inputs.tables.keys().collect(),
            false => vec![source],
        };
        named.into_iter().for_each(|source| self.everything(source));
    }

    fn everything(&mut self, source: &str) {
        self.uses.taken.entry(source.to_owned()).or_default().everything = true;
    }

    /// Marks sources as taken that are repeated for, joined, or read for a single cell.
    ///
    /// Their rows serve that purpose, so a row that no `match` takes is not a mistake.
    fn taken_otherwise(&mut self, node: &Node) {
        let entries = match &node.raw {
            Raw::List(items) => return items.iter().for_each(|item| self.taken_otherwise(item)),
            Raw::Table(entries) => entries,
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => return,
        };
        self.distrust(node);
        for entry in entries {
            match (entry.key.as_str(), &entry.node.raw) {
                ("special_from" | "weekly_from", _) => {}
                ("for_each" | "each", Raw::Text(source)) => self.everything(source),
                ("join", Raw::Table(joined)) => joined.iter().for_each(|entry| self.everything(&entry.key)),
                _ => self.taken_otherwise(&entry.node),
            }
        }
    }

    fn doubt_all(&mut self, places: &Places) {
        places.tables.iter().for_each(|(node, _)| self.distrust(node));
        places.repeated.iter().for_each(|(_, _, inside)| self.doubt_all(inside));
    }
}

/// Returns the `where` tables of a repetition.
///
/// They are beside the source, or in the table that names it.
fn wheres(node: &Node) -> impl Iterator<Item = &Node> {
    let beside = [Some(node), node.get("each"), node.get("source")].into_iter().flatten();
    beside.filter_map(|node| node.get("where"))
}

/// Returns true if an outer row decides which rows something is repeated for.
///
/// The rows of the nested repetition itself do not matter.
fn depends_on_a_row(node: &Node) -> bool {
    ["each", "source", "where", "unless"].iter().filter_map(|key| node.get(key)).any(has_template)
}

fn has_template(node: &Node) -> bool {
    match &node.raw {
        Raw::Text(text) => is_template(text),
        Raw::List(items) => items.iter().any(has_template),
        Raw::Table(entries) => entries.iter().any(|entry| has_template(&entry.node)),
        Raw::Null | Raw::Bool(_) | Raw::Number(_) => false,
    }
}
