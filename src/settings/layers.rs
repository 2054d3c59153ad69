//! The layers: the file, then the environment, then flags, from lowest to highest. figment decides
//! which layer's value wins; the values themselves stay as written, with their places.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::{ImDocument, Item};

use crate::limits::files::{MAX_LINES, MAX_NUMBER};
use crate::limits::settings::{MAX_INTEGER_DIGITS, MAX_KEYS, MAX_SETTINGS_BYTES, MAX_SETTINGS_VALUES};
use crate::model::{Origin, Problem, SourceText, nearest};
use crate::written::{Entry, Node, Raw};

use super::{Flag, Report, Surroundings};

/// The settings that the environment and flags can set: those with a single value.
pub const SCALARS: &[&str] = &[
    "timezone",
    "time.zoneinfo",
    "resync",
    "restat",
    "api.region",
    "api.base_url",
    "api.key_file",
    "api.key_expires",
    "api.concurrency",
    "api.rate",
    "api.burst",
    "api.max_fetched_mib",
    "api.connect_timeout",
    "api.read_timeout",
    "api.total_timeout",
    "store.path",
    "store.url",
    "store.password_file",
    "store.ca_file",
    "store.keep_history",
    "store.owner",
    "log.format",
    "log.level",
    "hold.pages_percent",
    "hold.pages",
    "hold.rows_percent",
    "hold.closed_percent",
    "hold.approvals",
    "schema.assert_formats",
    "listen.address",
    "listen.token_file",
    "listen.cert_file",
    "listen.key_file",
    "listen.trusted_proxy",
    "listen.webhook_secret_file",
    "listen.webhook_header",
    "listen.webhook_query",
];

/// Variables that begin with `RTCONFD_` but are not settings.
const RESERVED: &[&str] = &["RTCONFD_API_KEY", "RTCONFD_CONFIG"];

/// Returns the origin of the file as a whole, for missing settings.
fn file_origin(file: &Path) -> Origin {
    Origin::named(file.display().to_string())
}

/// Reads the file, up to one byte more than the maximum.
pub(super) fn read_file(file: &Path) -> Result<Vec<u8>, Report> {
    let mut bytes = Vec::new();
    let opened = File::open(file);
    let read = opened.and_then(|opened| opened.take(MAX_SETTINGS_BYTES as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Report::new(file, "").with(vec![
            Problem::at(&file_origin(file), format!("cannot read the settings: {error}")).hint(
                "name the file with --config FILE or RTCONFD_CONFIG, or run this in the folder of \
                 rtconfd.toml; rtconfd demo needs none",
            ),
        ])),
    }
}

fn check_size(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let problem = |message: String| Problem::at(&file_origin(file), message);
    if bytes.len() > MAX_SETTINGS_BYTES {
        return Err(problem(format!("the settings have more than {MAX_SETTINGS_BYTES} bytes"))
            .hint("write similar pages as rows of a source, and name it with for_each"));
    }
    let signs = bytes.iter().filter(|byte| matches!(**byte, b',' | b'=' | b':' | b'[' | b'{')).count();
    match signs > MAX_SETTINGS_VALUES {
        true => Err(problem(format!("the settings have more than {MAX_SETTINGS_VALUES} values"))
            .hint("put values into a source, and name it under [sources]")),
        false => Ok(()),
    }
}

/// Refuses a table with too many keys: every key lookup scans all of them.
fn check_tables(node: &Node) -> Result<(), Problem> {
    match &node.raw {
        Raw::Table(entries) if entries.len() > MAX_KEYS => {
            Err(Problem::at(&node.origin, format!("more than {MAX_KEYS} keys in one table"))
                .hint("put them into a source, and name it under [sources]"))
        }
        Raw::Table(entries) => entries.iter().try_for_each(|entry| check_tables(&entry.node)),
        Raw::List(items) => items.iter().try_for_each(check_tables),
        _ => Ok(()),
    }
}

