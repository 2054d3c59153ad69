//! The claim of a daemon on its variables, so that no other daemon of this user on this machine
//! owns them.

use std::collections::{BTreeMap, BTreeSet};
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
    /// True if the last check found fewer of them owned. The owner may only be restarting.
    may_be_free: bool,
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
        let claim = Claim::new(&directory);
        let mut claims = Self {
            claim,
            api: String::new(),
            who: String::new(),
            pages: 0,
            taken: Vec::new(),
            may_be_free: false,
        };
        Ok(claims.renew(settings, worlds)?.then_some(claims))
    }

    /// Claims the variables of other settings, and those of the active pages.
    ///
    /// Returns false if the claim failed, so that other daemons cannot be detected.
    ///
    /// # Errors
    /// Returns an error when another daemon owns one of the variables, unless its page waits for
    /// that already.
    pub(super) fn renew(&mut self, settings: &Settings, worlds: [&World; 2]) -> anyhow::Result<bool> {
        self.api.clone_from(&settings.api.base_url);
        self.who = format!("process {} ({})", std::process::id(), settings.file.display());
        self.pages = 0;
        let owned = worlds.into_iter().flat_map(|world| owned(&self.api, world)).collect();
        let taken = match self.claim.update(&self.who, &owned) {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "other daemons on this machine cannot be detected");
                return Ok(false);
            }
        };
        let waits = |taken: &Conflict| self.taken.iter().any(|known| known.what == taken.what);
        match taken.iter().find(|taken| !waits(taken)) {
            Some(taken) => bail!("{}\n  hint: {HINT}", conflict(taken, &self.who)),
            None => Ok(true),
        }
    }

    /// Claims the variables of the current pages; returns the pages that must wait.
    ///
    /// A daemon that already runs is not stopped by a new row: only a page with a variable that
    /// another daemon owns waits, until two calls in a row find the variable free. `None` means that
    /// the claim failed and must be tried again.
    pub(super) fn follow(&mut self, world: &World) -> Option<BTreeMap<PageId, Problem>> {
        let pages = fingerprint(world);
        let is_free = !self.is_still_taken();
        if pages != self.pages || (is_free && self.may_be_free) {
            match self.claim.update(&self.who, &owned(&self.api, world).collect()) {
                Ok(taken) => (self.pages, self.taken) = (pages, taken),
                Err(error) => {
                    tracing::warn!(%error, "the claim on the variables was not updated");
                    return None;
                }
            }
        }
        self.may_be_free = is_free;
        let taken: BTreeMap<&str, &Conflict> =
            self.taken.iter().map(|taken| (taken.what.as_str(), taken)).collect();
        if taken.is_empty() {
            return Some(BTreeMap::new());
        }
        let conflict_of = |page: &Page| {
            let first = claims_of(&self.api, page).find_map(|line| taken.get(line.as_str()).copied())?;
            Some((page.id.clone(), Problem::new(conflict(first, &self.who)).hint(HINT)))
        };
        Some(world.pages.iter().filter_map(|managed| conflict_of(&managed.page)).collect())
    }

    /// Returns true if other daemons own the same variables of ours as before.
    fn is_still_taken(&self) -> bool {
        let lines: BTreeSet<String> = self.taken.iter().map(|taken| taken.what.clone()).collect();
        lines.is_empty() || self.claim.conflicts(&lines).is_ok_and(|taken| taken == self.taken)
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
