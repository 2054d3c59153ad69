//! `rtconfd check`: validates settings, inputs and future values.
//!
//! The values of the coming 400 days are validated against today's schemas.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::agents_api::ReadOnly;
use crate::clock::worked;
use crate::compile::Managed;
use crate::lint::{doubtful_hours, running_out, unmet_conditions};
use crate::listener::SecretFile;
use crate::model::{HORIZON, Instant, Problem, Severity, Variable};
use crate::reconcile::Observed;
use crate::schema::{Schema, Schemas};
use crate::settings::{Settings, StorePath};
use crate::zone;

use super::global::{Exit, FAILED, Format, Global, OK, Shown, parse_instant};
use super::{emergency, load, output, plan, run, zones};

/// Limits per page; eight changes an hour for 400 days stay within both.
const BOUNDS: Bounds = Bounds { steps: 80_000, time: Duration::from_secs(10) };

/// The limits of a look-ahead.
#[derive(Clone, Copy)]
struct Bounds {
    steps: usize,
    time: Duration,
}

/// The result of a look-ahead at a page.
pub struct Ahead {
    /// The first problem of each kind.
    pub problems: Vec<Problem>,
    /// End of the period that was checked.
    to: Instant,
}

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shown: Shown,
    /// Ask no API: check everything but the values against the pages' schemas
    #[arg(long)]
    offline: bool,
    /// Look ahead from this instant
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    at: Option<Instant>,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let from = arguments.at.unwrap_or_else(load::now);
    let to = from.checked_add_signed(HORIZON).unwrap_or(from);
    let view = match load::view(global, Some(from), Some(to)) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let mut problems = view.problems();
    problems.extend(view.ending(from));
    problems.extend(running_out(view.newest(), &view.settings.blueprint, &view.revision.inputs, from));
    problems.extend(doubtful_hours(view.newest(), &view.settings.blueprint, &view.revision.inputs));
    problems.extend(zones::problems(&view.settings, global, from));
    problems.extend(unmet_conditions(&view.settings.blueprint, &view.revision.inputs, from));
    problems.extend(run_needs(global, &view.settings));
    let pages = if arguments.offline {
        BTreeMap::new()
    } else {
        let client =
            ReadOnly::new(load::client(&view.settings.api, &load::key_source(&view.settings.api, global)?)?);
        plan::observe(&client, view.newest().pages.iter(), &view.settings.api).await
    };
    let mut schemas = Schemas::new(view.settings.assert_formats);
    let pages: Vec<(&Managed, Option<Result<Observed, String>>)> = view
        .newest()
        .pages
        .iter()
        .map(|managed| {
            let answer = pages.get(&managed.page.id).cloned();
            (managed, answer.map(|answer| answer.map(|page| Observed::new(page, &mut schemas))))
        })
        .collect();
    let looked = side_by_side(&pages, |(managed, observed)| match observed {
        Some(Err(error)) => Ahead { problems: vec![Problem::new(error).about(&managed.page.id)], to },
        Some(Ok(observed)) => {
            let mut ahead = look_ahead(managed, Some(observed), from, to);
            if let Ok(schema) = &observed.schema {
                let is_there = |key: &str| observed.page.variables.contains_key(key);
                ahead.problems.extend(strangers(managed, schema, is_there, from));
            }
            ahead
        }
        None => look_ahead(managed, None, from, to),
    });
    // A statement about all pages holds only up to the earliest end of their look-aheads.
    let to = looked.iter().map(|ahead| ahead.to).min().unwrap_or(to);
    problems.extend(looked.into_iter().flat_map(|ahead| ahead.problems));
    view.tell_held();
    view.tell_gone();
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    if arguments.shown.format == Format::Json {
        output::print_lines(problems.iter().map(|problem| {
            json!({
                "severity": if is_error(problem) { "error" } else { "warning" },
                "place": problem.origin.as_ref().map(ToString::to_string),
                "message": problem.message,
                "hint": problem.hint,
            })
        }))?;
    } else {
        output::show_problems(&problems);
        if !problems.iter().any(is_error) {
            let has_schema = |observed: &Option<Result<Observed, String>>| matches!(observed, Some(Ok(observed)) if observed.page.schema.is_some());
            // Pages without a schema give nothing to report.
            let what = match pages.iter().any(|(_, observed)| has_schema(observed)) {
                true => ", and every value up to then meets its page's schema",
                false => "",
            };
            output::print(&format!(
                "All is well: {} page(s), looked ahead to {}{what}. Zone database {}.\n",
                view.newest().pages.len(),
                to.date_naive(),
                view.settings.blueprint.zones,
            ));
        }
    }
    Ok(if problems.iter().any(is_error) { FAILED } else { OK })
}

