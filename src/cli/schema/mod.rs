//! `rtconfd schema`: schemas of files and pages compared, and a file's put on pages.

mod diff;
mod push;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{PageId, Problem, RemotePage, shorten};
use crate::schema::Difference;
use crate::sources::{Disk, ReadFiles};
use crate::tables;

use super::global::{Exit, Global};

/// Characters of a value in a table.
const MAX_SHOWN: usize = 48;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what differs from one schema to another; each is a page or a file
    Diff(diff::Arguments),
    /// Puts a file's schema on pages, when their values, now and in the coming 400 days, meet it
    Push(push::Arguments),
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Diff(arguments) => diff::run(global, arguments).await,
        Command::Push(arguments) => push::run(global, arguments).await,
    }
}

/// Where a schema stands. `./A-1/live` is a file, `A-1/live` a page.
#[derive(Clone, Debug)]
enum Place {
    Page(PageId),
    File(PathBuf),
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::File(PathBuf::from(text)), Self::Page))
    }
}

/// The schema in a file.
fn read_file(path: &Path) -> Result<Value, Problem> {
    let name: Arc<str> = path.display().to_string().into();
    let content = Disk::default().read(path).map_err(|error| {
        Problem::new(format!("{name}: {}", error.why)).hint(
            "a schema is a file of JSON; a page is written AGENT/environment, with sandbox, pre-release or live",
        )
    })?;
    let text = tables::decode(&name, &content.bytes)?;
    let schema = tables::parse_json(&name, text)?.to_json();
    match schema.is_object() {
        true => Ok(schema),
        false => Err(Problem::new(format!("{name} holds no object"))
            .hint("write a Draft 7 schema, as in {\"type\": \"object\", \"properties\": {…}}")),
    }
}

/// The schema of a page. None takes every value, as an empty one does.
fn schema_of(page: &RemotePage) -> Value {
    page.schema.as_deref().cloned().unwrap_or_else(|| Value::Object(Map::new()))
}

/// A difference as it is printed.
#[derive(Clone, Debug, Serialize)]
struct Row {
    at: String,
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
    fn cells(&self) -> [String; 4] {
        let value = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            value => shorten(value, MAX_SHOWN),
        };
        let at = if self.at.is_empty() { "/" } else { &self.at };
        [at.to_owned(), self.change.clone(), value(&self.from), value(&self.to)]
    }
}
