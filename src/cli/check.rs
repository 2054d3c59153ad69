//! `rtconfd check`: settings, inputs, and the values of the coming 400 days against today's schemas.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use clap::Args;
use serde_json::{Value, json};

use crate::agents_api::ReadOnly;
use crate::desired::{Desired, Managed, running_out, unmet_conditions};
use crate::model::{Instant, Problem, Severity, Variable};
use crate::reconcile::Observed;
use crate::schema::{Schemas, check};
use crate::zone;

use super::{Exit, FAILED, Format, Global, OK, Shown, load, output, parse_instant, plan};

/// How far ahead values are checked, so that Christmas fails in October.
pub const AHEAD: TimeDelta = TimeDelta::days(400);

/// Instants of one page that are looked at; eight changes an hour for 400 days are fewer.
const MAX_STEPS: usize = 80_000;

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
    let to = from.checked_add_signed(AHEAD).unwrap_or(from);
    let view = match load::view(global, Some(from), Some(to)) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let mut problems = view.problems();
    problems.extend(view.ending(from));
    problems.extend(running_out(view.newest(), &view.settings.blueprint, &view.revision.inputs, from));
    problems.extend(unmet_conditions(&view.settings.blueprint, &view.revision.inputs, from));
    let pages = if arguments.offline {
        BTreeMap::new()
    } else {
        let client =
            ReadOnly::new(load::client(&view.settings.api, &load::key_source(&view.settings.api, global)?)?);
        plan::observe(&client, view.newest().pages.iter(), &view.settings.api).await
    };
    let mut schemas = Schemas::default();
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
        Some(Err(error)) => vec![Problem::new(error).about(&managed.page.id)],
        Some(Ok(observed)) => {
            let mut problems = look_ahead(managed, Some(observed), from, to);
            problems.extend(strangers(managed, observed, from));
            problems
        }
        None => look_ahead(managed, None, from, to),
    });
    problems.extend(looked.into_iter().flatten());
    view.tell_held();
    view.tell_gone();
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    if arguments.shown.format == Format::Json {
        output::print_lines(problems.iter().map(|problem| {
            json!({
                "place": problem.origin.as_ref().map(ToString::to_string),
                "message": problem.message,
                "hint": problem.hint,
            })
        }))?;
    } else {
        output::show_problems(&problems);
        if !problems.iter().any(is_error) {
            let what =
                if arguments.offline { "" } else { ", and every value up to then meets its page's schema" };
            output::print(&format!(
                "All is well: {} page(s), looked ahead to {}{what}.\n",
                view.newest().pages.len(),
                to.date_naive()
            ));
        }
    }
    Ok(if problems.iter().any(is_error) { FAILED } else { OK })
}

/// What some work makes of each item, in their order; on all cores, since 400 days of thousands of pages take their time.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = &work;
    std::thread::scope(|scope| {
        let shares = items.chunks(items.len().div_ceil(cores).max(1));
        let workers: Vec<_> =
            shares.map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<R>>())).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        // What panics in a thread is a bug of ours, as loud as without.
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The first of each kind of problem that a page will have.
pub fn look_ahead(
    managed: &Managed,
    observed: Option<&Observed>,
    from: Instant,
    to: Instant,
) -> Vec<Problem> {
    let page = &managed.page;
    let mut found: Vec<(Problem, Problem)> = Vec::new();
    let (mut at, mut before) = (from, None);
    for step in 0.. {
        if at >= to {
            break;
        }
        if step == MAX_STEPS {
            let message =
                format!("{} changes so often that it was looked ahead only to {}", page.id, at.date_naive());
            let problem = Problem::new(message).warning();
            found.push((problem.clone(), problem));
            break;
        }
        let desired = match before.take() {
            Some(before) => page.desired_later(before, at),
            None => page.desired(at),
        };
        let (problems, until) = match &desired {
            Ok(desired) => (refused(desired, observed), desired.until),
            Err(problems) => (problems.clone(), at.checked_add_signed(TimeDelta::hours(1))),
        };
        before = desired.ok();
        for problem in problems {
            // One cell that is wrong every day is one problem.
            let is_new = found.iter().all(|(known, _)| {
                (&known.origin, &known.hint) != (&problem.origin, &problem.hint)
                    || known.origin.is_none() && known.message != problem.message
            });
            if is_new {
                let told =
                    problem.clone().about(format!("{} at {}", page.id, zone::show(load::zone(managed), at)));
                found.push((problem, told));
            }
        }
        match until {
            Some(until) if until > at => at = until,
            _ => break,
        }
    }
    found.into_iter().map(|(_, told)| told).collect()
}

/// What the page's schema has against values, as far as it is known.
fn refused(desired: &Desired, observed: Option<&Observed>) -> Vec<Problem> {
    let Some(observed) = observed else { return Vec::new() };
    let checked = match &observed.schema {
        Ok(schema) => check(desired, &observed.page, schema).map(drop),
        Err(problem) => Err(vec![problem.clone()]),
    };
    checked.err().unwrap_or_default()
}

/// What settings and schema of a page don't know of each other.
pub fn strangers(managed: &Managed, observed: &Observed, at: Instant) -> Vec<Problem> {
    let Ok(schema) = &observed.schema else { return Vec::new() };
    let owned: Vec<(Variable, Option<Value>)> = match managed.page.desired(at) {
        Ok(desired) => {
            let values = desired.values.into_iter();
            values.map(|value| (value.variable, Some(value.wanted.to_json()))).collect()
        }
        Err(_) => managed.page.variables.iter().map(|owned| (owned.variable.clone(), None)).collect(),
    };
    let found = schema.strangers(&owned, &observed.page.variables);
    found.into_iter().map(|problem| problem.about(&managed.page.id)).collect()
}
