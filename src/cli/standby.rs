//! A replica that stands by: it waits for the store that another replica writes.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tokio::time::{interval, sleep};

use crate::limits::replicas::POLL;
use crate::reconcile::{Feed, Supervisor};
use crate::settings::Settings;
use crate::store::{Store, StoreError};

use super::daemon::Daemon;
use super::reload;
use super::systemd::Systemd;

/// Waits until this replica holds the store; `None` when it was told to stop.
///
/// # Errors
/// At the first attempt, what only a person can fix: no store, missing rights, another version.
pub async fn wait(
    daemon: &mut Daemon<'_>,
    settings: &mut Settings,
) -> anyhow::Result<Option<Arc<dyn Store>>> {
    let supervisor = Systemd::new(daemon.handles.pulses.clone(), None);
    supervisor.ready();
    let mut beat = supervisor.beat().map(interval);
    let mut is_first = true;
    let mut shown = String::new();
    loop {
        let mut opening = open(settings);
        let opened = loop {
            tokio::select! {
                opened = &mut opening => break opened.unwrap_or(Err(StoreError::Closed)),
                fed = daemon.fed.recv() => match fed {
                    Some(Feed::Stop) | None => return Ok(None),
                    Some(Feed::Reload) => {
                        if let Some(newer) = reload::take(&daemon.next) {
                            daemon.follow(newer, settings).await;
                        }
                    }
                    // Inputs and controls are for a driver; who asks learns that there is none.
                    Some(Feed::Inputs(..) | Feed::Key(..) | Feed::Control(_)) => {}
                },
                () = next_beat(&mut beat) => supervisor.alive(),
            }
        };
        let why = match opened {
            Ok(store) => {
                if let Some(cluster) = &daemon.handles.cluster {
                    cluster.note(None);
                }
                tracing::info!("this replica holds the lease");
                return Ok(Some(store));
            }
            Err(StoreError::InUse { other, .. }) => format!("{other} holds the lease"),
            Err(error) if is_first && !is_temporary(&error) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        is_first = false;
        if shown != why {
            tracing::warn!("standing by: {why}");
            let _ = sd_notify::notify(&[NotifyState::Status(&format!("standing by: {why}"))]);
            shown.clone_from(&why);
        }
        if let Some(cluster) = &daemon.handles.cluster {
            cluster.note(Some(why));
        }
        sleep(POLL).await;
    }
}

/// Opens the store on a thread of its own, which the end of the process does not wait for.
fn open(settings: &Settings) -> oneshot::Receiver<Result<Arc<dyn Store>, StoreError>> {
    let (send, opened) = oneshot::channel();
    let (path, owner) = (settings.store.path.clone(), settings.owner());
    // Without a thread the channel closes, and the next attempt follows.
    let _ = std::thread::Builder::new().name("lease".to_owned()).spawn(move || {
        // A store that nobody waits for is closed, and its lease released.
        drop(send.send(path.location().open(Some(&owner))));
    });
    opened
}

async fn next_beat(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => sleep(Duration::MAX).await,
    }
}

/// Returns true for a failure that ends without a person.
fn is_temporary(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unreachable { .. }
            | StoreError::TakenOver { .. }
            | StoreError::LeaseEnded { .. }
            | StoreError::Closed
    )
}

/// Returns true if the store was lost to another replica, or with the database.
pub fn is_lost(error: &anyhow::Error) -> bool {
    let store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    store.is_some_and(|error| is_temporary(error) || matches!(error, StoreError::Rewound { .. }))
}
