//! Decides what a page needs now, from what is known of it. No IO; the instant is an argument.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::model::{Instant, Missing, Places, Problem, RemotePage, same_value, shorten};
use crate::pages::{Desired, DesiredValue, Page, Wanted};
use crate::plan::{Base, Found, Plan, look_up, plan};
use crate::schema::{Schema, Schemas, check};
use crate::store::{self, OpenIntent};

/// A page as it was seen, with its schema compiled.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The page.
    pub page: Arc<RemotePage>,
    /// Its schema, or why it can't be used.
    pub schema: Result<Arc<Schema>, Problem>,
}

impl Observed {
    /// A page as the store remembers it: its schema, and of its values what we put there.
    pub fn remembered(stored: &store::PageState, schemas: &mut Schemas) -> Self {
        let mut page = RemotePage { schema: stored.schema.clone(), ..RemotePage::default() };
        let mut places = Places::default();
        for (variable, value) in &stored.base {
            // A place that can't be written is left out, which the check then tells.
            let _ = variable.write(&mut page.variables, value.clone(), Missing::Create, &mut places);
        }
        Self::new(page, schemas)
    }

    /// Compiles the schema, unless it is known.
    pub fn new(mut page: RemotePage, schemas: &mut Schemas) -> Self {
        let schema = schemas.compile(&mut page.schema);
        Self { page: Arc::new(page), schema }
    }

    /// What the page's schema has against values, or else says of them that is no reason to withhold them.
    pub fn problems(&self, desired: &Desired) -> Vec<Problem> {
        match &self.schema {
            Ok(schema) => match check(desired, &self.page, schema) {
                Ok(checked) => checked.warnings(),
                Err(problems) => problems,
            },
            Err(problem) => vec![problem.clone()],
        }
    }

    /// What the page's schema has against values, merged with all else that stands there.
    pub fn refuses(&self, desired: &Desired) -> Vec<Problem> {
        let checked = match &self.schema {
            Ok(schema) => check(desired, &self.page, schema).map(drop),
            Err(problem) => Err(vec![problem.clone()]),
        };
        checked.err().unwrap_or_default()
    }
}

/// What is known of a page.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The page as last seen.
    pub observed: Option<Observed>,
    /// What we last put there and saw confirmed.
    pub base: Base,
    /// A PATCH whose outcome nobody knows.
    pub open: Option<OpenIntent>,
    worked_out: Option<WorkedOut>,
}

/// What a definition came to at an instant. It stays so up to the next boundary, however often it is asked.
#[derive(Clone, Debug)]
struct WorkedOut {
    page: Arc<Page>,
    at: Instant,
    desired: Arc<Desired>,
    /// Whether its next boundary brings other values, once that was asked.
    flips: Option<bool>,
}

impl Knowledge {
    /// A page that was seen, or not yet.
    pub fn new(observed: Option<Observed>, base: Base, open: Option<OpenIntent>) -> Self {
        Self { observed, base, open, worked_out: None }
    }

    fn desired(&mut self, page: &Arc<Page>, now: Instant) -> Result<Arc<Desired>, Vec<Problem>> {
        if let Some(known) = &self.worked_out
            && Arc::ptr_eq(&known.page, page)
            && known.at <= now
            && known.desired.until.is_none_or(|until| now < until)
        {
            return Ok(known.desired.clone());
        }
        let desired = Arc::new(page.desired(now)?);
        self.worked_out =
            Some(WorkedOut { page: page.clone(), at: now, desired: desired.clone(), flips: None });
        Ok(desired)
    }

    /// Returns the next transition of a page; none where there is none, or no value now.
    pub fn next_transition(&mut self, page: &Arc<Page>, now: Instant) -> Option<Instant> {
        self.desired(page, now).ok()?.until
    }

    /// How much sooner than others a page is looked at that was not seen yet: one that should hold something else than what we
    /// last put there comes first, then one that we never put anything on.
    pub fn head_start(&self, page: &Arc<Page>, now: Instant) -> TimeDelta {
        if self.base.is_empty() {
            return TimeDelta::seconds(1);
        }
        let holds = |value: &DesiredValue| {
            let base = self.base.get(&value.variable);
            base.is_some_and(|base| match (&value.wanted, base) {
                (Wanted::Cell(cell), Value::String(text)) => *text == cell.text,
                // The schema that typed it is not known yet.
                (Wanted::Cell(cell), typed) => shorten(typed, usize::MAX) == cell.text,
                (wanted, base) => same_value(base, &wanted.to_json()),
            })
        };
        match page.desired(now) {
            Ok(desired) if !desired.values.iter().all(holds) => TimeDelta::seconds(2),
            _ => TimeDelta::zero(),
        }
    }

    /// Whether a look is worth making before the next boundary of what was last worked out: it brings other values, which
    /// midnight often doesn't, and none of them shares its key with others' values. Of those that do, a look that is older
    /// than it must be would undo an edit.
    pub fn flips_alone(&mut self) -> bool {
        let Some(WorkedOut { page, desired, flips, .. }) = &mut self.worked_out else { return false };
        if !page.variables.iter().all(|owned| owned.variable.is_whole()) {
            return false;
        }
        let Some(until) = desired.until else { return false };
        *flips.get_or_insert_with(|| {
            page.desired(until).is_ok_and(|next| {
                let pairs = desired.values.iter().zip(&next.values);
                pairs.into_iter().any(|(now, then)| !now.wanted.same(&then.wanted))
            })
        })
    }
}

/// What a page needs.
#[derive(Debug)]
pub enum Decision {
    /// It has to be looked at.
    Look,
    /// The page tells what became of an intent; that is noted first.
    Settle(OpenIntent, Found),
    /// Its values can't be sent; nothing of the page is, until that changes.
    Withhold {
        /// Why.
        problems: Vec<Problem>,
        /// When the values may change by themselves.
        until: Option<Instant>,
    },
    /// What to do, which may be nothing.
    Plan {
        /// The plan.
        plan: Plan,
        /// When the values may change by themselves.
        until: Option<Instant>,
    },
}

/// When a page that has no values now is asked again, since its next boundary isn't known then.
pub fn ask_again_at(now: Instant) -> Instant {
    now.checked_add_signed(TimeDelta::minutes(1)).unwrap_or(now)
}

/// Decides for one page at an instant.
pub fn decide(page: &Arc<Page>, known: &mut Knowledge, now: Instant) -> Decision {
    let Some(observed) = known.observed.clone() else {
        return Decision::Look;
    };
    if let Some(open) = &known.open {
        return Decision::Settle(open.clone(), look_up(&open.changes, &observed.page.variables));
    }
    let desired = match known.desired(page, now) {
        Ok(desired) => desired,
        Err(problems) => return Decision::Withhold { problems, until: Some(ask_again_at(now)) },
    };
    let until = desired.until;
    // Values are desired in the order in which they are owned.
    let because = |number: usize| {
        page.variables.get(number).map(|owned| owned.definition.because(now)).unwrap_or_default()
    };
    let planned = observed
        .schema
        .as_ref()
        .map_err(|problem| vec![problem.clone()])
        .and_then(|schema| check(&desired, &observed.page, schema))
        .and_then(|checked| plan(&checked, &known.base, &page.on_drift, &because));
    match planned {
        Ok(plan) => Decision::Plan { plan, until },
        Err(problems) => Decision::Withhold { problems, until },
    }
}
