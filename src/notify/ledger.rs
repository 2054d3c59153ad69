//! The durable state of notifications: the reported conditions and the messages to send.
//!
//! It is one fact in the store, because events and the conditions they come from must be stored
//! together: if one of them were older than the other after a crash, an event would be lost or
//! reported twice. The fact is bounded: a few words for each page with a problem, and an outbox for each
//! receiver.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Instant;
use crate::settings::Receiver;

use super::changes::{AllReported, State, changes};
use super::event::Event;
use super::outbox::Outbox;

/// The durable state of notifications.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The conditions that were reported.
    pub reported: AllReported,
    /// The outboxes by the name of their receiver.
    pub outboxes: BTreeMap<String, Outbox>,
}

impl Ledger {
    /// The name under which the store keeps it.
    pub const FACT: &'static str = "notifications";

    /// Adds outboxes of new receivers, and removes those of former ones.
    pub fn set_receivers(&mut self, receivers: &[Receiver], now: Instant) {
        self.outboxes.retain(|name, outbox| {
            let is_kept = receivers.iter().any(|receiver| receiver.name == *name);
            if !is_kept && outbox.is_pending() {
                tracing::warn!(receiver = name, "unsent notifications dropped: the receiver was removed");
            }
            is_kept
        });
        for receiver in receivers {
            self.outboxes.entry(receiver.name.clone()).or_insert_with(|| Outbox::new(now));
        }
    }

    /// Updates the reported conditions, and collects the events for each receiver.
    ///
    /// `passing` are events that leave no state behind. A new receiver gets all conditions, also
    /// those reported before. Returns true if something changed.
    pub fn observe(
        &mut self,
        receivers: &[Receiver],
        states: &BTreeMap<String, State>,
        passing: Vec<Event>,
        now: Instant,
    ) -> bool {
        let events = changes(&mut self.reported, states, now);
        let mut is_changed = !events.is_empty() || !passing.is_empty();
        for receiver in receivers {
            let Some(outbox) = self.outboxes.get_mut(&receiver.name) else { continue };
            let missed = outbox.catching_up.as_mut().map(|reported| changes(reported, states, now));
            if outbox.catching_up.as_ref() == Some(&self.reported) {
                outbox.catching_up = None;
            }
            is_changed |= missed.as_ref().is_some_and(|missed| !missed.is_empty());
            let news = missed.as_ref().unwrap_or(&events).iter().chain(&passing);
            news.filter(|event| event.is_for(receiver)).for_each(|event| outbox.add(event.clone()));
        }
        is_changed
    }

    /// Returns the failed attempts for the message on its way, by receiver.
    pub fn failures(&self) -> BTreeMap<String, u32> {
        self.outboxes.iter().map(|(name, outbox)| (name.clone(), outbox.failed_count())).collect()
    }

    /// Returns the next time at which there is something to do for a receiver.
    ///
    /// `has_digest` is true once the content of a digest is known.
    pub fn next_due(&self, receiver: &Receiver, now: Instant, has_digest: bool) -> Option<Instant> {
        self.outboxes.get(&receiver.name)?.next_due(receiver, now, has_digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::notifications::{COLLECT, NOTIFY_TIMEOUT};
    use crate::notify::changes::Condition;
    use crate::settings::{EventKind, Via};

    fn receiver(name: &str, events: &[EventKind]) -> Receiver {
        Receiver {
            name: name.to_owned(),
            via: Via::Command(Vec::new()),
            timeout: NOTIFY_TIMEOUT,
            events: events.iter().copied().collect(),
            collect: COLLECT,
            digest: None,
            quiet: None,
        }
    }

    fn stuck() -> State {
        let text = "A-1/live is stuck: refused".to_owned();
        let (page, state) = (Some("A-1/live".to_owned()), "stuck".to_owned());
        State::Holds(Condition { kind: EventKind::Page, page, state, text, end: None })
    }

    /// Looks at a page; returns the number of events that each receiver has collected since.
    fn look(ledger: &mut Ledger, receivers: &[Receiver], state: State) -> Vec<usize> {
        let now = "2026-11-26T17:00:00Z".parse().unwrap();
        let count = |ledger: &Ledger, receiver: &Receiver| ledger.outboxes[&receiver.name].collected_count();
        let before: Vec<usize> = receivers.iter().map(|receiver| count(ledger, receiver)).collect();
        ledger.observe(receivers, &BTreeMap::from([("A-1/live".to_owned(), state)]), Vec::new(), now);
        receivers.iter().zip(before).map(|(receiver, before)| count(ledger, receiver) - before).collect()
    }

    #[test]
    fn a_new_receiver_gets_what_was_reported_before_once_it_is_known_again() {
        let now = "2026-11-26T17:00:00Z".parse().unwrap();
        let (old, new) = (receiver("old", &EventKind::ALL), receiver("new", &EventKind::ALL));
        let mut ledger = Ledger::default();
        ledger.set_receivers(std::slice::from_ref(&old), now);
        assert_eq!(look(&mut ledger, std::slice::from_ref(&old), stuck()), [1]);
        // A restart with one more receiver: the page was not fetched yet.
        let mut ledger: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
        let both = [old, new];
        ledger.set_receivers(&both, now);
        assert_eq!(look(&mut ledger, &both, State::Unknown), [0, 0]);
        assert_eq!(look(&mut ledger, &both, stuck()), [0, 1]);
        assert_eq!(look(&mut ledger, &both, stuck()), [0, 0]);
        assert_eq!(look(&mut ledger, &both, State::Right), [1, 1]);
    }

    #[test]
    fn a_receiver_gets_its_kinds_and_the_recoveries_of_those_alone() {
        let now = "2026-11-26T17:00:00Z".parse().unwrap();
        let receivers = [
            receiver("all", &EventKind::ALL),
            receiver("pages", &[EventKind::Page]),
            receiver("holds", &[EventKind::Held, EventKind::Recovered]),
            receiver("both", &[EventKind::Page, EventKind::Recovered]),
        ];
        let mut ledger = Ledger::default();
        ledger.set_receivers(&receivers, now);
        assert_eq!(look(&mut ledger, &receivers, stuck()), [1, 1, 0, 1]);
        assert_eq!(look(&mut ledger, &receivers, State::Right), [1, 0, 0, 1]);
        ledger.set_receivers(&receivers[..1], now);
        assert_eq!(ledger.outboxes.len(), 1, "the state of former receivers is deleted");
    }
}
