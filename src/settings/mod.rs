//! Settings: as written in a file, the environment and flags (merged by figment), to resolved, every
//! value with its origin and every error of the file in one run.

mod calendars;
mod connection;
mod layers;
mod report;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::desired::{Blueprint, SourceUse, check_shape};
use crate::model::{Origin, Problem, nearest};
use crate::plan::Thresholds;
use crate::tables::parse_json;
use crate::written::{Entry, Fields, Node, Raw, Reader, Scope, Text};

pub use calendars::MAX_PUBLIC;
pub use connection::{Connection, quoted};
pub use layers::{Flag, SCALARS};
pub use report::Report;

/// Everything that can be set, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The settings file.
    pub file: PathBuf,
    /// The remote API.
    pub api: Api,
    /// Where the state is kept.
    pub store: StorePath,
    /// How often every page is looked at though nothing is due.
    pub resync: Duration,
    /// How often files are looked at though nothing was reported.
    pub restat: Duration,
    /// How the log is written.
    pub log: Log,
    /// How much may change at once without a person.
    pub hold: Thresholds,
    /// Where HTTP is served, if it is.
    pub listen: Option<Listen>,
    /// The sources by name.
    pub sources: BTreeMap<String, Source>,
    /// The calendars that are files, by name; those of public holidays are in the blueprint.
    pub calendars: BTreeMap<String, CalendarFile>,
    /// Pages and hours.
    pub blueprint: Blueprint,
    /// What is allowed and yet worth a look.
    pub warnings: Vec<Problem>,
    /// All that was written, the layers merged, as JSON; for remembering what was in force.
    pub written: String,
}

/// The remote API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Scheme, host and port, without a slash at the end.
    pub base_url: String,
    /// The file with the key; the credentials directory and the environment come after it.
    pub key_file: Option<PathBuf>,
    /// Pages that are worked on at once.
    pub concurrency: usize,
    /// Requests a second, in the long run.
    pub rate: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
    /// To a connection.
    pub connect_timeout: Duration,
    /// Between two pieces of an answer.
    pub read_timeout: Duration,
    /// For a whole request.
    pub total_timeout: Duration,
}

/// What is not set.
const DEFAULT_API: Api = Api {
    base_url: String::new(),
    key_file: None,
    concurrency: 16,
    rate: 10,
    burst: 20,
    connect_timeout: Duration::from_secs(5),
    read_timeout: Duration::from_secs(10),
    total_timeout: Duration::from_secs(20),
};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line, instead of text.
    pub json: bool,
    /// The least that is worth a line.
    pub level: tracing::Level,
}

/// Where HTTP is served, and what callers have to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Names by which it is called, beside this machine's own.
    pub hosts: Vec<String>,
    /// The file with the bearer token for what changes state.
    pub token_file: Option<PathBuf>,
    /// The file with the webhook's secret.
    pub webhook_secret_file: Option<PathBuf>,
    /// The header that brings it.
    pub webhook_header: String,
    /// The query parameter that may bring it instead.
    pub webhook_query: Option<String>,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePath {
    /// Nowhere: it ends with the process.
    Memory,
    /// In this SQLite file.
    File(PathBuf),
}

/// A source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its path as the settings write it, for messages.
    pub shown: String,
    /// How it is read.
    pub format: Format,
}

/// How a source is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180.
    Csv {
        /// Between fields.
        delimiter: u8,
        /// The column that names a row.
        key: Option<String>,
    },
    /// RFC 8259.
    Json,
}

/// A calendar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path as the settings write it, for messages.
    pub shown: String,
}

/// What the settings are read from, beside the file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment's variables.
    pub environment: Vec<(String, String)>,
    /// The flags.
    pub flags: Vec<Flag>,
}

