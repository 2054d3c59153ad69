//! How a variable's value is defined, and what that is at an instant.

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

/// How a value comes about.
#[derive(Clone, Debug)]
pub enum Definition {
    /// A value written in the settings or a JSON file.
    Constant {
        /// The value.
        value: Value,
        /// Where it stands.
        origin: Origin,
    },
    /// A table's cell; its type is the one that the page's schema asks for.
    Cell(Cell),
    /// What an override sets, or the settings write with cells in it.
    Set {
        /// The value.
        wanted: Wanted,
        /// The override, or the place in the settings.
        origin: Origin,
    },
    /// What an override puts in the place of what is worked out.
    Overruled(Box<Overruled>),
    /// Something about opening hours.
    Hours {
        /// The hours.
        hours: Arc<Hours>,
        /// How they are shown.
        show: Rendering,
        /// What stands in when there is nothing to show.
        otherwise: Wanted,
        /// Where the definition stands.
        origin: Origin,
    },
    /// Something about a calendar.
    Calendar {
        /// The events.
        agenda: Arc<Agenda>,
        /// What messages call it.
        name: String,
        /// Whose dates count.
        zone: Zone,
        /// What about it.
        show: CalendarShape,
        /// What stands in when there is nothing to show.
        otherwise: Wanted,
        /// Where the definition stands.
        origin: Origin,
    },
    /// The first clause whose conditions hold, or else the last resort.
    When {
        /// In the order written; the first that holds wins.
        clauses: Vec<Clause>,
        /// When none holds.
        otherwise: Box<Definition>,
    },
    /// An object, each of its values defined.
    Object {
        /// Keys and values, in the order written.
        entries: Vec<(String, Definition)>,
        /// Where the definition stands.
        origin: Origin,
    },
    /// An array, each of its items defined.
    List {
        /// The items.
        items: Vec<Definition>,
        /// The row that each of them is made for; empty where they are written one by one.
        rows: Vec<Row>,
        /// Where the definition stands.
        origin: Origin,
    },
    /// What an expression makes of other values.
    Expression(Box<Expression>),
    /// What another definition will be in a while.
    Ahead {
        /// The other.
        of: Box<Definition>,
        /// How far ahead.
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

/// An expression and what it rests on.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Its text.
    pub(crate) text: String,
    /// The values that it knows by name.
    pub(crate) inputs: Vec<(String, Definition)>,
    /// The rows that it knows by name, with their cells.
    pub(crate) rows: BTreeMap<String, BTreeMap<String, String>>,
    /// Where it stands.
    pub(crate) origin: Origin,
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

/// A value as it is wanted: JSON, or a cell whose type the schema decides.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A value.
    Json(Value),
    /// Text to be typed.
    Cell(Cell),
    /// An object with values of either kind.
    Object(Vec<(String, Wanted)>),
    /// An array with items of either kind.
    List(Vec<Wanted>),
}

impl Wanted {
    /// Whether the two come to the same.
    pub fn same(&self, other: &Wanted) -> bool {
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

    /// Whether a cell is in it.
    fn has_cells(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Cell(_) => true,
            Self::Object(entries) => entries.iter().any(|(_, wanted)| wanted.has_cells()),
            Self::List(items) => items.iter().any(Self::has_cells),
        }
    }

    /// The value as JSON, cells as the text that they are.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Cell(cell) => Value::String(cell.text.clone()),
            Self::Object(entries) => {
                Value::Object(entries.iter().map(|(key, wanted)| (key.clone(), wanted.to_json())).collect())
            }
            Self::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
        }
    }

    /// What has no cell in it is plain JSON.
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
    pub wanted: Wanted,
    /// Where it stands.
    pub origin: Origin,
    /// The next instant at which it may be another; none when it stays for the coming 400 days.
    pub until: Option<Instant>,
}

impl Definition {
    /// Whether a cell is in it, whose type only the page's schema knows.
    pub fn has_cells(&self) -> bool {
        match self {
            Self::Cell(_) => true,
            Self::Set { wanted, .. }
            | Self::Hours { otherwise: wanted, .. }
            | Self::Calendar { otherwise: wanted, .. } => wanted.has_cells(),
            Self::Overruled(overruled) => overruled.during.has_cells() || overruled.computed.has_cells(),
            Self::When { clauses, otherwise } => {
                otherwise.has_cells() || clauses.iter().any(|clause| clause.definition.has_cells())
            }
            Self::Object { entries, .. } => entries.iter().any(|(_, definition)| definition.has_cells()),
            Self::List { items, .. } => items.iter().any(Self::has_cells),
            Self::Ahead { of, .. } => of.has_cells(),
            Self::Constant { .. } | Self::Expression(_) => false,
        }
    }

