//! `rtconfd preview`: the coming changes.

use chrono::{Days, TimeDelta};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::agents_api::{ReadOnly, ReadPages};
use crate::compile::Managed;
use crate::limits::pages::MAX_PREVIEW_DAYS;
use crate::limits::time::MAX_SCAN_STEPS;
use crate::model::{Instant, PageId, Problem, same_value};
use crate::pages::{Owned, Transition, UntypedValue};
use crate::schema::Schema;
use crate::zone;

use super::global::{Exit, FAILED, Global, OK, Times, parse_instant};
use super::load::View;
use super::revisions::Chosen;
use super::{load, output};

use row::Row;

mod ics;
mod picture;
mod row;

/// Days that are shown by default.
const DEFAULT_DAYS: u64 = 14;

#[derive(Args)]
pub struct Arguments {
    /// The page, as AGENT/environment; all pages without it
    page: Option<PageId>,
    /// The format of the output
    #[arg(long, default_value = "table")]
    format: PreviewFormat,
    /// The start of the window [default: now]
    #[arg(long, visible_alias = "at", value_name = "INSTANT", value_parser = parse_instant)]
    from: Option<Instant>,
    /// The end of the window, not included [default: 14 days after the start]
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    to: Option<Instant>,
    /// The length of the window in days, instead of an end
    #[arg(
        long, conflicts_with = "to", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=MAX_PREVIEW_DAYS)
    )]
    days: Option<u64>,
    /// Show only this variable
    #[arg(long, value_name = "VARIABLE")]
    variable: Option<crate::model::Variable>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    times: Times,
}

/// The format of a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PreviewFormat {
    /// For people
    Table,
    /// For programs: one JSON object per line
    Json,
    /// For calendar programs: an iCalendar file
    Ics,
    /// A picture of the opening hours
    Svg,
    /// A web page with the opening hours, complete in one file
    Html,
}

pub async fn run(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    let from = arguments.from.unwrap_or_else(load::now);
    // Whole seconds, like transitions.
    let from = from - TimeDelta::nanoseconds(i64::from(from.timestamp_subsec_nanos()));
    let days = Days::new(arguments.days.unwrap_or(DEFAULT_DAYS));
    let to = arguments.to.or_else(|| from.checked_add_days(days)).unwrap_or(from);
    if to < from {
        anyhow::bail!("--to {} is before --from {}\n  hint: swap them", output::utc(to), output::utc(from));
    }
    let view = match load::view(global, Some(from), Some(to)) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let mut problems = view.problems();
    output::show_problems(&problems);
    let known = problems.len();
    let mut rows = Vec::new();
    let world = arguments.chosen.world(&view, view.newest(), arguments.format == PreviewFormat::Table)?;
    if let PreviewFormat::Svg | PreviewFormat::Html = arguments.format {
        let pages = view.pages(world, arguments.page.as_ref())?;
        let window = picture::Window { from, to, now: arguments.from.is_none().then_some(from) };
        let draw = if arguments.format == PreviewFormat::Svg { picture::svg } else { picture::html };
        output::print(&draw(&pages, window));
        return Ok(if problems.iter().any(Problem::is_error) { FAILED } else { OK });
    }
    for (index, managed) in view.pages(world, arguments.page.as_ref())?.into_iter().enumerate() {
        let schema = match schema(global, &view, managed).await {
            Ok(schema) => schema,
            Err(problem) => {
                problems.push(problem.about(&managed.page.id));
                continue;
            }
        };
        let spans = view.spans(managed, from, to).into_iter();
        let spans: Vec<_> = spans.map(|(page, from, to)| (page.by_place(), from, to)).collect();
        for (place, owned) in managed.page.variables.iter().enumerate() {
            if arguments.variable.as_ref().is_none_or(|selected| *selected == owned.variable) {
                let spans: Vec<(&Owned, Instant, Instant)> = spans
                    .iter()
                    .filter_map(|(page, from, to)| Some((*page.get(&owned.variable)?, *from, *to)))
                    .collect();
                match changes(managed, &spans, &schema, (index, place), MAX_SCAN_STEPS) {
                    Ok((changes, warning)) => {
                        rows.extend(changes);
                        problems.extend(warning);
                    }
                    Err(problem) => problems.push(problem.about(&managed.page.id)),
                }
            }
        }
    }
    rows.sort_by_key(|row| row.order);
    output::show_problems(&problems[known..]);
    match arguments.format {
        PreviewFormat::Json => output::print_lines(&rows)?,
        PreviewFormat::Ics => output::print(&ics::calendar(&rows, to, load::now())),
        PreviewFormat::Table | PreviewFormat::Svg | PreviewFormat::Html => {
            show(&rows, arguments.times);
        }
    }
    Ok(if problems.iter().any(Problem::is_error) { FAILED } else { OK })
}

