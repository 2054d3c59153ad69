//! Executes a plan: records the intent durably, sends one PATCH, verifies the answer, and records
//! the outcome durably.
//!
//! Holds no policy.

use std::sync::Arc;
use std::time::Duration;

use crate::agents_api::{ApiError, Meaning, Patched, WritePages};
use crate::clock::Clock;
use crate::model::{Change, Places, RemotePage, same_value};
use crate::plan::Plan;
use crate::store::{Intent, OpenIntent, Outcome, Store, StoreError, Written};

/// Everything needed to execute plans.
pub struct Actor<R> {
    /// The API.
    pub api: Arc<R>,
    /// The API's base URL, which identifies pages in the store.
    pub api_url: String,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The name recorded in the history as the author of the change.
    pub who: String,
    /// The longest time that a request may take.
    pub patience: Duration,
}

impl<R> Clone for Actor<R> {
    fn clone(&self) -> Self {
        Self {
            api: self.api.clone(),
            api_url: self.api_url.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            who: self.who.clone(),
            patience: self.patience,
        }
    }
}

/// The outcome of a plan.
#[derive(Debug)]
pub enum Acted {
    /// The page holds the values.
    Applied {
        /// The page after the PATCH.
        page: RemotePage,
        /// The changes sent.
        changes: Vec<Change>,
        /// The correlation ID, which the vendor's support asks for.
        correlation_id: Option<String>,
    },
    /// The outcome is unknown; the page must be fetched.
    Unknown(OpenIntent, ApiError),
    /// The PATCH was refused and changed nothing.
    Failed(OpenIntent, ApiError),
    /// The API accepted the PATCH but returned a page without the values sent.
    ///
    /// The answer may be wrong, so the page is fetched.
    Unapplied {
        /// The intent that was sent.
        open: OpenIntent,
        /// The values that differ from the intent, as a message.
        message: String,
    },
}

impl<R: WritePages> Actor<R> {
    /// Executes a plan, reusing the failed intent `again` if there is one.
    ///
    /// On return the outcome is queued for the store. It becomes durable no later than the next
    /// intent.
    ///
    /// # Errors
    /// Fails when the store cannot be written, or when another process may write it before the request
    /// has ended. Nothing is sent then.
    pub async fn act(&self, plan: Plan, again: Option<i64>) -> Result<(Acted, Written<()>), StoreError> {
        let intent = Intent {
            page: plan.page.clone(),
            at: self.clock.now(),
            who: self.who.clone(),
            changes: plan.changes.clone(),
            again,
        };
        let write = self.store.intend(intent).await?;
        // The intent was durable, but this process may have been paused since.
        self.store.may_send(self.patience)?;
        let answer = self.api.patch(&plan.page, &plan.body).await;
        let (outcome, correlation_id, acted) = judge(write, plan, answer);
        Ok((acted, self.store.settle(write, outcome, correlation_id, self.clock.now())))
    }
}

fn judge(write: i64, plan: Plan, answer: Result<Patched, ApiError>) -> (Outcome, Option<String>, Acted) {
    let Plan { changes, .. } = plan;
    match answer {
        Ok(patched) => {
            let id = patched.correlation_id;
            let mut places = Places::default();
            let differing: Vec<String> = changes
                .iter()
                .filter(|change| {
                    let found = change.variable.read_at(&patched.page.variables, &mut places);
                    !found.is_some_and(|found| same_value(found, &change.to))
                })
                .map(|change| change.variable.to_string())
                .collect();
            if differing.is_empty() {
                let values = changes.iter().map(|change| (change.variable.clone(), change.to.clone()));
                let outcome = Outcome::Applied(values.collect());
                let acted = Acted::Applied { page: patched.page, changes, correlation_id: id.clone() };
                return (outcome, id, acted);
            }
            let message = format!("the API's answer differs from the values sent: {}", differing.join(", "));
            let acted =
                Acted::Unapplied { open: OpenIntent { id: write, changes }, message: message.clone() };
            (Outcome::Unknown(message), id, acted)
        }
        Err(error) => {
            let id = error.correlation_id.clone();
            let text = error.to_string();
            match error.meaning {
                Meaning::OutcomeUnknown => {
                    (Outcome::Unknown(text), id, Acted::Unknown(OpenIntent { id: write, changes }, error))
                }
                _ => (Outcome::Failed(text), id, Acted::Failed(OpenIntent { id: write, changes }, error)),
            }
        }
    }
}
