//! Copies a store to a backup and back, and describes it without regard to its version.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::model::Instant;
use crate::store::sql;
use crate::store::{Description, StoreError};

use super::file::{self, lock_path, suffixed};
use super::location::{Sqlite, remedy};
use super::session::Statements;
use super::{migrations, opening::is_sound};

impl Sqlite {
    /// Backs the store up into a new file, as of one instant, also while a process writes it.
    pub(super) fn back_up_to(&self, to: &Path) -> Result<(), StoreError> {
        let path = to.display().to_string();
        self.copy_to(to, |error, hint| StoreError::NoBackup { path: path.clone(), error, hint })
    }

    /// Copies the store into a new file; `unwritten` makes the error of a file that cannot be written.
    fn copy_to(
        &self,
        to: &Path,
        unwritten: impl Fn(String, Option<&'static str>) -> StoreError,
    ) -> Result<(), StoreError> {
        let Some(path) = &self.path else { return Err(self.io(std::io::ErrorKind::NotFound.into())) };
        let connection = self.connect(path)?;
        let unfinished = suffixed(to, ".unfinished");
        // An earlier attempt may have been interrupted.
        let _ = std::fs::remove_file(&unfinished);
        file::make_private(&unfinished).map_err(|error| unwritten(error.to_string(), None))?;
        let copied = connection.execute("VACUUM INTO ?1", [unfinished.to_string_lossy()]);
        let copied = copied.map_err(|error| match Self::is_damage(&error) {
            true => self.sqlite(error),
            false => unwritten(error.to_string(), remedy(&error)),
        });
        let moved = copied.and_then(|_| {
            let moved = File::open(&unfinished).and_then(|file| {
                file.sync_all()?;
                // A link would never replace a file, but not every disk for backups has links.
                if to.exists() {
                    return Err(std::io::ErrorKind::AlreadyExists.into());
                }
                std::fs::rename(&unfinished, to)?;
                sync_folder(to)
            });
            moved.map_err(|error| unwritten(error.to_string(), None))
        });
        let _ = std::fs::remove_file(&unfinished);
        moved
    }

    /// Replaces the store by a backup; returns the new path of the replaced one.
    pub(super) fn copy_from(&self, from: &Path) -> Result<Option<PathBuf>, StoreError> {
        let Some(path) = &self.path else { return Err(self.io(std::io::ErrorKind::NotFound.into())) };
        let lock = self.lock()?;
        let backup = Self::new(Some(from));
        backup.check_backup(from).map_err(|error| unusable(error, from))?;
        let unfinished = suffixed(path, ".restoring");
        let _ = std::fs::remove_file(&unfinished);
        let unwritten = |error, hint| StoreError::Failed { path: self.shown(), error, hint };
        backup.copy_to(&unfinished, unwritten).map_err(|error| match error {
            error @ StoreError::Failed { .. } => error,
            error => unusable(error, from),
        })?;
        let replaced = if path.exists() { Some(self.put_aside(path, "replaced")?) } else { None };
        std::fs::rename(&unfinished, path)
            .and_then(|()| sync_folder(path))
            .map_err(|error| self.io(error))?;
        give_to_owner_of_folder(path);
        if let Some(lock) = &lock {
            file::sign(lock, file::CLOSED).map_err(|error| self.io(error))?;
        }
        Ok(replaced)
    }

    /// Checks that this file is a store that this program can use.
    fn check_backup(&self, path: &Path) -> Result<(), StoreError> {
        let connection = self.connect(path)?;
        if let Some(found) = is_sound(&connection).map_err(|error| self.sqlite(error))? {
            return Err(StoreError::Damaged { path: self.shown(), found });
        }
        let found = migrations::version(&connection).map_err(|error| self.sqlite(error))?;
        match found {
            0 => Err(StoreError::Foreign { path: self.shown() }),
            _ if found > migrations::VERSION => {
                Err(StoreError::Newer { path: self.shown(), found, known: migrations::VERSION })
            }
            _ => Ok(()),
        }
    }

    /// Describes the store at an instant.
    pub(super) fn inspect(&self, path: &Path, now: Instant) -> Result<Description, StoreError> {
        let connection = self.connect(path)?;
        let version = migrations::version(&connection).map_err(|error| self.sqlite(error))?;
        let length = |suffix: &str| std::fs::metadata(suffixed(path, suffix)).map_or(0, |file| file.len());
        let contents = (version == migrations::VERSION)
            .then(|| sql::contents(&mut Statements::new(&connection, self), now))
            .transpose();
        Ok(Description {
            path: path.display().to_string(),
            bytes: length("") + length("-wal"),
            version,
            known: migrations::VERSION,
            contents: contents?,
        })
    }

    /// Connects to a store of any version, for reading.
    pub(super) fn connect(&self, path: &Path) -> Result<Connection, StoreError> {
        std::fs::metadata(path).map_err(|error| self.io(error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connect = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            let is_ours = migrations::is_ours(&connection)?;
            Ok((connection, is_ours))
        };
        match connect().map_err(|error| self.sqlite(error))? {
            (connection, true) => Ok(connection),
            (_, false) => Err(StoreError::Foreign { path: self.shown() }),
        }
    }
}

/// Returns an error that names the backup, since the store itself is sound.
fn unusable(error: StoreError, from: &Path) -> StoreError {
    let path = from.display().to_string();
    match error {
        StoreError::Damaged { found, .. } => {
            StoreError::Backup { path, found: format!("it is damaged: {found}") }
        }
        StoreError::Foreign { .. } => {
            StoreError::Backup { path, found: "it is not a store of rtconfd".to_owned() }
        }
        StoreError::Io { error, .. } => StoreError::Backup { path, found: error },
        StoreError::Failed { error, .. } => StoreError::Backup { path, found: error },
        error => error,
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

/// Gives the files to the user of their folder: root restores, and the daemon runs as another user.
fn give_to_owner_of_folder(path: &Path) {
    let Some(folder) = path.parent().and_then(|folder| std::fs::metadata(folder).ok()) else { return };
    for file in [path.to_owned(), lock_path(path)] {
        // Users other than root own the folder already, or could not write here.
        let _ = chown(file, Some(folder.uid()), Some(folder.gid()));
    }
}
