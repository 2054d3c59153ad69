//! `rtconfd plan`: the actions that `apply` would take, with a read-only client.

use std::collections::BTreeMap;

use clap::Args;
use futures_util::StreamExt;
use serde_json::Value;

use crate::agents_api::{Client, ReadOnly, ReadPages};
use crate::compile::Managed;
use crate::limits::time::HORIZON;
use crate::model::{Environment, Instant, PageId, Problem, RemotePage};
use crate::plan::{Answer, Plan};
use crate::reconcile::{Decision, Knowledge, Observed, decide};
use crate::schema::Schemas;
use crate::settings::Api;
use crate::zone;

use super::global::{CHANGES, Exit, FAILED, Format, Global, HELD, OK, Shown, parse_instant};
use super::progress::Progress;
use super::rate::Rate;
use super::{load, output, revisions};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shown: Shown,
    /// Plan as if it were this instant
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    at: Option<Instant>,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let view = match load::view(global, arguments.at, None) {
        Ok(view) => view?,
        Err(exit) => return Ok(exit),
    };
    let client =
        ReadOnly::new(load::client(&view.settings.api, &load::key_source(&view.settings.api, global)?)?);
    let due = view.due();
    let pages = observe(&client, due.iter().copied(), &view.settings.api).await;
    let now = arguments.at.unwrap_or_else(load::now);
    let mut outcome = Outcome {
        rows: Vec::new(),
        failed: view.problems().iter().any(Problem::is_error),
        held: view.held.is_some(),
    };
    output::show_problems(&view.problems());
    view.report_held();
    if view.held.is_some() || view.rollout.is_some() {
        revisions::report(&view, &view.world);
    }
    view.report_gone();
    view.report_promotion(None);
    let mut schemas = Schemas::new(view.settings.assert_formats);
    for managed in due {
        let id = &managed.page.id;
        let page = match pages.get(id) {
            Some(Ok(page)) => page.clone(),
            Some(Err(error)) => {
                outcome.fail(id, error);
                continue;
            }
            None => continue,
        };
        let stored = view.stored.get(id).cloned().unwrap_or_default();
        let mut known = Knowledge::new(Some(Observed::new(page, &mut schemas)), stored.baseline, stored.open);
        outcome.decide(managed, &mut known, now);
    }
    outcome.show(arguments.shown.format)?;
    Ok(outcome.exit())
}

/// Fetches every page within the rate limit.
///
/// It lists the pages of each agent, and fetches those singly that the list lacks.
pub async fn observe<'m>(
    client: &ReadOnly<Client>,
    pages: impl Iterator<Item = &'m Managed>,
    api: &Api,
) -> BTreeMap<PageId, Result<RemotePage, String>> {
    let mut agents: BTreeMap<&str, Vec<&PageId>> = BTreeMap::new();
    for managed in pages {
        agents.entry(&managed.page.id.agent).or_default().push(&managed.page.id);
    }
    let total = agents.values().map(Vec::len).sum();
    let (rate, progress) = (&Rate::new(api), &Progress::new("fetching pages", total));
    let fetches = agents.into_iter().map(|(agent, pages)| async move {
        rate.wait().await;
        // An unknown agent answers 403 to a list; a fetch of its page gives a better error.
        let listed = client.list(agent).await.unwrap_or_default();
        let mut listed: BTreeMap<Environment, RemotePage> = listed.into_iter().collect();
        let mut found = Vec::new();
        for id in pages {
            let page = match listed.remove(&id.environment) {
                Some(page) => Ok(page),
                None => {
                    rate.wait().await;
                    client.page(id).await.map_err(|error| error.to_string())
                }
            };
            found.push((id.clone(), page));
            progress.add(1);
        }
        found
    });
    let found: Vec<_> = futures_util::stream::iter(fetches).buffer_unordered(api.concurrency).collect().await;
    found.into_iter().flatten().collect()
}

#[derive(serde::Serialize)]
struct Row {
    page: String,
    variable: Option<String>,
    action: &'static str,
    from: Value,
    to: Value,
    because: String,
    until: Option<String>,
    #[serde(skip)]
    until_shown: String,
}

