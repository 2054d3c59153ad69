//! `rtconfd override set|list|clear`: what people decide for a while. The running daemon is asked; without one the
//! store is written, and the next run or apply follows it.

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::listener::{Asked, Asking, Daemon, shown};
use crate::model::Instant;
use crate::reconcile::{Observed, prepare};
use crate::schema::Schemas;
use crate::settings::{Settings, StorePath};
use crate::store::OverrideRow;
use crate::zone;

use super::{Exit, FAILED, Format, Global, OK, Shown, load, output};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets an override: rtconfd override set --where region=NE --closed --until 14:00 --reason snow
    Set(Set),
    /// Lists the overrides in force
    List(List),
    /// Ends an override before its time; the computed values come back
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
    /// Pages whose row has this cell, and the sites with it on pages that show many; may stand several times, and all
    /// must hold
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
    /// A variable has a value; with --where on the pages whose row has the cells, or where [[page.each]] makes it for such
    /// a row
    #[arg(long = "value", group = "says", value_name = "VARIABLE=VALUE")]
    value: Option<String>,
    /// Until then: a local time (14:00, 2026-12-24T14:00), a length (2h), or "next opening"
    #[arg(long, group = "end", value_name = "END")]
    until: Option<String>,
    /// Until somebody clears it
    #[arg(long, group = "end")]
    until_released: bool,
    /// Why; people will ask
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
struct List {
    /// With those that have ended
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
struct Clear {
    /// Its number
    id: i64,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Set(set) => run_set(global, set).await,
        Command::List(list) => run_list(global, &list),
        Command::Clear(clear) => run_clear(global, &clear).await,
    }
}

/// The daemon that has the settings' store, if one runs.
pub fn daemon(settings: &Settings) -> anyhow::Result<Option<Daemon>> {
    let StorePath::File(path) = &settings.store else { return Ok(None) };
    match load::store(settings).is_in_use() {
        true => Ok(Daemon::at(path)?),
        false => Ok(None),
    }
}

/// Shows what is wrong with what was asked for.
pub fn refused(problems: &[(String, Option<String>)]) -> Exit {
    for (message, hint) in problems {
        output::complain(message);
        if let Some(hint) = hint {
            output::remark(&format!("  hint: {hint}"));
        }
    }
    FAILED
}

