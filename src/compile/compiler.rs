//! Puts pages together: what is shared by all definitions of a run.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use crate::calendar::{Agenda, Filter, Occurrence, Window};
use crate::hours::Hours;
use crate::model::{Origin, Problem, nearest};
use crate::tables::{Rows, Table};
use crate::written::{Fields, Reader, Text};
use crate::zone::Zone;

use super::blueprint::{Blueprint, Inputs};
use super::context::{Context, WrittenZone};

/// Names that are told where one is missing.
const NAMED: usize = 8;

/// What rests on a file that never was good.
fn unread(name: &Text, what: &str, file: Option<&str>) -> Problem {
    let problem = Problem::at(&name.origin, format!("{what} \"{}\" could not be read", name.value));
    problem.hint(match file {
        Some(file) => format!("see the error for {file}"),
        None => "see the error for its file".to_owned(),
    })
}

/// Keys that missing ones are compared with, all in all, to tell what was meant. A table that was cut off can lack thousands,
/// and to compare each of them with all that are left would keep every page waiting.
const MAX_GUESSES: usize = 200_000;

/// What was put together already.
type Cache<K, V> = RefCell<HashMap<K, V>>;

/// Times that something on one page is repeated for a row: a page with more would be larger than the API answers.
pub(super) const MAX_REPEATS: usize = 50_000;
/// The same on all pages together, for which there is memory.
const MAX_REPEATS_IN_ALL: usize = 500_000;

/// Puts pages together. Without inputs it only checks what is written.
pub(super) struct Compiler<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) inputs: Option<(&'a Inputs, Window)>,
    occurrences: Cache<String, Result<Arc<[Occurrence]>, Problem>>,
    agendas: Cache<(String, Filter, Zone), Arc<Agenda>>,
    hours: Cache<(String, Option<Zone>), Arc<Hours>>,
    pub(super) guesses_left: Cell<usize>,
    /// Rows that something may still be repeated for, on the page that is put together and on all together.
    pub(super) repeats_left: (Cell<usize>, Cell<usize>),
}

