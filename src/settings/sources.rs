//! `[sources.*]`: the source files, with rows or trees.

use std::path::{Path, PathBuf};

use crate::compile::SourceUse;
use crate::limits::files::MOST_ROWS;
use crate::model::{Origin, Problem};
use crate::tables::{FORMATS, Format, Layout, Size, SourceFormat, format_named};
use crate::written::{Entry, Fields, Node, Reader, Text};

/// A source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The resolved path.
    pub path: PathBuf,
    /// Its path as the settings write it, for messages.
    pub shown: String,
    /// The file format.
    pub format: Format,
}

impl Source {
    /// Returns the facts about the source that pages need.
    pub(super) fn used(&self) -> SourceUse {
        let file = self.shown.clone();
        SourceUse { file, has_rows: self.format.of.has_rows(), has_key: self.format.layout.key.is_some() }
    }
}

/// Returns the path of an input file; refuses a web address.
pub(super) fn file_path(reader: &Reader, node: &Node) -> Option<Text> {
    let path = reader.text(node, "path")?;
    if path.value.contains("://") {
        let problem = Problem::at(&path.origin, format!("path is a web address: `{}`", path.value));
        reader.note(problem.hint(
            "rtconfd reads local files: let a timer download it, for example curl -fsS -o FILE.new \
             ADDRESS && mv FILE.new FILE",
        ));
        return None;
    }
    Some(path)
}

/// Reads one source.
pub(super) fn read(reader: &Reader, entry: &Entry, directory: &Path) -> Option<Source> {
    let fields =
        reader.table(&entry.node, "a source", &["path", "key", "format", "delimiter", "max_rows"])?;
    let path = file_path(reader, fields.require(reader, "path")?)?;
    let extension = Path::new(&path.value).extension().and_then(|extension| extension.to_str());
    let (name, origin) = match fields.get("format") {
        Some(node) => {
            let text = reader.text(node, "format")?;
            (text.value, text.origin)
        }
        None => (extension.unwrap_or_default().to_lowercase(), path.origin.clone()),
    };
    let Some(of) = format_named(&name) else {
        reader.note(unknown_format(&name, &origin));
        return None;
    };
    let layout = layout(reader, &fields, of, &name)?;
    Some(Source { path: directory.join(&path.value), shown: path.value, format: Format { of, layout } })
}

fn unknown_format(name: &str, origin: &Origin) -> Problem {
    if ["xlsx", "xls", "ods"].contains(&name) {
        return Problem::at(origin, format!("a workbook (.{name}) cannot be read"))
            .hint("save the sheet as CSV (in Excel: \"CSV UTF-8\")");
    }
    let known: Vec<String> = FORMATS.iter().map(|format| format!("format = \"{}\"", format.name())).collect();
    Problem::at(origin, format!("unknown source format `{name}`")).hint(format!("set {}", known.join(" or ")))
}

/// Reads the layout; reports keys that do not apply to the format.
fn layout(reader: &Reader, fields: &Fields, of: &dyn SourceFormat, name: &str) -> Option<Layout> {
    let default = of.delimiter(name);
    for (key, applies) in
        [("key", of.has_rows()), ("max_rows", of.has_rows()), ("delimiter", default.is_some())]
    {
        if let Some(node) = fields.get(key).filter(|_| !applies) {
            let message = format!("{key} does not apply to {}", of.name().to_uppercase());
            reader.note(Problem::at(&node.origin, message).hint(format!("remove {key}")));
        }
    }
    let key = match fields.get("key").filter(|_| of.has_rows()) {
        Some(node) => Some(reader.text(node, "key")?.value),
        None => None,
    };
    let delimiter = match fields.get("delimiter").filter(|_| default.is_some()) {
        Some(node) => Some(delimiter(reader, node)?),
        None => default,
    };
    let size = match fields.get("max_rows").filter(|_| of.has_rows()) {
        Some(node) => Size::of_rows(usize::try_from(reader.integer(node, "max_rows", 1, MOST_ROWS)?).ok()?),
        None => Size::default(),
    };
    Some(Layout { delimiter, key, size })
}

fn delimiter(reader: &Reader, node: &Node) -> Option<u8> {
    let text = reader.text(node, "delimiter")?;
    match text.value.as_str() {
        "," | ";" | "\t" => text.value.bytes().next(),
        "tab" => Some(b'\t'),
        other => {
            let message = format!("invalid delimiter \"{other}\"");
            reader.note(Problem::at(&text.origin, message).hint("write \",\", \";\" or \"tab\""));
            None
        }
    }
}
