//! A validator's messages, as problems show them.

use std::fmt::Write;

use jsonschema::ValidationError;

/// Maximum characters of a validator's message, which may quote the whole page.
const MESSAGE_LENGTH: usize = 400;

/// Returns a validator's message, truncated while it is written.
pub(super) fn brief(error: &ValidationError) -> String {
    let mut brief = Brief(String::new());
    if write!(brief, "{error}").is_err() {
        brief.0.push('…');
    }
    brief.0
}

struct Brief(String);

impl std::fmt::Write for Brief {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = MESSAGE_LENGTH.saturating_sub(self.0.chars().count());
        self.0.extend(text.chars().take(room));
        if text.chars().nth(room).is_some() { Err(std::fmt::Error) } else { Ok(()) }
    }
}

pub(super) fn rule(error: &ValidationError) -> String {
    let path = error.schema_path().to_string();
    if path.is_empty() { "its root".to_owned() } else { path }
}
