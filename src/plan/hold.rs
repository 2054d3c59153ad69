//! Compares a new revision with the active one: changed schedules, lost rows, closures.
//!
//! An unusually large change is held for approval. Schedules are compared, not values: that every
//! site closes at 17:00 is not a change if both revisions say so.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::compile::{Inputs, World};
use crate::hours::Hours;
use crate::limits::changes::{
    HOLD_AHEAD, HOLD_APPROVALS, HOLD_CLOSED_PERCENT, HOLD_PAGES, HOLD_PAGES_PERCENT, HOLD_ROWS_PERCENT,
    HOLD_TOGETHER,
};
use crate::limits::time::HORIZON;
use crate::model::{Instant, PageId, Row};
use crate::pages::Page;
use crate::tables::{Rows, Table};
use crate::written::{Node, Raw};
use crate::zone;

/// Maximum number of lost rows listed by name.
const ROWS_LISTED: usize = 10;

/// The limits for a change without approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Percentage of pages whose schedule may change.
    pub pages_percent: usize,
    /// Number of pages that may always change, regardless of the percentage.
    pub pages: usize,
    /// Percentage of its rows that a source may lose.
    pub rows_percent: usize,
    /// Percentage of sites that may become closed all day on one date; one site always may.
    pub closed_percent: usize,
    /// Number of people who must approve a held revision.
    pub approvals: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            pages_percent: HOLD_PAGES_PERCENT,
            pages: HOLD_PAGES,
            rows_percent: HOLD_ROWS_PERCENT,
            closed_percent: HOLD_CLOSED_PERCENT,
            approvals: HOLD_APPROVALS,
        }
    }
}

/// A set of definitions and the inputs they use.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The pages, without overrides.
    pub world: &'a World,
    /// The sources.
    pub inputs: &'a Inputs,
}

/// Recently accepted changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    /// Pages whose schedule changed, with the time of the last change.
    changed: BTreeMap<String, Instant>,
    /// Pages that became closed on a date, with the time of the change.
    closed: BTreeMap<NaiveDate, BTreeMap<String, Instant>>,
    /// Numbers of rows lost by source, with the time of the change.
    lost: BTreeMap<String, Vec<(Instant, usize)>>,
}

/// The changes that a revision would make.
#[derive(Clone, Debug, Default)]
pub struct Impact {
    /// The reasons to hold it; empty if it is accepted.
    pub reasons: Vec<String>,
    /// The pages whose schedule changes.
    pub changed: Vec<PageId>,
    /// The changed units that count: a page, or each site of a page with many.
    units: BTreeSet<String>,
    /// Number of pages that are no longer defined; they keep their last values.
    gone: usize,
    closed: BTreeMap<NaiveDate, BTreeSet<String>>,
    lost: BTreeMap<String, usize>,
    /// The sources that lost rows used by pages.
    pub torn: Vec<String>,
    /// The pages that would disappear or change because of lost rows, with the rows.
    pub losing_rows: BTreeMap<PageId, String>,
}

/// Compares the next days of a revision with those of the active one.
pub fn assess(before: Side, after: Side, recent: &Recent, thresholds: Thresholds, now: Instant) -> Impact {
    let mut impact = Impact::default();
    let (mut pages, mut units, mut sites) = (0, 0, BTreeSet::new());
    for new in &after.world.pages {
        let id = &new.page.id;
        let Some(old) = before.world.page(id) else { continue };
        let of_page = sites_of(&old.computed);
        pages += 1;
        units += of_page.len().max(1);
        sites.extend(of_page.keys().map(|name| site(id, &of_page, name)));
        if of_page.is_empty() && old.computed.has_hours() {
            sites.insert(id.agent.clone());
        }
        if Arc::ptr_eq(&old.computed, &new.computed) || has_same_schedule(&old.computed, &new.computed, now) {
            continue;
        }
        impact.changed.push(id.clone());
        impact.compare_sites(id, &of_page, &sites_of(&new.computed), now);
    }
    for old in before.world.pages.iter().filter(|old| after.world.page(&old.page.id).is_none()) {
        pages += 1;
        let of_page = sites_of(&old.computed);
        units += of_page.len().max(1);
        impact.gone += 1;
        match of_page.len() {
            0 | 1 => drop(impact.units.insert(old.page.id.to_string())),
            _ => impact.units.extend(of_page.keys().map(|name| format!("{} {name}", old.page.id))),
        }
    }
    impact.judge_pages(recent, thresholds, (pages, units), now);
    impact.judge_closures(recent, thresholds, sites.len(), now);
    impact.judge_sources(before.inputs, after.inputs, recent, thresholds, now);
    if thresholds.rows_percent < 100 {
        impact.judge_lost_rows(before, after, now);
    }
    impact
}

