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
mod tests {
    use super::*;
    use crate::settings::{Daily, Via};

    fn at(text: &str) -> Instant {
        format!("2026-11-26T{text}Z").parse().unwrap()
    }

    fn receiver() -> Receiver {
        Receiver {
            name: "ops".to_owned(),
            via: Via::Command(Vec::new()),
            timeout: Duration::from_secs(1),
            events: EventKind::ALL.into(),
            collect: Duration::from_secs(10),
            digest: None,
            quiet: None,
        }
    }

    fn event(kind: EventKind, time: &str) -> Event {
        Event::new(kind, "something happened", at(time))
    }

    /// Makes the message that is due; returns its groups as `kind count`.
    fn composed(outbox: &mut Outbox, receiver: &Receiver, now: &str) -> Vec<String> {
        let is_new = outbox.compose(receiver, at(now), || format!("msg at {now}"), "here");
        let message = outbox.due_message(receiver, at(now)).filter(|_| is_new);
        let groups = message.into_iter().flat_map(|message| &message.groups);
        groups.map(|group| format!("{} {}", group.kind.word(), group.count)).collect()
    }

    fn settle(outbox: &mut Outbox, id: &str, result: Result<(), Failure>, now: &str) -> Option<Settled> {
        let outcome = Outcome { answer: String::new(), result };
        outbox.settle(id, &outcome, at(now), &mut fastrand::Rng::with_seed(1))
    }

    #[test]
    fn events_are_collected_into_one_message_that_lists_a_few() {
        let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
        assert_eq!(outbox.next_due(&receiver, at("12:00:00"), true), None);
        (0..1_000).for_each(|_| outbox.add(event(EventKind::Page, "12:00:01")));
        outbox.add(event(EventKind::Key, "12:00:09"));
        assert_eq!(outbox.next_due(&receiver, at("12:00:09"), true), Some(at("12:00:11")));
        assert_eq!(composed(&mut outbox, &receiver, "12:00:10"), Vec::<String>::new());
        assert_eq!(composed(&mut outbox, &receiver, "12:00:11"), ["key 1", "page 1000"]);
        let message = outbox.due_message(&receiver, at("12:00:11")).unwrap();
        assert_eq!(message.groups[1].events.len(), 5);
        assert_eq!(message.title(), "API key, 1000 pages with a problem");
    }

    #[test]
    fn a_message_is_retried_by_its_id_while_later_events_wait() {
        let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
        outbox.add(event(EventKind::Page, "12:00:00"));
        assert_eq!(composed(&mut outbox, &receiver, "12:00:10"), ["page 1"]);
        outbox.add(event(EventKind::Held, "12:00:11"));
        let id = "msg at 12:00:10";
        let failed = settle(&mut outbox, id, Err(Failure::default()), "12:00:12");
        assert!(
            matches!(failed, Some(Settled::Retried { after, is_first: true }) if (4..=5).contains(&after.as_secs())),
            "{failed:?}"
        );
        assert_eq!(outbox.due_message(&receiver, at("12:00:13")), None);
        // As after a crash.
        let mut outbox: Outbox = serde_json::from_str(&serde_json::to_string(&outbox).unwrap()).unwrap();
        assert_eq!(composed(&mut outbox, &receiver, "12:00:30"), Vec::<String>::new());
        assert_eq!(outbox.due_message(&receiver, at("12:00:30")).unwrap().id, id);
        assert_eq!(outbox.failed_count(), 1);
        assert_eq!(settle(&mut outbox, "msg of another store", Ok(()), "12:00:30"), None);
        assert_eq!(settle(&mut outbox, id, Ok(()), "12:00:30"), Some(Settled::Delivered));
        assert_eq!(composed(&mut outbox, &receiver, "12:00:31"), ["held 1"]);
    }

