//! The state that the driver keeps for a page between two fetches.

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

/// A page fetched less than this long ago is fresh enough to send to.
///
/// An older fetch is repeated, so that a person's edit in between is seen. The age of a list counts
/// from its request. The age of a page's own fetch counts from its answer; otherwise a slow API
/// would cause endless fetches.
const FRESH: Duration = Duration::from_millis(500);

/// The time before a transition at which the page is fetched.
///
/// The PATCH can then leave exactly at the transition. Shorter than `FRESH`.
pub const LOOK_AHEAD: Duration = Duration::from_millis(300);

/// Number of failures in a row after which a page counts as stuck.
pub const STUCK_AFTER: u32 = 3;

/// Returns true if `at` is in the future and within [`LOOK_AHEAD`].
pub fn is_near(at: Instant, now: Instant) -> bool {
    at > now && (at - now).to_std().is_ok_and(|left| left <= LOOK_AHEAD)
}

/// The status of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not fetched yet.
    Unseen,
    /// The page holds the desired values.
    Right,
    /// The page holds the values of its last valid definition; the newest is invalid.
    Stale(String),
    /// Another client changed the page, and the settings say only to report that.
    Drifted(String),
    /// The page will be retried automatically.
    Retrying(String),
    /// The page waits until something about it changes.
    Stuck(String),
    /// The page waits for a person's decision.
    Held(String),
}

impl Standing {
    /// Returns the problem of the page as text, if there is one.
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

/// The content of a PATCH and the page state it applies to.
///
/// The body is not part of it, because it includes the changes of our own last attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    changes: Vec<(Variable, Value)>,
    last_updated: Option<String>,
    schema: Option<Arc<Value>>,
}

impl Attempt {
    /// Returns true if both send the same changes, to any page state.
    pub fn sends_the_same(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

/// One page's state.
#[derive(Debug)]
pub struct PageState {
    /// The known state.
    pub known: Knowledge,
    /// The uptime at which the page was fetched.
    seen_at: Option<Duration>,
    /// The turn at which the page's last request ended. Answers to older requests are ignored.
    settled_at: Option<u64>,
    due: Option<Instant>,
    /// Its rank among the due pages, and true if it is a retry.
    rank: Option<(Rank, bool)>,
    /// The reason for its next request.
    pub urgency: Urgency,
    /// True while a fetch or PATCH of the page is in progress.
    pub in_flight: bool,
    /// True when the PATCH's permission was taken together with the fetch's.
    ///
    /// Otherwise the fetch could be stale by the time the PATCH may leave.
    pub reserved: bool,
    /// True when the fetched page may be stale: a change was reported, or a fetch failed.
    pub fetch_wanted: bool,
    /// Values missing on the page, both confirmed and not yet confirmed.
    pub gaps: Gaps,
    /// Its last PATCH, if that failed.
    pub failed: Option<OpenIntent>,
    /// Set when the API's answer to the last PATCH did not hold the values sent.
    pub not_taken: Option<String>,
    /// The reported author of the last change.
    pub changed_by: Option<String>,
    /// Number of failed attempts since the last success.
    pub attempts: u32,
    /// The uptime of the page's own last successful request.
    pub succeeded_at: Option<Duration>,
    /// The refused attempt; the same is not sent again.
    pub refused: Option<Attempt>,
    /// The last attempt, and how many times in a row it was refused.
    pub refusals: (Option<Attempt>, u32),
    /// The status.
    pub standing: Standing,
    /// The drift already logged and recorded; none if unknown.
    pub reported_drift: Option<Vec<Drift>>,
    /// The problem recorded in the store.
    pub noted: Option<String>,
}

impl PageState {
    /// Returns the initial state of a page from the store.
    pub fn new(stored: store::PageState) -> Self {
        Self {
            known: Knowledge::new(None, stored.baseline, stored.open),
            seen_at: None,
            settled_at: None,
            due: None,
            rank: None,
            urgency: Urgency::default(),
            in_flight: false,
            reserved: false,
            fetch_wanted: false,
            gaps: Gaps::new(stored.schema.is_some()),
            failed: None,
            not_taken: None,
            changed_by: None,
            attempts: 0,
            succeeded_at: None,
            refused: None,
            refusals: (None, 0),
            standing: Standing::Unseen,
            reported_drift: (!stored.is_adrift).then(Vec::new),
            noted: stored.problem.map(|(problem, _)| problem),
        }
    }

    /// Records the state of the page at `seen_at`. Returns true if its schema changed.
    pub fn see(&mut self, page: RemotePage, seen_at: Duration, schemas: &mut Schemas) -> bool {
        let observed = Observed::new(page, schemas);
        let before = self.known.observed.as_ref().map(|before| &before.page);
        let is_new = before.is_none_or(|before| before.schema != observed.page.schema);
        self.known.observed = Some(observed);
        (self.seen_at, self.succeeded_at) = (Some(seen_at), Some(seen_at));
        is_new
    }

    /// Records the end of the page's own request, successful or not.
    pub fn settle(&mut self, turn: u64) {
        self.in_flight = false;
        self.settled_at = Some(turn);
    }

    /// Returns true if an answer to a request begun at turn `asked` is current.
    ///
    /// No request of the page may be in progress, and none may have ended since then.
    pub fn believes(&self, asked: u64) -> bool {
        !self.in_flight && self.settled_at.is_none_or(|settled| settled < asked)
    }

    /// Makes the next decision start with a fetch.
    pub fn forget_page(&mut self) {
        self.seen_at = None;
    }

    /// Returns when the page is next decided on; none if nothing is scheduled.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns the attempt that these changes would be.
    ///
    /// A refused attempt is not sent again.
    pub fn attempt(&self, changes: &[Change]) -> Attempt {
        let observed = self.known.observed.as_ref();
        Attempt {
            changes: changes.iter().map(|change| (change.variable.clone(), change.to.clone())).collect(),
            last_updated: observed.and_then(|observed| observed.page.last_updated.clone()),
            schema: observed.and_then(|observed| observed.page.schema.clone()),
        }
    }

    /// Returns true if the page was fetched recently enough to send to.
    pub fn is_fresh(&self, up: Duration) -> bool {
        self.seen_at.is_some_and(|at| up.saturating_sub(at) < FRESH)
    }

    /// Returns true if the page waits for a near transition.
    pub fn awaits_transition(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| is_near(due, now))
    }

    /// Returns true if the page must be fetched before anything is decided.
    pub fn needs_fetch(&self, up: Duration) -> bool {
        self.fetch_wanted
            || self.known.observed.is_none()
            || (self.known.open.is_some() && !self.is_fresh(up))
    }
}

/// All pages and when each is due.
#[derive(Debug, Default)]
pub struct Pages {
    states: HashMap<PageId, PageState>,
    /// Pages by due time.
    waiting: BTreeSet<(Instant, PageId)>,
    /// Due pages, the most urgent first.
    ripe: BTreeSet<(Rank, PageId)>,
    /// Due pages that are retries.
    ///
    /// They wait for a permission of their own and keep their rank meanwhile.
    ripe_again: BTreeSet<(Rank, PageId)>,
    /// Pages with new information or a new decision.
    moved: BTreeSet<PageId>,
}

/// The order of due pages.
///
/// Pages that failed fewer than `STUCK_AFTER` times go first, then pages fetched for a waiting
/// PATCH, then the most urgent. Among equals, the page that has waited longest goes first.
type Rank = (bool, bool, Urgency, Instant);

impl Pages {
    /// Returns one page's state.
    pub fn get(&self, page: &PageId) -> Option<&PageState> {
        self.states.get(page)
    }

