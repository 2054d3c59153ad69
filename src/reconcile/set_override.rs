//! Builds an override from a request: its pages or rows, its end on each, and a check of the
//! resulting values.
//!
//! The daemon and the command without a daemon share this code.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::compile::{Managed, World};
use crate::hours::Hours;
use crate::limits::changes::{MAX_OVERRIDE, MAX_OVERRIDE_STEPS, OVERRIDE_CHECKED};
use crate::limits::time::HORIZON_DAYS;
use crate::model::{Environment, Instant, Missing, PageId, Problem, Row, RowName, nearest};
use crate::pages::{Desired, Made, Override, OverrideKind, Page, Part, check_kind};
use crate::zone::{self, Zone};

use super::Observed;

pub(crate) use extend::extend;

/// A request for an override.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The pages.
    pub pages: Selection,
    /// The content of the override.
    pub kind: OverrideKind,
    /// The end.
    pub until: Until,
    /// The reason; never empty.
    pub reason: String,
    /// The requester.
    pub who: String,
}

/// A selection of pages, and of rows on pages with many.
///
/// All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// These pages; empty means any page.
    pub ids: Vec<PageId>,
    /// Pages in this environment.
    pub environment: Option<Environment>,
    /// Pages whose row has these cells (column and text), and parts of pages made for such rows.
    pub cells: Vec<(String, String)>,
    /// Every page, without any other condition.
    pub all: bool,
}

/// The requested end of an override; on each page in its own zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// Until a person releases it.
    Released,
    /// Until the next opening time.
    NextOpening,
    /// For a length of time.
    After(TimeDelta),
    /// Until the wall clock next shows this time.
    Time(NaiveTime),
    /// Until the wall clock shows this date and time.
    Local(NaiveDateTime),
    /// Until an instant.
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
            .or_else(|| {
                local("%Y-%m-%dT%H:%M").or_else(|| local("%Y-%m-%d %H:%M")).or_else(date).map(Self::Local)
            })
            .or_else(at)
            .or_else(length)
            .ok_or_else(|| {
                format!(
                    "invalid end of an override \"{text}\" (hint: write 14:00, 2026-12-24T14:00, \
                     2h or \"next opening\")"
                )
            })
    }
}

/// Builds an override from a request, without its ID.
///
/// # Errors
/// Returns all problems: unknown pages or columns, an end in the past, a value that the page's
/// schema refuses at some instant until the end. Nothing is set then, on any page.
pub fn prepare(
    draft: Draft,
    world: &World,
    active: &[Override],
    mut observed: impl FnMut(&PageId) -> Option<Observed>,
    now: Instant,
) -> Result<Override, Vec<Problem>> {
    if draft.reason.trim().is_empty() {
        return Err(vec![Problem::new("an override needs a reason").hint("add --reason \"…\"")]);
    }
    let chosen = select(&draft, world)?;
    let (mut pages, mut parts, mut problems) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for target in &chosen {
        let id = &target.managed.computed.id;
        match target.end(&draft, now) {
            Ok((until, part)) => {
                pages.insert(id.clone(), until);
                parts.extend(part.map(|part| (id.clone(), part)));
            }
            Err(problem) => problems.push(problem),
        }
    }
    let Draft { kind, reason, who, .. } = draft;
    let set = Override { id: 0, at: now, who, reason, kind, pages, parts };
    if problems.is_empty() {
        let chosen: Vec<&Managed> = chosen.iter().map(|target| target.managed).collect();
        problems = refused(&set, &chosen, active, &mut observed, now);
    }
    if problems.is_empty() { Ok(set) } else { Err(problems) }
}

/// Returns the values that the pages' schemas refuse because of an override.
fn refused(
    set: &Override,
    pages: &[&Managed],
    active: &[Override],
    observed: &mut impl FnMut(&PageId) -> Option<Observed>,
    now: Instant,
) -> Vec<Problem> {
    let overrides: Vec<Override> = active.iter().cloned().chain([set.clone()]).collect();
    let steps = (MAX_OVERRIDE_STEPS / pages.len().max(1)).max(1);
    let mut problems = Vec::new();
    for managed in pages {
        let id = &managed.computed.id;
        let until = set.pages.get(id).copied().flatten();
        if let Some(observed) = observed(id) {
            let (page, before) = (managed.under(&overrides), managed.under(active));
            problems.extend(look_ahead(Page::clone(&page), &before, &observed, (now, until), steps));
        }
    }
    problems
}

