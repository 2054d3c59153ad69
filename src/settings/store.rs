//! `[store]`: the location of the state, and how long history is kept.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use crate::model::Problem;
use crate::written::{Fields, Reader};

use super::Surroundings;

/// The location of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePath {
    /// In memory only: the state is lost when the process ends.
    Memory,
    /// A SQLite file.
    File(PathBuf),
}

/// The default file name of the store.
pub(super) const FILE_NAME: &str = "rtconfd.sqlite";

/// Maximum days that history may be kept: a hundred years.
const MAX_DAYS_KEPT: u64 = 36_525;
/// The default time for which history is kept: a year, and the same season of the year before.
const KEEP_HISTORY: TimeDelta = TimeDelta::days(400);

pub(super) fn read(
    reader: &Reader,
    fields: &Fields,
    directory: &Path,
    surroundings: &Surroundings,
) -> Option<(StorePath, TimeDelta)> {
    let store = fields.get("store").map(|node| reader.table(node, "store", &["path", "keep_history"]));
    let (node, keep) = match store {
        Some(fields) => {
            let fields = fields?;
            (
                fields.get("path"),
                fields
                    .get("keep_history")
                    .map(|node| reader.duration_below(node, "keep_history", MAX_DAYS_KEPT)),
            )
        }
        None => (None, None),
    };
    let keep = match keep {
        Some(keep) => TimeDelta::from_std(keep?).unwrap_or(TimeDelta::MAX),
        None => KEEP_HISTORY,
    };
    let Some(node) = node else {
        return Some((StorePath::File(state_directory(surroundings).join(FILE_NAME)), keep));
    };
    let text = reader.text(node, "path")?;
    let path = match text.value.as_str() {
        ":memory:" => StorePath::Memory,
        "" => {
            let problem = Problem::at(&text.origin, "store.path is empty");
            reader.note(problem.hint("name a file, or write \":memory:\" to keep nothing"));
            return None;
        }
        path => StorePath::File(directory.join(path)),
    };
    Some((path, keep))
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
