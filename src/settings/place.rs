//! Where the store is, by settings that may be broken: in an emergency nothing else of them is needed.

use std::path::{Path, PathBuf};

use crate::tables::parse_json;
use crate::written::{Node, Raw};

use super::{StorePath, Surroundings, layers, state_directory};

/// The store's file name where the settings name none.
pub(super) const FILE_NAME: &str = "rtconfd.sqlite";

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The store.
    pub store: StorePath,
    /// True when a flag, the environment or the settings name it; else it is where the program keeps it by default.
    pub is_named: bool,
}

/// Finds the store as the settings do: by the flag `--set store.path=FILE`, the variable `RTCONFD_STORE__PATH`, the
/// settings file as far as it can be read, or the default.
pub fn find(file: &Path, surroundings: &Surroundings) -> Place {
    let flag = surroundings.flags.iter().rev().find(|flag| flag.path == "store.path");
    let variable = surroundings.environment.iter().find(|(name, _)| {
        name.strip_prefix("RTCONFD_").is_some_and(|name| name.replace("__", "_") == "STORE_PATH")
    });
    let by_file = || in_file(file);
    let named =
        flag.map(|flag| flag.value.clone()).or(variable.map(|(_, path)| path.clone())).or_else(by_file);
    let Some(path) = named.filter(|path| !path.is_empty()) else {
        let store = StorePath::File(state_directory(surroundings).join(FILE_NAME));
        return Place { store, is_named: false };
    };
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let directory = file.parent().map(Path::to_owned).unwrap_or_default();
    let store = if path == ":memory:" { StorePath::Memory } else { StorePath::File(directory.join(path)) };
    Place { store, is_named: true }
}

/// Other places at which a daemon may have its store: those of the systemd unit, and of this user.
pub fn defaults(surroundings: &Surroundings) -> Vec<PathBuf> {
    let directories = [PathBuf::from("/var/lib/rtconfd"), state_directory(surroundings)];
    directories.into_iter().map(|directory| directory.join(FILE_NAME)).collect()
}

fn in_file(file: &Path) -> Option<String> {
    let bytes = layers::read_file(file).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let name = file.display().to_string().into();
    let parsed = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => parse_json(&name, &text),
        _ => layers::parse_toml(&name, &text),
    };
    match parsed {
        Ok(root) => path_in(&root),
        Err(_) => scan(&text),
    }
}

fn path_in(root: &Node) -> Option<String> {
    match &root.get("store")?.get("path")?.raw {
        Raw::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// The path in text that is not TOML as a whole: `path = "…"` below `[store]`, or `store.path = "…"`.
fn scan(text: &str) -> Option<String> {
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if (section, key.trim()) == ("store", "path") || (section.is_empty() && key.trim() == "store.path") {
            let value = value.trim();
            let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
            return value[1..].split(quote).next().map(str::to_owned);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_found_by_settings_that_are_broken_anywhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rtconfd.toml");
        for (text, found) in [
            ("[store]\npath = \"a.sqlite\"\n[[page]]\nagent = 1\nenvronment = \"live\"\n", Some("a.sqlite")),
            ("[api\nregion = uk\n[store]\npath = 'b.sqlite' # here\n[page", Some("b.sqlite")),
            ("store.path = \"c.sqlite\"\nhours = [", Some("c.sqlite")),
            ("[hours]\npath = \"d.sqlite\"\nx = [", None),
            ("", None),
        ] {
            std::fs::write(&file, text).unwrap();
            let place = find(&file, &Surroundings::default());
            assert_eq!(place.is_named, found.is_some(), "{text}");
            if let Some(name) = found {
                assert_eq!(place.store, StorePath::File(folder.path().join(name)), "{text}");
            }
        }
        let surroundings = |environment: &[(&str, &str)], flags: &[&str]| Surroundings {
            environment: environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            flags: flags.iter().map(|flag| flag.parse().unwrap()).collect(),
            zoneinfo: None,
        };
        std::fs::write(&file, "[store]\npath = \"a.sqlite\"\n").unwrap();
        let variable = ("RTCONFD_STORE__PATH", "/e.sqlite");
        let at = |surroundings: &Surroundings| find(&file, surroundings).store;
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
