//! `rtconfd run`: starts the daemon, on the wall clock or in a rehearsal.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use sd_notify::NotifyState;

use crate::clock::{Clock, FastClock};
use crate::limits::store::UPGRADE_TIME;
use crate::limits::time::MAX_SPEED;
use crate::model::Instant;
use crate::process;
use crate::settings::{Log, Settings, is_on_this_machine};

use super::alone::AloneArguments;
use super::global::{Exit, Global, OK, parse_instant};
use super::{daemon, load, log, output};

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
    #[command(flatten)]
    alone: AloneArguments,
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
    load::check_accept_empty(&settings, arguments.accept_empty_store)?;
    if arguments.alone.follow(&settings, &global)? {
        return Ok(OK);
    }
    let store = match settings.store.path.is_shared() {
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
