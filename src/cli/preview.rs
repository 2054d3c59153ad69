//! `rtconfd preview`: the coming changes.

use chrono::{Days, TimeDelta};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::agents_api::{ReadOnly, ReadPages};
use crate::compile::Managed;
use crate::limits::pages::MAX_PREVIEW_DAYS;
use crate::model::{Instant, PageId, Problem, same_value, shorten};
use crate::pages::{Owned, Transition, UntypedValue};
use crate::schema::Schema;
use crate::zone;

use super::global::{Exit, FAILED, Format, Global, OK, Shown, parse_instant};
use super::load::View;
use super::{load, output};

/// Days that are shown by default.
const DEFAULT_DAYS: u64 = 14;

#[derive(Args)]
pub struct Arguments {
    /// The page, as AGENT/environment; all pages without it
    page: Option<PageId>,
    #[command(flatten)]
    shown: Shown,
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
}

/// One change; `from` is null for the value at the start of the window.
#[derive(Serialize)]
struct Row {
    page: String,
    variable: String,
    at: String,
    from: Value,
    to: Value,
    because: String,
    #[serde(skip)]
    order: (Instant, usize, usize),
    #[serde(skip)]
    at_shown: String,
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
    view.report_shown_revision(true);
    for (index, managed) in view.pages(view.newest(), arguments.page.as_ref())?.into_iter().enumerate() {
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
                match changes(managed, &spans, &schema, (index, place)) {
                    Ok(changes) => rows.extend(changes),
                    Err(problem) => problems.push(problem.about(&managed.page.id)),
                }
            }
        }
    }
    rows.sort_by_key(|row| row.order);
    output::show_problems(&problems[known..]);
    show(&rows, arguments.shown.format)?;
    Ok(if problems.iter().any(Problem::is_error) { FAILED } else { OK })
}

/// Returns the changes of a variable, across its successive definitions.
fn changes(
    managed: &Managed,
    spans: &[(&Owned, Instant, Instant)],
    schema: &Schema,
    (index, place): (usize, usize),
) -> Result<Vec<Row>, Problem> {
    let mut before = Value::Null;
    let mut rows: Vec<Row> = Vec::new();
    for (owned, transition) in transitions(spans)? {
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
            at_shown: zone::show(load::zone(managed), transition.at),
        });
    }
    Ok(rows)
}

fn transitions<'a>(spans: &[(&'a Owned, Instant, Instant)]) -> Result<Vec<(&'a Owned, Transition)>, Problem> {
    let mut all = Vec::new();
    for (owned, from, to) in spans {
        all.extend(owned.transitions(*from, *to)?.into_iter().map(|transition| (*owned, transition)));
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

fn show(rows: &[Row], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::print_lines(rows);
    }
    output::print_table(
        ["AT", "PAGE", "VARIABLE", "FROM", "TO", "BECAUSE"],
        rows.iter().map(|row| {
            let from = if row.from.is_null() { "-".to_owned() } else { shorten(&row.from, 40) };
            [
                row.at_shown.clone(),
                row.page.clone(),
                row.variable.clone(),
                from,
                shorten(&row.to, 40),
                row.because.clone(),
            ]
        }),
    );
    Ok(())
}
