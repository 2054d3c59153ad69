//! The variables owned by each daemon on this machine. Each daemon lists its own in a file that
//! stays locked while it runs, so that two daemons with separate stores cannot silently fight over
//! a page.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::regular_file;

/// The tries to get the turn, and the wait between two.
///
/// A turn takes milliseconds. A daemon stopped in the middle of its turn must not block other
/// daemons.
const TRIES: usize = 20;
const WAIT: Duration = Duration::from_millis(10);

/// A daemon's claim; released when dropped.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// The locked file; `None` until the first update.
    file: Option<File>,
}

/// A conflict: another daemon owns one of our variables.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The variable, preceded by the API and its page.
    pub what: String,
    /// The owner, as it describes itself.
    pub by: String,
}

impl Claim {
    /// Creates a claim on nothing, in a directory that the daemons of one user share.
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join(format!("{}.claims", std::process::id())), file: None }
    }

    /// Replaces the claimed variables, each given as a line of API, page and name.
    ///
    /// Returns those that a running daemon owns; the rest is claimed for this daemon. The first line
    /// of the file identifies it.
    ///
    /// # Errors
    /// Returns an error when the directory cannot be used, or when other users could write to it:
    /// their claims would be trusted and their links followed.
    pub fn update(&mut self, who: &str, owned: &BTreeSet<String>) -> io::Result<Vec<Conflict>> {
        let directory = self.directory();
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if !is_private(directory)? {
            return Err(io::Error::other(
                "the folder must belong to this user, with mode 700, and be no link",
            ));
        }
        // One daemon at a time: two that claim the same variable at once would both give way.
        let _turn = turn(directory)?;
        let taken = self.conflicts(owned)?;
        let given_way: BTreeSet<&str> = taken.iter().map(|taken| taken.what.as_str()).collect();
        let claimed = owned.iter().filter(|line| !given_way.contains(line.as_str()));
        let lines: String = claimed.map(|line| format!("{line}\n")).collect();
        let text = format!("{who}\n{lines}");
        // The directory may have been emptied.
        let known = if self.is_lost() { None } else { self.file.take() };
        let mut file = known.map_or_else(|| create(&self.path), Ok)?;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)?;
        self.file = Some(file);
        Ok(taken)
    }

    /// Returns those of some variables that a running daemon owns.
    ///
    /// # Errors
    /// Returns an error when the directory cannot be read.
    pub fn conflicts(&self, owned: &BTreeSet<String>) -> io::Result<Vec<Conflict>> {
        let mut taken = Vec::new();
        for entry in std::fs::read_dir(self.directory())? {
            let other = entry?.path();
            let is_claim = other.extension().is_some_and(|extension| extension == "claims");
            if is_claim && other != self.path {
                taken.extend(read_live(&other, owned));
            }
        }
        Ok(taken)
    }

    /// Returns true if the file of the claim was removed or replaced, or does not exist yet.
    pub fn is_lost(&self) -> bool {
        let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let open = self.file.as_ref().and_then(|file| file.metadata().ok()).map(place);
        open.is_none() || open != self.path.symlink_metadata().ok().map(place)
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// Locks the directory until the returned file is dropped.
fn turn(directory: &Path) -> io::Result<File> {
    let turn = File::open(directory)?;
    for _ in 0..TRIES {
        match turn.try_lock() {
            Ok(()) => return Ok(turn),
            Err(TryLockError::WouldBlock) => std::thread::sleep(WAIT),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another program keeps the folder locked"))
}

/// Creates the file of this process, and locks it.
fn create(path: &Path) -> io::Result<File> {
    // Left behind by a process with the same id; replaced whatever it is.
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir(path)?,
        Ok(_) => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.try_lock()?;
    Ok(file)
}

/// Returns true for a directory that belongs to this user and that no other user can write to.
fn is_private(directory: &Path) -> io::Result<bool> {
    let metadata = directory.symlink_metadata()?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(metadata.is_dir() && is_own && metadata.mode() & 0o022 == 0)
}

impl Drop for Claim {
    fn drop(&mut self) {
        // It may be gone already; an unlocked claim has no effect.
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(&self.path);
            let _ = file.unlock();
        }
    }
}

/// Returns the variables of ours that a running daemon owns; deletes the file of a dead daemon.
fn read_live(path: &Path, owned: &BTreeSet<String>) -> Vec<Conflict> {
    let Ok((mut file, _)) = regular_file::open(path) else { return Vec::new() };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => {
            let _ = std::fs::remove_file(path);
            return Vec::new();
        }
        Err(TryLockError::Error(_)) => return Vec::new(),
    }
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    let Some((who, lines)) = text.split_once('\n').filter(|_| read.is_ok()) else { return Vec::new() };
    let taken = lines.lines().filter(|line| owned.contains(*line));
    taken.map(|what| Conflict { what: what.to_owned(), by: who.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_a_live_daemon_are_refused_and_claims_of_a_dead_one_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let owned = |name: &str| BTreeSet::from([format!("https://api A-1/live {name}")]);
        // Another process: a file with another id, locked.
        let other = directory.path().join("1.claims");
        std::fs::write(&other, "process 1 (a.toml)\nhttps://api A-1/live is_open\n").unwrap();
        let lock = File::open(&other).unwrap();
        lock.lock().unwrap();
        let who = "process 2 (b.toml)";
        let mut ours = Claim::new(directory.path());
        let taken = Conflict { what: "https://api A-1/live is_open".into(), by: "process 1 (a.toml)".into() };
        assert_eq!(ours.update(who, &owned("is_open")).unwrap(), [taken]);
        assert_eq!(ours.update(who, &owned("phone")).unwrap(), []);
        // It gives way with this variable alone.
        let both = owned("is_open").into_iter().chain(owned("phone")).collect();
        assert_eq!(ours.update(who, &both).unwrap().len(), 1);
        let claimed = std::fs::read_to_string(&ours.path).unwrap();
        assert_eq!(claimed, "process 2 (b.toml)\nhttps://api A-1/live phone\n");
        // An emptied directory gets its claim again.
        std::fs::remove_file(&ours.path).unwrap();
        assert_eq!(ours.update(who, &both).unwrap().len(), 1);
        assert!(ours.path.exists());
        // A daemon that was stopped in the middle of its turn stops no other.
        let turn = turn(directory.path()).unwrap();
        assert!(ours.update(who, &both).is_err());
        drop(turn);
        drop(lock);
        assert_eq!(ours.update(who, &both).unwrap(), []);
        assert!(!other.exists(), "what a dead one left is taken away");
    }

    #[test]
    fn claims_require_a_private_directory_and_never_follow_links() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let claims = directory.path().join("claims");
        std::fs::create_dir(&claims).unwrap();
        symlink(&victim, claims.join(format!("{}.claims", std::process::id()))).unwrap();
        let (linked, foreign) = (directory.path().join("linked"), claims.join("other.txt"));
        symlink(&claims, &linked).unwrap();
        std::fs::write(&foreign, "not a claim").unwrap();
        let make = |path: &Path| Claim::new(path).update("process 2", &BTreeSet::new());
        assert!(make(&linked).is_err(), "a linked directory belongs to another user");
        for mode in [0o777, 0o1777, 0o775] {
            std::fs::set_permissions(&claims, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(make(&claims).is_err(), "{mode:o}");
        }
        std::fs::set_permissions(&claims, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(make(&claims).unwrap(), []);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(foreign.exists());
    }
}
