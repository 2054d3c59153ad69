//! The location of the store, from settings that may be broken: in an emergency nothing else in
//! them is needed.

use std::collections::BTreeMap;
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
/// The first of these counts: the flags `--set store.path=FILE` and `--set store.url=URL`, their
/// variables in the environment, the settings file as far as it can be read, the default.
/// `is_named` is true if the user named the settings file.
///
/// # Errors
/// A message, when the settings may name a store but it is unclear which one: a command must not
/// reach a different daemon than the intended one.
pub fn find(file: &Path, is_named: bool, surroundings: &Surroundings) -> Result<Place, String> {
    let flag = |key: &str| {
        let path = format!("store.{key}");
        surroundings.flags.iter().rev().find(|flag| flag.path == path).map(|flag| flag.value.clone())
    };
    let variable = |key: &str| {
        let name = format!("STORE_{}", key.to_uppercase());
        let is_named = |variable: &str| {
            variable.strip_prefix("RTCONFD_").is_some_and(|variable| variable.replace("__", "_") == name)
        };
        let found = surroundings.environment.iter().find(|(variable, _)| is_named(variable));
        found.map(|(_, value)| value.clone())
    };
    let above = |key: &str| flag(key).or_else(|| variable(key));
    // A flag or variable may name another kind of store than the file.
    let written = match above("path").or_else(|| above("url")) {
        Some(_) => in_file(file, is_named).unwrap_or_default(),
        None => in_file(file, is_named)?,
    };
    let text = |key: &str| above(key).or_else(|| written.get(key).cloned()).filter(|text| !text.is_empty());
    // As in the settings, a path is relative to the settings file, if it exists.
    let directory = if file.exists() { file.parent() } else { None }.unwrap_or(Path::new(""));
    let directory = std::path::absolute(directory.join(".")).unwrap_or_default();
    let url = match (flag("path"), flag("url"), variable("path")) {
        (Some(_), None, _) | (None, None, Some(_)) => None,
        _ => text("url"),
    };
    if let Some(url) = url {
        let file = |key: &str| text(key).map(|path| directory.join(path));
        let store = StorePath::of_url(&url, file("password_file"), file("ca_file"), surroundings);
        return Ok(Place {
            store: store.map_err(|(why, hint)| format!("invalid store.url: {why} (hint: {hint})"))?,
            is_named: true,
        });
    }
    Ok(match text("path").as_deref() {
        None => {
            Place { store: StorePath::File(state_directory(surroundings).join(FILE_NAME)), is_named: false }
        }
        Some(":memory:") => Place { store: StorePath::Memory, is_named: true },
        Some(path) => Place { store: StorePath::File(directory.join(path)), is_named: true },
    })
}

/// Returns other places where a daemon may keep its store: the systemd unit's and this user's.
pub fn defaults(surroundings: &Surroundings) -> Vec<PathBuf> {
    let directories = [PathBuf::from("/var/lib/rtconfd"), state_directory(surroundings)];
    directories.into_iter().map(|directory| directory.join(FILE_NAME)).collect()
}

/// The keys of `[store]` that locate it.
const LOCATING: [&str; 4] = ["path", "url", "password_file", "ca_file"];

/// Returns the texts under `[store]` that locate it.
fn in_file(file: &Path, is_named: bool) -> Result<BTreeMap<String, String>, String> {
    let bytes = match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound && !is_named => return Ok(BTreeMap::new()),
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
    match parsed.as_ref().map(|root| root.get("store").map(|store| &store.raw)) {
        Ok(None) => Ok(BTreeMap::new()),
        Ok(Some(Raw::Table(entries))) => {
            let (mut found, mut is_unclear) = (BTreeMap::new(), false);
            for entry in entries {
                match &entry.node.raw {
                    Raw::Text(text) if LOCATING.contains(&entry.key.as_str()) => {
                        found.insert(entry.key.clone(), text.clone());
                    }
                    _ => is_unclear |= !is_without_place(&entry.key),
                }
            }
            if is_unclear && !names_a_place(&found) { Err(unclear()) } else { Ok(found) }
        }
        Ok(Some(_)) => Err(unclear()),
        Err(_) => scan(&text).map_err(|()| unclear()),
    }
}

