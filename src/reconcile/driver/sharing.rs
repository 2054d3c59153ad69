//! The caution of a driver whose store is shared: another replica may have written before it.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::replicas::{LATE_FETCHES, RETURN_WAIT};
use crate::model::{Instant, PageId};

/// The name of the fact with the settings and files that were active.
pub(super) const PAST: &str = "past_parts";

/// Most replaced versions of settings and files that are remembered.
const REMEMBERED: usize = 100;

/// The versions of settings and files that were active, as stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Past {
    /// Those of the active revision.
    active: BTreeSet<String>,
    /// Those before them, the newest first.
    replaced: VecDeque<String>,
}

/// The caution of a replica that may have taken over from another.
///
/// - Its files may be older than those of its predecessor. Until it has seen the active ones, a version
///   that was replaced waits, and approvals, holds and rollouts of a newer revision are kept.
/// - A PATCH of its predecessor may arrive late: pages with an open intent are fetched again.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    is_shared: bool,
    past: Past,
    /// True once the files were the active ones, or newer.
    has_caught_up: bool,
    /// The end of the wait, while it lasts.
    until: Option<Instant>,
    /// The pages with an open intent at the start, and when they are fetched again.
    late: Vec<PageId>,
    fetches: VecDeque<Instant>,
}

impl Sharing {
    /// Begins at the start of a driver, with the stored fact and the pages that have an open intent.
    pub(super) fn new(is_shared: bool, fact: Option<&str>, late: Vec<PageId>, now: Instant) -> Self {
        if !is_shared {
            return Self::default();
        }
        let past = fact.and_then(|fact| serde_json::from_str(fact).ok()).unwrap_or_default();
        let fetches = LATE_FETCHES.iter().filter_map(|wait| now.checked_add_signed(*wait));
        let fetches = if late.is_empty() { VecDeque::new() } else { fetches.collect() };
        Self { is_shared, past, late, fetches, ..Self::default() }
    }

    /// Returns until when settings and files must wait; `None` if they may become active.
    ///
    /// `since` is when the wait began, if another driver began it. With `is_decided`, people have
    /// decided about another revision, which these files may not show yet.
    pub(super) fn waits(
        &mut self,
        parts: impl FnOnce() -> BTreeSet<String>,
        since: Option<Instant>,
        is_decided: bool,
        now: Instant,
    ) -> Option<Instant> {
        if !self.is_shared || self.has_caught_up {
            return None;
        }
        let parts = parts();
        let is_old = parts.difference(&self.past.active).any(|part| self.past.replaced.contains(part));
        let may_be_old = is_old || (is_decided && parts == self.past.active);
        if !may_be_old {
            (self.has_caught_up, self.until) = (true, None);
            return None;
        }
        let begun = since.unwrap_or(now);
        let until = self.until.or_else(|| begun.checked_add_signed(RETURN_WAIT)).filter(|until| now < *until);
        (self.until, self.has_caught_up) = (until, until.is_none());
        until
    }

    /// Notes settings and files that become active; returns the fact to store if they are others.
    pub(super) fn note_active(&mut self, parts: impl FnOnce() -> BTreeSet<String>) -> Option<String> {
        if !self.is_shared {
            return None;
        }
        self.has_caught_up = true;
        let parts = parts();
        if parts == self.past.active {
            return None;
        }
        self.past.replaced.retain(|past| !parts.contains(past));
        let before = std::mem::replace(&mut self.past.active, parts);
        for part in before.difference(&self.past.active) {
            self.past.replaced.push_front(part.clone());
        }
        self.past.replaced.truncate(REMEMBERED);
        serde_json::to_string(&self.past).ok()
    }

