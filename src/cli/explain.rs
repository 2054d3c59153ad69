//! `rtconfd explain PAGE VARIABLE`: explains a value.
//!
//! It shows the origin, the start and end of the value, and the alternatives.

use chrono::TimeDelta;
use clap::Args;
use serde_json::{Value, json};

use crate::compile::Managed;
use crate::hours::HoursOverride;
use crate::limits::pages::MAX_SINCE;
use crate::limits::time::{HORIZON, MAX_SCAN_STEPS};
use crate::model::{Instant, PageId, Row, Variable};
use crate::pages::{Definition, Evaluated, Owned};
use crate::schema::Schema;
use crate::zone;

use super::global::{Exit, Format, Global, OK, Shown, parse_instant};
use super::preview::typed;
use super::revisions::Chosen;
use super::{load, output, revisions};

#[derive(Args)]
pub struct Arguments {
    /// The page, as AGENT/environment
    page: PageId,
    /// The variable: a key of the page, or a pointer such as /messages/seasonal
    variable: Variable,
    #[command(flatten)]
    shown: Shown,
    /// Explain the value at this instant
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    at: Option<Instant>,
    #[command(flatten)]
    chosen: Chosen,
}

pub fn run(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    let at = arguments.at.unwrap_or_else(load::now);
    let view = match load::view(global, Some(at), None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    output::show_problems(&view.problems());
    // A page that was never active is explained as written.
    let world = if view.world.page(&arguments.page).is_some() { &view.world } else { view.newest() };
    let world = arguments.chosen.world(&view, world, arguments.shown.format == Format::Table)?;
    let managed = view.pages(world, Some(&arguments.page))?[0];
    let Some(owned) = managed.page.owned(&arguments.variable) else {
        let known: Vec<String> =
            managed.page.variables.iter().map(|owned| owned.variable.to_string()).collect();
        anyhow::bail!(
            "{} does not own {}\n  hint: it owns: {}",
            arguments.page,
            arguments.variable,
            known.join(", ")
        );
    };
    let stored = view.stored.get(&arguments.page);
    let schema = Schema::compile(stored.and_then(|stored| stored.schema.as_deref()))
        .map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let mut reported = explain(managed, owned, &schema, at)?;
    reported["revision"] = revisions::name(&view, world).into();
    match arguments.shown.format {
        Format::Json => output::print_lines([reported])?,
        Format::Table => show(&reported, managed),
    }
    Ok(OK)
}

fn explain(managed: &Managed, owned: &Owned, schema: &Schema, at: Instant) -> anyhow::Result<Value> {
    let problem = |problem: crate::model::Problem| anyhow::anyhow!("{problem}");
    let evaluated = owned.definition.evaluate(at).map_err(problem)?;
    let from = at.checked_sub_signed(MAX_SINCE).unwrap_or(at);
    let to = at.checked_add_signed(HORIZON).unwrap_or(at);
    // An error at another instant does not prevent the explanation of this one.
    let until_now = at.checked_add_signed(TimeDelta::milliseconds(1)).unwrap_or(at);
    let before = owned.transitions(from, until_now, MAX_SCAN_STEPS).unwrap_or_default();
    let last = before.found.last().filter(|_| before.cut_short_at.is_none());
    let since = last.map(|transition| transition.at).filter(|since| *since > from);
    let until = owned.definition.next_transition(at, to).map(|transition| transition.at);
    Ok(json!({
        "page": managed.page.id.to_string(),
        "variable": owned.variable.to_string(),
        "at": output::utc(at),
        "value": typed(schema, owned, &evaluated.value).map_err(problem)?,
        "origin": evaluated.origin.to_string(),
        "because": owned.definition.because(at),
        "since": since.map(output::utc),
        "until": until.map(output::utc),
        "parts": parts(&owned.definition, at),
        "considered": considered(&owned.definition, at),
    }))
}

/// Returns the parts of an object or array that may change, each named by its row or position.
fn parts(definition: &Definition, at: Instant) -> Vec<Value> {
    let mut walk = Parts { at, ahead: TimeDelta::zero(), overrides: Vec::new(), found: Vec::new() };
    walk.inside(definition, "");
    walk.found
}

struct Parts<'d> {
    at: Instant,
    ahead: TimeDelta,
    /// Active overrides and the instants at which they start.
    overrides: Vec<(Instant, &'d str)>,
    found: Vec<Value>,
}

impl<'d> Parts<'d> {
    /// Visits the parts of a definition; returns false if it has none.
    fn inside(&mut self, definition: &'d Definition, name: &str) -> bool {
        let inner = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name} {part}") };
        match definition {
            Definition::Object { entries, .. } => {
                entries.iter().for_each(|(key, entry)| self.one(entry, &inner(key)));
            }
            Definition::List { items, rows, .. } => {
                for (index, item) in items.iter().enumerate() {
                    let row = rows.get(index).and_then(Row::name);
                    let part = row.map_or_else(|| (index + 1).to_string(), |row| row.to_string());
                    self.one(item, &inner(&part));
                }
            }
            Definition::Overridden(overridden) if overridden.is_on(self.at) => {
                self.overrides.push((overridden.from, &overridden.words));
                return self.inside(&overridden.during, name);
            }
            Definition::Overridden(overridden) => return self.inside(&overridden.computed, name),
            Definition::Ahead { of, by } => {
                self.ahead += *by;
                return self.inside(of, name);
            }
            _ => return false,
        }
        true
    }

    fn one(&mut self, definition: &'d Definition, name: &str) {
        let stays = matches!(definition, Definition::Constant { .. } | Definition::Cell(_));
        if stays || self.inside(definition, name) {
            return;
        }
        let then = self.at.checked_add_signed(self.ahead).unwrap_or(self.at);
        self.found.push(match definition.evaluate(then) {
            Ok(Evaluated { value, until, .. }) => json!({
                "of": name,
                "value": value.to_json(),
                "because": self.override_of(definition, then).map_or_else(|| definition.because(then), str::to_owned),
                "until": until.and_then(|until| until.checked_sub_signed(self.ahead)).map(output::utc),
            }),
            Err(problem) => {
                json!({ "of": name, "value": null, "because": problem.to_string(), "until": null })
            }
        });
    }

    /// Returns the description of the override that applies to hours.
    fn override_of(&self, definition: &Definition, then: Instant) -> Option<&'d str> {
        let holds =
            |forced: &&HoursOverride| forced.from <= then && forced.until.is_none_or(|until| then < until);
        let Definition::Hours { hours, .. } = definition else { return None };
        let forced = hours.forced.iter().rev().find(holds)?;
        let set_at = |(from, _): &&(Instant, &str)| from.checked_add_signed(self.ahead) == Some(forced.from);
        self.overrides.iter().find(set_at).map(|(_, words)| *words)
    }
}

