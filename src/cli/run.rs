//! `rtconfd run`: starts the daemon. Also builds the driver of a daemon and of `apply`.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use sd_notify::NotifyState;

use crate::agents_api::KeySource;
use crate::clock::{Clock, FastClock};
use crate::limits::store::UPGRADE_TIME;
use crate::limits::time::MAX_SPEED;
use crate::model::Instant;
use crate::process;
use crate::reconcile::{ActiveRevision, Actor, Board, Driver, Newest, Setup};
use crate::settings::{Log, Settings, is_on_this_machine};
use crate::sources::{Files, Revision};
use crate::store::Store;

use super::global::{Exit, Global, parse_instant};
use super::{daemon, load, log, output};

/// Limit of reads at the start for files that are being written; the daemon keeps watching them.
const FIRST_READS: usize = 6;

#[derive(Args)]
pub struct Arguments {
    /// Start with an empty store if it is missing or damaged; a damaged one is moved aside
    #[arg(long)]
    accept_empty_store: bool,
    /// Rehearse: run as if it were this instant; only against an API on this machine
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    at: Option<Instant>,
    /// Rehearse: let this many seconds pass in each real second; only against an API on this machine
    #[arg(
        long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SPEED))
    )]
    speed: u32,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    output::start_log_with_messages(Log::find(&global.config(), &global.surroundings()));
    let settings = match load::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return Ok(exit),
    };
    let clock = clock(&arguments, &settings)?;
    if let Err(error) = process::raise_file_limit() {
        tracing::warn!(%error, "the limit of open files was not raised");
    }
    // A reload reads this same file, even if the default path has changed since.
    let global = Global { config: Some(settings.file.clone()), ..global.clone() };
    if settings.store.path.location().is_large() {
        // A store of an older version is upgraded first.
        let microseconds = u32::try_from(UPGRADE_TIME.as_micros()).unwrap_or(u32::MAX);
        let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }
    let location = settings.store.path.location();
    if location.is_shared() && arguments.accept_empty_store {
        bail!("--accept-empty-store is for a store in a file\n  hint: run rtconfd store create");
    }
    let store = match location.is_shared() {
        // Another replica may hold it, and the database may be down for now.
        true => None,
        false => Some(load::open_store(&settings, arguments.accept_empty_store)?),
    };
    daemon::run(&global, settings, clock, store).await
}

/// Returns the wall clock, or a rehearsal's clock if its values cannot reach real callers.
fn clock(arguments: &Arguments, settings: &Settings) -> anyhow::Result<Arc<dyn Clock>> {
    if arguments.at.is_none() && arguments.speed == 1 {
        return Ok(load::wall_clock());
    }
    let url = &settings.api.base_url;
    if !is_on_this_machine(url) {
        bail!(
            "--at and --speed are for rehearsals, and {url} is not on this machine\n  hint: set base_url \
             to a simulator's address"
        );
    }
    let clock: Arc<dyn Clock> =
        Arc::new(FastClock::new(arguments.at.unwrap_or_else(load::now), arguments.speed));
    log::follow(clock.clone());
    tracing::warn!("rehearsal started: the store and its history record the rehearsed time");
    Ok(clock)
}

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

/// Reads the current files and the active revision.
///
/// With `keeps_reading`, the caller watches the files, so this waits only briefly for files that
/// are being written.
pub async fn gather(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    active: Option<ActiveRevision>,
    keeps_reading: bool,
) -> anyhow::Result<(Files, ActiveRevision)> {
    let mut files = Files::new(settings);
    let remembered = store.remembered().await?;
    let recalled = files.recall(&remembered.newest.inputs).inputs;
    let active = active.unwrap_or_else(|| {
        let now = clock.now();
        ActiveRevision::recall(settings, &remembered, &recalled, now, now)
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
