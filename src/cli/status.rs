//! `rtconfd status`: the state of the pages.
//!
//! It comes from store and inputs, with or without a running daemon.

use clap::Args;
use serde_json::{Value, json};

use crate::compile::{Gone, Managed};
use crate::limits::pages::MAX_NEXT_CHANGE;
use crate::limits::store::DRIFTS_LISTED;
use crate::lint::running_out;
use crate::listener::{problems_of, shown, waiting};
use crate::model::{Instant, PageId, Problem, Severity, shorten};
use crate::pages::Override;
use crate::reconcile::Held;
use crate::schema::Schemas;
use crate::store::{DriftRow, Reading};
use crate::zone;

use super::emergency::{self, Contact};
use super::global::{Exit, FAILED, Format, Global, OK, Shown};
use super::{check, load, output, zones};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shown: Shown,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let view = match load::settings(global) {
        Ok(settings) => load::view_of(settings, None, None)?,
        // The report has been shown; the daemon's status is still useful.
        Err(exit) => return by_daemon_alone(global, arguments.shown.format, exit).await,
    };
    let location = view.settings.store.path.location();
    let reading = location.read(Some(&view.settings.owner()))?;
    let running = location.is_in_use();
    let problems = view.problems();
    let now = load::now();
    let ending = view.ending(now);
    let general = General::find(global, &view, reading.as_deref(), now).await?;
    let mut running_out = running_out(&view.world, &view.settings.blueprint, &view.revision.inputs, now);
    running_out.extend(unknown_names(&view, now));
    running_out.extend(zones::age(&view.settings.blueprint.zones, now));
    let has_ended = ending.iter().any(|problem| problem.severity == Severity::Error);
    let mut needs_a_person = has_ended || problems.iter().any(Problem::is_error) || general.needs_a_person();
    let mut rows = Vec::new();
    for managed in &view.world.pages {
        let id = &managed.page.id;
        let stored = view.stored.get(id);
        let problem = stored.and_then(|stored| stored.problem.as_ref());
        needs_a_person |= problem.is_some() || !managed.problems.is_empty();
        let last = match &reading {
            Some(reading) => reading.last_applied(id)?,
            None => None,
        };
        let state = match (problem, stored.map(|stored| stored.baseline.is_empty())) {
            (Some(_), _) => "problem",
            (None, Some(false)) => "right",
            (None, _) => "unseen",
        };
        rows.push(json!({
            "page": id.to_string(),
            "state": state,
            "problem": problem.map(|(problem, _)| problem),
            "since": problem.map(|(_, since)| output::utc(*since)),
            "last_change": last.map(output::utc),
            "next_change": next_change(managed, now).map(|(at, what)| json!({"at": output::utc(at), "what": what})),
        }));
    }
    output::show_problems(problems.iter().chain(&ending).chain(&running_out));
    match arguments.shown.format {
        Format::Json => {
            let mut last = general.to_json(running);
            last["zone_database"] = general.zones(&view).into();
            last["running_out"] = running_out.iter().map(ToString::to_string).collect();
            output::print_lines(rows.into_iter().chain([last]))?;
        }
        Format::Table => {
            show_pages(&view, &rows, running);
            general.show(&view);
            output::print(&format!("\nZone database {}\n", general.zones(&view)));
        }
    }
    Ok(if needs_a_person { FAILED } else { OK })
}

/// Returns the mismatches between settings and schemas, by the last fetched schemas.
fn unknown_names(view: &load::View, now: Instant) -> Vec<Problem> {
    let mut schemas = Schemas::new(view.settings.assert_formats);
    let of_page = |managed: &Managed| {
        let stored = view.stored.get(&managed.page.id)?;
        let schema = schemas.compile(&mut stored.schema.clone()).ok()?;
        // Values of other clients are not stored. A missing required key is named in the page's
        // problem.
        let why = stored.problem.as_ref().map_or("", |(problem, _)| problem.as_str());
        let is_there = |key: &str| !why.contains(&format!("\"{key}\" is a required property"));
        Some(check::unknown_names(managed, &schema, is_there, now))
    };
    view.world.pages.iter().filter_map(of_page).flatten().collect()
}

