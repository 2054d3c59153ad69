//! `rtconfd history`: the changes, with time, author and reason.

use std::collections::BTreeMap;

use clap::Args;

use crate::limits::store::HISTORY_LISTED;
use crate::model::PageId;
use crate::zone::Zone;

use super::global::{Exit, Format, Global, OK, Shown, Times};
use super::status::describe_drift;
use super::{emergency, output, zones};

#[derive(Args)]
pub struct Arguments {
    /// The page, as AGENT/environment; all pages without it
    page: Option<PageId>,
    #[command(flatten)]
    shown: Shown,
    /// Show only the newest N changes
    #[arg(long, default_value_t = HISTORY_LISTED, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    times: Times,
}

pub async fn run(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (rows, drifts) = match emergency::store(global)? {
        Some(reading) => {
            let page = arguments.page.as_ref();
            (reading.history(page, arguments.limit)?, reading.drifts(page, false, arguments.limit)?)
        }
        None => Default::default(),
    };
    if arguments.shown.format == Format::Json {
        output::print_lines(rows.iter().map(|row| {
            let mut line = serde_json::json!(row);
            line["at"] = output::utc(row.at).into();
            line
        }))?;
        output::print_lines(drifts.iter().map(|drift| serde_json::json!({ "drift": drift })))?;
        return Ok(OK);
    }
    if rows.is_empty() {
        output::remark("There are no changes yet.");
    }
    let zones = if rows.is_empty() { BTreeMap::new() } else { zones::of_pages(global).await };
    output::print_table(
        ["AT", "WHO", "PAGE", "VARIABLE", "FROM", "TO", "BECAUSE", "OUTCOME", "CORRELATION ID"],
        &["CORRELATION ID", "WHO", "BECAUSE"],
        rows.into_iter().map(|row| {
            let outcome = match &row.error {
                Some(error) => format!("{}: {error}", row.outcome),
                None => row.outcome,
            };
            let [from, to] = output::both(&row.from, &row.to, 40);
            let here = zones.get(&row.page).copied().unwrap_or(Zone::UTC);
            [
                arguments.times.show(here, row.at),
                row.who,
                row.page,
                row.variable,
                from,
                to,
                row.because,
                outcome,
                row.correlation_id.unwrap_or_default(),
            ]
        }),
    );
    for drift in drifts.iter().rev() {
        let ended =
            drift.ended_at.map_or_else(|| "ongoing".to_owned(), |at| format!("ended {}", output::utc(at)));
        output::print(&format!("{} ({ended})\n", describe_drift(drift)));
    }
    Ok(OK)
}
