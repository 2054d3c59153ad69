//! Watches the input files of a daemon: for its driver, and while it stands by.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tokio::sync::mpsc;

use crate::agents_api::KeySource;
use crate::clock::Clock;
use crate::compile::World;
use crate::model::Problem;
use crate::reconcile::{Feed, own_files};
use crate::settings::Settings;
use crate::sources::{Files, OtherFiles, Revision, Watch, Watched, watch};
use crate::web::{Cluster, Handles};

use super::driver::Ahead;
use super::output;

/// Watches the files that a driver was built from.
///
/// # Errors
/// When the watching thread cannot be started.
pub fn watch_for_driver(
    files: Files,
    settings: &Settings,
    key_source: KeySource,
    number: u32,
    handles: &Handles,
) -> anyhow::Result<Watch> {
    let (feed, shown) = (handles.feed.clone(), Shown::new(settings, handles));
    let key_file = key_source.file().map(ToOwned::to_owned);
    shown.show(&files.revision(), None);
    start(files, settings, key_file, handles, move |watched| {
        if let Watched::Revision(revision) = &watched {
            shown.show(revision, None);
        }
        report(&feed, number, &key_source, watched)
    })
}

/// The own files of a replica that stands by: one watch at a time.
///
/// Settings may change while the pages of the ones before are still being compiled. Two worlds at
/// once would set the peak of memory.
#[derive(Default)]
pub struct StandbyFiles {
    current: Option<FilesAhead>,
    ending: Option<FilesAhead>,
}

impl StandbyFiles {
    /// Watches the files, unless an earlier watch is still at work; called again and again.
    pub fn watch(&mut self, settings: &Settings, handles: &Handles, clock: &Arc<dyn Clock>) {
        if self.current.as_ref().is_some_and(|current| current.is_stale(&**clock)) {
            self.end();
        }
        self.ending.take_if(|ending| ending.watch.has_ended());
        if self.current.is_none() && self.ending.is_none() {
            let ahead = FilesAhead::watch(settings, handles, clock);
            self.current = ahead.inspect_err(|error| tracing::warn!("{error:#}")).ok();
        }
    }

    /// Ends the watch, because the settings or the date have changed.
    pub fn end(&mut self) {
        if let Some(current) = self.current.take() {
            current.watch.stop();
            // The one before has ended, or this one would not have begun.
            self.ending = Some(current);
        }
    }

    /// Ends the watch for a takeover.
    pub fn take(&mut self) -> Option<FilesAhead> {
        self.current.take()
    }
}

/// The files of a replica that stands by, with the pages that they define.
///
/// Compiling many pages takes longer than all else of a takeover, so it is done before. The pages
/// are used only if the active revision has exactly these settings and files.
pub struct FilesAhead {
    watch: Watch,
    world: Arc<Mutex<World>>,
}

impl FilesAhead {
    /// Reads the files, and again whenever they change.
    fn watch(settings: &Settings, handles: &Handles, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let (blueprint, clock) = (settings.blueprint.clone(), clock.clone());
        let (shown, world) = (Shown::new(settings, handles), Arc::<Mutex<World>>::default());
        let files = Files::new(settings);
        let compiled = world.clone();
        let compile = move |revision: &Revision| {
            // The older pages go first: their place is needed for the new ones.
            let older = std::mem::take(&mut *lock(&compiled));
            drop(older);
            let world = World::new(&blueprint, &revision.inputs, clock.now(), None);
            let of_files = revision.problems.values().flatten();
            let problems: Vec<&Problem> = of_files.chain(world.problems()).collect();
            shown.show(revision, Some(problems.iter().filter(|problem| problem.is_error()).count()));
            output::log_problems(problems);
            *lock(&compiled) = world;
        };
        if files.paths().is_empty() {
            // Without files nothing is ever reported.
            compile(&files.revision());
        }
        let watch = start(files, settings, None, handles, move |watched| {
            if let Watched::Revision(revision) = watched {
                compile(&revision);
            }
            true
        })?;
        Ok(Self { watch, world })
    }

    /// Returns true if the pages have to be compiled again because of the date.
    fn is_stale(&self, clock: &dyn Clock) -> bool {
        !lock(&self.world).is_fresh(clock.now())
    }

    /// Ends the watch; waits while the pages are being compiled.
    pub fn finish(self) -> Option<Ahead> {
        let files = self.watch.finish()?;
        Some(Ahead { files, world: std::mem::take(&mut *lock(&self.world)) })
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the other replicas which files this one reads.
struct Shown {
    cluster: Option<Cluster>,
    settings: Settings,
}

impl Shown {
    fn new(settings: &Settings, handles: &Handles) -> Self {
        Self { cluster: handles.cluster.clone(), settings: settings.clone() }
    }

    fn show(&self, revision: &Revision, errors: Option<usize>) {
        if let Some(cluster) = &self.cluster {
            cluster.show_files(own_files(&self.settings, revision, errors));
        }
    }
}

/// Watches files and the zone database; after a package update, the settings get the newest rules.
fn start(
    files: Files,
    settings: &Settings,
    key_file: Option<std::path::PathBuf>,
    handles: &Handles,
    report: impl Fn(Watched) -> bool + Send + 'static,
) -> anyhow::Result<Watch> {
    let reloads = handles.reloads.clone();
    let beside = OtherFiles { key_file, zoneinfo: settings.zone_folder.clone() };
    let watch = watch(files, beside, settings.restat, move |watched| match watched {
        Watched::Zones => {
            reloads.read_zones();
            true
        }
        watched => report(watched),
    })
    .context("cannot watch files")?;
    handles.pulses.watch(watch.pulse.clone());
    Ok(watch)
}

/// Forwards an event of the watching thread; an invalid key leaves the previous one active.
fn report(feed: &mpsc::Sender<Feed>, number: u32, key_source: &KeySource, watched: Watched) -> bool {
    let fed = match watched {
        Watched::Revision(revision) => Feed::Inputs(number, revision),
        Watched::Key => match key_source.load() {
            Ok(key) => {
                key.hide();
                Feed::Key(number, key)
            }
            Err(error) => {
                tracing::error!(%error, "the API key was not changed");
                return true;
            }
        },
        Watched::Zones => return true,
    };
    feed.blocking_send(fed).is_ok()
}
