//! A message: events by kind, with a title and an ID.

use serde::{Deserialize, Serialize};

use crate::limits::notifications::EVENTS_LISTED;
use crate::model::Instant;
use crate::redact::redacted;
use crate::settings::EventKind;

use super::event::Event;

/// A message for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its ID, the same in each attempt to deliver it.
    pub id: String,
    /// The time when it was made.
    pub at: Instant,
    /// The rtconfd that sends it: its owner, if it has a name, and the API.
    pub instance: String,
    /// The events; none in a test.
    pub groups: Vec<Group>,
    /// Number of earlier messages that could not be delivered.
    #[serde(default)]
    pub lost: u32,
}

/// Events of one kind: the first few, and the number of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The kind.
    pub kind: EventKind,
    /// Number of events.
    pub count: usize,
    /// The first events.
    pub events: Vec<Event>,
}

impl Group {
    /// Creates a group without events.
    pub fn new(kind: EventKind) -> Self {
        Self { kind, count: 0, events: Vec::new() }
    }

    /// Adds an event; beyond the first few, it only counts.
    pub fn add(&mut self, event: Event) {
        self.count += 1;
        // A digest is short, and its lines belong together.
        if self.events.len() < EVENTS_LISTED || self.kind == EventKind::Digest {
            self.events.push(event);
        }
    }

    /// Returns the number of events that are not listed.
    pub fn more(&self) -> usize {
        self.count - self.events.len().min(self.count)
    }

    /// Returns the heading: the number and kind of the events.
    pub fn heading(&self) -> String {
        let count = self.count;
        let plural = |one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        match self.kind {
            EventKind::Key => "API key".to_owned(),
            EventKind::Held => plural("hold", "holds"),
            EventKind::Page => plural("page with a problem", "pages with a problem"),
            EventKind::Input => plural("input problem", "input problems"),
            EventKind::Drift => plural("value changed by another client", "values changed by other clients"),
            EventKind::Override => plural("override set or ended", "overrides set or ended"),
            EventKind::Lint => {
                plural("warning about data that runs out", "warnings about data that runs out")
            }
            EventKind::Recovered => plural("recovery", "recoveries"),
            EventKind::Digest => "daily digest".to_owned(),
        }
    }
}

impl Message {
    /// Creates a test message.
    pub fn test(id: String, at: Instant, instance: String) -> Self {
        Self { id, at, instance, groups: Vec::new(), lost: 0 }
    }

    /// Returns the message with each text redacted.
    pub fn redacted(mut self) -> Self {
        for event in self.groups.iter_mut().flat_map(|group| &mut group.events) {
            event.text = redacted(std::mem::take(&mut event.text));
        }
        self
    }

    /// Returns its type for programs.
    pub fn kind(&self) -> &'static str {
        match self.groups.as_slice() {
            [] => "rtconfd.test",
            [group] if group.kind == EventKind::Digest => "rtconfd.digest",
            _ => "rtconfd.events",
        }
    }

    /// Returns the title: the event itself if it is alone, else the headings.
    pub fn title(&self) -> String {
        match self.groups.as_slice() {
            [] => "This is a test: notifications from rtconfd arrive here.".to_owned(),
            [Group { kind, count: 1, events }] if *kind != EventKind::Digest => {
                events.first().map(|event| event.text.clone()).unwrap_or_default()
            }
            groups => groups.iter().map(Group::heading).collect::<Vec<_>>().join(", "),
        }
    }

    /// Returns true if the title is the only event, so that it need not be repeated.
    pub fn is_single(&self) -> bool {
        matches!(self.groups.as_slice(), [Group { kind, count: 1, .. }] if *kind != EventKind::Digest)
    }

    /// Returns the sender, and the note on lost messages if there were any.
    pub fn footer(&self) -> String {
        let from = format!("rtconfd, {}", self.instance);
        match self.lost {
            0 => from,
            1 => format!("{from}; 1 earlier message could not be delivered"),
            lost => format!("{from}; {lost} earlier messages could not be delivered"),
        }
    }
}
