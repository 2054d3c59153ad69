//! The JSON exchanged between the daemon and its commands.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{Instant, PageId, Problem, RowName};
use crate::pages::{Override, OverrideKind};
use crate::reconcile::{Draft, Promotion, Selection, Status, Until, Withheld};
use crate::store::Alone;
use crate::store::relay::{OwnFiles, Replica, Replicas};
use crate::zone::Zone;

/// A request for an override, as text; the daemon parses it as the command line would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// Page ids, as AGENT/environment.
    #[serde(default)]
    pub pages: Vec<String>,
    /// Environment of the pages.
    #[serde(default)]
    pub environment: Option<String>,
    /// Cells that select pages by their rows, as COLUMN=VALUE.
    ///
    /// On a page that shows many rows, they also select the rows.
    #[serde(default, rename = "where")]
    pub cells: Vec<String>,
    /// True for all pages.
    #[serde(default)]
    pub all: bool,
    /// The effect: `closed`, `open`, or VARIABLE=VALUE.
    pub says: String,
    /// End of the override; `None` until it is released.
    #[serde(default)]
    pub until: Option<String>,
    /// Reason for the override.
    pub reason: String,
    /// The user who sends the request.
    #[serde(default)]
    pub who: String,
}

impl OverrideRequest {
    /// Parses the request into a draft of an override.
    ///
    /// # Errors
    /// Every value that cannot be parsed.
    pub fn read(self) -> Result<Draft, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut note = |message: String| problems.push(Problem::new(message));
        let ids =
            self.pages.iter().filter_map(|text| text.parse::<PageId>().map_err(&mut note).ok()).collect();
        let environment = self.environment.and_then(|text| text.parse().map_err(&mut note).ok());
        let pair = |text: &String| {
            let pair = text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
            pair.ok_or_else(|| invalid_pair(text))
        };
        let cells = self.cells.iter().filter_map(|text| pair(text).map_err(&mut note).ok()).collect();
        let until = match self.until {
            Some(text) => text.parse().map_err(&mut note).ok(),
            None => Some(Until::Released),
        };
        let says = match self.says.as_str() {
            "closed" => Some(OverrideKind::Closed),
            "open" => Some(OverrideKind::Open),
            _ => assignment(&self.says)
                .and_then(|(name, value)| Ok(OverrideKind::Set { variable: name.parse()?, value }))
                .map_err(&mut note)
                .ok(),
        };
        match (says, until, problems.is_empty()) {
            (Some(says), Some(until), true) => Ok(Draft {
                pages: Selection { ids, environment, cells, all: self.all },
                kind: says,
                until,
                reason: self.reason,
                who: self.who,
            }),
            _ => Err(problems),
        }
    }
}

/// Splits an assignment into a variable and its value.
///
/// Equals signs within brackets belong to the name: `/sites[site=Leeds]/open=false`.
fn assignment(text: &str) -> Result<(String, String), String> {
    let mut depth = 0;
    let between = text.find(|letter| {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        letter == '=' && depth <= 0
    });
    let (name, value) = text.split_at_checked(between.unwrap_or(text.len())).unwrap_or((text, ""));
    match value.strip_prefix('=') {
        Some(value) => Ok((name.trim().to_owned(), value.to_owned())),
        None => Err(invalid_pair(text)),
    }
}

fn invalid_pair(text: &str) -> String {
    format!("invalid pair \"{text}\" (hint: write NAME=VALUE)")
}

/// Returns an override as JSON.
pub fn shown(set: &Override) -> Value {
    let row = |(row, until): (RowName, Option<Instant>)| json!({"row": row.to_string(), "until": until});
    let pages = set.pages.iter().map(|(page, until)| {
        let rows = set.parts.get(page).map(|part| part.rows().map(row).collect::<Vec<_>>());
        json!({"page": page.to_string(), "until": until, "rows": rows})
    });
    json!({
        "id": set.id,
        "at": set.at,
        "who": set.who,
        "reason": set.reason,
        "says": match &set.kind {
            OverrideKind::Closed => "closed".to_owned(),
            OverrideKind::Open => "open".to_owned(),
            OverrideKind::Set { variable, value } => format!("{variable}={value}"),
        },
        "pages": pages.collect::<Vec<_>>(),
    })
}

