//! Reads a secret of a receiver from its file.

use std::path::Path;

use crate::agents_api::{ApiKey, KeySource};

/// The shortest part of a URL that is taken for a secret; shorter ones occur in ordinary words.
const MIN_PART: usize = 8;

/// A secret and its text, kept apart from what may be shown.
pub(super) struct Secret(ApiKey);

impl Secret {
    /// Reads a file that only its owner can read.
    ///
    /// # Errors
    /// The problem with the file, as text.
    pub(super) fn read(path: &Path, what: &str) -> Result<Self, String> {
        let loaded = KeySource::File(path.to_owned()).load();
        loaded.map(Self).map_err(|error| error.of(what))
    }

    /// Returns the secret, for the request only.
    pub(super) fn expose(&self) -> String {
        secrecy::ExposeSecret::expose_secret(&self.0.clone().into_secret()).to_owned()
    }

    /// Returns the parts of a secret URL that an answer may repeat without the rest.
    pub(super) fn parts_of(url: &str) -> Vec<Self> {
        let parts = url.split(['/', '?', '&', '=', '#']).skip(3).filter(|part| part.len() >= MIN_PART);
        parts.map(|part| Self(part.into())).collect()
    }

    /// Returns a text without the secret.
    pub(super) fn redact(&self, text: &str) -> String {
        self.0.redact(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_parts_of_a_url_are_redacted_one_by_one() {
        let parts =
            Secret::parts_of("https://hooks.slack.example/services/T00000000/B0/s1ackSecret?sig=sIgnature");
        let redact = |text: &str| parts.iter().fold(text.to_owned(), |text, part| part.redact(&text));
        assert_eq!(
            redact("POST /services/T00000000/B0/s1ackSecret?sig=sIgnature to hooks.slack.example"),
            "POST /[key]/[key]/B0/[key]?sig=[key] to hooks.slack.example"
        );
    }
}