/// Reads all layers into one tree. The report holds the file's text for showing problems in it.
pub(super) fn read(file: &Path, bytes: &[u8], surroundings: &Surroundings) -> Result<(Node, Report), Report> {
    check_size(file, bytes).map_err(|problem| Report::new(file, "").with(vec![problem]))?;
    let name: Arc<str> = file.display().to_string().into();
    let text = match crate::tables::decode(&name, bytes, MAX_LINES) {
        Ok(text) => text.to_owned(),
        Err(problem) => return Err(Report::new(file, "").with(vec![problem])),
    };
    let report = Report::new(file, &text);
    let parsed = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => crate::tables::parse_json(&name, &text),
        Some("yaml" | "yml") => Err(Problem::at(&file_origin(file), "unsupported format: settings in YAML")
            .hint("write them in TOML or JSON")),
        _ => parse_toml(&name, &text),
    };
    let parsed = parsed.and_then(|tree| check_tables(&tree).map(|()| tree));
    let mut problems = Vec::new();
    let environment = environment(surroundings, &mut problems);
    let flags = flags(&surroundings.flags, &mut problems);
    match parsed {
        Ok(tree) if problems.is_empty() => {
            let layers = [
                Layer { name: "file", tree },
                Layer { name: "environment", tree: environment },
                Layer { name: "flags", tree: flags },
            ];
            merge(&layers)
                .map(|node| (node, report))
                .map_err(|problem| Report::new(file, &text).with(vec![problem]))
        }
        parsed => {
            problems.extend(parsed.err());
            Err(report.with(problems))
        }
    }
}

/// Returns the rank of a value's layer; the higher wins.
pub(super) fn rank(origin: &Origin) -> u8 {
    match () {
        () if origin.file.starts_with("--set ") => 2,
        () if origin.file.starts_with("environment ") => 1,
        () => 0,
    }
}