/// Returns the alternatives for the value, and why each applies or not.
fn considered(definition: &Definition, at: Instant) -> Vec<String> {
    match definition {
        Definition::When { clauses, .. } => {
            let mut decided = false;
            let reported = clauses.iter().enumerate().map(|(index, clause)| {
                let holds = clause.holds(at);
                let verdict = match (holds, decided) {
                    (true, false) => "matches, and is first",
                    (true, true) => "matches, but an earlier clause comes first",
                    (false, _) => "does not match",
                };
                decided |= holds;
                format!("clause {} {verdict}: {}", index + 1, clause.describe())
            });
            reported.collect()
        }
        Definition::Hours { hours, .. } => {
            let date = hours.today(at);
            vec![
                match hours.special.on(date) {
                    Some(day) => format!("special date {date} applies ({})", day.origin),
                    None => format!("no special date on {date}"),
                },
                match hours.closures.days.get(&date).and_then(|entries| entries.first()) {
                    Some(entry) => format!("closing calendar: \"{}\" ({})", entry.name, entry.origin),
                    None => format!("no closing calendar has {date}"),
                },
                format!("hours of {date}, all rules combined: {}", hours.text(date)),
            ]
        }
        Definition::Overridden(overridden) => {
            let holds = overridden.from <= at && overridden.until.is_none_or(|until| at < until);
            let verdict = if holds { "active" } else { "not active at that time" };
            let mut reported = vec![format!("{verdict}: {}", overridden.words)];
            reported.extend(considered(&overridden.computed, at));
            reported
        }
        Definition::Ahead { of, by } => considered(of, at.checked_add_signed(*by).unwrap_or(at)),
        Definition::Object { .. } | Definition::List { .. } | Definition::Expression(_) => {
            definition.parts().flat_map(|part| considered(part, at)).collect()
        }
        Definition::Constant { .. }
        | Definition::Cell(_)
        | Definition::Set { .. }
        | Definition::Calendar { .. } => Vec::new(),
    }
}

fn show(reported: &Value, managed: &Managed) {
    let here = load::zone(managed);
    let instant = |key: &str| {
        let at: Option<Instant> = reported[key].as_str().and_then(|text| text.parse().ok());
        at.map(|at| zone::show(here, at))
    };
    let text = |key: &str| reported[key].as_str().unwrap_or_default().to_owned();
    let line = |name: &str, value: String| output::print(&format!("{name:<11}{value}\n"));
    line("page", text("page"));
    line("variable", text("variable"));
    line("at", instant("at").unwrap_or_default());
    line("value", reported["value"].to_string());
    line("because", text("because"));
    line("written", text("origin"));
    let (before, ahead) = (MAX_SINCE.num_days(), HORIZON.num_days());
    line("since", instant("since").unwrap_or_else(|| format!("no change found in the {before} days before")));
    line("until", instant("until").unwrap_or_else(|| format!("no change within {ahead} days")));
    for part in reported["parts"].as_array().into_iter().flatten() {
        let text = |key: &str| part[key].as_str().unwrap_or_default();
        let until: Option<Instant> = text("until").parse().ok();
        let until = until.map_or_else(String::new, |until| format!(", until {}", zone::show(here, until)));
        line("part", format!("{}: {}, because {}{until}", text("of"), part["value"], text("because")));
    }
    for (index, considered) in reported["considered"].as_array().into_iter().flatten().enumerate() {
        let name = if index == 0 { "considered" } else { "" };
        line(name, considered.as_str().unwrap_or_default().to_owned());
    }
}
