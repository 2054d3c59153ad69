//! Records what pages and hours use while they are compiled, for lint.

use std::collections::BTreeMap;
use std::ptr;

use crate::calendar::{Filter, Window};
use crate::model::{Instant, Origin, Row};
use crate::tables::{Rows, Table};
use crate::written::{Node, Reader, Scope, ScopedRow, Text, has_template};

use super::blueprint::{Blueprint, Inputs};
use super::compiler::Compiler;
use super::context::WrittenZone;
use super::repeats::Repeats;
use super::rows::Repeat;
use super::uses::{Recorder, UnmatchedCondition, Uses, joined};

impl Uses {
    /// Returns the filters of calendars in use.
    pub(crate) fn of_calendars(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Self {
        Self::of(blueprint, inputs, at, |node| {
            node.get("calendar").is_some()
                && (node.get("summary").is_some() || node.get("category").is_some())
        })
    }

    /// Returns the rows taken from tables, and the conditions that no row meets.
    pub(crate) fn of_tables(blueprint: &Blueprint, inputs: &Inputs, at: Instant) -> Self {
        Self::of(blueprint, inputs, at, |node| {
            ["special_from", "weekly_from"].iter().any(|key| node.get(key).is_some())
                || node.get("where").is_some_and(has_template)
        })
    }

    /// Compiles pages and hours once more to record their uses.
    ///
    /// Problems are reported elsewhere. Blocks without a place to be recorded are skipped.
    fn of(blueprint: &Blueprint, inputs: &Inputs, at: Instant, is_recorded: impl Fn(&Node) -> bool) -> Self {
        let today = at.date_naive();
        let mut compiler = Compiler::new(blueprint, Some((inputs, Window { from: today, to: today })));
        compiler.recorder = Some(Recorder::default());
        // The pages are dropped at once, so they take no memory together.
        compiler.repeats = Repeats::unlimited_in_all();
        let reader = || Reader::new(Scope::Plain, &blueprint.zones);
        for (name, _) in blueprint.hours.iter().filter(|(_, node)| node.any(&is_recorded)) {
            compiler.named_hours(&reader(), name, WrittenZone::Unwritten);
        }
        for block in &blueprint.pages {
            if block.any(&is_recorded) {
                compiler.record_block(&reader(), block);
            }
            compiler.record(|recorder| recorder.take_named(block, inputs));
        }
        compiler.recorder.map(|recorder| recorder.uses.into_inner()).unwrap_or_default()
    }
}

impl Compiler<'_> {
    /// Records something if uses are recorded.
    fn record(&self, record: impl FnOnce(&Recorder)) {
        if let Some(recorder) = &self.recorder {
            record(recorder);
        }
    }

    /// Reads hours from a table; if it is unknown which rows they take, records all of them.
    pub(super) fn or_mark_all<T>(&self, node: &Node, read: impl FnOnce() -> T) -> T {
        let before = self.recorder.as_ref().map(|recorder| recorder.taken_count.get());
        let value = read();
        if let (Some(recorder), Some((inputs, _))) = (&self.recorder, self.inputs)
            && before == Some(recorder.taken_count.get())
        {
            recorder.mark_source(node, inputs);
        }
        value
    }

    /// Records the rows of a source that `match` or a key takes, with the column of their dates.
    pub(super) fn record_taken(
        &self,
        source: &str,
        criteria: &[(String, Text)],
        is_matched: bool,
        date: Option<String>,
    ) {
        self.record(|recorder| {
            recorder.taken_count.set(recorder.taken_count.get() + 1);
            let columns = criteria.iter().map(|(column, _)| column.clone()).collect();
            let mut uses = recorder.uses.borrow_mut();
            let taken = uses.taken.entry(source.to_owned()).or_default();
            let texts = joined(criteria.iter().map(|(_, text)| text.value.as_str()));
            taken.texts.entry(columns).or_default().insert(texts);
            taken.dates.insert(date);
            taken.matched |= is_matched;
        });
    }

    /// Records a filter of a calendar.
    pub(super) fn record_filter(&self, calendar: &str, filter: &Filter, origin: &Origin) {
        self.record(|recorder| {
            if !recorder.is_excluded.get() {
                let mut uses = recorder.uses.borrow_mut();
                uses.filters.entry((calendar.to_owned(), filter.clone())).or_insert_with(|| origin.clone());
            }
        });
    }