async fn run_set(global: &Global, set: Set) -> anyhow::Result<Exit> {
    let says = match (set.closed, set.open, &set.value) {
        (true, ..) => "closed".to_owned(),
        (_, true, _) => "open".to_owned(),
        (.., Some(value)) => value.clone(),
        _ => bail!("what is overridden?\n  hint: add --closed, --open or --value VARIABLE=VALUE"),
    };
    if set.until.is_none() && !set.until_released {
        bail!(
            "until when?\n  hint: add --until 14:00, --until 2h, --until \"next opening\" or --until-released"
        );
    }
    let asking = Asking {
        pages: set.pages,
        environment: set.environment,
        cells: set.cells,
        all: set.all,
        says,
        until: set.until,
        reason: set.reason,
        who: load::who("override", global),
    };
    let view = match load::view(global, None, None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let asked = match daemon(&view.settings)? {
        Some(daemon) => daemon.set_override(&asking).await?,
        None => set_in_store(&view, asking).await?,
    };
    match asked {
        Ok(told) => {
            show_set(&view, &told, set.shown.format)?;
            Ok(OK)
        }
        Err(problems) => Ok(refused(&problems)),
    }
}

async fn set_in_store(view: &load::View, asking: Asking) -> anyhow::Result<Asked> {
    let listed = |problems: Vec<crate::model::Problem>| {
        problems.into_iter().map(|problem| {
            let place = problem.origin.as_ref().map_or_else(String::new, |origin| format!("{origin}: "));
            (place + &problem.message, problem.hint)
        })
    };
    let store = load::store(&view.settings).open()?;
    let mut schemas = Schemas::default();
    let observed = |id: &crate::model::PageId| Some(Observed::remembered(view.stored.get(id)?, &mut schemas));
    let prepared =
        asking.read().and_then(|draft| prepare(draft, &view.world, &view.overrides, observed, load::now()));
    match prepared {
        Ok(set) => Ok(Ok(shown(&store.set_override(&view.settings.api.base_url, set).await?))),
        Err(problems) => Ok(Err(listed(problems).collect())),
    }
}

fn show_set(view: &load::View, told: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::print_lines([told]);
    }
    output::print(&format!(
        "Override {} is set: {}.\n",
        told["id"],
        told["says"].as_str().unwrap_or_default()
    ));
    let pages = told["pages"].as_array().cloned().unwrap_or_default();
    output::print_table(
        ["PAGE", "UNTIL"],
        pages.iter().flat_map(|page| {
            let id = page["page"].as_str().unwrap_or_default();
            let managed = id.parse().ok().and_then(|id| view.world.page(&id));
            let here = managed.map_or(chrono_tz::Tz::UTC, load::zone);
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
    output::print(&format!("It ends earlier with: rtconfd override clear {}\n", told["id"]));
    Ok(())
}

fn run_list(global: &Global, list: &List) -> anyhow::Result<Exit> {
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let now = load::now();
    let rows = match load::store(&settings).look()? {
        Some(reading) => reading.overrides(&settings.api.base_url, now, list.all)?,
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
        output::remark("No override is in force.");
    }
    let state = |row: &OverrideRow| match &row.released {
        Some((at, who)) => format!("released {} by {who}", output::utc(*at)),
        None if row.set.is_over(now) => "over".to_owned(),
        None => "in force".to_owned(),
    };
    output::print_table(
        ["ID", "SAYS", "PAGE", "UNTIL (UTC)", "SET AT (UTC)", "BY", "REASON", "STATE"],
        rows.iter().flat_map(|row| {
            row.set.reach().into_iter().map(move |(page, of, until)| {
                [
                    row.set.id.to_string(),
                    row.set.says.describe(),
                    of.map_or_else(|| page.to_string(), |of| format!("{page} {of}")),
                    until.map_or_else(|| "released".to_owned(), output::utc),
                    output::utc(row.set.at),
                    row.set.who.clone(),
                    row.set.reason.clone(),
                    state(row),
                ]
            })
        }),
    );
    Ok(OK)
}

async fn run_clear(global: &Global, clear: &Clear) -> anyhow::Result<Exit> {
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let who = load::who("override", global);
    let released = match daemon(&settings)? {
        Some(daemon) => daemon.release(clear.id, &who).await?.map(drop),
        None => {
            let store = load::store(&settings).open()?;
            match store.release_override(clear.id, &who, load::now()).await? {
                true => Ok(()),
                false => {
                    let hint = "rtconfd override list shows those in force".to_owned();
                    Err(vec![(format!("no override {} is in force", clear.id), Some(hint))])
                }
            }
        }
    };
    if let Err(problems) = released {
        return Ok(refused(&problems));
    }
    output::print(&format!("Override {} is ended; the computed values come back.\n", clear.id));
    Ok(OK)
}

/// `rtconfd approve REVISION`
pub async fn approve(global: &Global, revision: &str) -> anyhow::Result<Exit> {
    let view = match load::view(global, None, None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let who = load::who("approve", global);
    if let Some(daemon) = daemon(&view.settings)? {
        if let Err(problems) = daemon.approve(revision, &who).await? {
            return Ok(refused(&problems));
        }
    } else {
        let held = view
            .held
            .as_ref()
            .ok_or_else(|| anyhow!("no revision is held, so {revision} can't be approved"))?;
        if held.revision != revision {
            bail!(
                "revision {revision} is not what is held\n  hint: held is {}: {}",
                held.revision,
                held.reasons.join("; ")
            );
        }
        load::store(&view.settings).open()?.approve(revision, &who, load::now()).await?;
    }
    output::print(&format!("{revision} is approved.\n"));
    Ok(OK)
}
