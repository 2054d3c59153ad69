//! A replica that goes on alone while the database does not answer, by the decision of a person.
//!
//! It works on its copy of the store. Once the database answers, the rows of the copy go back to it in
//! one transaction, but only if no other program wrote the database since the copy, as the lease and its
//! counter show. So nothing is merged by guess.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::{ALONE_PAUSE, POLL};
use crate::model::Instant;
use crate::store::sql::{self, Session, Trust, params};
use crate::store::sqlite;
use crate::store::{Alone, Origin, Owner, Store, StoreError};

use super::Postgres;
use super::connection::Connection;
use super::lease::Leased;
use super::location::{number_on, on_thread};
use super::migrations::Meta;

/// The time between two notes that the copy is in use.
const USE_NOTED: TimeDelta = TimeDelta::seconds(30);

impl Postgres {
    /// Returns the decision to use the copy alone, as long as its rows are not back.
    ///
    /// # Errors
    /// A copy that cannot be read: it may tell that this replica ran alone.
    pub fn alone(&self) -> Result<Option<Alone>, StoreError> {
        Ok(self.origin()?.and_then(|origin| origin.alone))
    }

    /// Checks that a copy is of the database of the settings; one that answers tells by its id.
    ///
    /// # Errors
    /// Another address.
    pub fn check_address(&self, of: &Origin) -> Result<(), StoreError> {
        if of.database == self.path() {
            return Ok(());
        }
        let error = format!("it is a copy of {}", of.database);
        let hint = Some("put that address back into store.url, or move the copy away");
        Err(StoreError::Failed { path: self.copy().shown(), error, hint })
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
        origin.iter().try_for_each(|origin| self.check_address(origin))?;
        let trust = Trust::until_withdrawn(StoreError::Returned { path: self.path() });
        let (withdrawal, database) = (trust.withdrawal(), self.clone());
        let store = self.copy().open()?.into_store(owner, trust)?;
        let watch = move || {
            let mut noted = None;
            while withdrawal.is_of_use() {
                let now = WallClock.now();
                if noted.is_some_and(|noted: Instant| (now - noted).abs() >= ALONE_PAUSE) {
                    // The machine was paused: the database may have returned meanwhile.
                    return withdrawal.withdraw();
                }
                if noted.is_none_or(|noted| now - noted > USE_NOTED) {
                    // Without it, a restart much later needs another decision.
                    noted = database.copy().note_use(now).ok().map(|()| now);
                }
                std::thread::sleep(POLL);
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

    /// Takes the lease of a database that answers, and puts the rows of the copy back.
    pub(super) fn come_back(
        &self,
        alone: &Alone,
        (connection, meta): (Connection, Meta),
    ) -> Result<Leased, StoreError> {
        let file = self.copy();
        let mut copy = file.open()?;
        let mut origin = copy.origin()?.ok_or(StoreError::Closed)?;
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
                if from.refused.is_none() {
                    let refused = Origin { refused: Some(WallClock.now()), ..from };
                    copy.transact(&mut |session| {
                        sqlite::note(session, &refused)?;
                        note_fact(session, &alone.to_fact(refused.refused))
                    })?;
                }
                return Err(StoreError::Diverged { path, copy: name, other });
            }
            returned => returned?,
        };
        copy.note(&leased.origin(WallClock.now()))?;
        tracing::info!(
            since = %alone.since.format("%FT%TZ"), who = alone.who, rows,
            "the database has what this replica did alone"
        );
        Ok(leased)
    }

    /// Takes a decision back that was made while the lease was taken: the copy was not used.
    pub(super) fn forget_decision(&self) -> Result<(), StoreError> {
        tracing::warn!("the database answered at the moment of the decision to run alone: it has no effect");
        self.copy().open()?.forget()
    }
}

/// Keeps a decision where each owner sees it.
fn note_fact(session: &mut dyn Session, fact: &str) -> Result<(), StoreError> {
    let put = "INSERT INTO facts (owner, name, value) SELECT id, ?1, ?2 FROM owners WHERE true
        ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value";
    session.execute(put, params![Alone::FACT, fact]).map(drop)
}
