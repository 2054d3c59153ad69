//! `rtconfd check`: validates settings, inputs and future values.
//!
//! The values of the coming 400 days are validated against today's schemas.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::agents_api::ReadOnly;
use crate::compile::Managed;
use crate::limits::time::HORIZON;
use crate::lint::{running_out, suspicious_hours, unmet_conditions};
use crate::model::{Instant, Problem, Severity, Variable, each_once};
use crate::reconcile::Observed;
use crate::schema::{Schema, Schemas};
use crate::settings::Settings;
use crate::store::Reading;
use crate::web;

use super::ahead::{Ahead, look_ahead};
use super::global::{Exit, FAILED, Format, Global, OK, Shown, parse_instant};
use super::progress::Progress;
use super::variants::Desired;
use super::{emergency, load, notify, output, plan, zones};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shown: Shown,
    /// Do not call the API: check everything except values against the pages' schemas
    #[arg(long)]
    offline: bool,
    /// Look ahead from this instant
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    at: Option<Instant>,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let from = arguments.at.unwrap_or_else(load::now);
    let to = from.checked_add_signed(HORIZON).unwrap_or(from);
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let (reading, unusable) = read_store(&settings, arguments.offline)?;
    let view = load::view_with(settings, reading, Some(from), Some(to))?;
    let mut problems = view.problems();
    problems.extend(unusable);
    problems.extend(view.ending(from));
    problems.extend(running_out(view.newest(), &view.settings.blueprint, &view.revision.inputs, from));
    problems.extend(suspicious_hours(view.newest(), &view.settings.blueprint, &view.revision.inputs));
    problems.extend(zones::problems(&view.settings, global, from));
    problems.extend(unmet_conditions(&view.settings.blueprint, &view.revision.inputs, from));
    let variants = Desired::load(&view.settings, from);
    problems.extend(variants.problems.iter().cloned());
    problems.extend(run_needs(global, &view.settings));
    problems.extend(notify::problems(&view.settings));
    problems.extend(view.settings.api.key_ending(from.date_naive()));
    let pages = if arguments.offline {
        BTreeMap::new()
    } else {
        let client =
            ReadOnly::new(load::client(&view.settings.api, &load::key_source(&view.settings.api, global)?)?);
        plan::observe(&client, view.newest().pages.iter(), &view.settings.api).await
    };
    let mut schemas = Schemas::new(view.settings.assert_formats);
    let pages: Vec<Page> = view
        .newest()
        .pages
        .iter()
        .map(|managed| {
            let answer = pages.get(&managed.page.id).cloned();
            (managed, answer.map(|answer| answer.map(|page| Observed::new(page, &mut schemas))))
        })
        .collect();
    let groups: Vec<&[Page]> = pages.chunk_by(|(a, _), (b, _)| a.page.shares_values(&b.page)).collect();
    let progress = Progress::new("checking the coming values", pages.len());
    let evaluated = side_by_side(&groups, |pages| {
        let ahead = look_ahead_at(pages, from, to);
        progress.add(pages.len());
        ahead
    });
    drop(progress);
    let evaluated: Vec<Ahead> = evaluated.into_iter().flatten().collect();
    // A statement about all pages holds only up to the earliest end of their look-aheads.
    let to = evaluated.iter().map(|ahead| ahead.to).min().unwrap_or(to);
    problems.extend(evaluated.into_iter().flat_map(|ahead| ahead.problems));
    let problems = each_once(&problems);
    view.report_held();
    view.report_gone();
    if arguments.shown.format == Format::Json {
        output::print_lines(problems.iter().map(as_json))?;
    } else {
        output::show_problems(&problems);
        if !problems.iter().any(is_error) {
            output::print(&success_message(&view, &pages, &variants, to));
        }
    }
    Ok(if problems.iter().any(is_error) { FAILED } else { OK })
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

fn as_json(problem: &Problem) -> Value {
    json!({
        "severity": if is_error(problem) { "error" } else { "warning" },
        "place": problem.origin.as_ref().map(ToString::to_string),
        "message": problem.message,
        "hint": problem.hint,
    })
}

/// Returns the message for settings without errors, checked up to `to`.
fn success_message(view: &load::View, pages: &[Page], variants: &Desired, to: Instant) -> String {
    let has_schema = |observed: &Option<Result<Observed, String>>| matches!(observed, Some(Ok(observed)) if observed.page.schema.is_some());
    // Pages without a schema give nothing to report.
    let what = match pages.iter().any(|(_, observed)| has_schema(observed)) {
        true => ", and every value up to then satisfies its page's schema",
        false => "",
    };
    let also = match variants.agents.values().map(Vec::len).sum::<usize>() {
        0 => String::new(),
        count => format!(" and {count} variant(s)"),
    };
    format!(
        "All is well: {} page(s){also}, checked up to {}{what}. Zone database {}.\n",
        view.newest().pages.len(),
        to.date_naive(),
        view.settings.blueprint.zones,
    )
}

