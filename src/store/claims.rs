//! The variables owned by each daemon on this machine. Each daemon lists its own in a file that
//! stays locked while it runs, so that two daemons with separate stores cannot silently fight over
//! a page.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::regular_file;

/// A daemon's claim; released when dropped.
#[derive(Debug)]
pub struct Claim {
    file: File,
    path: std::path::PathBuf,
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
    /// Claims variables, each given as a line of API, page and name.
    ///
    /// The first line of the file identifies the owner.
    ///
    /// # Errors
    /// Returns an error when the directory cannot be used, or when other users could write to it:
    /// their claims would be trusted and their links followed.
    pub fn make(directory: &Path, who: &str, owned: &BTreeSet<String>) -> io::Result<Result<Self, Conflict>> {
        let mut claim = Self::open(directory)?;
        Ok(match claim.update(who, owned)?.into_iter().next() {
            None => Ok(claim),
            Some(taken) => Err(taken),
        })
    }

    fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(format!("{}.claims", std::process::id()));
        Ok(Self { file: create(&path)?, path })
    }

    /// Replaces the claimed variables; returns those of them that a running daemon owns.
    ///
    /// The rest is claimed for this daemon.
    ///
    /// # Errors
    /// Returns an error when the file cannot be written or the directory cannot be read.
    pub fn update(&mut self, who: &str, owned: &BTreeSet<String>) -> io::Result<Vec<Conflict>> {
        let directory = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        if self.path.symlink_metadata().is_err() {
            // The directory was emptied.
            self.file = create(&self.path)?;
        }
        // One daemon at a time: two that claim the same variable at once would both give way.
        let turn = File::open(&directory)?;
        turn.lock()?;
        let mut taken = Vec::new();
        for entry in std::fs::read_dir(&directory)? {
            let other = entry?.path();
            let is_claim = other.extension().is_some_and(|extension| extension == "claims");
            if is_claim && other != self.path {
                taken.extend(read_live(&other, owned));
            }
        }
        let given_way: BTreeSet<&str> = taken.iter().map(|taken| taken.what.as_str()).collect();
        let claimed = owned.iter().filter(|line| !given_way.contains(line.as_str()));
        let lines: String = claimed.map(|line| format!("{line}\n")).collect();
        let text = format!("{who}\n{lines}");
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        Ok(taken)
    }
}

/// Creates the file of this process in a private directory, and locks it.
fn create(path: &Path) -> io::Result<File> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    if !is_private(directory)? {
        return Err(io::Error::other("the folder must belong to this user, with mode 700, and be no link"));
    }
    // Left behind by a process with the same id; replaced whatever it is.
    if path.symlink_metadata().is_ok() {
        std::fs::remove_file(path)?;
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
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
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
        let make = |name: &str| Claim::make(directory.path(), "process 2 (b.toml)", &owned(name)).unwrap();
        let taken = make("is_open").unwrap_err();
        assert_eq!(
            taken,
            Conflict { what: "https://api A-1/live is_open".into(), by: "process 1 (a.toml)".into() }
        );
        drop(make("phone").unwrap());
        // A daemon that already runs gives way with this variable alone.
        let mut ours = make("phone").unwrap();
        let both = owned("is_open").into_iter().chain(owned("phone")).collect();
        assert_eq!(ours.update("process 2 (b.toml)", &both).unwrap(), [taken]);
        let claimed = std::fs::read_to_string(&ours.path).unwrap();
        assert_eq!(claimed, "process 2 (b.toml)\nhttps://api A-1/live phone\n");
        // An emptied directory gets its claim again.
        std::fs::remove_file(&ours.path).unwrap();
        assert_eq!(ours.update("process 2 (b.toml)", &both).unwrap().len(), 1);
        assert!(ours.path.exists());
        drop(ours);
        drop(lock);
        drop(make("is_open").unwrap());
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
        let make = |path: &Path| Claim::make(path, "process 2", &BTreeSet::new());
        assert!(make(&linked).is_err(), "a linked directory belongs to another user");
        for mode in [0o777, 0o1777, 0o775] {
            std::fs::set_permissions(&claims, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(make(&claims).is_err(), "{mode:o}");
        }
        std::fs::set_permissions(&claims, std::fs::Permissions::from_mode(0o755)).unwrap();
        drop(make(&claims).unwrap().unwrap());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(foreign.exists());
    }
}
