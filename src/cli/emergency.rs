//! Access to the daemon or its store, for commands that must work in an emergency.
//!
//! They try the daemon first, and need only the store's path instead of valid settings.

use anyhow::{anyhow, bail};

use crate::settings::{Settings, StorePath, place};
use crate::store::{Owner, Reading};
use crate::web::{Daemon, Unreachable, socket_path};

use super::global::{Exit, FAILED, Global};
use super::{load, output};

/// The result of looking for a daemon.
pub enum Contact {
    /// A daemon that accepts requests.
    Running(Daemon),
    /// No daemon on this store.
    NoDaemon(StorePath),
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
    if let Some(daemon) = reach(&place.store)? {
        return Ok(Contact::Running(daemon));
    }
    // Of replicas that share a store, the active one may run on another machine.
    let location = place.store.location();
    if location.is_shared() && location.read(None)?.is_some() && location.is_in_use() {
        let relay = location.relay(false).map(|(relay, _)| Daemon::through(relay));
        return Ok(relay.map_or(Contact::NoDaemon(place.store), Contact::Running));
    }
    if !place.is_named {
        for store in place::defaults(&surroundings) {
            if let Some(daemon) = reach(&StorePath::File(store))? {
                return Ok(Contact::Running(daemon));
            }
        }
    }
    Ok(Contact::NoDaemon(place.store))
}

/// Returns the place of the store.
fn place(global: &Global) -> anyhow::Result<place::Place> {
    place::find(&global.config(), global.config.is_some(), &global.surroundings()).map_err(|why| {
        match why.contains("(hint: ") {
            true => anyhow!("{why}"),
            false => anyhow!("{why}\n  hint: name the store of the daemon with --set store.path=FILE"),
        }
    })
}

/// Returns the running daemon.
///
/// # Errors
/// When none is running; the error lists the place that was tried.
pub fn running_daemon(global: &Global) -> anyhow::Result<Daemon> {
    match find(global)? {
        Contact::Running(daemon) => Ok(daemon),
        Contact::NoDaemon(StorePath::Memory) => {
            bail!("a daemon that keeps its state in memory has no socket\n  hint: set store.path to a file")
        }
        Contact::NoDaemon(store) => Err(no_daemon(global, &store)),
    }
}

/// Returns the error for a store without a daemon.
pub fn no_daemon(global: &Global, store: &StorePath) -> anyhow::Error {
    if matches!(store, StorePath::Database(..)) {
        return anyhow!(
            "no rtconfd runs on the store {store}, and none on this machine\n  hint: start rtconfd run, or run \
             this on the machine of a replica"
        );
    }
    let socket = store.socket_base().map(socket_path).unwrap_or_default();
    match elsewhere(global, store) {
        Some(other) => anyhow!(
            "no rtconfd runs on the store {store}\n  hint: add --set store.path={other}: one runs on that store"
        ),
        None => anyhow!(
            "no rtconfd runs on the store {store}: nothing answers at {}\n  hint: name the store of the \
             daemon with --set store.path=FILE, or start rtconfd run",
            socket.display()
        ),
    }
}

/// Returns a store at a default path, other than `store`, that a daemon uses.
fn elsewhere(global: &Global, store: &StorePath) -> Option<String> {
    let defaults = place::defaults(&global.surroundings()).into_iter().map(StorePath::File);
    let mut others = defaults.filter(|other| other.socket_base() != store.socket_base());
    others.find(|other| matches!(reach(other), Ok(Some(_)))).map(|other| other.to_string())
}

/// Returns the daemon of a store on this machine, if one answers.
fn reach(store: &StorePath) -> anyhow::Result<Option<Daemon>> {
    let (Some(base), location) = (store.socket_base(), store.location()) else { return Ok(None) };
    match Daemon::at(base) {
        Ok(Some(daemon)) => Ok(Some(daemon)),
        Ok(None) if !location.is_shared() && location.is_in_use() => bail!(
            "{} uses the store {store} and does not answer at {}\n  hint: try again, or check its log: it may \
             be starting or stopping, or be an apply",
            location.user(),
            socket_path(base).display()
        ),
        Ok(None) => Ok(None),
        Err(Unreachable::Denied(path)) => bail!(
            "cannot reach the rtconfd at {}: permission denied for {}\n  hint: run this as the user of \
             the daemon or as root, for example with sudo",
            path.display(),
            load::user_id()
        ),
        Err(Unreachable::Other(error)) => {
            bail!("cannot reach the rtconfd at {}: {error}", socket_path(base).display())
        }
    }
}

/// Opens the store for reading, without valid settings.
///
/// Without them, it reads the rows of all owners.
pub fn store(global: &Global) -> anyhow::Result<Option<Box<dyn Reading>>> {
    let store = existing(place(global)?, global);
    if store == StorePath::Memory {
        return Ok(None);
    }
    let owner = owner(global);
    let Some(reading) = store.location().read(owner.as_ref())? else {
        return Err(no_store(&store));
    };
    output::show_problems(&owner.and_then(|owner| load::other_owner(&*reading, &owner)));
    Ok(Some(reading))
}

/// Returns the error for a place without a store.
pub fn no_store(store: &StorePath) -> anyhow::Error {
    match store {
        StorePath::Database(..) => anyhow!(
            "no store found in the database {store}\n  hint: create it with rtconfd store create, or correct \
             store.url"
        ),
        _ => anyhow!(
            "no store found at {store}\n  hint: name the store of the daemon with --set store.path=FILE; run \
             and apply create it"
        ),
    }
}

/// Returns the place of the store, without valid settings; it may not exist yet.
///
/// # Errors
/// When the store is in memory.
pub fn store_place(global: &Global) -> anyhow::Result<StorePath> {
    match existing(place(global)?, global) {
        StorePath::Memory => bail!("the store is in memory\n  hint: set store.path to a file"),
        store => Ok(store),
    }
}

/// Returns the place itself, or for a default one the first default file that exists.
fn existing(place: place::Place, global: &Global) -> StorePath {
    match &place.store {
        StorePath::File(file) if !place.is_named && !file.exists() => {
            let mut defaults = place::defaults(&global.surroundings()).into_iter();
            defaults.find(|store| store.exists()).map_or(place.store, StorePath::File)
        }
        _ => place.store,
    }
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
