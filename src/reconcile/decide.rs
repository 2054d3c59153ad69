//! Decides what a page needs now, from the known state.
//!
//! No IO; the instant is an argument.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::model::{Instant, Missing, OnDrift, Places, Problem, RemotePage, same_value, shorten};
use crate::pages::{Desired, DesiredValue, Page, UntypedValue};
use crate::plan::{Baseline, IntentOutcome, Plan, look_up, plan};
use crate::schema::{Schema, Schemas, check};
use crate::store::{self, OpenIntent};

/// A fetched page with its compiled schema.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The page.
    pub page: Arc<RemotePage>,
    /// Its schema, or the reason why it cannot be used.
    pub schema: Result<Arc<Schema>, Problem>,
}

impl Observed {
    /// Returns a page as stored: its schema and our baseline values.
    pub fn remembered(stored: &store::PageState, schemas: &mut Schemas) -> Self {
        let mut page = RemotePage { schema: stored.schema.clone(), ..RemotePage::default() };
        let mut places = Places::default();
        for (variable, value) in stored.baseline.pairs() {
            // A value that cannot be written is left out; the check then reports it.
            let _ = variable.write(&mut page.variables, value.clone(), Missing::Create, &mut places);
        }
        Self::new(page, schemas)
    }

    /// Returns a page with its compiled schema; a known schema is not compiled again.
    pub fn new(mut page: RemotePage, schemas: &mut Schemas) -> Self {
        let schema = schemas.compile(&mut page.schema);
        Self { page: Arc::new(page), schema }
    }

    /// Returns the problems of `desired` against the page's schema.
    ///
    /// If the schema accepts the values, returns the warnings, which do not withhold them.
    pub fn problems(&self, desired: &Desired) -> Vec<Problem> {
        match &self.schema {
            Ok(schema) => match check(desired, &self.page, schema) {
                Ok(checked) => checked.warnings(),
                Err(problems) => problems,
            },
            Err(problem) => vec![problem.clone()],
        }
    }

    /// Returns the schema errors of `desired` merged with the rest of the page.
    pub fn refuses(&self, desired: &Desired) -> Vec<Problem> {
        let checked = match &self.schema {
            Ok(schema) => check(desired, &self.page, schema).map(drop),
            Err(problem) => Err(vec![problem.clone()]),
        };
        checked.err().unwrap_or_default()
    }
}

/// The known state of a page.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The page as last fetched.
    pub observed: Option<Observed>,
    /// The baseline: the values we last sent and saw confirmed.
    pub baseline: Baseline,
    /// A PATCH with an unknown outcome.
    pub open: Option<OpenIntent>,
    computed: Option<Computed>,
}

/// The desired values of a definition, computed at an instant.
///
/// They are valid until the next transition, so repeated queries are free.
#[derive(Clone, Debug)]
struct Computed {
    page: Arc<Page>,
    at: Instant,
    desired: Arc<Desired>,
    /// True when the next transition brings other values; none until computed.
    transitions: Option<bool>,
}

impl Knowledge {
    /// Returns the state of a page, fetched or not.
    pub fn new(observed: Option<Observed>, baseline: Baseline, open: Option<OpenIntent>) -> Self {
        Self { observed, baseline, open, computed: None }
    }

    fn desired(&mut self, page: &Arc<Page>, now: Instant) -> Result<Arc<Desired>, Vec<Problem>> {
        if let Some(known) = &self.computed
            && Arc::ptr_eq(&known.page, page)
            && known.at <= now
            && known.desired.until.is_none_or(|until| now < until)
        {
            return Ok(known.desired.clone());
        }
        let desired = Arc::new(page.desired(now)?);
        self.computed =
            Some(Computed { page: page.clone(), at: now, desired: desired.clone(), transitions: None });
        Ok(desired)
    }

    /// Returns the page's next transition; none if there is none or no value now.
    pub fn next_transition(&mut self, page: &Arc<Page>, now: Instant) -> Option<Instant> {
        self.desired(page, now).ok()?.until
    }