struct Outcome {
    rows: Vec<Row>,
    failed: bool,
    /// True if a revision is held.
    held: bool,
}

impl Outcome {
    fn fail(&mut self, page: &PageId, why: &str) {
        self.failed = true;
        self.rows.push(Row {
            page: page.to_string(),
            variable: None,
            action: "fail",
            from: Value::Null,
            to: Value::Null,
            because: why.to_owned(),
            until: None,
            until_shown: String::new(),
        });
    }

    fn decide(&mut self, managed: &Managed, known: &mut Knowledge, now: Instant) {
        let id = &managed.page.id;
        loop {
            match decide(&managed.page, known, now) {
                Decision::Fetch => return self.fail(id, "the page was not fetched"),
                // The page was just fetched, so it shows the outcome of the open change.
                Decision::Settle(open, found) => {
                    if found == crate::plan::IntentOutcome::Applied {
                        let values = open.changes.into_iter();
                        known.baseline.extend(values.map(|change| (change.variable, change.to)));
                    }
                    known.open = None;
                }
                Decision::Withhold { problems, .. } => {
                    for problem in problems {
                        self.fail(id, &problem.to_string());
                    }
                    return;
                }
                Decision::Plan { plan, .. } => return self.add(managed, plan, now),
            }
        }
    }

    fn add(&mut self, managed: &Managed, plan: Plan, now: Instant) {
        let page = plan.page.to_string();
        let horizon = now.checked_add_signed(HORIZON).unwrap_or(now);
        let by_place = managed.page.by_place();
        for change in plan.changes {
            let owned = by_place.get(&change.variable);
            let until = owned
                .and_then(|owned| owned.definition.next_transition(now, horizon))
                .map(|transition| transition.at);
            self.rows.push(Row {
                page: page.clone(),
                variable: Some(change.variable.to_string()),
                action: "set",
                from: change.from.unwrap_or_default(),
                to: change.to,
                because: change.because,
                until: until.map(output::utc),
                until_shown: until
                    .map_or_else(String::new, |until| zone::show_local(load::zone(managed), until)),
            });
        }
        for drift in plan.drift {
            let (action, because) = match drift.answer {
                Answer::Restored => continue,
                Answer::Kept => ("keep", "another client changed it, and on_drift = \"keep\""),
                Answer::Reported => ("report", "another client changed it, and on_drift = \"report\""),
                Answer::Held => (
                    "hold",
                    "another client changed it, the desired value changed too, and on_drift = \"report\"",
                ),
            };
            self.rows.push(Row {
                page: page.clone(),
                variable: Some(drift.variable.to_string()),
                action,
                from: drift.found.unwrap_or_default(),
                to: drift.desired,
                because: because.to_owned(),
                until: None,
                until_shown: String::new(),
            });
        }
    }

    fn show(&self, format: Format) -> anyhow::Result<()> {
        if format == Format::Json {
            return output::print_lines(&self.rows);
        }
        if self.rows.is_empty() && !self.failed && !self.held {
            output::remark("Nothing to do: every page has its desired values.");
        }
        output::print_table(
            ["PAGE", "VARIABLE", "ACTION", "FROM", "TO", "BECAUSE", "UNTIL"],
            &["UNTIL", "BECAUSE"],
            self.rows.iter().map(|row| {
                let [from, to] = output::both(&row.from, &row.to, 48);
                [
                    row.page.clone(),
                    row.variable.clone().unwrap_or_else(|| "-".to_owned()),
                    row.action.to_owned(),
                    from,
                    to,
                    row.because.clone(),
                    row.until_shown.clone(),
                ]
            }),
        );
        Ok(())
    }

    fn exit(&self) -> Exit {
        let has = |action: &str| self.rows.iter().any(|row| row.action == action);
        if self.failed {
            FAILED
        } else if self.held || has("hold") {
            HELD
        } else if has("set") {
            CHANGES
        } else {
            OK
        }
    }
}
