//! Builds the driver of a daemon and of `apply`.

use std::sync::Arc;

use crate::agents_api::KeySource;
use crate::clock::Clock;
use crate::compile::World;
use crate::reconcile::{ActiveRevision, Actor, Board, Driver, Newest, Setup};
use crate::settings::Settings;
use crate::sources::{Files, Revision};
use crate::store::Store;

use super::load;

/// Limit of reads at the start for files that are being written; the daemon keeps watching them.
const FIRST_READS: usize = 6;

/// The initial state of a driver.
pub struct Start {
    /// The actor's name in the history.
    pub who: String,
    /// The active revision.
    pub active: ActiveRevision,
    /// The current files.
    pub revision: Revision,
    /// The number of the settings.
    pub number: u32,
    /// The board where the driver publishes its status.
    pub board: Board,
}

/// Files and pages that were read and compiled before a driver needs them.
pub struct Ahead {
    /// The files.
    pub files: Files,
    /// The pages that they define; empty if they were not compiled.
    pub world: World,
}

impl Ahead {
    /// Returns the files of the settings, not read yet.
    pub fn nothing(settings: &Settings) -> Self {
        Self { files: Files::new(settings), world: World::default() }
    }
}

/// Reads the current files and the active revision.
///
/// With `keeps_reading`, the caller watches the files, so this waits only briefly for files that
/// are being written.
pub async fn gather(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    active: Option<ActiveRevision>,
    ahead: Ahead,
    keeps_reading: bool,
) -> anyhow::Result<(Files, ActiveRevision)> {
    let Ahead { mut files, world } = ahead;
    let remembered = store.remembered().await?;
    let recalled = files.recall(&remembered.newest.inputs).inputs;
    let active = active.unwrap_or_else(|| {
        let now = clock.now();
        ActiveRevision::recall_ahead(settings, &remembered, (&recalled, world), now, now)
    });
    // This may wait for a writer, which would block a thread of the runtime.
    let settled = tokio::task::spawn_blocking(move || {
        match keeps_reading {
            true => files.settle_within(FIRST_READS),
            false => files.settle(),
        }
        files
    });
    Ok((settled.await?, active))
}

/// Builds a driver.
pub async fn build(
    settings: &Settings,
    key_source: &KeySource,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    start: Start,
) -> anyhow::Result<Driver<crate::agents_api::Client>> {
    let client = Arc::new(load::client(&settings.api, key_source)?);
    let setter = client.clone();
    let driver = Driver::new(Setup {
        actor: Actor {
            api: client,
            api_url: settings.api.base_url.clone(),
            store: store.clone(),
            clock: clock.clone(),
            who: start.who,
            patience: settings.api.total_timeout,
        },
        set_key: Box::new(move |key| setter.set_key(key)),
        newest: Newest::of(settings, start.revision, start.number),
        active: start.active,
        thresholds: settings.hold,
        // A rehearsal has its own time, unrelated to the last known one.
        last_known: if clock.is_wall() { store.last_known().await? } else { None },
        pace: settings.into(),
        seed: fastrand::u64(..),
        board: start.board,
    })
    .await?;
    Ok(driver)
}