impl Impact {
    /// Records which sites of a page change, and which become closed all day.
    fn compare_sites(&mut self, page: &PageId, old: &Sites, new: &Sites, now: Instant) {
        let unit = |name: &str| if old.len() > 1 { format!("{page} {name}") } else { page.to_string() };
        let mut is_other = true;
        for (name, before) in old {
            // A missing site has no hours to compare; its lost rows are checked with the source.
            let Some(after) = new.get(name) else { continue };
            for date in newly_closed(before, after, now) {
                self.closed.entry(date).or_default().insert(site(page, old, name));
            }
            if !before.is_equivalent(after) {
                is_other = false;
                self.units.insert(unit(name));
            }
        }
        // Something other than hours changes.
        if is_other {
            self.units.insert(page.to_string());
        }
    }

    fn judge_pages(
        &mut self,
        recent: &Recent,
        thresholds: Thresholds,
        (pages, units): (usize, usize),
        now: Instant,
    ) {
        let lately =
            recent.changed.iter().filter(|(_, at)| is_recent(**at, now)).map(|(unit, _)| unit.clone());
        let all: BTreeSet<String> = self.units.iter().cloned().chain(lately).collect();
        let Thresholds { pages_percent: percent, pages: few, .. } = thresholds;
        let is_change = !self.changed.is_empty() || self.gone > 0;
        if is_change && all.len() > few && all.len() * 100 > units * percent {
            let (changed, with_earlier) =
                (self.changed.len() + self.gone, together(all.len() > self.units.len()));
            let what = match units == pages {
                true => format!("{} of {pages} pages", all.len()),
                false => format!("{} of {units} sites, on {changed} of {pages} pages", all.len()),
            };
            let gone = match self.gone {
                0 => String::new(),
                gone => {
                    format!(", of which {gone} would no longer be defined and would keep their last values")
                }
            };
            self.reasons.push(format!(
                "the next {} days change for {what}{gone}{with_earlier} (more than {percent}% and more than {few})",
                HOLD_AHEAD.num_days(),
            ));
        }
    }

    fn judge_closures(&mut self, recent: &Recent, thresholds: Thresholds, sites: usize, now: Instant) {
        let none = BTreeMap::new();
        let percent = thresholds.closed_percent;
        for (date, closed) in &self.closed {
            let lately = recent.closed.get(date).unwrap_or(&none).iter();
            let lately = lately.filter(|(_, at)| is_recent(**at, now)).map(|(page, _)| page);
            let all: BTreeSet<&String> = closed.iter().chain(lately).collect();
            if all.len() > 1 && all.len() * 100 > sites * percent {
                self.reasons.push(format!(
                    "{} of {sites} sites become closed all day on {date}{} (more than {percent}%)",
                    all.len(),
                    together(all.len() > closed.len()),
                ));
                // One date is enough.
                break;
            }
        }
    }

