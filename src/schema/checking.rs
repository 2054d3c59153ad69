//! Runs a validator for a bounded time. Its steps are counted first. A check with many steps runs
//! on its own thread, and the caller gives up after a time limit: one page's schema must not delay
//! other pages.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::limits::pages::{CHECK_TIMEOUT, MAX_ABANDONED_CHECKS, MAX_EVALUATED};
use crate::model::Problem;

use super::work;

/// Steps below which a check takes less time than starting a thread.
const LIGHT_STEPS: u64 = 20_000;
/// Requests to repeat an abandoned check that are refused at first; the machine may just have been
/// slow.
const FIRST_SKIPS: u32 = 8;

static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// A validator with a time limit.
pub(super) struct Checker {
    validator: Arc<Validator>,
    /// The maximum wait for a check on a thread.
    patience: Duration,
    given_up: Mutex<Option<GivenUp>>,
}

/// A check that was abandoned.
struct GivenUp {
    instance: Arc<Value>,
    /// The number of requests still refused; `next_skips` applies if it is abandoned again.
    skips: u32,
    next_skips: u32,
}

/// The shared state of a check's thread and its waiting caller: the first of the two to finish sets
/// it.
#[derive(Clone, Default)]
struct Running(Arc<AtomicBool>);

impl Running {
    /// Marks one side as done; returns `false` when the other was done before.
    fn is_first_done(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }

    /// Abandons the check; returns `false` when it has just finished.
    fn abandon(&self) -> bool {
        let is_first = self.is_first_done();
        if is_first {
            ABANDONED.fetch_add(1, Ordering::SeqCst);
        }
        is_first
    }
}

/// The thread's side; dropped however the thread ends.
struct OnThread(Running);

impl Drop for OnThread {
    fn drop(&mut self) {
        if !self.0.is_first_done() {
            ABANDONED.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Checker {
    pub(super) fn new(validator: Validator) -> Self {
        Self { validator: Arc::new(validator), patience: CHECK_TIMEOUT, given_up: Mutex::new(None) }
    }

    /// Returns up to `most` rules that a value breaks.
    ///
    /// `schema` is the schema that the validator was compiled from.
    ///
    /// # Errors
    /// Returns an error when the check would take too much work.
    pub(super) fn errors<'i>(
        &'i self,
        schema: &Value,
        instance: &'i Arc<Value>,
        most: usize,
    ) -> Result<Vec<ValidationError<'i>>, Problem> {
        match work::steps(schema, instance) {
            None => {
                let message = "the page is too large to check against its schema";
                let hint = format!("at most {} steps are taken; simplify the schema", MAX_EVALUATED);
                Err(Problem::new(message).hint(hint))
            }
            Some(steps) if steps <= LIGHT_STEPS => Ok(broken(&self.validator, instance, most)),
            Some(_) => self.on_a_thread(instance, most),
        }
    }

    fn on_a_thread(
        &self,
        instance: &Arc<Value>,
        most: usize,
    ) -> Result<Vec<ValidationError<'static>>, Problem> {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let known = given_up.as_mut().filter(|known| known.instance == *instance);
        let next_skips = known.as_ref().map_or(FIRST_SKIPS, |known| known.next_skips);
        if let Some(known) = known
            && known.skips > 0
        {
            known.skips -= 1;
            return Err(self.too_slow());
        }
        if ABANDONED.load(Ordering::SeqCst) >= MAX_ABANDONED_CHECKS {
            return Err(self.too_slow());
        }
        let (send, answer) = mpsc::sync_channel(1);
        let (validator, shared, running) = (self.validator.clone(), instance.clone(), Running::default());
        let on_thread = OnThread(running.clone());
        let check = move || {
            let errors =
                broken(&validator, &shared, most).into_iter().map(ValidationError::to_owned).collect();
            // The receiver may be gone.
            let _ = send.send(errors);
            drop(on_thread);
        };
        if std::thread::Builder::new().name("schema".to_owned()).spawn(check).is_err() {
            return Err(self.too_slow());
        }
        match answer.recv_timeout(self.patience) {
            Ok(errors) => Ok(errors),
            Err(RecvTimeoutError::Timeout) if running.abandon() => {
                *given_up = Some(GivenUp {
                    instance: instance.clone(),
                    skips: next_skips,
                    next_skips: next_skips.saturating_mul(2),
                });
                Err(self.too_slow())
            }
            // The check may have finished just when it was abandoned.
            Err(_) => answer.try_recv().map_err(|_| Problem::new("the check of the page failed")),
        }
    }

    fn too_slow(&self) -> Problem {
        let message = format!(
            "checking the page against its schema takes longer than {} ms",
            self.patience.as_millis()
        );
        Problem::new(message).hint("simplify the patterns of the schema, or shorten the values")
    }
}

/// Checks validity first, because that allocates no errors.
fn broken<'i>(validator: &'i Validator, instance: &'i Value, most: usize) -> Vec<ValidationError<'i>> {
    match validator.is_valid(instance) {
        true => Vec::new(),
        false => validator.iter_errors(instance).take(most).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use jsonschema::Keyword;
    use serde_json::json;

    use super::*;

    /// A rule that blocks until it is released.
    #[derive(Clone, Default)]
    struct Stuck(Arc<(Mutex<bool>, Condvar)>);

    impl Stuck {
        fn wait(&self) {
            let is_stuck = |let_go: &mut bool| !*let_go;
            drop(self.0.1.wait_while(self.0.0.lock().unwrap(), is_stuck).unwrap());
        }

        fn let_go(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }
    }

    impl<'i> Keyword<'i> for Stuck {
        fn validate(&self, _: &'i Value) -> Result<(), ValidationError<'i>> {
            self.wait();
            Ok(())
        }

        fn is_valid(&self, _: &'i Value) -> bool {
            self.wait();
            true
        }
    }

    #[test]
    fn a_check_that_times_out_is_abandoned_and_not_repeated() {
        let (schema, stuck) = (json!({"items": {"type": "integer"}, "stuck": true}), Stuck::default());
        let rule = stuck.clone();
        let validator = jsonschema::options()
            .with_keyword("stuck", move |_, _, _| Ok(Box::new(rule.clone())))
            .build(&schema)
            .unwrap();
        let mut checker = Checker::new(validator);
        let heavy = Arc::new(json!((0..50_000).collect::<Vec<i32>>()));
        let reported = |instance: &Arc<Value>| checker.errors(&schema, instance, 9).unwrap_err().to_string();
        assert!(reported(&heavy).contains("takes longer than 250 ms"));
        assert!(reported(&heavy).contains("takes longer than 250 ms"));
        assert_eq!(ABANDONED.load(Ordering::SeqCst), 1, "it was begun once");
        stuck.let_go();
        // Longer than these checks take on the slowest machine.
        checker.patience = Duration::from_secs(60);
        let other = Arc::new(json!((0..50_001).collect::<Vec<i32>>()));
        assert!(checker.errors(&schema, &other, 9).unwrap().is_empty());
        let bad = Arc::new(json!(std::iter::repeat_n(json!("x"), 50_000).collect::<Vec<_>>()));
        assert_eq!(checker.errors(&schema, &bad, 9).unwrap().len(), 9);
    }
}
