//! The endpoints' handles to the running daemon.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::Instant;
use crate::pulse::Pulses;
use crate::reconcile::{Board, Feed, Status};
use crate::store::Alone;

use super::archive::Archive;
use super::cluster::Cluster;
use super::reload::{ReloadRequest, Reloads};

/// The handles to a running daemon; all clones share the same state.
#[derive(Clone, Debug)]
pub struct Handles {
    /// The channel for the driver's events and controls.
    pub feed: mpsc::Sender<Feed>,
    /// The board where the driver publishes its status.
    pub board: Board,
    /// The handle for reloading the settings.
    pub reloads: Reloads,
    /// The liveness of its threads.
    pub pulses: Pulses,
    /// The history in the store.
    pub archive: Archive,
    /// The replicas that share the store, if it is shared.
    pub cluster: Option<Cluster>,
    pub(super) written: Arc<tokio::sync::Mutex<Option<Written>>>,
}

/// A status and the same serialized.
type Written = (Arc<Status>, axum::body::Bytes);

impl Handles {
    /// Returns the handles for a driver with this feed, and the receiver of reload requests.
    pub fn new(feed: mpsc::Sender<Feed>, started_at: Instant) -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (reloads, asked) = Reloads::new();
        let (board, pulses, written) = (Board::default(), Pulses::default(), Arc::default());
        board.note_reload(started_at, &Ok(()));
        let (archive, cluster) = (Archive::default(), None);
        (Self { feed, board, reloads, pulses, archive, cluster, written }, asked)
    }

    /// Returns the decision, while this replica goes on without the database.
    pub(super) fn alone(&self) -> Option<Alone> {
        self.cluster.as_ref().and_then(Cluster::alone)
    }

    /// Returns the cluster if this replica stands by.
    pub(super) fn standby(&self) -> Option<&Cluster> {
        self.cluster.as_ref().filter(|cluster| cluster.standby().is_some())
    }
}