/// Returns problems as JSON.
pub fn problems(problems: &[Problem]) -> Value {
    let problem = |problem: &Problem| {
        let place = problem.origin.as_ref().map(ToString::to_string);
        json!({ "place": place, "message": problem.message, "hint": problem.hint })
    };
    json!({ "problems": problems.iter().map(problem).collect::<Vec<_>>() })
}

/// Returns the decision to go on without the database, as JSON.
pub fn alone(alone: Option<&Alone>) -> Value {
    alone.map_or(
        Value::Null,
        |alone| json!({ "since": utc(alone.since), "who": alone.who, "reason": alone.reason }),
    )
}

/// Returns the replicas that share the store, as JSON.
pub fn replicas(replicas: &Replicas) -> Value {
    let replica = |replica: &Replica| {
        let files = replica.files.as_ref().map(|files| {
            let OwnFiles { revision, errors, .. } = files;
            json!({ "revision": revision, "errors": errors, "differ": replicas.differing(replica) })
        });
        json!({
            "name": replica.described,
            "program": replica.program,
            "active": replica.is_active,
            "seen_seconds_ago": replica.age,
            "files": files,
        })
    };
    replicas.all.iter().map(replica).collect()
}

/// Joins names, at most a few.
pub fn few(names: &[&str]) -> String {
    const NAMED: usize = 5;
    match names.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

/// Returns a promoted page that still waits for the page it follows, as JSON.
pub fn waiting(following: &Promotion) -> Value {
    json!({
        "page": following.page.to_string(),
        "follows": following.leader.to_string(),
        "at": following.at.map(utc),
        "why": following.why,
    })
}

/// Formats an instant for programs.
pub fn utc(at: Instant) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the status as JSON.
pub fn status(status: &Status) -> Value {
    let page = |page: &crate::reconcile::PageStatus| {
        json!({
            "page": page.page.to_string(),
            "state": page.standing.word(),
            "problem": page.standing.problem(),
            "timezone": page.zone.map(Zone::name),
            "due": page.due.map(utc),
        })
    };
    let rollout = status.rollout.as_ref().map(|(revision, to_come, stopped_at)| {
        let stopped_at = stopped_at.as_ref().map(ToString::to_string);
        json!({ "revision": revision, "pages_to_come": to_come, "stopped_at": stopped_at })
    });
    json!({
        "pages": status.pages.iter().map(page).collect::<Vec<_>>(),
        "withheld": status.withheld.as_ref().map(Withheld::text),
        "held": status.held,
        "rollout": rollout,
        "following": status.following.iter().map(waiting).collect::<Vec<_>>(),
        "overrides": status.overrides.iter().map(shown).collect::<Vec<_>>(),
        "problems": problems(&status.problems)["problems"],
        "reload": {
            "at": utc(status.reload.at),
            "succeeded_at": utc(status.reload.succeeded_at),
            "problems": problems(&status.reload.problems)["problems"],
        },
        "api": status.api,
        "zone_database": status.zones.to_string(),
        "requests": status.counts.requests,
        "applied": status.counts.applied,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_name_may_contain_an_equals_sign() {
        for (text, expected) in [
            ("phone=1=2", Ok(("phone", "1=2"))),
            ("/a[b=c]/d=[1,2]", Ok(("/a[b=c]/d", "[1,2]"))),
            (" x ={\"a\": 1}", Ok(("x", "{\"a\": 1}"))),
            ("/a[b=c]/d", Err(())),
            ("", Err(())),
        ] {
            let expected = expected.map(|(name, value): (&str, &str)| (name.to_owned(), value.to_owned()));
            assert_eq!(assignment(text).map_err(drop), expected, "{text}");
        }
    }
}
