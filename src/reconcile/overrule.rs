//! A person's override, from what was asked for to what is set: which pages, until when on each, and whether the
//! values it makes may be sent. The daemon and the command without a daemon go this way.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use crate::desired::{Managed, Override, Page, Says, World};
use crate::model::{Environment, Instant, PageId, Problem, nearest};
use crate::schema::check;
use crate::zone;

use super::Observed;

/// How far ahead an override may end, and the values of one without an end are checked.
const AHEAD: (TimeDelta, TimeDelta) = (TimeDelta::days(400), TimeDelta::days(14));
/// Instants of one page at which the values are checked.
const MAX_STEPS: usize = 5_000;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Which pages.
    pub pages: Selection,
    /// What it says.
    pub says: Says,
    /// When it ends.
    pub until: Until,
    /// Why; never empty.
    pub reason: String,
    /// Who asks.
    pub who: String,
}

/// Pages by what they have in common; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// These pages; any when there are none here.
    pub ids: Vec<PageId>,
    /// Pages of this environment.
    pub environment: Option<Environment>,
    /// Pages whose row has these cells: column and text.
    pub cells: Vec<(String, String)>,
    /// Every page, should nothing else be said.
    pub all: bool,
}

/// When an override ends, as people say it; on each page in its own zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// When somebody releases it.
    Released,
    /// At the next opening by the hours.
    NextOpening,
    /// After a length of time.
    After(TimeDelta),
    /// When the wall clock next shows this.
    Time(NaiveTime),
    /// When the wall clock shows this.
    Local(NaiveDateTime),
    /// At an instant.
    At(Instant),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if ["next opening", "next-opening", "next_opening"].contains(&text) {
            return Ok(Self::NextOpening);
        }
        let local = |format| NaiveDateTime::parse_from_str(text, format).ok();
        let date = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
        let at = || chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| Self::At(at.to_utc()));
        let length = || TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok().map(Self::After);
        NaiveTime::parse_from_str(text, "%H:%M")
            .ok()
            .map(Self::Time)
            .or_else(|| local("%Y-%m-%dT%H:%M").or_else(|| local("%Y-%m-%d %H:%M")).or_else(date).map(Self::Local))
            .or_else(at)
            .or_else(length)
            .ok_or_else(|| {
                format!(
                    "\"{text}\" is no end of an override (hint: write 14:00, 2026-12-24T14:00, 2h or \"next opening\")"
                )
            })
    }
}

/// Makes an override of what was asked for, without its number.
///
/// # Errors
/// Everything that is wrong: no such page, no such column, an end that is past, a value that the page's schema refuses
/// at some instant until the end. Nothing is set then, on no page.
pub fn prepare(
    draft: Draft,
    world: &World,
    in_force: &[Override],
    observed: impl Fn(&PageId) -> Option<Observed>,
    now: Instant,
) -> Result<Override, Vec<Problem>> {
    if draft.reason.trim().is_empty() {
        return Err(vec![Problem::new("an override needs a reason").hint("add --reason \"…\"")]);
    }
    let chosen = select(&draft.pages, world)?;
    let (mut pages, mut problems) = (BTreeMap::new(), Vec::new());
    for managed in &chosen {
        match end(&draft, &managed.computed, now) {
            Ok(until) => drop(pages.insert(managed.computed.id.clone(), until)),
            Err(problem) => problems.push(problem),
        }
    }
    let Draft { says, reason, who, .. } = draft;
    let set = Override { id: 0, at: now, who, reason, says, pages };
    if problems.is_empty() {
        let overrides: Vec<Override> = in_force.iter().cloned().chain([set.clone()]).collect();
        for managed in chosen {
            let page = managed.computed.overruled(&overrides);
            let until = set.pages.get(&managed.computed.id).copied().flatten();
            if let (Some(page), Some(observed)) = (page, observed(&managed.computed.id)) {
                problems.extend(look_ahead(&page, &observed, now, until));
            }
        }
    }
    if problems.is_empty() { Ok(set) } else { Err(problems) }
}

