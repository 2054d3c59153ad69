//! What the driver remembers of a page between two looks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use crate::model::{Change, Environment, Instant, PageId, RemotePage, Variable};
use crate::plan::Drift;
use crate::schema::Schemas;
use crate::store::{self, OpenIntent};

use super::gaps::Gaps;
use super::gate::Urgency;
use super::{Knowledge, Observed};

/// A page that was seen this long ago is fresh enough to be sent to; an older look is repeated, so that a person's
/// edit in between is seen. A list counts from when it was asked for, a look of the page's own from its answer, or
/// a slow API would be looked at for ever.
const FRESH: Duration = Duration::from_millis(500);

/// So long before a boundary the page is looked at, so that the PATCH can leave on it; less than a look stays fresh.
pub const LOOK_AHEAD: Duration = Duration::from_millis(300);

/// Tries in a row that fail alike before that is called more than a moment's trouble.
pub const STUCK_AFTER: u32 = 3;

/// Whether an instant is to come, and so near that the page is looked at for it.
pub fn is_near(at: Instant, now: Instant) -> bool {
    at > now && (at - now).to_std().is_ok_and(|left| left <= LOOK_AHEAD)
}

/// How a page stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not looked at yet.
    Unseen,
    /// It holds what it should.
    Right,
    /// It holds what its last good definition says; the newest one is bad.
    Stale(String),
    /// Others changed it, and the settings only want that told.
    Drifted(String),
    /// It will be tried again by itself.
    Retrying(String),
    /// It waits until something about it changes.
    Stuck(String),
    /// It waits for a person's decision.
    Held(String),
}

impl Standing {
    /// What keeps the page from being right, in words.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Unseen | Self::Right => None,
            Self::Stale(text)
            | Self::Drifted(text)
            | Self::Retrying(text)
            | Self::Stuck(text)
            | Self::Held(text) => Some(text),
        }
    }
}

/// What is sent, and to which page. The body is no part of it, since that has in it what our own last try made of the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    changes: Vec<(Variable, Value)>,
    last_updated: Option<String>,
    schema: Option<Arc<Value>>,
}