/// Returns the changes of a variable, across its successive definitions.
///
/// Also returns a warning if they end early because the steps were used up.
fn changes(
    managed: &Managed,
    spans: &[(&Owned, Instant, Instant)],
    schema: &Schema,
    (index, place): (usize, usize),
    steps: usize,
) -> Result<(Vec<Row>, Option<Problem>), Problem> {
    let mut before = Value::Null;
    let mut rows: Vec<Row> = Vec::new();
    let Successive { found, cut_short } = transitions(spans, steps)?;
    for (owned, transition) in found {
        let value = typed(schema, owned, &transition.value)?;
        if !rows.is_empty() && same_value(&before, &value) {
            continue;
        }
        rows.push(Row {
            page: managed.page.id.to_string(),
            variable: owned.variable.to_string(),
            at: output::utc(transition.at),
            from: std::mem::replace(&mut before, value.clone()),
            to: value,
            because: transition.because,
            order: (transition.at, index, place),
            zone: load::zone(managed),
        });
    }
    let warning = cut_short.map(|(owned, at)| {
        let (page, variable) = (&managed.page.id, &owned.variable);
        let shown = zone::show(load::zone(managed), at);
        let message =
            format!("{page}: {variable} changes so often that its changes are listed only up to {shown}");
        Problem::new(message)
            .hint(format!("to list the later ones, run preview with --from {}", output::utc(at)))
            .warning()
    });
    Ok((rows, warning))
}

/// The transitions of a variable's successive definitions.
#[derive(Default)]
struct Successive<'a> {
    /// The transitions, each with its definition.
    found: Vec<(&'a Owned, Transition)>,
    /// The definition that changes too often, and the instant up to which it was evaluated.
    cut_short: Option<(&'a Owned, Instant)>,
}

/// Returns all transitions, up to the instant at which the steps for one definition are used up.
fn transitions<'a>(spans: &[(&'a Owned, Instant, Instant)], steps: usize) -> Result<Successive<'a>, Problem> {
    let mut all = Successive::default();
    for (owned, from, to) in spans {
        let transitions = owned.transitions(*from, *to, steps)?;
        all.found.extend(transitions.found.into_iter().map(|transition| (*owned, transition)));
        all.cut_short = transitions.cut_short_at.map(|at| (*owned, at));
        if all.cut_short.is_some() {
            break;
        }
    }
    Ok(all)
}

/// Returns a value as it will be sent: a cell takes its type from the schema.
pub fn typed(schema: &Schema, owned: &Owned, value: &UntypedValue) -> Result<Value, Problem> {
    schema.typed(&owned.variable, value)
}

/// Returns the page's schema, which only cells need: the stored one, else that of the API.
///
/// Without either, a cell is shown as text.
async fn schema(global: &Global, view: &View, managed: &Managed) -> Result<Schema, Problem> {
    let known = view.stored.get(&managed.page.id).and_then(|stored| stored.schema.clone());
    let has_cells = managed.page.variables.iter().any(|owned| owned.definition.has_cells());
    if known.is_some() || !has_cells {
        return Schema::compile(known.as_deref());
    }
    let client = load::key_source(&view.settings.api, global)
        .and_then(|source| load::client(&view.settings.api, &source));
    let asked = match client {
        Ok(client) => ReadOnly::new(client).page(&managed.page.id).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match asked {
        Ok(page) => Schema::compile(page.schema.as_deref()),
        Err(error) => {
            output::remark(&format!(
                "warning: {}: without the page's schema its cells are shown as text: {error}",
                managed.page.id
            ));
            Schema::compile(None)
        }
    }
}

fn show(rows: &[Row], times: Times) {
    output::print_table(
        ["AT", "PAGE", "VARIABLE", "FROM", "TO", "BECAUSE"],
        &["BECAUSE"],
        rows.iter().map(|row| {
            let [from, to] = output::both(&row.from, &row.to, 40);
            let at = times.show(row.zone, row.order.0);
            [at, row.page.clone(), row.variable.clone(), from, to, row.because.clone()]
        }),
    );
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::TimeDelta;

    use crate::compile::{Inputs, World};
    use crate::limits::time::MAX_SCAN_STEPS;
    use crate::model::Instant;
    use crate::schema::Schema;
    use crate::settings::{Settings, Surroundings};

    use super::changes;

    #[test]
    fn a_variable_that_changes_too_often_is_reported_with_the_instant_listed_up_to() {
        let settings = "timezone = \"Europe/London\"\n[api]\nregion = \"uk\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { a = { when = [{ cron = \"*/10 * * * *\", for = \"1m\", value = 1 }], otherwise = 2 } }\n";
        let settings =
            Settings::parse(Path::new("/rtconfd.toml"), settings.as_bytes(), &Surroundings::default());
        let settings = settings.unwrap_or_else(|report| panic!("{}", report.render(false)));
        let from: Instant = "2026-11-27T00:00:00Z".parse().unwrap();
        let to = from + TimeDelta::hours(1);
        let world = World::over(&settings.blueprint, &Inputs::default(), from, to, None);
        let managed = &world.pages[0];
        let spans: Vec<_> = managed.page.variables.iter().map(|owned| (owned, from, to)).collect();
        let schema = Schema::compile(None).unwrap();
        let listed = |steps: usize| {
            let (rows, warning) = changes(managed, &spans, &schema, (0, 0), steps).unwrap();
            (rows.len(), warning.map(|warning| (warning.is_error(), warning.to_string())))
        };
        assert_eq!(listed(MAX_SCAN_STEPS), (12, None));
        assert_eq!(listed(12), (12, None), "the last step reaches the end");
        let message = "A-1/live: a changes so often that its changes are listed only up to Fri 2026-11-27 00:50:00 Europe/London (2026-11-27T00:50:00Z) (hint: to list the later ones, run preview with --from 2026-11-27T00:50:00Z)";
        assert_eq!(listed(10), (10, Some((false, message.to_owned()))));
    }
}
