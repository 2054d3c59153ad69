//! The state that the driver keeps for a page between two fetches.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::TimeDelta;

use crate::limits::api::STUCK_AFTER;
use crate::model::{Change, Environment, Instant, PageId, RemotePage};
use crate::schema::Schemas;
use crate::store::{self, OpenIntent};

use super::drift_report::DriftReport;
use super::gaps::Gaps;
use super::gate::Urgency;
use super::own_requests::OwnRequests;
use super::refusals::{Attempt, Refusals};
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
    /// All words for a status.
    pub const WORDS: [&str; 7] = ["unseen", "right", "stale", "drifted", "retrying", "stuck", "held"];

    /// Returns the status in one word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Right => "right",
            Self::Stale(_) => "stale",
            Self::Drifted(_) => "drifted",
            Self::Retrying(_) => "retrying",
            Self::Stuck(_) => "stuck",
            Self::Held(_) => "held",
        }
    }

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

/// The time of a page's next decision, and its place among the due pages.
#[derive(Debug, Default)]
pub struct Schedule {
    due: Option<Instant>,
    /// Its rank among the due pages, and true if it is a retry.
    rank: Option<(Rank, bool)>,
    /// The reason for its next request.
    urgency: Urgency,
    /// The page's next transition when it was last at rest.
    transition: Option<Instant>,
    /// Number of failed attempts since the last success.
    attempts: u32,
    /// True when the PATCH's permission was taken together with the fetch's.
    ///
    /// Otherwise the fetch could be stale by the time the PATCH may leave.
    reserved: bool,
}

impl Schedule {
    /// Returns the reason for the next request.
    pub fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// Sets the reason for the next request.
    pub fn set_urgency(&mut self, urgency: Urgency) {
        self.urgency = urgency;
    }

    /// Sets the next transition of a page at rest.
    pub fn set_transition(&mut self, at: Option<Instant>) {
        self.transition = at;
    }

    /// Takes the transition that a change since then was for, if it is past.
    pub fn take_transition(&mut self, now: Instant) -> Option<Instant> {
        self.transition.take().filter(|at| *at <= now)
    }

    /// Returns the number of failed attempts since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns true if the next request is a retry.
    pub fn is_retry(&self) -> bool {
        self.attempts > 0
    }

    /// Counts a failed attempt; returns the number of them.
    pub fn fail(&mut self) -> u32 {
        self.attempts += 1;
        self.attempts
    }

    /// Forgets failed attempts: the next request does not count as a retry.
    pub fn forget_failures(&mut self) {
        self.attempts = 0;
    }

    /// Sets if the permission for a PATCH is reserved.
    pub fn set_reserved(&mut self, reserved: bool) {
        self.reserved = reserved;
    }

    /// Returns true if the permission for a PATCH is reserved.
    pub fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// Ends a reservation; returns true if there was one.
    pub fn take_reservation(&mut self) -> bool {
        std::mem::take(&mut self.reserved)
    }
}

/// One page's state.
#[derive(Debug)]
pub struct PageState {
    /// The known state.
    pub known: Knowledge,
    /// The uptime at which the page was fetched.
    seen_at: Option<Duration>,
    /// The time of the next decision.
    pub schedule: Schedule,
    /// Its own requests.
    pub requests: OwnRequests,
    /// True when the fetched page may be stale: a change was reported, or a fetch failed.
    pub needs_fetch: bool,
    /// Values missing on the page, both confirmed and not yet confirmed.
    pub gaps: Gaps,
    /// Its last PATCH, if that failed.
    pub failed: Option<OpenIntent>,
    /// Set when the API's answer to the last PATCH did not hold the values sent.
    pub unapplied: Option<String>,
    /// The refused attempts to change it.
    pub refusals: Refusals,
    /// The status.
    pub standing: Standing,
    /// The drift already reported.
    pub drift: DriftReport,
    /// The problem recorded in the store.
    pub noted: Option<String>,
}

