//! A replica that goes on alone while the database does not answer, by the decision of a person.
//!
//! It works on its copy of the store. Once the database answers, the rows of the copy go back to it in
//! one transaction, but only if nobody wrote the database since the copy: epoch and counter of the lease
//! tell. So nothing is merged by guess.

use std::sync::Arc;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::POLL;
use crate::store::sql::{self, Session, Trust, params};
use crate::store::{Alone, Origin, Owner, Store, StoreError};

use super::Postgres;
use super::lease::Leased;
use super::location::{number_on, on_thread};

impl Postgres {
    /// Returns the decision to use the copy alone, as long as its rows are not back.
    ///
    /// A copy that cannot be read does not keep anybody from the database.
    pub fn alone(&self) -> Option<Alone> {
        self.origin().ok().flatten()?.alone
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
        copy.note(&Origin { alone: Some(alone.clone()), ..origin })?;
        copy.transact(&mut |session| note_fact(session, &alone.to_fact(None)))
    }

    /// Opens the copy as the store, until the database answers.
    pub(super) fn open_copy(&self, owner: Option<&Owner>) -> Result<Arc<dyn Store>, StoreError> {
        let trust = Trust::until_withdrawn(StoreError::Returned { path: self.path() });
        let (withdrawal, database) = (trust.withdrawal(), self.clone());
        let store = self.copy().open()?.into_store(owner, trust)?;
        let watch = move || {
            while withdrawal.is_of_use() {
                std::thread::sleep(POLL);
                if database.connect().is_ok_and(|found| found.is_some()) {
                    withdrawal.withdraw();
                    return;
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
        let (from, mut rows) = (origin.clone(), 0);
        let leased = Leased::come_back(
            connection,
            (meta.store, meta.terms),
            (&file.shown(), &from),
            |lease, session| {
                origin.returning = Some(lease.to_owned());
                copy.note(&origin)?;
                rows = sql::put_back(session, |take| copy.rows(take))?;
                number_on(session)?;
                note_fact(session, &alone.to_fact(Some(WallClock.now())))
            },
        )?;
        copy.note(&Origin { returning: None, alone: None, ..origin })?;
        tracing::info!(
            since = %alone.since.format("%FT%TZ"), who = alone.who, rows,
            "the database has what this replica did alone"
        );
        Ok(leased)
    }
}

/// Keeps a decision where each owner sees it.
fn note_fact(session: &mut dyn Session, fact: &str) -> Result<(), StoreError> {
    let put = "INSERT INTO facts (owner, name, value) SELECT id, ?1, ?2 FROM owners WHERE true
        ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value";
    session.execute(put, params![Alone::FACT, fact]).map(drop)
}
