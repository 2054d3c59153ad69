//! Differences between two sets of definitions, per site: which hours change, how, and from when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::Value;

use crate::compile::World;
use crate::hours::Hours;
use crate::limits::changes::{HOLD_AHEAD, MAX_CHANGES_COMPARED};
use crate::model::{Instant, PageId, same_value};
use crate::pages::{Definition, Evaluated, Page};
use crate::zone;

use super::hold::sites_of;

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The page.
    pub page: PageId,
    /// The change.
    pub what: Changed,
}

/// A change on a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// The page is new.
    NewPage,
    /// The page is not defined any more; nothing more is sent to it.
    Gone,
    /// Hours that differ on some dates.
    Hours {
        /// The name of the hours.
        site: String,
        /// The first date, in the site's time zone.
        from: NaiveDate,
        /// Number of such dates in the next 14 days.
        dates: usize,
        /// The hours before.
        before: String,
        /// The hours after.
        after: String,
    },
    /// A table row for which a list on the page has an item.
    Row {
        /// The list and the row, as in `sites[york]`.
        name: String,
        /// True if the row is new, false if it is gone.
        is_new: bool,
    },
    /// A value that differs for another reason than changed hours.
    Value {
        /// The variable, or a part of it, as in `sites[york].phone`.
        name: String,
        /// The first instant at which the values differ.
        from: Instant,
        /// The value before; null if it is new.
        before: Value,
        /// The value after; null if its definition was removed.
        after: Value,
    },
    /// A value that changes too often to be compared over the whole period.
    NotCompared {
        /// The variable, or a part of it.
        name: String,
        /// The first instant that was not compared.
        from: Instant,
    },
}

/// Returns the differences in the next 14 days, by page in the order of `after`.
pub fn differences(before: &World, after: &World, now: Instant) -> Vec<Difference> {
    let mut found = Vec::new();
    for new in &after.pages {
        let id = &new.computed.id;
        match before.page(id) {
            None => found.push(Difference { page: id.clone(), what: Changed::NewPage }),
            Some(old) if Arc::ptr_eq(&old.computed, &new.computed) => {}
            Some(old) => {
                let changed = of_page(&old.computed, &new.computed, now);
                found.extend(changed.into_iter().map(|what| Difference { page: id.clone(), what }));
            }
        }
    }
    let gone = before.pages.iter().map(|old| &old.computed.id).filter(|id| after.page(id).is_none());
    found.extend(gone.map(|id| Difference { page: id.clone(), what: Changed::Gone }));
    found
}

fn of_page(old: &Page, new: &Page, now: Instant) -> Vec<Changed> {
    let (old_sites, new_sites) = (sites_of(old), sites_of(new));
    let mut changed = Vec::new();
    let mut explained = BTreeSet::new();
    for (name, after) in &new_sites {
        if let Some(before) = old_sites.get(name).filter(|before| !before.is_equivalent(after)) {
            let of_site = of_hours(name, before, after, now);
            explained.extend(of_site.first().map(|_| *name));
            changed.extend(of_site);
        }
    }
    let (before, after) = (Parts::of(old), Parts::of(new));
    let row = |name: &String, is_new| Changed::Row { name: name.clone(), is_new };
    changed.extend(after.rows.difference(&before.rows).map(|name| row(name, true)));
    changed.extend(before.rows.difference(&after.rows).map(|name| row(name, false)));
    let names: BTreeSet<_> = before.values.keys().chain(after.values.keys()).collect();
    for name in names {
        let (was, is) = (before.values.get(name), after.values.get(name));
        // A row that was added or removed is one difference for all its cells.
        let is_of = |row: &str| before.rows.contains(row) != after.rows.contains(row);
        if name.match_indices(']').any(|(end, _)| is_of(&name[..=end])) {
            continue;
        }
        let hours = [was, is].into_iter().flatten().flat_map(|part| part.hours());
        if !hours.into_iter().any(|hours| explained.contains(hours.name.as_str())) {
            changed.extend(of_value(name, was.copied(), is.copied(), now));
        }
    }
    changed
}

/// The parts of a page by name, including object entries and list items.
#[derive(Default)]
struct Parts<'p> {
    values: BTreeMap<String, &'p Definition>,
    rows: BTreeSet<String>,
}

impl<'p> Parts<'p> {
    fn of(page: &'p Page) -> Self {
        let mut parts = Self::default();
        for owned in page.variables.iter() {
            parts.add(owned.variable.to_string(), &owned.definition);
        }
        parts
    }

    fn add(&mut self, name: String, definition: &'p Definition) {
        match definition {
            Definition::Object { entries, .. } => {
                for (key, entry) in entries {
                    self.add(format!("{name}.{key}"), entry);
                }
            }
            Definition::List { items, rows, .. } if !rows.is_empty() => {
                for (number, (row, item)) in rows.iter().zip(items).enumerate() {
                    let key = row.key().map_or_else(|| (number + 1).to_string(), str::to_owned);
                    let name = format!("{name}[{key}]");
                    self.rows.insert(name.clone());
                    self.add(name, item);
                }
            }
            _ => drop(self.values.insert(name, definition)),
        }
    }
}

/// Returns the first difference of a value in the next days, or the instant from which it is unknown.
fn of_value(name: &str, old: Option<&Definition>, new: Option<&Definition>, now: Instant) -> Option<Changed> {
    let end = now.checked_add_signed(HOLD_AHEAD)?;
    let mut at = now;
    for _ in 0..MAX_CHANGES_COMPARED {
        let evaluated = |side: Option<&Definition>| side.and_then(|definition| definition.evaluate(at).ok());
        let (was, is) = (evaluated(old), evaluated(new));
        let json = |side: &Option<Evaluated>| side.as_ref().map_or(Value::Null, |of| of.value.to_json());
        let (before, after) = (json(&was), json(&is));
        if !same_value(&before, &after) {
            return Some(Changed::Value { name: name.to_owned(), from: at, before, after });
        }
        at = [was, is].into_iter().flatten().filter_map(|side| side.until).min()?;
        if at >= end {
            return None;
        }
    }
    let is_same = old.zip(new).is_some_and(|(old, new)| old.is_equivalent(new));
    (!is_same).then(|| Changed::NotCompared { name: name.to_owned(), from: at })
}

/// Returns the dates on which hours differ, grouped by their texts.
fn of_hours(name: &str, before: &Hours, after: &Hours, now: Instant) -> Vec<Changed> {
    let mut found: Vec<Changed> = Vec::new();
    let mut date = zone::date(after.zone, now);
    for _ in 0..HOLD_AHEAD.num_days() {
        let (was, is) = (shown(before, after, date), after.text(date));
        if was != is {
            let known = found.iter_mut().find_map(|changed| match changed {
                Changed::Hours { dates, before, after, .. } if *before == was && *after == is => Some(dates),
                _ => None,
            });
            match known {
                Some(dates) => *dates += 1,
                None => found.push(Changed::Hours {
                    site: name.to_owned(),
                    from: date,
                    dates: 1,
                    before: was,
                    after: is,
                }),
            }
        }
        date = zone::next(date);
    }
    found
}

/// Returns the old hours as text, with their zone if it differs from the new one.
fn shown(before: &Hours, after: &Hours, date: NaiveDate) -> String {
    let text = before.text(date);
    let is_same = date_starts_alike(before, after, date);
    if is_same { text } else { format!("{text} {}", before.zone) }
}

fn date_starts_alike(before: &Hours, after: &Hours, date: NaiveDate) -> bool {
    zone::start_of(before.zone, date) == zone::start_of(after.zone, date)
}
