//! Promoted pages: a change to them waits until the page they follow has held it for a while.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::{Managed, World};
use crate::limits::time::HORIZON;
use crate::model::{Instant, PageId, Variable};
use crate::pages::Page;
use crate::store::Behind;

/// The promoted pages that are behind the newest accepted revision.
#[derive(Clone, Debug, Default)]
pub struct Promotions {
    behind: BTreeMap<PageId, Behind>,
    /// The pages as built by older accepted revisions, by number.
    worlds: BTreeMap<i64, World>,
    /// The reasons why newer values could not be sent to pages that are due.
    refused: BTreeMap<PageId, String>,
}

impl Promotions {
    /// Restores the state from the store.
    ///
    /// A page whose older definition cannot be rebuilt takes its newest one: leaving it unmanaged
    /// would be worse.
    pub fn recall(mut behind: BTreeMap<PageId, Behind>, worlds: BTreeMap<i64, World>) -> Self {
        let is_known =
            |page: &PageId, as_of| worlds.get(&as_of).is_some_and(|world| world.page(page).is_some());
        behind.retain(|page, behind| behind.as_of.is_none_or(|as_of| is_known(page, as_of)));
        Self { behind, worlds, refused: BTreeMap::new() }
    }

    /// Returns the pages that will be behind once `newest` is active.
    ///
    /// `as_of` returns the accepted revision that a page of `before` comes from; 0 means that
    /// nothing was active yet.
    ///
    /// A managed page that is in no accepted revision and does not wait was missing from the inputs
    /// for a while. It does not wait like a new page: nothing would be sent to it meanwhile, not
    /// even that it closes.
    pub fn extended(
        &self,
        (as_of, before): (&dyn Fn(&PageId) -> i64, &World),
        newest: &World,
        is_managed: impl Fn(&PageId) -> bool,
        now: Instant,
    ) -> Promotions {
        let horizon = now.checked_add_signed(HORIZON).unwrap_or(now);
        let mut promotions = Promotions::default();
        for new in newest.pages.iter().map(|managed| &managed.computed).filter(|page| page.follow.is_some()) {
            let is_same =
                |old: &Page| std::ptr::eq(old, &raw const **new) || old.is_equivalent(new, now, horizon);
            let number = as_of(&new.id);
            let was = before.page(&new.id).filter(|_| number > 0).map(|managed| &*managed.computed);
            let known = self.behind.get(&new.id);
            let active = known.map_or(was, |behind| self.page(&new.id, behind));
            if active.is_some_and(is_same) {
                continue;
            }
            let as_of = known.map_or(was.map(|_| number), |behind| behind.as_of);
            if as_of.is_none() && known.is_none() && is_managed(&new.id) {
                continue;
            }
            // The waiting time so far counts only if the change is the same.
            let since = known.filter(|_| was.is_some_and(is_same)).and_then(|behind| behind.since);
            promotions.behind.insert(new.id.clone(), Behind { as_of, since });
        }
        let needed: BTreeSet<i64> = promotions.behind.values().filter_map(|behind| behind.as_of).collect();
        for as_of in needed {
            let world = self.worlds.get(&as_of).unwrap_or(before);
            promotions.worlds.insert(as_of, world.clone());
        }
        promotions
    }

    /// Returns true if the change that a page waits for affects a variable.
    pub fn concerns(&self, new: &Page, variable: &Variable, now: Instant) -> bool {
        let Some(older) = self.behind.get(&new.id).and_then(|behind| self.page(&new.id, behind)) else {
            return true;
        };
        let horizon = now.checked_add_signed(HORIZON).unwrap_or(now);
        match (older.owned(variable), new.owned(variable)) {
            (Some(older), Some(new)) => !older.is_equivalent(new, now, horizon),
            (older, new) => older.is_some() || new.is_some(),
        }
    }

    /// Returns the active pages.
    ///
    /// Pages that are behind keep their older definition. Pages that were never active are left
    /// out.
    pub fn active(&self, newest: &World) -> World {
        if self.behind.is_empty() {
            return newest.clone();
        }
        newest.map(|managed| {
            let Some(behind) = self.behind.get(&managed.page.id) else { return Some(managed.clone()) };
            let older = self.worlds.get(&behind.as_of?)?.page(&managed.page.id)?;
            Some(Managed { problems: managed.problems.clone(), ..older.clone() })
        })
    }

    /// Extends the expanded calendars of older definitions.
    pub fn renew(&mut self, now: Instant) {
        for world in self.worlds.values_mut() {
            *world = world.renewed(now);
        }
    }

    /// Returns the pages that are behind.
    pub fn behind(&self) -> &BTreeMap<PageId, Behind> {
        &self.behind
    }

    /// Records since when the followed page has held the newest values.
    ///
    /// Returns the state to store, if it changed.
    pub fn set_since(&mut self, page: &PageId, since: Option<Instant>) -> Option<Behind> {
        let behind = self.behind.get_mut(page).filter(|behind| behind.since != since)?;
        behind.since = since;
        Some(*behind)
    }

    /// Returns why newer values could not be sent to a page that is due.
    pub fn refusal(&self, page: &PageId) -> Option<&String> {
        self.refused.get(page)
    }

    /// Records why newer values could not be sent. Returns true if the reason is new.
    pub fn set_refusal(&mut self, page: &PageId, refusal: String) -> bool {
        let before = self.refused.insert(page.clone(), refusal);
        before.as_ref() != self.refused.get(page)
    }

    /// Marks a page as up to date with the newest accepted revision.
    pub fn catch_up(&mut self, page: &PageId) {
        self.behind.remove(page);
        self.refused.remove(page);
        self.worlds.retain(|number, _| self.behind.values().any(|behind| behind.as_of == Some(*number)));
    }

    fn page(&self, page: &PageId, behind: &Behind) -> Option<&Page> {
        Some(&*self.worlds.get(&behind.as_of?)?.page(page)?.computed)
    }
}

/// A page that waits for the one that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The promoted page.
    pub page: PageId,
    /// The page it follows.
    pub leader: PageId,
    /// The time at which it takes the change over, if the followed page holds it until then.
    pub at: Option<Instant>,
    /// The reason for waiting, as text.
    pub why: String,
}
