//! Pages that follow others: what changes about them waits until the page that they follow has held it for a while.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::{Managed, World};
use crate::model::{HORIZON, Instant, PageId, Variable};
use crate::pages::Page;
use crate::store::Behind;

/// The pages that are behind the newest acceptance.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    behind: BTreeMap<PageId, Behind>,
    /// The pages as older acceptances made them, by their numbers.
    worlds: BTreeMap<i64, World>,
    /// Why newer values could not be sent to a page whose time has come.
    refused: BTreeMap<PageId, String>,
}

impl Trail {
    /// Takes up what the store remembers. A page whose older definition can't be made any more is as it newly is: that it
    /// were nobody's would be worse.
    pub fn recall(mut behind: BTreeMap<PageId, Behind>, worlds: BTreeMap<i64, World>) -> Self {
        let is_known =
            |page: &PageId, as_of| worlds.get(&as_of).is_some_and(|world| world.page(page).is_some());
        behind.retain(|page, behind| behind.as_of.is_none_or(|as_of| is_known(page, as_of)));
        Self { behind, worlds, refused: BTreeMap::new() }
    }

    /// The pages that will be behind with newer definitions in force. Of those of before it is told which acceptance each is
    /// as; with the number 0 nothing was in force yet. A page that is managed, though no acceptance has it and it does not
    /// wait, was lost from the inputs for a while: it is no first contact, and left to itself it would not even close at
    /// five.
    pub fn extended(
        &self,
        (as_of, before): (&dyn Fn(&PageId) -> i64, &World),
        newest: &World,
        is_managed: impl Fn(&PageId) -> bool,
        now: Instant,
    ) -> Trail {
        let horizon = now.checked_add_signed(HORIZON).unwrap_or(now);
        let mut trail = Trail::default();
        for new in newest.pages.iter().map(|managed| &managed.computed).filter(|page| page.follow.is_some()) {
            let is_same =
                |old: &Page| std::ptr::eq(old, &raw const **new) || old.says_the_same(new, now, horizon);
            let number = as_of(&new.id);
            let was = before.page(&new.id).filter(|_| number > 0).map(|managed| &*managed.computed);
            let known = self.behind.get(&new.id);
            let in_force = known.map_or(was, |behind| self.page(&new.id, behind));
            if in_force.is_some_and(is_same) {
                continue;
            }
            let as_of = known.map_or(was.map(|_| number), |behind| behind.as_of);
            if as_of.is_none() && known.is_none() && is_managed(&new.id) {
                continue;
            }
            // What was waited for so far counts for the same change only.
            let since = known.filter(|_| was.is_some_and(is_same)).and_then(|behind| behind.since);
            trail.behind.insert(new.id.clone(), Behind { as_of, since });
        }
        let needed: BTreeSet<i64> = trail.behind.values().filter_map(|behind| behind.as_of).collect();
        for as_of in needed {
            let world = self.worlds.get(&as_of).unwrap_or(before);
            trail.worlds.insert(as_of, world.clone());
        }
        trail
    }

    /// Whether what a page waits for concerns a variable.
    pub fn concerns(&self, new: &Page, variable: &Variable, now: Instant) -> bool {
        let Some(older) = self.behind.get(&new.id).and_then(|behind| self.page(&new.id, behind)) else {
            return true;
        };
        let horizon = now.checked_add_signed(HORIZON).unwrap_or(now);
        match (older.owned(variable), new.owned(variable)) {
            (Some(older), Some(new)) => !older.says_the_same(new, now, horizon),
            (older, new) => older.is_some() || new.is_some(),
        }
    }

    /// The pages as they are in force: those that are behind as they were, and those that never were not at all.
    pub fn in_force(&self, newest: &World) -> World {
        if self.behind.is_empty() {
            return newest.clone();
        }
        newest.map(|managed| {
            let Some(behind) = self.behind.get(&managed.page.id) else { return Some(managed.clone()) };
            let older = self.worlds.get(&behind.as_of?)?.page(&managed.page.id)?;
            Some(Managed { problems: managed.problems.clone(), ..older.clone() })
        })
    }

    /// Keeps the calendars of older definitions reaching far enough.
    pub fn renew(&mut self, now: Instant) {
        for world in self.worlds.values_mut() {
            *world = world.renewed(now);
        }
    }

    /// The pages that are behind.
    pub fn behind(&self) -> &BTreeMap<PageId, Behind> {
        &self.behind
    }

    /// Notes from when on the page that is followed has held the newest. Gives what is to be remembered, if it is news.
    pub fn set_since(&mut self, page: &PageId, since: Option<Instant>) -> Option<Behind> {
        let behind = self.behind.get_mut(page).filter(|behind| behind.since != since)?;
        behind.since = since;
        Some(*behind)
    }

    /// Why newer values could not be sent to a page whose time has come.
    pub fn refusal(&self, page: &PageId) -> Option<&String> {
        self.refused.get(page)
    }

    /// Notes that they could not be sent. Gives whether that is news.
    pub fn set_refusal(&mut self, page: &PageId, refusal: String) -> bool {
        let before = self.refused.insert(page.clone(), refusal);
        before.as_ref() != self.refused.get(page)
    }

    /// A page is as the newest acceptance makes it.
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
pub struct Following {
    /// Which waits.
    pub page: PageId,
    /// Which it follows.
    pub leader: PageId,
    /// When it takes the change over, should the other hold it until then.
    pub at: Option<Instant>,
    /// What it waits for, in words.
    pub why: String,
}
