//! Reads the history of the store beside the driver, which only writes it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::PageId;
use crate::settings::{Settings, StorePath};
use crate::store::{HistoryRow, Owner};

/// The location of the store, and the owner of the rows; all clones share it.
#[derive(Clone, Debug, Default)]
pub struct Archive(Arc<Mutex<Option<(StorePath, Owner)>>>);

impl Archive {
    /// Reads the store of these settings from now on.
    pub fn follow(&self, settings: &Settings) {
        let place = (settings.store.path.clone(), settings.owner());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Returns the changes of a page, newest first, at most `limit`.
    ///
    /// There are none while the state is kept in memory.
    ///
    /// # Errors
    /// The reason why the store cannot be read.
    pub async fn history(&self, page: PageId, limit: usize) -> Result<Vec<HistoryRow>, String> {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((path, owner)) = place else { return Ok(Vec::new()) };
        let read = move || {
            let reading = path.location().read(Some(&owner)).map_err(|error| error.to_string())?;
            let rows = reading.map(|reading| reading.history(Some(&page), limit)).transpose();
            Ok(rows.map_err(|error| error.to_string())?.unwrap_or_default())
        };
        tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
    }
}