/// Finds the texts in a file that is not valid TOML as a whole.
///
/// The forms are `path = "…"` below `[store]`, `store.path = "…"`, and `store = { path = "…" }`.
///
/// # Errors
/// Returns an error when the text mentions a store but it is unclear where it is.
fn scan(text: &str) -> Result<BTreeMap<String, String>, ()> {
    let (mut section, mut is_unclear, mut found) = ("", false, BTreeMap::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim();
            is_unclear |= section == "store";
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            // A line that is cut off may have been the one that counts.
            is_unclear |= section == "store" && !line.is_empty();
            continue;
        };
        let (key, value) = match (section, key.trim()) {
            ("store", key) => (key, value),
            ("", "store") => {
                let Some(inner) = value.trim().strip_prefix('{') else { return Err(()) };
                for entry in inner.split('}').next().unwrap_or_default().split(',') {
                    let Some((key, value)) = entry.split_once('=') else { return Err(()) };
                    match LOCATING.contains(&key.trim()) {
                        true => drop(found.insert(key.trim().to_owned(), scanned(value.trim())?)),
                        false => is_unclear |= !is_without_place(key.trim()),
                    }
                }
                continue;
            }
            ("", key) => match key.strip_prefix("store.") {
                Some(key) => (key, value),
                None => continue,
            },
            _ => continue,
        };
        match LOCATING.contains(&key) {
            true => drop(found.insert(key.to_owned(), scanned(value.trim())?)),
            false => is_unclear = !is_without_place(key),
        }
    }
    if is_unclear && !names_a_place(&found) { Err(()) } else { Ok(found) }
}

fn names_a_place(found: &BTreeMap<String, String>) -> bool {
    found.contains_key("path") || found.contains_key("url")
}

/// Returns the text of a value.
///
/// A name without quotes is not TOML but still unambiguous; a truncated one is not.
fn scanned(value: &str) -> Result<String, ()> {
    match value.chars().next().filter(|quote| ['"', '\''].contains(quote)) {
        Some(quote) => value[1..].split_once(quote).map(|(text, _)| text.to_owned()).ok_or(()),
        None => match value.split(['#', '}', ' ']).next() {
            None | Some("") => Err(()),
            Some(text) => Ok(text.to_owned()),
        },
    }
}

/// Returns true for a key of `[store]` that says nothing about its place.
fn is_without_place(key: &str) -> bool {
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
            ("[store]\nowner = \"a\"\npath = \"g.sqlite\"\n[[page", Some("g.sqlite")),
            ("store = { owner = \"a\", path = \"h.sqlite\" }\n[[page", Some("h.sqlite")),
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
        let url = "postgres://u@h/d";
        let database = |surroundings: &Surroundings| match at(surroundings) {
            StorePath::Database(address, _) => address.to_string(),
            other => panic!("{other:?}"),
        };
        let named = surroundings(&[("RTCONFD_STORE__URL", url), ("HOME", "/root")], &[]);
        assert_eq!(database(&named), url, "it counts more than the file");
        std::fs::write(&file, format!("[store]\nurl = \"{url}\"\npassword_file = \"p\"\n[[page")).unwrap();
        assert_eq!(database(&Surroundings::default()), url);
        assert_eq!(at(&surroundings(&[], &["store.path=/f.sqlite"])), StorePath::File("/f.sqlite".into()));
        let state = surroundings(&[("STATE_DIRECTORY", "/var/lib/rtconfd")], &[]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(at(&state), StorePath::File("/var/lib/rtconfd/rtconfd.sqlite".into()));
    }
}
