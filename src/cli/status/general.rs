//! The status that concerns more than one page.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::cli::emergency::{self, Contact};
use crate::cli::global::Global;
use crate::cli::{load, output};
use crate::compile::Gone;
use crate::limits::store::DRIFTS_LISTED;
use crate::model::{Instant, PageId, shorten};
use crate::pages::Override;
use crate::reconcile::Held;
use crate::store::{Alone, DriftRow, Reading};
use crate::web::{few, problems_of, shown, waiting};

/// The time for which a decision to go on without the database is shown after its end.
const ALONE_SHOWN: TimeDelta = TimeDelta::days(7);

/// The status that concerns more than one page.
pub(super) struct General {
    /// The held revision.
    held: Option<Held>,
    /// The reason why no request is sent, from the running daemon.
    withheld: Option<String>,
    /// The progress of a rollout, from the running daemon.
    rollout: Value,
    /// The running daemon's last reload, with its problems.
    reload: Value,
    /// The last decision to go on without the database, and the time at which it had returned.
    alone: Option<(Alone, Option<Instant>)>,
    /// The replicas that share the store, from the active one.
    replicas: Value,
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
    pub(super) async fn find(
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
        let alone = reading.map(|reading| reading.fact(Alone::FACT)).transpose()?.flatten();
        let alone = alone.and_then(|fact| Alone::from_fact(&fact));
        let drifts = reading.map(|reading| reading.drifts(None, true, DRIFTS_LISTED)).transpose()?;
        let overrides = view.overrides.iter().filter(|set| !set.is_over(now)).cloned();
        let following = match live["following"].as_array() {
            Some(following) => following.clone(),
            None => view.following(None).iter().map(waiting).collect(),
        };
        Ok(Self {
            held,
            // Later it is only in the log.
            alone: alone.filter(|(_, until)| until.is_none_or(|until| now - until < ALONE_SHOWN)),
            following,
            withheld: live["withheld"].as_str().map(str::to_owned),
            rollout: live["rollout"].clone(),
            reload: live["reload"].clone(),
            replicas: live["replicas"].clone(),
            zones: live["zone_database"].as_str().map(str::to_owned),
            drifts: drifts.unwrap_or_default(),
            overrides: overrides.collect(),
            left_behind: view.left_behind(),
        })
    }

    /// Returns the zone database that the pages are evaluated with.
    pub(super) fn zones(&self, view: &load::View) -> String {
        self.zones.clone().unwrap_or_else(|| view.settings.blueprint.zones.to_string())
    }

    pub(super) fn needs_a_person(&self) -> bool {
        self.held.is_some()
            || self.withheld.is_some()
            || self.alone.as_ref().is_some_and(|(_, until)| until.is_none())
            || !self.rollout["stopped_at"].is_null()
            || has_failed(&self.reload)
    }

    pub(super) fn to_json(&self, running: bool) -> Value {
        json!({
            "running": running,
            "held": self.held,
            "withheld": self.withheld,
            "rollout": self.rollout,
            "alone": self.alone.as_ref().map(|(alone, until)| json!({
                "since": output::utc(alone.since), "until": until.map(output::utc),
                "who": alone.who, "reason": alone.reason,
            })),
            "replicas": self.replicas,
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

    pub(super) fn show(&self, view: &load::View) {
        let line = |text: String| output::print(&format!("{text}\n"));
        if let Some(held) = &self.held {
            line(format!("\nHELD since {}: {}", output::utc(held.since), held.describe()));
            if !held.approvals.is_empty() {
                line(format!("Approved by {}; more approvals are required.", held.approvers().join(", ")));
            }
            if let Some(rejected) = &held.rejected {
                line(format!("Rejected at {} by {}.", output::utc(rejected.at), rejected.who));
            }
        }
        self.show_replicas();
        if let Some((Alone { since, who, reason }, until)) = &self.alone {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            let since = output::utc(*since);
            line(match until {
                None => format!("\nALONE since {since}, without the database, decided by {who}{reason}"),
                Some(until) => {
                    let until = output::utc(*until);
                    format!("\nAlone from {since} to {until}, without the database, decided by {who}{reason}")
                }
            });
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

impl General {
    fn show_replicas(&self) {
        let Some(replicas) = self.replicas.as_array() else { return };
        output::print("\n");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = replicas.iter().map(|replica| {
            let part = if replica["active"] == true { "active" } else { "standby" };
            let seen = format!("{} s ago", replica["seen_seconds_ago"]);
            let files = files_of(&replica["files"]);
            [text(&replica["name"]), part.to_owned(), text(&replica["program"]), seen, files]
        });
        output::print_table(["REPLICA", "PART", "VERSION", "SEEN", "FILES"], &["VERSION"], rows);
    }
}

/// Returns the revision of a replica's own files, and how they differ from the active one's.
fn files_of(files: &Value) -> String {
    let Some(revision) = files["revision"].as_str() else { return "not read yet".to_owned() };
    let differing = files["differ"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let differing: Vec<&str> = differing.collect();
    let mut shown = revision.to_owned();
    if !differing.is_empty() {
        shown += &format!(", other: {}", few(&differing));
    }
    match files["errors"].as_u64() {
        None | Some(0) => shown,
        Some(1) => shown + ", 1 error",
        Some(errors) => shown + &format!(", {errors} errors"),
    }
}

fn has_failed(reload: &Value) -> bool {
    reload["problems"].as_array().is_some_and(|problems| !problems.is_empty())
}

/// Reports a failed reload, which leaves the previous settings active.
pub(super) fn show_reload(reload: &Value) {
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