impl Attempt {
    /// Whether both send the same, to whatever page.
    pub fn sends_the_same(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

/// One page's state.
#[derive(Debug)]
pub struct PageState {
    /// What is known of it.
    pub known: Knowledge,
    /// The uptime at which it was seen.
    seen_at: Option<Duration>,
    /// The turn at which its last request of its own ended; an answer to an older question says nothing new.
    settled_at: Option<u64>,
    due: Option<Instant>,
    /// Where it stands among those whose time has come, and whether these are tried again.
    rank: Option<(Rank, bool)>,
    /// What its next request is for.
    pub urgency: Urgency,
    /// It is being looked at or sent to.
    pub in_flight: bool,
    /// The permission for its PATCH was taken with that for the look before it, so that the look isn't old by then.
    pub reserved: bool,
    /// What was seen of it may be old: somebody says that it was changed, or it could not be fetched.
    pub look_wanted: bool,
    /// What it is known to lack, and what an answer that was not confirmed lacks.
    pub gaps: Gaps,
    /// Its last PATCH, when that failed.
    pub failed: Option<OpenIntent>,
    /// The API's answer to its last PATCH did not hold what was sent; in words.
    pub not_taken: Option<String>,
    /// Who is said to have changed it.
    pub changed_by: Option<String>,
    /// Tries that failed since the last that didn't.
    pub attempts: u32,
    /// The uptime at which a request of its own last succeeded.
    pub succeeded_at: Option<Duration>,
    /// What was refused; the same is not sent again.
    pub refused: Option<Attempt>,
    /// What was last sent, and how often in a row that was refused.
    pub refusals: (Option<Attempt>, u32),
    /// How it stands.
    pub standing: Standing,
    /// The drift that was logged and recorded; none when that is not known.
    pub told_drift: Option<Vec<Drift>>,
    /// The problem that the store has for it.
    pub noted: Option<String>,
}

impl PageState {
    /// What the store knows of a page, to begin with.
    pub fn new(stored: store::PageState) -> Self {
        Self {
            known: Knowledge::new(None, stored.base, stored.open),
            seen_at: None,
            settled_at: None,
            due: None,
            rank: None,
            urgency: Urgency::default(),
            in_flight: false,
            reserved: false,
            look_wanted: false,
            gaps: Gaps::new(stored.schema.is_some()),
            failed: None,
            not_taken: None,
            changed_by: None,
            attempts: 0,
            succeeded_at: None,
            refused: None,
            refusals: (None, 0),
            standing: Standing::Unseen,
            told_drift: (!stored.is_adrift).then(Vec::new),
            noted: stored.problem.map(|(problem, _)| problem),
        }
    }

    /// Takes in the page as it was at `seen_at`. Gives whether its schema is another.
    pub fn see(&mut self, page: RemotePage, seen_at: Duration, schemas: &mut Schemas) -> bool {
        let observed = Observed::new(page, schemas);
        let before = self.known.observed.as_ref().map(|before| &before.page);
        let is_new = before.is_none_or(|before| before.schema != observed.page.schema);
        self.known.observed = Some(observed);
        (self.seen_at, self.succeeded_at) = (Some(seen_at), Some(seen_at));
        is_new
    }

    /// The page's own request has ended, however it did.
    pub fn settle(&mut self, turn: u64) {
        self.in_flight = false;
        self.settled_at = Some(turn);
    }

    /// Whether an answer to a question asked at `asked` can tell something about the page: nothing of its own
    /// is under way, and nothing has ended since.
    pub fn believes(&self, asked: u64) -> bool {
        !self.in_flight && self.settled_at.is_none_or(|settled| settled < asked)
    }

    /// Makes the next decision begin with a look.
    pub fn forget_page(&mut self) {
        self.seen_at = None;
    }

    /// When it is next to be decided on; none while nothing is expected.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What would be changed, and on which page: the same is not sent again once it was refused.
    pub fn attempt(&self, changes: &[Change]) -> Attempt {
        let observed = self.known.observed.as_ref();
        Attempt {
            changes: changes.iter().map(|change| (change.variable.clone(), change.to.clone())).collect(),
            last_updated: observed.and_then(|observed| observed.page.last_updated.clone()),
            schema: observed.and_then(|observed| observed.page.schema.clone()),
        }
    }

    /// Whether the page was seen so recently that it can be sent to.
    pub fn is_fresh(&self, up: Duration) -> bool {
        self.seen_at.is_some_and(|at| up.saturating_sub(at) < FRESH)
    }

    /// Whether it waits for a boundary that is near.
    pub fn awaits_boundary(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| is_near(due, now))
    }

    /// Whether it has to be looked at before anything is decided.
    pub fn needs_look(&self, up: Duration) -> bool {
        self.look_wanted || self.known.observed.is_none() || (self.known.open.is_some() && !self.is_fresh(up))
    }
}

/// All pages, and when each is due.
#[derive(Debug, Default)]
pub struct Pages {
    states: HashMap<PageId, PageState>,
    /// By when they are due.
    waiting: BTreeSet<(Instant, PageId)>,
    /// Those whose time has come, the most urgent first.
    ripe: BTreeSet<(Rank, PageId)>,
    /// The same of those that are tried again. They wait for a permission of their own, and keep their places meanwhile.
    ripe_again: BTreeSet<(Rank, PageId)>,
    /// Those that something was learned of or decided on.
    moved: BTreeSet<PageId>,
}

/// What goes first: what fails for the first or second time, then what was looked at for the sake of a PATCH that waits, then
/// the most urgent, and of these what has waited longest.
type Rank = (bool, bool, Urgency, Instant);

impl Pages {
    /// One page's state.
    pub fn get(&self, page: &PageId) -> Option<&PageState> {
        self.states.get(page)
    }

    /// One page's state, to change all but when it is due.
    pub fn get_mut(&mut self, page: &PageId) -> Option<&mut PageState> {
        self.states.get_mut(page)
    }

    /// One page's state; that of a page nobody knows when there was none.
    pub fn get_or_new(&mut self, page: &PageId) -> &mut PageState {
        self.states.entry(page.clone()).or_insert_with(|| PageState::new(store::PageState::default()))
    }

    /// Takes up what the store knows of a page.
    pub fn insert(&mut self, page: PageId, stored: store::PageState) {
        self.states.insert(page, PageState::new(stored));
    }

    /// All states, to change all but when they are due.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (&PageId, &mut PageState)> {
        self.states.iter_mut()
    }

    /// Sets when a page is next to be decided on; never, for none.
    pub fn schedule(&mut self, page: &PageId, due: Option<Instant>) {
        self.note_move(page);
        let Some(state) = self.states.get_mut(page) else { return };
        match (std::mem::replace(&mut state.due, due), state.rank.take()) {
            (_, Some((rank, false))) => drop(self.ripe.remove(&(rank, page.clone()))),
            (_, Some((rank, true))) => drop(self.ripe_again.remove(&(rank, page.clone()))),
            (Some(before), None) => drop(self.waiting.remove(&(before, page.clone()))),
            (None, None) => {}
        }
        self.waiting.extend(due.map(|due| (due, page.clone())));
    }

