//! The claim of a daemon on its variables, so that no other daemon of this user on this machine
//! owns them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::bail;

use crate::compile::World;
use crate::settings::Settings;
use crate::store::{Claim, Conflict};

use super::global::Global;

const HINT: &str =
    "stop one, or remove the variable from its settings: two owners would overwrite each other";

/// The claim of this daemon; it follows the variables as inputs change.
pub(super) struct Claims {
    claim: Claim,
    api: String,
    /// The description of this daemon for other daemons.
    who: String,
    /// A hash of the claimed pages, to skip worlds with the same variables.
    pages: u64,
    taken: Option<Conflict>,
}

impl Claims {
    /// Claims the variables of these worlds; returns none if other daemons cannot be detected.
    ///
    /// # Errors
    /// Returns an error when another daemon owns one of the variables.
    pub(super) fn make(
        settings: &Settings,
        global: &Global,
        worlds: [&World; 2],
    ) -> anyhow::Result<Option<Self>> {
        let Some(directory) = directory(global) else { return Ok(None) };
        let api = settings.api.base_url.clone();
        let who = format!("process {} ({})", std::process::id(), settings.file.display());
        let owned = worlds.into_iter().flat_map(|world| owned(&api, world)).collect();
        match Claim::make(&directory, &who, &owned) {
            Ok(Ok(claim)) => Ok(Some(Self { claim, api, who, pages: 0, taken: None })),
            Ok(Err(taken)) => bail!("{}\n  hint: {HINT}", conflict(&taken, &who)),
            Err(error) => {
                let directory = directory.display();
                tracing::warn!(%error, %directory, "other daemons on this machine cannot be detected");
                Ok(None)
            }
        }
    }

    /// Claims the variables of the current pages.
    ///
    /// A daemon that already runs is not stopped by a new row, so a conflict is only logged.
    pub(super) fn follow(&mut self, world: &World) {
        let pages = fingerprint(world);
        if pages == self.pages {
            return;
        }
        match self.claim.update(&self.who, &owned(&self.api, world).collect()) {
            Ok(taken) => {
                self.pages = pages;
                if taken == self.taken {
                    return;
                }
                let conflict = taken.as_ref().map(|taken| conflict(taken, &self.who));
                conflict.iter().for_each(|conflict| tracing::error!("{conflict} (hint: {HINT})"));
                self.taken = taken;
            }
            Err(error) => tracing::warn!(%error, "the claim on the variables was not updated"),
        }
    }
}

fn conflict(taken: &Conflict, who: &str) -> String {
    format!("{} is already owned by another rtconfd: {}; this is {who}", taken.what, taken.by)
}

/// Returns the variables as lines of API, page and name.
fn owned<'a>(api: &'a str, world: &'a World) -> impl Iterator<Item = String> + 'a {
    let pages = world.pages.iter().map(|managed| &managed.page);
    pages.flat_map(move |page| {
        page.variables.iter().map(move |owned| format!("{api} {} {}", page.id, owned.variable))
    })
}

/// Returns a hash of the pages and their variables.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    for managed in &world.pages {
        managed.page.id.hash(&mut hasher);
        managed.page.variables.iter().for_each(|owned| owned.variable.hash(&mut hasher));
    }
    hasher.finish()
}

/// Returns the directory that the daemons of this user share.
fn directory(global: &Global) -> Option<PathBuf> {
    let surroundings = global.surroundings();
    let shared = surroundings.variable("RUNTIME_DIRECTORY").and_then(|paths| paths.split(':').next());
    match (shared, surroundings.variable("XDG_RUNTIME_DIR")) {
        (Some(shared), _) => Some(PathBuf::from(shared)),
        (None, Some(user)) => Some(PathBuf::from(user).join("rtconfd")),
        (None, None) if rustix::process::geteuid().is_root() => Some(PathBuf::from("/run/rtconfd")),
        // A directory that every user can write cannot be trusted.
        (None, None) => {
            surroundings.variable("HOME").map(|home| PathBuf::from(home).join(".local/state/rtconfd/claims"))
        }
    }
}