/// A selected page, or the parts of it made for the selected rows.
struct Target<'w> {
    managed: &'w Managed,
    /// True if the page's own row is selected, or no cells were given.
    own: bool,
    /// The parts made for selected rows; none if the whole page is selected.
    made: Option<Vec<Made<'w>>>,
}

fn select<'w>(draft: &Draft, world: &'w World) -> Result<Vec<Target<'w>>, Vec<Problem>> {
    let selection = &draft.pages;
    let mut problems = unknown_pages(selection, world);
    let is_meant = |page: &Page| {
        (selection.ids.is_empty() || selection.ids.contains(&page.id))
            && selection.environment.is_none_or(|environment| environment == page.id.environment)
    };
    let pages: Vec<&Managed> = world.pages.iter().filter(|managed| is_meant(&managed.computed)).collect();
    if *selection == Selection::default() {
        let hint = "name pages as AGENT/environment, or add --environment, --where COLUMN=VALUE or --all";
        problems.push(Problem::new("an override needs pages").hint(hint));
    }
    if problems.is_empty() {
        problems = unknown_cells(&selection.cells, &pages);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut chosen: Vec<Target> =
        pages.into_iter().filter_map(|managed| Target::new(draft, managed)).collect();
    if let OverrideKind::Set { variable, .. } = &draft.kind
        && chosen.iter().any(|target| !target.own)
    {
        // A page for the row itself does not need to own a variable that another page has for the
        // row.
        chosen.retain(|target| target.managed.computed.owned(variable).is_some());
    }
    match (chosen.is_empty(), selection.cells.is_empty()) {
        (false, _) => Ok(chosen),
        (true, true) => {
            Err(vec![Problem::new("no page matches").hint("run rtconfd status to list the pages")])
        }
        (true, false) => Err(vec![no_match(draft)]),
    }
}

fn unknown_pages(selection: &Selection, world: &World) -> Vec<Problem> {
    let unknown = selection.ids.iter().filter(|id| world.page(id).is_none());
    let reported = unknown.map(|id| {
        let known: Vec<String> = world.pages.iter().map(|managed| managed.page.id.to_string()).collect();
        let problem = Problem::new(format!("unknown page {id}"));
        match nearest(&id.to_string(), known.iter().map(String::as_str)) {
            Some(known) => problem.hint(format!("did you mean {known}?")),
            None => problem.hint("run rtconfd status to list the pages"),
        }
    });
    reported.collect()
}

/// Returns a problem for each cell that no row has: an unknown column or text.
fn unknown_cells(cells: &[(String, String)], pages: &[&Managed]) -> Vec<Problem> {
    let rows: Vec<&Row> = match cells.is_empty() {
        true => Vec::new(),
        false => pages.iter().flat_map(|managed| rows_of(&managed.computed)).collect(),
    };
    let reported = cells.iter().filter_map(|(column, text)| {
        let known: Vec<&str> = rows.iter().filter_map(|row| Some(row.text(column)?.trim())).collect();
        if known.is_empty() {
            let mut columns: Vec<&str> =
                rows.iter().flat_map(|row| row.head.columns.iter().map(|name| &**name)).collect();
            let mut seen = BTreeSet::new();
            columns.retain(|name| seen.insert(*name));
            let problem = Problem::new(format!("no page uses a row with a column \"{column}\""));
            return Some(match columns.is_empty() {
                true => problem.hint("name the page as AGENT/environment"),
                false => problem.hint(format!("the columns are: {}", columns.join(", "))),
            });
        }
        if known.contains(&text.trim()) {
            return None;
        }
        let problem = Problem::new(format!("no page uses a row with {column} = \"{text}\""));
        Some(problem.did_you_mean(text.trim(), known, "write the cell exactly as in the table"))
    });
    reported.collect()
}

