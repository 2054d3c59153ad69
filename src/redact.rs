//! Redacts the keys of this process in text that is logged, stored, sent or shown.
//!
//! A person may write a key into a value on a page, or a server may repeat it in an answer.

use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

use crate::limits::store::MIN_HIDDEN;

/// The text that replaces a key.
const REDACTED: &str = "[key]";
/// Minimum characters of a key's beginning that are redacted before a cut.
const MIN_CUT: usize = 8;

/// The keys that are redacted from now on.
static KEYS: RwLock<Vec<SecretString>> = RwLock::new(Vec::new());

/// Redacts a key in all later text.
///
/// Keys shorter than `MIN_HIDDEN` are not redacted: they also occur in ordinary words.
pub fn hide(key: &SecretString) {
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    let text = key.expose_secret();
    if text.len() >= MIN_HIDDEN && !keys.iter().any(|known| known.expose_secret() == text) {
        keys.push(key.clone());
    }
}

/// Returns a text without the keys of this process.
pub fn redacted(text: String) -> String {
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    keys.iter().fold(text, |text, key| without(key.expose_secret(), text))
}

/// Returns a text with every occurrence of a key redacted, also where JSON escapes it and where `…`
/// cuts it off.
pub fn without(key: &str, text: String) -> String {
    let quoted = serde_json::Value::from(key).to_string();
    let escaped = quoted.get(1..quoted.len() - 1).unwrap_or(key);
    let mut text = text;
    for key in [key, escaped] {
        if text.contains(key) {
            text = text.replace(key, REDACTED);
        }
        text = without_cuts(text, key);
    }
    text
}

/// Redacts beginnings of a key that `…` cuts off.
fn without_cuts(text: String, key: &str) -> String {
    match key.get(..MIN_CUT) {
        Some(begin) if text.contains('…') && text.contains(begin) => {
            let cuts = (MIN_CUT..key.len()).rev().filter_map(|length| key.get(..length));
            cuts.fold(text, |text, cut| text.replace(&format!("{cut}…"), REDACTED))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_redacted_whole_cut_off_and_escaped() {
        for (key, text, expected) in [
            ("secret-key-1", "no secret-key-1 here", "no [key] here"),
            ("secret-key-1", "cut: \"secret-key…, \"secret-k…, secret-…", "cut: \"[key], \"[key], secret-…"),
            ("k-\"quoted\"-\\", "[\"k-\\\"quoted\\\"-\\\\\"]", "[\"[key]\"]"),
            ("k-\"quoted\"-\\", "cut: k-\\\"quote…", "cut: [key]"),
        ] {
            assert_eq!(without(key, text.to_owned()), expected, "{text}");
        }
    }

    #[test]
    fn the_keys_of_the_process_are_redacted_in_all_text() {
        hide(&"k-of-a-page".to_owned().into());
        hide(&"k-before".to_owned().into());
        hide(&"k".to_owned().into());
        assert_eq!(
            redacted("drift found=\"k-of-a-page k-before\" desired=\"k-of-a-pa…".to_owned()),
            "drift found=\"[key] [key]\" desired=\"[key]"
        );
    }
}
