//! All pages, compiled from the inputs.
//!
//! A page that cannot be compiled keeps its previous definition.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;

use serde_json::Value;

use crate::calendar::Window;
use crate::model::{Environment, Instant, PageId, Problem, Variable};

use crate::pages::{Override, Page};

use super::blueprint::{Blueprint, Inputs};

/// The pages as the inputs of one moment define them.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The pages, in the order of the settings and their rows.
    pub pages: Vec<Managed>,
    /// Blocks and rows that gave no page at all, and why.
    pub missing: Vec<Problem>,
    /// Previous pages that are no longer defined; nothing more is sent to them.
    pub released: Vec<PageId>,
    /// The dates (UTC) for which the calendars reach far enough; outside, a new world is due.
    pub(super) fresh: Option<(NaiveDate, NaiveDate)>,
    pub(super) index: HashMap<PageId, usize>,
    pub(super) basis: Option<Arc<Basis>>,
    /// Failing blocks that the previous world did not have, by key.
    ///
    /// Pages that no block has any more may belong to one of them.
    pub(super) orphaned: BTreeMap<String, Problem>,
}

/// The settings and inputs of a world. While they are unchanged, so are its pages.
#[derive(Debug)]
pub(super) struct Basis {
    pub(super) blueprint: Blueprint,
    pub(super) inputs: Inputs,
    pub(super) window: Window,
}

/// A page, or a variable of one, that was defined and no longer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The page.
    pub page: PageId,
    /// The variable; none if the whole page is gone.
    pub variable: Option<Variable>,
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.variable {
            None => write!(
                f,
                "{} is no longer defined: nothing more is sent to it, and it keeps its values",
                self.page
            ),
            Some(variable) => write!(
                f,
                "{variable} of {} is no longer defined: nothing more is sent for it, and it keeps its value",
                self.page
            ),
        }
    }
}

/// A page and the state of its definition.
#[derive(Debug, Clone)]
pub struct Managed {
    /// The active definition, overrides included.
    pub page: Arc<Page>,
    /// The active definition without overrides.
    pub computed: Arc<Page>,
    /// The reasons that the newest definition is not active; empty if it is.
    pub problems: Vec<Problem>,
    /// The values found on a page that waits for its first promotion, before any overrides.
    ///
    /// Nothing but overrides is sent to such a page.
    pub found: Option<BTreeMap<Variable, Option<Value>>>,
}

impl Managed {
    /// Returns the page with overrides applied.
    pub fn under(&self, overrides: &[Override]) -> Arc<Page> {
        match &self.found {
            Some(found) => Arc::new(self.computed.overridden_alone(overrides, found)),
            None => self.computed.overridden(overrides).map_or_else(|| self.computed.clone(), Arc::new),
        }
    }
}

impl World {
    /// Returns the pages and variables that were defined before, and no longer are.
    pub fn gone(&self, before: &World) -> Vec<Gone> {
        let mut gone = Vec::new();
        for Managed { computed: old, .. } in &before.pages {
            let id = &old.id;
            match self.page(id).map(|managed| &managed.computed) {
                None => gone.push(Gone { page: id.clone(), variable: None }),
                Some(new) if Arc::ptr_eq(old, new) => {}
                Some(new) => {
                    let known: HashSet<&Variable> =
                        new.variables.iter().map(|owned| &owned.variable).collect();
                    let variables = old.variables.iter().map(|owned| &owned.variable);
                    let lost = variables.filter(|variable| !known.contains(variable)).cloned();
                    gone.extend(lost.map(|variable| Gone { page: id.clone(), variable: Some(variable) }));
                }
            }
        }
        gone
    }

    /// Returns true if it was compiled from these very settings and inputs.
    pub fn is_of(&self, blueprint: &Blueprint, inputs: &Inputs) -> bool {
        self.basis.as_ref().is_some_and(|basis| basis.inputs.is_same(inputs) && basis.blueprint == *blueprint)
    }

    /// Returns true if the calendars reach far enough from an instant, back and ahead.
    ///
    /// A clock can jump either way.
    pub fn is_fresh(&self, at: Instant) -> bool {
        self.fresh.is_none_or(|(from, until)| (from..until).contains(&at.date_naive()))
    }

