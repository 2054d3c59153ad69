//! The single queue of store jobs: one thread owns the connection and commits all waiting jobs in
//! one transaction.

use std::fmt;
use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::limits::listener::WORK_TIMEOUT;
use crate::pulse::Pulse;
use crate::store::{StoreError, Written};

use super::Session;

/// Maximum jobs committed together.
const BATCH: usize = 256;
/// The longest time that a [`Moment::WithNext`] job waits for another one to share its commit.
const LINGER: Duration = Duration::from_millis(1);

/// A connection that runs jobs in a transaction.
pub(in crate::store) trait Database: Send {
    /// Runs a job in a transaction of its own, and commits it.
    ///
    /// # Errors
    /// When the store must not or cannot be written, or it is unclear whether the job is durable.
    fn transact(&mut self, job: Job) -> Result<(), StoreError>;

    /// Returns the time after which an idle connection needs an empty transaction; `None` if never.
    fn idle_time(&self) -> Option<Duration> {
        None
    }

    /// Ends the connection after all jobs have succeeded.
    fn close(&mut self) {}

    /// Gives the store up after a failure, so that this process may open it again.
    ///
    /// A store that other processes are kept from by a lock stays locked until the last writer has gone.
    fn abandon(&mut self) {}
}

/// Statements to run in one transaction.
pub(in crate::store) type Job<'a> = &'a mut (dyn FnMut(&mut dyn Session) -> Result<(), StoreError> + Send);

/// A job in the queue.
struct Queued {
    work: Work,
    fail: Fail,
    moment: Moment,
}

/// The time at which a job is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Together with the jobs that wait now.
    AtOnce,
    /// With the next job that is committed at once, or after [`LINGER`].
    ///
    /// Each commit waits for the disk.
    WithNext,
}

/// Runs a job's statements.
type Work = Box<dyn FnOnce(&mut dyn Session) -> Result<Done, StoreError> + Send>;
/// Notifies the waiting caller that the job is durable.
type Done = Box<dyn FnOnce() + Send>;
type Fail = oneshot::Sender<StoreError>;

/// The queue that accepts jobs in execution order.
#[derive(Clone, Debug)]
pub(in crate::store) struct Queue {
    worker: Worker,
    pulse: Pulse,
    /// The failure after which nothing more is written.
    failed: watch::Receiver<Option<StoreError>>,
}

#[derive(Clone, Debug)]
enum Worker {
    /// Jobs go to the thread that owns the connection.
    Thread(Arc<Thread>),
    /// The caller commits each job itself, until one fails.
    InPlace(Arc<Mutex<InPlace>>),
}

struct InPlace {
    database: Box<dyn Database>,
    failed: watch::Sender<Option<StoreError>>,
}

impl fmt::Debug for InPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("InPlace").finish_non_exhaustive()
    }
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
    fn take(&self, job: Queued) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(job);
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
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub(in crate::store) fn start(database: Box<dyn Database>) -> std::io::Result<Self> {
        Self::start_with(database, LINGER)
    }

    /// The same with another [`LINGER`].
    fn start_with(database: Box<dyn Database>, linger: Duration) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let pulse = Pulse::new("the thread that writes the store", WORK_TIMEOUT);
        let (failing, failed) = watch::channel(None);
        let beating = pulse.clone();
        let worker = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(database, &jobs, linger, &beating, &failing))?;
        let thread = Thread { queue: Some(queue), worker: Some(worker) };
        Ok(Self { worker: Worker::Thread(Arc::new(thread)), pulse, failed })
    }

    /// Creates a queue without a thread: each caller commits its job itself.
    pub(in crate::store) fn in_place(database: Box<dyn Database>) -> Self {
        let pulse = Pulse::new("the store", WORK_TIMEOUT);
        let (failing, failed) = watch::channel(None);
        let worker = Worker::InPlace(Arc::new(Mutex::new(InPlace { database, failed: failing })));
        Self { worker, pulse, failed }
    }

    /// Returns the pulse of the thread.
    pub(in crate::store) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Returns true once nothing more is written.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.borrow().is_some()
    }

    /// Waits for the failure after which nothing more is written.
    pub(super) fn failed(&self) -> impl Future<Output = StoreError> + Send + use<> {
        let mut failed = self.failed.clone();
        async move {
            match failed.wait_for(Option::is_some).await.map(|failed| failed.clone()) {
                Ok(Some(error)) => error,
                // The thread has ended without one.
                _ => StoreError::Closed,
            }
        }
    }

    /// Queues a job immediately; the returned future resolves with its result once it is durable.
    pub(super) fn run<T: Send + 'static>(
        &self,
        moment: Moment,
        job: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Written<T> {
        let (answer, answered) = oneshot::channel();
        let (fail, failed) = oneshot::channel();
        let work = move |session: &mut dyn Session| {
            let value = job(session)?;
            let done: Done = Box::new(move || {
                // The caller may be gone.
                let _ = answer.send(value);
            });
            Ok(done)
        };
        let queued = Queued { work: Box::new(work), fail, moment };
        match &self.worker {
            Worker::Thread(thread) => thread.take(queued),
            Worker::InPlace(in_place) => {
                let InPlace { database, failed } =
                    &mut *in_place.lock().unwrap_or_else(PoisonError::into_inner);
                let failure = failed.borrow().clone();
                match failure {
                    Some(error) => refuse(queued.fail, &error),
                    None => {
                        if let Err(error) = commit(&mut **database, vec![queued]) {
                            failed.send_replace(Some(error));
                        }
                    }
                }
            }
        }
        Box::pin(async move {
            match answered.await {
                Ok(value) => Ok(value),
                Err(_) => Err(failed.await.unwrap_or(StoreError::Closed)),
            }
        })
    }
}