/// Returns the row of a page, and the rows that parts of it are made for.
fn rows_of(page: &Page) -> impl Iterator<Item = &Row> {
    page.row.iter().chain(page.made_for_rows().into_iter().map(|made| made.row))
}

fn no_match(draft: &Draft) -> Problem {
    let cells: Vec<String> =
        draft.pages.cells.iter().map(|(column, text)| format!("{column}={text}")).collect();
    let cells = cells.join(" and ");
    match &draft.kind {
        OverrideKind::Set { variable, .. } => {
            Problem::new(format!("no page has {variable} for only the row with {cells}")).hint(
                "close or open one site with --closed or --open, or name a page to set its whole array: \
                 an array of many sites is one variable",
            )
        }
        _ => Problem::new(format!("no page has hours for a row with {cells}"))
            .hint("check the table: a single row must have all of these cells"),
    }
}

impl<'w> Target<'w> {
    /// Returns the selected part of a page; none if nothing is selected.
    fn new(draft: &Draft, managed: &'w Managed) -> Option<Self> {
        let cells = &draft.pages.cells;
        if cells.is_empty() {
            return Some(Self { managed, own: true, made: None });
        }
        let meets = |row: &Row| cells.iter().all(|(column, text)| row.has(column, text));
        let page = &managed.computed;
        let own = page.row.as_ref().is_some_and(meets);
        let mut made = page.made_for_rows();
        let has_rows = !made.is_empty();
        made.retain(|made| meets(made.row));
        if let OverrideKind::Set { variable, .. } = &draft.kind {
            let is_owned_for_row = made.iter().any(|made| made.variable == Some(variable));
            return (own || is_owned_for_row).then_some(Self { managed, own, made: None });
        }
        made.retain(|made| made.definition.has_hours());
        let is_meant = own || !made.is_empty();
        is_meant.then(|| Self { managed, own, made: (!own || has_rows).then_some(made) })
    }

    /// Returns the end for the page and for each selected row.
    ///
    /// Fails if the override cannot apply to the page.
    fn end(&self, draft: &Draft, now: Instant) -> Result<(Option<Instant>, Option<Part>), Problem> {
        let page = &self.managed.computed;
        match &draft.kind {
            OverrideKind::Closed | OverrideKind::Open if !page.has_hours() => {
                return Err(Problem::new(format!("{} has no hours to close or open", page.id))
                    .hint("set its variables instead: --value VARIABLE=VALUE"));
            }
            OverrideKind::Set { variable, .. } if page.owned(variable).is_none() => {
                let owned: Vec<String> =
                    page.variables.iter().map(|owned| owned.variable.to_string()).collect();
                return Err(Problem::new(format!("{} does not own {variable}", page.id))
                    .hint(format!("it owns: {}", owned.join(", "))));
            }
            OverrideKind::Set { variable, value } => {
                if let Some(owned) = page.owned(variable) {
                    check_kind(variable, value, &owned.definition, now)?;
                }
            }
            _ => {}
        }
        match &self.made {
            Some(made) => self.ends_of_rows(made, draft.until, now),
            None => {
                let hours: Vec<&Arc<Hours>> =
                    page.variables.iter().flat_map(|owned| owned.definition.hours()).collect();
                let zone = page.zone.unwrap_or(Zone::UTC);
                Ok((end(draft.until, &hours, zone, &page.id, now)?, None))
            }
        }
    }

    /// Returns the ends for the selected rows and for the page itself.
    ///
    /// Each row's end is in the zone of its hours. The page's end is the latest of all.
    fn ends_of_rows(
        &self,
        made: &[Made],
        until: Until,
        now: Instant,
    ) -> Result<(Option<Instant>, Option<Part>), Problem> {
        let page = &self.managed.computed;
        let zone = page.zone.unwrap_or(Zone::UTC);
        let mut by_row: BTreeMap<RowName, Vec<&Arc<Hours>>> = BTreeMap::new();
        for made in made {
            let name = made.row.name();
            name.into_iter().for_each(|name| by_row.entry(name).or_default().extend(made.definition.hours()));
        }
        let (mut rows, mut ends) = (BTreeMap::new(), Vec::new());
        for (name, hours) in by_row {
            let zone = hours.first().map_or(zone, |hours| hours.zone);
            let until = end(until, &hours, zone, &format!("{name} of {}", page.id), now)?;
            rows.insert(name, until);
            ends.push(until);
        }
        if self.own {
            let hours = page.own_hours();
            let own = match hours.is_empty() && !ends.is_empty() {
                true => latest(&ends),
                false => end(until, &hours, zone, &page.id, now)?,
            };
            // The name distinguishes the page's own row from the other rows on it.
            let name = page.row.as_ref().and_then(Row::name);
            if let Some(name) = name {
                rows.entry(name).or_insert(own);
            }
            ends.push(own);
        }
        Ok((latest(&ends), Some(Part::new(self.own, rows))))
    }
}

