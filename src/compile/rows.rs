//! Rows that something is repeated for.
//!
//! These are the rows of a source that meet the conditions, each with the rows joined to it.

use std::collections::HashMap;

use crate::model::{Origin, Problem, Row, nearest, no_column};
use crate::tables::{Rows, Table, names_of_formats};
use crate::written::{Entry, Fields, Node, Raw, Reader, ScopedRow, Text, has_template, one_or_more};

use super::compiler::Compiler;

/// A repetition: `"sites"`, or `{ source = "sites", where = { region = "NE" } }`.
pub(super) struct Repeat<'n> {
    /// The source.
    pub source: &'n str,
    /// The place where the source is written.
    origin: &'n Origin,
    /// The block or table that it is written in.
    pub block: &'n Node,
    pub conditions: Vec<Condition>,
    join: &'n [Entry],
}

/// A column that must, or must not, have one of the texts.
pub(super) struct Condition {
    pub column: String,
    pub texts: Vec<Text>,
    is_where: bool,
    /// True if an outer row fills in its texts.
    is_filled_in: bool,
    pub origin: Origin,
}

/// The most keys of a table that a message lists.
const NAMED: usize = 8;

/// The keys of a repetition.
const REPEAT_KEYS: &[&str] = &["source", "where", "unless"];

impl Compiler<'_> {
    /// Reads a repetition; `join` is the table beside it.
    pub(super) fn repeat<'n>(
        &self,
        reader: &Reader,
        node: &'n Node,
        what: &'static str,
        join: Option<&'n Node>,
    ) -> Option<Repeat<'n>> {
        let (name, conditions) = match &node.raw {
            Raw::Table(_) => {
                let fields = reader.table(node, what, REPEAT_KEYS)?;
                (fields.require(reader, "source")?, all_conditions(reader, &fields)?)
            }
            _ => (node, Vec::new()),
        };
        let Raw::Text(source) = &name.raw else {
            reader.wrong_kind(name, "the name of a source", what);
            return None;
        };
        self.check_source(reader, source, &name.origin, what)?;
        let join = match join {
            Some(node) => reader.open_table(node, "join")?.entries,
            None => &[],
        };
        for entry in join {
            self.check_source(reader, &entry.key, &entry.at, "join")?;
            if self.inputs.is_some() {
                let name = Text { value: entry.key.clone(), origin: entry.at.clone() };
                self.table(reader, &name)?;
            }
        }
        Some(Repeat { source, origin: &name.origin, block: node, conditions, join })
    }

    /// Reads a repetition from a block with further keys, such as `[[page.each]]`.
    pub(super) fn repeat_of<'n>(
        &self,
        reader: &Reader,
        block: &'n Node,
        fields: &Fields<'n>,
        (key, what): (&str, &'static str),
    ) -> Option<Repeat<'n>> {
        let read = || {
            let source = fields.require(reader, key)?;
            let mut repeat = self.repeat(reader, source, what, fields.get("join"))?;
            repeat.conditions.extend(all_conditions(reader, fields)?);
            (repeat.origin, repeat.block) = (&block.origin, block);
            Some(repeat)
        };
        let repeat = read();
        if repeat.is_none() {
            self.record_unknown_rows(block);
        }
        repeat
    }

    fn check_source(&self, reader: &Reader, name: &String, origin: &Origin, what: &str) -> Option<()> {
        match self.blueprint.sources.get(name) {
            Some(source) if source.has_rows && source.has_key => return Some(()),
            Some(_) => reader.note(
                Problem::at(origin, format!("the rows of source \"{name}\" have no keys"))
                    .hint(format!("{what} needs a {} source with key = \"COLUMN\"", names_of_formats(true))),
            ),
            None => self.note_unknown(reader, "source", name, origin, self.blueprint.sources.keys()),
        }
        None
    }

    /// Returns a row in its scope, with the rows that are joined to it.
    ///
    /// A missing joined row is a problem of this row alone.
    pub(super) fn scoped(&self, reader: &Reader, repeat: &Repeat, row: &Row) -> Option<Vec<ScopedRow>> {
        let mut scoped = vec![ScopedRow { name: "row".to_owned(), row: row.clone() }];
        for entry in repeat.join {
            let key = reader.within(&scoped, |inner| inner.text(&entry.node, "join"))?;
            let name = Text { value: entry.key.clone(), origin: entry.at.clone() };
            let table = self.table(reader, &name)?;
            let joined =
                self.with_rows(reader, &name, &table, |rows| self.keyed(reader, rows, &key).cloned())?;
            scoped.push(ScopedRow { name: entry.key.clone(), row: joined });
        }
        Some(scoped)
    }
}

