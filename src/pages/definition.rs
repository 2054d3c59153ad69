//! Definitions of variables, and their values at an instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::calendar::Agenda;
use crate::hours::Hours;
use crate::model::{Cell, Instant, Origin, Problem, Row, after, same_value};
use crate::zone::{self, Zone};

use super::conditions::Conditions;
use crate::shapes::{CalendarShape, ConsumerModel, ReadBack, Rendering};

/// The definition of a value.
#[derive(Clone, Debug)]
pub enum Definition {
    /// A value written in the settings or a JSON file.
    Constant {
        /// The value.
        value: Value,
        /// The place where it is written.
        origin: Origin,
    },
    /// A table's cell, whose type is the one that the page's schema requires.
    Cell(Cell),
    /// A value set by an override, or written in the settings with cells in it.
    Set {
        /// The value.
        value: UntypedValue,
        /// The override, or the place in the settings.
        origin: Origin,
    },
    /// A computed value that an override replaces for a time.
    Overridden(Box<Overridden>),
    /// A value about opening hours.
    Hours {
        /// The hours.
        hours: Arc<Hours>,
        /// The form in which they are shown.
        show: Rendering,
        /// The value to use if there is nothing to show.
        otherwise: UntypedValue,
        /// The place where the definition is written.
        origin: Origin,
    },
    /// A value about a calendar.
    Calendar {
        /// The events.
        agenda: Arc<Agenda>,
        /// The name of the calendar in messages.
        name: String,
        /// The zone of its dates.
        zone: Zone,
        /// The shape of the value.
        show: CalendarShape,
        /// The value to use if there is nothing to show.
        otherwise: UntypedValue,
        /// The place where the definition is written.
        origin: Origin,
    },
    /// The first clause whose conditions hold, or else a default.
    When {
        /// The clauses in the order written; the first that holds wins.
        clauses: Vec<Clause>,
        /// The default if no clause holds.
        otherwise: Box<Definition>,
    },
    /// An object whose values are each defined.
    Object {
        /// Keys and values, in the order written.
        entries: Vec<(String, Definition)>,
        /// The place where the definition is written.
        origin: Origin,
    },
    /// An array whose items are each defined.
    List {
        /// The items.
        items: Vec<Definition>,
        /// The row of each item; empty if the items are written one by one.
        rows: Vec<Row>,
        /// The place where the definition is written.
        origin: Origin,
    },
    /// The result of an expression over other values.
    Expression(Box<Expression>),
    /// The value that another definition will have some time later.
    Ahead {
        /// The other definition.
        of: Box<Definition>,
        /// The length of time ahead.
        by: TimeDelta,
    },
}

/// One clause of a `when`.
#[derive(Clone, Debug)]
pub struct Clause {
    pub(crate) conditions: Conditions,
    pub(crate) definition: Definition,
    pub(crate) origin: Origin,
}

/// An expression and its inputs.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Its text.
    pub(crate) text: String,
    /// The values that it can use by name.
    pub(crate) inputs: Vec<(String, Definition)>,
    /// The rows that it can use by name, with their cells.
    pub(crate) rows: BTreeMap<String, BTreeMap<String, String>>,
    /// The place where it is written.
    pub(crate) origin: Origin,
}

/// A definition, and the override that replaces it from one instant to another.
#[derive(Clone, Debug)]
pub struct Overridden {
    /// The instant at which the override was set.
    pub from: Instant,
    /// The instant at which the override ends, if it does by itself.
    pub until: Option<Instant>,
    /// The override in words.
    pub words: String,
    /// The definition during the override.
    pub during: Definition,
    /// The computed definition, before and after the override.
    pub computed: Definition,
}

/// A desired value: JSON, or a cell whose type the schema decides.
#[derive(Clone, Debug)]
pub enum UntypedValue {
    /// A value.
    Json(Value),
    /// Text that the schema types.
    Cell(Cell),
    /// An object with values of either kind.
    Object(Vec<(String, UntypedValue)>),
    /// An array with items of either kind.
    List(Vec<UntypedValue>),
}