impl Surroundings {
    /// A variable of the environment that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

const TOP_KEYS: &[&str] = &[
    "timezone",
    "resync",
    "restat",
    "api",
    "store",
    "log",
    "hold",
    "listen",
    "sources",
    "calendars",
    "hours",
    "page",
];
const API_KEYS: &[&str] = &[
    "region",
    "base_url",
    "allow_http",
    "key_file",
    "concurrency",
    "rate",
    "burst",
    "connect_timeout",
    "read_timeout",
    "total_timeout",
];
/// Page blocks; more pages than that come from a table.
pub const MAX_PAGES: usize = 5_000;
/// Sources, and as many calendars and hours.
pub const MAX_NAMED: usize = 1_000;
/// Variables of one page.
pub const MAX_VARIABLES: usize = 1_000;
const REGIONS: &[&str] = &["us", "eu", "uk", "studio"];

impl Settings {
    /// Settings as they were in force before, from [`written`](Self::written); none when this program can't read them.
    pub fn remembered(written: &str, file: &Path) -> Option<Self> {
        let root = parse_json(&"the settings last in force".into(), written).ok()?;
        let reader = Reader::new(Scope::Plain);
        let settings = read(&reader, &root, file, &Surroundings::default())?;
        (reader.problem_count() == 0 && check_shape(&settings.blueprint).is_empty()).then_some(settings)
    }

    /// Reads and resolves the settings.
    ///
    /// # Errors
    /// All of them in one report, each with its place.
    pub fn load(file: &Path, surroundings: &Surroundings) -> Result<Self, Report> {
        Self::parse(file, &layers::read_file(file)?, surroundings)
    }

    /// Resolves settings that were read from `file`; how that is called decides whether they are TOML or JSON.
    ///
    /// # Errors
    /// All of them in one report, each with its place.
    pub fn parse(file: &Path, bytes: &[u8], surroundings: &Surroundings) -> Result<Self, Report> {
        let (root, report) = layers::read(file, bytes, surroundings)?;
        let reader = Reader::new(Scope::Plain);
        let settings = read(&reader, &root, file, surroundings);
        let mut problems = reader.into_problems();
        if let Some(settings) = &settings {
            problems.extend(check_shape(&settings.blueprint));
        }
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(report.with(problems)),
        }
    }
}

fn read(reader: &Reader, root: &Node, file: &Path, surroundings: &Surroundings) -> Option<Settings> {
    let fields = reader.table(root, "the settings file", TOP_KEYS)?;
    // Absolute, so that what is remembered of a file does not depend on where one stands.
    let file = &std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut warnings = Vec::new();
    let api = read_api(reader, root, &fields, &directory, &mut warnings);
    let store = read_store(reader, &fields, &directory, surroundings);
    let log = read_log(reader, &fields);
    let hold = read_hold(reader, &fields);
    let listen = read_listen(reader, &fields, &directory);
    let duration = |key: &str, default: u64| match fields.get(key) {
        Some(node) => reader.duration(node, key),
        None => Some(Duration::from_secs(default)),
    };
    let (resync, restat) = (duration("resync", 300), duration("restat", 30));
    let zone = fields.get("timezone").map(|node| reader.zone(node, "timezone"));
    let sources = named(reader, &fields, "sources", |entry| read_source(reader, entry, &directory));
    let public = Cell::new(0);
    let calendars =
        named(reader, &fields, "calendars", |entry| calendars::read(reader, entry, &directory, &public));
    warnings.extend(calendars.values().filter_map(|calendar| calendar.warning.clone()));
    let hours = named(reader, &fields, "hours", |entry| Some(entry.node.clone()));
    let pages = match fields.get("page") {
        Some(node) => {
            reader.list(node, "page").filter(|pages| few(reader, node, pages)).map(<[Node]>::to_vec)
        }
        None => {
            reader.note(
                Problem::at(&root.origin, "no page is defined")
                    .hint("add a [[page]] block with agent, environment and variables"),
            );
            None
        }
    };
    let blueprint = Blueprint {
        zone: zone.flatten(),
        sources: sources.iter().map(|(name, source)| (name.clone(), source_use(source))).collect(),
        calendars: calendars.iter().map(|(name, calendar)| (name.clone(), calendar.used.clone())).collect(),
        hours,
        pages: pages.unwrap_or_default(),
    };
    if store == Some(StorePath::Memory) {
        warnings.extend(blueprint.pages.iter().find_map(forgetful));
    }
    // The shape of pages is told even when other settings are wrong, so that one run shows all.
    if api.is_none()
        || store.is_none()
        || resync.is_none()
        || restat.is_none()
        || log.is_none()
        || hold.is_none()
        || listen.is_none()
    {
        check_shape(&blueprint).into_iter().for_each(|problem| reader.note(problem));
    }
    Some(Settings {
        file: file.to_owned(),
        api: api?,
        store: store?,
        resync: resync?,
        restat: restat?,
        log: log?,
        hold: hold?,
        listen: listen?,
        sources,
        calendars: calendars.into_iter().filter_map(|(name, read)| Some((name, read.file?))).collect(),
        blueprint,
        warnings,
        written: root.to_json().to_string(),
    })
}