fn show_pages(view: &load::View, rows: &[Value], running: bool) {
    output::print(if running { "rtconfd is running.\n" } else { "rtconfd is not running.\n" });
    let here = |index: usize, value: &serde_json::Value| {
        let at: Option<Instant> = value.as_str().and_then(|text| text.parse().ok());
        at.map_or_else(|| "-".to_owned(), |at| zone::show(load::zone(&view.world.pages[index]), at))
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    output::print_table(
        ["PAGE", "STATE", "LAST CHANGE", "NEXT CHANGE", "", "PROBLEM"],
        rows.iter().enumerate().map(|(index, row)| {
            [
                text(&row["page"]),
                text(&row["state"]),
                here(index, &row["last_change"]),
                here(index, &row["next_change"]["at"]),
                text(&row["next_change"]["what"]),
                text(&row["problem"]),
            ]
        }),
    );
}

/// The status that concerns more than one page.
struct General {
    /// The held revision.
    held: Option<Held>,
    /// The reason why no request is sent, from the running daemon.
    withheld: Option<String>,
    /// The progress of a rollout, from the running daemon.
    rollout: Value,
    /// The running daemon's last reload, with its problems.
    reload: Value,
    /// The zone database of the running daemon.
    zones: Option<String>,
    /// The pages that wait for their promotion.
    following: Vec<Value>,
    /// Drift that persists.
    drifts: Vec<DriftRow>,
    /// The active overrides.
    overrides: Vec<Override>,
    /// Pages and variables with a baseline that are no longer defined.
    left_behind: Vec<Gone>,
}

impl General {
    async fn find(
        global: &Global,
        view: &load::View,
        reading: Option<&dyn Reading>,
        now: Instant,
    ) -> anyhow::Result<Self> {
        // The daemon's status is fresher; if the daemon is just stopping, do without it.
        let live = match emergency::find(global)? {
            Contact::Running(daemon) => daemon.status().await.ok().and_then(Result::ok).unwrap_or_default(),
            Contact::NoDaemon(_) => Value::Null,
        };
        let noted = reading.map(|reading| reading.fact(Held::FACT)).transpose()?.flatten();
        let noted = noted.and_then(|fact| Held::from_fact(&fact));
        let held = view.held.clone().map(|held| match noted {
            Some(noted) if noted.revision == held.revision => noted,
            _ => held,
        });
        let drifts = reading.map(|reading| reading.drifts(None, true, DRIFTS_LISTED)).transpose()?;
        let overrides = view.overrides.iter().filter(|set| !set.is_over(now)).cloned();
        let following = match live["following"].as_array() {
            Some(following) => following.clone(),
            None => view.following(None).iter().map(waiting).collect(),
        };
        Ok(Self {
            held,
            following,
            withheld: live["withheld"].as_str().map(str::to_owned),
            rollout: live["rollout"].clone(),
            reload: live["reload"].clone(),
            zones: live["zone_database"].as_str().map(str::to_owned),
            drifts: drifts.unwrap_or_default(),
            overrides: overrides.collect(),
            left_behind: view.left_behind(),
        })
    }

    /// Returns the zone database that the pages are evaluated with.
    fn zones(&self, view: &load::View) -> String {
        self.zones.clone().unwrap_or_else(|| view.settings.blueprint.zones.to_string())
    }

    fn needs_a_person(&self) -> bool {
        self.held.is_some()
            || self.withheld.is_some()
            || !self.rollout["stopped_at"].is_null()
            || has_failed(&self.reload)
    }

    fn to_json(&self, running: bool) -> Value {
        json!({
            "running": running,
            "held": self.held,
            "withheld": self.withheld,
            "rollout": self.rollout,
            "reload": self.reload,
            "following": self.following,
            "drift": self.drifts,
            "overrides": self.overrides.iter().map(shown).collect::<Vec<_>>(),
            "left_behind": self.left_behind.iter().map(|gone| json!({
                "page": gone.page.to_string(),
                "variable": gone.variable.as_ref().map(ToString::to_string),
            })).collect::<Vec<_>>(),
        })
    }

    fn show(&self, view: &load::View) {
        let line = |text: String| output::print(&format!("{text}\n"));
        if let Some(held) = &self.held {
            line(format!("\nHELD since {}: {}", output::utc(held.since), held.describe()));
        }
        show_reload(&self.reload);
        if let Some(withheld) = &self.withheld {
            line(format!("\nNOTHING IS SENT: {withheld}"));
        }
        if !self.rollout.is_null() {
            let stopped = match self.rollout["stopped_at"].as_str() {
                Some(page) => format!("; stopped at {page}"),
                None => String::new(),
            };
            let revision = self.rollout["revision"].as_str().unwrap_or_default();
            let to_come = &self.rollout["pages_to_come"];
            line(format!("\nRollout of {revision}: {to_come} page(s) to come{stopped}"));
        }
        let pages: Vec<Option<PageId>> =
            self.following.iter().map(|waits| waits["page"].as_str()?.parse().ok()).collect();
        let each = self.following.iter().zip(&pages).filter_map(|(waits, page)| {
            let text = |key: &str| waits[key].as_str().unwrap_or_default();
            Some((page.as_ref()?, text("follows").to_owned(), text("at").parse().ok(), text("why")))
        });
        for waits in view.waiting_lines(each.collect()) {
            line(format!("\n{waits}"));
        }
        for set in &self.overrides {
            line(format!(
                "\n{} ({} page(s)); to end it: rtconfd override clear {}",
                set.describe(),
                set.pages.len(),
                set.id
            ));
        }
        for gone in self.left_behind.iter().take(load::GONE_LISTED) {
            line(format!("\n{gone}"));
        }
        for drift in &self.drifts {
            line(format!("\n{}", describe_drift(drift)));
        }
    }
}

fn has_failed(reload: &Value) -> bool {
    reload["problems"].as_array().is_some_and(|problems| !problems.is_empty())
}

/// Reports a failed reload, which leaves the previous settings active.
fn show_reload(reload: &Value) {
    if !has_failed(reload) {
        return;
    }
    let text = |key: &str| reload[key].as_str().unwrap_or_default().to_owned();
    output::print(&format!(
        "\nRELOAD FAILED at {}: the settings of {} stay active\n",
        text("at"),
        text("succeeded_at")
    ));
    for (message, hint) in problems_of(reload) {
        let hint = hint.map_or_else(String::new, |hint| format!(" (hint: {hint})"));
        output::print(&format!("  {message}{hint}\n"));
    }
}

/// Reports the running daemon's status alone, when the settings cannot be read.
async fn by_daemon_alone(global: &Global, format: Format, exit: Exit) -> anyhow::Result<Exit> {
    let daemon = match emergency::find(global)? {
        Contact::Running(daemon) => daemon,
        Contact::NoDaemon(Some(store)) => {
            output::remark(&format!("no rtconfd runs on the store {}", store.display()));
            return Ok(exit);
        }
        Contact::NoDaemon(None) => return Ok(exit),
    };
    let status = match daemon.status().await? {
        Ok(status) => status,
        Err(problems) => return Ok(emergency::refused(&problems)),
    };
    if format == Format::Json {
        output::print_lines([status])?;
        return Ok(exit);
    }
    output::print("rtconfd is running with its last good settings.\n");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let pages = status["pages"].as_array().cloned().unwrap_or_default();
    output::print_table(
        ["PAGE", "STATE", "DUE (UTC)", "PROBLEM"],
        pages.iter().map(|page| ["page", "state", "due", "problem"].map(|key| text(&page[key]))),
    );
    show_reload(&status["reload"]);
    for set in status["overrides"].as_array().into_iter().flatten() {
        output::print(&format!(
            "\nOverride {}: {}, by {}: {}; to end it: rtconfd override clear {}\n",
            set["id"],
            text(&set["says"]),
            text(&set["who"]),
            text(&set["reason"]),
            set["id"]
        ));
    }
    for (name, value) in [("HELD", &status["held"]["revision"]), ("NOTHING IS SENT", &status["withheld"])] {
        if let Some(value) = value.as_str() {
            output::print(&format!("\n{name}: {value}\n"));
        }
    }
    Ok(exit)
}

/// Describes a drift: the values, the difference, the time, and the response.
pub fn describe_drift(drift: &DriftRow) -> String {
    let value = |value: &Value| if value.is_null() { "nothing".to_owned() } else { shorten(value, 60) };
    let by_how_much = match (drift.baseline.as_f64(), drift.found.as_f64()) {
        (Some(baseline), Some(found)) => format!(" ({:+})", found - baseline),
        _ => String::new(),
    };
    let by = drift.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    format!(
        "Drift: {} {} was changed from {} to {}{by_how_much}{by}, seen {}: {}; desired value: {}",
        drift.page,
        drift.variable,
        value(&drift.baseline),
        value(&drift.found),
        output::utc(drift.since),
        drift.answer,
        value(&drift.desired),
    )
}

/// Returns the next change of a page: its time, variable and value.
fn next_change(managed: &Managed, now: Instant) -> Option<(Instant, String)> {
    let to = now.checked_add_signed(MAX_NEXT_CHANGE)?;
    let changes = managed.page.variables.iter().filter_map(|owned| {
        let transition = owned.next_transition(now, to)?;
        let value = match &transition.value {
            crate::pages::UntypedValue::Cell(cell) => cell.text.clone(),
            value => shorten(&value.to_json(), 40),
        };
        Some((transition.at, format!("{} -> {value}", owned.variable)))
    });
    changes.min()
}