fn select<'w>(selection: &Selection, world: &'w World) -> Result<Vec<&'w Managed>, Vec<Problem>> {
    let mut problems = Vec::new();
    for id in selection.ids.iter().filter(|id| world.page(id).is_none()) {
        let known: Vec<String> = world.pages.iter().map(|managed| managed.page.id.to_string()).collect();
        let problem = Problem::new(format!("no page {id} is defined"));
        problems.push(match nearest(&id.to_string(), known.iter().map(String::as_str)) {
            Some(known) => problem.hint(format!("did you mean {known}?")),
            None => problem.hint("rtconfd status lists the pages"),
        });
    }
    for (column, _) in &selection.cells {
        let rows = || world.pages.iter().filter_map(|managed| managed.page.row.as_ref());
        if !rows().any(|row| row.cell(column).is_some()) {
            let columns = rows().next().map(|row| row.columns.join(", ")).unwrap_or_default();
            problems.push(
                Problem::new(format!("no page stands for a row with a column \"{column}\""))
                    .hint(format!("the columns are: {columns}")),
            );
        }
    }
    let nothing_said = *selection == Selection::default();
    if nothing_said {
        let hint = "name pages as AGENT/environment, or add --environment, --where COLUMN=VALUE or --all";
        problems.push(Problem::new("which pages?").hint(hint));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let chosen: Vec<&Managed> =
        world.pages.iter().filter(|managed| takes(selection, &managed.page)).collect();
    match chosen.is_empty() {
        true => Err(vec![Problem::new("no page is like that").hint("rtconfd status lists the pages")]),
        false => Ok(chosen),
    }
}

fn takes(selection: &Selection, page: &Page) -> bool {
    let has_cell = |(column, text): &(String, String)| {
        let cell = page.row.as_ref().and_then(|row| row.cell(column));
        cell.is_some_and(|cell| cell.text.trim() == text.trim())
    };
    (selection.ids.is_empty() || selection.ids.contains(&page.id))
        && selection.environment.is_none_or(|environment| environment == page.id.environment)
        && selection.cells.iter().all(has_cell)
}

/// When it ends on a page; also tells whether it can say anything there.
fn end(draft: &Draft, page: &Page, now: Instant) -> Result<Option<Instant>, Problem> {
    let zone = page.zone.unwrap_or(Tz::UTC);
    match &draft.says {
        Says::Closed | Says::Open if !page.has_hours() => {
            return Err(Problem::new(format!("{} has no hours to close or open", page.id))
                .hint("set its variables instead: --set VARIABLE=VALUE"));
        }
        Says::Set { variable, .. } if page.owned(variable).is_none() => {
            let owned: Vec<String> = page.variables.iter().map(|owned| owned.variable.to_string()).collect();
            return Err(Problem::new(format!("{} owns no {variable}", page.id))
                .hint(format!("it owns: {}", owned.join(", "))));
        }
        _ => {}
    }
    let until = match draft.until {
        Until::Released => return Ok(None),
        Until::After(length) => now.checked_add_signed(length),
        Until::At(at) => Some(at),
        Until::Local(local) => Some(zone::instant(zone, local)),
        Until::Time(time) => {
            let today = zone::date(zone, now);
            [today, zone::next(today)]
                .map(|date| zone::instant(zone, date.and_time(time)))
                .into_iter()
                .find(|at| *at > now)
        }
        Until::NextOpening => {
            let hours = page.variables.iter().flat_map(|owned| owned.definition.hours());
            Some(hours.filter_map(|hours| hours.next_open(now)).min().ok_or_else(|| {
                Problem::new(format!("{} has no next opening within 400 days", page.id))
                    .hint("write a time instead")
            })?)
        }
    };
    let latest = now.checked_add_signed(AHEAD.0).unwrap_or(now);
    match until.filter(|until| *until <= latest) {
        None => Err(Problem::new(format!("the override of {} would last for more than 400 days", page.id))
            .hint("use --until-released if it is to stay until somebody ends it")),
        Some(until) if until <= now => {
            let shown = zone::show(zone, until);
            Err(Problem::new(format!("the end {shown} is past for {}", page.id)).hint("write a later one"))
        }
        until => Ok(until),
    }
}

/// The first instant at which a value of the page would be refused.
fn look_ahead(page: &Page, observed: &Observed, now: Instant, until: Option<Instant>) -> Vec<Problem> {
    let last = now.checked_add_signed(AHEAD.1).unwrap_or(now);
    let end = until.unwrap_or(last).min(last);
    let mut at = now;
    for _ in 0..MAX_STEPS {
        let checked = page.desired(at).and_then(|desired| {
            let schema = observed.schema.as_ref().map_err(|problem| vec![problem.clone()])?;
            check(&desired, &Arc::clone(&observed.page), schema).map(|_| desired.until)
        });
        match checked {
            Ok(Some(next)) if next > at && next <= end => at = next,
            Ok(_) => return Vec::new(),
            Err(problems) => {
                let shown = zone::show(page.zone.unwrap_or(Tz::UTC), at);
                // What the page lacks by others' fault is no fault of the override.
                let ours = problems.into_iter().filter(|problem| problem.origin.is_some());
                return ours.map(|problem| problem.about(format!("{} at {shown}", page.id))).collect();
            }
        }
    }
    Vec::new()
}
