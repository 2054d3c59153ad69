//! The machine's zone database: its location, its release and its files.

use std::borrow::Cow;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::time::MAX_ZONE_BYTES;
use crate::regular_file;
use crate::zone::{Database, TzifFiles, Version};

/// The usual folder of a system's zone database.
pub const SYSTEM: &str = "/usr/share/zoneinfo";
/// Bytes read from the start of a file that may state the release.
const HEAD: u64 = 64;
/// Files that state the release.
const VERSION_FILES: [&str; 2] = ["tzdata.zi", "+VERSION"];

/// The zone database to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The newer one: the system's or the embedded one.
    #[default]
    Newest,
    /// The system's database.
    System,
    /// The database embedded in the program.
    Embedded,
    /// The database in a folder.
    Folder(PathBuf),
}

/// A fingerprint that distinguishes states of a database's files.
type Stamp = Vec<Option<(u64, i64, i64, u64)>>;

/// The folder that a database is read from, in a state from before it was read.
///
/// An update at any later time is a change, even if nothing watched the folder then.
#[derive(Clone, Debug)]
pub struct WatchedFolder {
    folder: PathBuf,
    stamp: Stamp,
}

impl WatchedFolder {
    /// Returns true if the files have changed since the last call, or since it was created.
    pub fn has_changed(&mut self) -> bool {
        let stamp = stamp(&self.folder);
        let has_changed = stamp != self.stamp;
        self.stamp = stamp;
        has_changed
    }
}

/// Returns the folder that a choice reads from, in its current state.
pub(crate) fn watched(choice: &Choice, system: Option<&Path>) -> Option<WatchedFolder> {
    let folder = folder(choice, system)?;
    Some(WatchedFolder { folder: folder.to_owned(), stamp: stamp(folder) })
}

/// Opens the chosen zone database; `system` is the system's folder, if there is one.
///
/// # Errors
/// A message, when the chosen folder contains no zones.
pub(crate) fn open(choice: &Choice, system: Option<&Path>) -> Result<Arc<Database>, String> {
    let at = |folder: &Path| match is_database(folder) {
        true => Ok(Arc::new(in_folder(folder))),
        false => Err(format!("the folder {} has no zone database", folder.display())),
    };
    match (choice, system) {
        (Choice::Embedded, _) | (Choice::Newest, None) => Ok(Database::embedded()),
        (Choice::Folder(folder), _) => at(folder),
        (Choice::System, Some(folder)) => at(folder),
        (Choice::System, None) => Err("the system has no zone database".to_owned()),
        (Choice::Newest, Some(folder)) => {
            // At the same release the embedded one is complete, so the system's must be newer.
            let is_newer = version(folder).as_ref() > Database::embedded().version() && is_database(folder);
            Ok(if is_newer { Arc::new(in_folder(folder)) } else { Database::embedded() })
        }
    }
}

/// Returns the database in a folder, regardless of its release.
pub fn in_folder(folder: &Path) -> Database {
    Database::in_folder(version(folder), folder, Folder(folder.to_owned()))
}

/// Returns the folder that a choice reads from.
fn folder<'a>(choice: &'a Choice, system: Option<&'a Path>) -> Option<&'a Path> {
    match choice {
        Choice::Folder(folder) => Some(folder),
        Choice::Newest | Choice::System => system,
        Choice::Embedded => None,
    }
}

/// Returns the stamp of the files that state the release.
fn stamp(folder: &Path) -> Stamp {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
    };
    // The folder's own stamp is included: a folder that is replaced as a whole may contain files
    // with the same times.
    let files = VERSION_FILES.map(|name| stamp(&folder.join(name)));
    std::iter::once(stamp(folder)).chain(files).collect()
}

/// True for a folder with zones; a file that only states a release is not enough.
fn is_database(folder: &Path) -> bool {
    let read = Folder(folder.to_owned()).read("Europe/London");
    read.is_some_and(|tzif| tzif.starts_with(b"TZif"))
}

/// Reads the release from the first line of `tzdata.zi` (`# version 2026f`) or of `+VERSION`.
fn version(folder: &Path) -> Option<Version> {
    VERSION_FILES.iter().find_map(|name| {
        let head = read(&folder.join(name), HEAD)?;
        let line = head.split(|byte| *byte == b'\n').next()?;
        let line = std::str::from_utf8(line).ok()?;
        Version::parse(line.strip_prefix("# version ").unwrap_or(line))
    })
}

fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    regular_file::open(path).ok()?.0.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The files of a folder; each is read when its zone is first requested.
struct Folder(PathBuf);

impl TzifFiles for Folder {
    fn read(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        let bytes = read(&self.0.join(name), MAX_ZONE_BYTES + 1)?;
        (bytes.len() as u64 <= MAX_ZONE_BYTES).then_some(Cow::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder whose London is Tokyo, so that a test can see which database was read.
    fn folder(release: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let tokyo = Database::embedded().zone("Asia/Tokyo").unwrap().tzif().unwrap();
        std::fs::create_dir(folder.path().join("Europe")).unwrap();
        std::fs::write(folder.path().join("Europe/London"), tokyo).unwrap();
        std::fs::write(folder.path().join("tzdata.zi"), release).unwrap();
        folder
    }

    #[test]
    fn the_newest_database_is_used_unless_the_settings_choose_one() {
        let (older, newer) = (folder("# version 2025b\n# This"), folder("# version 2099a\n"));
        let tokyo = |choice: Choice, system: Option<&Path>| {
            let at = "2026-12-01T00:00:00Z".parse().unwrap();
            let database = open(&choice, system).unwrap();
            database.zone("Europe/London").unwrap().offset_at(at).local_minus_utc() != 0
        };
        assert!(!tokyo(Choice::Newest, None));
        assert!(!tokyo(Choice::Newest, Some(older.path())));
        assert!(tokyo(Choice::Newest, Some(newer.path())));
        assert!(tokyo(Choice::System, Some(older.path())));
        assert!(!tokyo(Choice::Embedded, Some(newer.path())));
        assert!(tokyo(Choice::Folder(older.path().to_owned()), None));
    }

    #[test]
    fn a_configured_folder_without_zones_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        assert!(
            open(&Choice::Folder(empty.path().to_owned()), None).unwrap_err().contains("no zone database")
        );
        assert!(open(&Choice::System, Some(empty.path())).is_err());
        assert_eq!(open(&Choice::Newest, Some(empty.path())).unwrap().folder(), None);
    }

    #[test]
    fn a_release_is_read_from_either_file_and_a_package_update_changes_the_stamp() {
        let folder = folder("# version 2026a\n");
        let before = stamp(folder.path());
        std::fs::write(folder.path().join("tzdata.zi.new"), "# version 2026b\n").unwrap();
        std::fs::rename(folder.path().join("tzdata.zi.new"), folder.path().join("tzdata.zi")).unwrap();
        assert_ne!(stamp(folder.path()), before);
        assert_eq!(in_folder(folder.path()).to_string(), format!("2026b ({})", folder.path().display()));
        std::fs::remove_file(folder.path().join("tzdata.zi")).unwrap();
        std::fs::write(folder.path().join("+VERSION"), "2026c\n").unwrap();
        assert_eq!(version(folder.path()), Version::parse("2026c"));
    }
}
