//! The lease: which of several programs writes, and until when it may trust that.
//!
//! A lease has a number, its *epoch*. It ends when another program takes it, and a program takes it
//! only if its holder released it, or if the counter of the holder's transactions stood still for
//! longer than the holder trusts its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::{
    DATABASE_TIMEOUT, HEARTBEAT, LEASE, LEASE_MARGIN, POLL, READING_TIMEOUT, RENEWALS,
};
use crate::model::Instant;
use crate::store::sql::{Database, Job, Session, Trust, params};
use crate::store::{Origin, StoreError};

use super::connection::Connection;

/// The times of a lease; all programs that share a store read them from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The time for which a holder trusts it.
    pub(super) length: Duration,
    /// The additional time after which another program takes it.
    pub(super) margin: Duration,
    /// The time between two looks at a lease of another.
    pub(super) poll: Duration,
}

impl Terms {
    /// Returns the times of a lease of some milliseconds; a short one is for tests.
    pub(super) fn of(length_ms: i64) -> Self {
        let length = Duration::from_millis(length_ms.unsigned_abs());
        let part = length.as_secs_f64() / LEASE.as_secs_f64();
        Self { length, margin: LEASE_MARGIN.mul_f64(part), poll: POLL.mul_f64(part.min(1.0)) }
    }
}

/// The ids of leases that this process no longer uses: it may take these at once.
static ENDED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The highest epoch and counter that this process has seen of each store.
static SEEN: Mutex<BTreeMap<String, (i64, i64)>> = Mutex::new(BTreeMap::new());

/// The row of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The id of the holder; none if it was released.
    pub(super) holder: Option<String>,
    /// The host and process of the holder.
    pub(super) described: String,
    /// The number of the lease.
    pub(super) epoch: i64,
    /// The counter of transactions.
    pub(super) commits: i64,
}

impl Held {
    /// Returns true if a copy was made in this lease.
    pub(super) fn is_lease_of(&self, copy: &Origin) -> bool {
        // A database that lost transactions gives the same number to another lease.
        let is_holder = match &self.holder {
            Some(holder) => *holder == copy.lease,
            None => self.described == copy.described,
        };
        self.epoch == copy.epoch && is_holder
    }
}

/// Reads the row of the lease.
pub(super) fn read(session: &mut dyn Session) -> Result<Held, StoreError> {
    let sql = "SELECT holder, described, epoch, commits FROM rtconfd.lease";
    let rows = session.rows(sql, &[], |row| {
        Ok(Held { holder: row.get(0)?, described: row.get(1)?, epoch: row.get(2)?, commits: row.get(3)? })
    });
    rows?.into_iter().next().ok_or(StoreError::Closed)
}

/// Returns the description of the holder, unless it is a replica that gives no sign of life any more.
pub(super) fn living(session: &mut dyn Session) -> Result<Option<String>, StoreError> {
    let sql = "SELECT described FROM rtconfd.lease WHERE holder IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM rtconfd.replicas WHERE replicas.described = lease.described
            AND at < clock_timestamp() - CAST(?1 AS BIGINT) * INTERVAL '1 second')";
    let silence = i64::try_from(3 * HEARTBEAT.as_secs()).unwrap_or(i64::MAX);
    session.first(sql, params![silence])
}

/// A connection whose transactions are committed only while it holds the lease.
pub(super) struct Leased {
    connection: Connection,
    store: String,
    id: String,
    epoch: i64,
    terms: Terms,
    trust: Trust,
    /// The last renewal, in time since the machine started.
    renewed: Duration,
    /// The counter of transactions as of the last one.
    commits: i64,
    /// The row of the lease that this one replaced.
    before: Held,
}

