//! The values that show something about a calendar.

use serde_json::{Value, json};

use crate::calendar::{Agenda, Entry};
use crate::model::Instant;
use crate::zone::{self, Zone};

/// A value that shows something about a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarShape {
    /// `true` on a date with an event.
    IsToday,
    /// The name of today's first event.
    Name,
    /// The next date with an event, today included, as `2026-12-25`.
    NextDate,
}

impl CalendarShape {
    /// All shapes, with their names in settings and their descriptions for the reference.
    pub const ALL: &'static [(&'static str, Self, &'static str)] = &[
        ("is_today", Self::IsToday, "`true` on a date with an event."),
        ("name", Self::Name, "The name of today's first event."),
        ("next_date", Self::NextDate, "The next date with an event, today included: `2026-12-25`."),
    ];

    /// Returns the shape with a name in settings; none if the name is unknown.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == name).map(|(_, shape, _)| *shape)
    }

    /// Returns the value at an instant; none without such an event.
    pub fn value(self, agenda: &Agenda, zone: Zone, at: Instant) -> Option<Value> {
        let today = zone::date(zone, at);
        let entry = || agenda.on(zone, today).into_iter().next();
        match self {
            Self::IsToday => Some(Value::Bool(entry().is_some())),
            Self::Name => entry().map(|entry| json!(*entry.name)),
            Self::NextDate => agenda.next_date(zone, today).map(|date| json!(date)),
        }
    }

    /// Explains a calendar's value at an instant.
    pub fn because(agenda: &Agenda, name: &str, zone: Zone, at: Instant) -> String {
        let today = zone::date(zone, at);
        match agenda.on(zone, today).into_iter().next() {
            Some(Entry { name: event, origin }) => format!("{today} in {zone} is \"{event}\" ({origin})"),
            None => format!("calendar \"{name}\" has no event on {today} in {zone}"),
        }
    }
}
