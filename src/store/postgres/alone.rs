//! A replica that goes on alone while the database does not answer, by the decision of a person.
//!
//! It works on its copy of the store. Once the database answers, the rows of the copy go back to it in
//! one transaction, but only if nobody wrote the database since the copy: epoch and counter of the lease
//! tell. So nothing is merged by guess.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::POLL;
use crate::store::sql::{self, Session, Trust, params};
use crate::store::sqlite;
use crate::store::{Alone, Origin, Owner, Store, StoreError};

use super::Postgres;
use super::lease::Leased;
use super::location::{number_on, on_thread};

/// The time between two notes that the copy is in use.
const USE_NOTED: TimeDelta = TimeDelta::seconds(30);

/// Attempts to put the rows back that failed in a row.
static FAILED_RETURNS: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// Returns the decision to use the copy alone, as long as its rows are not back.
    ///
    /// # Errors
    /// A copy that cannot be read: it may tell that this replica ran alone. One of another database that
    /// does.
    pub fn alone(&self) -> Result<Option<Alone>, StoreError> {
        let Some(Origin { database, alone: Some(alone), .. }) = self.origin()? else { return Ok(None) };
        if database != self.path() {
            let error = format!("it was used alone, as a copy of {database}");
            let hint = Some("put that address back into store.url, or move the copy away");
            return Err(StoreError::Failed { path: self.copy().shown(), error, hint });
        }
        Ok(Some(alone))
    }

    /// Returns true if there is a file of the copy, whatever it is.
    pub fn has_copy(&self) -> bool {
        self.copy().exists()
    }

    /// Returns where the copy comes from; `None` if there is none.
    ///
    /// # Errors
    /// A copy that cannot be read.
    pub fn origin(&self) -> Result<Option<Origin>, StoreError> {
        self.copy().origin()
    }

    /// Connects to the database.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if it does not answer.
    pub fn reach(&self) -> Result<(), StoreError> {
        on_thread(|| self.connect().map(drop))
    }

    /// Records the decision to use the copy alone.
    ///
    /// # Errors
    /// No copy, one that cannot be written, or one that a process uses.
    pub fn decide(&self, alone: &Alone) -> Result<(), StoreError> {
        let mut copy = self.copy().open()?;
        let origin = copy.origin()?.ok_or(StoreError::Closed)?;
        let decided = Origin { alone: Some(alone.clone()), ..origin };
        copy.transact(&mut |session| {
            sqlite::note(session, &decided)?;
            note_fact(session, &alone.to_fact(None))
        })
    }

    /// Opens the copy as the store, until the database answers.
    ///
    /// # Errors
    /// `failure`, that of the database, if the decision is not followed any more.
    pub(super) fn open_copy(
        &self,
        owner: Option<&Owner>,
        failure: &str,
    ) -> Result<Arc<dyn Store>, StoreError> {
        let origin = self.origin()?.filter(|origin| origin.refused.is_none());
        if !origin.as_ref().is_some_and(|origin| origin.is_followed(WallClock.now())) {
            let error = match origin {
                Some(_) => format!(
                    "{failure}; the decision to run alone is not followed after a pause (hint: decide it again \
                     with rtconfd run --alone --yes)"
                ),
                None => failure.to_owned(),
            };
            return Err(StoreError::Unreachable { path: self.path(), error });
        }
        let trust = Trust::until_withdrawn(StoreError::Returned { path: self.path() });
        let (withdrawal, database) = (trust.withdrawal(), self.clone());
        let store = self.copy().open()?.into_store(owner, trust)?;
        // A database that answers and does not take the rows must not keep this replica from working.
        let mut pause = POLL * (1 << FAILED_RETURNS.load(Ordering::SeqCst).min(6));
        let watch = move || {
            let mut noted = None;
            while withdrawal.is_of_use() {
                let now = WallClock.now();
                if noted.is_none_or(|noted| now - noted > USE_NOTED) {
                    // Without it, a restart much later needs another decision.
                    noted = database.copy().note_use(now).ok().map(|()| now);
                }
                std::thread::sleep(pause);
                pause = POLL;
                match database.connect() {
                    // An empty database is not the one that is missing.
                    Err(StoreError::Unreachable { .. }) | Ok(None) => {}
                    // Another replica may reach a database that refuses this one.
                    Err(_) | Ok(Some(_)) => return withdrawal.withdraw(),
                }
            }
        };
        std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(watch)
            .map_err(|error| StoreError::Io { path: self.path(), error: error.to_string() })?;
        Ok(store)
    }

    /// Takes the lease, and puts the rows of the copy back.
    pub(super) fn come_back(&self, alone: &Alone) -> Result<Leased, StoreError> {
        let file = self.copy();
        let mut copy = file.open()?;
        let mut origin = copy.origin()?.ok_or(StoreError::Closed)?;
        let (connection, meta) = self.connect_to_write(false)?;
        FAILED_RETURNS.fetch_add(1, Ordering::SeqCst);
        let (from, mut rows) = (origin.clone(), 0);
        let returned = Leased::come_back(
            connection,
            (meta.store, meta.terms),
            (&file.shown(), &from),
            |held, lease, session| {
                // After an attempt whose answer was lost, the database has its lease.
                origin.epoch = held.epoch;
                origin.lease = held.holder.clone().unwrap_or(origin.lease.clone());
                origin.commits = origin.commits.max(held.commits);
                origin.returning = Some(lease.to_owned());
                copy.note(&origin)?;
                rows = sql::put_back(session, |take| copy.rows(take))?;
                number_on(session)?;
                note_fact(session, &alone.to_fact(Some(WallClock.now())))
            },
        );
        let leased = match returned {
            Err(StoreError::Diverged { path, copy: name, other }) => {
                let now = WallClock.now();
                let refused = Origin { refused: Some(from.refused.unwrap_or(now)), ..from };
                copy.transact(&mut |session| {
                    sqlite::note(session, &refused)?;
                    note_fact(session, &alone.to_fact(refused.refused))
                })?;
                return Err(StoreError::Diverged { path, copy: name, other });
            }
            returned => returned?,
        };
        copy.note(&leased.origin(WallClock.now()))?;
        FAILED_RETURNS.store(0, Ordering::SeqCst);
        tracing::info!(
            since = %alone.since.format("%FT%TZ"), who = alone.who, rows,
            "the database has what this replica did alone"
        );
        Ok(leased)
    }

    /// Takes a decision back that was made while the lease was taken: the copy was not used.
    pub(super) fn forget_decision(&self) -> Result<(), StoreError> {
        let mut copy = self.copy().open()?;
        let origin = copy.origin()?.ok_or(StoreError::Closed)?;
        tracing::warn!("the database answered at the moment of the decision to run alone: it has no effect");
        copy.note(&Origin { alone: None, ..origin })
    }
}

/// Keeps a decision where each owner sees it.
fn note_fact(session: &mut dyn Session, fact: &str) -> Result<(), StoreError> {
    let put = "INSERT INTO facts (owner, name, value) SELECT id, ?1, ?2 FROM owners WHERE true
        ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value";
    session.execute(put, params![Alone::FACT, fact]).map(drop)
}