impl Leased {
    /// Waits for the lease while its holder seems to be dead.
    ///
    /// # Errors
    /// [`StoreError::InUse`] as soon as the holder has renewed it; failures of the database, also if
    /// it lost transactions.
    pub(super) fn acquire(connection: Connection, store: String, terms: Terms) -> Result<Self, StoreError> {
        let mut connection = connection;
        let mut first: Option<(Held, Duration)> = None;
        loop {
            let known = seen(&store);
            let held = read(&mut connection)?;
            let now = WallClock.uptime();
            note_commits(connection.path(), &store, known, (held.epoch, held.commits))?;
            let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
            let is_free = held.holder.as_ref().is_none_or(|holder| ended.contains(holder));
            drop(ended);
            match &first {
                _ if is_free => {}
                Some((known, since)) if *known == held => {
                    if now.saturating_sub(*since) < terms.length + terms.margin {
                        std::thread::sleep(terms.poll);
                        continue;
                    }
                }
                Some(_) => {
                    return Err(StoreError::InUse {
                        path: connection.path().to_owned(),
                        other: held.described,
                    });
                }
                None => {
                    first = Some((held, now));
                    continue;
                }
            }
            if let Some(epoch) = take(&mut connection, &store, &held)? {
                let id = id_of(&store, epoch);
                let trust = Trust::until(now + terms.length, connection.path());
                let commits = held.commits + 1;
                let before = held;
                return Ok(Self {
                    connection,
                    store,
                    id,
                    epoch,
                    terms,
                    trust,
                    renewed: now,
                    commits,
                    before,
                });
            }
            first = None;
        }
    }

    /// Takes the lease if no other program wrote the store after a copy, and puts the rows of the copy back.
    ///
    /// `put_back` gets the lease as found and the id of the new one, before the transaction is committed.
    ///
    /// # Errors
    /// [`StoreError::Diverged`] if the store was written; those of the database and of `put_back`.
    pub(super) fn come_back(
        connection: Connection,
        (store, terms): (String, Terms),
        (copy, from): (&str, &Origin),
        put_back: impl FnOnce(&Held, &str, &mut dyn Session) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let mut connection = connection.with_limit(READING_TIMEOUT);
        let held = read(&mut connection)?;
        let path = connection.path().to_owned();
        let is_as_copied = store == from.store && held.is_lease_of(from) && held.commits <= from.commits;
        // The answer to an earlier attempt was lost, and no other program took the lease since.
        let is_ours = from.returning.is_some() && held.holder == from.returning;
        if !is_as_copied && !is_ours {
            return Err(StoreError::Diverged { path, copy: copy.to_owned(), other: held.described });
        }
        let commits = held.commits.max(from.commits);
        if commits < seen(&store).1 {
            // Neither has what this process stored.
            return Err(StoreError::Rewound { path, lost: seen(&store).1 - commits });
        }
        let (epoch, commits) = (held.epoch + 1, commits + 1);
        let id = id_of(&store, epoch);
        connection.batch("BEGIN")?;
        let take = "UPDATE rtconfd.lease SET holder = ?1, described = ?2, epoch = ?3, commits = ?4
            WHERE epoch = ?5 AND commits = ?6";
        let session: &mut dyn Session = &mut connection;
        let ours = described();
        let params = params![id, ours, epoch, commits, held.epoch, held.commits];
        if session.execute(take, params)? == 0 {
            return Err(StoreError::Unreachable {
                path,
                error: "another replica took the lease at the same time".to_owned(),
            });
        }
        put_back(&held, &id, &mut connection)?;
        let sent = WallClock.uptime();
        connection.batch("COMMIT")?;
        note_commits(connection.path(), &store, (0, 0), (epoch, commits))?;
        let trust = Trust::until(sent + terms.length, connection.path());
        let connection = connection.with_limit(DATABASE_TIMEOUT);
        let before = held;
        Ok(Self { connection, store, id, epoch, terms, trust, renewed: sent, commits, before })
    }

    /// Returns where a copy comes from that has all transactions of this lease up to now.
    pub(super) fn origin(&self, at: Instant) -> Origin {
        Origin {
            database: self.connection.path().to_owned(),
            store: self.store.clone(),
            epoch: self.epoch,
            lease: self.id.clone(),
            described: described(),
            commits: self.commits,
            at,
            returning: None,
            alone: None,
            refused: None,
        }
    }

    /// Returns the row of the lease that this one replaced.
    pub(super) fn before(&self) -> &Held {
        &self.before
    }

    /// Returns the number of the last transaction.
    pub(super) fn commits(&self) -> i64 {
        self.commits
    }

    /// Returns until when the lease is trusted.
    pub(super) fn trust(&self) -> Trust {
        self.trust.clone()
    }

    /// Begins a transaction of the holder.
    fn begin(&mut self) -> Result<(), StoreError> {
        let path = self.connection.path().to_owned();
        if self.trust.left().is_zero() {
            return Err(StoreError::LeaseEnded { path });
        }
        self.connection.batch("BEGIN")?;
        let fence = "UPDATE rtconfd.lease SET commits = commits + 1
            WHERE holder = ?1 AND epoch = ?2 RETURNING commits";
        let session: &mut dyn Session = &mut self.connection;
        match session.first(fence, params![self.id, self.epoch])? {
            Some(commits) => {
                self.commits = commits;
                Ok(())
            }
            None => Err(StoreError::TakenOver { path, other: read(session)?.described }),
        }
    }
}

