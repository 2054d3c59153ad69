//! `rtconfd history`: the changes, with time, author and reason.

use clap::Args;

use crate::limits::store::HISTORY_LISTED;
use crate::model::{PageId, shorten};

use super::global::{Exit, Format, Global, OK, Shown};
use super::status::describe_drift;
use super::{emergency, output};

#[derive(Args)]
pub struct Arguments {
    /// The page, as AGENT/environment; all pages without it
    page: Option<PageId>,
    #[command(flatten)]
    shown: Shown,
    /// Show only the newest N changes
    #[arg(long, default_value_t = HISTORY_LISTED, value_name = "N")]
    limit: usize,
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
    output::print_table(
        ["AT (UTC)", "WHO", "PAGE", "VARIABLE", "FROM", "TO", "BECAUSE", "OUTCOME", "CORRELATION ID"],
        rows.into_iter().map(|row| {
            let outcome = match &row.error {
                Some(error) => format!("{}: {error}", row.outcome),
                None => row.outcome,
            };
            let from = if row.from.is_null() { "-".to_owned() } else { shorten(&row.from, 40) };
            [
                row.at.format("%Y-%m-%d %H:%M:%S").to_string(),
                row.who,
                row.page,
                row.variable,
                from,
                shorten(&row.to, 40),
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
