//! Keeps a copy of the store in a file of the active replica, so that this replica can go on alone, if a
//! person decides so, while the database does not answer.
//!
//! The copy has the rows that are more than history. It follows each transaction within moments; what
//! happens to it never delays or ends the work of the replica.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::{COPY_RETRY, READING_TIMEOUT};
use crate::store::sql::{self, Database, Job, Recording, Session, Statement};
use crate::store::sqlite::{self, CopyFile, OpenCopy};
use crate::store::{Origin, StoreError};

use super::address::Address;
use super::connection::Connection;
use super::lease::{self, Held, Leased};

/// The database of the active replica, with its copy.
pub(super) struct Copying {
    leased: Leased,
    /// None without a thread.
    copier: Option<Copier>,
}

impl Copying {
    /// Starts to keep a copy.
    pub(super) fn new(leased: Leased, address: &Address, copy: &Path) -> Self {
        let of = Source {
            address: address.clone(),
            copy: copy.to_owned(),
            origin: leased.origin(WallClock.now()),
            before: leased.before().clone(),
        };
        Self { copier: Copier::start(of), leased }
    }

    fn pass_on(&self, statements: Vec<Statement>) {
        if let Some(copier) = &self.copier {
            copier.pass_on(Transaction { number: self.leased.commits(), statements });
        }
    }
}

impl Database for Copying {
    fn transact(&mut self, job: Job) -> Result<(), StoreError> {
        let mut statements = None;
        let done = self.leased.transact(&mut |session| {
            let mut recording = Recording::new(session);
            job(&mut recording)?;
            statements = Some(recording.end());
            Ok(())
        });
        // Also if the answer to the commit was lost: a copy may have a transaction that was never
        // acknowledged, and must have each one that the database has.
        if let Some(statements) = statements {
            self.pass_on(statements);
        }
        done
    }

    fn idle_time(&self) -> Option<Duration> {
        self.leased.idle_time()
    }

    fn close(&mut self) {
        self.leased.close();
        self.pass_on(Vec::new());
    }

    fn abandon(&mut self) {
        self.leased.abandon();
        if let Some(copier) = &mut self.copier {
            copier.end();
        }
    }
}

/// A transaction of the active replica.
struct Transaction {
    number: i64,
    statements: Vec<Statement>,
}

/// Transactions that wait for the thread: a disk that hangs must not take the memory.
const WAITING: usize = 10_000;
/// The longest wait for a thread that is to end.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// The most by which the pause between two attempts grows.
const MOST_PAUSES: u32 = 60;

/// The thread that writes the copy.
struct Copier {
    transactions: Option<SyncSender<Transaction>>,
    /// Closed once the thread has ended.
    ended: Receiver<()>,
    state: Arc<AtomicU8>,
}

/// The thread reads the whole store, which may take long, or waits to do so.
const COPYING: u8 = 0;
/// The thread follows the transactions.
const FOLLOWING: u8 = 1;
/// The thread is to end before it follows.
const STOPPING: u8 = 2;

/// The source of a copy, and its file.
struct Source {
    address: Address,
    copy: PathBuf,
    /// The origin of a copy with all transactions up to the start of the lease.
    origin: Origin,
    /// The lease before.
    before: Held,
}

impl Copier {
    /// Starts the thread; `None` if the system has no threads left.
    fn start(of: Source) -> Option<Self> {
        let (send, transactions) = mpsc::sync_channel(WAITING);
        let (ends, ended) = mpsc::channel();
        let state = Arc::new(AtomicU8::new(COPYING));
        let thread_state = state.clone();
        let work = move || {
            keep_trying(&of, &transactions, &thread_state);
            drop(ends);
        };
        std::thread::Builder::new().name("copy".to_owned()).spawn(work).ok()?;
        Some(Self { transactions: Some(send), ended, state })
    }

    fn pass_on(&self, transaction: Transaction) {
        if let Some(transactions) = &self.transactions {
            // The thread notices one that is missing, and begins anew.
            let _ = transactions.try_send(transaction);
        }
    }

