//! The location of the store, from settings that may be broken: in an emergency nothing else in
//! them is needed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::tables::parse_json;
use crate::written::Raw;

use super::store::{FILE_NAME, StorePath, state_directory};
use super::{Surroundings, layers};

/// The location of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The store.
    pub store: StorePath,
    /// True when a flag, the environment or the settings name it; false for the default location.
    pub is_named: bool,
}

/// Finds the store by the rules of the settings.
///
/// The first of these counts: the flag `--set store.path=FILE`, the variable `RTCONFD_STORE__PATH`,
/// the settings file as far as it can be read, the default. `is_named` is true if the user named
/// the settings file.
///
/// # Errors
/// A message, when the settings may name a store but it is unclear which one: a command must not
/// reach a different daemon than the intended one.
pub fn find(file: &Path, is_named: bool, surroundings: &Surroundings) -> Result<Place, String> {
    let flag = surroundings.flags.iter().rev().find(|flag| flag.path == "store.path");
    let variable = surroundings.environment.iter().find(|(name, _)| {
        name.strip_prefix("RTCONFD_").is_some_and(|name| name.replace("__", "_") == "STORE_PATH")
    });
    let named = match flag.map(|flag| &flag.value).or(variable.map(|(_, path)| path)) {
        Some(path) => Some(path.clone()),
        None => in_file(file, is_named)?,
    };
    let Some(path) = named.filter(|path| !path.is_empty()) else {
        let store = StorePath::File(state_directory(surroundings).join(FILE_NAME));
        return Ok(Place { store, is_named: false });
    };
    // As in the settings, a path is relative to the settings file, if it exists.
    let directory = if file.exists() { file.parent() } else { None }.unwrap_or(Path::new(""));
    let directory = std::path::absolute(directory.join(".")).unwrap_or_default();
    let store = if path == ":memory:" { StorePath::Memory } else { StorePath::File(directory.join(path)) };
    Ok(Place { store, is_named: true })
}

/// Returns other places where a daemon may keep its store: the systemd unit's and this user's.
pub fn defaults(surroundings: &Surroundings) -> Vec<PathBuf> {
    let directories = [PathBuf::from("/var/lib/rtconfd"), state_directory(surroundings)];
    directories.into_iter().map(|directory| directory.join(FILE_NAME)).collect()
}

fn in_file(file: &Path, is_named: bool) -> Result<Option<String>, String> {
    let bytes = match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(format!("cannot read the settings {}: {error}", file.display())),
        Ok(_) => {
            layers::read_file(file).map_err(|_| format!("cannot read the settings {}", file.display()))?
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let name = file.display().to_string().into();
    let parsed = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => parse_json(&name, &text),
        _ => layers::parse_toml(&name, &text),
    };
    let unclear = || format!("cannot determine which store the settings {} name", file.display());
    match parsed.as_ref().map(|root| root.get("store")) {
        Ok(None) => Ok(None),
        Ok(Some(store)) => match (store.get("path").map(|path| &path.raw), &store.raw) {
            (Some(Raw::Text(path)), _) => Ok(Some(path.clone())),
            (None, Raw::Table(keys)) if keys.iter().all(|entry| is_without_path(&entry.key)) => Ok(None),
            _ => Err(unclear()),
        },
        Err(_) => scan(&text).map_err(|()| unclear()),
    }
}

