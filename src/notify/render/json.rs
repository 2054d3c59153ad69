//! JSON for programs: the payload that Standard Webhooks recommends.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::notify::message::Message;

use super::form::Render;

/// The form for webhooks and commands.
pub(super) struct Json;

impl Render for Json {
    fn render(&self, message: &Message) -> Value {
        json!({
            "type": message.kind(),
            "timestamp": message.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "data": {
                "id": message.id,
                "instance": message.instance,
                "title": message.title(),
                "lost": message.lost,
                "groups": message.groups,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::message;
    use super::*;
    use crate::settings::EventKind;

    #[test]
    fn a_message_lists_the_first_events_and_counts_all() {
        let body = Json.render(&message(EventKind::Page, 1_000, "A-1/live is stuck"));
        assert_eq!(body["type"], "rtconfd.events");
        assert_eq!(body["timestamp"], "2026-11-26T17:00:00.000Z");
        assert_eq!(body["data"]["title"], "1000 pages with a problem");
        let group = &body["data"]["groups"][0];
        assert_eq!((&group["kind"], &group["count"]), (&json!("page"), &json!(1_000)));
        assert_eq!(group["events"].as_array().unwrap().len(), 5);
        let first = json!({
            "kind": "page", "page": "A-0/live", "text": "A-1/live is stuck", "at": "2026-11-26T17:00:00Z",
        });
        assert_eq!(group["events"][0], first);
    }
}