    fn judge_sources(
        &mut self,
        before: &Inputs,
        after: &Inputs,
        recent: &Recent,
        thresholds: Thresholds,
        now: Instant,
    ) {
        let percent = thresholds.rows_percent;
        for (name, old) in &before.tables {
            let Some(new) = after.tables.get(name).filter(|new| !Arc::ptr_eq(old, new)) else { continue };
            let (had, lost) = match (&**old, &**new) {
                (Table::Rows(old), Table::Rows(new)) => (old.rows.len(), lost_rows(old, new).len()),
                (Table::Tree(old), Table::Tree(new)) if !is_empty(old) && is_empty(new) => (1, 1),
                _ => continue,
            };
            if lost == 0 {
                continue;
            }
            let lately = recent.lost.get(name).map(Vec::as_slice).unwrap_or_default();
            let lately: usize =
                lately.iter().filter(|(at, _)| is_recent(*at, now)).map(|(_, lost)| lost).sum();
            self.lost.insert(name.clone(), lost);
            if (lost + lately) * 100 > (had + lately) * percent {
                self.reasons.push(match &**new {
                    Table::Rows(_) => format!(
                        "source \"{name}\" loses {} of {} rows{} (more than {percent}%)",
                        lost + lately,
                        had + lately,
                        together(lately > 0),
                    ),
                    Table::Tree(_) => format!("source \"{name}\" becomes empty"),
                });
            }
        }
    }
}

impl Impact {
    /// Holds a revision if its sources lost rows used by pages.
    ///
    /// A table truncated at the end of a line is still a valid table.
    fn judge_lost_rows(&mut self, before: Side, after: Side, now: Instant) {
        let by_source = lost_by_source(before.inputs, after.inputs);
        let lost: Vec<String> =
            by_source.iter().map(|(name, rows)| format!("source \"{name}\" loses {rows}")).collect();
        if lost.is_empty() {
            return;
        }
        let until = now.checked_add_signed(HORIZON).unwrap_or(now);
        let is_bereft = |old: &Page| match after.world.page(&old.id).map(|managed| &*managed.computed) {
            None => old.row.is_some(),
            Some(new) => !std::ptr::eq(old, new) && would_change(old, new, now, until),
        };
        let losing_rows: Vec<&PageId> = before
            .world
            .pages
            .iter()
            .map(|managed| &*managed.computed)
            .filter(|old| is_bereft(old))
            .map(|old| &old.id)
            .collect();
        if losing_rows.is_empty() {
            return;
        }
        self.torn = by_source.into_keys().collect();
        let lost = lost.join("; ");
        let pages = if losing_rows.len() == 1 {
            "1 page depends".to_owned()
        } else {
            format!("{} pages depend", losing_rows.len())
        };
        self.reasons.push(format!("{lost}, which {pages} on"));
        self.losing_rows = losing_rows.into_iter().map(|page| (page.clone(), lost.clone())).collect();
    }
}

/// Returns true if a page would lose its part for a row, or change in the next days.
fn would_change(old: &Page, new: &Page, now: Instant, until: Instant) -> bool {
    old.beside(new).any(|(before, after)| match after {
        None => before.row.is_some(),
        Some(after) => !before.is_equivalent(after, now, until),
    })
}

/// Returns the rows lost, as text for a message, by source.
pub fn lost_by_source(before: &Inputs, after: &Inputs) -> BTreeMap<String, String> {
    let lost = before.tables.iter().filter_map(|(name, old)| {
        let new = after.tables.get(name)?;
        let (Table::Rows(old), Table::Rows(new)) = (&**old, &**new) else { return None };
        let rows = if std::ptr::eq(old, new) { Vec::new() } else { lost_rows(old, new) };
        (!rows.is_empty()).then(|| (name.clone(), listed(&rows)))
    });
    lost.collect()
}

