//! Compares the conditions of now with those that were reported before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Instant;
use crate::settings::EventKind;

use super::event::Event;

/// The present state of the subject of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The condition holds.
    Holds(Condition),
    /// Unknown, or about to change: an earlier report stays as it is.
    Unknown,
    /// A page is right.
    Right,
    /// The page is no longer defined, so its end is not reported.
    Undefined,
}

/// A state that is reported to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its kind.
    pub kind: EventKind,
    /// The page, if it concerns one.
    pub page: Option<String>,
    /// Distinguishes states of one subject, such as stuck and held. A change of the text alone is not a change of state.
    pub state: String,
    /// The state in words.
    pub text: String,
    /// Its end in words; none for a page, which is reported only once it is right.
    pub end: Option<String>,
}

/// A condition that was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    kind: EventKind,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    end: Option<String>,
}

/// The reported conditions, by subject.
pub type AllReported = BTreeMap<String, Reported>;

/// Updates the reported conditions to those of now; returns the events in between.
///
/// | reported | now | event |
/// |---|---|---|
/// | none, or another state | holds | the condition |
/// | the same state | holds | none |
/// | any | unknown | none, and it stays reported |
/// | a page | right | recovered |
/// | a page | no longer defined | none |
/// | anything else | gone | its end |
pub fn changes(reported: &mut AllReported, now: &BTreeMap<String, State>, at: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    reported.retain(|subject, was| {
        let end = match (now.get(subject), &was.end) {
            (Some(State::Holds(_) | State::Unknown), _) => return true,
            (Some(State::Right), _) => Some(
                Event::recovery(was.kind, &format!("{subject} is right again"), at).on(Some(subject.clone())),
            ),
            (Some(State::Undefined), _) => None,
            (None, end) => end.as_ref().map(|end| Event::recovery(was.kind, end, at)),
        };
        events.extend(end);
        false
    });
    for (subject, state) in now {
        let State::Holds(condition) = state else { continue };
        if reported.get(subject).is_some_and(|was| was.state == condition.state) {
            continue;
        }
        let Condition { kind, state, end, .. } = condition.clone();
        reported.insert(subject.clone(), Reported { kind, state, end });
        events.push(Event::new(kind, &condition.text, at).on(condition.page.clone()));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(kind: EventKind, state: &str, end: Option<&str>) -> State {
        let text = format!("it is {state}");
        let end = end.map(str::to_owned);
        State::Holds(Condition { kind, page: None, state: state.to_owned(), text, end })
    }

    /// Returns the texts of the events that a state causes after another.
    fn between(before: Option<State>, after: Option<State>) -> Vec<(EventKind, String)> {
        let at = "2026-11-26T17:00:00Z".parse().unwrap();
        let world =
            |state: Option<State>| state.into_iter().map(|state| ("A-1/live".to_owned(), state)).collect();
        let mut reported = AllReported::new();
        changes(&mut reported, &world(before), at);
        let events = changes(&mut reported, &world(after.clone()), at);
        // A second look at the same state reports nothing, also after a restart.
        let mut restored = serde_json::from_str(&serde_json::to_string(&reported).unwrap()).unwrap();
        assert_eq!(changes(&mut restored, &world(after), at), []);
        events.into_iter().map(|event| (event.kind, event.text)).collect()
    }

    #[test]
    fn only_changes_of_state_are_events() {
        use EventKind::{Held, Override, Page, Recovered};
        let page = |state| Some(holds(Page, state, None));
        let hold = || Some(holds(Held, "r1", Some("nothing is held any more")));
        let set = || Some(holds(Override, "", Some("override 1 ended")));
        for (before, after, expected) in [
            (None, page("stuck"), vec![(Page, "it is stuck")]),
            (page("stuck"), page("stuck"), vec![]),
            (page("stuck"), page("held"), vec![(Page, "it is held")]),
            (page("stuck"), Some(State::Unknown), vec![]),
            (page("stuck"), Some(State::Right), vec![(Recovered, "A-1/live is right again")]),
            (page("stuck"), None, vec![]),
            (None, Some(State::Right), vec![]),
            (None, Some(State::Unknown), vec![]),
            (hold(), Some(State::Undefined), vec![]),
            (None, hold(), vec![(Held, "it is r1")]),
            (hold(), hold(), vec![]),
            (hold(), Some(State::Unknown), vec![]),
            (hold(), None, vec![(Recovered, "nothing is held any more")]),
            (None, set(), vec![(Override, "it is ")]),
            (set(), None, vec![(Override, "override 1 ended")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(kind, text)| (kind, text.to_owned())).collect();
            assert_eq!(between(before.clone(), after.clone()), expected, "{before:?} -> {after:?}");
        }
    }
}
