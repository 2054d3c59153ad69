//! Gives an active override another end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compile::World;
use crate::hours::Hours;
use crate::model::{Instant, PageId, Problem, RowName};
use crate::pages::{Override, Part};
use crate::zone::Zone;

use super::{Until, end, latest};

/// Returns the same override with another end, without its ID.
///
/// The new end applies to every page, and to every row of a page with many. `active` are all
/// active overrides, the newest last.
///
/// # Errors
/// An end in the past, one that is earlier than before, or one that a page does not have, such as a
/// next opening. A newer override on one of the pages: the extended one would take precedence.
pub(crate) fn extend(
    set: &Override,
    active: &[Override],
    until: Until,
    who: &str,
    world: &World,
    now: Instant,
) -> Result<Override, Vec<Problem>> {
    let (mut pages, mut parts, mut problems) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let newer = active.iter().skip_while(|other| other.id != set.id).skip(1);
    for other in newer.filter(|other| !other.is_over(now)) {
        if let Some(page) = other.pages.keys().find(|page| set.pages.contains_key(page)) {
            let message = format!("override {} was set later on {page} and takes precedence", other.id);
            problems.push(Problem::new(message).hint("release that one, or set a new override"));
        }
    }
    for id in set.pages.keys() {
        let part = set.parts.get(id);
        match ends(id, part, until, world, now) {
            Ok((until, _)) if is_earlier(until, set.pages.get(id).copied().flatten()) => {
                let message = format!("the new end is earlier than that of override {} on {id}", set.id);
                problems
                    .push(Problem::new(message).hint("to end it sooner, release it or set a new override"));
            }
            Ok((until, part)) => {
                pages.insert(id.clone(), until);
                parts.extend(part.map(|part| (id.clone(), part)));
            }
            Err(problem) => problems.push(problem),
        }
    }
    let (who, reason, kind) = (who.to_owned(), set.reason.clone(), set.kind.clone());
    if problems.is_empty() {
        Ok(Override { id: 0, at: now, who, reason, kind, pages, parts })
    } else {
        Err(problems)
    }
}

/// Returns true if an end comes before another one; without an end, an override ends last.
fn is_earlier(new: Option<Instant>, old: Option<Instant>) -> bool {
    match (new, old) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(new), Some(old)) => new < old,
    }
}

/// Returns the end for a page, and the part of it with an end for each row.
fn ends(
    id: &PageId,
    part: Option<&Part>,
    until: Until,
    world: &World,
    now: Instant,
) -> Result<(Option<Instant>, Option<Part>), Problem> {
    let page = world.page(id).map(|managed| &managed.computed);
    let zone = page.and_then(|page| page.zone).unwrap_or(Zone::UTC);
    let hours: Vec<&Arc<Hours>> = page.map_or_else(Vec::new, |page| {
        page.variables.iter().flat_map(|owned| owned.definition.hours()).collect()
    });
    let Some(part) = part else { return Ok((end(until, &hours, zone, id, now)?, None)) };
    let made = page.map_or_else(Vec::new, |page| page.made_for_rows());
    let mut rows: Vec<(RowName, Option<Instant>)> = Vec::new();
    for (name, _) in part.rows() {
        let of_row = made.iter().filter(|made| made.row.name().as_ref() == Some(&name));
        let of_row: Vec<&Arc<Hours>> = of_row.flat_map(|made| made.definition.hours()).collect();
        let zone = of_row.first().map_or(zone, |hours| hours.zone);
        let of_row = if of_row.is_empty() { &hours } else { &of_row };
        let until = end(until, of_row, zone, &format!("{name} of {id}"), now)?;
        rows.push((name, until));
    }
    let ends: Vec<Option<Instant>> = rows.iter().map(|(_, until)| *until).collect();
    let whole = if ends.is_empty() { end(until, &hours, zone, id, now)? } else { latest(&ends) };
    Ok((whole, Some(Part::new(part.own, rows))))
}