/// A page that follows another knows from the store how long it has waited.
fn forgetful(page: &Node) -> Option<Problem> {
    let follow = page.get("follow")?;
    let message = "the store is in memory, so the page waits anew after each start of the program";
    Some(Problem::at(&follow.origin, message).hint("set store.path to a file").warning())
}

/// A table of things by name, each read by `read`; what can't be read is left out and noted.
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

/// Whether there are no more page blocks, and no more variables in one of them, than are taken.
fn few(reader: &Reader, node: &Node, pages: &[Node]) -> bool {
    if pages.len() > MAX_PAGES {
        let message = format!("{} pages, and at most {MAX_PAGES} are written out", pages.len());
        reader.note(
            Problem::at(&node.origin, message).hint("put them into a table, and name it with for_each"),
        );
        return false;
    }
    let count = |page: &Node| match page.get("variables").map(|node| &node.raw) {
        Some(Raw::Table(entries)) => entries.len(),
        _ => 0,
    };
    let large = pages.iter().find(|page| count(page) > MAX_VARIABLES);
    if let Some(page) = large {
        let message =
            format!("the page owns {} variables, and at most {MAX_VARIABLES} are kept", count(page));
        reader
            .note(Problem::at(&page.origin, message).hint("own an object that holds them, as one variable"));
    }
    large.is_none()
}

fn read_api(
    reader: &Reader,
    root: &Node,
    fields: &Fields,
    directory: &Path,
    warnings: &mut Vec<Problem>,
) -> Option<Api> {
    let empty = Node { origin: root.origin.clone(), raw: Raw::Table(Vec::new()) };
    let node = fields.get("api").unwrap_or(&empty);
    let api = reader.table(node, "api", API_KEYS)?;
    let duration = |key: &str, default: Duration| match api.get(key) {
        Some(node) => reader.duration(node, key),
        None => Some(default),
    };
    let connect = duration("connect_timeout", DEFAULT_API.connect_timeout);
    let read = duration("read_timeout", DEFAULT_API.read_timeout);
    let total = duration("total_timeout", DEFAULT_API.total_timeout);
    let number = |key: &str, most: u64, default: u32| match api.get(key) {
        Some(node) => reader.integer(node, key, 1, most).and_then(|number| u32::try_from(number).ok()),
        None => Some(default),
    };
    let concurrency = match api.get("concurrency") {
        Some(node) => {
            reader.integer(node, "concurrency", 1, 256).and_then(|number| usize::try_from(number).ok())
        }
        None => Some(DEFAULT_API.concurrency),
    };
    let (rate, burst) =
        (number("rate", 100_000, DEFAULT_API.rate), number("burst", 100_000, DEFAULT_API.burst));
    let key_file = api.get("key_file").map(|node| reader.text(node, "key_file"));
    let base_url = base_url(reader, &api, warnings);
    Some(Api {
        base_url: base_url?,
        key_file: match key_file {
            Some(text) => Some(directory.join(text?.value)),
            None => None,
        },
        concurrency: concurrency?,
        rate: rate?,
        burst: burst?,
        connect_timeout: connect?,
        read_timeout: read?,
        total_timeout: total?,
    })
}

