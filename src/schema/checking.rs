//! Runs a validator for a bounded time. Its steps are counted before; a check of many runs on a thread of its own, and whoever
//! waits gives up after a while: the schema of one page must not keep others waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::model::Problem;

use super::work;

/// A check of fewer steps takes less time than a thread takes to start.
const LIGHT_STEPS: u64 = 20_000;
/// How long a check may take.
const PATIENCE: Duration = Duration::from_millis(250);
/// Checks that were given up on and still run; with more of them nothing heavy is begun.
const MAX_ABANDONED: usize = 2;

static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// A validator that is asked for a bounded time.
pub(super) struct Checker {
    validator: Arc<Validator>,
    /// What the last check that was given up on was about: it is not begun again.
    given_up: Mutex<Option<Value>>,
}

impl Checker {
    pub(super) fn new(validator: Validator) -> Self {
        Self { validator: Arc::new(validator), given_up: Mutex::new(None) }
    }

    /// Lists the rules that a value breaks, so many at most. `schema` is what the validator was made of.
    ///
    /// # Errors
    /// When it would take too much work to tell.
    pub(super) fn errors<'i>(
        &'i self,
        schema: &Value,
        instance: &'i Value,
        most: usize,
    ) -> Result<Vec<ValidationError<'i>>, Problem> {
        match work::steps(schema, instance) {
            None => {
                let message = "the page is too large for its schema to be checked";
                let hint = format!("at most {} steps are taken; simplify the schema", work::MAX_STEPS);
                Err(Problem::new(message).hint(hint))
            }
            Some(steps) if steps <= LIGHT_STEPS => Ok(broken(&self.validator, instance, most)),
            Some(_) => self.on_a_thread(instance, most),
        }
    }

    fn on_a_thread(&self, instance: &Value, most: usize) -> Result<Vec<ValidationError<'static>>, Problem> {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if given_up.as_ref() == Some(instance) || ABANDONED.load(Ordering::Relaxed) >= MAX_ABANDONED {
            return Err(too_slow());
        }
        let (send, answer) = mpsc::sync_channel(1);
        let (validator, owned) = (self.validator.clone(), instance.clone());
        let check = move || {
            let errors = broken(&validator, &owned, most);
            // Nobody may wait any more.
            if send.send(errors.into_iter().map(ValidationError::to_owned).collect()).is_err() {
                ABANDONED.fetch_sub(1, Ordering::Relaxed);
            }
        };
        if std::thread::Builder::new().name("schema".to_owned()).spawn(check).is_err() {
            return Err(too_slow());
        }
        match answer.recv_timeout(PATIENCE) {
            Ok(errors) => Ok(errors),
            Err(RecvTimeoutError::Timeout) => {
                ABANDONED.fetch_add(1, Ordering::Relaxed);
                *given_up = Some(instance.clone());
                Err(too_slow())
            }
            Err(RecvTimeoutError::Disconnected) => Err(Problem::new("the check of the page failed")),
        }
    }
}

/// Whether it is valid is asked first, because nothing is gathered for that.
fn broken<'i>(validator: &'i Validator, instance: &'i Value, most: usize) -> Vec<ValidationError<'i>> {
    match validator.is_valid(instance) {
        true => Vec::new(),
        false => validator.iter_errors(instance).take(most).collect(),
    }
}

fn too_slow() -> Problem {
    let message =
        format!("the page takes longer than {} ms to be checked by its schema", PATIENCE.as_millis());
    Problem::new(message).hint("simplify the patterns of the schema, or shorten the values")
}