impl Condition {
    /// Returns true for a condition of `where` that an outer row fills in.
    pub(super) fn is_filled_in_where(&self) -> bool {
        self.is_where && self.is_filled_in
    }
}

impl Repeat<'_> {
    /// Checks that the columns of the conditions exist.
    pub(super) fn check(&self, reader: &Reader, rows: &Rows) -> Option<()> {
        let missing = self
            .conditions
            .iter()
            .find(|condition| !rows.head.columns.iter().any(|column| **column == *condition.column));
        let Some(Condition { column, origin, .. }) = missing else { return Some(()) };
        reader.note(no_column(origin, &rows.head.file, &rows.head.columns, column));
        None
    }

    /// Returns the rows that meet the conditions, in their order.
    ///
    /// Uses an index where possible: an array on a page for each region would otherwise scan the
    /// rows of all regions once for each page.
    pub(super) fn of<'r>(&self, rows: &'r Rows) -> Vec<&'r Row> {
        let few = self.conditions.iter().find_map(|condition| match condition.texts.as_slice() {
            [text] if condition.is_where => rows.having(&condition.column, &text.value),
            _ => None,
        });
        match few {
            Some(few) => few.filter(|row| self.takes(row)).collect(),
            None => rows.rows.iter().filter(|row| self.takes(row)).collect(),
        }
    }

    /// Returns true if a row meets the conditions.
    pub(super) fn takes(&self, row: &Row) -> bool {
        self.conditions.iter().all(|condition| {
            let found = row.text(&condition.column).map(str::trim);
            condition.texts.iter().any(|text| Some(text.value.trim()) == found) == condition.is_where
        })
    }
}

fn all_conditions(reader: &Reader, fields: &Fields) -> Option<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (key, is_where) in [("where", true), ("unless", false)] {
        if let Some(node) = fields.get(key) {
            conditions.extend(read_conditions(reader, node, is_where)?);
        }
    }
    Some(conditions)
}

fn read_conditions(reader: &Reader, node: &Node, is_where: bool) -> Option<Vec<Condition>> {
    let fields = reader.open_table(node, if is_where { "where" } else { "unless" })?;
    let condition = |entry: &Entry| {
        let texts = one_or_more(Some(&entry.node)).iter();
        Some(Condition {
            column: entry.key.clone(),
            texts: texts.map(|node| reader.text(node, &entry.key)).collect::<Option<_>>()?,
            is_where,
            is_filled_in: has_template(&entry.node),
            origin: entry.at.clone(),
        })
    };
    fields.entries.iter().map(condition).collect()
}

/// Returns the text of a cell; notes a problem at `at` if its column does not exist.
pub(super) fn cell_text(reader: &Reader, row: &Row, column: &str, at: &Origin) -> Option<Text> {
    let cell = reader.ok(row.cell(column).ok_or_else(|| row.no_column(at, column)))?;
    Some(Text { value: cell.text, origin: cell.origin })
}

