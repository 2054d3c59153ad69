//! What a person sets for a while stands above everything that is worked out, and gives way to it again at its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::hours::{Forced, Hours};
use crate::model::{Cell, Instant, Origin, PageId, Variable, shorten};

use super::window::Condition;
use super::{Definition, Owned, Page, Wanted};

/// A person's decision about some pages, until an end of each page's own or until it is released.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Its number.
    pub id: i64,
    /// When it was set, which is when it begins.
    pub at: Instant,
    /// Who set it.
    pub who: String,
    /// Why.
    pub reason: String,
    /// What it says.
    pub says: Says,
    /// The pages, each with its end; none where it lasts until it is released.
    pub pages: BTreeMap<PageId, Option<Instant>>,
}

/// What an override says.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// The hours of the page are closed.
    Closed,
    /// The hours of the page are open.
    Open,
    /// A variable has a value, as it was typed: JSON for objects and lists, else text that the schema types.
    Set {
        /// Which variable.
        variable: Variable,
        /// Its value.
        value: String,
    },
}

impl Says {
    /// In words.
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
    /// Number, what it says, who and why.
    pub fn describe(&self) -> String {
        format!("override {}: {}, by {}: {}", self.id, self.says.describe(), self.who, self.reason)
    }

    /// Whether it has an end on every page, and all are past.
    pub fn is_over(&self, now: Instant) -> bool {
        self.pages.values().all(|until| until.is_some_and(|until| until <= now))
    }

    fn origin(&self) -> Origin {
        Origin::named(format!("override {}", self.id))
    }

    /// The value that was typed: of the kind that is worked out where that is told, else as the schema types it.
    fn value(&self, text: &str, computed: &Definition) -> Wanted {
        let computed = computed.evaluate(self.at).map(|evaluated| evaluated.wanted);
        match (serde_json::from_str(text), computed) {
            (Ok(value @ (Value::Object(_) | Value::Array(_) | Value::Null)), _) => Wanted::Json(value),
            (Ok(value @ Value::Bool(_)), Ok(Wanted::Json(Value::Bool(_))))
            | (Ok(value @ Value::Number(_)), Ok(Wanted::Json(Value::Number(_)))) => Wanted::Json(value),
            _ => Wanted::Cell(Cell { text: text.to_owned(), origin: self.origin() }),
        }
    }
}

/// A definition, and what an override puts in its place from one instant to another.
#[derive(Clone, Debug)]
pub struct Overruled {
    /// When the override was set.
    pub from: Instant,
    /// When it ends, if it does by itself.
    pub until: Option<Instant>,
    /// The override in words.
    pub words: String,
    /// What holds meanwhile.
    pub during: Definition,
    /// What is worked out.
    pub computed: Definition,
}

impl Overruled {
    /// Whether the override is in force at an instant.
    pub fn is_on(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

impl Page {
    /// The page with the overrides that concern it; none when there are none. The newest stands above the others.
    pub fn overruled(&self, overrides: &[Override]) -> Option<Page> {
        let mut concerned =
            overrides.iter().filter_map(|set| Some((set, *set.pages.get(&self.id)?))).peekable();
        concerned.peek()?;
        let mut variables = self.variables.clone();
        for (set, until) in concerned {
            for owned in &mut variables {
                overrule(owned, set, until);
            }
        }
        Some(Page { variables, ..self.clone() })
    }

    /// Whether any of its variables follows hours, so that it can be closed or opened.
    pub fn has_hours(&self) -> bool {
        self.variables.iter().any(|owned| owned.definition.has_hours())
    }
}

fn overrule(owned: &mut Owned, set: &Override, until: Option<Instant>) {
    let during = match &set.says {
        Says::Set { variable, value } if *variable == owned.variable => {
            Definition::Set { wanted: set.value(value, &owned.definition), origin: set.origin() }
        }
        Says::Set { .. } => return,
        Says::Closed | Says::Open if !owned.definition.has_hours() => return,
        says => {
            let forced = Forced { open: *says == Says::Open, from: set.at, until };
            let mut forcing = Forcing { forced, known: BTreeMap::new() };
            forcing.definition(&owned.definition)
        }
    };
    let computed = owned.definition.clone();
    let words = set.describe();
    owned.definition =
        Definition::Overruled(Box::new(Overruled { from: set.at, until, words, during, computed }));
}

/// Puts forced hours in the place of all hours of a definition.
struct Forcing {
    forced: Forced,
    /// Hours that several variables share stay shared.
    known: BTreeMap<*const Hours, Arc<Hours>>,
}

impl Forcing {
    fn hours(&mut self, hours: &Arc<Hours>) -> Arc<Hours> {
        let forced = self.forced;
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
            Definition::Overruled(overruled) => {
                overruled.during = self.definition(&overruled.during);
                overruled.computed = self.definition(&overruled.computed);
            }
            Definition::Object { entries, .. } => {
                for (_, entry) in entries {
                    *entry = self.definition(entry);
                }
            }
            Definition::List { items, .. } => {
                for item in items {
                    *item = self.definition(item);
                }
            }
            Definition::Expression(expression) => {
                for (_, input) in &mut expression.inputs {
                    *input = self.definition(input);
                }
            }
            // What is decided for now is shown now, though the hours are those of another day.
            Definition::Ahead { of, by } => {
                let shifted = |at: Instant| at.checked_add_signed(*by).unwrap_or(at);
                let forced = Forced {
                    from: shifted(self.forced.from),
                    until: self.forced.until.map(shifted),
                    ..self.forced
                };
                **of = Forcing { forced, known: BTreeMap::new() }.definition(of);
            }
            Definition::Constant { .. }
            | Definition::Cell(_)
            | Definition::Set { .. }
            | Definition::Calendar { .. } => {}
        }
        definition
    }
}
