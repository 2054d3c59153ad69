//! Carries a plan out: the intent made durable, one PATCH, the answer verified, the outcome made durable.
//! Holds no policy.

use std::sync::Arc;

use crate::agents_api::{ApiError, Meaning, Patched, WritePages};
use crate::clock::Clock;
use crate::model::{Change, Places, RemotePage, same_value};
use crate::plan::Plan;
use crate::store::{Intent, OpenIntent, Outcome, StoreError, Writer, Written};

/// What acting needs.
pub struct Actor<R> {
    /// The API.
    pub api: Arc<R>,
    /// The API's base URL, under which pages are known to the store.
    pub api_url: String,
    /// The store.
    pub store: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who acts, for the history.
    pub who: String,
}

impl<R> Clone for Actor<R> {
    fn clone(&self) -> Self {
        Self {
            api: self.api.clone(),
            api_url: self.api_url.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            who: self.who.clone(),
        }
    }
}

/// What became of a plan.
#[derive(Debug)]
pub enum Acted {
    /// The page holds the values.
    Applied {
        /// The page after it.
        page: RemotePage,
        /// What was changed.
        changes: Vec<Change>,
        /// What the vendor's support asks for.
        correlation_id: Option<String>,
    },
    /// Nobody knows; the page has to be looked at.
    Unknown(OpenIntent, ApiError),
    /// It was refused and changed nothing.
    Failed(OpenIntent, ApiError),
    /// The API took it and answers a page that does not hold it. The answer may be odd, so the page is fetched.
    NotTaken {
        /// What was sent.
        open: OpenIntent,
        /// What is not as sent.
        message: String,
    },
}

impl<R: WritePages> Actor<R> {
    /// Carries a plan out, in place of an intent that failed where there is one. What became of it is on its way to the store by then, and durable before the next intent is.
    ///
    /// # Errors
    /// When the store can't be written: nothing is sent then.
    pub async fn act(&self, plan: Plan, again: Option<i64>) -> Result<(Acted, Written<()>), StoreError> {
        let intent = Intent {
            api: self.api_url.clone(),
            page: plan.page.clone(),
            at: self.clock.now(),
            who: self.who.clone(),
            changes: plan.changes.clone(),
            again,
        };
        let write = self.store.intend(intent).await?;
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
            let message = format!("the API's answer does not hold what was sent: {}", differing.join(", "));
            let acted = Acted::NotTaken { open: OpenIntent { id: write, changes }, message: message.clone() };
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
