//! A secret in a file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::agents_api::{ApiKey, KeySource};
use crate::model::Problem;

/// A secret in a file, read again when the file changes.
///
/// If the changed file is invalid, the previous secret stays.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    known: Mutex<(Option<Stamp>, SecretString)>,
}

/// The state of a file: inode, modification time, length and mode of a file.
pub(super) type Stamp = (u64, i64, i64, u64, u32);

impl SecretFile {
    /// Reads a secret from a file that only its owner can read.
    ///
    /// # Errors
    /// When the file holds no secret, or other users can read it.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let stamp = stamp(path);
        let secret = load(path)?;
        Ok(Self { path: path.to_owned(), known: Mutex::new((stamp, secret)) })
    }

    /// Compares a text with the secret, in constant time.
    pub(super) fn is(&self, given: &str) -> bool {
        self.current().expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Returns a hash of the secret, which changes with it.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.current().expose_secret()).into()
    }

    /// Returns the secret as the file has it now.
    fn current(&self) -> SecretString {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != known.0 {
            known.0 = stamp;
            match load(&self.path) {
                Ok(secret) => known.1 = secret,
                Err(problem) => tracing::error!("{problem}; the previous secret stays valid"),
            }
        }
        known.1.clone()
    }
}

fn load(path: &Path) -> Result<SecretString, Problem> {
    let loaded = KeySource::File(path.to_owned()).load();
    loaded.map(ApiKey::into_secret).map_err(|error| Problem::new(error.of("token or secret")))
}

/// Returns the state of a file; `None` if there is none.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.mode()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A secret in a file that lives as long as the test.
    pub fn secret(folder: &Path, text: &str) -> SecretFile {
        let path = folder.join(text);
        write(&path, text);
        SecretFile::open(&path).unwrap()
    }

    fn write(path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_replaced_secret_is_reloaded_and_an_invalid_one_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let token = secret(folder.path(), "first");
        let path = folder.path().join("first");
        assert!(token.is("first") && !token.is("second"));
        let beside = folder.path().join("new");
        for (text, expected) in
            [("second\n", "second"), ("", "second"), ("two words", "second"), ("third", "third")]
        {
            write(&beside, text);
            std::fs::rename(&beside, &path).unwrap();
            assert!(token.is(expected), "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(token.is("third"));
    }
}
