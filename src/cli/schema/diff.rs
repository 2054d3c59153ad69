//! `rtconfd schema diff`: the differences between two schemas.

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use crate::agents_api::{Client, ReadOnly, ReadPages};
use crate::cli::access::{self, Access};
use crate::cli::global::{CHANGES, Exit, FAILED, Format, Global, OK, Shown};
use crate::cli::output;
use crate::limits::pages::MAX_DIFFERENCES;
use crate::schema::differences;

use super::shared::{Place, Row, read_file, schema_of};

#[derive(Args)]
#[command(after_help = "Exit codes: 0 the schemas are equivalent, 2 they differ, 1 something failed.\n\n\
    \x20 rtconfd schema diff PROJECT-1/sandbox PROJECT-1/live\n\
    \x20 rtconfd schema diff next.schema.json PROJECT-1/live")]
pub struct Arguments {
    /// The first schema: AGENT/environment, or a file
    #[arg(value_name = "PAGE|FILE")]
    from: Place,
    /// The second schema: AGENT/environment, or a file
    #[arg(value_name = "PAGE|FILE")]
    to: Place,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    access: Access,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let global = &arguments.access.over(global)?;
    let places = [&arguments.from, &arguments.to];
    // Two files need neither key nor API.
    let client = match places.iter().any(|place| matches!(place, Place::Page(_))) {
        false => None,
        true => match access::connection(global) {
            Ok(connection) => Some(ReadOnly::new(access::client(&connection, global)?)),
            Err(exit) => return Ok(exit),
        },
    };
    let mut schemas = Vec::new();
    for place in places {
        match schema_at(place, client.as_ref()).await? {
            Some(schema) => schemas.push(schema),
            None => return Ok(FAILED),
        }
    }
    let found = differences(&schemas[0], &schemas[1]);
    let rows: Vec<Row> = found.into_iter().map(Row::from).collect();
    match arguments.shown.format {
        Format::Json => output::print_lines(&rows)?,
        Format::Table => {
            output::print_table(["AT", "CHANGE", "FROM", "TO"], &[], rows.iter().map(Row::cells))
        }
    }
    if rows.len() == MAX_DIFFERENCES {
        output::remark(&format!("Only the first {MAX_DIFFERENCES} differences are shown."));
    }
    if rows.is_empty() {
        output::remark("The schemas are equivalent.");
    }
    Ok(if rows.is_empty() { OK } else { CHANGES })
}

/// Returns the schema at a place; `None` for an invalid file, which has been reported.
async fn schema_at(place: &Place, client: Option<&ReadOnly<Client>>) -> anyhow::Result<Option<Value>> {
    match (place, client) {
        (Place::Page(id), Some(client)) => {
            let page = client.page(id).await.map_err(|error| anyhow!("{id}: {error}"))?;
            if page.schema.is_none() {
                output::remark(&format!("{id} has no schema and accepts every value"));
            }
            Ok(Some(schema_of(&page)))
        }
        (Place::File(path), _) => match read_file(path) {
            Ok(schema) => Ok(Some(schema)),
            Err(problem) => {
                output::show_problems([&problem]);
                Ok(None)
            }
        },
        (Place::Page(_), None) => Ok(None),
    }
}