struct Layer {
    name: &'static str,
    tree: Node,
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = match to_figment(&self.tree) {
            Value::Dict(_, dict) => dict,
            _ => Dict::new(),
        };
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Converts only the structure; values are taken from the layer's own tree later.
fn to_figment(node: &Node) -> Value {
    match &node.raw {
        Raw::Table(entries) => {
            let dict: Dict =
                entries.iter().map(|entry| (entry.key.clone(), to_figment(&entry.node))).collect();
            Value::from(dict)
        }
        _ => Value::from(true),
    }
}

fn merge(layers: &[Layer]) -> Result<Node, Problem> {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let merged: Value =
        figment.extract().map_err(|error| Problem::new(format!("cannot merge the settings: {error}")))?;
    let trees: Vec<(&str, &Node)> = layers.iter().map(|layer| (layer.name, &layer.tree)).collect();
    Ok(rebuild(&figment, &merged, &trees))
}

fn rebuild(figment: &Figment, value: &Value, trees: &[(&str, &Node)]) -> Node {
    let Value::Dict(_, dict) = value else {
        let winner = figment.get_metadata(value.tag()).map(|metadata| metadata.name.as_ref());
        let tree = trees.iter().find(|(name, _)| Some(*name) == winner).or(trees.last());
        return tree.map_or_else(nothing, |(_, node)| (*node).clone());
    };
    let mut entries: Vec<Entry> = Vec::new();
    // In the order of the file, followed by the keys that only other layers have.
    for (_, tree) in trees {
        let Raw::Table(written) = &tree.raw else { continue };
        for entry in written {
            if entries.iter().any(|known| known.key == entry.key) {
                continue;
            }
            let Some(inner) = dict.get(&entry.key) else { continue };
            let below: Vec<(&str, &Node)> =
                trees.iter().filter_map(|(name, tree)| Some((*name, tree.get(&entry.key)?))).collect();
            entries.push(Entry {
                key: entry.key.clone(),
                at: entry.at.clone(),
                node: rebuild(figment, inner, &below),
            });
        }
    }
    Node {
        origin: trees.first().map(|(_, node)| node.origin.clone()).unwrap_or_default(),
        raw: Raw::Table(entries),
    }
}

fn nothing() -> Node {
    Node { origin: Origin::default(), raw: Raw::Null }
}

fn environment(surroundings: &Surroundings, problems: &mut Vec<Problem>) -> Node {
    let mut values = Vec::new();
    for (name, value) in &surroundings.environment {
        if !name.starts_with("RTCONFD_") || RESERVED.contains(&name.as_str()) || is_of_kubernetes(name) {
            continue;
        }
        let origin = Origin::named(format!("environment {name}"));
        // Both `_` and `__` are accepted between section and setting; no two settings differ in
        // that alone.
        let flat = name["RTCONFD_".len()..].to_lowercase().replace("__", "_");
        match SCALARS.iter().find(|path| path.replace('.', "_") == flat) {
            Some(path) => values.push(((*path).to_owned(), value.clone(), origin)),
            None => {
                let known: Vec<String> = SCALARS.iter().map(|path| variable_name(path)).collect();
                let problem = Problem::at(&origin, "unknown setting");
                problems.push(match nearest(name, known.iter().map(String::as_str)) {
                    Some(known) => problem.hint(format!("did you mean {known}?")),
                    None => problem.hint(format!("set one of: {}", known.join(", "))),
                });
            }
        }
    }
    tree(values)
}

/// Returns true for variables that Kubernetes sets, such as `RTCONFD_SERVICE_HOST`.
///
/// Kubernetes adds them to every container in the namespace of a service named rtconfd.
fn is_of_kubernetes(name: &str) -> bool {
    let rest = &name["RTCONFD_".len()..];
    rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_")
}

fn variable_name(path: &str) -> String {
    format!("RTCONFD_{}", path.to_uppercase().replace('.', "__"))
}

fn flags(flags: &[Flag], problems: &mut Vec<Problem>) -> Node {
    let mut values = Vec::new();
    for flag in flags {
        let origin = Origin::named(format!("--set {}", flag.path));
        if SCALARS.contains(&flag.path.as_str()) {
            // The last one counts, as with other flags.
            values.retain(|(path, _, _): &(String, String, Origin)| *path != flag.path);
            values.push((flag.path.clone(), flag.value.clone(), origin));
        } else {
            let problem = Problem::at(&origin, "unknown setting");
            problems.push(match nearest(&flag.path, SCALARS.iter().copied()) {
                Some(known) => problem.hint(format!("did you mean {known}?")),
                None => problem.hint(format!("set one of: {}", SCALARS.join(", "))),
            });
        }
    }
    tree(values)
}

/// Builds a tree from paths of one or two steps. All values are text; the reader of each setting
/// knows its type.
fn tree(values: Vec<(String, String, Origin)>) -> Node {
    let mut root: Vec<Entry> = Vec::new();
    for (path, value, origin) in values {
        let leaf = |key: &str| Entry {
            key: key.to_owned(),
            at: origin.clone(),
            node: Node { origin: origin.clone(), raw: Raw::Text(value.clone()) },
        };
        let Some((section, key)) = path.split_once('.') else {
            root.push(leaf(&path));
            continue;
        };
        let index = root.iter().position(|entry| entry.key == section).unwrap_or_else(|| {
            let table = Node { origin: origin.clone(), raw: Raw::Table(Vec::new()) };
            root.push(Entry { key: section.to_owned(), at: origin.clone(), node: table });
            root.len() - 1
        });
        if let Raw::Table(entries) = &mut root[index].node.raw {
            entries.push(leaf(key));
        }
    }
    Node { origin: Origin::default(), raw: Raw::Table(root) }
}

pub(super) fn parse_toml(file: &Arc<str>, text: &str) -> Result<Node, Problem> {
    let places = SourceText::new(file, text);
    let document = ImDocument::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let origin = places.origin(span.clone());
        let why = error.message().trim().replace('\n', ": ");
        let mut problem = Problem::at(&origin, format!("this is not TOML: {why}"));
        // A key pasted into the settings without quotes must not appear in a log.
        let line = text.lines().nth(origin.line.saturating_sub(1)).unwrap_or_default().to_lowercase();
        problem.secret = line.contains("key") && !line.contains("key_file");
        match error.message() {
            message if message.contains("number too") => problem.hint(format!(
                "write it in quotes if it is text, such as a phone number; whole numbers have at most \
                 {MAX_INTEGER_DIGITS} digits"
            )),
            message if message.contains("duplicate key `page`") => {
                problem.hint("remove the line page = [], which says that there is no page")
            }
            _ => problem,
        }
    })?;
    let whole = Origin::line(file, 1);
    let root = from_toml(document.as_item(), &places, &whole);
    match not_a_number(&root) {
        Some(origin) => Err(Problem::at(origin, "invalid number: JSON has no infinity and no NaN")
            .hint("write a finite number")),
        None => Ok(root),
    }
}

