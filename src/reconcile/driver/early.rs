//! Overrides of pages that wait for their first promotion.
//!
//! Such a page gets only the overridden values, and its earlier values when the override ends. A
//! key that was missing before cannot be deleted; it alone then gets the value of the new
//! definition.

use serde_json::Value;

use crate::agents_api::{ReadPages, WritePages};
use crate::compile::{Managed, World};
use crate::model::{Instant, PageId, Variable, same_value};

use super::overrides::{FOUND, write};
use super::{Driver, Urgency};

impl<R: ReadPages + WritePages> Driver<R> {
    /// Returns the pages that wait for their first promotion, with overrides only.
    pub(super) fn first_waiting(&self) -> Vec<Managed> {
        let behind =
            self.revisions.active.promotions.behind().iter().filter(|(_, behind)| behind.as_of.is_none());
        let pages = behind.filter_map(|(id, _)| {
            let newest = self.revisions.active.world.page(id)?;
            let found = self.overrides.found.get(id).cloned().unwrap_or_default();
            Some(Managed { found: Some(found), problems: Vec::new(), ..newest.clone() })
        });
        pages.collect()
    }

    /// Adds the unpromoted pages that are overridden, or must be restored, to a world.
    pub(super) fn add_overridden_early(&mut self, world: &mut World, now: Instant) {
        let waiting = self.first_waiting();
        let before = self.overrides.found.len();
        self.overrides.found.retain(|id, _| waiting.iter().any(|managed| managed.computed.id == *id));
        if self.overrides.found.len() != before {
            self.keep_found();
        }
        let concerned = waiting.into_iter().filter(|managed| {
            let id = &managed.computed.id;
            let is_active = |until: &Option<Instant>| until.is_none_or(|until| until > now);
            let is_overridden = self.overrides.set.iter().any(|set| set.pages.get(id).is_some_and(is_active));
            is_overridden || self.overrides.found.contains_key(id)
        });
        world.set_waiting(concerned.collect());
    }

    /// Stores the values on such a page before any override of them is sent.
    pub(super) fn note_found(&mut self, id: &PageId, now: Instant) {
        let Some(managed) = self.world.page(id).filter(|managed| managed.found.is_some()) else { return };
        let Some(observed) = self.pages.get(id).and_then(|state| state.known.observed.as_ref()) else {
            return;
        };
        let known = self.overrides.found.get(id);
        let news: Vec<(Variable, Option<Value>)> = managed
            .page
            .variables
            .iter()
            .map(|owned| &owned.variable)
            .filter(|variable| known.is_none_or(|known| !known.contains_key(variable)))
            .map(|variable| (variable.clone(), variable.read(&observed.page.variables).cloned()))
            .collect();
        if !news.is_empty() {
            self.overrides.found.entry(id.clone()).or_default().extend(news);
            self.keep_found();
            self.take_world(self.world.clone(), now, Urgency::Override);
        }
    }

    /// Forgets the stored values of such a page once no override is left and all are restored.
    ///
    /// A key created by an override stays ours, with its computed value, until the page is
    /// promoted.
    pub(super) fn forget_found(&mut self, id: &PageId, now: Instant) {
        let Some(managed) = self.world.page(id).filter(|managed| managed.found.is_some()) else { return };
        let (Some(state), Some(found)) = (self.pages.get(id), self.overrides.found.get(id)) else { return };
        let is_over =
            managed.page.variables.iter().all(|owned| owned.definition.overridden_at(now).is_none());
        let is_back = |(variable, value): (&Variable, &Option<Value>)| {
            let baseline = state.known.baseline.get(variable);
            value.as_ref().is_some_and(|value| baseline.is_none_or(|baseline| same_value(baseline, value)))
        };
        if is_over && found.iter().all(is_back) {
            self.overrides.found.remove(id);
            self.keep_found();
            self.take_world(self.world.clone(), now, Urgency::Override);
        }
    }

    fn keep_found(&mut self) {
        self.keep_fact(FOUND, write(&self.overrides.found));
    }
}
