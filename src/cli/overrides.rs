//! `rtconfd override set|list|extend|clear`: temporary values set by users.
//!
//! A running daemon handles the request. Without one it goes to the store, for the next run or
//! apply.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::model::Instant;
use crate::reconcile::{Observed, prepare};
use crate::schema::Schemas;
use crate::settings::StorePath;
use crate::store::OverrideRow;
use crate::web::{OverrideRequest, Reply, shown};
use crate::zone::{self, Zone};

use super::emergency::{self, Contact, refused};
use super::global::{Exit, Format, Global, NO_EFFECT, OK, Shown, Times};
use super::{load, output, zones};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets an override: rtconfd override set --where region=NE --closed --until 14:00 --reason snow
    Set(Set),
    /// Lists the active overrides
    List(List),
    /// Gives an active override another end
    Extend(Extend),
    /// Ends an override early; the computed values return
    Clear(Clear),
}

#[derive(Args)]
struct Set {
    /// Pages, as AGENT/environment
    #[arg(value_name = "PAGE")]
    pages: Vec<String>,
    /// Pages of this environment
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<String>,
    /// Pages whose row has this cell, and the sites with it on pages that show many; may be repeated, and all
    /// must match
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    cells: Vec<String>,
    /// All pages
    #[arg(long)]
    all: bool,
    /// The hours are closed
    #[arg(long, group = "says")]
    closed: bool,
    /// The hours are open
    #[arg(long, group = "says")]
    open: bool,
    /// A variable has this value; with --where on pages whose row has the cells, or where
    /// [[page.each]] makes it for such a row
    #[arg(long = "value", group = "says", value_name = "VARIABLE=VALUE")]
    value: Option<String>,
    /// The end: a local time (14:00, 2026-12-24T14:00), a length (2h), or "next opening"
    #[arg(long, group = "end", value_name = "END")]
    until: Option<String>,
    /// Without an end: until it is cleared
    #[arg(long, group = "end")]
    until_released: bool,
    /// The reason, for status and history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
struct List {
    /// Include overrides that have ended
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    times: Times,
}

#[derive(Args)]
struct Extend {
    /// The number of the override
    id: i64,
    /// The new end: a local time (14:00, 2026-12-24T14:00), a length (2h), or "next opening"
    #[arg(long, value_name = "END")]
    until: String,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
struct Clear {
    /// The number of the override
    id: i64,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Set(set) => run_set(global, set).await,
        Command::List(list) => run_list(global, &list).await,
        Command::Extend(extend) => run_extend(global, &extend).await,
        Command::Clear(clear) => run_clear(global, &clear).await,
    }
}

async fn run_set(global: &Global, set: Set) -> anyhow::Result<Exit> {
    let format = set.shown.format;
    let asking = asking(global, set)?;
    let (asked, zones, without_daemon) = match emergency::find(global)? {
        Contact::Running(daemon) => {
            (daemon.set_override(&asking).await?, zones::of_daemon(global, &daemon).await?, None)
        }
        Contact::NoDaemon(store) => {
            if store == StorePath::Memory {
                bail!("the state is kept in memory, so no override would last");
            }
            if store.location().read(None)?.is_none() {
                return Err(emergency::no_daemon(global, &store));
            }
            let view = match load::view(global, None, None) {
                Ok(view) => view?,
                Err(exit) => {
                    output::remark(&format!(
                        "no rtconfd runs on the store {store}; without one the settings must be valid"
                    ));
                    return Ok(exit);
                }
            };
            (set_in_store(&view, asking).await?, zones::of_view(&view), Some(store))
        }
    };
    match asked {
        Ok(reported) => {
            show_set(&zones, &reported, format, without_daemon.is_some())?;
            Ok(match without_daemon {
                None => OK,
                Some(store) => {
                    output::remark(&format!(
                        "warning: stored in {store}; no rtconfd runs on it: no effect until the next apply"
                    ));
                    NO_EFFECT
                }
            })
        }
        Err(problems) => Ok(refused(&problems)),
    }
}

/// Returns the request for an override that the arguments describe.
fn asking(global: &Global, set: Set) -> anyhow::Result<OverrideRequest> {
    let says = match (set.closed, set.open, &set.value) {
        (true, ..) => "closed".to_owned(),
        (_, true, _) => "open".to_owned(),
        (.., Some(value)) => value.clone(),
        _ => bail!("an override needs a value\n  hint: add --closed, --open or --value VARIABLE=VALUE"),
    };
    if set.until.is_none() && !set.until_released {
        bail!(
            "an override needs an end\n  hint: add --until 14:00, --until 2h, --until \"next opening\" \
             or --until-released"
        );
    }
    Ok(OverrideRequest {
        pages: set.pages,
        environment: set.environment,
        cells: set.cells,
        all: set.all,
        says,
        until: set.until,
        reason: set.reason,
        who: load::who("override", global),
    })
}

async fn set_in_store(view: &load::View, asking: OverrideRequest) -> anyhow::Result<Reply> {
    let listed = |problems: Vec<crate::model::Problem>| {
        problems.into_iter().map(|problem| {
            let place = problem.origin.as_ref().map_or_else(String::new, |origin| format!("{origin}: "));
            (place + &problem.message, problem.hint)
        })
    };
    let store = load::open_store(&view.settings, false)?;
    let mut schemas = Schemas::new(view.settings.assert_formats);
    let observed = |id: &crate::model::PageId| Some(Observed::remembered(view.stored.get(id)?, &mut schemas));
    let world = view.world_with_waiting();
    let prepared =
        asking.read().and_then(|draft| prepare(draft, &world, &view.overrides, observed, load::now()));
    match prepared {
        Ok(set) => Ok(Ok(shown(&store.set_override(set).await?))),
        Err(problems) => Ok(Err(listed(problems).collect())),
    }
}

fn show_set(
    zones: &BTreeMap<String, Zone>,
    reported: &Value,
    format: Format,
    is_only_stored: bool,
) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::print_lines([reported]);
    }
    let (id, says) = (&reported["id"], reported["says"].as_str().unwrap_or_default());
    output::print(&match is_only_stored {
        true => format!("Override {id} is stored: {says}.\n"),
        false => format!("Override {id} is set: {says}.\n"),
    });
    let pages = reported["pages"].as_array().cloned().unwrap_or_default();
    output::print_table(
        ["PAGE", "UNTIL"],
        &[],
        pages.iter().flat_map(|page| {
            let id = page["page"].as_str().unwrap_or_default();
            let here = zones.get(id).copied().unwrap_or(Zone::UTC);
            let rows = page["rows"].as_array();
            let meant = rows.map_or_else(|| vec![page], |rows| rows.iter().collect());
            meant.into_iter().map(move |meant| {
                let until: Option<Instant> = meant["until"].as_str().and_then(|text| text.parse().ok());
                let what = [id, meant["row"].as_str().unwrap_or_default()].join(" ");
                let end = until.map_or_else(|| "released".to_owned(), |until| zone::show(here, until));
                [what.trim().to_owned(), end]
            })
        }),
    );
    output::print(&format!("To end it earlier: rtconfd override clear {}\n", reported["id"]));
    Ok(())
}

