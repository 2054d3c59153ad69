//! From what is written in the settings, and what the inputs hold, to pages that can be asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::calendar::{Agenda, Calendar, Filter, Occurrence, Region, Window};
use crate::hours::Hours;
use crate::model::{DriftPolicy, Environment, OnDrift, Origin, PageId, Problem, Row, Variable, nearest};
use crate::tables::{Rows, Table};
use crate::written::{Fields, Node, Raw, Reader, Scope, Text};

use super::world::page_key;
use super::{Owned, Page};

/// What the settings say of pages, still as written: templates are filled in row by row.
#[derive(Clone, Debug, Default)]
pub struct Blueprint {
    /// The zone where nothing nearer names one.
    pub zone: Option<Tz>,
    /// The sources by name.
    pub sources: BTreeMap<String, SourceUse>,
    /// The calendars by name.
    pub calendars: BTreeMap<String, CalendarUse>,
    /// The named hours, as written.
    pub hours: BTreeMap<String, Node>,
    /// The page blocks, as written.
    pub pages: Vec<Node>,
}

/// A source, as pages see it.
#[derive(Clone, Debug)]
pub struct SourceUse {
    /// Whether it has rows (CSV) or is a tree (JSON).
    pub has_rows: bool,
    /// Whether rows can be found by key.
    pub has_key: bool,
}

/// A calendar, as pages see it.
#[derive(Clone, Debug, Default)]
pub struct CalendarUse {
    /// Which of its events count.
    pub filter: Filter,
    /// The zone whose dates count where nothing nearer names one.
    pub zone: Option<Tz>,
    /// The public holidays that it has instead of a file.
    pub public: Option<PublicHolidays>,
}

/// A calendar of public holidays, which needs no file.
#[derive(Clone, Debug)]
pub struct PublicHolidays {
    /// Whose they are.
    pub region: Region,
    /// What they are, with what the settings add and remove.
    pub calendar: Arc<Calendar>,
    /// Where the settings ask for them.
    pub origin: Origin,
}

impl Blueprint {
    /// The public holidays that are used, with the names of their calendars.
    pub fn public_holidays(&self) -> impl Iterator<Item = (&str, &PublicHolidays)> {
        self.calendars.iter().filter_map(|(name, calendar)| Some((name.as_str(), calendar.public.as_ref()?)))
    }

    /// What is to be told on a date of public holidays that are not known much further, or no longer.
    pub fn ending(&self, on: NaiveDate) -> Vec<Problem> {
        let told = self.public_holidays().filter_map(|(name, public)| {
            let mut problem = public.region.ending(on)?.about(format!("calendar \"{name}\""));
            problem.origin = Some(public.origin.clone());
            Some(problem)
        });
        told.collect()
    }
}

/// What the sources and calendars hold; one that could not be read yet is not there.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Tables by the name of their source.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// Calendars by name.
    pub calendars: BTreeMap<String, Arc<Calendar>>,
}

/// Problems of page blocks that are told in one run.
const MAX_TOLD: usize = 1_000;

/// Checks page blocks and hours as far as that goes without the inputs.
pub fn check_shape(blueprint: &Blueprint) -> Vec<Problem> {
    let compiler = Compiler::new(blueprint, None);
    let mut problems = Vec::new();
    let mut names: Vec<&String> = blueprint.hours.keys().collect();
    names.sort();
    for name in names {
        let reader = Reader::new(Scope::Plain);
        compiler.named_hours(&reader, name, None);
        problems.extend(reader.into_problems());
    }
    for block in &blueprint.pages {
        let scope = match block.get("for_each") {
            Some(_) => Scope::RowToCome,
            None => Scope::Plain,
        };
        let reader = Reader::new(scope);
        compiler.page(&reader, block, None);
        problems.extend(reader.into_problems());
    }
    // Each is compared with all before it; who mends these sees the others then.
    problems.truncate(MAX_TOLD);
    let mut seen: Vec<Problem> = Vec::new();
    problems.retain(|problem| {
        let new = !seen.contains(problem);
        seen.push(problem.clone());
        new
    });
    problems
}

const PAGE_KEYS: &[&str] =
    &["for_each", "agent", "environment", "on_drift", "timezone", "hours", "variables"];

/// What was put together already.
type Cache<K, V> = RefCell<HashMap<K, V>>;

