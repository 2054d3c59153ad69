//! Settings: read from a file, the environment and flags (merged by figment) and resolved. Every
//! value keeps its origin, and one run reports every error of the file.

mod api;
mod calendars;
mod connection;
mod layers;
mod listen;
mod log;
mod notify;
pub(crate) mod place;
mod report;
mod sources;
mod store;
mod surroundings;
mod time;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::compile::{Blueprint, check_shape, check_variants};
use crate::limits::api::RESYNC;
use crate::limits::changes::MAX_APPROVALS;
use crate::limits::files::RESTAT;
use crate::limits::replicas::MAX_TOTAL_TIMEOUT;
use crate::limits::settings::{MAX_NAMED, MAX_PAGE_BLOCKS, MAX_VARIABLES};
use crate::model::Problem;
use crate::plan::Thresholds;
use crate::store::Owner;
use crate::tables::parse_json;
use crate::written::{Entry, Fields, Node, Raw, Reader, Scope};
use crate::zone::Database;
use crate::zoneinfo::{Choice, WatchedFolder};

pub(crate) use api::{Api, is_on_this_machine};
pub(crate) use calendars::CalendarFile;
pub(crate) use connection::{Connection, quoted};
pub use layers::SCALARS;
pub(crate) use listen::{Listen, Right, TlsFiles, TokenSettings};
pub(crate) use log::Log;
pub(crate) use notify::check_url;
pub use notify::{Address, Daily, EventKind, Quiet, Receiver, Via};
pub(crate) use report::Report;
pub(crate) use sources::Source;
pub(crate) use store::{StorePath, StoreSettings};
pub(crate) use surroundings::Flag;
pub use surroundings::Surroundings;

/// All settings, resolved.
///
/// One field for each section of the file, so it has more fields than other types.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The settings file.
    pub file: PathBuf,
    /// The remote API.
    pub api: Api,
    /// The store.
    pub store: StoreSettings,
    /// The interval at which every page is fetched even if nothing is due.
    pub resync: Duration,
    /// The interval at which files are checked even if no change was reported.
    pub restat: Duration,
    /// The log settings.
    pub log: Log,
    /// The thresholds above which a change is held for approval.
    pub hold: Thresholds,
    /// True if values must meet the `format` of their schema; JSON Schema leaves that to the
    /// validator.
    pub assert_formats: bool,
    /// The HTTP server, if enabled.
    pub listen: Option<Listen>,
    /// The receivers of notifications.
    pub notify: Vec<Receiver>,
    /// The sources by name.
    pub sources: BTreeMap<String, Source>,
    /// The calendars that are files, by name; those of public holidays are in the blueprint.
    pub calendars: BTreeMap<String, CalendarFile>,
    /// Pages and hours.
    pub blueprint: Blueprint,
    /// The blocks of variants, as written.
    pub variants: Vec<Node>,
    /// Warnings about valid settings.
    pub warnings: Vec<Problem>,
    /// The choice of zone database; the database itself is in the blueprint.
    pub zoneinfo: Choice,
    /// The folder of the zone database, in its state before the database was read.
    pub zone_folder: Option<WatchedFolder>,
    /// The merged settings as JSON, for remembering the active settings.
    pub written: String,
}

const TOP_KEYS: &[&str] = &[
    "timezone",
    "time",
    "resync",
    "restat",
    "api",
    "store",
    "log",
    "hold",
    "listen",
    "notify",
    "schema",
    "sources",
    "calendars",
    "hours",
    "page",
    "variants",
];
impl Settings {
    /// Returns the owner of this program's rows in the store.
    pub fn owner(&self) -> Owner {
        Owner { api: self.api.base_url.clone(), id: self.store.owner.clone() }
    }

    /// Restores settings that were active before, from [`written`](Self::written).
    ///
    /// `zones` must be a database that has their zones. Returns `None` when this version cannot
    /// read them.
    pub fn remembered(written: &str, file: &Path, zones: &Arc<Database>) -> Option<Self> {
        let root = parse_json(&"the settings last active".into(), written).ok()?;
        let reader = Reader::new(Scope::Plain, zones);
        let settings = read(&reader, &root, file, &Surroundings::default(), zones)?;
        (reader.problem_count() == 0).then_some(settings)
    }

    /// Reads and resolves the settings.
    ///
    /// # Errors
    /// Every problem in one report, each with its place.
    pub fn load(file: &Path, surroundings: &Surroundings) -> Result<Self, Report> {
        Self::parse(file, &layers::read_file(file)?, surroundings)
    }

