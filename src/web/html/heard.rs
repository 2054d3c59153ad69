//! The hours that callers hear now, which overrides may replace.

use std::sync::Arc;

use crate::hours::Hours;
use crate::model::{Instant, Row};
use crate::pages::{Definition, Page};
use crate::reconcile::{PageStatus, Standing};

/// Returns the distinct hours that a page shows at an instant.
///
/// A value that a person set, and a page that runs ahead, say nothing about the hours of now.
pub fn hours(page: &Page, at: Instant) -> Vec<&Arc<Hours>> {
    distinct(page.variables.iter().flat_map(|owned| of(&owned.definition, at)))
}

/// Returns the distinct hours of a page as overrides leave them, for its timelines.
pub fn timelines(page: &Page) -> Vec<&Arc<Hours>> {
    distinct(page.variables.iter().flat_map(|owned| owned.definition.overridden_hours()))
}

/// Returns the sites that a page shows, by the keys of their rows, each with its hours.
pub fn sites(page: &Page, at: Instant) -> Vec<(&str, &Arc<Hours>)> {
    let mut found = Vec::new();
    for owned in &*page.variables {
        let key = owned.row.as_deref().and_then(Row::key);
        match key {
            Some(key) => found.extend(of(&owned.definition, at).into_iter().map(|hours| (key, hours))),
            None => rows(&owned.definition, at, &mut found),
        }
    }
    found
}

/// Returns true if callers hear what the definition says.
pub fn is_confirmed(page: &PageStatus) -> bool {
    matches!(page.standing, Standing::Right)
}

fn of(definition: &Definition, at: Instant) -> Vec<&Arc<Hours>> {
    match in_effect(definition, at) {
        None => Vec::new(),
        Some(Definition::Hours { hours, .. }) => vec![hours],
        Some(other) => other.parts().flat_map(|part| of(part, at)).collect(),
    }
}

/// Adds the rows of lists within a definition.
fn rows<'d>(definition: &'d Definition, at: Instant, found: &mut Vec<(&'d str, &'d Arc<Hours>)>) {
    match in_effect(definition, at) {
        None => {}
        Some(Definition::List { items, rows, .. }) if !rows.is_empty() => {
            for (row, item) in rows.iter().zip(items) {
                let key = row.key();
                found.extend(
                    key.into_iter().flat_map(|key| of(item, at).into_iter().map(move |hours| (key, hours))),
                );
            }
        }
        Some(other) => other.parts().for_each(|part| rows(part, at, found)),
    }
}

/// Returns the definition that gives the value at an instant; none for one that runs ahead.
fn in_effect(definition: &Definition, at: Instant) -> Option<&Definition> {
    match definition {
        Definition::Ahead { .. } => None,
        Definition::Overridden(overridden) if overridden.is_on(at) => in_effect(&overridden.during, at),
        Definition::Overridden(overridden) => in_effect(&overridden.computed, at),
        Definition::When { clauses, otherwise } => {
            let clause = clauses.iter().find(|clause| clause.holds(at));
            in_effect(clause.map_or(otherwise, |clause| &clause.definition), at)
        }
        Definition::Constant { .. }
        | Definition::Cell(_)
        | Definition::Set { .. }
        | Definition::Hours { .. }
        | Definition::Calendar { .. }
        | Definition::Object { .. }
        | Definition::List { .. }
        | Definition::Expression(_) => Some(definition),
    }
}

fn distinct<'p>(all: impl Iterator<Item = &'p Arc<Hours>>) -> Vec<&'p Arc<Hours>> {
    let mut found: Vec<&Arc<Hours>> = Vec::new();
    for hours in all {
        if !found.iter().any(|known| {
            Arc::ptr_eq(known, hours) || (known.name == hours.name && known.is_equivalent(hours))
        }) {
            found.push(hours);
        }
    }
    found
}
