//! Keeps a copy of the store in a file of the active replica, so that this replica can go on alone, if a
//! person decides so, while the database does not answer.
//!
//! The copy has the rows that are more than history. It follows each transaction within moments; what
//! happens to it never delays or ends the work of the replica.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::{COPY_RETRY, READING_TIMEOUT};
use crate::store::sql::{self, Database, Job, Recording, Session, Statement};
use crate::store::sqlite::{self, CopyFile};
use crate::store::{Origin, StoreError};

use super::address::Address;
use super::connection::Connection;
use super::lease::{self, Leased};

/// The database of the active replica, with its copy.
pub(super) struct Copying {
    leased: Leased,
    /// None once the store was given up.
    copier: Option<Copier>,
}

impl Copying {
    /// Starts to keep a copy.
    pub(super) fn new(leased: Leased, address: &Address, copy: &Path) -> Self {
        let (store, epoch) = leased.identity();
        let of = Source { address: address.clone(), store: store.to_owned(), epoch, copy: copy.to_owned() };
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
        // Also if the answer to the commit was lost: a copy may have what nobody was told to be durable,
        // and must have what the database has.
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
        self.copier = None;
    }
}

/// A transaction of the active replica.
struct Transaction {
    number: i64,
    statements: Vec<Statement>,
}

/// The thread that writes the copy. Dropping it lets the thread finish what is complete.
struct Copier {
    transactions: Option<Sender<Transaction>>,
    thread: Option<JoinHandle<()>>,
    phase: Arc<AtomicU8>,
}

/// The phases of the thread.
mod phase {
    /// It waits, or reads the whole store, which may take long.
    pub(super) const COPYING: u8 = 0;
    /// It follows.
    pub(super) const FOLLOWING: u8 = 1;
    /// It is to stop before it follows.
    pub(super) const STOPPING: u8 = 2;
}

/// What is copied, and where to.
struct Source {
    address: Address,
    store: String,
    epoch: i64,
    copy: std::path::PathBuf,
}

impl Copier {
    /// Starts the thread; without one there is no copy.
    fn start(of: Source) -> Option<Self> {
        let (send, transactions) = mpsc::channel();
        let phase = Arc::new(AtomicU8::new(phase::COPYING));
        let seen = phase.clone();
        let thread = std::thread::Builder::new().name("copy".to_owned()).spawn(move || {
            let mut reported = String::new();
            while let Err(error) = keep_up(&of, &transactions, &seen) {
                if seen.swap(phase::COPYING, Ordering::SeqCst) == phase::STOPPING {
                    return;
                }
                let error = error.to_string();
                if error != reported {
                    let copy = of.copy.display().to_string();
                    tracing::warn!(copy, error, "without a copy of the store, run --alone is not possible");
                    reported = error;
                }
                if !pause(&transactions) {
                    return;
                }
            }
        });
        let thread = thread.ok()?;
        Some(Self { transactions: Some(send), thread: Some(thread), phase })
    }

    fn pass_on(&self, transaction: Transaction) {
        if let Some(transactions) = &self.transactions {
            // The thread ends only after the channel.
            let _ = transactions.send(transaction);
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        drop(self.transactions.take());
        let is_copying = self
            .phase
            .compare_exchange(phase::COPYING, phase::STOPPING, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if let (false, Some(thread)) = (is_copying, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// Lets transactions pass for a while; returns false at their end.
fn pause(transactions: &Receiver<Transaction>) -> bool {
    let until = WallClock.uptime() + COPY_RETRY;
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
fn keep_up(of: &Source, transactions: &Receiver<Transaction>, seen: &AtomicU8) -> Result<(), StoreError> {
    let file = CopyFile::new(&of.copy, &of.address.to_string());
    let failed = |error: &str| StoreError::Failed { path: file.shown(), error: error.to_owned(), hint: None };
    let mut copy = file.open_anew()?;
    let mut connection = Connection::open(&of.address)?.with_limit(READING_TIMEOUT);
    connection.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    // The first query fixes what all others see.
    let held = lease::read(&mut connection)?;
    if held.epoch != of.epoch {
        return Err(StoreError::TakenOver { path: of.address.to_string(), other: held.described });
    }
    check_rights(&mut connection)?;
    let mut origin = Origin {
        store: of.store.clone(),
        epoch: of.epoch,
        commits: held.commits,
        at: WallClock.now(),
        returning: None,
        alone: None,
    };
    copy.transact(&mut |session| {
        sql::clear(session)?;
        let mut writing = sql::Writing::new(session, false);
        sql::read_current(&mut connection, &mut |row| match seen.load(Ordering::SeqCst) {
            phase::STOPPING => Err(StoreError::Closed),
            _ => writing.take(row),
        })?;
        writing.end()?;
        sqlite::note(session, &origin)
    })?;
    drop(connection);
    let begun = seen.compare_exchange(phase::COPYING, phase::FOLLOWING, Ordering::SeqCst, Ordering::SeqCst);
    if begun.is_err() {
        return Err(StoreError::Closed);
    }
    tracing::debug!(copy = file.shown(), "the copy of the store is complete");
    while let Ok(first) = transactions.recv() {
        let waiting: Vec<Transaction> =
            std::iter::once(first).chain(std::iter::from_fn(|| transactions.try_recv().ok())).collect();
        copy.transact(&mut |session| {
            for Transaction { number, statements } in &waiting {
                match number - origin.commits {
                    // The copy was made after it.
                    ..1 => continue,
                    1 => sql::run_again(session, statements)?,
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