impl UntypedValue {
    /// Returns true if both are the same value.
    pub fn same(&self, other: &UntypedValue) -> bool {
        match (self, other) {
            (Self::Json(a), Self::Json(b)) => same_value(a, b),
            (Self::Cell(a), Self::Cell(b)) => a.text == b.text,
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.same(&b.1))
            }
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            _ => false,
        }
    }

    /// Returns true if the value, or a part of it, is a cell.
    fn has_cells(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Cell(_) => true,
            Self::Object(entries) => entries.iter().any(|(_, value)| value.has_cells()),
            Self::List(items) => items.iter().any(Self::has_cells),
        }
    }

    /// Returns the value as JSON, with cells as text.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Cell(cell) => Value::String(cell.text.clone()),
            Self::Object(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
            Self::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
        }
    }

    /// Converts a value that contains no cell to plain JSON.
    pub(crate) fn plain(self) -> Self {
        match self.has_cells() {
            true => self,
            false => Self::Json(self.to_json()),
        }
    }
}

/// A value at an instant.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The value.
    pub value: UntypedValue,
    /// The place where the value is written.
    pub origin: Origin,
    /// The next instant at which it may change; none if it stays for the coming 400 days.
    pub until: Option<Instant>,
}

impl Definition {
    /// Returns true if it contains a cell, whose type only the page's schema knows.
    pub fn has_cells(&self) -> bool {
        match self {
            Self::Cell(_) => true,
            Self::Set { value, .. }
            | Self::Hours { otherwise: value, .. }
            | Self::Calendar { otherwise: value, .. } => value.has_cells(),
            Self::Overridden(overridden) => overridden.during.has_cells() || overridden.computed.has_cells(),
            Self::When { clauses, otherwise } => {
                otherwise.has_cells() || clauses.iter().any(|clause| clause.definition.has_cells())
            }
            Self::Object { entries, .. } => entries.iter().any(|(_, definition)| definition.has_cells()),
            Self::List { items, .. } => items.iter().any(Self::has_cells),
            Self::Ahead { of, .. } => of.has_cells(),
            Self::Constant { .. } | Self::Expression(_) => false,
        }
    }