    /// Returns one page's state for changes. Use [`schedule`](Self::schedule) for its due time.
    pub fn get_mut(&mut self, page: &PageId) -> Option<&mut PageState> {
        self.states.get_mut(page)
    }

    /// Returns one page's state, creating an empty one if missing.
    pub fn get_or_new(&mut self, page: &PageId) -> &mut PageState {
        self.states.entry(page.clone()).or_insert_with(|| PageState::new(store::PageState::default()))
    }

    /// Adds a page with its state from the store.
    pub fn insert(&mut self, page: PageId, stored: store::PageState) {
        self.states.insert(page, PageState::new(stored));
    }

    /// Returns all states for changes. Use [`schedule`](Self::schedule) for due times.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (&PageId, &mut PageState)> {
        self.states.iter_mut()
    }

    /// Sets when a page is next decided on; `None` means never.
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

    /// Marks a page as changed: it has new information or a new decision.
    pub fn note_move(&mut self, page: &PageId) {
        if !self.moved.contains(page) {
            self.moved.insert(page.clone());
        }
    }

    /// Takes the pages marked as changed since the last call.
    pub fn take_moved(&mut self) -> BTreeSet<PageId> {
        std::mem::take(&mut self.moved)
    }

    /// Moves due pages to the ranked queues.
    pub fn ripen(&mut self, now: Instant) {
        while let Some((due, _)) = self.waiting.first()
            && *due <= now
            && let Some((due, page)) = self.waiting.pop_first()
        {
            if let Some(state) = self.states.get_mut(&page) {
                // A page with a reserved permission does not wait for another.
                let again = state.attempts > 0 && !state.reserved;
                let rank = (again && state.attempts >= STUCK_AFTER, !state.reserved, state.urgency, due);
                state.rank = Some((rank, again));
                if again { &mut self.ripe_again } else { &mut self.ripe }.insert((rank, page));
            }
        }
    }

    /// Returns the first due page, with or without retries.
    ///
    /// The page stays first until it is rescheduled.
    pub fn first(&self, with_retries: bool) -> Option<&PageId> {
        let again = self.ripe_again.first().filter(|_| with_retries);
        self.ripe.first().into_iter().chain(again).min().map(|(_, page)| page)
    }

    /// Returns true if any due page is a retry.
    pub fn has_retries(&self) -> bool {
        !self.ripe_again.is_empty()
    }

    /// Returns when the next page becomes due, ignoring pages due already.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let later = now.checked_add_signed(TimeDelta::nanoseconds(1))?;
        let least = PageId { agent: String::new(), environment: Environment::Sandbox };
        self.waiting.range((later, least)..).next().map(|(due, _)| *due)
    }

    /// Makes every scheduled page due now.
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
    fn due_pages_are_ordered_by_urgency_and_then_by_waiting_time() {
        let now: Instant = "2026-11-26T17:00:00Z".parse().unwrap();
        let mut pages = Pages::default();
        for (agent, urgency, waits, reserved) in [
            ("resync", Urgency::Resync, 9, false),
            ("drift", Urgency::Drift, 8, false),
            ("source", Urgency::Source, 7, false),
            ("override", Urgency::Override, 6, false),
            ("transition", Urgency::Transition, 1, false),
            ("older-transition", Urgency::Transition, 5, false),
            ("fetched-for-its-patch", Urgency::Resync, 0, true),
            ("later", Urgency::Transition, -1, false),
            ("transition-again", Urgency::Transition, 3, false),
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
        // One retry has permission. The other gets it after all other pages.
        take(false);
        take(false);
        take(true);
        while take(false) {}
        take(true);
        assert!(!pages.has_retries());
        let wanted = [
            "fetched-for-its-patch",
            "older-transition",
            "transition-again",
            "transition",
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