    /// Resolves settings that were read from `file`; its extension decides between TOML and JSON.
    ///
    /// # Errors
    /// Every problem in one report, each with its place.
    pub fn parse(file: &Path, bytes: &[u8], surroundings: &Surroundings) -> Result<Self, Report> {
        let (root, report) = layers::read(file, bytes, surroundings)?;
        let ((zones, zone_folder), unusable) = match time::open(&root, file, surroundings) {
            Ok(opened) => (opened, None),
            Err(problem) => ((Database::embedded(), None), Some(problem)),
        };
        let reader = Reader::new(Scope::Plain, &zones);
        unusable.into_iter().for_each(|problem| reader.note(problem));
        let settings = read(&reader, &root, file, surroundings, &zones);
        let problems = reader.into_problems();
        match settings {
            Some(settings) if problems.is_empty() => Ok(Self { zone_folder, ..settings }),
            _ => Err(report.with(problems)),
        }
    }
}

fn read(
    reader: &Reader,
    root: &Node,
    file: &Path,
    surroundings: &Surroundings,
    zones: &Arc<Database>,
) -> Option<Settings> {
    let fields = reader.table(root, "the settings file", TOP_KEYS)?;
    // Absolute, so that remembered file paths do not depend on the working directory.
    let file = &std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut warnings = Vec::new();
    let api = api::read(reader, root, &fields, &directory, &mut warnings);
    let store = store::read(reader, &fields, &directory, surroundings);
    let log = log::read(reader, &fields);
    let hold = read_hold(reader, &fields);
    let listen = listen::read(reader, &fields, &directory);
    let zoneinfo = time::read(reader, &fields, &directory);
    let assert_formats = read_schema(reader, &fields);
    let duration = |key: &str, default: Duration| match fields.get(key) {
        Some(node) => reader.duration(node, key),
        None => Some(default),
    };
    let (resync, restat) = (duration("resync", RESYNC), duration("restat", RESTAT));
    let PageSettings { sources, calendars, blueprint } =
        read_page_settings(reader, root, &fields, zones, &directory);
    let notify = notify::read(reader, &fields, &directory, blueprint.zone);
    warnings.extend(calendars.values().filter_map(|calendar| calendar.warning.clone()));
    if store.as_ref().is_some_and(|store| store.path == StorePath::Memory) {
        warnings.extend(blueprint.pages.iter().find_map(store_in_memory));
    }
    if let (Some(api), Some(store)) = (&api, &store)
        && store.path.is_shared()
        && api.total_timeout > MAX_TOTAL_TIMEOUT
    {
        let at = root.get("api").and_then(|api| api.get("total_timeout")).unwrap_or(root);
        let longest = crate::model::length(MAX_TOTAL_TIMEOUT);
        let message = format!("api.total_timeout is longer than {longest}, with store.url");
        let hint =
            format!("set it to {longest} at most: a request must end before another replica takes over");
        reader.note(Problem::at(&at.origin, message).hint(hint));
    }
    // Reported even when other settings are invalid, so that one run shows all problems.
    check_shape(&blueprint).into_iter().for_each(|problem| reader.note(problem));
    let variants = read_variants(reader, &fields);
    check_variants(&blueprint, &variants).into_iter().for_each(|problem| reader.note(problem));
    Some(Settings {
        file: file.to_owned(),
        api: api?,
        store: store?,
        resync: resync?,
        restat: restat?,
        log: log?,
        hold: hold?,
        listen: listen?,
        notify: notify?,
        assert_formats: assert_formats?,
        sources,
        calendars: calendars.into_iter().filter_map(|(name, read)| Some((name, read.file?))).collect(),
        blueprint,
        variants,
        warnings,
        zoneinfo: zoneinfo?,
        zone_folder: None,
        written: root.to_json().to_string(),
    })
}

/// The settings that pages are made of.
struct PageSettings {
    sources: BTreeMap<String, Source>,
    calendars: BTreeMap<String, calendars::Read>,
    blueprint: Blueprint,
}

fn read_page_settings(
    reader: &Reader,
    root: &Node,
    fields: &Fields,
    zones: &Arc<Database>,
    directory: &Path,
) -> PageSettings {
    let zone = fields.get("timezone").map(|node| reader.zone(node, "timezone"));
    let sources = named(reader, fields, "sources", |entry| sources::read(reader, entry, directory));
    let public = Cell::new(0);
    let calendars =
        named(reader, fields, "calendars", |entry| calendars::read(reader, entry, directory, &public));
    let hours = named(reader, fields, "hours", |entry| Some(entry.node.clone()));
    let pages = read_pages(reader, root, fields);
    let blueprint = Blueprint {
        zones: zones.clone(),
        zone: zone.flatten(),
        sources: sources.iter().map(|(name, source)| (name.clone(), source.used())).collect(),
        calendars: calendars.iter().map(|(name, calendar)| (name.clone(), calendar.used.clone())).collect(),
        hours,
        pages: pages.unwrap_or_default(),
        broken: broken(fields, "sources", &sources).chain(broken(fields, "calendars", &calendars)).collect(),
    };
    PageSettings { sources, calendars, blueprint }
}