    /// Something was learned of a page or decided on it.
    pub fn note_move(&mut self, page: &PageId) {
        if !self.moved.contains(page) {
            self.moved.insert(page.clone());
        }
    }

    /// The pages whose state may be another than when this was last asked.
    pub fn take_moved(&mut self) -> BTreeSet<PageId> {
        std::mem::take(&mut self.moved)
    }

    /// Ranks the pages whose time has come.
    pub fn ripen(&mut self, now: Instant) {
        while let Some((due, _)) = self.waiting.first()
            && *due <= now
            && let Some((due, page)) = self.waiting.pop_first()
        {
            if let Some(state) = self.states.get_mut(&page) {
                // What has its permission waits for none.
                let again = state.attempts > 0 && !state.reserved;
                let rank = (again && state.attempts >= STUCK_AFTER, !state.reserved, state.urgency, due);
                state.rank = Some((rank, again));
                if again { &mut self.ripe_again } else { &mut self.ripe }.insert((rank, page));
            }
        }
    }

    /// The first of the pages whose time has come, with those that are tried again or without. It stays the first until it
    /// is scheduled anew.
    pub fn first(&self, with_retries: bool) -> Option<&PageId> {
        let again = self.ripe_again.first().filter(|_| with_retries);
        self.ripe.first().into_iter().chain(again).min().map(|(_, page)| page)
    }

    /// Whether the time has come of some that are tried again.
    pub fn has_retries(&self) -> bool {
        !self.ripe_again.is_empty()
    }

    /// When the next page is due that is not due yet.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let later = now.checked_add_signed(TimeDelta::nanoseconds(1))?;
        let least = PageId { agent: String::new(), environment: Environment::Sandbox };
        self.waiting.range((later, least)..).next().map(|(due, _)| *due)
    }

    /// Makes every page that waits for some later time due now.
    pub fn hurry(&mut self, now: Instant) {
        let waiting = self.waiting.iter().map(|(_, page)| page);
        let ripe = self.ripe.iter().chain(&self.ripe_again).map(|(_, page)| page);
        let all: Vec<PageId> = waiting.chain(ripe).cloned().collect();
        for page in all {
            self.schedule(&page, Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_goes_by_urgency_and_then_by_how_long_it_waits() {
        let now: Instant = "2026-11-26T17:00:00Z".parse().unwrap();
        let mut pages = Pages::default();
        for (agent, urgency, waits, reserved) in [
            ("resync", Urgency::Resync, 9, false),
            ("drift", Urgency::Drift, 8, false),
            ("source", Urgency::Source, 7, false),
            ("override", Urgency::Override, 6, false),
            ("boundary", Urgency::Boundary, 1, false),
            ("older-boundary", Urgency::Boundary, 5, false),
            ("looked-at-for-its-patch", Urgency::Resync, 0, true),
            ("later", Urgency::Boundary, -1, false),
            ("boundary-again", Urgency::Boundary, 3, false),
            ("source-again", Urgency::Source, 7, false),
        ] {
            let id = PageId::new(agent, Environment::Live).unwrap();
            let state = pages.get_or_new(&id);
            (state.urgency, state.reserved) = (urgency, reserved);
            state.attempts = u32::from(agent.ends_with("-again"));
            pages.schedule(&id, Some(now - TimeDelta::seconds(waits)));
        }
        pages.ripen(now);
        let mut due = Vec::new();
        let mut take = |with_retries: bool| {
            let page = pages.first(with_retries).cloned();
            due.extend(page.iter().map(|page| {
                pages.schedule(page, None);
                page.agent.clone()
            }));
            page.is_some()
        };
        // Of those that are tried again one has the permission, and the other has it when all others are through.
        take(false);
        take(false);
        take(true);
        while take(false) {}
        take(true);
        assert!(!pages.has_retries());
        let wanted = [
            "looked-at-for-its-patch",
            "older-boundary",
            "boundary-again",
            "boundary",
            "override",
            "source",
            "drift",
            "resync",
            "source-again",
        ];
        assert_eq!(due, wanted);
        assert_eq!(pages.next_due(now), Some(now + TimeDelta::seconds(1)));
    }
}