    /// Lets the thread store what waits, and end.
    fn end(&mut self) {
        drop(self.transactions.take());
        let _ = self.state.compare_exchange(COPYING, STOPPING, Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.end();
        if self.state.load(Ordering::SeqCst) == FOLLOWING {
            // It is closed, and nothing is ever sent.
            let _ = self.ended.recv_timeout(LAST_WAIT);
        }
    }
}

/// Keeps the copy, and begins anew after each failure.
fn keep_trying(of: &Source, transactions: &Receiver<Transaction>, state: &AtomicU8) {
    let (mut reported, mut pauses) = (None, 1);
    let mut is_first = true;
    loop {
        let began = || {
            if reported.take().is_some() {
                tracing::info!(copy = %of.copy.display(), "the copy of the store is kept again");
            }
            pauses = 1;
        };
        let is_first = std::mem::take(&mut is_first);
        let Err(error) = keep_up(of, is_first, transactions, state, began) else { return };
        if state.swap(COPYING, Ordering::SeqCst) == STOPPING {
            return;
        }
        let why = error.cause();
        if reported.as_ref() != Some(&why) {
            let message = "without a copy of the store, run --alone is not possible";
            tracing::warn!(copy = %of.copy.display(), why, "{message}");
            reported = Some(why);
        }
        if !pause(transactions, COPY_RETRY * pauses) {
            return;
        }
        pauses = (2 * pauses).min(MOST_PAUSES);
    }
}

/// Discards transactions for a while; returns false once there are no more.
fn pause(transactions: &Receiver<Transaction>, length: Duration) -> bool {
    let until = WallClock.uptime() + length;
    loop {
        match transactions.recv_timeout(until.saturating_sub(WallClock.uptime())) {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Checks the rights that only the way back needs: later would be too late.
fn check_rights(connection: &mut Connection) -> Result<(), StoreError> {
    let path = connection.path().to_owned();
    let session: &mut dyn Session = connection;
    for table in sql::NUMBERED {
        let may = format!(
            "SELECT has_sequence_privilege(pg_get_serial_sequence('rtconfd.{table}', 'id'), 'UPDATE')::INT::BIGINT"
        );
        if session.first(&may, &[])? != Some(1) {
            let hint =
                "as the owner, GRANT UPDATE ON ALL SEQUENCES IN SCHEMA rtconfd to the user of store.url";
            let error = "its sequences must be writable, to put the rows of a copy back".to_owned();
            return Err(StoreError::Failed { path, error, hint: Some(hint) });
        }
    }
    Ok(())
}

/// Copies the store, and follows its transactions until there are no more.
///
/// `began` is called once the copy is complete. Only the first attempt gets all transactions of the lease.
fn keep_up(
    of: &Source,
    is_first: bool,
    transactions: &Receiver<Transaction>,
    state: &AtomicU8,
    began: impl FnOnce(),
) -> Result<(), StoreError> {
    let file = CopyFile::new(&of.copy, &of.address.to_string());
    let failed = |error: &str| StoreError::Failed { path: file.shown(), error: error.to_owned(), hint: None };
    let mut copy = open(&file)?;
    let mut origin = match is_first && is_complete(of, copy.origin()?.as_ref()) {
        true => {
            copy.note(&of.origin)?;
            of.origin.clone()
        }
        false => copy_all(of, &mut copy, state)?,
    };
    if state.compare_exchange(COPYING, FOLLOWING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return Err(StoreError::Closed);
    }
    began();
    while let Ok(first) = transactions.recv() {
        let waiting: Vec<Transaction> =
            std::iter::once(first).chain(std::iter::from_fn(|| transactions.try_recv().ok())).collect();
        copy.transact(&mut |session| {
            for Transaction { number, statements } in &waiting {
                match number - origin.commits {
                    // The copy was made after it.
                    ..1 => continue,
                    1 => sql::replay(session, statements)?,
                    _ => return Err(failed("it lacks a transaction")),
                }
                origin.commits = *number;
            }
            origin.at = WallClock.now();
            sqlite::note(session, &origin)
        })?;
    }
    Ok(())
}

/// Opens the copy, which the thread of an earlier lease may still be writing.
fn open(file: &CopyFile) -> Result<OpenCopy, StoreError> {
    let until = WallClock.uptime() + LAST_WAIT;
    loop {
        match file.open_anew() {
            Err(StoreError::InUse { .. }) if WallClock.uptime() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// Returns true if a copy has all that the database had at the begin of the lease.
fn is_complete(of: &Source, known: Option<&Origin>) -> bool {
    let Some(known) = known.filter(|known| known.store == of.origin.store) else { return false };
    let is_of_lease_before = of.before.is_lease_of(known) && of.before.commits == known.commits;
    // Its rows were put back with this lease.
    let is_of_this_lease = known.lease == of.origin.lease && known.commits == of.origin.commits;
    is_of_lease_before || is_of_this_lease
}

/// Replaces the copy by what the database has now; returns where it comes from.
fn copy_all(of: &Source, copy: &mut OpenCopy, state: &AtomicU8) -> Result<Origin, StoreError> {
    // Up to now it was that of an earlier lease, whose rows the database would refuse.
    copy.forget()?;
    let mut connection = Connection::open(&of.address)?.with_limit(READING_TIMEOUT);
    connection.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    // The snapshot is taken by the first query.
    let held = lease::read(&mut connection)?;
    if held.epoch != of.origin.epoch {
        return Err(StoreError::TakenOver { path: of.address.to_string(), other: held.described });
    }
    check_rights(&mut connection)?;
    let origin = Origin { commits: held.commits, at: WallClock.now(), ..of.origin.clone() };
    copy.transact(&mut |session| {
        sql::clear(session)?;
        let mut writing = sql::Writing::new(session, false);
        sql::read_current(&mut connection, &mut |row| match state.load(Ordering::SeqCst) {
            STOPPING => Err(StoreError::Closed),
            _ => writing.take(row),
        })?;
        writing.end()?;
        sqlite::note(session, &origin)
    })?;
    Ok(origin)
}
