//! `rtconfd diff`: the changes of a held revision against the active one, by site.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use crate::limits::changes::HOLD_AHEAD;
use crate::model::Instant;
use crate::plan::{Changed, Difference, differences};
use crate::zone::Zone;

use super::global::{CHANGES, Exit, Format, Global, OK, Shown, Times};
use super::load::Rollout;
use super::{load, output};

#[derive(Args)]
pub struct Arguments {
    /// The held revision, as shown by status and in the log [default: the one that is held]
    revision: Option<String>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    shown: Shown,
}

pub async fn run(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    let view = match load::view(global, None, None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    output::show_problems(&view.problems());
    let id = &view.id;
    if view.held.is_none() && view.rollout.is_none() {
        if let Some(revision) = &arguments.revision {
            bail!(
                "revision {revision} is not held: no revision is held\n  hint: run rtconfd preview to \
                 show the coming changes"
            );
        }
        output::remark("No revision is held: settings and inputs are active as they are.");
        return Ok(OK);
    }
    if let Some(requested) = arguments.revision.as_ref().filter(|requested| *requested != id) {
        let state = if view.held.is_some() { "held" } else { "being rolled out" };
        bail!("revision {requested} is not held\n  hint: name {id}, which is {state}");
    }
    let now = load::now();
    let newest = view.newest();
    let found = differences(view.active(), newest, now);
    match arguments.shown.format {
        Format::Json => output::print_lines(found.iter().map(to_json))?,
        Format::Table => {
            let at = |difference: &Difference, at: Instant| {
                let here = newest.page(&difference.page).map_or(Zone::UTC, load::zone);
                arguments.times.show(here, at)
            };
            output::remark(&format!(
                "Revision {id} against the active one, next {} days:",
                HOLD_AHEAD.num_days()
            ));
            output::print_table(
                ["PAGE", "SITE OR VARIABLE", "FROM", "BEFORE", "AFTER"],
                &[],
                found.iter().map(|difference| row(difference, now, |instant| at(difference, instant))),
            );
            if found.is_empty() {
                output::remark("It changes no value in this period.");
            }
            output::remark(&match &view.rollout {
                None => format!("Approve it with: rtconfd approve {id}"),
                Some(rollout) => in_rollout(rollout, &found),
            });
        }
    }
    Ok(CHANGES)
}

/// Describes how far the rollout of an approved revision is.
fn in_rollout(rollout: &Rollout, found: &[Difference]) -> String {
    let pages: BTreeSet<String> = found.iter().map(|difference| difference.page.to_string()).collect();
    let sent = pages.intersection(&rollout.reached).count();
    format!("It is approved and being rolled out: sent to {sent} of {} page(s) so far.", pages.len())
}

fn row(difference: &Difference, now: Instant, at: impl Fn(Instant) -> String) -> [String; 5] {
    let page = difference.page.to_string();
    let none = || "-".to_owned();
    match &difference.what {
        Changed::NewPage => [page, none(), "now".to_owned(), none(), "a new page".to_owned()],
        Changed::Gone => [page, none(), "now".to_owned(), none(), "no longer defined".to_owned()],
        Changed::Hours { site, from, dates, before, after } => {
            let days = if *dates == 1 { String::new() } else { format!(", on {dates} dates") };
            [page, site.clone(), format!("{} {from}{days}", from.format("%a")), before.clone(), after.clone()]
        }
        Changed::Row { name, is_new: true } => {
            [page, name.clone(), "now".to_owned(), none(), "a new row".to_owned()]
        }
        Changed::Row { name, is_new: false } => {
            [page, name.clone(), "now".to_owned(), "a row".to_owned(), "gone".to_owned()]
        }
        Changed::Value { name, from, before, after } => {
            let [before, after] = output::both(before, after, 60);
            let from = if *from <= now { "now".to_owned() } else { at(*from) };
            [page, name.clone(), from, before, after]
        }
        Changed::NotCompared { name, from } => {
            let after = "changes too often to be compared".to_owned();
            [page, name.clone(), at(*from), none(), after]
        }
    }
}

fn to_json(difference: &Difference) -> Value {
    let page = difference.page.to_string();
    match &difference.what {
        Changed::NewPage => json!({"page": page, "change": "new"}),
        Changed::Gone => json!({"page": page, "change": "gone"}),
        Changed::Hours { site, from, dates, before, after } => json!({
            "page": page, "change": "hours", "site": site, "from": from, "dates": dates, "before": before, "after": after,
        }),
        Changed::Row { name, is_new } => json!({
            "page": page, "change": if *is_new { "new row" } else { "row gone" }, "row": name,
        }),
        Changed::Value { name, from, before, after } => json!({
            "page": page, "change": "value", "variable": name, "from": from, "before": before, "after": after,
        }),
        Changed::NotCompared { name, from } => json!({
            "page": page, "change": "not compared", "variable": name, "from": from,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::compile::{Inputs, World};
    use crate::limits::time::HORIZON;
    use crate::model::Instant;
    use crate::plan::differences;
    use crate::settings::{Settings, Surroundings};

    use super::row;
    use crate::zone::{self, Zone};

    #[test]
    fn a_value_that_changes_too_often_is_reported_as_not_compared() {
        let from: Instant = "2026-11-27T00:00:00Z".parse().unwrap();
        let quarters: Vec<String> = (0..96)
            .map(|at| format!("{:02}:{:02}-{0:02}:{:02}", at / 4, at % 4 * 15, at % 4 * 15 + 5))
            .collect();
        let world = |variable: &str| {
            let settings = format!(
                "timezone = \"UTC\"\n[api]\nregion = \"uk\"\n[hours.desk]\nweekly = \"Mo-Su {}\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = \"desk\"\nvariables = {{ a = {{ {variable} }}, b = {{ show = \"is_open\" }} }}\n",
                quarters.join(",")
            );
            let settings =
                Settings::parse(Path::new("/rtconfd.toml"), settings.as_bytes(), &Surroundings::default());
            let settings = settings.unwrap_or_else(|report| panic!("{}", report.render(false)));
            World::over(&settings.blueprint, &Inputs::default(), from, from + HORIZON, None)
        };
        let until = |date: &str| {
            world(&format!(
                "when = [{{ from = \"{date}\", until = \"2026-12-11\", value = true }}], otherwise = {{ show = \"is_open\" }}"
            ))
        };
        let before = world("show = \"is_open\"");
        let reported = |after: &World| -> Vec<[String; 5]> {
            let found = differences(&before, after, from);
            found
                .iter()
                .map(|difference| row(difference, from, |at| zone::show_local(Zone::UTC, at)))
                .collect()
        };
        assert_eq!(reported(&before), Vec::<[String; 5]>::new());
        // The value changes 192 times a day, and 1,000 changes are compared.
        let early = reported(&until("2026-12-01"));
        assert!(early.len() == 1 && early[0][4] == "true", "{early:?}");
        let late = reported(&until("2026-12-10"));
        assert!(late.len() == 1 && late[0][2].starts_with("Wed 2026-12-02 05:"), "{late:?}");
        assert_eq!(late[0][4], "changes too often to be compared");
    }
}