    /// Returns the instant at which a new world is due, if time just passes.
    pub fn stale_at(&self) -> Option<Instant> {
        self.fresh.map(|(_, until)| until.and_time(chrono::NaiveTime::MIN).and_utc())
    }

    /// Returns the page with an id.
    pub fn page(&self, id: &PageId) -> Option<&Managed> {
        self.index.get(id).map(|index| &self.pages[*index])
    }

    /// Builds a world of given pages alone.
    pub fn of(pages: Vec<Managed>) -> World {
        let index = pages.iter().enumerate().map(|(index, managed)| (managed.page.id.clone(), index));
        World { index: index.collect(), pages, ..World::default() }
    }

    /// Replaces all pages that wait for their first promotion with these.
    pub fn set_waiting(&mut self, waiting: Vec<Managed>) {
        if waiting.is_empty() && self.pages.iter().all(|managed| managed.found.is_none()) {
            return;
        }
        self.pages.retain(|managed| managed.found.is_none());
        self.pages.extend(waiting);
        let index = self.pages.iter().enumerate();
        self.index = index.map(|(index, managed)| (managed.page.id.clone(), index)).collect();
    }

    /// Returns a world with each page replaced by the result of `page`, or left out.
    ///
    /// The result has no settings or inputs, so it cannot be renewed.
    pub fn map(&self, page: impl Fn(&Managed) -> Option<Managed>) -> World {
        World {
            missing: self.missing.clone(),
            released: self.released.clone(),
            fresh: self.fresh,
            orphaned: self.orphaned.clone(),
            ..World::of(self.pages.iter().filter_map(page).collect())
        }
    }

    /// Returns the same definitions, with calendars that reach far enough from an instant.
    pub fn renewed(&self, at: Instant) -> World {
        match &self.basis {
            Some(basis) if !self.is_fresh(at) => World::new(&basis.blueprint, &basis.inputs, at, Some(self)),
            _ => self.clone(),
        }
    }

    /// Replaces all active overrides; later ones take precedence.
    pub fn apply_override(&mut self, overrides: &[Override]) {
        self.override_like(&World::default(), overrides);
    }

    /// Replaces all active overrides, and reuses pages of a world with the same ones.
    ///
    /// A page with the same definition is taken from `other`, so that one changed row does not
    /// rebuild the other pages.
    pub fn override_like(&mut self, other: &World, overrides: &[Override]) {
        for managed in &mut self.pages {
            let known = other.page(&managed.computed.id);
            let is_same = |known: &&Managed| {
                Arc::ptr_eq(&known.computed, &managed.computed) && known.found == managed.found
            };
            managed.page = match known.filter(is_same) {
                Some(known) => known.page.clone(),
                None => managed.under(overrides),
            };
        }
    }

    /// Checks that each promoted page follows a defined page that does not follow it.
    ///
    /// Otherwise it would wait forever.
    pub(super) fn check_leaders(&mut self) {
        let leader = |page: &Page| self.page(&page.leader()?).map(|managed| managed.page.clone());
        let follows_itself = |page: &Page| {
            let mut pages = std::iter::successors(leader(page), |next| leader(next));
            pages.by_ref().take(Environment::ALL.len()).any(|next| next.id == page.id)
        };
        let mut found = Vec::new();
        for (index, managed) in self.pages.iter().enumerate() {
            let Some(id) = managed.page.leader() else { continue };
            let message = match self.page(&id) {
                None => format!("it follows {id}, which is not defined"),
                Some(_) if follows_itself(&managed.page) => {
                    format!("it follows {id}, which directly or indirectly follows it")
                }
                Some(_) => continue,
            };
            let problem = Problem::at(&managed.page.origin, message).about(&managed.page.id);
            found
                .push((index, problem.hint("correct follow: a change waits until the followed page has it")));
        }
        for (index, problem) in found {
            self.pages[index].problems.push(problem);
        }
    }

    /// Returns every problem of pages, and of blocks and rows that gave no page.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.missing.iter().chain(self.pages.iter().flat_map(|managed| &managed.problems))
    }
}
