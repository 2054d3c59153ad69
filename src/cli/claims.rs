//! The claim of a daemon on its variables, so that no other daemon of this user on this machine
//! owns them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::compile::World;
use crate::model::{PageId, Problem};
use crate::pages::Page;
use crate::settings::Settings;
use crate::store::{Claim, Conflict};

use super::global::Global;

const HINT: &str =
    "stop one, or remove the variable from its settings: two owners would overwrite each other";

/// The time for which a variable must be free before a waiting daemon claims it.
///
/// Its owner may only be restarting.
const GRACE: Duration = Duration::from_secs(10);

/// The claim of this daemon; it follows the variables as inputs change.
pub(super) struct Claims {
    claim: Claim,
    api: String,
    /// The description of this daemon for other daemons.
    who: String,
    /// A hash of the claimed pages, to skip worlds with the same variables.
    pages: u64,
    /// The variables that wait for another daemon, as lines of API, page and name.
    waiting: BTreeMap<String, Waiting>,
    /// True if the next renewal must succeed.
    is_tolerant: bool,
    /// The last failure, so that each is logged once.
    failure: Option<String>,
}

/// The wait for a variable of another daemon.
struct Waiting {
    /// The owner, as it describes itself.
    by: String,
    /// The first of the last checks that found no owner.
    free_since: Option<Instant>,
}

impl Claims {
    /// Claims the variables of the active pages and of the newest; returns none if there is no
    /// place for claims.
    ///
    /// # Errors
    /// Returns an error when another daemon owns a variable of the newest pages.
    pub(super) fn make(
        settings: &Settings,
        global: &Global,
        worlds: [&World; 2],
    ) -> anyhow::Result<Option<Self>> {
        let Some(directory) = directory(global) else { return Ok(None) };
        let mut claims = Self {
            claim: Claim::new(&directory),
            api: String::new(),
            who: String::new(),
            pages: 0,
            waiting: BTreeMap::new(),
            is_tolerant: false,
            failure: None,
        };
        // Replicas that share a store follow one another on a machine.
        claims.is_tolerant = settings.store.path.is_shared();
        claims.renew(settings, worlds)?;
        Ok(Some(claims))
    }

    /// Claims the variables of other settings, and those of the active pages.
    ///
    /// # Errors
    /// Returns an error when another daemon owns a variable of the newest pages, unless the page
    /// waits for that already.
    pub(super) fn renew(&mut self, settings: &Settings, [active, newest]: [&World; 2]) -> anyhow::Result<()> {
        let is_tolerant = std::mem::take(&mut self.is_tolerant);
        self.api.clone_from(&settings.api.base_url);
        self.who = format!("process {} ({})", std::process::id(), settings.file.display());
        self.pages = 0;
        let newest: BTreeSet<String> = owned(&self.api, newest).collect();
        let all = owned(&self.api, active).chain(newest.iter().cloned()).collect();
        match self.claim(all) {
            Ok(taken) => match taken.iter().find(|taken| !is_tolerant && newest.contains(&taken.what)) {
                Some(taken) => bail!("{}\n  hint: {HINT}", conflict(&taken.what, &taken.by, &self.who)),
                None => Ok(()),
            },
            Err(error) => {
                self.report(&error);
                Ok(())
            }
        }
    }

    /// Makes pages wait, instead of an error, if the next renewal meets conflicts: the previous
    /// settings must stay active after a failed reload.
    pub(super) fn tolerate_conflicts(&mut self) {
        self.is_tolerant = true;
    }

    /// Claims the variables of the current pages; returns the pages that must wait.
    ///
    /// A daemon that already runs is not stopped by a new row: only a page with a variable that
    /// another daemon owns waits. `None` means that the claim failed and must be tried again.
    pub(super) fn follow(&mut self, world: &World) -> Option<BTreeMap<PageId, Problem>> {
        match self.claim_current(world) {
            Ok(()) => self.failure = None,
            Err(error) => {
                self.report(&error);
                return None;
            }
        }
        if self.waiting.is_empty() {
            return Some(BTreeMap::new());
        }
        let conflict_of = |page: &Page| {
            let mut lines = claims_of(&self.api, page);
            let (line, waiting) = lines.find_map(|line| self.waiting.get_key_value(&line))?;
            Some((page.id.clone(), Problem::new(conflict(line, &waiting.by, &self.who)).hint(HINT)))
        };
        Some(world.pages.iter().filter_map(|managed| conflict_of(&managed.page)).collect())
    }

    fn claim_current(&mut self, world: &World) -> io::Result<()> {
        self.check_waiting()?;
        let pages = fingerprint(world);
        let is_free = self.waiting.values().any(Waiting::is_over);
        if pages != self.pages || is_free || self.claim.is_lost() {
            self.claim(owned(&self.api, world).collect())?;
            self.pages = pages;
        }
        Ok(())
    }

    /// Looks for the owners of the variables that wait.
    fn check_waiting(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let lines = self.waiting.keys().cloned().collect();
        let taken: BTreeMap<String, String> =
            self.claim.conflicts(&lines)?.into_iter().map(|taken| (taken.what, taken.by)).collect();
        for (line, waiting) in &mut self.waiting {
            match taken.get(line) {
                Some(by) => *waiting = Waiting { by: by.clone(), free_since: None },
                None => drop(waiting.free_since.get_or_insert_with(Instant::now)),
            }
        }
        Ok(())
    }

    /// Claims variables, except those that wait; returns new conflicts, which wait from now on.
    fn claim(&mut self, lines: BTreeSet<String>) -> io::Result<Vec<Conflict>> {
        self.waiting.retain(|line, _| lines.contains(line));
        let waits = |line: &String| self.waiting.get(line).is_some_and(|waiting| !waiting.is_over());
        let claimed: BTreeSet<String> = lines.into_iter().filter(|line| !waits(line)).collect();
        let taken = self.claim.update(&self.who, &claimed)?;
        self.waiting.retain(|line, _| !claimed.contains(line));
        for Conflict { what, by } in &taken {
            self.waiting.insert(what.clone(), Waiting { by: by.clone(), free_since: None });
        }
        Ok(taken)
    }

    fn report(&mut self, error: &io::Error) {
        let failure = error.to_string();
        if self.failure.as_ref() != Some(&failure) {
            tracing::warn!(error = failure, "other daemons on this machine cannot be detected");
            self.failure = Some(failure);
        }
    }
}

impl Waiting {
    /// Returns true if the variable was free for long enough.
    fn is_over(&self) -> bool {
        self.free_since.is_some_and(|since| since.elapsed() >= GRACE)
    }
}

fn conflict(what: &str, by: &str, who: &str) -> String {
    format!("{what} is already owned by another rtconfd: {by}; this is {who}")
}

/// Returns the variables as lines of API, page and name.
fn owned<'a>(api: &'a str, world: &'a World) -> impl Iterator<Item = String> + 'a {
    world.pages.iter().flat_map(move |managed| claims_of(api, &managed.page))
}

/// Locks the claims that a daemon's drivers share.
pub fn lock(claims: &Mutex<Claims>) -> MutexGuard<'_, Claims> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
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