    /// Whether two definitions are alike but for their places; where that is not told cheaply, no.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Constant { value: a, .. }, Self::Constant { value: b, .. }) => same_value(a, b),
            (Self::Cell(a), Self::Cell(b)) => a.text == b.text,
            (Self::Set { wanted: a, .. }, Self::Set { wanted: b, .. }) => a.same(b),
            (
                Self::Hours { hours: a, show, otherwise, .. },
                Self::Hours { hours: b, show: other_show, otherwise: other, .. },
            ) => show == other_show && otherwise.same(other) && (Arc::ptr_eq(a, b) || a.says_the_same(b)),
            (
                Self::Calendar { agenda: a, zone, show, otherwise, .. },
                Self::Calendar { agenda: b, zone: other_zone, show: other_show, otherwise: other, .. },
            ) => {
                (zone, show) == (other_zone, other_show)
                    && otherwise.same(other)
                    && (Arc::ptr_eq(a, b) || a.says_the_same(b))
            }
            (Self::When { clauses: a, otherwise }, Self::When { clauses: b, otherwise: other }) => {
                let alike = |(a, b): (&Clause, &Clause)| {
                    a.conditions.says_the_same(&b.conditions) && a.definition.says_the_same(&b.definition)
                };
                a.len() == b.len() && a.iter().zip(b).all(alike) && otherwise.says_the_same(other)
            }
            (Self::Expression(a), Self::Expression(b)) => {
                (&a.text, &a.rows) == (&b.text, &b.rows) && named_alike(&a.inputs, &b.inputs)
            }
            (Self::Object { entries: a, .. }, Self::Object { entries: b, .. }) => named_alike(a, b),
            (Self::List { items: a, .. }, Self::List { items: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b))
            }
            (Self::Ahead { of: a, by }, Self::Ahead { of: b, by: other }) => {
                by == other && a.says_the_same(b)
            }
            _ => false,
        }
    }

    /// Whether hours are in it, which an override can close or open.
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

    /// The hours that it shows, without those of conditions.
    pub fn hours(&self) -> Vec<&Arc<Hours>> {
        match self {
            Self::Hours { hours, .. } => vec![hours],
            _ => self.parts().flat_map(Self::hours).collect(),
        }
    }

    /// Whether a reader makes hours of something in it.
    pub fn is_read(&self) -> bool {
        match self {
            Self::Hours { show, .. } => show.with.consumer != ConsumerModel::None,
            Self::Overruled(overruled) => overruled.computed.is_read() || overruled.during.is_read(),
            // What an expression makes of it is read by another rule.
            Self::Expression(_) => false,
            _ => self.parts().any(Self::is_read),
        }
    }

    /// Whether something in it is read back, be it only beside what is checked.
    pub fn is_read_back(&self) -> bool {
        match self {
            Self::Hours { show, .. } => !matches!(show.shape.read_back(), ReadBack::AsItStands),
            Self::Overruled(overruled) => {
                overruled.computed.is_read_back() || overruled.during.is_read_back()
            }
            Self::Expression(_) => false,
            _ => self.parts().any(Self::is_read_back),
        }
    }

    /// The override that covers it at an instant, in words.
    pub fn overruled_at(&self, at: Instant) -> Option<&str> {
        match self {
            Self::Overruled(overruled) if overruled.is_on(at) => Some(&overruled.words),
            Self::Overruled(overruled) => overruled.computed.overruled_at(at),
            _ => None,
        }
    }

    /// The definitions that it is made of.
    pub fn parts(&self) -> Box<dyn Iterator<Item = &Definition> + '_> {
        match self {
            Self::When { clauses, otherwise } => {
                Box::new(std::iter::once(&**otherwise).chain(clauses.iter().map(|clause| &clause.definition)))
            }
            Self::Object { entries, .. } => Box::new(entries.iter().map(|(_, definition)| definition)),
            Self::List { items, .. } => Box::new(items.iter()),
            Self::Expression(expression) => Box::new(expression.inputs.iter().map(|(_, input)| input)),
            Self::Overruled(overruled) => Box::new(std::iter::once(&overruled.computed)),
            Self::Ahead { of, .. } => Box::new(std::iter::once(&**of)),
            Self::Constant { .. }
            | Self::Cell(_)
            | Self::Set { .. }
            | Self::Hours { .. }
            | Self::Calendar { .. } => Box::new(std::iter::empty()),
        }
    }

    /// The value at an instant.
    ///
    /// # Errors
    /// When there is none that would be true, such as a whole hour for half past nine.
    pub fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        match self {
            Self::Constant { value, origin } => {
                Ok(Evaluated { wanted: Wanted::Json(value.clone()), origin: origin.clone(), until: None })
            }
            Self::Cell(cell) => {
                Ok(Evaluated { wanted: Wanted::Cell(cell.clone()), origin: cell.origin.clone(), until: None })
            }
            Self::Hours { hours, show, otherwise, origin } => Ok(Evaluated {
                wanted: show.value(hours, at, origin)?.map_or_else(|| otherwise.clone(), Wanted::Json),
                origin: origin.clone(),
                until: show.until(hours, at),
            }),
            Self::Calendar { agenda, zone, show, otherwise, origin, .. } => Ok(Evaluated {
                wanted: show.value(agenda, *zone, at).map_or_else(|| otherwise.clone(), Wanted::Json),
                origin: origin.clone(),
                until: Some(zone::start_of(*zone, zone::next(zone::date(*zone, at)))),
            }),
            Self::When { clauses, otherwise } => evaluate_when(clauses, otherwise, at),
            Self::Set { wanted, origin } => {
                Ok(Evaluated { wanted: wanted.clone(), origin: origin.clone(), until: None })
            }
            Self::Overruled(overruled) => overruled.evaluate(at),
            Self::Object { entries, origin } => {
                let parts: Vec<Evaluated> = entries
                    .iter()
                    .map(|(key, definition)| definition.evaluate(at).map_err(|problem| problem.about(key)))
                    .collect::<Result<_, _>>()?;
                let until = parts.iter().filter_map(|part| part.until).min();
                let values = entries.iter().zip(parts).map(|((key, _), part)| (key.clone(), part.wanted));
                Ok(made_of_parts(Wanted::Object(values.collect()).plain(), origin, until))
            }
            Self::List { items, origin, .. } => {
                let parts: Vec<Evaluated> =
                    items.iter().map(|definition| definition.evaluate(at)).collect::<Result<_, _>>()?;
                let until = parts.iter().filter_map(|part| part.until).min();
                let items = parts.into_iter().map(|part| part.wanted).collect();
                Ok(made_of_parts(Wanted::List(items).plain(), origin, until))
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
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.says_the_same(&b.1))
}