/// Returns the latest end; none (no end) counts as later than any.
fn latest(ends: &[Option<Instant>]) -> Option<Instant> {
    ends.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Returns the end of an override for hours in a zone.
fn end(
    until: Until,
    hours: &[&Arc<Hours>],
    zone: Zone,
    what: &dyn std::fmt::Display,
    now: Instant,
) -> Result<Option<Instant>, Problem> {
    let until = match until {
        Until::Released => return Ok(None),
        Until::After(length) => now.checked_add_signed(length),
        Until::At(at) => Some(at),
        Until::Local(local) => {
            let (first, mut all) = (zone::instant(zone, local), zone::instants(zone, local));
            Some(all.find(|at| *at > now).unwrap_or(first))
        }
        Until::Time(time) => {
            let today = zone::date(zone, now);
            // If the time occurs twice today, the second may be the next one.
            let twice = [today, zone::next(today)].map(|date| zone::instants(zone, date.and_time(time)));
            twice.into_iter().flatten().find(|at| *at > now)
        }
        Until::NextOpening => {
            Some(hours.iter().filter_map(|hours| hours.next_open(now)).min().ok_or_else(|| {
                Problem::new(format!("{what} has no next opening within {HORIZON_DAYS} days"))
                    .hint("write a time instead")
            })?)
        }
    };
    let latest = now.checked_add_signed(MAX_OVERRIDE).unwrap_or(now);
    match until.filter(|until| *until <= latest) {
        None => {
            let days = MAX_OVERRIDE.num_days();
            Err(Problem::new(format!("the override of {what} would last for more than {days} days"))
                .hint("use --until-released to keep it until it is cleared"))
        }
        Some(until) if until <= now => {
            let shown = zone::show(zone, until);
            Err(Problem::new(format!("the end {shown} is in the past for {what}")).hint("write a later end"))
        }
        until => Ok(until),
    }
}

/// Returns the first errors that the override causes, checking up to `steps` instants.
///
/// Errors that exist without the override are ignored. Missing items are created for the check,
/// because they are missing either way and must not hide the override's errors.
fn look_ahead(
    page: Page,
    before: &Page,
    observed: &Observed,
    (now, until): (Instant, Option<Instant>),
    mut steps: usize,
) -> Vec<Problem> {
    let page = Page { missing: Missing::Create, ..page };
    let last = now.checked_add_signed(OVERRIDE_CHECKED).unwrap_or(now);
    let end = until.unwrap_or(last).min(last);
    let refused = |desired: Result<&Desired, Vec<Problem>>| {
        desired.map_or_else(|problems| problems, |desired| observed.refuses(desired))
    };
    let mut found = Vec::new();
    // The values at the end itself are checked too.
    page.walk(now, end + TimeDelta::nanoseconds(1), |at, desired| {
        let mut problems = refused(desired);
        if !problems.is_empty() {
            let without = Page { missing: Missing::Create, ..before.clone() }.desired(at);
            let known = refused(without.as_ref().map_err(Clone::clone));
            problems.retain(|problem| problem.origin.is_some() && !known.contains(problem));
        }
        let shown = || zone::show(page.zone.unwrap_or(Zone::UTC), at);
        found
            .extend(problems.into_iter().map(|problem| problem.about(format!("{} at {}", page.id, shown()))));
        steps = steps.saturating_sub(1);
        if found.is_empty() && steps > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    found
}

mod extend;
#[cfg(test)]
mod tests;
