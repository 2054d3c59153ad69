//! The ways to a running daemon, as its endpoints have them.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::Instant;
use crate::pulse::Pulses;
use crate::reconcile::{Board, Feed, Status};

use super::reload::{Asked, Reloads};

/// The ways to a running daemon. All clones are one.
#[derive(Clone, Debug)]
pub struct Handles {
    /// Where its driver takes what changes something.
    pub feed: mpsc::Sender<Feed>,
    /// Where its driver publishes how things stand.
    pub board: Board,
    /// Reads its settings again.
    pub reloads: Reloads,
    /// How its threads do.
    pub pulses: Pulses,
    pub(super) written: Arc<tokio::sync::Mutex<Option<Written>>>,
}

/// A status as it was last written, with the time of the last reload that it tells of.
pub(super) type Written = (Arc<Status>, Instant, axum::body::Bytes);

impl Handles {
    /// The ways to a daemon whose driver takes this feed; also gives where requests to reload arrive.
    pub fn new(feed: mpsc::Sender<Feed>, started_at: Instant) -> (Self, mpsc::Receiver<Asked>) {
        let (reloads, asked) = Reloads::new(started_at);
        let (board, pulses, written) = (Board::default(), Pulses::default(), Arc::default());
        (Self { feed, board, reloads, pulses, written }, asked)
    }
}
