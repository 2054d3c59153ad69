//! Normalization of text from spreadsheets and web pages.

use std::borrow::Cow;

/// Replaces dashes, blanks and colons that look like plain ones in hours, days or dates.
///
/// Text copied from a web page or autocorrected by a spreadsheet looks the same on a screen.
pub fn plain(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(|c| plain_char(c) != Some(c)) else { return Cow::Borrowed(text) };
    let (same, rest) = text.split_at(first);
    Cow::Owned(same.chars().chain(rest.chars().filter_map(plain_char)).collect())
}

/// Returns the plain character for one that looks like it; none for an invisible one.
fn plain_char(c: char) -> Option<char> {
    match c {
        // Hyphens, dashes and the minus sign.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' => Some('-'),
        // Non-breaking and fixed-width blanks.
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => Some(' '),
        '\u{FF1A}' | '\u{2236}' => Some(':'),
        '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookalike_characters_become_ascii() {
        for (text, expected) in [
            ("Mo\u{2013}Fr 09:00\u{2011}17:00", "Mo-Fr 09:00-17:00"),
            ("09:00\u{A0}\u{2014}\u{202F}17:00", "09:00 - 17:00"),
            ("\u{FEFF}09\u{FF1A}00\u{2212}17:00\u{200B}", "09:00-17:00"),
            ("Café", "Café"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
