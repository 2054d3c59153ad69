//! What one set of definitions changes against another, site by site: which hours, from what to what, from when.

use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::Value;

use crate::desired::{Page, World};
use crate::hours::Hours;
use crate::model::{Instant, PageId, Variable, same_value};
use crate::zone;

use super::hold::{AHEAD, sites_of};

/// One thing that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// On which page.
    pub page: PageId,
    /// What of it.
    pub what: Changed,
}

/// What changes of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// The page is new.
    NewPage,
    /// The page is no longer defined: nothing is sent to it any more.
    Gone,
    /// Hours on some dates, from one text to another.
    Hours {
        /// The name of the hours.
        site: String,
        /// The first date, by the clock there.
        from: NaiveDate,
        /// On how many of the coming 14 dates.
        dates: usize,
        /// The hours before.
        before: String,
        /// The hours after.
        after: String,
    },
    /// A value that is not of hours, as it is now.
    Value {
        /// Which variable.
        variable: Variable,
        /// The value before; null for a variable that is new.
        before: Value,
        /// The value after; null for one that is no longer defined.
        after: Value,
    },
}

/// Returns what changes within the coming 14 days, page by page in the order of the newer definitions.
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
    for (name, after) in &new_sites {
        if let Some(before) = old_sites.get(name).filter(|before| !before.says_the_same(after)) {
            changed.extend(of_hours(name, before, after, now));
        }
    }
    let value = |page: &Page, variable: &Variable| {
        let owned = page.owned(variable)?;
        owned.definition.evaluate(now).ok().map(|evaluated| evaluated.wanted.to_json())
    };
    let lost = old.variables.iter().filter(|owned| new.owned(&owned.variable).is_none());
    for owned in new.variables.iter().chain(lost).filter(|owned| !owned.definition.has_hours()) {
        let variable = &owned.variable;
        let before = value(old, variable).unwrap_or(Value::Null);
        let after = value(new, variable).unwrap_or(Value::Null);
        if !same_value(&before, &after) {
            changed.push(Changed::Value { variable: variable.clone(), before, after });
        }
    }
    changed
}

/// The dates on which hours differ, those with the same two texts together.
fn of_hours(name: &str, before: &Hours, after: &Hours, now: Instant) -> Vec<Changed> {
    let mut found: Vec<Changed> = Vec::new();
    let mut date = zone::date(after.zone, now);
    for _ in 0..AHEAD.num_days() {
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

/// The hours of before as text, with their zone where it is another one.
fn shown(before: &Hours, after: &Hours, date: NaiveDate) -> String {
    let text = before.text(date);
    let is_same = date_starts_alike(before, after, date);
    if is_same { text } else { format!("{text} {}", before.zone) }
}

fn date_starts_alike(before: &Hours, after: &Hours, date: NaiveDate) -> bool {
    zone::start_of(before.zone, date) == zone::start_of(after.zone, date)
}
