//! Table tests for calendars: rules, series, zones and content lines.

mod content;
mod rules;
mod series;
mod zones;

use std::sync::LazyLock;

use super::{Calendar, Span, Window};
use crate::zone::{self, Database, Zone, named};

static NEW_YORK: LazyLock<Zone> = LazyLock::new(|| named("America/New_York"));

fn calendar(events: &str) -> Result<Calendar, String> {
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\n{}\nEND:VCALENDAR\n", events.trim());
    Calendar::parse(&"c.ics".into(), text.as_bytes(), &Database::embedded()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

/// Returns the warnings of a parsed calendar, one per line.
fn warnings(calendar: &Calendar) -> String {
    calendar.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

fn event(properties: &str) -> String {
    format!("BEGIN:VEVENT\nUID:1\nSUMMARY:x\n{}\nEND:VEVENT", properties.trim())
}

/// Returns the starts within the window in a zone's wall-clock time, sorted.
fn starts(calendar: &Calendar, here: Zone, from: &str, to: &str) -> Vec<String> {
    let window = Window { from: from.parse().unwrap(), to: to.parse().unwrap() };
    let (first, end) = (zone::start_of(here, window.from), zone::start_of(here, window.to));
    let mut found: Vec<_> = calendar
        .occurrences(window)
        .unwrap()
        .iter()
        .filter(|occurrence| {
            let (from, to) = occurrence.instants(here);
            from < end && (to > first || from >= first)
        })
        .map(|occurrence| match &occurrence.span {
            Span::Dates(from, _) => from.to_string(),
            Span::Times(from, _) => {
                zone::local(here, from.instant(here)).format("%Y-%m-%dT%H:%M").to_string()
            }
        })
        .collect();
    found.sort();
    found
}
