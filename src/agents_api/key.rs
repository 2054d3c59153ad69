//! The API key: where it is read from, and how it is kept out of all output.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::limits::files::MAX_SECRET_BYTES;
use crate::redact;
use crate::regular_file;

/// The name of the systemd credential.
const CREDENTIAL: &str = "agents-api-key";
/// The environment variable with the key.
const VARIABLE: &str = "RTCONFD_API_KEY";

/// An API key. It prints as `[REDACTED]`.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Reads the key from text: printable ASCII, surrounding white space removed.
    fn from_text(text: &str, place: &str) -> Result<Self, KeyError> {
        let key = text.trim();
        let no_key = |why| KeyError::NoKey { place: place.to_owned(), why };
        match () {
            () if key.is_empty() => return Err(no_key("it is empty".to_owned())),
            () if key.lines().count() > 1 => {
                return Err(no_key(format!("it has {} lines", key.lines().count())));
            }
            () if key.contains(char::is_whitespace) => {
                return Err(no_key("it contains white space".to_owned()));
            }
            () if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Err(no_key("it contains a character that is not printable ASCII".to_owned()));
            }
            () => {}
        }
        Ok(Self(key.to_owned().into()))
    }

    /// Returns the key, for the request header only.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the secret itself, for uses other than the API.
    pub fn into_secret(self) -> SecretString {
        self.0
    }

    /// Returns true if the key occurs in the text.
    pub fn is_in(&self, text: &str) -> bool {
        text.contains(self.expose())
    }

    /// Returns the text with every occurrence of the key redacted.
    pub fn redact(&self, text: &str) -> String {
        redact::without(self.expose(), text.to_owned())
    }

    /// Redacts the key in all later text of this process.
    pub fn hide(&self) {
        redact::hide(&self.0);
    }
}

/// Creates a key for programs that run their own simulated API.
impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self(key.to_owned().into())
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// The reason for a missing or invalid key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No source of a key is configured.
    #[error(
        "missing API key (hint: set key_file under [api], pass the systemd credential agents-api-key, or \
         set RTCONFD_API_KEY)"
    )]
    Missing,
    /// The file cannot be read.
    #[error(
        "cannot read the key file {path}: {error} (hint: check key_file and the permissions of the file)"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// Other users on the machine can read the file.
    #[error("other users can read the key file {path} (mode {mode:03o}) (hint: run chmod 600 {path})")]
    ReadableByOthers {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a valid key.
    #[error("{place} holds no API key: {why} (hint: paste only the key, on one line)")]
    NoKey {
        /// The file or variable.
        place: String,
        /// The reason; never the text itself.
        why: String,
    },
}

impl KeyError {
    /// Returns the message for another secret than the API key.
    pub fn of(&self, what: &str) -> String {
        match self {
            Self::Missing => format!("missing {what}"),
            Self::Unreadable { path, error } => {
                let hint = "hint: check the path and the permissions of the file";
                format!("cannot read the {what} from {path}: {error} ({hint})")
            }
            Self::ReadableByOthers { path, mode } => {
                format!(
                    "other users can read the {what} in {path} (mode {mode:03o}) (hint: run chmod 600 {path})"
                )
            }
            Self::NoKey { place, why } => {
                format!("{place} holds no {what}: {why} (hint: write only the {what}, on one line)")
            }
        }
    }
}

/// The source of the key; read again whenever the key may have changed.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// The environment variable, with its value at startup.
    Environment(ApiKey),
    /// No source.
    Nowhere,
}

impl KeySource {
    /// Finds the source: the settings' `key_file`, else the systemd credential, else the
    /// environment.
    pub fn find(
        key_file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, KeyError> {
        if let Some(path) = key_file {
            return Ok(Self::File(path.to_owned()));
        }
        let credential = variable("CREDENTIALS_DIRECTORY").map(|path| PathBuf::from(path).join(CREDENTIAL));
        if let Some(path) = credential.filter(|path| path.exists()) {
            return Ok(Self::File(path));
        }
        match variable(VARIABLE) {
            Some(text) => Ok(Self::Environment(ApiKey::from_text(&text, VARIABLE)?)),
            None => Ok(Self::Nowhere),
        }
    }

    /// Returns the file to watch, if the key is in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }

    /// Reads the current key.
    pub fn load(&self) -> Result<ApiKey, KeyError> {
        match self {
            Self::Environment(key) => Ok(key.clone()),
            Self::Nowhere => Err(KeyError::Missing),
            Self::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &Path) -> Result<ApiKey, KeyError> {
    let shown = path.display().to_string();
    let unreadable = |error| KeyError::Unreadable { path: shown.clone(), error };
    let (mut file, metadata) = match regular_file::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            return Err(KeyError::NoKey { place: shown, why: "it is not a regular file".to_owned() });
        }
        opened => opened.map_err(unreadable)?,
    };
    let mode = metadata.permissions().mode() & 0o777;
    // Group permissions are accepted: systemd shows a credential's access list as group
    // permissions, and Kubernetes gives a secret to the pod's group.
    if mode & 0o007 != 0 {
        return Err(KeyError::ReadableByOthers { path: shown, mode });
    }
    if metadata.len() > MAX_SECRET_BYTES {
        return Err(KeyError::NoKey {
            place: shown,
            why: format!("it has more than {MAX_SECRET_BYTES} bytes"),
        });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    ApiKey::from_text(&text, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, KeySource) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, KeySource::File(path))
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_a_hint() {
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o440, true), (0o640, true), (0o644, false), (0o604, false)]
        {
            let (_directory, source) = file("secret-key-1\n", mode);
            let loaded = source.load();
            assert_eq!(loaded.is_ok(), good, "{mode:o}");
            if let Err(error) = loaded {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn a_key_is_printable_and_never_printed() {
        let (_directory, source) = file("  secret-key-1\r\n", 0o600);
        let key = source.load().unwrap();
        assert_eq!(key.expose(), "secret-key-1");
        assert!(!format!("{key:?} {source:?}").contains("secret-key-1"));
        assert_eq!(key.redact("no secret-key-1 here"), "no [key] here");
        for bad in ["", " \n", "two words", "one\ntwo\n", "k\u{e9}y"] {
            let (_directory, source) = file(bad, 0o600);
            let error = source.load().unwrap_err().to_string();
            assert!(error.contains("holds no API key: it "), "{error}");
        }
    }

    #[test]
    fn the_settings_override_the_credential_and_the_credential_the_environment() {
        let (directory, _) = file("x", 0o600);
        let credentials = directory.path().to_owned();
        let all = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(credentials.display().to_string()),
            "RTCONFD_API_KEY" => Some("from-environment".to_owned()),
            _ => None,
        };
        assert!(
            matches!(KeySource::find(Some(Path::new("/k")), all).unwrap(), KeySource::File(path) if path == Path::new("/k"))
        );
        assert!(
            matches!(KeySource::find(None, all).unwrap(), KeySource::Environment(_)),
            "no such credential"
        );
        std::fs::write(directory.path().join("agents-api-key"), "x").unwrap();
        assert!(
            matches!(KeySource::find(None, all).unwrap(), KeySource::File(path) if path.ends_with("agents-api-key"))
        );
        let nothing = KeySource::find(None, |_| None).unwrap();
        assert!(matches!(nothing.load(), Err(KeyError::Missing)));
    }
}
