//! Overrides of pages that wait for their first promotion. Only what a person decided goes to such a page, and when
//! that is over what stood there before. A key that was not there cannot be taken away again: it alone is then as
//! the new definition computes it.

use serde_json::Value;

use crate::agents_api::{ReadPages, WritePages};
use crate::compile::{Managed, World};
use crate::model::{Instant, PageId, Variable, same_value};

use super::found::{FOUND, write};
use super::{Driver, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    /// The pages that wait for their first promotion, as they are when nothing but overrides goes to them.
    pub(super) fn first_waiting(&self) -> Vec<Managed> {
        let behind = self.in_force.trail.behind().iter().filter(|(_, behind)| behind.as_of.is_none());
        let pages = behind.filter_map(|(id, _)| {
            let newest = self.in_force.world.page(id)?;
            let found = self.found.get(id).cloned().unwrap_or_default();
            Some(Managed { found: Some(found), problems: Vec::new(), ..newest.clone() })
        });
        pages.collect()
    }

    /// Adds to a world the pages among these that overrides concern, or that are to be as they were again.
    pub(super) fn add_overridden_early(&mut self, world: &mut World, now: Instant) {
        let waiting = self.first_waiting();
        let before = self.found.len();
        self.found.retain(|id, _| waiting.iter().any(|managed| managed.computed.id == *id));
        if self.found.len() != before {
            self.keep_found();
        }
        let concerned = waiting.into_iter().filter(|managed| {
            let id = &managed.computed.id;
            let is_active = |until: &Option<Instant>| until.is_none_or(|until| until > now);
            let is_overridden = self.overrides.iter().any(|set| set.pages.get(id).is_some_and(is_active));
            is_overridden || self.found.contains_key(id)
        });
        world.set_waiting(concerned.collect());
    }

    /// Remembers what stands on such a page in the place of overrides, before any of them is sent.
    pub(super) fn note_found(&mut self, id: &PageId, now: Instant) {
        let Some(managed) = self.world.page(id).filter(|managed| managed.found.is_some()) else { return };
        let Some(observed) = self.pages.get(id).and_then(|state| state.known.observed.as_ref()) else {
            return;
        };
        let known = self.found.get(id);
        let news: Vec<(Variable, Option<Value>)> = managed
            .page
            .variables
            .iter()
            .map(|owned| &owned.variable)
            .filter(|variable| known.is_none_or(|known| !known.contains_key(variable)))
            .map(|variable| (variable.clone(), variable.read(&observed.page.variables).cloned()))
            .collect();
        if !news.is_empty() {
            self.found.entry(id.clone()).or_default().extend(news);
            self.keep_found();
            self.take_world(self.world.clone(), now, Urgency::Override);
        }
    }

    /// Forgets what was found on such a page once no override concerns it and all of it is back. A key that an override
    /// made stays ours, as it is computed, until the page is promoted.
    pub(super) fn forget_found(&mut self, id: &PageId, now: Instant) {
        let Some(managed) = self.world.page(id).filter(|managed| managed.found.is_some()) else { return };
        let (Some(state), Some(found)) = (self.pages.get(id), self.found.get(id)) else { return };
        let is_over = managed.page.variables.iter().all(|owned| owned.definition.overruled_at(now).is_none());
        let is_back = |(variable, value): (&Variable, &Option<Value>)| {
            let base = state.known.base.get(variable);
            value.as_ref().is_some_and(|value| base.is_none_or(|base| same_value(base, value)))
        };
        if is_over && found.iter().all(is_back) {
            self.found.remove(id);
            self.keep_found();
            self.take_world(self.world.clone(), now, Urgency::Override);
        }
    }

    fn keep_found(&mut self) {
        self.keep_fact(FOUND, write(&self.found));
    }
}
