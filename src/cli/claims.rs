//! The claim of a daemon on its variables, so that no other daemon of this user on this machine
//! owns them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::bail;

use crate::compile::World;
use crate::model::{PageId, Problem};
use crate::pages::Page;
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
    /// The variables that another daemon owned when these were last claimed.
    taken: Vec<Conflict>,
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
            Ok(Ok(claim)) => Ok(Some(Self { claim, api, who, pages: 0, taken: Vec::new() })),
            Ok(Err(taken)) => bail!("{}\n  hint: {HINT}", conflict(&taken, &who)),
            Err(error) => {
                let directory = directory.display();
                tracing::warn!(%error, %directory, "other daemons on this machine cannot be detected");
                Ok(None)
            }
        }
    }

    /// Claims the variables of the current pages; returns the pages that must wait.
    ///
    /// A daemon that already runs is not stopped by a new row: only a page with a variable that
    /// another daemon owns waits, until that daemon ends or gives the variable up.
    pub(super) fn follow(&mut self, world: &World) -> BTreeMap<PageId, Problem> {
        let pages = fingerprint(world);
        if pages != self.pages || !self.taken.is_empty() {
            match self.claim.update(&self.who, &owned(&self.api, world).collect()) {
                Ok(taken) => (self.pages, self.taken) = (pages, taken),
                Err(error) => tracing::warn!(%error, "the claim on the variables was not updated"),
            }
        }
        if self.taken.is_empty() {
            return BTreeMap::new();
        }
        let taken: BTreeMap<&str, &Conflict> =
            self.taken.iter().map(|taken| (taken.what.as_str(), taken)).collect();
        let conflict_of = |page: &Page| {
            let first = claims_of(&self.api, page).find_map(|line| taken.get(line.as_str()).copied())?;
            Some((page.id.clone(), Problem::new(conflict(first, &self.who)).hint(HINT)))
        };
        world.pages.iter().filter_map(|managed| conflict_of(&managed.page)).collect()
    }
}

fn conflict(taken: &Conflict, who: &str) -> String {
    format!("{} is already owned by another rtconfd: {}; this is {who}", taken.what, taken.by)
}

/// Returns the variables as lines of API, page and name.
fn owned<'a>(api: &'a str, world: &'a World) -> impl Iterator<Item = String> + 'a {
    world.pages.iter().flat_map(move |managed| claims_of(api, &managed.page))
}

fn claims_of<'a>(api: &'a str, page: &'a Page) -> impl Iterator<Item = String> + 'a {
    page.variables.iter().map(move |owned| format!("{api} {} {}", page.id, owned.variable))
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
