//! What was reported and what is to be sent: the durable state of notifications.
//!
//! It is one fact in the store, because events and the conditions they come from must be stored
//! together: if one of them were older than the other after a crash, an event would be lost or told
//! twice. The fact is bounded: a few words for each page with a problem, and an outbox for each
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
        self.outboxes.retain(|name, _| receivers.iter().any(|receiver| receiver.name == *name));
        for receiver in receivers {
            self.outboxes.entry(receiver.name.clone()).or_insert_with(|| Outbox::new(now));
        }
    }

    /// Updates the reported conditions, and collects the events for each receiver.
    ///
    /// `passing` are events that leave no state behind. A new receiver is told of all conditions.
    /// Returns true if something changed.
    pub fn observe(
        &mut self,
        receivers: &[Receiver],
        states: &BTreeMap<String, State>,
        passing: Vec<Event>,
        now: Instant,
    ) -> bool {
        let mut events = changes(&mut self.reported, states, now);
        events.extend(passing);
        let mut is_changed = !events.is_empty();
        for receiver in receivers {
            let Some(outbox) = self.outboxes.get_mut(&receiver.name) else { continue };
            let all = outbox.is_new.then(|| changes(&mut AllReported::new(), states, now));
            is_changed |= std::mem::take(&mut outbox.is_new);
            let events = all.as_ref().unwrap_or(&events);
            events.iter().filter(|event| event.is_for(receiver)).for_each(|event| outbox.add(event.clone()));
        }
        is_changed
    }

    /// Returns the next time at which there is something to do for a receiver.
    ///
    /// `has_digest` is true once the content of a digest is known.
    pub fn next_due(&self, receiver: &Receiver, now: Instant, has_digest: bool) -> Option<Instant> {
        self.outboxes.get(&receiver.name)?.next_due(receiver, now, has_digest)
    }
}