    /// Returns true if the wait has ended and nothing was decided since.
    pub(super) fn has_waited(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Returns the pages to fetch again now.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<PageId> {
        let is_due = self.fetches.front().is_some_and(|at| *at <= now);
        if !is_due {
            return Vec::new();
        }
        self.fetches.retain(|at| *at > now);
        self.late.clone()
    }

    /// Returns the next instant after `now` at which there is something to do.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.until.into_iter().chain(self.fetches.front().copied()).filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(minutes: i64) -> Instant {
        "2026-12-24T17:00:00Z".parse::<Instant>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn parts(text: &str) -> BTreeSet<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn waits(sharing: &mut Sharing, text: &str, minute: i64) -> Option<i64> {
        let until = sharing.waits(|| parts(text), None, false, at(minute));
        until.map(|until| (until - at(0)).num_minutes())
    }

    /// Returns the fact of a replica that had these active, one after the other.
    fn fact(active: &[&str]) -> String {
        let mut sharing = Sharing::new(true, None, Vec::new(), at(0));
        let noted = active.iter().filter_map(|text| sharing.note_active(|| parts(text)));
        noted.last().unwrap()
    }

    #[test]
    fn what_was_replaced_returns_after_a_takeover_only_when_it_stays_for_three_minutes() {
        let fact = fact(&["s1 a1 b1", "s1 a2 b1", "s2 a2 b1"]);
        let new = || Sharing::new(true, Some(&fact), Vec::new(), at(10));
        for (text, waiting) in [
            ("s2 a2 b1", None),     // what is active
            ("s2 a3 b1", None),     // something newer
            ("s2 a1 b1", Some(13)), // an old table
            ("s1 a2 b1", Some(13)), // old settings: this replica was not reloaded
            ("s1 a3 b1", Some(13)), // old settings, whatever else is new
            ("s2 a1 b2", Some(13)), // one of two files has arrived
        ] {
            assert_eq!(waits(&mut new(), text, 10), waiting, "{text}");
        }
        let mut second = new();
        assert_eq!(waits(&mut second, "s2 a1 b1", 10), Some(13));
        assert_eq!(waits(&mut second, "s2 a1 b1", 12), Some(13), "the wait goes on");
        assert_eq!((second.next(at(12)), second.has_waited(at(12))), (Some(at(13)), false));
        // With an untrusted clock nothing is decided then, and nothing wakes the driver either.
        assert_eq!((second.next(at(13)), second.has_waited(at(13))), (None, true));
        assert_eq!(waits(&mut second, "s2 a1 b1", 13), None, "a person took the change back");
        assert_eq!(second.next(at(13)), None);
        // A command that ends before continues the wait of the one before it.
        let since = new().waits(|| parts("s2 a1 b1"), Some(at(8)), false, at(10));
        assert_eq!(since, Some(at(11)));
    }

    #[test]
    fn a_replica_that_has_seen_what_is_active_takes_its_files_as_they_are() {
        let fact = fact(&["a1", "a2"]);
        let mut second = Sharing::new(true, Some(&fact), Vec::new(), at(10));
        assert_eq!(waits(&mut second, "a1", 10), Some(13));
        assert_eq!(waits(&mut second, "a2", 11), None, "the files arrive");
        assert_eq!(waits(&mut second, "a1", 12), None, "a person takes the change back");
        let mut single = Sharing::new(false, None, vec!["A-1/live".parse().unwrap()], at(0));
        assert_eq!((waits(&mut single, "a1", 0), single.note_active(|| parts("a1"))), (None, None));
        assert_eq!((single.next(at(0)), single.take_late(at(9))), (None, Vec::new()));
    }

    #[test]
    fn what_people_decided_about_a_newer_revision_is_kept_for_as_long() {
        let fact = fact(&["a1"]);
        let mut second = Sharing::new(true, Some(&fact), Vec::new(), at(10));
        let mut decided = |text, minute| second.waits(|| parts(text), None, true, at(minute));
        assert_eq!(decided("a1", 10), Some(at(13)), "the approved files have not arrived");
        assert_eq!(decided("a2", 11), None);
        assert_eq!(decided("a1", 12), None);
    }

    #[test]
    fn pages_with_an_open_intent_are_fetched_again_after_one_and_five_minutes() {
        let page: PageId = "A-1/live".parse().unwrap();
        let mut sharing = Sharing::new(true, None, vec![page.clone()], at(0));
        let taken: Vec<i64> = (0..10).filter(|minute| !sharing.take_late(at(*minute)).is_empty()).collect();
        assert_eq!(taken, [1, 5]);
        assert_eq!(sharing.next(at(9)), None);
    }
}