fn made_of_parts(wanted: Wanted, origin: &Origin, until: Option<Instant>) -> Evaluated {
    Evaluated { wanted, origin: origin.clone(), until }
}

impl Overruled {
    /// Whether the override is in force at an instant.
    pub fn is_on(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// What was not yet set at an instant does not count at it, and what is over neither.
    fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        if !self.is_on(at) && self.from <= at {
            return self.computed.evaluate(at);
        }
        if at < self.from {
            let mut evaluated = self.computed.evaluate(at)?;
            evaluated.until = Some(evaluated.until.map_or(self.from, |until| until.min(self.from)));
            return Ok(evaluated);
        }
        let mut evaluated = self.during.evaluate(at)?;
        evaluated.until = [evaluated.until, self.until].into_iter().flatten().min();
        Ok(evaluated)
    }
}

fn evaluate_when(clauses: &[Clause], otherwise: &Definition, at: Instant) -> Result<Evaluated, Problem> {
    let mut until: Option<Instant> = None;
    for clause in clauses {
        let state = clause.conditions.at(at);
        // A later clause can't change the value while this one holds, an earlier one can.
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

impl Clause {
    /// Whether the clause's conditions hold at an instant.
    pub fn holds(&self, at: Instant) -> bool {
        self.conditions.at(at).holds
    }

    /// The conditions in words, and where they stand.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.conditions.describe(), self.origin)
    }
}
