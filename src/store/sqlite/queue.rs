//! The single queue of store jobs: one thread owns the connection and commits all waiting jobs in
//! one transaction.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::limits::listener::WORK_TIMEOUT;
use crate::pulse::Pulse;
use crate::store::{StoreError, Written};

use super::file::Guard;
use super::location::{MOVED, Sqlite};

/// Maximum jobs committed together.
const BATCH: usize = 256;

type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Done> + Send>;
/// Notifies the waiting caller that the job is durable.
type Done = Box<dyn FnOnce() + Send>;
type Queued = (Job, oneshot::Sender<rusqlite::Error>);

/// The queue that accepts jobs in execution order.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    worker: Worker,
    location: Sqlite,
    pulse: Pulse,
}

#[derive(Clone, Debug)]
enum Worker {
    /// Jobs go to the thread that owns the connection.
    Thread(Arc<Thread>),
    /// The caller commits each job itself, until one fails.
    InPlace(Arc<Mutex<Connection>>, Arc<Mutex<Option<rusqlite::Error>>>),
}

/// The thread that owns the connection.
///
/// Dropping the last writer waits until the thread has done all its jobs and closed the store: a
/// store left open must be recovered at the next start.
#[derive(Debug)]
struct Thread {
    queue: Option<mpsc::Sender<Queued>>,
    worker: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    /// Queues a job. A thread that is gone drops the job, and with it its reply channels.
    fn take(&self, job: Job, fail: oneshot::Sender<rusqlite::Error>) {
        if let Some(queue) = &self.queue {
            let _ = queue.send((job, fail));
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

impl Queue {
    pub(super) fn start(
        connection: Connection,
        location: Sqlite,
        guard: Option<Guard>,
        damage: Damage,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let pulse = Pulse::new("the thread that writes the store", WORK_TIMEOUT);
        let beating = pulse.clone();
        let worker = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                // The lock is held as long as the thread lives.
                let mut guard = guard;
                work(connection, &jobs, &beating, (&mut guard, &damage));
            })
            .map_err(|error| location.io(error))?;
        let thread = Thread { queue: Some(queue), worker: Some(worker) };
        Ok(Self { worker: Worker::Thread(Arc::new(thread)), location, pulse })
    }

    pub(super) fn in_place(connection: Arc<Mutex<Connection>>, location: Sqlite) -> Self {
        let pulse = Pulse::new("the store", WORK_TIMEOUT);
        Self { worker: Worker::InPlace(connection, Arc::default()), location, pulse }
    }

    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Queues a job immediately; the returned future resolves with its result once it is durable.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Written<T> {
        let (answer, answered) = oneshot::channel();
        let (fail, failed) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let value = job(connection)?;
            Ok(Box::new(move || {
                // The caller may be gone.
                let _ = answer.send(value);
            }))
        });
        match &self.worker {
            Worker::Thread(thread) => thread.take(job, fail),
            Worker::InPlace(connection, failed) => {
                let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                match &*failed {
                    Some(error) => refuse(fail, error),
                    None => *failed = write(&mut connection, vec![(job, fail)]).err(),
                }
            }
        }
        let location = self.location.clone();
        Box::pin(async move {
            match answered.await {
                Ok(value) => Ok(value),
                Err(_) => Err(match failed.await {
                    Ok(error) => location.sqlite(error),
                    Err(_) => StoreError::Closed,
                }),
            }
        })
    }
}

/// Runs jobs as they arrive; all waiting jobs are committed together and only then acknowledged.
///
/// After a failure nothing more is written: later jobs would be stored without earlier ones.
fn work(
    mut connection: Connection,
    jobs: &mpsc::Receiver<Queued>,
    pulse: &Pulse,
    (guard, damage): (&mut Option<Guard>, &Damage),
) {
    while let Ok(first) = jobs.recv() {
        pulse.begin();
        let waiting = std::iter::from_fn(|| jobs.try_recv().ok());
        let batch: Vec<Queued> = std::iter::once(first).chain(waiting.take(BATCH - 1)).collect();
        let written = match fault(guard.as_mut(), damage) {
            None => write(&mut connection, batch),
            Some(error) => {
                tracing::error!(%error, "writing to the store failed");
                batch.into_iter().for_each(|(_, fail)| refuse(fail, &error));
                Err(error)
            }
        };
        pulse.rest();
        if let Err(error) = written {
            jobs.iter().for_each(|(_, fail)| refuse(fail, &error));
            return;
        }
    }
    if let Some(guard) = guard {
        guard.is_sound = true;
    }
}

/// Returns the reason why the store must not be written although SQLite would allow it.
fn fault(guard: Option<&mut Guard>, damage: &Damage) -> Option<rusqlite::Error> {
    let failure =
        |code, why: String| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(why));
    if let Some(found) = damage.found() {
        return Some(failure(rusqlite::ffi::SQLITE_CORRUPT, found));
    }
    let is_gone = guard.is_some_and(|guard| !guard.is_in_place());
    is_gone.then(|| failure(MOVED, "the file was removed or replaced".to_owned()))
}

/// Damage found by a check that runs beside the writer.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<Mutex<Option<String>>>);

impl Damage {
    pub(super) fn note(&self, found: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }

    fn found(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn write(connection: &mut Connection, batch: Vec<Queued>) -> rusqlite::Result<()> {
    commit(connection, batch).map_err(|(fails, error)| {
        tracing::error!(%error, "writing to the store failed");
        fails.into_iter().for_each(|fail| refuse(fail, &error));
        error
    })
}

/// Reports to the caller why nothing was written; the caller may be gone.
fn refuse(fail: oneshot::Sender<rusqlite::Error>, error: &rusqlite::Error) {
    let _ = fail.send(copy(error));
}

type Fails = Vec<oneshot::Sender<rusqlite::Error>>;

/// Commits all or nothing: one failed job fails the batch, so that nothing uncertain is
/// acknowledged.
fn commit(connection: &mut Connection, batch: Vec<Queued>) -> Result<(), (Fails, rusqlite::Error)> {
    let (jobs, mut fails): (Vec<Job>, Fails) = batch.into_iter().unzip();
    let run = || {
        let transaction = connection.transaction()?;
        let done = jobs.into_iter().map(|job| job(&transaction)).collect::<rusqlite::Result<Vec<Done>>>()?;
        transaction.commit()?;
        Ok(done)
    };
    match run() {
        Ok(done) => {
            done.into_iter().for_each(|acknowledge| acknowledge());
            fails.clear();
            Ok(())
        }
        Err(error) => Err((fails, error)),
    }
}

/// Copies an error by its code and message, because SQLite's errors cannot be cloned.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    let code = error
        .sqlite_error()
        .copied()
        .unwrap_or_else(|| rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR));
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}
