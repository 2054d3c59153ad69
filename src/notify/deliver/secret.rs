//! Reads a secret of a receiver from its file.

use std::path::Path;

use crate::agents_api::{ApiKey, KeyError, KeySource};

/// A secret and its text, kept apart from what may be shown.
pub(super) struct Secret(ApiKey);

impl Secret {
    /// Reads a file that only its owner can read.
    ///
    /// # Errors
    /// The problem with the file, as text.
    pub(super) fn read(path: &Path, what: &str) -> Result<Self, String> {
        let loaded = KeySource::File(path.to_owned()).load();
        loaded.map(Self).map_err(|error| match error {
            KeyError::NoKey { place, why } => {
                format!("{place} holds no {what}: {why} (hint: write only the {what}, on one line)")
            }
            KeyError::Unreadable { path, error } => format!("cannot read the {what} from {path}: {error}"),
            other => other.to_string(),
        })
    }

    /// Returns the secret, for the request only.
    pub(super) fn expose(&self) -> String {
        secrecy::ExposeSecret::expose_secret(&self.0.clone().into_secret()).to_owned()
    }

    /// Returns a text without the secret.
    pub(super) fn redact(&self, text: &str) -> String {
        self.0.redact(text)
    }
}
