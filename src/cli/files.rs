//! Watches the input files of a daemon: for its driver, and while it stands by.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::mpsc;

use crate::agents_api::KeySource;
use crate::clock::Clock;
use crate::compile::World;
use crate::reconcile::{Feed, own_files};
use crate::settings::Settings;
use crate::sources::{Files, OtherFiles, Revision, Watch, Watched, watch};
use crate::web::Handles;
use crate::zoneinfo;

use super::driver::Ahead;
use super::global::Global;
use super::output;

/// Watches the files that a driver was built from.
///
/// # Errors
/// When the watching thread cannot be started.
pub fn watch_for_driver(
    files: Files,
    (settings, global): (&Settings, &Global),
    key_source: KeySource,
    number: u32,
    handles: &Handles,
) -> anyhow::Result<Watch> {
    let (feed, shared) = (handles.feed.clone(), Shared::new(settings, handles));
    let key_file = key_source.file().map(ToOwned::to_owned);
    shared.show(&files.revision());
    start(files, (settings, global), OtherFiles { key_file, zoneinfo: None }, handles, move |watched| {
        if let Watched::Revision(revision) = &watched {
            shared.show(revision);
        }
        report(&feed, number, &key_source, watched)
    })
}

/// The files of a replica that stands by, with the pages that they define.
///
/// Compiling many pages takes longer than all else of a takeover, so it is done before. The pages
/// are used only if the active revision has exactly these settings and files.
pub struct Standby {
    watch: Watch,
    world: Arc<Mutex<World>>,
}

impl Standby {
    /// Reads the files, and again whenever they change.
    ///
    /// # Errors
    /// When the watching thread cannot be started.
    pub fn watch(
        settings: &Settings,
        global: &Global,
        handles: &Handles,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (blueprint, clock) = (settings.blueprint.clone(), clock.clone());
        let (shared, world) = (Shared::new(settings, handles), Arc::<Mutex<World>>::default());
        let compiled = world.clone();
        let put = move |world| *compiled.lock().unwrap_or_else(PoisonError::into_inner) = world;
        let beside = OtherFiles::default();
        let watch = start(Files::new(settings), (settings, global), beside, handles, move |watched| {
            if let Watched::Revision(revision) = watched {
                shared.show(&revision);
                output::log_problems(revision.problems.values().flatten());
                // Two worlds at once would set the peak of memory.
                put(World::default());
                put(World::new(&blueprint, &revision.inputs, clock.now(), None));
            }
            true
        })?;
        Ok(Self { watch, world })
    }

    /// Returns true if the pages have to be compiled again because of the date.
    pub fn is_stale(&self, clock: &dyn Clock) -> bool {
        !self.world.lock().unwrap_or_else(PoisonError::into_inner).is_fresh(clock.now())
    }

    /// Ends the watch; waits while the pages are being compiled.
    pub fn finish(self) -> Option<Ahead> {
        let files = self.watch.finish()?;
        Some(Ahead {
            files,
            world: std::mem::take(&mut *self.world.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    }
}

/// Shows the other replicas which files this one reads.
struct Shared {
    cluster: Option<crate::web::Cluster>,
    settings: Settings,
}

impl Shared {
    fn new(settings: &Settings, handles: &Handles) -> Self {
        Self { cluster: handles.cluster.clone(), settings: settings.clone() }
    }

    fn show(&self, revision: &Revision) {
        if let Some(cluster) = &self.cluster {
            cluster.show_files(own_files(&self.settings, revision));
        }
    }
}

/// Watches files and the zone database; after a package update, the settings get the newest rules.
fn start(
    files: Files,
    (settings, global): (&Settings, &Global),
    beside: OtherFiles,
    handles: &Handles,
    report: impl Fn(Watched) -> bool + Send + 'static,
) -> anyhow::Result<Watch> {
    let reloads = handles.reloads.clone();
    let system = global.surroundings().zoneinfo;
    let zoneinfo = zoneinfo::folder(&settings.zoneinfo, system.as_deref()).map(ToOwned::to_owned);
    let watch =
        watch(files, OtherFiles { zoneinfo, ..beside }, settings.restat, move |watched| match watched {
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