    /// Returns the priority boost for a page not yet fetched.
    ///
    /// A page whose desired values differ from the baseline comes first, then a page that we never
    /// wrote to.
    pub fn head_start(&self, page: &Arc<Page>, now: Instant) -> TimeDelta {
        if self.baseline.is_empty() {
            return TimeDelta::seconds(1);
        }
        let holds = |value: &DesiredValue| {
            let baseline = self.baseline.get(&value.variable);
            baseline.is_some_and(|baseline| match (&value.value, baseline) {
                (UntypedValue::Cell(cell), Value::String(text)) => *text == cell.text,
                // The value has a type, but the schema that determined it is not loaded yet.
                (UntypedValue::Cell(cell), typed) => shorten(typed, usize::MAX) == cell.text,
                (value, baseline) => same_value(baseline, &value.to_json()),
            })
        };
        match page.desired(now) {
            Ok(desired) if !desired.values.iter().all(holds) => TimeDelta::seconds(2),
            _ => TimeDelta::zero(),
        }
    }

    /// Returns true if the page is worth fetching shortly before its next transition.
    ///
    /// The transition must bring other values, which midnight often does not. Every variable must
    /// also be a whole key: where a key is shared with values of other clients, sending from an
    /// older fetch would undo their edits.
    pub fn changes_alone(&mut self) -> bool {
        let Some(Computed { page, desired, transitions, .. }) = &mut self.computed else { return false };
        if !page.variables.iter().all(|owned| owned.variable.is_whole()) {
            return false;
        }
        let Some(until) = desired.until else { return false };
        *transitions.get_or_insert_with(|| {
            page.desired(until).is_ok_and(|next| {
                let pairs = desired.values.iter().zip(&next.values);
                pairs.into_iter().any(|(now, then)| !now.value.same(&then.value))
            })
        })
    }
}

/// The next step for a page.
#[derive(Debug)]
pub enum Decision {
    /// The page must be fetched.
    Fetch,
    /// The page shows the outcome of an intent, which must be recorded first.
    Settle(OpenIntent, IntentOutcome),
    /// The values cannot be sent. Nothing is sent to the page until that changes.
    Withhold {
        /// The reasons.
        problems: Vec<Problem>,
        /// The next instant at which the values may change by themselves.
        until: Option<Instant>,
    },
    /// The plan to execute, which may be empty.
    Plan {
        /// The plan.
        plan: Plan,
        /// The next instant at which the values may change by themselves.
        until: Option<Instant>,
    },
}

/// Returns when to retry a page without values now: its next transition is unknown.
pub fn retry_without_values_at(now: Instant) -> Instant {
    now.checked_add_signed(TimeDelta::minutes(1)).unwrap_or(now)
}

/// Decides on one page at an instant.
pub fn decide(page: &Arc<Page>, known: &mut Knowledge, now: Instant) -> Decision {
    let Some(observed) = known.observed.clone() else {
        return Decision::Fetch;
    };
    if let Some(open) = &known.open {
        return Decision::Settle(open.clone(), look_up(&open.changes, &observed.page.variables));
    }
    let desired = match known.desired(page, now) {
        Ok(desired) => desired,
        Err(problems) => return Decision::Withhold { problems, until: Some(retry_without_values_at(now)) },
    };
    let until = desired.until;
    // Desired values are in the same order as the owned variables.
    let because = |number: usize| {
        page.variables.get(number).map(|owned| owned.definition.because(now)).unwrap_or_default()
    };
    // An override always reaches the page.
    let on_drift = |number: usize| match page.variables.get(number) {
        Some(owned) if !owned.definition.is_overridden_at(now) => page.on_drift.on(&owned.variable),
        _ => OnDrift::Restore,
    };
    let planned = observed
        .schema
        .as_ref()
        .map_err(|problem| vec![problem.clone()])
        .and_then(|schema| check(&desired, &observed.page, schema))
        .and_then(|checked| plan(&checked, &known.baseline, &on_drift, &because));
    match planned {
        Ok(plan) => Decision::Plan { plan, until },
        Err(problems) => Decision::Withhold { problems, until },
    }
}
