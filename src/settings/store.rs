//! `[store]`: the location of the state, its owner, and how long history is kept.

use std::fmt;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use crate::limits::settings::{MAX_DAYS_KEPT, MAX_OWNER};
use crate::limits::store::KEEP_HISTORY;
use crate::model::Problem;
use crate::store::postgres::{Address, Postgres};
use crate::store::{self, Location};
use crate::written::{Fields, Reader};

use super::Surroundings;

/// The location of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePath {
    /// In memory only: the state is lost when the process ends.
    Memory,
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, and the path beside which a daemon has its socket.
    Database(Address, PathBuf),
}

impl StorePath {
    /// Reads the address of a database.
    ///
    /// The password is the systemd credential `store-password`, else in its file: a service gets the
    /// credential, and root reads the file.
    ///
    /// # Errors
    /// A message and a hint.
    pub(super) fn of_url(
        url: &str,
        password_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
        surroundings: &Surroundings,
    ) -> Result<Self, (String, &'static str)> {
        let credential = || {
            let directory = surroundings.variable("CREDENTIALS_DIRECTORY")?;
            Some(Path::new(directory).join(CREDENTIAL)).filter(|path| path.exists())
        };
        let address = Address::new(url, credential().or(password_file), ca_file)?;
        Ok(Self::Database(address, state_directory(surroundings).join(FILE_NAME)))
    }

    /// Returns the path beside which a daemon has its socket; none in memory.
    pub fn socket_base(&self) -> Option<&Path> {
        match self {
            Self::Memory => None,
            Self::File(path) | Self::Database(_, path) => Some(path),
        }
    }

    /// Returns the file, if the store is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Memory | Self::Database(..) => None,
            Self::File(path) => Some(path),
        }
    }

    /// Returns the database and its copy, if the store is in one.
    pub fn database(&self) -> Option<Postgres> {
        match self {
            Self::Memory | Self::File(_) => None,
            Self::Database(address, base) => Some(Postgres::new(address, &base.with_file_name(COPY))),
        }
    }

    /// Returns true for a store that several machines share.
    pub fn is_shared(&self) -> bool {
        self.location().is_shared()
    }

    /// Returns the location of the store.
    pub fn location(&self) -> Box<dyn Location> {
        match self.database() {
            Some(database) => Box::new(database),
            None => store::at(self.file()),
        }
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Memory => formatter.write_str(":memory:"),
            Self::File(path) => path.display().fmt(formatter),
            Self::Database(address, _) => address.fmt(formatter),
        }
    }
}

/// The settings of the store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The location.
    pub path: StorePath,
    /// The id of this program among those that share the store.
    pub owner: String,
    /// The time for which history is kept.
    pub keep_history: TimeDelta,
}

/// The default file name of the store.
pub(super) const FILE_NAME: &str = "rtconfd.sqlite";

/// The file name of the copy of a store in a database.
const COPY: &str = "copy.sqlite";

/// The name of the systemd credential with the password of the database.
const CREDENTIAL: &str = "store-password";

/// The owner if the settings name none.
const OWNER: &str = "default";

pub(super) fn read(
    reader: &Reader,
    fields: &Fields,
    directory: &Path,
    surroundings: &Surroundings,
) -> Option<StoreSettings> {
    let store = fields.get("store").map(|node| {
        reader.table(node, "store", &["path", "url", "password_file", "ca_file", "owner", "keep_history"])
    });
    let mut stored = StoreSettings {
        path: StorePath::File(state_directory(surroundings).join(FILE_NAME)),
        owner: OWNER.to_owned(),
        keep_history: KEEP_HISTORY,
    };
    let Some(fields) = store else { return Some(stored) };
    let fields = fields?;
    if let Some(node) = fields.get("keep_history") {
        let keep = reader.duration_below(node, "keep_history", MAX_DAYS_KEPT)?;
        stored.keep_history = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
    }
    if let Some(node) = fields.get("owner") {
        let text = reader.text(node, "owner")?;
        let is_plain = text.value.trim() == text.value && !text.value.chars().any(char::is_control);
        if text.value.is_empty() || !is_plain || text.value.chars().count() > MAX_OWNER {
            let problem = Problem::at(&text.origin, format!("invalid store.owner \"{}\"", text.value));
            let hint = format!("write a name of 1 to {MAX_OWNER} characters, without spaces around it");
            reader.note(problem.hint(hint));
            return None;
        }
        stored.owner = text.value;
    }
    if let Some(node) = fields.get("path") {
        let text = reader.text(node, "path")?;
        stored.path = match text.value.as_str() {
            ":memory:" => StorePath::Memory,
            "" => {
                let problem = Problem::at(&text.origin, "store.path is empty");
                reader.note(problem.hint("name a file, or write \":memory:\" to keep nothing"));
                return None;
            }
            path => StorePath::File(directory.join(path)),
        };
    }
    if let Some(database) = read_database(reader, &fields, directory, surroundings)? {
        stored.path = database;
    }
    Some(stored)
}

/// Reads the keys of a database; `Some(None)` if there are none.
fn read_database(
    reader: &Reader,
    fields: &Fields,
    directory: &Path,
    surroundings: &Surroundings,
) -> Option<Option<StorePath>> {
    let file = |key: &str| match fields.get(key) {
        Some(node) => reader.text(node, key).map(|text| Some(directory.join(text.value))),
        None => Some(None),
    };
    let (password_file, ca_file) = (file("password_file")?, file("ca_file")?);
    let Some(node) = fields.get("url") else {
        let stray = ["password_file", "ca_file"].into_iter().find_map(|key| Some((key, fields.get(key)?)));
        let Some((key, node)) = stray else { return Some(None) };
        let problem = Problem::at(&node.origin, format!("store.{key} requires store.url"));
        reader.note(problem.hint("set store.url to the address of a PostgreSQL database"));
        return None;
    };
    let url = reader.text(node, "url")?;
    let problem = match StorePath::of_url(&url.value, password_file, ca_file, surroundings) {
        Ok(database) if fields.get("path").is_none() => return Some(Some(database)),
        Ok(_) => Problem::at(&url.origin, "store.url and store.path exclude each other")
            .hint("keep store.url for several replicas, and store.path for one"),
        Err((why, hint)) => Problem {
            // It may contain a password.
            secret: true,
            ..Problem::at(&url.origin, format!("invalid store.url: {why}")).hint(hint)
        },
    };
    reader.note(problem);
    None
}

/// Returns systemd's state directory, else root's, else the user's (XDG base directories).
pub(super) fn state_directory(surroundings: &Surroundings) -> PathBuf {
    if let Some(directories) = surroundings.variable("STATE_DIRECTORY") {
        return PathBuf::from(directories.split(':').next().unwrap_or(directories));
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/rtconfd");
    }
    match (surroundings.variable("XDG_STATE_HOME"), surroundings.variable("HOME")) {
        (Some(state), _) => PathBuf::from(state).join("rtconfd"),
        (None, Some(home)) => PathBuf::from(home).join(".local/state/rtconfd"),
        (None, None) => PathBuf::from("."),
    }
}