/// A region's host, or a base URL. Of two layers the higher one decides; within one it is either.
fn base_url(reader: &Reader, api: &Fields, warnings: &mut Vec<Problem>) -> Option<String> {
    let (region, url) = (api.get("region"), api.get("base_url"));
    let url = match (region, url) {
        (Some(region), Some(url)) if layers::rank(&region.origin) == layers::rank(&url.origin) => {
            reader
                .note(Problem::at(&url.origin, "region and base_url are both set").hint("keep one of them"));
            return None;
        }
        (Some(region), Some(url)) if layers::rank(&region.origin) > layers::rank(&url.origin) => None,
        (_, url) => url,
    };
    let allowed = api.get("allow_http").map(|node| http_hosts(reader, node)).unwrap_or_default();
    if let Some(node) = url {
        return checked_url(reader, node, &allowed, warnings);
    }
    let Some(node) = region else {
        reader.note(
            Problem::at(api.origin, "which API? neither region nor base_url is set")
                .hint("set region = \"us\", \"eu\", \"uk\" or \"studio\" under [api]"),
        );
        return None;
    };
    let region = reader.text(node, "region")?;
    if REGIONS.contains(&region.value.as_str()) {
        return Some(format!("https://api.{}.poly.ai", region.value));
    }
    let problem = Problem::at(&region.origin, format!("\"{}\" is no region", region.value));
    reader.note(match nearest(&region.value, REGIONS.iter().copied()) {
        Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
        None => problem.hint("write us, eu, uk or studio"),
    });
    None
}

