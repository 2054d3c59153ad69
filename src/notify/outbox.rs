//! The outbox of one receiver: events that are being collected, and the message on its way.
//!
//! At most one message is on its way. While it cannot be delivered, further events are only
//! collected, and of each kind only the first few are kept. So the outbox is bounded, and a receiver
//! that was away for a day gets one message.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::limits::notifications::{
    FIRST_NOTIFY_RETRY, GIVE_UP, GIVE_UP_CONTENT, GIVE_UP_REFUSED, LONGEST_NOTIFY_RETRY, SLOWEST_COLLECT,
};
use crate::model::Instant;
use crate::settings::{EventKind, Quiet, Receiver};

use super::changes::AllReported;
use super::deliver::{Failure, Outcome, Refusal};
use super::event::Event;
use super::message::{Group, Message};

/// The outbox of one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// The collected events.
    groups: BTreeMap<EventKind, Group>,
    /// The message on its way.
    sending: Option<Sending>,
    /// The time when the last message was delivered.
    sent_at: Option<Instant>,
    /// The factor by which events are collected longer, as messages followed each other soon.
    factor: u32,
    /// The time up to which digests are done.
    digested: Instant,
    /// Number of messages that were given up since the last delivery.
    lost: u32,
    /// The conditions that a new receiver has got so far; none once they are all that were reported.
    ///
    /// After a start, some conditions are known only when their page was fetched.
    pub catching_up: Option<AllReported>,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sending {
    message: Message,
    /// Number of failed attempts.
    attempts: u32,
    /// The time of the next attempt.
    next: Instant,
    /// The time of the first answer that refused its content.
    #[serde(default)]
    content_refused: Option<Instant>,
}

impl Sending {
    /// Returns the time of the next attempt, which may be before `now`.
    ///
    /// Quiet hours hold back retries, too.
    fn due(&self, receiver: &Receiver, now: Instant, is_awaited: bool) -> Instant {
        // The clock may have been set back since.
        let next = self.next.min(later(now, LONGEST_NOTIFY_RETRY));
        // One more attempt decides if newer events need to wait.
        let gives_way = self.content_refused.filter(|_| is_awaited);
        let gives_way = gives_way.and_then(|since| since.checked_add_signed(GIVE_UP_CONTENT));
        let next = gives_way.map_or(next, |gives_way| next.min(gives_way.max(now)));
        let quiet = receiver.quiet.as_ref().filter(|quiet| !self.is_urgent(quiet));
        quiet.and_then(|quiet| quiet.end(now.max(next))).unwrap_or(next)
    }

    fn is_urgent(&self, quiet: &Quiet) -> bool {
        let is_urgent = |group: &Group| group.kind == EventKind::Digest || quiet.urgent.contains(&group.kind);
        self.message.groups.iter().any(is_urgent)
    }
}

/// The consequence of an attempt, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The message was delivered.
    Delivered,
    /// It will be tried again.
    Retried {
        /// The wait before the next attempt.
        after: Duration,
        /// True for the first failure of the message.
        is_first: bool,
    },
    /// It was given up.
    Lost,
}

fn later(at: Instant, length: Duration) -> Instant {
    TimeDelta::from_std(length)
        .ok()
        .and_then(|length| at.checked_add_signed(length))
        .unwrap_or(Instant::MAX_UTC)
}

impl Outbox {
    /// Creates the outbox of a receiver that was just added.
    pub fn new(now: Instant) -> Self {
        Self {
            groups: BTreeMap::new(),
            sending: None,
            sent_at: None,
            factor: 1,
            digested: now,
            lost: 0,
            catching_up: Some(AllReported::new()),
        }
    }

    /// Adds an event to the collected ones.
    pub fn add(&mut self, event: Event) {
        self.groups.entry(event.kind).or_insert_with(|| Group::new(event.kind)).add(event);
    }

    /// Returns the number of collected events.
    #[cfg(test)]
    pub fn collected_count(&self) -> usize {
        self.groups.values().map(|group| group.count).sum()
    }

    /// Returns the number of failed attempts for the message on its way.
    pub fn failed_count(&self) -> u32 {
        self.sending.as_ref().map_or(0, |sending| sending.attempts)
    }

    /// Returns true if something was not delivered yet.
    pub fn is_pending(&self) -> bool {
        self.sending.is_some() || !self.groups.is_empty()
    }