impl Compiler<'_> {
    /// Returns the row with a key, and notes a problem if it is missing or unreadable.
    pub(super) fn keyed<'r>(&self, reader: &Reader, rows: &'r Rows, key: &Text) -> Option<&'r Row> {
        let sought = key.value.trim();
        if let Some(row) = rows.row(sought) {
            return Some(row);
        }
        let hidden = rows.rejected.iter().find(|rejected| rejected.key.as_deref() == Some(sought));
        reader.note(match hidden {
            Some(rejected) => rejected.problem.clone(),
            None => {
                let keys = rows.rows.iter().filter_map(Row::key);
                let problem =
                    Problem::at(&key.origin, format!("{} has no row \"{}\"", rows.head.file, key.value));
                match self.guessed(sought, keys, rows.rows.len()) {
                    Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
                    None if rows.rows.iter().all(|row| row.key().is_none()) => {
                        problem.hint("give the source key = \"COLUMN\", the column that names its rows")
                    }
                    None => {
                        let keys = rows.rows.iter().filter_map(Row::key).take(NAMED);
                        let keys: Vec<String> = keys.map(|key| format!("\"{key}\"")).collect();
                        let more = if rows.rows.len() > NAMED { ", and more" } else { "" };
                        problem.hint(format!("its rows are {}{more}", keys.join(", ")))
                    }
                }
            }
        });
        None
    }

    /// Returns the key that was probably meant, as long as the budget for guesses lasts.
    fn guessed<'k>(
        &self,
        sought: &str,
        keys: impl Iterator<Item = &'k str>,
        count: usize,
    ) -> Option<&'k str> {
        self.guesses_left.set(self.guesses_left.get().checked_sub(count)?);
        nearest(sought, keys)
    }

    /// Runs `one` for every row of a repetition, in the row's scope.
    ///
    /// Returns each row with its result.
    ///
    /// A row that can't be read could be any of them, so it is a problem of the whole.
    pub(super) fn each<T>(
        &self,
        reader: &Reader,
        repeat: &Repeat,
        mut one: impl FnMut(&Reader, &Row) -> Option<T>,
    ) -> Option<Vec<(Row, T)>> {
        let name = Text { value: repeat.source.to_owned(), origin: repeat.origin.clone() };
        let table = self.table(reader, &name);
        let Some(Table::Rows(rows)) = table.as_deref() else {
            self.record_unknown_rows(repeat.block);
            return None;
        };
        if repeat.check(reader, rows).is_none() {
            self.record_unknown_rows(repeat.block);
            return None;
        }
        self.record_repeat(reader, repeat, rows, |inner, row| _ = one(inner, row))?;
        rows.rejected.iter().for_each(|rejected| reader.note(rejected.problem.clone()));
        let mut all = Some(Vec::new());
        let (mut troubled, first) = (RowProblems::default(), reader.problem_count());
        for row in repeat.of(rows) {
            self.repeats.spend(reader, repeat.origin, 1)?;
            let before = reader.problem_count();
            let scoped = self.scoped(reader, repeat, row);
            if scoped.is_none() {
                self.record_unknown_rows(repeat.block);
            }
            let made = scoped
                .and_then(|scoped| reader.within(&scoped, |inner| self.repeats.within(|| one(inner, row))));
            match (&mut all, made) {
                (Some(all), Some(made)) => all.push((row.clone(), made)),
                _ => all = None,
            }
            reader.amend(before, |problem| troubled.note(problem, repeat.origin, row));
        }
        reader.amend(first, |problem| troubled.name(problem));
        all
    }
}

/// The rows that fail by a problem in the settings.
///
/// The place of such a problem does not name the rows.
#[derive(Default)]
pub(super) struct RowProblems(HashMap<String, Vec<String>>);

impl RowProblems {
    /// Remembers that something written at a place fails for a row.
    ///
    /// A problem in another file names its cell already.
    pub(super) fn note(&mut self, problem: &Problem, written: &Origin, row: &Row) {
        let is_told = problem.origin.as_ref().is_some_and(|origin| origin.file != written.file);
        if let (false, Some(key)) = (is_told, row.key()) {
            let keys = self.0.entry(problem.to_string()).or_default();
            if keys.last().is_none_or(|last| last != key) {
                keys.push(key.to_owned());
            }
        }
    }

    /// Adds the failing rows to the message of a problem.
    pub(super) fn name(&self, problem: &mut Problem) {
        let Some(keys) = self.0.get(&problem.to_string()) else { return };
        let named: Vec<String> = keys.iter().take(NAMED).map(|key| format!("\"{key}\"")).collect();
        let more = match keys.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let rows = if keys.len() == 1 { "row" } else { "rows" };
        problem.message = format!("{} (for {rows} {}{more})", problem.message, named.join(", "));
    }
}

/// Returns the rows whose cells have the given texts, found by an index.
pub(super) fn matching_rows<'r>(
    reader: &Reader,
    rows: &'r Rows,
    criteria: &[(String, Text)],
) -> Vec<&'r Row> {
    let has_column = |name: &str| rows.head.columns.iter().any(|column| **column == *name);
    if let Some((column, text)) = criteria.iter().find(|(column, _)| !has_column(column)) {
        reader.note(no_column(&text.origin, &rows.head.file, &rows.head.columns, column));
        return Vec::new();
    }
    let Some(((column, text), rest)) = criteria.split_first() else {
        return rows.rows.iter().collect();
    };
    let meets = |row: &&Row| rest.iter().all(|(column, text)| row.has(column, &text.value));
    rows.having(column, &text.value).into_iter().flatten().filter(meets).collect()
}

/// Reads the texts that the cells of a row must have.
///
/// For example, `match = { site = "{{ row.site }}" }`.
pub(super) fn matching(reader: &Reader, node: &Node) -> Vec<(String, Text)> {
    let Some(fields) = reader.open_table(node, "match") else {
        return Vec::new();
    };
    let entries = fields.entries.iter();
    entries.filter_map(|entry| Some((entry.key.clone(), reader.text(&entry.node, "match")?))).collect()
}

/// Returns true if `match` could be read as a whole.
pub(super) fn is_complete(node: Option<&Node>, criteria: &[(String, Text)]) -> bool {
    matches!(node.map(|node| &node.raw), Some(Raw::Table(entries)) if entries.len() == criteria.len())
}
