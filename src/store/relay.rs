//! Carries requests of people through a shared store: from any replica to the one that writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::REQUEST_TIMEOUT;

/// A replica without a sign of life for more seconds is late.
pub const LATE: i64 = 15;

/// A request that another replica carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The sender, in the words of the interface that admitted them.
    pub visitor: String,
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The body.
    pub body: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub kind: String,
    /// The address to go to next, after a form.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// How far a request got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was carried out or refused.
    Answered(Response),
    /// No replica took it, and none will.
    NotTaken,
    /// A replica took it and did not answer: it may have been carried out.
    Unanswered,
}

/// A program that shares the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its host and process.
    pub described: String,
    /// Its version.
    pub program: String,
    /// True for the one that holds the lease.
    pub is_active: bool,
    /// Seconds since its last sign of life.
    pub age: i64,
    /// Its own settings and files; `None` until it has read them.
    pub files: Option<OwnFiles>,
}

/// The settings and files of a replica, as it reads them now.
///
/// Only the files of the active replica count. Those of a standby show if it would bring older ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFiles {
    /// The ID of the revision that they would be.
    pub revision: String,
    /// The number of errors in them; `None` for the active one, whose status lists them.
    pub errors: Option<usize>,
    /// The digest of each, by its path or name.
    pub digests: BTreeMap<String, String>,
}

impl OwnFiles {
    /// Returns the names of those that differ from another replica's.
    pub fn differing<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let names = self.digests.keys().chain(other.digests.keys());
        names.filter(|name| self.digests.get(*name) != other.digests.get(*name)).map(String::as_str).collect()
    }
}

/// The replicas, as one of them sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// All with a recent sign of life, the active one first.
    pub all: Vec<Replica>,
    /// The reason why the database cannot be reached now.
    pub failure: Option<String>,
}

impl Replicas {
    /// Returns the names of a replica's files that differ from those of the active one.
    ///
    /// A late replica is not compared: it may have read newer ones since.
    pub fn differing<'a>(&'a self, replica: &'a Replica) -> BTreeSet<&'a str> {
        let recent = |replica: &'a Replica| replica.files.as_ref().filter(|_| replica.age <= LATE);
        let active = self.all.iter().find(|replica| replica.is_active).and_then(recent);
        let both = recent(replica).zip(active);
        both.map(|(own, active)| own.differing(active)).unwrap_or_default()
    }
}

/// A request that this replica has taken.
#[derive(Debug)]
pub struct Taken {
    /// The request.
    pub request: Request,
    /// Its number.
    id: i64,
    commands: blocking::Sender<Command>,
}

impl Taken {
    /// Sends the answer.
    pub fn answer(self, response: Response) {
        // Without the thread, the requester reports a missing answer.
        let _ = self.commands.send(Command::Answer(self.id, response));
    }
}

/// A command to the thread of a relay.
#[derive(Debug)]
pub(super) enum Command {
    /// Send a request, and report what became of it until an end in time since the machine started.
    Ask(Request, oneshot::Sender<Delivery>, Duration),
    /// Remove this replica from the list, and report it.
    Leave(oneshot::Sender<()>),
    /// Send an answer.
    Answer(i64, Response),
}

/// The connection of a replica to the others; clones share it.
#[derive(Clone, Debug)]
pub struct Relay {
    commands: blocking::Sender<Command>,
    is_active: Arc<AtomicBool>,
    files: Arc<watch::Sender<Option<OwnFiles>>>,
    replicas: watch::Receiver<Replicas>,
}

/// The ends of a relay that its thread uses.
pub(super) struct Ends {
    /// The commands.
    pub(super) commands: blocking::Receiver<Command>,
    /// True while this replica takes requests.
    pub(super) is_active: Arc<AtomicBool>,
    /// The settings and files of this replica.
    pub(super) files: watch::Receiver<Option<OwnFiles>>,
    /// The replicas, as last seen.
    pub(super) replicas: watch::Sender<Replicas>,
    again: blocking::Sender<Command>,
    taken: mpsc::Sender<Taken>,
}

impl Ends {
    /// Passes on a request that was taken; false if too many wait.
    pub(super) fn take(&self, id: i64, request: Request) -> bool {
        self.taken.try_send(Taken { request, id, commands: self.again.clone() }).is_ok()
    }
}

/// The wait for the end of a replica's sign of life.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most requests that a replica has taken and not begun.
const WAITING: usize = 64;

/// Returns a relay, the requests that it takes, and the ends for its thread.
pub(super) fn channel() -> (Relay, mpsc::Receiver<Taken>, Ends) {
    let (send, commands) = blocking::channel();
    let (taken, requests) = mpsc::channel(WAITING);
    let failure = Some("the database was not reached yet".to_owned());
    let (replicas, seen) = watch::channel(Replicas { all: Vec::new(), failure });
    let is_active = Arc::new(AtomicBool::new(false));
    let (files, read) = watch::channel(None);
    let relay = Relay {
        commands: send.clone(),
        is_active: is_active.clone(),
        files: Arc::new(files),
        replicas: seen,
    };
    (relay, requests, Ends { commands, is_active, files: read, replicas, again: send, taken })
}

impl Relay {
    /// Sends a request to the active replica and waits for what becomes of it.
    pub async fn ask(&self, request: Request) -> Delivery {
        let (answer, answered) = oneshot::channel();
        let until = WallClock.uptime() + REQUEST_TIMEOUT;
        match self.commands.send(Command::Ask(request, answer, until)) {
            Ok(()) => answered.await.unwrap_or(Delivery::Unanswered),
            Err(_) => Delivery::NotTaken,
        }
    }

    /// Removes this replica from the list of those that live, if the database answers soon.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.commands.send(Command::Leave(done)).is_ok() {
            let _ = tokio::time::timeout(LEAVE_TIMEOUT, left).await;
        }
    }

    /// Takes requests from now on, or no longer.
    pub fn set_active(&self, is_active: bool) {
        self.is_active.store(is_active, Ordering::Relaxed);
    }

    /// Shows the other replicas which settings and files this one reads.
    pub fn show_files(&self, files: OwnFiles) {
        self.files.send_replace(Some(files));
    }

    /// Returns the replicas, as last seen.
    pub fn replicas(&self) -> Replicas {
        self.replicas.borrow().clone()
    }
}