impl<'a> Compiler<'a> {
    pub(super) fn new(blueprint: &'a Blueprint, inputs: Option<(&'a Inputs, Window)>) -> Self {
        Self {
            blueprint,
            inputs,
            occurrences: RefCell::default(),
            agendas: RefCell::default(),
            hours: RefCell::default(),
            guesses_left: Cell::new(MAX_GUESSES),
            repeats_left: (Cell::new(MAX_REPEATS), Cell::new(MAX_REPEATS_IN_ALL)),
        }
    }

    /// The zone for dates of a calendar or a `when`: the nearest that is written.
    pub(super) fn zone(
        &self,
        reader: &Reader,
        fields: &Fields,
        context: &Context,
        calendar: Option<&str>,
    ) -> Option<Zone> {
        if let Some(node) = fields.get("timezone") {
            return reader.zone(node, "timezone");
        }
        let of_calendar = calendar.and_then(|name| {
            let named = self.blueprint.calendars.get(name)?.zone;
            let (inputs, _) = self.inputs?;
            named.or_else(|| inputs.calendars.get(name)?.zone)
        });
        let zone = context.zone.known().or(of_calendar).or(self.blueprint.zone);
        // A zone that a row brings, or a calendar's own, is known only with the inputs.
        if zone.is_none() && context.zone == WrittenZone::Unwritten && self.inputs.is_some() {
            reader.note(
                Problem::at(fields.origin, "which time zone do the dates count in?")
                    .hint("set timezone here, on the page, or at the top of the settings"),
            );
        }
        zone
    }

    /// A table by the name of its source.
    pub(super) fn table(&self, reader: &Reader, name: &Text) -> Option<Arc<Table>> {
        if !self.blueprint.sources.contains_key(&name.value) {
            self.note_unknown(reader, "source", &name.value, &name.origin, self.blueprint.sources.keys());
            return None;
        }
        let (inputs, _) = self.inputs?;
        let table = inputs.tables.get(&name.value).cloned();
        if table.is_none() {
            let file = self.blueprint.sources.get(&name.value).map(|source| &*source.file);
            reader.note(unread(name, "source", file));
        }
        table
    }

    /// The rows of a source that must have rows.
    pub(super) fn with_rows<T>(
        &self,
        reader: &Reader,
        name: &Text,
        table: &Table,
        read: impl FnOnce(&Rows) -> Option<T>,
    ) -> Option<T> {
        match table {
            Table::Rows(rows) => read(rows),
            Table::Tree(_) => {
                let message = format!("source \"{}\" is JSON and has no columns", name.value);
                reader.note(
                    Problem::at(&name.origin, message)
                        .hint("name a CSV source, or a value with pointer = \"/a/b\""),
                );
                None
            }
        }
    }

    /// A calendar's events in a zone, narrowed by the calendar's own filter and a further one.
    pub(super) fn agenda(
        &self,
        reader: &Reader,
        name: &Text,
        filter: Option<Filter>,
        zone: Zone,
    ) -> Option<Arc<Agenda>> {
        let own = &self.blueprint.calendars.get(&name.value)?.filter;
        let filter = filter.unwrap_or_else(|| own.clone());
        let key = (name.value.clone(), filter.clone(), zone);
        if let Some(known) = self.agendas.borrow().get(&key) {
            return Some(known.clone());
        }
        let occurrences = self.occurrences(reader, name)?;
        let (_, window) = self.inputs?;
        let agenda = Arc::new(Agenda::new(&occurrences, &filter, zone, window));
        self.agendas.borrow_mut().insert(key, agenda.clone());
        Some(agenda)
    }

    /// Whether there is such a calendar; notes when there is not.
    pub(super) fn knows_calendar(&self, reader: &Reader, name: &Text) -> bool {
        let known = self.blueprint.calendars.contains_key(&name.value);
        if !known {
            self.note_unknown(reader, "calendar", &name.value, &name.origin, self.blueprint.calendars.keys());
        }
        known
    }

    fn occurrences(&self, reader: &Reader, name: &Text) -> Option<Arc<[Occurrence]>> {
        if let Some(known) = self.occurrences.borrow().get(&name.value) {
            return reader.ok(known.clone());
        }
        let (inputs, window) = self.inputs?;
        let public = self.blueprint.calendars.get(&name.value).and_then(|known| known.public.as_ref());
        let calendar = public.map(|public| &public.calendar).or_else(|| inputs.calendars.get(&name.value));
        let Some(calendar) = calendar else {
            let file =
                self.blueprint.calendars.get(&name.value).and_then(|calendar| calendar.file.as_deref());
            reader.note(unread(name, "calendar", file));
            return None;
        };
        let found = calendar.occurrences(window).map(Into::into);
        self.occurrences.borrow_mut().insert(name.value.clone(), found.clone());
        reader.ok(found)
    }

    /// Hours by name, put together once for each zone that is handed down to them.
    pub(super) fn named_hours(&self, reader: &Reader, name: &str, zone: WrittenZone) -> Option<Arc<Hours>> {
        // A zone that is handed down makes other hours of them.
        let key = (name.to_owned(), zone.known());
        if let Some(known) = self.hours.borrow().get(&key) {
            return Some(known.clone());
        }
        let node = self.blueprint.hours.get(name)?;
        let hours = self.build_hours(reader, node, &format!("hours \"{name}\""), zone).map(Arc::new);
        if let Some(hours) = &hours {
            self.hours.borrow_mut().insert(key, hours.clone());
        }
        hours
    }

    /// Notes that there is nothing of a name; not if it is written, and what is wrong with it is told already.
    pub(super) fn note_unknown<'n>(
        &self,
        reader: &Reader,
        what: &str,
        name: &str,
        origin: &Origin,
        known: impl Iterator<Item = &'n String> + Clone,
    ) {
        if self.blueprint.broken.contains(name) {
            return;
        }
        let problem = Problem::at(origin, format!("there is no {what} \"{name}\""));
        reader.note(match nearest(name, known.clone().map(String::as_str)) {
            Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
            None if name.is_empty() => {
                let named: Vec<&str> = known.take(NAMED).map(String::as_str).collect();
                match named.is_empty() {
                    true => problem.hint(format!("write its name; the settings have no {what} yet")),
                    false => problem.hint(format!("write its name, as in {}", named.join(", "))),
                }
            }
            // "hours" has its s already.
            None => problem.hint(format!("add [{}s.{name}] to the settings", what.trim_end_matches('s'))),
        });
    }
}
