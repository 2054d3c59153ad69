//! Schemas of files and pages, and their differences as they are printed.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::limits::files::MAX_LINES;
use crate::model::{PageId, Problem, RemotePage};
use crate::schema::Difference;
use crate::sources::{Disk, ReadFiles};
use crate::tables::{self, Size};

use crate::cli::output;

/// Limit of a value's characters in a table.
const SHOWN_LENGTH: usize = 48;

/// The place of a schema; `./A-1/live` is a file, `A-1/live` a page.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Page(PageId),
    File(PathBuf),
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::File(PathBuf::from(text)), Self::Page))
    }
}

/// Returns the schema in a file.
pub(super) fn read_file(path: &Path) -> Result<Value, Problem> {
    let name: Arc<str> = path.display().to_string().into();
    let content = Disk::default().read(path, Size::default().bytes).map_err(|error| {
        Problem::new(format!("{name}: {}", error.why))
            .hint("name a JSON file, or a page as AGENT/environment, with sandbox, pre-release or live")
    })?;
    let text = tables::decode(&name, &content.bytes, MAX_LINES)?;
    let schema = tables::parse_json(&name, text)?.to_json();
    match schema.is_object() {
        true => Ok(schema),
        false => Err(Problem::new(format!("{name} does not hold a JSON object"))
            .hint("write a Draft 7 schema, as in {\"type\": \"object\", \"properties\": {…}}")),
    }
}

/// Returns the schema of a page; without one, the empty schema, which also accepts every value.
pub(super) fn schema_of(page: &RemotePage) -> Value {
    page.schema.as_deref().cloned().unwrap_or_else(|| Value::Object(Map::new()))
}

/// A printed difference.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) at: String,
    change: String,
    from: Value,
    to: Value,
}

impl From<Difference> for Row {
    fn from(found: Difference) -> Self {
        Self {
            at: found.at,
            change: found.change,
            from: found.from.unwrap_or_default(),
            to: found.to.unwrap_or_default(),
        }
    }
}

impl Row {
    pub(super) fn cells(&self) -> [String; 4] {
        let [from, to] = output::both(&self.from, &self.to, SHOWN_LENGTH);
        let at = if self.at.is_empty() { "/" } else { &self.at };
        [at.to_owned(), self.change.clone(), from, to]
    }
}
