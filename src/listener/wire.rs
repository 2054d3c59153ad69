//! The shapes on the wire between the daemon and its commands.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::desired::{Override, Says};
use crate::model::{PageId, Problem};
use crate::reconcile::{Draft, Following, Selection, Standing, Status, Until};

/// A request for an override, as text; the daemon reads it as the command line would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// Pages by id, as AGENT/environment.
    #[serde(default)]
    pub pages: Vec<String>,
    /// Pages of an environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// Pages whose row has these cells, as COLUMN=VALUE.
    #[serde(default, rename = "where")]
    pub cells: Vec<String>,
    /// All pages.
    #[serde(default)]
    pub all: bool,
    /// `closed`, `open`, or VARIABLE=VALUE.
    pub says: String,
    /// Its end; none to let it last until it is released.
    #[serde(default)]
    pub until: Option<String>,
    /// Why.
    pub reason: String,
    /// Who asks.
    #[serde(default)]
    pub who: String,
}

impl Asking {
    /// What is asked for.
    ///
    /// # Errors
    /// What can't be read.
    pub fn read(self) -> Result<Draft, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut note = |message: String| problems.push(Problem::new(message));
        let ids =
            self.pages.iter().filter_map(|text| text.parse::<PageId>().map_err(&mut note).ok()).collect();
        let environment = self.environment.and_then(|text| text.parse().map_err(&mut note).ok());
        let pair = |text: &String| {
            text.split_once('=')
                .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
                .ok_or_else(|| format!("\"{text}\" is no pair (hint: write NAME=VALUE)"))
        };
        let cells = self.cells.iter().filter_map(|text| pair(text).map_err(&mut note).ok()).collect();
        let until = match self.until {
            Some(text) => text.parse().map_err(&mut note).ok(),
            None => Some(Until::Released),
        };
        let says = match self.says.as_str() {
            "closed" => Some(Says::Closed),
            "open" => Some(Says::Open),
            _ => pair(&self.says)
                .and_then(|(name, value)| Ok(Says::Set { variable: name.parse()?, value }))
                .map_err(&mut note)
                .ok(),
        };
        match (says, until, problems.is_empty()) {
            (Some(says), Some(until), true) => Ok(Draft {
                pages: Selection { ids, environment, cells, all: self.all },
                says,
                until,
                reason: self.reason,
                who: self.who,
            }),
            _ => Err(problems),
        }
    }
}

/// An override as JSON.
pub fn shown(set: &Override) -> Value {
    let pages = set.pages.iter().map(|(page, until)| json!({"page": page.to_string(), "until": until}));
    json!({
        "id": set.id,
        "at": set.at,
        "who": set.who,
        "reason": set.reason,
        "says": match &set.says {
            Says::Closed => "closed".to_owned(),
            Says::Open => "open".to_owned(),
            Says::Set { variable, value } => format!("{variable}={value}"),
        },
        "pages": pages.collect::<Vec<_>>(),
    })
}

/// Problems as JSON.
pub fn problems(problems: &[Problem]) -> Value {
    let problem = |problem: &Problem| {
        let place = problem.origin.as_ref().map(ToString::to_string);
        json!({ "place": place, "message": problem.message, "hint": problem.hint })
    };
    json!({ "problems": problems.iter().map(problem).collect::<Vec<_>>() })
}

/// One word for how a page stands.
pub fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Unseen => "unseen",
        Standing::Right => "right",
        Standing::Stale(_) => "stale",
        Standing::Drifted(_) => "drifted",
        Standing::Retrying(_) => "retrying",
        Standing::Stuck(_) => "stuck",
        Standing::Held(_) => "held",
    }
}

/// A page that waits for the one that it follows, as JSON.
pub fn waiting(following: &Following) -> Value {
    json!({
        "page": following.page.to_string(),
        "follows": following.leader.to_string(),
        "at": following.at,
        "why": following.why,
    })
}

/// How things stand, as JSON.
pub fn status(status: &Status) -> Value {
    let page = |page: &crate::reconcile::PageStatus| {
        json!({
            "page": page.page.to_string(),
            "state": word(&page.standing),
            "problem": page.standing.problem(),
            "due": page.due,
        })
    };
    let rollout = status.rollout.as_ref().map(|(revision, to_come, stopped_at)| {
        let stopped_at = stopped_at.as_ref().map(ToString::to_string);
        json!({ "revision": revision, "pages_to_come": to_come, "stopped_at": stopped_at })
    });
    json!({
        "pages": status.pages.iter().map(page).collect::<Vec<_>>(),
        "withheld": status.withheld,
        "held": status.held,
        "rollout": rollout,
        "following": status.following.iter().map(waiting).collect::<Vec<_>>(),
        "overrides": status.overrides.iter().map(shown).collect::<Vec<_>>(),
        "problems": problems(&status.problems)["problems"],
        "requests": status.counts.requests,
        "applied": status.counts.applied,
    })
}
