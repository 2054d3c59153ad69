//! Microsoft Teams: an Adaptive Card, for a webhook of Workflows.

use serde_json::{Value, json};

use crate::notify::message::Message;

use super::form::{Render, more};

/// The most bytes of text. Teams refuses a message of more than 28 KiB.
const BUDGET: usize = 14 << 10;

/// The form for Teams.
pub(super) struct Teams;

/// The text runs of a card and their size.
///
/// Text runs are shown as they are; the text blocks of cards would read Markdown in them.
struct Card {
    body: Vec<Value>,
    left: usize,
}

impl Card {
    fn add(&mut self, text: &str, style: &Value) {
        let text = match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                text
            }
            None => return,
        };
        let mut run = json!({ "type": "TextRun", "text": text });
        if let (Some(run), Some(style)) = (run.as_object_mut(), style.as_object()) {
            run.extend(style.clone());
        }
        self.body.push(json!({ "type": "RichTextBlock", "inlines": [run] }));
    }
}

impl Render for Teams {
    fn render(&self, message: &Message) -> Value {
        let (bold, plain, subtle) = (json!({ "weight": "Bolder" }), json!({}), json!({ "isSubtle": true }));
        let mut card = Card { body: Vec::new(), left: BUDGET };
        // It comes last and must fit.
        let footer = message.footer();
        card.left -= footer.len().min(BUDGET);
        card.add(&message.title(), &json!({ "weight": "Bolder", "size": "Medium" }));
        if !message.is_single() {
            for group in &message.groups {
                card.add(&group.heading(), &bold);
                group.events.iter().for_each(|event| card.add(&format!("• {}", event.text), &plain));
                more(group.more()).iter().for_each(|more| card.add(more, &plain));
            }
        }
        card.left = footer.len();
        card.add(&footer, &subtle);
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": { "width": "Full" },
                    "body": card.body,
                },
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::message;
    use super::*;
    use crate::settings::EventKind;

    fn runs(body: &Value) -> Vec<String> {
        let blocks = body["attachments"][0]["content"]["body"].as_array().unwrap();
        for block in blocks {
            assert_eq!(block["type"], "RichTextBlock", "text blocks read Markdown");
        }
        blocks.iter().map(|block| block["inlines"][0]["text"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn text_of_others_is_shown_as_it_is() {
        let text = "[Approve](https://evil.example) <at>all</at> **bold**";
        let body = Teams.render(&message(EventKind::Drift, 1, text));
        assert_eq!(body["type"], "message");
        assert_eq!(runs(&body), [text, "rtconfd, api.uk.poly.ai"]);
        let body = Teams.render(&message(EventKind::Drift, 7, text));
        let events = vec![format!("• {text}"); 5];
        let heading = "7 values changed by other clients".to_owned();
        let expected = [vec![heading.clone(), heading], events, vec!["… and 2 more".to_owned()]].concat();
        assert_eq!(runs(&body)[..8], expected);
    }

    #[test]
    fn a_full_message_stays_within_the_limit_of_teams() {
        let mut full = message(EventKind::Page, 1_000, &"\"\u{1f600}".repeat(150));
        full.groups = EventKind::ALL.iter().map(|_| full.groups[0].clone()).collect();
        let body = Teams.render(&full);
        assert!(body.to_string().len() < 28 << 10, "{}", body.to_string().len());
        assert_eq!(runs(&body).last().unwrap(), "rtconfd, api.uk.poly.ai");
    }
}
