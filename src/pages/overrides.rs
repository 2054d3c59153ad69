//! Overrides: temporary values from users, which replace computed values until they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::hours::{Hours, HoursOverride};
use crate::model::{Cell, Instant, Origin, PageId, Row, RowName, Variable, after, shorten};

use super::conditions::Condition;
use super::definition::Overridden;
use super::override_value::{replaced, typed};
use super::{Definition, Owned, Page, Part, UntypedValue};

/// The most rows that the description of an override names.
const NAMED: usize = 3;

/// A user's decision about some pages, until each page's own end or until it is released.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Its number; 0 until it is set.
    pub id: i64,
    /// The instant at which it was set, and at which it begins.
    pub at: Instant,
    /// The user who set it.
    pub who: String,
    /// The reason given by the user.
    pub reason: String,
    /// The change that it makes.
    pub kind: OverrideKind,
    /// The pages, each with its end; none if it lasts until it is released.
    pub pages: BTreeMap<PageId, Option<Instant>>,
    /// The affected parts of pages that show many sites.
    ///
    /// A page without an entry is affected as a whole.
    pub parts: BTreeMap<PageId, Part>,
}

/// The change that an override makes.
#[derive(Clone, Debug, PartialEq)]
pub enum OverrideKind {
    /// The hours of the page are closed.
    Closed,
    /// The hours of the page are open.
    Open,
    /// A variable gets a value, as the user typed it.
    ///
    /// It is JSON for objects and lists, else text that the schema types.
    Set {
        /// The variable.
        variable: Variable,
        /// Its value.
        value: String,
    },
}

impl OverrideKind {
    /// Describes the change in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::Open => "open".to_owned(),
            Self::Set { variable, value } => {
                format!("{variable} = {}", shorten(&Value::String(value.clone()), 60))
            }
        }
    }
}

impl Override {
    /// Describes the override: number, change, rows, user and reason.
    pub fn describe(&self) -> String {
        self.described(self.parts.values().flat_map(Part::rows).map(|(row, _)| row.to_string()).collect())
    }

    /// Describes the override as far as it concerns one page.
    fn describe_on(&self, page: &PageId) -> String {
        let rows = self.parts.get(page).into_iter().flat_map(Part::rows);
        self.described(rows.map(|(row, _)| row.to_string()).collect())
    }

    fn described(&self, rows: BTreeSet<String>) -> String {
        let named: Vec<String> = rows.iter().take(NAMED).cloned().collect();
        let of = match rows.len() {
            0 => String::new(),
            few if few <= NAMED => format!(" for {}", named.join(", ")),
            many => format!(" for {} and {} more", named.join(", "), many - NAMED),
        };
        format!("{}: {}{of}, by {}: {}", self.name(), self.kind.describe(), self.who, self.reason)
    }

    fn name(&self) -> String {
        match self.id {
            0 => "the override".to_owned(),
            id => format!("override {id}"),
        }
    }

    /// Returns the affected pages, or rows of pages, each with its end.
    pub fn reach(&self) -> Vec<(&PageId, Option<RowName>, Option<Instant>)> {
        let mut all = Vec::new();
        for (page, until) in &self.pages {
            match self.parts.get(page) {
                Some(part) => all.extend(part.rows().map(|(row, until)| (page, Some(row), until))),
                None => all.push((page, None, *until)),
            }
        }
        all
    }

    /// Returns true if it has an end on every page, and all ends are past.
    pub fn is_over(&self, now: Instant) -> bool {
        self.pages.values().all(|until| until.is_some_and(|until| until <= now))
    }

    fn origin(&self) -> Origin {
        Origin::named(self.name())
    }

    /// Returns the typed value.
    ///
    /// It is of the kind of the value it replaces, if that is known, else as the schema types it.
    fn value(&self, text: &str, computed: &Definition) -> UntypedValue {
        let cell = || UntypedValue::Cell(Cell { text: text.to_owned(), origin: self.origin() });
        match typed(text, &replaced(computed, self.at)) {
            Ok(Some(value)) => UntypedValue::Json(value),
            Ok(None) | Err(_) => cell(),
        }
    }
}