/// Puts pages together. Without inputs it only checks what is written.
pub(super) struct Compiler<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) inputs: Option<(&'a Inputs, Window)>,
    occurrences: Cache<String, Result<Arc<[Occurrence]>, Problem>>,
    agendas: Cache<(String, Filter, Tz), Arc<Agenda>>,
    hours: Cache<(String, Option<Tz>), Arc<Hours>>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(blueprint: &'a Blueprint, inputs: Option<(&'a Inputs, Window)>) -> Self {
        Self {
            blueprint,
            inputs,
            occurrences: RefCell::default(),
            agendas: RefCell::default(),
            hours: RefCell::default(),
        }
    }

    /// One page. Every problem is noted in the reader; without inputs nothing comes out.
    pub(super) fn page(&self, reader: &Reader, block: &Node, row: Option<&Row>) -> Option<Page> {
        let fields = reader.table(block, "[[page]]", PAGE_KEYS)?;
        if let Some(node) = fields.get("for_each") {
            self.for_each_source(node, reader);
        }
        let id = self.page_id(reader, &fields);
        let on_drift = match fields.get("on_drift") {
            Some(node) => drift_policy(reader, node),
            None => Some(DriftPolicy::default()),
        };
        let zone = fields.get("timezone").and_then(|node| reader.zone(node, "timezone"));
        let hours = fields.get("hours").and_then(|node| self.hours(reader, node, zone));
        let context = Context {
            zone: zone
                .or(hours.as_ref().map(|hours| hours.zone))
                .or_else(|| self.only_zone_of_hours(reader, block)),
            hours: hours.as_ref(),
            has_hours: fields.get("hours").is_some(),
        };
        let variables =
            fields.require(reader, "variables").and_then(|node| self.variables(reader, node, &context));
        if let (Some(policy), Some(variables), Some(node)) = (&on_drift, &variables, fields.get("on_drift")) {
            let is_owned = |variable: &&Variable| !variables.iter().any(|owned| owned.variable == **variable);
            if let Some(variable) = policy.of.keys().find(is_owned) {
                let problem = Problem::at(
                    &node.origin,
                    format!("on_drift names {variable}, which the page does not own"),
                );
                reader.note(problem.hint("name a variable of the page, or \"*\" for all others"));
            }
        }
        Some(Page {
            id: id?,
            key: page_key(block, row.and_then(|row| row.key.as_deref())),
            on_drift: on_drift?,
            zone: context.zone.or(self.blueprint.zone),
            variables: variables?,
            origin: row.map_or(&block.origin, |row| &row.origin).clone(),
            row: row.cloned(),
        })
    }

    /// The rows that a block is repeated for.
    pub(super) fn for_each_source<'n>(&self, node: &'n Node, reader: &Reader) -> Option<&'n str> {
        let Raw::Text(name) = &node.raw else {
            reader.wrong_kind(node, "the name of a source", "for_each");
            return None;
        };
        match self.blueprint.sources.get(name) {
            Some(source) if source.has_rows && source.has_key => return Some(name),
            Some(_) => reader.note(
                Problem::at(&node.origin, format!("source \"{name}\" has no rows with keys"))
                    .hint("for_each needs a CSV source with key = \"COLUMN\""),
            ),
            None => reader.note(self.unknown("source", name, &node.origin, self.blueprint.sources.keys())),
        }
        None
    }

    fn page_id(&self, reader: &Reader, fields: &Fields) -> Option<PageId> {
        let agent = fields.require(reader, "agent").and_then(|node| reader.text(node, "agent"));
        let environment: Option<Environment> = fields
            .require(reader, "environment")
            .and_then(|node| reader.parse(node, "environment", "write sandbox, pre-release or live"));
        let agent = agent?;
        let checked = PageId::new(agent.value.trim(), environment.unwrap_or(Environment::Live));
        let id = reader.ok(checked.map_err(|message| {
            Problem::at(&agent.origin, message)
                .hint("write the Project ID of the vendor's UI: letters, digits and -")
        }));
        environment.and(id)
    }

    fn variables(&self, reader: &Reader, node: &Node, context: &Context) -> Option<Vec<Owned>> {
        let fields = reader.open_table(node, "variables")?;
        let mut variables: Vec<Owned> = Vec::new();
        let mut complete = true;
        if fields.entries.is_empty() {
            reader.note(Problem::at(&node.origin, "the page owns no variables"));
        }
        for entry in fields.entries {
            let definition = self.definition(reader, &entry.node, context);
            let parsed = entry.key.parse::<Variable>();
            let variable = reader.ok(parsed.map_err(|message| Problem::at(&entry.at, message)));
            if let Some(variable) = &variable
                && let Some(other) = variables.iter().find(|owned| owned.variable.overlaps(variable))
            {
                let message = format!("{variable} and {} overlap", other.variable);
                reader.note(Problem::at(&entry.at, message).hint("own one of them"));
            }
            match (variable, definition) {
                (Some(variable), Some(definition)) => variables.push(Owned { variable, definition }),
                _ => complete = false,
            }
        }
        complete.then_some(variables)
    }

    /// The one zone of all the hours that a block names, if there is just one.
    fn only_zone_of_hours(&self, reader: &Reader, block: &Node) -> Option<Tz> {
        let mut names = Vec::new();
        hours_named_in(block, &mut names);
        let mut zones: Vec<Tz> = names
            .iter()
            .filter_map(|name| self.blueprint.hours.get(*name)?.get("timezone"))
            .filter_map(|node| match &node.raw {
                Raw::Text(text) => reader.fill_in(text, &node.origin)?.value.parse().ok(),
                _ => None,
            })
            .collect();
        zones.dedup();
        match zones.as_slice() {
            [zone] => Some(*zone),
            _ => None,
        }
    }

    /// The zone for dates of a calendar or a `when`: the nearest that is written.
    pub(super) fn zone(
        &self,
        reader: &Reader,
        fields: &Fields,
        context: &Context,
        calendar: Option<&str>,
    ) -> Option<Tz> {
        if let Some(node) = fields.get("timezone") {
            return reader.zone(node, "timezone");
        }
        let of_calendar = calendar.and_then(|name| {
            let named = self.blueprint.calendars.get(name)?.zone;
            let (inputs, _) = self.inputs?;
            named.or_else(|| inputs.calendars.get(name)?.zone)
        });
        let zone = context.zone.or(of_calendar).or(self.blueprint.zone);
        // A zone that a row brings, or a calendar's own, is known only with the inputs.
        if zone.is_none() && self.inputs.is_some() {
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
            reader.note(self.unknown("source", &name.value, &name.origin, self.blueprint.sources.keys()));
            return None;
        }
        let (inputs, _) = self.inputs?;
        let table = inputs.tables.get(&name.value).cloned();
        if table.is_none() {
            reader.note(Problem::at(&name.origin, format!("source \"{}\" could not be read", name.value)));
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
                reader.note(Problem::at(&name.origin, message).hint("name a value with pointer = \"/a/b\""));
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
        zone: Tz,
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
            reader.note(self.unknown("calendar", &name.value, &name.origin, self.blueprint.calendars.keys()));
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
            reader.note(Problem::at(&name.origin, format!("calendar \"{}\" could not be read", name.value)));
            return None;
        };
        let found = calendar.occurrences(window).map(Into::into);
        self.occurrences.borrow_mut().insert(name.value.clone(), found.clone());
        reader.ok(found)
    }

    /// Hours by name, put together once for each zone that is handed down to them.
    pub(super) fn named_hours(&self, reader: &Reader, name: &str, zone: Option<Tz>) -> Option<Arc<Hours>> {
        // A zone that is handed down makes other hours of them.
        let key = (name.to_owned(), zone);
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

    pub(super) fn unknown<'n>(
        &self,
        what: &str,
        name: &str,
        origin: &Origin,
        known: impl Iterator<Item = &'n String> + Clone,
    ) -> Problem {
        let problem = Problem::at(origin, format!("there is no {what} \"{name}\""));
        match nearest(name, known.clone().map(String::as_str)) {
            Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
            None => problem.hint(format!("add [{what}s.{name}] to the settings")),
        }
    }
}

