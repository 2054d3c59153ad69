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
    FIRST_NOTIFY_RETRY, GIVE_UP, GIVE_UP_REFUSED, LONGEST_NOTIFY_RETRY, SLOWEST_COLLECT,
};
use crate::model::Instant;
use crate::settings::{EventKind, Receiver};

use super::deliver::{Failure, Outcome};
use super::event::Event;
use super::message::{Group, Message};

/// The outbox of one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// The collected events.
    groups: BTreeMap<EventKind, Group>,
    /// The time of the first collected event.
    since: Option<Instant>,
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
    /// True until it was told of the conditions that were reported before it was added.
    pub is_new: bool,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sending {
    message: Message,
    /// Number of failed attempts.
    attempts: u32,
    /// The time of the next attempt.
    next: Instant,
}

/// The consequence of an attempt, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The message was delivered.
    Delivered,
    /// It will be tried again after this time.
    Retried(Duration),
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
            since: None,
            sending: None,
            sent_at: None,
            factor: 1,
            digested: now,
            lost: 0,
            is_new: true,
        }
    }

    /// Adds an event to the collected ones.
    pub fn add(&mut self, event: Event) {
        self.since.get_or_insert(event.at);
        self.groups.entry(event.kind).or_insert_with(|| Group::new(event.kind)).add(event);
    }

    /// Returns true if a digest is due.
    pub fn is_digest_due(&self, receiver: &Receiver, now: Instant) -> bool {
        receiver.digest.is_some_and(|daily| daily.next(self.digested.min(now)) <= now)
    }

    /// Adds a digest, which stands for all that were due.
    pub fn add_digest(&mut self, lines: Vec<Event>, now: Instant) {
        self.digested = now;
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

    /// Returns when the collected events have been collected long enough.
    fn collected(&self, receiver: &Receiver, now: Instant) -> Instant {
        // With a clock that was set back, the first event would be in the future.
        let since = self.since.unwrap_or(now).min(now);
        match self.groups.contains_key(&EventKind::Digest) {
            true => now,
            false => later(since, receiver.collect * self.factor),
        }
    }

    /// Returns the next time at which there is something to do.
    pub fn next_due(&self, receiver: &Receiver, now: Instant, has_digest: bool) -> Option<Instant> {
        let digest = receiver.digest.filter(|_| has_digest).map(|daily| daily.next(self.digested.min(now)));
        let message = match &self.sending {
            Some(sending) => Some(sending.next.min(later(now, LONGEST_NOTIFY_RETRY))),
            None if !self.may_go(receiver, now).is_empty() => Some(self.collected(receiver, now)),
            None if self.groups.is_empty() => None,
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
        if self.sending.is_some() || kinds.is_empty() || self.collected(receiver, now) > now {
            return false;
        }
        let groups = kinds.iter().filter_map(|kind| self.groups.remove(kind)).collect();
        if self.groups.is_empty() {
            self.since = None;
        }
        let window = receiver.collect * self.factor;
        let follows_soon = self.sent_at.is_some_and(|sent| now < later(sent, window * 4));
        self.factor = if follows_soon { (self.factor * 2).min(SLOWEST_COLLECT) } else { 1 };
        let message = Message { id: id(), at: now, instance: from.to_owned(), groups, lost: self.lost };
        self.sending = Some(Sending { message, attempts: 0, next: now });
        true
    }

    /// Returns the message on its way if an attempt is due.
    pub fn due_message(&self, now: Instant) -> Option<&Message> {
        let due =
            self.sending.as_ref().filter(|sending| sending.next.min(later(now, LONGEST_NOTIFY_RETRY)) <= now);
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
        let limit = if failure.is_refused { GIVE_UP_REFUSED } else { GIVE_UP };
        if now.signed_duration_since(sending.message.at) >= limit {
            self.sending = None;
            self.lost += 1;
            return Some(Settled::Lost);
        }
        sending.attempts += 1;
        let wait = wait(sending.attempts, failure, random);
        sending.next = later(now, wait);
        Some(Settled::Retried(wait))
    }
}

/// Returns the wait before the next attempt: doubled each time, with some jitter.
fn wait(attempts: u32, failure: &Failure, random: &mut fastrand::Rng) -> Duration {
    let doubled = FIRST_NOTIFY_RETRY.saturating_mul(1 << (attempts - 1).min(16));
    let jittered = doubled.min(LONGEST_NOTIFY_RETRY).mul_f64(0.8 + 0.2 * random.f64());
    jittered.max(failure.retry_after.unwrap_or_default()).min(LONGEST_NOTIFY_RETRY)
}
