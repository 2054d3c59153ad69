//! Compiles pages: the state that all definitions of a run share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use crate::calendar::{Agenda, Filter, Occurrence, Window};
use crate::hours::Hours;
use crate::model::{Origin, Problem, nearest};
use crate::tables::{Rows, Table, names_of_formats};
use crate::written::{Fields, Reader, Text};
use crate::zone::Zone;

use super::blueprint::{Blueprint, Inputs};
use super::context::{Context, WrittenZone};
use super::repeats::Repeats;
use super::uses::Recorder;

/// The most names that a hint lists when a name is missing.
const NAMED: usize = 8;

/// Returns the problem of a name whose file could never be read.
fn unread(name: &Text, what: &str, file: Option<&str>) -> Problem {
    let problem = Problem::at(&name.origin, format!("{what} \"{}\" could not be read", name.value));
    problem.hint(match file {
        Some(file) => format!("see the error for {file}"),
        None => "see the error for its file".to_owned(),
    })
}

/// The most comparisons of unknown keys with known ones in one run.
///
/// A comparison finds the key that a hint suggests. A truncated table can lack thousands of keys, and
/// comparing each with all remaining ones would delay every page.
const GUESSES: usize = 200_000;

/// Results that were computed already.
type Cache<K, V> = RefCell<HashMap<K, V>>;

/// The compiler of pages.
///
/// Without inputs it only checks the settings.
pub(super) struct Compiler<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) inputs: Option<(&'a Inputs, Window)>,
    occurrences: Cache<String, Result<Arc<[Occurrence]>, Problem>>,
    agendas: Cache<(String, Filter, Zone), Arc<Agenda>>,
    hours: Cache<(String, Option<Zone>), Arc<Hours>>,
    pub(super) guesses_left: Cell<usize>,
    pub(super) repeats: Repeats,
    /// Records uses of calendars and tables, for lint alone.
    pub(super) recorder: Option<Recorder>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(blueprint: &'a Blueprint, inputs: Option<(&'a Inputs, Window)>) -> Self {
        Self {
            blueprint,
            inputs,
            occurrences: RefCell::default(),
            agendas: RefCell::default(),
            hours: RefCell::default(),
            guesses_left: Cell::new(GUESSES),
            repeats: Repeats::default(),
            recorder: None,
        }
    }

    /// Returns the zone for dates of a calendar or a `when`: the closest written one.
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
        // A zone from a row, or the calendar's own zone, is known only with the inputs.
        if zone.is_none() && context.zone == WrittenZone::Unwritten && self.inputs.is_some() {
            reader.note(
                Problem::at(fields.origin, "these dates need a time zone")
                    .hint("set timezone here, on the page, or at the top of the settings"),
            );
        }
        zone
    }

    /// Returns the table of a source.
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

    /// Reads the rows of a source, and notes a problem if it is JSON.
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
                let rows = names_of_formats(true);
                let message = format!("source \"{}\" has no columns", name.value);
                reader.note(
                    Problem::at(&name.origin, message)
                        .hint(format!("name a {rows} source, or a value with pointer = \"/a/b\"")),
                );
                None
            }
        }
    }

    /// Returns a calendar's events in a zone, selected by a filter.
    ///
    /// Without `filter`, the calendar's own filter is used.
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

    /// Returns true if the calendar exists, and notes a problem if it does not.
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

    /// Returns named hours, built once for each inherited zone.
    pub(super) fn named_hours(&self, reader: &Reader, name: &str, zone: WrittenZone) -> Option<Arc<Hours>> {
        // The inherited zone changes the hours, so it is part of the key.
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

    /// Notes that a name is unknown.
    ///
    /// Does nothing if the name is configured but broken: that problem is reported already.
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
        let problem = Problem::at(origin, format!("unknown {what} \"{name}\""));
        reader.note(match nearest(name, known.clone().map(String::as_str)) {
            Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
            None if name.is_empty() => {
                let named: Vec<&str> = known.take(NAMED).map(String::as_str).collect();
                match named.is_empty() {
                    true => problem.hint(format!("write its name; the settings have no {what} yet")),
                    false => problem.hint(format!("write its name, as in {}", named.join(", "))),
                }
            }
            // "hours" is already plural.
            None => problem.hint(format!("add [{}s.{name}] to the settings", what.trim_end_matches('s'))),
        });
    }
}