/// Whether a URL leads to this machine alone.
pub fn is_on_this_machine(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The names of hosts that may be spoken to without TLS.
fn http_hosts(reader: &Reader, node: &Node) -> Vec<String> {
    let names = reader.list(node, "allow_http").unwrap_or_default();
    let names = names.iter().filter_map(|name| reader.text(name, "allow_http"));
    let host = |text: Text| {
        let name = text.value.trim();
        let url = reqwest::Url::parse(&format!("http://{name}/")).ok();
        // As a URL writes it, and nothing but a name: neither a port nor a pattern.
        let host = url
            .as_ref()
            .and_then(reqwest::Url::host_str)
            .filter(|host| host.eq_ignore_ascii_case(name) && !host.contains('*'));
        reader.ok(host.map(str::to_owned).ok_or_else(|| {
            Problem::at(&text.origin, "allow_http: this is no name of a host")
                .hint("write the name alone, without scheme and port, as in simulator.internal")
        }))
    };
    names.filter_map(host).collect()
}

fn checked_url(
    reader: &Reader,
    node: &Node,
    allowed: &[String],
    warnings: &mut Vec<Problem>,
) -> Option<String> {
    let text = reader.text(node, "base_url")?;
    let bad = |message: &str, secret: bool| {
        let mut problem = Problem::at(&text.origin, message)
            .hint("write scheme, host and port, as in https://api.uk.poly.ai");
        problem.secret = secret;
        reader.note(problem);
        None
    };
    let Ok(url) = reqwest::Url::parse(text.value.trim()) else {
        return bad("base_url is no URL", true);
    };
    if !url.username().is_empty() || url.password().is_some() {
        return bad("base_url holds a user name or password", true);
    }
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return bad("base_url must be http or https, without a query", false);
    }
    if url.scheme() == "http" && !is_on_this_machine(url.as_str()) {
        let host = url.host_str().unwrap_or_default();
        if !allowed.iter().any(|allowed| allowed == host) {
            let problem = Problem::at(&text.origin, "the API key would cross the network unencrypted");
            reader.note(problem.hint(format!("use https, or set allow_http = [\"{host}\"] under [api]")));
            return None;
        }
        warnings.push(
            Problem::at(&text.origin, "the API key will cross the network unencrypted")
                .hint("use https")
                .warning(),
        );
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn read_store(
    reader: &Reader,
    fields: &Fields,
    directory: &Path,
    surroundings: &Surroundings,
) -> Option<StorePath> {
    let store = fields.get("store").map(|node| reader.table(node, "store", &["path"]));
    let node = match store {
        Some(fields) => fields?.get("path"),
        None => None,
    };
    let Some(node) = node else {
        return Some(StorePath::File(state_directory(surroundings).join("rtconfd.sqlite")));
    };
    let text = reader.text(node, "path")?;
    Some(match text.value.as_str() {
        ":memory:" => StorePath::Memory,
        "" => {
            let problem = Problem::at(&text.origin, "store.path is empty");
            reader.note(problem.hint("name a file, or write \":memory:\" to keep nothing"));
            return None;
        }
        path => StorePath::File(directory.join(path)),
    })
}

/// What systemd hands out, else root's place, else the user's (XDG base directories).
fn state_directory(surroundings: &Surroundings) -> PathBuf {
    if let Some(directories) = surroundings.variable("STATE_DIRECTORY") {
        return PathBuf::from(directories.split(':').next().unwrap_or(directories));
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/rtconfd");
    }
    match (surroundings.variable("XDG_STATE_HOME"), surroundings.variable("HOME")) {
        (Some(state), _) => PathBuf::from(state).join("rtconfd"),
        (None, Some(home)) => PathBuf::from(home).join(".local/state/rtconfd"),
        (None, None) => PathBuf::from("."),
    }
}

fn read_log(reader: &Reader, fields: &Fields) -> Option<Log> {
    let Some(node) = fields.get("log") else {
        return Some(Log { json: false, level: tracing::Level::INFO });
    };
    let fields = reader.table(node, "log", &["format", "level"])?;
    let format = fields.get("format").map(|node| {
        let text = reader.text(node, "format")?;
        let known = ["text", "json"].contains(&text.value.as_str());
        reader.ok(known.then(|| text.value == "json").ok_or_else(|| {
            Problem::at(&text.origin, format!("\"{}\" is no log format", text.value))
                .hint("write text or json")
        }))
    });
    let level = fields.get("level").map(|node| {
        let text = reader.text(node, "level")?;
        reader.ok(text.value.parse().map_err(|_| {
            Problem::at(&text.origin, format!("\"{}\" is no log level", text.value))
                .hint("write error, warn, info, debug or trace")
        }))
    });
    Some(Log { json: format.unwrap_or(Some(false))?, level: level.unwrap_or(Some(tracing::Level::INFO))? })
}

fn read_hold(reader: &Reader, fields: &Fields) -> Option<Thresholds> {
    let default = Thresholds::default();
    let Some(node) = fields.get("hold") else { return Some(default) };
    let hold = reader.table(node, "hold", &["pages_percent", "pages", "rows_percent", "closed_percent"])?;
    let number = |key: &str, most: u64, default: usize| match hold.get(key) {
        Some(node) => reader.integer(node, key, 0, most).and_then(|number| usize::try_from(number).ok()),
        None => Some(default),
    };
    let (pages_percent, pages) =
        (number("pages_percent", 100, default.pages_percent), number("pages", 1_000_000, default.pages));
    let rows_percent = number("rows_percent", 100, default.rows_percent);
    let closed_percent = number("closed_percent", 100, default.closed_percent);
    Some(Thresholds {
        pages_percent: pages_percent?,
        pages: pages?,
        rows_percent: rows_percent?,
        closed_percent: closed_percent?,
    })
}

const LISTEN_KEYS: &[&str] =
    &["address", "hosts", "token_file", "webhook_secret_file", "webhook_header", "webhook_query"];

/// What the settings say of HTTP; the inner none is: no HTTP.
#[allow(clippy::option_option, reason = "nothing wrong, and nothing wanted, are two things")]
fn read_listen(reader: &Reader, fields: &Fields, directory: &Path) -> Option<Option<Listen>> {
    let Some(node) = fields.get("listen") else { return Some(None) };
    let listen = reader.table(node, "listen", LISTEN_KEYS)?;
    let text = |key: &str| match listen.get(key) {
        Some(node) => reader.text(node, key).map(|text| Some(text.value)),
        None => Some(None),
    };
    let file = |key: &str| text(key).map(|path| path.map(|path| directory.join(path)));
    let address =
        listen.require(reader, "address").and_then(|node| reader.text(node, "address")).and_then(|text| {
            reader.ok(text.value.parse().map_err(|_| {
                Problem::at(&text.origin, format!("\"{}\" is no address", text.value))
                    .hint("write address and port, as in 127.0.0.1:9464")
            }))
        });
    let hosts = match listen.get("hosts") {
        Some(node) => reader.list(node, "hosts").map(|items| {
            items.iter().filter_map(|item| reader.text(item, "hosts")).map(|text| text.value).collect()
        }),
        None => Some(Vec::new()),
    };
    let header = text("webhook_header")?.unwrap_or_else(|| "x-webhook-secret".to_owned());
    Some(Some(Listen {
        address: address?,
        hosts: hosts?,
        token_file: file("token_file")?,
        webhook_secret_file: file("webhook_secret_file")?,
        webhook_header: header.to_lowercase(),
        webhook_query: text("webhook_query")?,
    }))
}

fn source_use(source: &Source) -> SourceUse {
    match &source.format {
        Format::Csv { key, .. } => SourceUse { has_rows: true, has_key: key.is_some() },
        Format::Json => SourceUse { has_rows: false, has_key: false },
    }
}

fn read_source(reader: &Reader, entry: &Entry, directory: &Path) -> Option<Source> {
    let fields = reader.table(&entry.node, "a source", &["path", "key", "format", "delimiter"])?;
    let path = reader.text(fields.require(reader, "path")?, "path")?;
    let extension = Path::new(&path.value).extension().and_then(|extension| extension.to_str());
    let (format, origin) = match fields.get("format") {
        Some(node) => {
            let text = reader.text(node, "format")?;
            (text.value, text.origin)
        }
        None => (extension.unwrap_or_default().to_lowercase(), path.origin.clone()),
    };
    let format = match format.as_str() {
        "json" => {
            for key in ["key", "delimiter"] {
                if let Some(node) = fields.get(key) {
                    reader.note(Problem::at(&node.origin, format!("{key} goes with CSV alone")));
                }
            }
            Format::Json
        }
        "csv" | "tsv" | "txt" => Format::Csv {
            delimiter: delimiter(reader, &fields, &format)?,
            key: match fields.get("key") {
                Some(node) => Some(reader.text(node, "key")?.value),
                None => None,
            },
        },
        other => {
            let message = format!("\"{other}\" is no format of a source");
            reader.note(Problem::at(&origin, message).hint("set format = \"csv\" or format = \"json\""));
            return None;
        }
    };
    Some(Source { path: directory.join(&path.value), shown: path.value, format })
}

fn delimiter(reader: &Reader, fields: &Fields, format: &str) -> Option<u8> {
    let Some(node) = fields.get("delimiter") else {
        return Some(if format == "tsv" { b'\t' } else { b',' });
    };
    let text = reader.text(node, "delimiter")?;
    match text.value.as_str() {
        "," | ";" | "\t" => text.value.bytes().next(),
        "tab" => Some(b'\t'),
        other => {
            let message = format!("\"{other}\" is no delimiter");
            reader.note(Problem::at(&text.origin, message).hint("write \",\", \";\" or \"tab\""));
            None
        }
    }
}

/// The file's own place, for what is missing in it.
fn file_origin(file: &Path) -> Origin {
    Origin::named(file.display().to_string())
}

#[cfg(test)]
mod tests;