async fn run_list(global: &Global, list: &List) -> anyhow::Result<Exit> {
    let now = load::now();
    // The store also has the ended overrides; it is readable beside a daemon and without valid
    // settings.
    let rows = match emergency::store(global)? {
        Some(reading) => reading.overrides(now, list.all)?,
        None => Vec::new(),
    };
    if list.shown.format == Format::Json {
        output::print_lines(rows.iter().map(|row| {
            let mut line = shown(&row.set);
            let released = row.released.as_ref();
            line["released"] = json!(released.map(|(at, who)| json!({ "at": at, "who": who })));
            line
        }))?;
        return Ok(OK);
    }
    if rows.is_empty() {
        output::remark("No override is active.");
    }
    let zones = &if rows.is_empty() { BTreeMap::new() } else { zones::of_pages(global).await };
    let state = |row: &OverrideRow| match &row.released {
        Some((at, who)) => format!("released {} by {who}", output::utc(*at)),
        None if row.set.is_over(now) => "ended".to_owned(),
        None => "active".to_owned(),
    };
    output::print_table(
        ["ID", "SAYS", "PAGE", "UNTIL", "SET AT", "BY", "REASON", "STATE"],
        &["SET AT", "REASON"],
        rows.iter().flat_map(|row| {
            row.set.reach().into_iter().map(move |(page, of, until)| {
                let here = zones.get(&page.to_string()).copied().unwrap_or(Zone::UTC);
                let at = |at: Instant| list.times.show(here, at);
                [
                    row.set.id.to_string(),
                    row.set.kind.describe(),
                    of.map_or_else(|| page.to_string(), |of| format!("{page} {of}")),
                    until.map_or_else(|| "released".to_owned(), at),
                    at(row.set.at),
                    row.set.who.clone(),
                    row.set.reason.clone(),
                    state(row),
                ]
            })
        }),
    );
    Ok(OK)
}

/// Extends an override; only a daemon can, since the end depends on the hours of the pages.
async fn run_extend(global: &Global, extend: &Extend) -> anyhow::Result<Exit> {
    let daemon = emergency::running_daemon(global)?;
    let who = load::who("override", global);
    match daemon.extend(extend.id, &extend.until, &who).await? {
        Ok(reported) => {
            show_set(&zones::of_daemon(global, &daemon).await?, &reported, extend.shown.format, false)?;
            if extend.shown.format == Format::Table {
                output::print(&format!("It replaces override {}.\n", extend.id));
            }
            Ok(OK)
        }
        Err(problems) => Ok(refused(&problems)),
    }
}

async fn run_clear(global: &Global, clear: &Clear) -> anyhow::Result<Exit> {
    let who = load::who("override", global);
    let (released, without_daemon) = match emergency::find(global)? {
        Contact::Running(daemon) => (daemon.release(clear.id, &who).await?.map(drop), None),
        Contact::NoDaemon(StorePath::Memory) => bail!("the state is kept in memory, and no daemon has it"),
        Contact::NoDaemon(path) => {
            let location = path.location();
            // A lost store is not replaced by an empty one.
            if location.read(None)?.is_none() {
                return Err(emergency::no_daemon(global, &path));
            }
            let store = location.open(emergency::owner(global).as_ref())?;
            let released = match store.release_override(clear.id, &who, load::now()).await? {
                true => Ok(()),
                false => {
                    let hint = "run rtconfd override list to list the active overrides".to_owned();
                    Err(vec![(format!("no active override {}", clear.id), Some(hint))])
                }
            };
            (released, Some(path))
        }
    };
    if let Err(problems) = released {
        return Ok(refused(&problems));
    }
    if let Some(store) = without_daemon {
        output::print(&format!("Override {} is released.\n", clear.id));
        output::remark(&format!(
            "warning: stored in {store}; no rtconfd runs on it: no effect until the next apply"
        ));
        return Ok(NO_EFFECT);
    }
    output::print(&format!("Override {} is released; the computed values return.\n", clear.id));
    Ok(OK)
}