/// Returns the first few rows as text for a message.
fn listed(rows: &[String]) -> String {
    let shown: Vec<&str> = rows.iter().take(ROWS_LISTED).map(String::as_str).collect();
    let more = match rows.len().saturating_sub(ROWS_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = if rows.len() == 1 { "row" } else { "rows" };
    format!("{what} {}{more}", shown.join(", "))
}

impl Recent {
    /// The name under which the store keeps it.
    pub const FACT: &'static str = "recent";

    /// Adds accepted changes and removes old ones.
    pub fn add(&mut self, impact: &Impact, now: Instant) {
        self.changed.retain(|_, at| is_recent(*at, now));
        self.changed.extend(impact.units.iter().map(|unit| (unit.clone(), now)));
        for closed in self.closed.values_mut() {
            closed.retain(|_, at| is_recent(*at, now));
        }
        for (date, pages) in &impact.closed {
            self.closed.entry(*date).or_default().extend(pages.iter().map(|page| (page.clone(), now)));
        }
        self.closed.retain(|_, closed| !closed.is_empty());
        for lost in self.lost.values_mut() {
            lost.retain(|(at, _)| is_recent(*at, now));
        }
        for (name, lost) in &impact.lost {
            self.lost.entry(name.clone()).or_default().push((now, *lost));
        }
        self.lost.retain(|_, lost| !lost.is_empty());
    }
}

/// Returns true if `at` is recent.
///
/// Future timestamps count as recent: the clock may have been set back.
fn is_recent(at: Instant, now: Instant) -> bool {
    now - at <= HOLD_TOGETHER
}

fn together(with_earlier: bool) -> &'static str {
    if with_earlier { ", including those of the last hour" } else { "" }
}

/// Returns true if two definitions of a page have the same result in the next days.
fn has_same_schedule(old: &Page, new: &Page, now: Instant) -> bool {
    let until = now.checked_add_signed(HOLD_AHEAD).unwrap_or(now);
    // A variable that the new revision does not own keeps its value on the page.
    old.beside(new).all(|(before, after)| after.is_none_or(|after| before.is_equivalent(after, now, until)))
}

/// The hours of a page by name: one entry for most pages, one per site for pages of many.
type Sites<'p> = BTreeMap<&'p str, &'p Hours>;

pub(super) fn sites_of(page: &Page) -> Sites<'_> {
    let hours = page.variables.iter().flat_map(|owned| owned.definition.hours());
    hours.map(|hours| (hours.name.as_str(), &**hours)).collect()
}

/// Returns the ID of a site: its agent, plus its name if the page has many.
///
/// It is the same in every environment.
fn site(page: &PageId, sites: &Sites, name: &str) -> String {
    if sites.len() > 1 { format!("{} {name}", page.agent) } else { page.agent.clone() }
}

/// Returns the dates in the next days on which an open site becomes closed all day.
fn newly_closed(old: &Hours, new: &Hours, now: Instant) -> Vec<NaiveDate> {
    let mut date = zone::date(new.zone, now);
    let mut closed = Vec::new();
    for _ in 0..HOLD_AHEAD.num_days() {
        if !old.on(date).is_empty() && new.on(date).is_empty() {
            closed.push(date);
        }
        date = zone::next(date);
    }
    closed
}

/// Returns the rows that are gone.
///
/// Rows are compared by key. Rows without a key are compared by content and listed by first cell
/// and line, at most as many as the table lost. Unreadable rows are not gone.
fn lost_rows(old: &Rows, new: &Rows) -> Vec<String> {
    if old.rows.iter().all(|row| row.key().is_none()) || new.rows.iter().all(|row| row.key().is_none()) {
        let fewer = old.rows.len().saturating_sub(new.rows.len() + new.rejected.len());
        if fewer == 0 {
            return Vec::new();
        }
        let texts = |row: &Row| row.texts().map(|(_, text)| text.to_owned()).collect::<Vec<_>>();
        let kept: HashSet<Vec<String>> = new.rows.iter().map(texts).collect();
        let gone = old.rows.iter().filter(|row| !kept.contains(&texts(row)));
        let named = gone.map(|row| format!("{} ({})", row.text_at(0), row.origin()));
        let named: Vec<String> = named.take(fewer).collect();
        // Identical rows cannot be listed individually.
        return if named.is_empty() {
            vec!["(one of several identical rows)".to_owned(); fewer]
        } else {
            named
        };
    }
    let gone = old.keys_not_in(new).into_iter();
    gone.filter(|key| !new.may_hide(key)).map(str::to_owned).collect()
}

fn is_empty(tree: &Node) -> bool {
    match &tree.raw {
        Raw::Null => true,
        Raw::Text(text) => text.is_empty(),
        Raw::List(items) => items.is_empty(),
        Raw::Table(entries) => entries.is_empty(),
        Raw::Bool(_) | Raw::Number(_) => false,
    }
}