    /// Records what a repetition uses beyond the rows that it is for.
    ///
    /// Rows that a condition excludes are excluded on purpose, so the rows that they would take
    /// from other tables count as taken; `one` compiles them. Returns none for a repetition that
    /// was recorded before and needs no second time.
    pub(super) fn record_repeat(
        &self,
        reader: &Reader,
        repeat: &Repeat,
        rows: &Rows,
        mut one: impl FnMut(&Reader, &Row),
    ) -> Option<()> {
        let (Some(recorder), Some((inputs, _))) = (&self.recorder, self.inputs) else { return Some(()) };
        if !recorder.is_excluded.get() {
            unmatched(recorder, reader, repeat, rows);
        }
        if !rows.rejected.is_empty() {
            recorder.mark_sources_inside(repeat.block, inputs);
        }
        if depends_on_a_row(repeat.block) {
            return Some(());
        }
        if !recorder.visited.borrow_mut().insert((ptr::from_ref(repeat.block), recorder.is_excluded.get())) {
            return None;
        }
        for row in rows.rows.iter().filter(|row| !repeat.takes(row)) {
            recorder.within_row(true, || reader.within(&alone(row), |inner| one(inner, row)));
        }
        Some(())
    }

    /// Records that it is unknown which rows the hours inside of a node take.
    pub(super) fn record_unknown_rows(&self, node: &Node) {
        if let (Some(recorder), Some((inputs, _))) = (&self.recorder, self.inputs) {
            recorder.mark_sources_inside(node, inputs);
        }
    }

    fn record_block(&self, reader: &Reader, block: &Node) {
        let (Some(recorder), Some((inputs, _))) = (&self.recorder, self.inputs) else { return };
        let Some(for_each) = block.get("for_each") else {
            self.pages(reader, block, None);
            return;
        };
        let repeat = self.repeat(reader, for_each, "for_each", block.get("join"));
        let table = repeat.as_ref().and_then(|repeat| inputs.tables.get(repeat.source));
        let (Some(repeat), Some(Table::Rows(rows))) = (repeat, table.map(|table| &**table)) else {
            return recorder.mark_sources_inside(block, inputs);
        };
        if !rows.rejected.is_empty() {
            recorder.mark_sources_inside(block, inputs);
        }
        for row in &rows.rows {
            let is_taken = repeat.takes(row);
            // A row that is excluded, or that lacks a joined row, still has its own cells.
            let scoped = is_taken.then(|| self.scoped(reader, &repeat, row)).flatten();
            let scoped = scoped.unwrap_or_else(|| alone(row).into());
            let reader = Reader::new(Scope::Plain, &self.blueprint.zones);
            let compile = || reader.within(&scoped, |inner| self.pages(inner, block, Some(row)));
            recorder.within_row(!is_taken, compile);
        }
    }
}

/// Records each `where` condition that matches no row once the row in scope fills it in.
fn unmatched(recorder: &Recorder, reader: &Reader, repeat: &Repeat, rows: &Rows) {
    let Some(row) = reader.row() else { return };
    for condition in repeat.conditions.iter().filter(|condition| condition.is_filled_in_where()) {
        let texts: Vec<&str> = condition.texts.iter().map(|text| text.value.as_str()).collect();
        let is_met =
            |text: &&str| rows.having(&condition.column, text).is_none_or(|mut rows| rows.next().is_some());
        if !texts.iter().any(is_met) {
            let place = (condition.origin.span().start, condition.column.clone());
            let new = || UnmatchedCondition {
                origin: condition.origin.clone(),
                file: rows.head.file.clone(),
                rows: BTreeMap::new(),
            };
            let mut uses = recorder.uses.borrow_mut();
            let unmet = uses.unmet.entry(place).or_insert_with(new);
            unmet.rows.insert(row.key().unwrap_or_default().to_owned(), texts.join("\" or \""));
        }
    }
}

fn alone(row: &Row) -> [ScopedRow; 1] {
    [ScopedRow { name: "row".to_owned(), row: row.clone() }]
}

/// Returns true if an outer row decides which rows something is repeated for.
///
/// The rows of the nested repetition itself do not matter.
fn depends_on_a_row(node: &Node) -> bool {
    ["each", "source", "where", "unless"].iter().filter_map(|key| node.get(key)).any(has_template)
}