/// Reads the page blocks; reports settings without any.
fn read_pages(reader: &Reader, root: &Node, fields: &Fields) -> Option<Vec<Node>> {
    let Some(node) = fields.get("page") else {
        reader.note(
            Problem::at(&root.origin, "no page is defined")
                .hint("add a [[page]] block with agent, environment and variables"),
        );
        return None;
    };
    let pages = reader.list(node, "page").filter(|pages| few(reader, node, pages));
    pages.map(<[Node]>::to_vec)
}

/// Reads the blocks of variants.
fn read_variants(reader: &Reader, fields: &Fields) -> Vec<Node> {
    let blocks = fields.get("variants").and_then(|node| reader.list(node, "variants"));
    blocks.map(<[Node]>::to_vec).unwrap_or_default()
}

/// Warns about a promoted page with a store in memory, which forgets how long the page has waited.
fn store_in_memory(page: &Node) -> Option<Problem> {
    let follow = page.get("follow")?;
    let message =
        "the store is in memory, so the wait of the page starts again after each start of the program";
    Some(Problem::at(&follow.origin, message).hint("set store.path to a file").warning())
}

/// Reads a table of named items with `read`; invalid items are reported and left out.
fn named<T>(
    reader: &Reader,
    fields: &Fields,
    key: &'static str,
    read: impl Fn(&Entry) -> Option<T>,
) -> BTreeMap<String, T> {
    let table = fields.get(key).and_then(|node| reader.open_table(node, key));
    let entries = table.map(|table| table.entries).unwrap_or_default();
    if let Some(beyond) = entries.get(MAX_NAMED) {
        let message = format!("more than {MAX_NAMED} {key}");
        reader.note(Problem::at(&beyond.at, message).hint("put several files into one"));
        return BTreeMap::new();
    }
    entries.iter().filter_map(|entry| Some((entry.key.clone(), read(entry)?))).collect()
}

/// Returns the names in a table that could not be read.
fn broken<'n, T>(fields: &Fields<'n>, key: &str, read: &BTreeMap<String, T>) -> impl Iterator<Item = String> {
    let entries = match fields.get(key).map(|node| &node.raw) {
        Some(Raw::Table(entries)) => &entries[..],
        _ => &[],
    };
    entries.iter().map(|entry| entry.key.clone()).filter(|name| !read.contains_key(name))
}

/// Returns true if the numbers of page blocks and of variables per page are within the limits.
fn few(reader: &Reader, node: &Node, pages: &[Node]) -> bool {
    if pages.len() > MAX_PAGE_BLOCKS {
        let message =
            format!("{} page blocks, but the settings may have at most {MAX_PAGE_BLOCKS}", pages.len());
        reader.note(
            Problem::at(&node.origin, message)
                .hint("write similar pages as rows of a source, and name it with for_each"),
        );
        return false;
    }
    let count = |page: &Node| match page.get("variables").map(|node| &node.raw) {
        Some(Raw::Table(entries)) => entries.len(),
        _ => 0,
    };
    let large = pages.iter().find(|page| count(page) > MAX_VARIABLES);
    if let Some(page) = large {
        let message = format!("the page owns {} variables, but may own at most {MAX_VARIABLES}", count(page));
        reader
            .note(Problem::at(&page.origin, message).hint("own an object that holds them, as one variable"));
    }
    large.is_none()
}

/// `[schema]`
fn read_schema(reader: &Reader, fields: &Fields) -> Option<bool> {
    let Some(node) = fields.get("schema") else { return Some(false) };
    match reader.table(node, "schema", &["assert_formats"])?.get("assert_formats") {
        // The environment and flags provide it as text.
        Some(Node { raw: Raw::Text(text), origin }) if origin.line == 0 && text == "true" => Some(true),
        Some(Node { raw: Raw::Text(text), origin }) if origin.line == 0 && text == "false" => Some(false),
        Some(node) => reader.boolean(node, "assert_formats"),
        None => Some(false),
    }
}

fn read_hold(reader: &Reader, fields: &Fields) -> Option<Thresholds> {
    let default = Thresholds::default();
    let Some(node) = fields.get("hold") else { return Some(default) };
    const KEYS: &[&str] = &["pages_percent", "pages", "rows_percent", "closed_percent", "approvals"];
    let hold = reader.table(node, "hold", KEYS)?;
    let within = |key: &str, least: u64, most: u64, default: usize| match hold.get(key) {
        Some(node) => reader.integer(node, key, least, most).and_then(|number| usize::try_from(number).ok()),
        None => Some(default),
    };
    let number = |key: &str, most: u64, default: usize| within(key, 0, most, default);
    let (pages_percent, pages) =
        (number("pages_percent", 100, default.pages_percent), number("pages", 1_000_000, default.pages));
    let rows_percent = number("rows_percent", 100, default.rows_percent);
    let closed_percent = number("closed_percent", 100, default.closed_percent);
    let approvals = within("approvals", 1, MAX_APPROVALS, default.approvals);
    Some(Thresholds {
        pages_percent: pages_percent?,
        pages: pages?,
        rows_percent: rows_percent?,
        closed_percent: closed_percent?,
        approvals: approvals?,
    })
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;
