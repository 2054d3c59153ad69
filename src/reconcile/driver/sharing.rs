//! What a driver does only where replicas share its store: another one may have written before it.

use std::collections::VecDeque;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::limits::replicas::{LATE_FETCHES, RETURN_WAIT};
use crate::model::{Instant, PageId};

/// The name of the fact with the revisions that were active.
pub(super) const PAST: &str = "past_revisions";

/// Most replaced revisions that are remembered.
const REMEMBERED: usize = 50;

/// The revisions that were active, as stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Past {
    /// The active one.
    active: String,
    /// Those before it, the newest first.
    replaced: VecDeque<String>,
}

/// A replaced revision that waits before it may become active again.
#[derive(Debug)]
struct Returning {
    revision: String,
    end: Instant,
    /// True once the end was seen.
    is_over: bool,
}

/// The caution of a replica that may have taken over from another.
///
/// - Its files may be older than those of its predecessor: a revision that was replaced returns only
///   after it was seen for a while.
/// - A PATCH of its predecessor may arrive late: pages with an open intent are fetched again.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    is_shared: bool,
    past: Past,
    /// A replaced revision that the files show.
    returning: Option<Returning>,
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
        let after = |wait: &TimeDelta| now.checked_add_signed(*wait);
        let fetches =
            if late.is_empty() { VecDeque::new() } else { LATE_FETCHES.iter().filter_map(after).collect() };
        Self { is_shared, past, returning: None, late, fetches }
    }

    /// Returns until when a revision must wait; `None` if it may become active.
    pub(super) fn waits(&mut self, revision: &str, now: Instant) -> Option<Instant> {
        let has_returned =
            revision != self.past.active && self.past.replaced.iter().any(|past| past == revision);
        if !has_returned {
            self.returning = None;
            return None;
        }
        let known = self.returning.take().filter(|known| known.revision == revision);
        let returning = match known {
            Some(known) => known,
            None => {
                let end = now.checked_add_signed(RETURN_WAIT)?;
                Returning { revision: revision.to_owned(), end, is_over: false }
            }
        };
        let end = returning.end;
        self.returning = Some(returning);
        Some(end).filter(|end| now < *end)
    }

    /// Notes the active revision; returns the fact to store if it is another one.
    pub(super) fn note_active(&mut self, revision: impl FnOnce() -> String) -> Option<String> {
        if !self.is_shared {
            return None;
        }
        let revision = revision();
        if revision == self.past.active {
            return None;
        }
        self.past.replaced.retain(|past| *past != revision);
        let before = std::mem::replace(&mut self.past.active, revision);
        if !before.is_empty() {
            self.past.replaced.push_front(before);
            self.past.replaced.truncate(REMEMBERED);
        }
        serde_json::to_string(&self.past).ok()
    }

    /// Returns true once if a wait has ended.
    pub(super) fn has_waited(&mut self, now: Instant) -> bool {
        let ended = self.returning.as_mut().filter(|returning| !returning.is_over && returning.end <= now);
        ended.map(|returning| returning.is_over = true).is_some()
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

    /// Returns the next instant at which there is something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        let returning = self.returning.as_ref().filter(|returning| !returning.is_over);
        let returning = returning.map(|returning| returning.end);
        returning.into_iter().chain(self.fetches.front().copied()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Instant {
        "2026-12-24T17:00:00Z".parse::<Instant>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn active(sharing: &mut Sharing, revision: &str) -> Option<String> {
        sharing.note_active(|| revision.to_owned())
    }

    #[test]
    fn a_replaced_revision_returns_only_after_it_was_seen_for_three_minutes() {
        let mut first = Sharing::new(true, None, Vec::new(), at(0));
        let mut fact = None;
        for revision in ["r1", "r2", "r2", "r3"] {
            assert_eq!(first.waits(revision, at(0)), None, "{revision} is new or active");
            fact = active(&mut first, revision).or(fact);
        }
        // Another replica takes over, with older files.
        let mut second = Sharing::new(true, fact.as_deref(), Vec::new(), at(10));
        assert_eq!(second.waits("r2", at(10)), Some(at(13)));
        assert_eq!(second.waits("r2", at(12)), Some(at(13)), "the wait goes on");
        assert_eq!(second.next(), Some(at(13)));
        assert!(!second.has_waited(at(12)));
        // The files arrive: nothing was rolled back. If they change once more, the wait begins anew.
        assert_eq!(second.waits("r3", at(12)), None);
        assert_eq!(second.next(), None);
        assert_eq!(second.waits("r2", at(14)), Some(at(17)));
        assert!(second.has_waited(at(17)) && !second.has_waited(at(18)), "once");
        assert_eq!(second.waits("r2", at(17)), None, "a person took the change back");
        assert!(active(&mut second, "r2").unwrap().contains("r3"));
        assert_eq!(second.waits("r2", at(20)), None, "it is active");
    }

    #[test]
    fn a_single_machine_takes_files_as_they_are_and_fetches_nothing_again() {
        let mut single = Sharing::new(false, None, vec!["A-1/live".parse().unwrap()], at(0));
        for revision in ["r1", "r2", "r1"] {
            assert_eq!(single.waits(revision, at(0)), None);
            assert_eq!(active(&mut single, revision), None);
        }
        assert_eq!((single.next(), single.take_late(at(9))), (None, Vec::new()));
    }

    #[test]
    fn pages_with_an_open_intent_are_fetched_again_after_one_and_five_minutes() {
        let page: PageId = "A-1/live".parse().unwrap();
        let mut sharing = Sharing::new(true, None, vec![page.clone()], at(0));
        let taken: Vec<i64> = (0..10).filter(|minute| !sharing.take_late(at(*minute)).is_empty()).collect();
        assert_eq!(taken, [1, 5]);
        assert_eq!(sharing.next(), None);
    }
}