    /// Returns true if events wait behind the message on its way.
    fn is_awaited(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Returns true if a digest is due.
    pub fn is_digest_due(&self, receiver: &Receiver, now: Instant) -> bool {
        receiver.digest.is_some_and(|daily| daily.next(self.digested.min(now)) <= now)
    }

    /// Adds a digest, which stands for all that were due.
    pub fn add_digest(&mut self, lines: Vec<Event>, now: Instant) {
        self.digested = now;
        // An earlier one that is still here would be out of date.
        self.groups.remove(&EventKind::Digest);
        lines.into_iter().for_each(|line| self.add(line));
    }

    /// Returns the kinds that may go now if they were collected long enough.
    fn may_go(&self, receiver: &Receiver, now: Instant) -> Vec<EventKind> {
        // A person chose the time of the digest, so it is not for quiet hours to hold it back.
        if self.groups.contains_key(&EventKind::Digest) {
            return vec![EventKind::Digest];
        }
        let quiet = receiver.quiet.as_ref().filter(|quiet| quiet.end(now).is_some());
        let may_go = |kind: &EventKind| quiet.is_none_or(|quiet| quiet.urgent.contains(kind));
        self.groups.keys().copied().filter(may_go).collect()
    }

    /// Returns when the events of some kinds have been collected long enough.
    fn collected(&self, kinds: &[EventKind], receiver: &Receiver, now: Instant) -> Instant {
        if kinds.contains(&EventKind::Digest) {
            return now;
        }
        let first = |kind: &EventKind| Some(self.groups.get(kind)?.events.first()?.at);
        // With a clock that was set back, the first event would be in the future.
        let since = kinds.iter().filter_map(first).min().unwrap_or(now).min(now);
        later(since, receiver.collect * self.factor_at(since, receiver))
    }

    /// Returns the factor by which events from an instant on are collected longer: one after a calm.
    fn factor_at(&self, since: Instant, receiver: &Receiver) -> u32 {
        let calm = receiver.collect * self.factor * 4;
        if self.sent_at.is_some_and(|sent| since < later(sent, calm)) { self.factor } else { 1 }
    }

    /// Returns the next time at which there is something to do.
    pub fn next_due(&self, receiver: &Receiver, now: Instant, has_digest: bool) -> Option<Instant> {
        let digest = receiver.digest.filter(|_| has_digest).map(|daily| daily.next(self.digested.min(now)));
        let message = match &self.sending {
            Some(sending) => Some(sending.due(receiver, now, self.is_awaited())),
            None if self.groups.is_empty() => None,
            None if !self.may_go(receiver, now).is_empty() => {
                Some(self.collected(&self.may_go(receiver, now), receiver, now))
            }
            None => receiver.quiet.as_ref().and_then(|quiet| quiet.end(now)),
        };
        digest.into_iter().chain(message).min()
    }

    /// Makes a message of collected events if one is due; returns true if it did.
    pub fn compose(
        &mut self,
        receiver: &Receiver,
        now: Instant,
        id: impl FnOnce() -> String,
        from: &str,
    ) -> bool {
        let kinds = self.may_go(receiver, now);
        if self.sending.is_some() || kinds.is_empty() || self.collected(&kinds, receiver, now) > now {
            return false;
        }
        let groups = kinds.iter().filter_map(|kind| self.groups.remove(kind)).collect();
        let window = receiver.collect * self.factor;
        let follows_soon = self.sent_at.is_some_and(|sent| now < later(sent, window * 4));
        self.factor = if follows_soon { (self.factor * 2).min(SLOWEST_COLLECT) } else { 1 };
        let message = Message { id: id(), at: now, instance: from.to_owned(), groups, lost: self.lost };
        self.sending = Some(Sending { message, attempts: 0, next: now, content_refused: None });
        true
    }

    /// Returns the message on its way if an attempt is due.
    pub fn due_message(&self, receiver: &Receiver, now: Instant) -> Option<&Message> {
        let is_due = |sending: &&Sending| sending.due(receiver, now, self.is_awaited()) <= now;
        let due = self.sending.as_ref().filter(is_due);
        due.map(|sending| &sending.message)
    }

    /// Records the outcome of an attempt to deliver the message with an ID.
    ///
    /// Returns none for another message, which a replaced store may have had.
    pub fn settle(
        &mut self,
        id: &str,
        outcome: &Outcome,
        now: Instant,
        random: &mut fastrand::Rng,
    ) -> Option<Settled> {
        let sending = self.sending.as_mut().filter(|sending| sending.message.id == id)?;
        let Err(failure) = &outcome.result else {
            (self.sending, self.sent_at, self.lost) = (None, Some(now), 0);
            return Some(Settled::Delivered);
        };
        let limit = if failure.refusal.is_some() { GIVE_UP_REFUSED } else { GIVE_UP };
        let is_content = failure.refusal == Some(Refusal::Content);
        let since = is_content.then(|| *sending.content_refused.get_or_insert(now));
        // It would be refused again, and what happened since may be accepted.
        let gives_way = since.is_some_and(|since| now.signed_duration_since(since) >= GIVE_UP_CONTENT)
            && !self.groups.is_empty();
        if gives_way || now.signed_duration_since(sending.message.at) >= limit {
            self.sending = None;
            self.lost += 1;
            return Some(Settled::Lost);
        }
        sending.attempts += 1;
        let after = wait(sending.attempts, failure, random);
        sending.next = later(now, after);
        Some(Settled::Retried { after, is_first: sending.attempts == 1 })
    }
}

/// Returns the wait before the next attempt: doubled each time, with some jitter.
fn wait(attempts: u32, failure: &Failure, random: &mut fastrand::Rng) -> Duration {
    let doubled = FIRST_NOTIFY_RETRY.saturating_mul(1 << (attempts - 1).min(16));
    let jittered = doubled.min(LONGEST_NOTIFY_RETRY).mul_f64(0.8 + 0.2 * random.f64());
    jittered.max(failure.retry_after.unwrap_or_default()).min(LONGEST_NOTIFY_RETRY)
}

#[cfg(test)]
mod tests;
