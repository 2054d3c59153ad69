//! An event: one change of state, as text that is safe to show anywhere.

use serde::{Deserialize, Serialize};

use crate::limits::notifications::MAX_EVENT_TEXT;
use crate::model::{Instant, is_unprintable};
use crate::settings::{EventKind, Receiver};

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its kind.
    pub kind: EventKind,
    /// The kind of the state that ended, for a recovery.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<EventKind>,
    /// The page, if it concerns one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<String>,
    /// The change in words, on one line.
    pub text: String,
    /// The time when it was noticed.
    pub at: Instant,
}

impl Event {
    /// Creates an event; the text becomes one line of limited length.
    pub fn new(kind: EventKind, text: &str, at: Instant) -> Self {
        Self { kind, of: None, page: None, text: line(text), at }
    }

    /// Creates the event of a state that ended.
    pub fn recovery(of: EventKind, text: &str, at: Instant) -> Self {
        // The end of an override is not a recovery: nothing was wrong.
        match of {
            EventKind::Override => Self::new(of, text, at),
            _ => Self { of: Some(of), ..Self::new(EventKind::Recovered, text, at) },
        }
    }

    /// Returns the event with the page it concerns.
    pub fn on(self, page: Option<String>) -> Self {
        Self { page, ..self }
    }

    /// Returns true if a receiver gets it; a recovery also needs the kind of what was wrong.
    pub fn is_for(&self, receiver: &Receiver) -> bool {
        receiver.events.contains(&self.kind) && self.of.is_none_or(|of| receiver.events.contains(&of))
    }
}

/// Makes text safe to show: one line, of limited length, without characters that mislead a reader.
///
/// Other people write cells and pages.
pub fn line(text: &str) -> String {
    let printable = |c: char| if is_unprintable(c) { ' ' } else { c };
    let mut shown: String = text.chars().map(printable).take(MAX_EVENT_TEXT).collect();
    if text.chars().nth(MAX_EVENT_TEXT).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_stays_on_one_line_and_keeps_its_direction() {
        for (text, shown) in [
            ("plain", "plain"),
            ("one\ntwo\r\n\tthree", "one two   three"),
            ("\u{1b}[31mred\u{7f}", " [31mred "),
            ("a\u{202e}b\u{200b}c\u{2028}d\u{e0041}e", "a b c d e"),
            ("caf\u{e9} \u{1f600}", "caf\u{e9} \u{1f600}"),
        ] {
            assert_eq!(line(text), shown, "{text:?}");
        }
        let long = line(&"x".repeat(MAX_EVENT_TEXT + 1));
        assert_eq!(long.chars().count(), MAX_EVENT_TEXT);
        assert!(long.ends_with("x…"), "{long}");
        assert_eq!(line(&"x".repeat(MAX_EVENT_TEXT)), "x".repeat(MAX_EVENT_TEXT));
    }
}
