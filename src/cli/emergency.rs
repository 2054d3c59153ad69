//! Access to the daemon or its store, for commands that must work in an emergency.
//!
//! They try the daemon first, and need only the store's path instead of valid settings.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::settings::{Settings, place};
use crate::store::{self, Owner, Reading};
use crate::web::{Daemon, Unreachable, socket_path};

use super::global::{Exit, FAILED, Global};
use super::{load, output};

/// The result of looking for a daemon.
pub enum Contact {
    /// A daemon that accepts requests.
    Running(Daemon),
    /// No daemon; the file of its store, which is none in memory.
    NoDaemon(Option<PathBuf>),
}

/// Finds the daemon of the store.
///
/// Settings, environment or flags name the store; otherwise the default paths are tried.
///
/// # Errors
/// When a daemon may be running that this user cannot reach.
pub fn find(global: &Global) -> anyhow::Result<Contact> {
    let surroundings = global.surroundings();
    let place = place(global)?;
    if let Some(store) = place.store.file()
        && let Some(daemon) = reach(store)?
    {
        return Ok(Contact::Running(daemon));
    }
    if !place.is_named {
        for store in place::defaults(&surroundings) {
            if let Some(daemon) = reach(&store)? {
                return Ok(Contact::Running(daemon));
            }
        }
    }
    Ok(Contact::NoDaemon(place.store.file().map(Path::to_owned)))
}

/// Returns the place of the store.
fn place(global: &Global) -> anyhow::Result<place::Place> {
    place::find(&global.config(), global.config.is_some(), &global.surroundings())
        .map_err(|why| anyhow!("{why}\n  hint: name the store of the daemon with --set store.path=FILE"))
}

/// Returns the running daemon.
///
/// # Errors
/// When none is running; the error lists the place that was tried.
pub fn running_daemon(global: &Global) -> anyhow::Result<Daemon> {
    match find(global)? {
        Contact::Running(daemon) => Ok(daemon),
        Contact::NoDaemon(Some(store)) => Err(no_daemon(global, &store)),
        Contact::NoDaemon(None) => {
            bail!("a daemon that keeps its state in memory has no socket\n  hint: set store.path to a file")
        }
    }
}

/// Returns the error for a store without a daemon.
pub fn no_daemon(global: &Global, store: &Path) -> anyhow::Error {
    let socket = socket_path(store);
    match elsewhere(global, store) {
        Some(other) => anyhow!(
            "no rtconfd runs on the store {}\n  hint: add --set store.path={other}: one runs on that store",
            store.display()
        ),
        None => anyhow!(
            "no rtconfd runs on the store {}: nothing answers at {}\n  hint: name the store of the \
             daemon with --set store.path=FILE, or start rtconfd run",
            store.display(),
            socket.display()
        ),
    }
}

/// Returns a store at a default path, other than `store`, that a daemon uses.
fn elsewhere(global: &Global, store: &Path) -> Option<String> {
    let mut others = place::defaults(&global.surroundings()).into_iter().filter(|other| other != store);
    others.find(|other| matches!(reach(other), Ok(Some(_)))).map(|other| other.display().to_string())
}

/// Returns the daemon of a store, if one answers.
fn reach(store: &Path) -> anyhow::Result<Option<Daemon>> {
    let location = store::at(Some(store));
    match Daemon::at(store) {
        Ok(Some(daemon)) => Ok(Some(daemon)),
        Ok(None) if location.is_in_use() => bail!(
            "{} uses the store {} and does not answer at {}\n  hint: try again, or check its log: it may \
             be starting or stopping, or be an apply",
            location.user(),
            store.display(),
            socket_path(store).display()
        ),
        Ok(None) => Ok(None),
        Err(Unreachable::Denied(path)) => bail!(
            "cannot reach the rtconfd at {}: permission denied for {}\n  hint: run this as the user of \
             the daemon or as root, for example with sudo",
            path.display(),
            load::user_id()
        ),
        Err(Unreachable::Other(error)) => {
            bail!("cannot reach the rtconfd at {}: {error}", socket_path(store).display())
        }
    }
}

/// Opens the store for reading, without valid settings.
///
/// Without them, it reads the rows of all owners.
pub fn store(global: &Global) -> anyhow::Result<Option<Box<dyn Reading>>> {
    let Some(store) = file_of(&place(global)?, global) else { return Ok(None) };
    let owner = owner(global);
    let Some(reading) = store::at(Some(&store)).read(owner.as_ref())? else {
        return Err(no_store(&store));
    };
    output::show_problems(&owner.and_then(|owner| load::other_owner(&*reading, &owner)));
    Ok(Some(reading))
}

/// Returns the error for a path without a store.
pub fn no_store(store: &Path) -> anyhow::Error {
    anyhow!(
        "no store found at {}\n  hint: name the store of the daemon with --set store.path=FILE; run and \
         apply create it",
        store.display()
    )
}

/// Returns the file of the store, without valid settings; it may not exist yet.
///
/// # Errors
/// When the store is in memory.
pub fn store_file(global: &Global) -> anyhow::Result<PathBuf> {
    file_of(&place(global)?, global)
        .ok_or_else(|| anyhow!("the store is in memory\n  hint: set store.path to a file"))
}

fn file_of(place: &place::Place, global: &Global) -> Option<PathBuf> {
    let store = place.store.file()?;
    if store.exists() || place.is_named {
        return Some(store.to_owned());
    }
    let mut defaults = place::defaults(&global.surroundings()).into_iter();
    Some(defaults.find(|store| store.exists()).unwrap_or_else(|| store.to_owned()))
}

/// Returns the owner of this program's rows in the store; none without valid settings.
pub fn owner(global: &Global) -> Option<Owner> {
    Settings::load(&global.config(), &global.surroundings()).ok().map(|settings| settings.owner())
}

/// Prints the problems of a request.
pub fn refused(problems: &[(String, Option<String>)]) -> Exit {
    for (message, hint) in problems {
        output::print_error(message);
        if let Some(hint) = hint {
            output::remark(&format!("  hint: {hint}"));
        }
    }
    FAILED
}