/// Takes the lease if it is still as seen; returns its epoch.
fn take(session: &mut dyn Session, store: &str, seen: &Held) -> Result<Option<i64>, StoreError> {
    let (Held { epoch, commits, .. }, next) = (seen, seen.epoch + 1);
    let take = "UPDATE rtconfd.lease SET holder = ?1, described = ?2, epoch = ?3, commits = commits + 1
        WHERE epoch = ?4 AND commits = ?5 RETURNING epoch";
    session.first(take, params![id_of(store, next), described(), next, epoch, commits])
}

/// Returns the id of this process as the holder of an epoch.
fn id_of(store: &str, epoch: i64) -> String {
    static PROCESS: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let process = PROCESS.get_or_init(|| format!("{:016x}", fastrand::u64(..)));
    format!("{process}-{store}-{epoch}")
}

/// Returns the host and process, for people.
pub(super) fn described() -> String {
    let host = rustix::system::uname();
    format!("process {} on {}", std::process::id(), host.nodename().to_string_lossy())
}

/// Returns the highest epoch and counter that were noted of a store.
fn seen(store: &str) -> (i64, i64) {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.get(store).copied().unwrap_or_default()
}

/// Notes the epoch and the counter of a store, as committed.
///
/// `known` was noted before they were read: meanwhile another thread may have noted newer ones.
///
/// # Errors
/// When one is lower than known: the database lost transactions.
fn note_commits(path: &str, store: &str, known: (i64, i64), found: (i64, i64)) -> Result<(), StoreError> {
    if found.0 < known.0 || found.1 < known.1 {
        return Err(StoreError::Rewound { path: path.to_owned(), lost: (known.1 - found.1).max(1) });
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let noted = seen.entry(store.to_owned()).or_default();
    *noted = (noted.0.max(found.0), noted.1.max(found.1));
    Ok(())
}

impl Database for Leased {
    fn transact(&mut self, job: Job) -> Result<(), StoreError> {
        let known = seen(&self.store);
        let done = self.begin().and_then(|()| job(&mut self.connection));
        if let Err(error) = done {
            // Without an answer the connection is of no use, and the server ends the transaction.
            let _ = self.connection.batch("ROLLBACK");
            return Err(error);
        }
        // The row stays locked up to here, so no other program could count from an earlier time.
        let sent = WallClock.uptime();
        self.connection.batch("COMMIT")?;
        note_commits(self.connection.path(), &self.store, known, (self.epoch, self.commits))?;
        self.renewed = sent;
        self.trust.extend(sent + self.terms.length);
        Ok(())
    }

    fn idle_time(&self) -> Option<Duration> {
        let next = self.renewed + self.terms.length / RENEWALS;
        Some(next.saturating_sub(WallClock.uptime()))
    }

    fn abandon(&mut self) {
        self.connection.close();
        ENDED.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id.clone());
    }

    fn close(&mut self) {
        let release = "UPDATE rtconfd.lease SET holder = NULL, commits = commits + 1
            WHERE holder = ?1 AND epoch = ?2 RETURNING commits";
        let known = seen(&self.store);
        let session: &mut dyn Session = &mut self.connection;
        let released =
            session.first(release, params![self.id, self.epoch]).and_then(|commits| match commits {
                Some(commits) => {
                    self.commits = commits;
                    note_commits(self.connection.path(), &self.store, known, (self.epoch, commits))
                }
                None => Ok(()),
            });
        // A lease that was not released is taken over after its time.
        if let Err(error) = released {
            // It may have been released: only the answer is missing.
            self.commits += 1;
            tracing::warn!(%error, "the lease was not released");
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_compared_with_those_noted_before_it_was_read() {
        let note = |known, found| note_commits("database", "store of this test", known, found);
        note((0, 0), (1, 6)).unwrap();
        // Read before the other thread committed, and noted after it.
        note((1, 5), (1, 5)).unwrap();
        assert_eq!(seen("store of this test"), (1, 6));
        for (found, missing) in [((1, 5), 1), ((1, 2), 4), ((0, 9), 1)] {
            match note((1, 6), found) {
                Err(StoreError::Rewound { lost, .. }) => assert_eq!(lost, missing, "{found:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
