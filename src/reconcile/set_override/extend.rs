//! Gives an active override another end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compile::{Managed, World};
use crate::hours::Hours;
use crate::model::{Instant, PageId, Problem, RowName};
use crate::pages::{Override, Part};
use crate::zone::Zone;

use super::{Observed, Until, end, latest, refused};

/// Returns the same override with another end, without its ID.
///
/// The new end applies to every page, and to every row of a page with many. `active` are all
/// active overrides, the newest last. It keeps its start, so the values of now stay as they are.
///
/// # Errors
/// An end in the past, one that is earlier than before, or one that a page does not have, such as a
/// next opening; a value until then that a page's schema refuses. A newer override on one of the
/// pages: the extended one would take precedence. Nothing changes then, on any page.
pub(crate) fn extend(
    set: &Override,
    (active, world): (&[Override], &World),
    until: Until,
    who: &str,
    mut observed: impl FnMut(&PageId) -> Option<Observed>,
    now: Instant,
) -> Result<Override, Vec<Problem>> {
    let mut problems: Vec<Problem> = newer(set, active, now).into_iter().collect();
    let (mut pages, mut parts, mut found) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for id in set.pages.keys() {
        let Some(managed) = world.page(id) else {
            let problem = Problem::new(format!("{id} is no longer defined"));
            problems.push(problem.hint("release the override, or set a new one without this page"));
            continue;
        };
        found.push(managed);
        match ends(managed, set, until, now) {
            Ok((until, part)) => {
                pages.insert(id.clone(), until);
                parts.extend(part.map(|part| (id.clone(), part)));
            }
            Err(problem) => problems.push(problem),
        }
    }
    let extended = Override { id: 0, who: who.to_owned(), pages, parts, ..set.clone() };
    if problems.is_empty() {
        problems = refused(&extended, &found, active, &mut observed, now);
    }
    if problems.is_empty() { Ok(extended) } else { Err(problems) }
}

/// Returns the problem of a newer override on one of the pages.
fn newer(set: &Override, active: &[Override], now: Instant) -> Option<Problem> {
    let newer = active.iter().filter(|other| other.id > set.id && !other.is_over(now));
    let (id, page) = newer
        .filter_map(|other| Some((other.id, other.pages.keys().find(|page| set.pages.contains_key(page))?)))
        .next()?;
    let problem = Problem::new(format!("override {id} was set later on {page} and takes precedence"));
    Some(problem.hint("release that one, or set a new override"))
}

/// Returns the end for a page, and the part of it with an end for each row.
fn ends(
    managed: &Managed,
    set: &Override,
    until: Until,
    now: Instant,
) -> Result<(Option<Instant>, Option<Part>), Problem> {
    let page = &managed.computed;
    let id = &page.id;
    let zone = page.zone.unwrap_or(Zone::UTC);
    let hours: Vec<&Arc<Hours>> = page.variables.iter().flat_map(|owned| owned.definition.hours()).collect();
    let whole = |known| later(end(until, &hours, zone, id, now)?, known, set, id);
    let Some(part) = set.parts.get(id) else {
        return Ok((whole(set.pages.get(id).copied().flatten())?, None));
    };
    let made = page.made_for_rows();
    let mut rows: Vec<(RowName, Option<Instant>)> = Vec::new();
    for (name, known) in part.rows() {
        let of_row = made.iter().filter(|made| made.row.name().as_ref() == Some(&name));
        let of_row: Vec<&Arc<Hours>> = of_row.flat_map(|made| made.definition.hours()).collect();
        let zone = of_row.first().map_or(zone, |hours| hours.zone);
        let of_row = if of_row.is_empty() { &hours } else { &of_row };
        let what = format!("{name} of {id}");
        let until = later(end(until, of_row, zone, &what, now)?, known, set, &what)?;
        rows.push((name, until));
    }
    let ends: Vec<Option<Instant>> = rows.iter().map(|(_, until)| *until).collect();
    let until = if ends.is_empty() { whole(set.pages.get(id).copied().flatten())? } else { latest(&ends) };
    Ok((until, Some(Part::new(part.own, rows))))
}

/// Returns the new end, which must not be earlier than the known one; none is the latest.
fn later(
    new: Option<Instant>,
    known: Option<Instant>,
    set: &Override,
    what: &dyn std::fmt::Display,
) -> Result<Option<Instant>, Problem> {
    let is_earlier = new.is_some_and(|new| known.is_none_or(|known| new < known));
    if is_earlier {
        let problem =
            Problem::new(format!("the new end is earlier than that of override {} on {what}", set.id));
        return Err(problem.hint("to end it sooner, release it or set a new override"));
    }
    Ok(new)
}
