//! Which variables the daemons on this machine own: each writes its own into a file and keeps that locked while it lives,
//! so that two with stores of their own don't fight over a page without a word.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// A daemon's claim; given up when it is dropped.
#[derive(Debug)]
pub struct Claim {
    file: File,
    path: std::path::PathBuf,
}

/// Somebody else owns one of our variables.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// The variable, after the API and its page.
    pub what: String,
    /// Who owns it, in its own words.
    pub by: String,
}

impl Claim {
    /// Claims variables, each a line of API, page and name. The first line of the file says who claims.
    ///
    /// # Errors
    /// When the directory can't be used.
    pub fn make(directory: &Path, who: &str, owned: &BTreeSet<String>) -> io::Result<Result<Self, Taken>> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}.claims", std::process::id()));
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        if file.try_lock().is_err() {
            return Err(io::Error::other("this process has made its claim already"));
        }
        file.set_len(0)?;
        let lines: String = owned.iter().map(|line| format!("{line}\n")).collect();
        file.write_all(format!("{who}\n{lines}").as_bytes())?;
        let claim = Self { file, path };
        for entry in std::fs::read_dir(directory)? {
            let other = entry?.path();
            if other != claim.path
                && let Some(taken) = read_live(&other, owned)
            {
                return Ok(Err(taken));
            }
        }
        Ok(Ok(claim))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // It may be gone already; unlocked it counts for nothing.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// What a living daemon owns of ours. The file of one that has died is taken away.
fn read_live(path: &Path, owned: &BTreeSet<String>) -> Option<Taken> {
    let mut file = File::open(path).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => {
            let _ = std::fs::remove_file(path);
            return None;
        }
        Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let (who, lines) = text.split_once('\n')?;
    let what = lines.lines().find(|line| owned.contains(*line))?;
    Some(Taken { what: what.to_owned(), by: who.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_living_daemon_owns_is_refused_and_what_a_dead_one_left_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let owned = |name: &str| BTreeSet::from([format!("https://api A-1/live {name}")]);
        // Another process: a file of another number, locked.
        let other = directory.path().join("1.claims");
        std::fs::write(&other, "process 1 (a.toml)\nhttps://api A-1/live is_open\n").unwrap();
        let lock = File::open(&other).unwrap();
        lock.lock().unwrap();
        let make = |name: &str| Claim::make(directory.path(), "process 2 (b.toml)", &owned(name)).unwrap();
        let taken = make("is_open").unwrap_err();
        assert_eq!(
            taken,
            Taken { what: "https://api A-1/live is_open".into(), by: "process 1 (a.toml)".into() }
        );
        drop(make("phone").unwrap());
        drop(lock);
        drop(make("is_open").unwrap());
        assert!(!other.exists(), "what a dead one left is taken away");
    }
}