    /// Returns true if both are equal, ignoring the places where they are written.
    ///
    /// May return false for equal definitions if a comparison would be expensive.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Constant { value: a, .. }, Self::Constant { value: b, .. }) => same_value(a, b),
            (Self::Cell(a), Self::Cell(b)) => a.text == b.text,
            (Self::Set { value: a, .. }, Self::Set { value: b, .. }) => a.same(b),
            (
                Self::Hours { hours: a, show, otherwise, .. },
                Self::Hours { hours: b, show: other_show, otherwise: other, .. },
            ) => show == other_show && otherwise.same(other) && (Arc::ptr_eq(a, b) || a.is_equivalent(b)),
            (
                Self::Calendar { agenda: a, zone, show, otherwise, .. },
                Self::Calendar { agenda: b, zone: other_zone, show: other_show, otherwise: other, .. },
            ) => {
                (zone, show) == (other_zone, other_show)
                    && otherwise.same(other)
                    && (Arc::ptr_eq(a, b) || a.is_equivalent(b))
            }
            (Self::When { clauses: a, otherwise }, Self::When { clauses: b, otherwise: other }) => {
                let alike = |(a, b): (&Clause, &Clause)| {
                    a.conditions.is_equivalent(&b.conditions) && a.definition.is_equivalent(&b.definition)
                };
                a.len() == b.len() && a.iter().zip(b).all(alike) && otherwise.is_equivalent(other)
            }
            (Self::Expression(a), Self::Expression(b)) => {
                (&a.text, &a.rows) == (&b.text, &b.rows) && named_alike(&a.inputs, &b.inputs)
            }
            (Self::Object { entries: a, .. }, Self::Object { entries: b, .. }) => named_alike(a, b),
            (Self::List { items: a, .. }, Self::List { items: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_equivalent(b))
            }
            (Self::Ahead { of: a, by }, Self::Ahead { of: b, by: other }) => {
                by == other && a.is_equivalent(b)
            }
            _ => false,
        }
    }

    /// Returns true if it contains hours, which an override can close or open.
    pub fn has_hours(&self) -> bool {
        match self {
            Self::Hours { .. } => true,
            Self::When { clauses, otherwise } => {
                let has = |clause: &Clause| clause.definition.has_hours() || clause.conditions.has_hours();
                otherwise.has_hours() || clauses.iter().any(has)
            }
            _ => self.parts().any(Self::has_hours),
        }
    }

    /// Returns the hours that it shows, without those of conditions.
    pub fn hours(&self) -> Vec<&Arc<Hours>> {
        match self {
            Self::Hours { hours, .. } => vec![hours],
            _ => self.parts().flat_map(Self::hours).collect(),
        }
    }

    /// Returns the same as [`Self::hours`], as overrides leave them.
    pub fn overridden_hours(&self) -> Vec<&Arc<Hours>> {
        match self {
            Self::Hours { hours, .. } => vec![hours],
            Self::Overridden(overridden) => match overridden.during.overridden_hours() {
                // A value of its own replaces the hours, which go on underneath.
                hours if hours.is_empty() => overridden.computed.overridden_hours(),
                hours => hours,
            },
            _ => self.parts().flat_map(Self::overridden_hours).collect(),
        }
    }

    /// Returns true if a consumer model interprets some value in it as hours.
    pub fn is_read(&self) -> bool {
        match self {
            Self::Hours { show, .. } => show.with.consumer != ConsumerModel::None,
            Self::Overridden(overridden) => overridden.computed.is_read() || overridden.during.is_read(),
            // The result of an expression has no consumer model.
            Self::Expression(_) => false,
            _ => self.parts().any(Self::is_read),
        }
    }

    /// Returns true if some value in it takes part in the read-back check.
    ///
    /// This includes values that are only read together with the checked ones.
    pub fn is_read_back(&self) -> bool {
        match self {
            Self::Hours { show, .. } => !matches!(show.shape.read_back(), ReadBack::AsWritten),
            Self::Overridden(overridden) => {
                overridden.computed.is_read_back() || overridden.during.is_read_back()
            }
            Self::Expression(_) => false,
            _ => self.parts().any(Self::is_read_back),
        }
    }

    /// Describes the override that is active on it at an instant.
    pub fn overridden_at(&self, at: Instant) -> Option<&str> {
        match self {
            Self::Overridden(overridden) if overridden.is_on(at) => Some(&overridden.words),
            Self::Overridden(overridden) => overridden.computed.overridden_at(at),
            _ => None,
        }
    }

    /// Returns true if an override is active on it, or on a part of it, at an instant.
    pub fn is_overridden_at(&self, at: Instant) -> bool {
        match self {
            Self::Overridden(overridden) => overridden.is_on(at) || overridden.computed.is_overridden_at(at),
            _ => self.parts().any(|part| part.is_overridden_at(at)),
        }
    }

    /// Returns the definitions that it is made of.
    pub fn parts(&self) -> Box<dyn Iterator<Item = &Definition> + '_> {
        match self {
            Self::When { clauses, otherwise } => {
                Box::new(std::iter::once(&**otherwise).chain(clauses.iter().map(|clause| &clause.definition)))
            }
            Self::Object { entries, .. } => Box::new(entries.iter().map(|(_, definition)| definition)),
            Self::List { items, .. } => Box::new(items.iter()),
            Self::Expression(expression) => Box::new(expression.inputs.iter().map(|(_, input)| input)),
            Self::Overridden(overridden) => Box::new(std::iter::once(&overridden.computed)),
            Self::Ahead { of, .. } => Box::new(std::iter::once(&**of)),
            Self::Constant { .. }
            | Self::Cell(_)
            | Self::Set { .. }
            | Self::Hours { .. }
            | Self::Calendar { .. } => Box::new(std::iter::empty()),
        }
    }

    /// Returns the value at an instant.
    ///
    /// # Errors
    /// Fails if no value would be correct, for example a whole hour for half past nine.
    pub fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        match self {
            Self::Constant { value, origin } => Ok(Evaluated {
                value: UntypedValue::Json(value.clone()),
                origin: origin.clone(),
                until: None,
            }),
            Self::Cell(cell) => Ok(Evaluated {
                value: UntypedValue::Cell(cell.clone()),
                origin: cell.origin.clone(),
                until: None,
            }),
            Self::Hours { hours, show, otherwise, origin } => Ok(Evaluated {
                value: show.value(hours, at, origin)?.map_or_else(|| otherwise.clone(), UntypedValue::Json),
                origin: origin.clone(),
                until: show.until(hours, at),
            }),
            Self::Calendar { agenda, zone, show, otherwise, origin, .. } => Ok(Evaluated {
                value: show.value(agenda, *zone, at).map_or_else(|| otherwise.clone(), UntypedValue::Json),
                origin: origin.clone(),
                until: Some(zone::start_of(*zone, zone::next(zone::date(*zone, at)))),
            }),
            Self::When { clauses, otherwise } => evaluate_when(clauses, otherwise, at),
            Self::Set { value, origin } => {
                Ok(Evaluated { value: value.clone(), origin: origin.clone(), until: None })
            }
            Self::Overridden(overridden) => overridden.evaluate(at),
            Self::Object { entries, origin } => {
                let parts: Vec<Evaluated> = entries
                    .iter()
                    .map(|(key, definition)| definition.evaluate(at).map_err(|problem| problem.about(key)))
                    .collect::<Result<_, _>>()?;
                let until = parts.iter().filter_map(|part| part.until).min();
                let values = entries.iter().zip(parts).map(|((key, _), part)| (key.clone(), part.value));
                Ok(made_of_parts(UntypedValue::Object(values.collect()).plain(), origin, until))
            }
            Self::List { items, origin, .. } => {
                let parts: Vec<Evaluated> =
                    items.iter().map(|definition| definition.evaluate(at)).collect::<Result<_, _>>()?;
                let until = parts.iter().filter_map(|part| part.until).min();
                let items = parts.into_iter().map(|part| part.value).collect();
                Ok(made_of_parts(UntypedValue::List(items).plain(), origin, until))
            }
            Self::Expression(expression) => expression.evaluate(at),
            Self::Ahead { of, by } => {
                let mut evaluated = of.evaluate(after(at, *by))?;
                evaluated.until = evaluated.until.map(|until| after(until, -*by));
                Ok(evaluated)
            }
        }
    }
}

fn named_alike(a: &[(String, Definition)], b: &[(String, Definition)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.is_equivalent(&b.1))
}

fn made_of_parts(value: UntypedValue, origin: &Origin, until: Option<Instant>) -> Evaluated {
    Evaluated { value, origin: origin.clone(), until }
}

fn evaluate_when(clauses: &[Clause], otherwise: &Definition, at: Instant) -> Result<Evaluated, Problem> {
    let mut until: Option<Instant> = None;
    for clause in clauses {
        let state = clause.conditions.at(at);
        // While this clause holds, an earlier one can change the value and a later one cannot.
        until = [until, state.until].into_iter().flatten().min();
        if state.holds {
            let mut evaluated = clause.definition.evaluate(at)?;
            evaluated.until = [until, evaluated.until].into_iter().flatten().min();
            return Ok(evaluated);
        }
    }
    let mut evaluated = otherwise.evaluate(at)?;
    evaluated.until = [until, evaluated.until].into_iter().flatten().min();
    Ok(evaluated)
}
