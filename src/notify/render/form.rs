//! The common part of all forms of messages.

use serde_json::Value;

use crate::notify::message::Message;

/// A form of messages that a type of receiver understands.
pub trait Render: Sync {
    /// Returns the message as the JSON body of a request.
    fn render(&self, message: &Message) -> Value;
}

/// Returns the note on events that a group does not list.
pub(super) fn more(count: usize) -> Option<String> {
    (count > 0).then(|| format!("… and {count} more"))
}
