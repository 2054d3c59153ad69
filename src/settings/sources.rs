//! `[sources.*]`: the source files, with rows or trees.

use std::path::{Path, PathBuf};

use crate::compile::SourceUse;
use crate::model::Problem;
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

/// The format of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180).
    Csv {
        /// The separator between fields.
        delimiter: u8,
        /// The column that identifies a row.
        key: Option<String>,
    },
    /// JSON (RFC 8259).
    Json,
}

impl Source {
    /// Returns the facts about the source that pages need.
    pub(super) fn used(&self) -> SourceUse {
        let file = self.shown.clone();
        match &self.format {
            Format::Csv { key, .. } => SourceUse { file, has_rows: true, has_key: key.is_some() },
            Format::Json => SourceUse { file, has_rows: false, has_key: false },
        }
    }
}

/// Returns the path of an input file; refuses a web address.
pub(super) fn file_path(reader: &Reader, node: &Node) -> Option<Text> {
    let path = reader.text(node, "path")?;
    if path.value.contains("://") {
        let problem = Problem::at(&path.origin, format!("path is a web address: `{}`", path.value));
        reader.note(problem.hint(
            "rtconfd reads local files: let a timer download it, for example curl -fsS -o FILE.new ADDRESS && mv FILE.new FILE",
        ));
        return None;
    }
    Some(path)
}

/// Reads one source.
pub(super) fn read(reader: &Reader, entry: &Entry, directory: &Path) -> Option<Source> {
    let fields = reader.table(&entry.node, "a source", &["path", "key", "format", "delimiter"])?;
    let path = file_path(reader, fields.require(reader, "path")?)?;
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
                    reader.note(Problem::at(&node.origin, format!("{key} is only for CSV")));
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
        other @ ("xlsx" | "xls" | "ods") => {
            let message = format!("a workbook (.{other}) cannot be read");
            reader
                .note(Problem::at(&origin, message).hint("save the sheet as CSV (in Excel: \"CSV UTF-8\")"));
            return None;
        }
        other => {
            let message = format!("unknown source format `{other}`");
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
            let message = format!("\"{other}\" is not a delimiter");
            reader.note(Problem::at(&text.origin, message).hint("write \",\", \";\" or \"tab\""));
            None
        }
    }
}
