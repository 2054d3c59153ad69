//! Helps a replica that waits for the store that another replica writes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::settings::Settings;
use crate::store::postgres::Postgres;
use crate::store::{Location, Store, StoreError};

/// Opens the store on a thread of its own, which the end of the process does not wait for.
pub fn open(settings: &Settings) -> oneshot::Receiver<Result<Arc<dyn Store>, StoreError>> {
    let (send, opened) = oneshot::channel();
    let owner = settings.owner();
    let location = settings.store.path.database().map(Postgres::of_replica);
    // Without a thread the channel closes, and the next attempt follows.
    let _ = std::thread::Builder::new().name("lease".to_owned()).spawn(move || {
        // A store that nobody waits for is closed, and its lease released.
        drop(send.send(location.map_or(Err(StoreError::Closed), |location| location.open(Some(&owner)))));
    });
    opened
}

/// Waits for the next sign of life, if any are expected.
pub async fn next_beat(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => sleep(Duration::MAX).await,
    }
}

/// Returns true for a failure that ends without a person.
pub fn is_temporary(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unreachable { .. }
            | StoreError::TakenOver { .. }
            | StoreError::LeaseEnded { .. }
            | StoreError::Closed
            | StoreError::Rewound { .. }
            | StoreError::Returned { .. }
            | StoreError::Diverged { .. }
    )
}

/// Returns true if the store was lost to another replica, or with the database.
pub fn is_lost(error: &anyhow::Error) -> bool {
    let store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    store.is_some_and(is_temporary)
}