/// Runs jobs as they arrive; all waiting jobs are committed together and only then acknowledged.
///
/// After a failure nothing more is written: later jobs would be stored without earlier ones.
fn work(
    mut database: Box<dyn Database>,
    jobs: &mpsc::Receiver<Queued>,
    linger: Duration,
    pulse: &Pulse,
    failed: &watch::Sender<Option<StoreError>>,
) {
    loop {
        let first = match database.idle_time() {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(time) => jobs.recv_timeout(time),
        };
        let first = match first {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return database.close(),
        };
        let batch = gather(first, jobs, linger);
        pulse.begin();
        let written = commit(&mut *database, batch);
        pulse.rest();
        if let Err(error) = written {
            // First: what waits for the failure may open the store again.
            database.abandon();
            failed.send_replace(Some(error.clone()));
            jobs.iter().for_each(|queued| refuse(queued.fail, &error));
            return;
        }
    }
}

/// Returns a job together with all that wait.
///
/// If all of them are [`Moment::WithNext`], waits up to `linger` for one that is not.
fn gather(first: Option<Queued>, jobs: &mpsc::Receiver<Queued>, linger: Duration) -> Vec<Queued> {
    let mut batch: Vec<Queued> = first.into_iter().collect();
    let until = Instant::now() + linger;
    loop {
        let waiting = std::iter::from_fn(|| jobs.try_recv().ok());
        batch.extend(waiting.take(BATCH - batch.len()));
        let may_wait = batch.iter().all(|queued| queued.moment == Moment::WithNext);
        if batch.is_empty() || !may_wait || batch.len() >= BATCH {
            return batch;
        }
        match jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(queued) => batch.push(queued),
            Err(_) => return batch,
        }
    }
}

/// Reports to the caller why nothing was written; the caller may be gone.
fn refuse(fail: Fail, error: &StoreError) {
    let _ = fail.send(error.clone());
}

/// Commits all or nothing: one failed job fails the batch, so that nothing uncertain is
/// acknowledged.
fn commit(database: &mut dyn Database, batch: Vec<Queued>) -> Result<(), StoreError> {
    let (jobs, fails): (Vec<_>, Vec<Fail>) =
        batch.into_iter().map(|queued| (queued.work, queued.fail)).unzip();
    let (mut jobs, mut done) = (jobs.into_iter(), Vec::new());
    let written = database.transact(&mut |session| {
        for job in jobs.by_ref() {
            done.push(job(session)?);
        }
        Ok(())
    });
    match &written {
        Ok(()) => done.into_iter().for_each(|acknowledge| acknowledge()),
        Err(error) => {
            tracing::error!(%error, "writing to the store failed");
            // The reply channels of jobs that have run close first, so that each caller reads its error.
            drop(done);
            fails.into_iter().for_each(|fail| refuse(fail, error));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::store::sql::{Param, Row};

    use super::*;

    /// A database that only counts its transactions.
    struct Counter(Arc<AtomicUsize>);

    struct Nothing;

    impl Session for Nothing {
        fn execute(&mut self, _: &str, _: &[Param]) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn each(
            &mut self,
            _: &str,
            _: &[Param],
            _: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
        ) -> Result<(), StoreError> {
            Ok(())
        }
    }

    impl Database for Counter {
        fn transact(&mut self, job: Job) -> Result<(), StoreError> {
            job(&mut Nothing)?;
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    /// Returns a queue and the number of its transactions.
    fn queue(linger: Duration) -> (Queue, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        (Queue::start_with(Box::new(Counter(count.clone())), linger).unwrap(), count)
    }

    #[tokio::test]
    async fn a_job_without_hurry_is_committed_with_the_next_one_that_is_committed_at_once() {
        let (queue, transactions) = queue(Duration::from_secs(600));
        let soon: Vec<_> = (0..3).map(|number| queue.run(Moment::WithNext, move |_| Ok(number))).collect();
        assert_eq!(queue.run(Moment::AtOnce, |_| Ok(3)).await.unwrap(), 3);
        for (number, done) in soon.into_iter().enumerate() {
            assert_eq!(done.await.unwrap(), number);
        }
        assert_eq!(transactions.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_job_without_hurry_is_committed_alone_if_none_follows() {
        let (idle, transactions) = queue(Duration::from_millis(1));
        idle.run(Moment::WithNext, |_| Ok(())).await.unwrap();
        assert_eq!(transactions.load(Ordering::SeqCst), 1);
        // The end of the queue does not wait either.
        let (ending, transactions) = queue(Duration::from_secs(600));
        let done = ending.run(Moment::WithNext, |_| Ok(()));
        drop(ending);
        done.await.unwrap();
        assert_eq!(transactions.load(Ordering::SeqCst), 1);
    }
}
