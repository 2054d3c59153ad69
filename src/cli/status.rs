//! `rtconfd status`: how the pages stand, from the store and the inputs, beside a running daemon or without.

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use crate::desired::Managed;
use crate::model::{Instant, shorten};
use crate::zone;

use super::{Exit, FAILED, Format, Global, OK, Shown, load, output};

/// How far ahead the next change is looked for.
const AHEAD: TimeDelta = TimeDelta::days(60);

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shown: Shown,
}

pub fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let view = match load::view(global, None, None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let location = load::store(&view.settings);
    let reading = location.look()?;
    let running = location.is_in_use();
    let problems = view.problems();
    let now = load::now();
    let mut needs_a_person = !problems.is_empty();
    let mut rows = Vec::new();
    for managed in &view.world.pages {
        let id = &managed.page.id;
        let stored = view.stored.get(id);
        let problem = stored.and_then(|stored| stored.problem.as_ref());
        needs_a_person |= problem.is_some() || !managed.problems.is_empty();
        let last = match &reading {
            Some(reading) => reading.last_applied(&view.settings.api.base_url, id)?,
            None => None,
        };
        let state = match (problem, stored.map(|stored| stored.base.is_empty())) {
            (Some(_), _) => "problem",
            (None, Some(false)) => "right",
            (None, _) => "unseen",
        };
        rows.push(json!({
            "page": id.to_string(),
            "state": state,
            "problem": problem.map(|(problem, _)| problem),
            "since": problem.map(|(_, since)| output::utc(*since)),
            "last_change": last.map(output::utc),
            "next_change": next_change(managed, now).map(|(at, what)| json!({"at": output::utc(at), "what": what})),
        }));
    }
    output::show_problems(&problems);
    match arguments.shown.format {
        Format::Json => output::print_lines(rows)?,
        Format::Table => {
            output::print(if running { "rtconfd is running.\n" } else { "rtconfd is not running.\n" });
            let here = |index: usize, value: &serde_json::Value| {
                let at: Option<Instant> = value.as_str().and_then(|text| text.parse().ok());
                at.map_or_else(|| "-".to_owned(), |at| zone::show(load::zone(&view.world.pages[index]), at))
            };
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            output::print_table(
                ["PAGE", "STATE", "LAST CHANGE", "NEXT CHANGE", "", "PROBLEM"],
                rows.iter().enumerate().map(|(index, row)| {
                    [
                        text(&row["page"]),
                        text(&row["state"]),
                        here(index, &row["last_change"]),
                        here(index, &row["next_change"]["at"]),
                        text(&row["next_change"]["what"]),
                        text(&row["problem"]),
                    ]
                }),
            );
        }
    }
    Ok(if needs_a_person { FAILED } else { OK })
}

/// The first variable of a page that changes, and to what.
fn next_change(managed: &Managed, now: Instant) -> Option<(Instant, String)> {
    let to = now.checked_add_signed(AHEAD)?;
    let changes = managed.page.variables.iter().filter_map(|owned| {
        let flip = owned.next_flip(now, to)?;
        let value = match &flip.wanted {
            crate::desired::Wanted::Json(value) => shorten(value, 40),
            crate::desired::Wanted::Cell(cell) => cell.text.clone(),
        };
        Some((flip.at, format!("{} -> {value}", owned.variable)))
    });
    changes.min()
}
