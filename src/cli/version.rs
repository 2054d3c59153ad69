//! `rtconfd --version`, and with `--verbose` all versions that decide about values.

use std::ffi::OsString;

use crate::calendar::Edition;
use crate::store;
use crate::zone::Database;
use crate::zoneinfo::{self, Choice};

use super::global::system_zoneinfo;

/// The commit of a release; `git archive` writes it (gitattributes(5), export-subst).
const COMMIT: &str = include_str!("../commit.txt");

/// Returns true if the arguments ask for the version with all details.
pub fn is_verbose(arguments: &[OsString]) -> bool {
    let given =
        |names: &[&str]| arguments.iter().skip(1).any(|argument| names.iter().any(|name| argument == name));
    given(&["--version", "-V"]) && given(&["--verbose"]) && arguments.len() == 3
}

/// Returns the version and the zone database.
pub fn short(environment: &[(String, String)]) -> String {
    let zones = zoneinfo::open(&Choice::Newest, Some(&system_zoneinfo(environment)));
    let zones = zones.unwrap_or_else(|_| Database::embedded());
    format!("rtconfd {}\nzone database {zones}\n", env!("CARGO_PKG_VERSION"))
}

/// Returns the version, the commit, and the versions of data and libraries.
pub fn verbose(environment: &[(String, String)]) -> String {
    let commit = COMMIT.trim();
    let commit = if commit.starts_with('$') { "unknown: not built from a release" } else { commit };
    let (holidays, store) = (Edition::here(), store::libraries());
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let short = short(environment);
    format!(
        "{short}public holidays {holidays}\ncommit {commit}\nstore {store}\nTLS rustls with aws-lc-rs\n\
         built for {system} on {machine}\n"
    )
}