/// Finds the path in text that is not valid TOML as a whole.
///
/// The forms are `path = "…"` below `[store]`, `store.path = "…"`, and `store = { path = "…" }`.
///
/// # Errors
/// Returns an error when the text mentions a store but no path can be read.
fn scan(text: &str) -> Result<Option<String>, ()> {
    let (mut section, mut is_unclear) = ("", false);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim();
            is_unclear |= section == "store";
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            is_unclear |= section == "store" && !line.is_empty();
            continue;
        };
        let value = match (section, key.trim()) {
            ("store", "path") | ("", "store.path") => value,
            ("", "store") => value.split_once('=').map_or("", |(_, path)| path),
            ("store", key) => {
                is_unclear = !is_without_path(key);
                continue;
            }
            _ => continue,
        };
        let value = value.trim();
        // A name without quotes is not TOML but still unambiguous; a truncated one is not.
        return match value.chars().next().filter(|quote| ['"', '\''].contains(quote)) {
            Some(quote) => value[1..].split_once(quote).map(|(path, _)| Some(path.to_owned())).ok_or(()),
            None => {
                let path = value.split(['#', '}', ' ']).next().unwrap_or_default();
                if path.is_empty() { Err(()) } else { Ok(Some(path.to_owned())) }
            }
        };
    }
    if is_unclear { Err(()) } else { Ok(None) }
}

/// Returns true for a key of `[store]` beside which the path may be left out.
fn is_without_path(key: &str) -> bool {
    ["owner", "keep_history"].contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_found_even_if_other_settings_are_broken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rtconfd.toml");
        for (text, found) in [
            ("[store]\npath = \"a.sqlite\"\n[[page]]\nagent = 1\nenvronment = \"live\"\n", Some("a.sqlite")),
            ("[store]\nowner = \"a\"\nkeep_history = \"9d\"\n[[page]]\nagent = 1\n", None),
            ("[store]\nowner = \"a\"\n[[page", None),
            ("[api\nregion = uk\n[store]\npath = 'b.sqlite' # here\n[page", Some("b.sqlite")),
            ("store.path = \"c.sqlite\"\nhours = [", Some("c.sqlite")),
            ("[store]\npath = d.sqlite\n[[page", Some("d.sqlite")),
            ("store = { path = \"e.sqlite\" }\n[[page", Some("e.sqlite")),
            ("[hours]\npath = \"f.sqlite\"\nx = [", None),
            ("[[page", None),
            ("", None),
        ] {
            std::fs::write(&file, text).unwrap();
            let place = find(&file, true, &Surroundings::default()).unwrap();
            assert_eq!(place.is_named, found.is_some(), "{text}");
            if let Some(name) = found {
                assert_eq!(place.store, StorePath::File(folder.path().join(name)), "{text}");
            }
        }
        // The intended store is unclear: a command must not reach another daemon.
        for text in
            ["[store]\npath = \"cut", "[store]\npth = \"a.sqlite\"\n", "[store]\n[[page", "store = \"x\"\n"]
        {
            std::fs::write(&file, text).unwrap();
            let reported = find(&file, true, &Surroundings::default()).unwrap_err();
            assert!(reported.starts_with("cannot determine which store the settings "), "{text}: {reported}");
        }
        let nowhere = folder.path().join("nowhere.toml");
        assert!(
            find(&nowhere, true, &Surroundings::default()).unwrap_err().contains("cannot read the settings")
        );
        assert!(!find(&nowhere, false, &Surroundings::default()).unwrap().is_named);
        let surroundings = |environment: &[(&str, &str)], flags: &[&str]| Surroundings {
            environment: environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            flags: flags.iter().map(|flag| flag.parse().unwrap()).collect(),
            zoneinfo: None,
        };
        std::fs::write(&file, "[store]\npath = \"a.sqlite\"\n").unwrap();
        let variable = ("RTCONFD_STORE__PATH", "/e.sqlite");
        let at = |surroundings: &Surroundings| find(&file, false, surroundings).unwrap().store;
        assert_eq!(at(&surroundings(&[variable], &[])), StorePath::File("/e.sqlite".into()));
        assert_eq!(
            at(&surroundings(&[variable], &["store.path=/f.sqlite"])),
            StorePath::File("/f.sqlite".into())
        );
        let state = surroundings(&[("STATE_DIRECTORY", "/var/lib/rtconfd")], &[]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(at(&state), StorePath::File("/var/lib/rtconfd/rtconfd.sqlite".into()));
    }
}