/// Checks the needs of `run` beyond settings and inputs.
///
/// These are secret files, the port of `[listen]`, and a writable folder for the store.
fn run_needs(global: &Global, settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let StorePath::File(store) = &settings.store {
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
    for (name, file) in [
        ("listen.token_file", &listen.token_file),
        ("listen.webhook_secret_file", &listen.webhook_secret_file),
    ] {
        if let Some(Err(error)) = file.as_deref().map(SecretFile::open) {
            problems.push(Problem::new(format!("{name}: {error}")));
        }
    }
    // A running daemon holds the port, rightly.
    let runs = matches!(emergency::find(global), Ok(emergency::Found::Running(_)));
    if !runs && let Err(error) = std::net::TcpListener::bind(listen.address) {
        problems.push(run::cannot_listen(listen.address, &error));
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
        // A panic in a thread is a bug; it is as loud as it would be in this thread.
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Returns the problems that a page's values will have in a period.
pub fn look_ahead(managed: &Managed, observed: Option<&Observed>, from: Instant, to: Instant) -> Ahead {
    look_within(BOUNDS, managed, observed, from, to)
}

/// Steps between two reads of the elapsed time, since each is a system call.
const STEPS_PER_LOOK: usize = 64;

fn look_within(
    bounds: Bounds,
    managed: &Managed,
    observed: Option<&Observed>,
    from: Instant,
    to: Instant,
) -> Ahead {
    let (start, mut steps) = (worked(), 0);
    let (mut found, mut cut_short_at) = (Found::default(), None);
    managed.page.walk(from, to, |at, desired| {
        // The values at the start are always checked, however little time there is. During the
        // first steps the time is read at each one: a page whose steps take seconds has only few.
        let is_looked_at = steps > 0 && (steps < STEPS_PER_LOOK || steps % STEPS_PER_LOOK == 0);
        let is_over = || is_looked_at && worked().saturating_sub(start) >= bounds.time;
        if steps == bounds.steps || is_over() {
            cut_short_at = Some(at);
            return ControlFlow::Break(());
        }
        steps += 1;
        let refused = |desired| observed.map_or_else(Vec::new, |observed| observed.problems(desired));
        let problems = desired.map_or_else(|problems| problems, refused);
        problems.into_iter().for_each(|problem| found.add(problem, managed, at));
        ControlFlow::Continue(())
    });
    if let Some(at) = cut_short_at {
        return found.cut_short(managed, at);
    }
    Ahead { problems: found.told, to }
}

/// The problems of a page, one of each kind: `known` as found, `told` with page and time.
#[derive(Default)]
struct Found {
    known: Vec<Problem>,
    told: Vec<Problem>,
}

impl Found {
    fn add(&mut self, problem: Problem, managed: &Managed, at: Instant) {
        // A cell that is wrong every day is one problem.
        let is_new = self.known.iter().all(|known| {
            (&known.origin, &known.hint) != (&problem.origin, &problem.hint)
                || known.origin.is_none() && known.message != problem.message
        });
        if is_new {
            let when = format!("{} at {}", managed.page.id, zone::show(load::zone(managed), at));
            self.told.push(problem.clone().about(when));
            self.known.push(problem);
        }
    }

    fn cut_short(mut self, managed: &Managed, at: Instant) -> Ahead {
        let message = format!(
            "{} changes so often, or takes so long, that it was looked ahead only to {}",
            managed.page.id,
            at.date_naive()
        );
        self.told.push(Problem::new(message).warning());
        Ahead { problems: self.told, to: at }
    }
}

/// Returns the mismatches between a page's settings and its schema.
///
/// `is_there` returns true for a key that is on the page, no matter which client set it.
pub fn strangers(
    managed: &Managed,
    schema: &Schema,
    is_there: impl Fn(&str) -> bool,
    at: Instant,
) -> Vec<Problem> {
    let owned: Vec<(Variable, Option<Value>)> = match managed.page.desired(at) {
        Ok(desired) => {
            let values = desired.values.into_iter();
            values.map(|value| (value.variable, Some(value.wanted.to_json()))).collect()
        }
        Err(_) => managed.page.variables.iter().map(|owned| (owned.variable.clone(), None)).collect(),
    };
    let found = schema.strangers(&owned, is_there);
    found.into_iter().map(|problem| problem.about(&managed.page.id)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::compile::{Inputs, World};
    use crate::model::Instant;
    use crate::settings::{Settings, Surroundings};

    use super::{Ahead, Bounds, HORIZON, look_within};

    /// A look-ahead at a page with one variable.
    fn look(bounds: Bounds, variable: &str) -> (Vec<String>, Ahead) {
        let settings = format!(
            "timezone = \"Europe/London\"\n[api]\nregion = \"uk\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ a = {{ {variable} }} }}\n"
        );
        let settings =
            Settings::parse(Path::new("/rtconfd.toml"), settings.as_bytes(), &Surroundings::default());
        let settings = settings.unwrap_or_else(|report| panic!("{}", report.render(false)));
        let from: Instant = "2026-11-27T00:00:00Z".parse().unwrap();
        let world = World::over(&settings.blueprint, &Inputs::default(), from, from + HORIZON, None);
        let ahead = look_within(bounds, &world.pages[0], None, from, from + HORIZON);
        (ahead.problems.iter().map(ToString::to_string).collect(), ahead)
    }

    #[test]
    fn a_page_without_its_values_is_looked_at_hour_by_hour_for_a_week_and_then_day_by_day() {
        let bounds = Bounds { steps: 700, time: Duration::from_secs(600) };
        let half_past = "hours = { weekly = \"24/7\", special = { \"2026-11-27\" = \"09:30-17:30\" } }, show = \"opens_at\", format = \"hour\"";
        let always = half_past.replace("24/7", "Mo-Su 09:30-17:30");
        for (variable, told) in [(half_past, 1), (always.as_str(), 1)] {
            let (problems, ahead) = look(bounds, variable);
            assert_eq!(problems.len(), told, "{problems:?}");
            assert!(ahead.to == "2028-01-01T00:00:00Z".parse::<Instant>().unwrap(), "{}", ahead.to);
        }
    }

    #[test]
    fn a_page_that_takes_too_long_is_told_with_how_far_it_was_looked_at() {
        let often = "when = [{ cron = \"*/10 * * * *\", for = \"1m\", value = 1 }], otherwise = 2";
        for bounds in [
            Bounds { steps: 1_000, time: Duration::from_secs(600) },
            Bounds { steps: 80_000, time: Duration::ZERO },
        ] {
            let (problems, ahead) = look(bounds, often);
            let day = ahead.to.date_naive();
            let wanted = format!(
                "A-1/live changes so often, or takes so long, that it was looked ahead only to {day}"
            );
            assert!(problems.len() == 1 && problems[0].contains(&wanted), "{problems:?}");
        }
    }
}