/// Finds a `Null`: TOML has no null, so it was `nan` or `inf`.
fn not_a_number(node: &Node) -> Option<&Origin> {
    match &node.raw {
        Raw::Null => Some(&node.origin),
        Raw::List(items) => items.iter().find_map(not_a_number),
        Raw::Table(entries) => entries.iter().find_map(|entry| not_a_number(&entry.node)),
        _ => None,
    }
}

fn from_toml(item: &Item, places: &SourceText, around: &Origin) -> Node {
    let origin = item.span().map_or_else(|| around.clone(), |span| places.origin(span));
    let raw = match item {
        Item::None => Raw::Null,
        Item::Table(table) => entries(table, places, &origin),
        Item::ArrayOfTables(tables) => Raw::List(
            tables
                .iter()
                .map(|table| {
                    let origin = table.span().map_or_else(|| origin.clone(), |span| places.origin(span));
                    Node { raw: entries(table, places, &origin), origin }
                })
                .collect(),
        ),
        Item::Value(value) => from_value(value, places, &origin),
    };
    Node { origin, raw }
}

fn entries(table: &dyn toml_edit::TableLike, places: &SourceText, origin: &Origin) -> Raw {
    Raw::Table(
        table
            .iter()
            .map(|(key, item)| {
                let span = table.key(key).and_then(toml_edit::Key::span);
                Entry {
                    key: key.to_owned(),
                    at: span.map_or_else(|| origin.clone(), |span| places.origin(span)),
                    node: from_toml(item, places, origin),
                }
            })
            .collect(),
    )
}

/// Keeps a number's text if it is also valid JSON: `1.10` may be a price, and a float keeps at most
/// 17 digits.
fn float(number: f64, written: &str) -> Raw {
    let kept =
        serde_json::from_str(written).ok().filter(|_| number.is_finite() && written.len() <= MAX_NUMBER);
    kept.or_else(|| serde_json::Number::from_f64(number)).map_or(Raw::Null, Raw::Number)
}

fn from_value(value: &toml_edit::Value, places: &SourceText, origin: &Origin) -> Raw {
    use toml_edit::Value;
    match value {
        Value::String(text) => Raw::Text(text.value().clone()),
        Value::Integer(number) => Raw::Number((*number.value()).into()),
        Value::Float(number) => float(*number.value(), places.written(origin.span())),
        Value::Boolean(value) => Raw::Bool(*value.value()),
        Value::Datetime(date) => Raw::Text(date.value().to_string()),
        Value::Array(items) => Raw::List(
            items
                .iter()
                .map(|item| {
                    let origin = item.span().map_or_else(|| origin.clone(), |span| places.origin(span));
                    Node { raw: from_value(item, places, &origin), origin }
                })
                .collect(),
        ),
        Value::InlineTable(table) => entries(table, places, origin),
    }
}