/// `on_drift = "restore"`, or by variable: `{ "*" = "report", phone = "keep" }`.
fn drift_policy(reader: &Reader, node: &Node) -> Option<DriftPolicy> {
    const HINT: &str = "write restore, keep or report";
    let Raw::Table(_) = &node.raw else {
        return reader.parse(node, "on_drift", HINT).map(|all: OnDrift| all.into());
    };
    let fields = reader.open_table(node, "on_drift")?;
    let mut policy = DriftPolicy::default();
    for entry in fields.entries {
        let on_drift = reader.parse(&entry.node, "on_drift", HINT)?;
        if entry.key == "*" {
            policy.all = on_drift;
            continue;
        }
        let variable = entry.key.parse().map_err(|message: String| Problem::at(&entry.at, message));
        policy.of.insert(reader.ok(variable)?, on_drift);
    }
    Some(policy)
}

/// What a variable may take from its page.
pub(super) struct Context<'h> {
    pub(super) zone: Option<Tz>,
    pub(super) hours: Option<&'h Arc<Hours>>,
    /// The page has hours, even if they could not be put together.
    pub(super) has_hours: bool,
}

fn hours_named_in<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    match &node.raw {
        Raw::Table(entries) => {
            for entry in entries {
                match &entry.node.raw {
                    Raw::Text(name) if entry.key == "hours" => names.push(name),
                    _ => hours_named_in(&entry.node, names),
                }
            }
        }
        Raw::List(items) => items.iter().for_each(|item| hours_named_in(item, names)),
        _ => {}
    }
}