impl Overridden {
    /// Returns the same override over another computed value.
    ///
    /// Overrides below this one are kept, with the value at the bottom. While the value is unknown,
    /// the value during the lowest override is used.
    fn over(&self, value: Option<Definition>) -> Definition {
        let computed = match &self.computed {
            Definition::Overridden(below) => below.over(value),
            _ => value.unwrap_or_else(|| self.during.clone()),
        };
        Definition::Overridden(Box::new(Self { computed, ..self.clone() }))
    }
}

impl Page {
    /// Returns the page with the overrides that affect it; none if there are none.
    ///
    /// The newest override takes precedence.
    pub fn overridden(&self, overrides: &[Override]) -> Option<Page> {
        let mut concerned =
            overrides.iter().filter_map(|set| Some((set, *set.pages.get(&self.id)?))).peekable();
        concerned.peek()?;
        let mut variables = self.variables.to_vec();
        for (set, until) in concerned {
            let (part, words) = (set.parts.get(&self.id), set.describe_on(&self.id));
            let part = part.map(|part| part.as_called_on(self));
            for owned in &mut variables {
                apply_override(owned, set, (until, part.as_deref()), &words);
            }
        }
        Some(Page { variables: variables.into(), ..self.clone() })
    }

    /// Returns the page with nothing but overrides and the values found before them.
    ///
    /// These are the variables that overrides affect, and those to restore. After an override a
    /// variable returns to the value that was found. If none was found, it gets the computed value.
    pub fn overridden_alone(
        &self,
        overrides: &[Override],
        found: &BTreeMap<Variable, Option<Value>>,
    ) -> Page {
        let all = self.overridden(overrides);
        let variables = all.as_ref().unwrap_or(self).variables.iter().filter_map(|owned| {
            let before = |value: &Value| Definition::Constant {
                value: value.clone(),
                origin: Origin::named("the page's value before the override"),
            };
            let definition = match (&owned.definition, found.get(&owned.variable)) {
                (Definition::Overridden(overridden), Some(Some(value))) => {
                    overridden.over(Some(before(value)))
                }
                (_, Some(Some(value))) => before(value),
                // The key was missing before. The API cannot delete it, and the temporary value must
                // not remain, so the desired value is sent.
                (definition, Some(None)) => definition.clone(),
                (Definition::Overridden(overridden), None) => overridden.over(None),
                (_, None) => return None,
            };
            Some(Owned { definition, ..owned.clone() })
        });
        Page { variables: variables.collect(), ..self.clone() }
    }

    /// Returns true if any variable depends on hours, so that the page can be closed or opened.
    pub fn has_hours(&self) -> bool {
        self.variables.iter().any(|owned| owned.definition.has_hours())
    }
}

fn apply_override(
    owned: &mut Owned,
    set: &Override,
    (until, part): (Option<Instant>, Option<&Part>),
    words: &str,
) {
    let during = match &set.kind {
        OverrideKind::Set { variable, value } if *variable == owned.variable => {
            Some(Definition::Set { value: set.value(value, &owned.definition), origin: set.origin() })
        }
        OverrideKind::Set { .. } => None,
        OverrideKind::Closed | OverrideKind::Open if !owned.definition.has_hours() => None,
        OverrideKind::Closed | OverrideKind::Open => HoursReplacement::new(set, until, part).owned(owned),
    };
    let Some(during) = during else { return };
    let computed = owned.definition.clone();
    let words = words.to_owned();
    owned.definition =
        Definition::Overridden(Box::new(Overridden { from: set.at, until, words, during, computed }));
}