    #[test]
    fn a_receiver_that_is_away_gets_one_message_and_the_state_stays_small() {
        let (receiver, mut outbox) = (receiver(), Outbox::new(at("00:00:00")));
        let mut size = 0;
        for hour in 0..20 {
            let now = format!("{hour:02}:00:00");
            (0..1_000).for_each(|_| outbox.add(event(EventKind::Page, &now)));
            composed(&mut outbox, &receiver, &format!("{hour:02}:30:00"));
            let due = at(&format!("{hour:02}:59:00"));
            let id = outbox.due_message(&receiver, due).unwrap().id.clone();
            settle(&mut outbox, &id, Err(Failure::default()), &format!("{hour:02}:59:00"));
            size = serde_json::to_string(&outbox).unwrap().len();
        }
        assert!(size < 4_000, "{size}");
        settle(&mut outbox, "msg at 00:30:00", Ok(()), "20:00:00");
        assert_eq!(composed(&mut outbox, &receiver, "20:00:00"), ["page 19000"]);
    }

    #[test]
    fn a_refused_message_is_given_up_sooner_and_counted() {
        let refused = Failure { refusal: Some(Refusal::Other), retry_after: None };
        let asked = Failure { refusal: None, retry_after: Some(Duration::from_secs(300)) };
        let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
        outbox.add(event(EventKind::Page, "12:00:00"));
        composed(&mut outbox, &receiver, "12:00:10");
        let id = "msg at 12:00:10";
        assert_eq!(
            settle(&mut outbox, id, Err(asked), "12:01:00"),
            Some(Settled::Retried { after: Duration::from_secs(300), is_first: true })
        );
        assert!(matches!(
            settle(&mut outbox, id, Err(refused), "13:00:09"),
            Some(Settled::Retried { is_first: false, .. })
        ));
        let unreachable = settle(&mut outbox, id, Err(Failure::default()), "13:00:10");
        assert!(
            matches!(unreachable, Some(Settled::Retried { is_first: false, .. })),
            "an answer may still come"
        );
        assert_eq!(settle(&mut outbox, id, Err(refused), "13:00:11"), Some(Settled::Lost));
        outbox.add(event(EventKind::Held, "13:01:00"));
        composed(&mut outbox, &receiver, "13:05:00");
        assert_eq!(
            outbox.due_message(&receiver, at("13:05:00")).unwrap().footer(),
            "rtconfd, here; 1 earlier message could not be delivered"
        );
    }

    #[test]
    fn a_message_with_refused_content_makes_way_for_newer_events() {
        let refused = |refusal| Err(Failure { refusal: Some(refusal), retry_after: None });
        for (refusal, newer, expected) in [
            (Refusal::Content, true, (true, "lost")),
            (Refusal::Content, false, (false, "retried")),
            (Refusal::Other, true, (false, "retried")),
        ] {
            let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
            outbox.add(event(EventKind::Page, "12:00:00"));
            composed(&mut outbox, &receiver, "12:00:10");
            let id = "msg at 12:00:10";
            // It has failed for long, so the next attempt is minutes away.
            for time in ["12:00:11", "12:01:00", "12:02:00", "12:04:00", "12:08:00", "12:16:00", "12:25:00"] {
                assert!(
                    matches!(settle(&mut outbox, id, refused(refusal), time), Some(Settled::Retried { .. })),
                    "{refusal:?} {time}"
                );
            }
            newer.then(|| outbox.add(event(EventKind::Held, "12:26:00")));
            let is_due = outbox.due_message(&receiver, at("12:26:00")).is_some();
            let settled = match settle(&mut outbox, id, refused(refusal), "12:26:01") {
                Some(Settled::Lost) => "lost",
                _ => "retried",
            };
            assert_eq!((is_due, settled), expected, "{refusal:?} {newer}");
        }
    }

    #[test]
    fn messages_that_follow_each_other_soon_come_less_often() {
        let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
        let mut now = at("12:00:00");
        let waits: Vec<i64> = (0..7)
            .map(|number| {
                outbox.add(Event::new(EventKind::Page, "", now));
                let due = outbox.next_due(&receiver, now, true).unwrap();
                assert!(outbox.compose(&receiver, due, || number.to_string(), "here"));
                let sent = Outcome { answer: String::new(), result: Ok(()) };
                outbox.settle(&number.to_string(), &sent, due, &mut fastrand::Rng::with_seed(1));
                let wait = (due - now).num_seconds();
                now = due;
                wait
            })
            .collect();
        assert_eq!(waits, [10, 10, 20, 40, 80, 160, 160]);
        let calm = now + TimeDelta::hours(1);
        outbox.add(Event::new(EventKind::Page, "", calm));
        assert!(outbox.compose(&receiver, calm + TimeDelta::seconds(160), || "last".to_owned(), "here"));
        assert_eq!(outbox.factor, 1);
    }

