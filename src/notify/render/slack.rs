//! Slack: Block Kit with mrkdwn, for an incoming webhook.

use serde_json::{Value, json};

use crate::notify::message::Message;

use super::form::{Render, more};

/// The most characters of a section. Slack refuses more than 3,000.
const SECTION: usize = 2_900;
/// The most characters of one event; five of them and the heading fit into a section.
const EVENT: usize = 500;
/// The most characters of a header. Slack refuses more than 150.
const HEADER: usize = 140;

/// The form for Slack.
pub(super) struct Slack;

impl Render for Slack {
    fn render(&self, message: &Message) -> Value {
        let title = message.title();
        let mut blocks = Vec::new();
        if message.is_single() || message.groups.is_empty() {
            blocks.push(section(&escaped(&title, SECTION)));
        } else {
            // Plain text is not parsed, so nothing in it needs an escape.
            let header: String = title.chars().take(HEADER).collect();
            let text = json!({ "type": "plain_text", "text": header, "emoji": false });
            blocks.push(json!({ "type": "header", "text": text }));
            for group in &message.groups {
                let events = group.events.iter().map(|event| format!("• {}", escaped(&event.text, EVENT)));
                let lines =
                    [format!("*{}*", group.heading())].into_iter().chain(events).chain(more(group.more()));
                blocks.push(section(&lines.collect::<Vec<_>>().join("\n")));
            }
        }
        let footer = json!({ "type": "mrkdwn", "text": escaped(&message.footer(), EVENT) });
        blocks.push(json!({ "type": "context", "elements": [footer] }));
        json!({
            "text": escaped(&title, EVENT),
            "blocks": blocks,
            "unfurl_links": false,
            "unfurl_media": false,
        })
    }
}

fn section(text: &str) -> Value {
    let cut: String = text.chars().take(SECTION).collect();
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut, "verbatim": true } })
}

/// Escapes the characters that Slack parses (links, mentions), up to a length.
///
/// The end is never within an escape: half of one could form another with what follows.
fn escaped(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let as_shown = match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            // Three of them would turn everything up to the next three into code.
            '`' => "ˋ".to_owned(),
            c => c.to_string(),
        };
        if shown.len() + as_shown.len() >= most {
            shown.push('…');
            break;
        }
        shown.push_str(&as_shown);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::examples::message;
    use super::*;
    use crate::settings::EventKind;

    fn texts(body: &Value) -> Vec<String> {
        let blocks = body["blocks"].as_array().unwrap();
        let text = |block: &Value| block["text"]["text"].as_str().map(str::to_owned);
        blocks.iter().filter_map(text).collect()
    }

    #[test]
    fn text_of_others_cannot_mention_link_or_hide() {
        for (text, shown) in [
            (
                "<!channel> <https://evil.example|Approve>",
                "&lt;!channel&gt; &lt;https://evil.example|Approve&gt;",
            ),
            ("a & b &lt;", "a &amp; b &amp;lt;"),
            ("```code is_open", "ˋˋˋcode is_open"),
        ] {
            let single = Slack.render(&message(EventKind::Drift, 1, text));
            assert_eq!(texts(&single)[0], shown);
            assert_eq!(single["text"], shown);
            let several = Slack.render(&message(EventKind::Drift, 2, text));
            let lines = format!("*2 values changed by other clients*\n• {shown}\n• {shown}");
            assert_eq!(texts(&several)[1], lines);
        }
    }

    #[test]
    fn a_full_message_stays_within_the_limits_of_slack() {
        let mut full = message(EventKind::Page, 1_000, &"<&é".repeat(200));
        full.groups = EventKind::ALL.iter().map(|_| full.groups[0].clone()).collect();
        let body = Slack.render(&full);
        for text in texts(&body) {
            assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
        }
        assert!(texts(&body)[0].chars().count() <= 150);
        assert!(texts(&body)[1].ends_with("\n… and 995 more"), "{}", texts(&body)[1]);
        // No escape is cut.
        let text = texts(&body)[1].replace("&lt;", "").replace("&amp;", "");
        assert!(!text.contains('&'), "{text}");
    }
}