/// Replaces the hours of a definition with forced ones: all of them, or those of some rows.
struct HoursReplacement<'a> {
    open: bool,
    from: Instant,
    /// The affected rows, if not everything is affected.
    part: Option<&'a Part>,
    /// The end, if it has one; the outer option is none if the hours are not affected.
    until: Option<Option<Instant>>,
    /// The time that the hours are ahead of the clock.
    ahead: TimeDelta,
    /// The forced hours by the original ones, so that shared hours stay shared.
    known: BTreeMap<*const Hours, Arc<Hours>>,
    /// True if any hours were affected.
    is_used: bool,
}

impl<'a> HoursReplacement<'a> {
    fn new(set: &Override, until: Option<Instant>, part: Option<&'a Part>) -> Self {
        Self {
            open: set.kind == OverrideKind::Open,
            from: set.at,
            part,
            until: part.is_none_or(|part| part.own).then_some(until),
            ahead: TimeDelta::zero(),
            known: BTreeMap::new(),
            is_used: false,
        }
    }

    /// Returns the definition during the override; none if the variable is not affected.
    fn owned(mut self, owned: &Owned) -> Option<Definition> {
        let forced = self.of_row(owned.row.as_deref(), &owned.definition);
        self.is_used.then_some(forced)
    }

    /// Returns the definition of a value made for a row.
    fn of_row(&mut self, row: Option<&Row>, definition: &Definition) -> Definition {
        let until = match (self.part, row) {
            (Some(part), Some(row)) => part.decide(row, self.until),
            _ => self.until,
        };
        self.with(until, self.ahead, definition)
    }

    fn with(
        &mut self,
        until: Option<Option<Instant>>,
        ahead: TimeDelta,
        definition: &Definition,
    ) -> Definition {
        let mut inner = HoursReplacement { until, ahead, known: BTreeMap::new(), ..*self };
        let forced = inner.definition(definition);
        self.is_used |= inner.is_used;
        forced
    }

    fn hours(&mut self, hours: &Arc<Hours>) -> Arc<Hours> {
        let Some(until) = self.until else { return hours.clone() };
        self.is_used = true;
        let forced = HoursOverride {
            open: self.open,
            from: after(self.from, self.ahead),
            until: until.map(|until| after(until, self.ahead)),
        };
        let known = self.known.entry(Arc::as_ptr(hours));
        known.or_insert_with(|| Arc::new(hours.forced(forced))).clone()
    }

    fn definition(&mut self, definition: &Definition) -> Definition {
        let mut definition = definition.clone();
        match &mut definition {
            Definition::Hours { hours, .. } => *hours = self.hours(hours),
            Definition::When { clauses, otherwise } => {
                for clause in clauses {
                    clause.definition = self.definition(&clause.definition);
                    for condition in &mut clause.conditions.0 {
                        if let Condition::Hours { hours, .. } = condition {
                            *hours = self.hours(hours);
                        }
                    }
                }
                **otherwise = self.definition(otherwise);
            }
            Definition::Overridden(overridden) => {
                overridden.during = self.definition(&overridden.during);
                overridden.computed = self.definition(&overridden.computed);
            }
            Definition::Object { entries, .. } => {
                for (_, entry) in entries {
                    *entry = self.definition(entry);
                }
            }
            Definition::List { items, rows, .. } => {
                for (index, item) in items.iter_mut().enumerate() {
                    *item = match rows.get(index) {
                        Some(row) => self.of_row(Some(row), item),
                        None => self.definition(item),
                    };
                }
            }
            Definition::Expression(expression) => {
                for (_, input) in &mut expression.inputs {
                    *input = self.definition(input);
                }
            }
            // An override applies now, although the hours shown are those of another day.
            Definition::Ahead { of, by } => **of = self.with(self.until, self.ahead + *by, of),
            Definition::Constant { .. }
            | Definition::Cell(_)
            | Definition::Set { .. }
            | Definition::Calendar { .. } => {}
        }
        definition
    }
}