    #[test]
    fn quiet_hours_hold_back_all_but_urgent_events_until_they_end() {
        let [from, to] = ["12:00:00", "14:00:00"].map(|text| text.parse().unwrap());
        let quiet = Quiet { from, to, zone: crate::zone::Zone::UTC, urgent: [EventKind::Key].into() };
        let receiver = Receiver { quiet: Some(quiet), ..receiver() };
        let mut outbox = Outbox::new(at("11:00:00"));
        outbox.add(event(EventKind::Page, "12:30:00"));
        assert_eq!(outbox.next_due(&receiver, at("12:30:00"), true), Some(at("14:00:00")));
        assert_eq!(composed(&mut outbox, &receiver, "13:00:00"), Vec::<String>::new());
        outbox.add(event(EventKind::Key, "13:00:00"));
        // The time for which the page has waited does not count for the key.
        assert_eq!(composed(&mut outbox, &receiver, "13:00:09"), Vec::<String>::new());
        outbox.add(event(EventKind::Key, "13:00:09"));
        assert_eq!(composed(&mut outbox, &receiver, "13:00:10"), ["key 2"]);
        settle(&mut outbox, "msg at 13:00:10", Ok(()), "13:00:11");
        outbox.add(event(EventKind::Page, "13:59:59"));
        assert_eq!(composed(&mut outbox, &receiver, "14:00:00"), ["page 2"]);
    }

    #[test]
    fn a_retry_waits_for_the_end_of_quiet_hours_unless_it_is_urgent() {
        let [from, to] = ["12:00:00", "14:00:00"].map(|text| text.parse().unwrap());
        let quiet = Quiet { from, to, zone: crate::zone::Zone::UTC, urgent: [EventKind::Key].into() };
        let receiver = Receiver { quiet: Some(quiet), ..receiver() };
        for (kind, due) in [(EventKind::Page, "14:00:00"), (EventKind::Key, "12:00:02")] {
            let mut outbox = Outbox::new(at("11:00:00"));
            outbox.add(event(kind, "11:59:40"));
            composed(&mut outbox, &receiver, "11:59:55");
            settle(&mut outbox, "msg at 11:59:55", Err(Failure::default()), "11:59:58");
            let next = outbox.next_due(&receiver, at("11:59:58"), true).unwrap();
            assert!((at(due)..=at(due) + TimeDelta::seconds(1)).contains(&next), "{kind:?} {next}");
            assert_eq!(outbox.due_message(&receiver, at("12:00:30")).is_some(), kind == EventKind::Key);
            assert!(outbox.due_message(&receiver, at("14:00:00")).is_some());
        }
    }

    #[test]
    fn a_digest_is_sent_once_a_day_also_in_quiet_hours_and_after_an_outage() {
        let zone = crate::zone::Zone::UTC;
        let [from, to, time] = ["12:00:00", "14:00:00", "13:00:00"].map(|text| text.parse().unwrap());
        let quiet = Some(Quiet { from, to, zone, urgent: [].into() });
        let receiver = Receiver { quiet, digest: Some(Daily { at: time, zone }), ..receiver() };
        let mut outbox = Outbox::new(at("11:00:00"));
        outbox.add(event(EventKind::Page, "12:30:00"));
        assert!(!outbox.is_digest_due(&receiver, at("12:59:59")));
        assert_eq!(outbox.next_due(&receiver, at("12:59:59"), true), Some(at("13:00:00")));
        // The program was off at 13:00.
        assert!(outbox.is_digest_due(&receiver, at("13:20:00")));
        outbox.add_digest(vec![event(EventKind::Digest, "13:10:00")], at("13:10:00"));
        outbox.add_digest(vec![event(EventKind::Digest, "13:20:00")], at("13:20:00"));
        assert!(!outbox.is_digest_due(&receiver, at("13:20:00")));
        assert_eq!(composed(&mut outbox, &receiver, "13:20:00"), ["digest 1"]);
        settle(&mut outbox, "msg at 13:20:00", Ok(()), "13:20:01");
        assert_eq!(outbox.next_due(&receiver, at("13:20:01"), true), Some(at("14:00:00")));
    }
}
