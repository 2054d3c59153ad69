//! Writes a message for one type of receiver.

mod form;
mod json;
mod slack;
mod teams;

use crate::settings::Via;

use form::Render;

/// Returns the form of messages for a receiver.
pub fn renderer(via: &Via) -> &'static dyn Render {
    match via {
        Via::Webhook { .. } | Via::Command(_) => &json::Json,
        Via::Slack(_) => &slack::Slack,
        Via::Teams(_) => &teams::Teams,
    }
}

#[cfg(test)]
pub(super) mod examples {
    use crate::notify::event::Event;
    use crate::notify::message::{Group, Message};
    use crate::settings::EventKind;

    /// Returns a message with some events of a kind, all with the same text.
    pub fn message(kind: EventKind, count: usize, text: &str) -> Message {
        let at = "2026-11-26T17:00:00Z".parse().unwrap();
        let mut group = Group::new(kind);
        for number in 0..count {
            let page = Some(format!("A-{number}/live"));
            group.add(Event::new(kind, text, at).on(page));
        }
        let (id, instance) = ("msg_1".to_owned(), "api.uk.poly.ai".to_owned());
        Message { id, at, instance, groups: vec![group], lost: 0 }
    }
}