impl PageState {
    /// Returns the initial state of a page from the store.
    fn new(stored: store::PageState) -> Self {
        Self {
            known: Knowledge::new(None, stored.baseline, stored.open),
            seen_at: None,
            schedule: Schedule::default(),
            requests: OwnRequests::default(),
            needs_fetch: false,
            gaps: Gaps::new(stored.schema.is_some()),
            failed: None,
            unapplied: None,
            refusals: Refusals::default(),
            standing: Standing::Unseen,
            drift: DriftReport::new(stored.is_adrift),
            noted: stored.problem.map(|(problem, _)| problem),
        }
    }

    /// Records the state of the page at `seen_at`. Returns true if its schema changed.
    pub fn see(&mut self, page: RemotePage, seen_at: Duration, schemas: &mut Schemas) -> bool {
        let observed = Observed::new(page, schemas);
        let before = self.known.observed.as_ref().map(|before| &before.page);
        let is_new = before.is_none_or(|before| before.schema != observed.page.schema);
        self.known.observed = Some(observed);
        self.seen_at = Some(seen_at);
        self.requests.succeed(seen_at);
        is_new
    }

    /// Makes the next decision start with a fetch.
    pub fn forget_page(&mut self) {
        self.seen_at = None;
    }

    /// Returns when the page is next decided on; none if nothing is scheduled.
    pub fn due(&self) -> Option<Instant> {
        self.schedule.due
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
        self.schedule.due.is_some_and(|due| is_near(due, now))
    }

    /// Returns true if the page must be fetched before anything is decided.
    pub fn needs_fetch(&self, up: Duration) -> bool {
        self.needs_fetch || self.known.observed.is_none() || (self.known.open.is_some() && !self.is_fresh(up))
    }
}

/// All pages and when each is due.
#[derive(Debug, Default)]
pub struct Pages {
    /// Each in a box, so that a growing map copies little.
    states: HashMap<PageId, Box<PageState>>,
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
        self.states.get(page).map(|state| &**state)
    }

    /// Returns one page's state for changes. Use [`schedule`](Self::schedule) for its due time.
    pub fn get_mut(&mut self, page: &PageId) -> Option<&mut PageState> {
        self.states.get_mut(page).map(|state| &mut **state)
    }

    /// Returns one page's state, creating an empty one if missing.
    pub fn get_or_new(&mut self, page: &PageId) -> &mut PageState {
        self.states
            .entry(page.clone())
            .or_insert_with(|| Box::new(PageState::new(store::PageState::default())))
    }

    /// Adds a page with its state from the store.
    pub fn insert(&mut self, page: PageId, stored: store::PageState) {
        self.states.insert(page, Box::new(PageState::new(stored)));
    }

    /// Returns all states for changes. Use [`schedule`](Self::schedule) for due times.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (&PageId, &mut PageState)> {
        self.states.iter_mut().map(|(page, state)| (page, &mut **state))
    }

    /// Sets when a page is next decided on; `None` means never.
    pub fn schedule(&mut self, page: &PageId, due: Option<Instant>) {
        self.note_move(page);
        let Some(state) = self.states.get_mut(page) else { return };
        let schedule = &mut state.schedule;
        match (std::mem::replace(&mut schedule.due, due), schedule.rank.take()) {
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
    pub fn take_changed(&mut self) -> BTreeSet<PageId> {
        std::mem::take(&mut self.moved)
    }

    /// Moves due pages to the ranked queues.
    pub fn ripen(&mut self, now: Instant) {
        while let Some((due, _)) = self.waiting.first()
            && *due <= now
            && let Some((due, page)) = self.waiting.pop_first()
        {
            if let Some(state) = self.states.get_mut(&page) {
                let schedule = &mut state.schedule;
                // A page with a reserved permission does not wait for another.
                let again = schedule.is_retry() && !schedule.reserved;
                let is_stuck = again && schedule.attempts >= STUCK_AFTER;
                let rank = (is_stuck, !schedule.reserved, schedule.urgency, due);
                schedule.rank = Some((rank, again));
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

    /// Returns the number of due pages.
    pub fn due_count(&self) -> usize {
        self.ripe.len() + self.ripe_again.len()
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
            (state.schedule.urgency, state.schedule.reserved) = (urgency, reserved);
            state.schedule.attempts = u32::from(agent.ends_with("-again"));
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
        let expected = [
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
        assert_eq!(due, expected);
        assert_eq!(pages.next_due(now), Some(now + TimeDelta::seconds(1)));
    }
}