/// A page of the settings, and what the API answered for it; none without an API.
type Page<'a> = (&'a Managed, Option<Result<Observed, String>>);

/// Looks ahead at pages that share their values.
fn look_ahead_at(pages: &[Page], from: Instant, to: Instant) -> Vec<Ahead> {
    let seen: Vec<_> = pages
        .iter()
        .filter_map(|(managed, answer)| {
            Some((*managed, answer.as_ref().map(Result::as_ref).transpose().ok()?))
        })
        .collect();
    let mut evaluated = look_ahead(&seen, from, to).into_iter();
    let ahead = |(managed, answer): &Page| match answer {
        Some(Err(error)) => Some(Ahead { problems: vec![Problem::new(error).about(&managed.page.id)], to }),
        Some(Ok(observed)) => {
            let mut ahead = evaluated.next()?;
            if let Ok(schema) = &observed.schema {
                let is_there = |key: &str| observed.page.variables.contains_key(key);
                ahead.problems.extend(unknown_names(managed, schema, is_there, from));
            }
            Some(ahead)
        }
        None => evaluated.next(),
    };
    pages.iter().filter_map(ahead).collect()
}

/// The store, if there is one, and the reason why it cannot be used.
type StoreRead = (Option<Box<dyn Reading>>, Option<Problem>);

/// Opens the store for reading; a database that cannot be used is a warning.
///
/// Settings are also checked where the database cannot be reached, and offline it is not tried.
fn read_store(settings: &Settings, is_offline: bool) -> anyhow::Result<StoreRead> {
    let location = settings.store.path.location();
    if location.is_shared() && is_offline {
        return Ok((None, None));
    }
    match location.read(Some(&settings.owner())) {
        Ok(None) if location.is_shared() => {
            let problem = Problem::new(format!("no store found in the database {}", settings.store.path));
            Ok((None, Some(problem.hint("create it with rtconfd store create").warning())))
        }
        Err(error) if location.is_shared() => Ok((None, Some(Problem::new(error.to_string()).warning()))),
        read => Ok((read?, None)),
    }
}

/// Checks the needs of `run` beyond settings and inputs.
///
/// These are secret files, the port of `[listen]`, and a writable folder for the store.
fn run_needs(global: &Global, settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(store) = settings.store.path.file() {
        let directory = store.ancestors().skip(1).find(|directory| directory.exists());
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        if let Some(Err(error)) = directory.map(|directory| rustix::fs::access(directory, access)) {
            let message = format!(
                "the folder of the store {} cannot be written by {}: {error}",
                store.display(),
                load::user_id()
            );
            problems.push(
                Problem::new(message)
                    .hint("run check as the user of the daemon, or set another store.path")
                    .warning(),
            );
        }
    }
    let key = settings.api.key_file.as_ref().map(|_| load::key_source(&settings.api, global)).transpose();
    if let Some(error) = key.and_then(|source| Ok(source.map(|source| source.load()).transpose()?)).err() {
        problems.push(Problem::new(format!("{error:#}")));
    }
    let Some(listen) = &settings.listen else { return problems };
    problems.extend(web::listen_problems(listen));
    // A running daemon itself uses the port.
    let runs = matches!(emergency::find(global), Ok(emergency::Contact::Running(_)));
    if !runs && let Err(error) = std::net::TcpListener::bind(listen.address) {
        problems.push(web::cannot_listen(listen.address, &error));
    }
    problems
}

/// Maps items in parallel, in order; on all cores, since 400 days of thousands of pages take time.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = &work;
    std::thread::scope(|scope| {
        let shares = items.chunks(items.len().div_ceil(cores).max(1));
        let workers: Vec<_> =
            shares.map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<R>>())).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        // A panic in a thread is a bug, so it continues in this thread.
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Returns the mismatches between a page's settings and its schema.
///
/// `is_there` returns true for a key that is on the page, no matter which client set it.
pub fn unknown_names(
    managed: &Managed,
    schema: &Schema,
    is_there: impl Fn(&str) -> bool,
    at: Instant,
) -> Vec<Problem> {
    let owned: Vec<(Variable, Option<Value>)> = match managed.page.desired(at) {
        Ok(desired) => {
            let values = desired.values.into_iter();
            values.map(|value| (value.variable, Some(value.value.to_json()))).collect()
        }
        Err(_) => managed.page.variables.iter().map(|owned| (owned.variable.clone(), None)).collect(),
    };
    let found = schema.unknown_names(&owned, is_there);
    found.into_iter().map(|problem| problem.about(&managed.page.id)).collect()
}
