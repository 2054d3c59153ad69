//! How a variable's value is defined, and what that is at an instant.

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde_json::Value;

use crate::calendar::Agenda;
use crate::hours::Hours;
use crate::model::{Cell, Instant, Origin, Problem, same_value};
use crate::zone;

use super::overrule::Overruled;
use super::show::{CalendarShow, HoursShow, TimeFormat};
use super::window::Conditions;

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
    /// What an override sets.
    Set {
        /// The value.
        wanted: Wanted,
        /// The override.
        origin: Origin,
    },
    /// What an override puts in the place of what is worked out.
    Overruled(Box<Overruled>),
    /// Something about opening hours.
    Hours {
        /// The hours.
        hours: Arc<Hours>,
        /// What about them.
        show: HoursShow,
        /// How times are written.
        format: TimeFormat,
        /// What stands in when there is nothing to show.
        otherwise: Value,
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
        zone: Tz,
        /// What about it.
        show: CalendarShow,
        /// What stands in when there is nothing to show.
        otherwise: Value,
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
}

/// One clause of a `when`.
#[derive(Clone, Debug)]
pub struct Clause {
    pub(super) conditions: Conditions,
    pub(super) definition: Definition,
    pub(super) origin: Origin,
}

/// A value as it is wanted: JSON, or a cell whose type the schema decides.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A value.
    Json(Value),
    /// Text to be typed.
    Cell(Cell),
}

impl Wanted {
    /// Whether the two come to the same.
    pub fn same(&self, other: &Wanted) -> bool {
        match (self, other) {
            (Self::Json(a), Self::Json(b)) => same_value(a, b),
            (Self::Cell(a), Self::Cell(b)) => a.text == b.text,
            _ => false,
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
    /// The reason in words.
    pub because: String,
    /// The next instant at which it may be another; none when it stays for the coming 400 days.
    pub until: Option<Instant>,
}

impl Definition {
    /// Whether a cell is in it, whose type only the page's schema knows.
    pub fn has_cells(&self) -> bool {
        match self {
            Self::Cell(_) | Self::Set { wanted: Wanted::Cell(_), .. } => true,
            Self::Overruled(overruled) => overruled.during.has_cells() || overruled.computed.has_cells(),
            Self::When { clauses, otherwise } => {
                otherwise.has_cells() || clauses.iter().any(|clause| clause.definition.has_cells())
            }
            Self::Constant { .. } | Self::Set { .. } | Self::Hours { .. } | Self::Calendar { .. } => false,
        }
    }

    /// Whether two definitions are alike but for their places; where that is not told cheaply, no.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Constant { value: a, .. }, Self::Constant { value: b, .. }) => same_value(a, b),
            (Self::Cell(a), Self::Cell(b)) => a.text == b.text,
            (
                Self::Hours { hours: a, show, format, otherwise, .. },
                Self::Hours { hours: b, show: other_show, format: other_format, otherwise: other, .. },
            ) => {
                (show, format) == (other_show, other_format)
                    && same_value(otherwise, other)
                    && (Arc::ptr_eq(a, b) || a.says_the_same(b))
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
            Self::Overruled(overruled) => overruled.computed.has_hours(),
            Self::Constant { .. } | Self::Cell(_) | Self::Set { .. } | Self::Calendar { .. } => false,
        }
    }

    /// The hours that it shows, without those of conditions.
    pub fn hours(&self) -> Option<&Arc<Hours>> {
        match self {
            Self::Hours { hours, .. } => Some(hours),
            Self::When { clauses, otherwise } => {
                let mut clauses = clauses.iter();
                otherwise.hours().or_else(|| clauses.find_map(|clause| clause.definition.hours()))
            }
            Self::Overruled(overruled) => overruled.computed.hours(),
            Self::Constant { .. } | Self::Cell(_) | Self::Set { .. } | Self::Calendar { .. } => None,
        }
    }

    /// The value at an instant.
    ///
    /// # Errors
    /// When there is none that would be true, such as a whole hour for half past nine.
    pub fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        match self {
            Self::Constant { value, origin } => Ok(Evaluated {
                wanted: Wanted::Json(value.clone()),
                origin: origin.clone(),
                because: origin.to_string(),
                until: None,
            }),
            Self::Cell(cell) => Ok(Evaluated {
                wanted: Wanted::Cell(cell.clone()),
                origin: cell.origin.clone(),
                because: cell.origin.to_string(),
                until: None,
            }),
            Self::Hours { hours, show, format, otherwise, origin } => Ok(Evaluated {
                wanted: Wanted::Json(show.value(hours, *format, otherwise, at, origin)?),
                origin: origin.clone(),
                because: hours.because(at),
                until: show.until(hours, at),
            }),
            Self::Calendar { agenda, name, zone, show, otherwise, origin } => {
                let (value, because) = show.value(agenda, name, *zone, otherwise, at);
                Ok(Evaluated {
                    wanted: Wanted::Json(value),
                    origin: origin.clone(),
                    because,
                    until: Some(zone::start_of(*zone, zone::next(zone::date(*zone, at)))),
                })
            }
            Self::When { clauses, otherwise } => evaluate_when(clauses, otherwise, at),
            Self::Set { wanted, origin } => Ok(Evaluated {
                wanted: wanted.clone(),
                origin: origin.clone(),
                because: origin.to_string(),
                until: None,
            }),
            Self::Overruled(overruled) => overruled.evaluate(at),
        }
    }
}

impl Overruled {
    /// What was not yet set at an instant does not count at it, and what is over neither.
    fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        if self.until.is_some_and(|until| until <= at) {
            return self.computed.evaluate(at);
        }
        if at < self.from {
            let mut evaluated = self.computed.evaluate(at)?;
            evaluated.until = Some(evaluated.until.map_or(self.from, |until| until.min(self.from)));
            return Ok(evaluated);
        }
        let mut evaluated = self.during.evaluate(at)?;
        evaluated.because.clone_from(&self.words);
        evaluated.until = [evaluated.until, self.until].into_iter().flatten().min();
        Ok(evaluated)
    }
}

fn evaluate_when(clauses: &[Clause], otherwise: &Definition, at: Instant) -> Result<Evaluated, Problem> {
    let mut until: Option<Instant> = None;
    for (index, clause) in clauses.iter().enumerate() {
        let state = clause.conditions.at(at);
        // A later clause can't change the value while this one holds, an earlier one can.
        until = [until, state.until].into_iter().flatten().min();
        if state.holds {
            let mut evaluated = clause.definition.evaluate(at)?;
            evaluated.because =
                format!("clause {} holds: {} ({})", index + 1, clause.conditions.describe(), clause.origin);
            evaluated.until = [until, evaluated.until].into_iter().flatten().min();
            return Ok(evaluated);
        }
    }
    let mut evaluated = otherwise.evaluate(at)?;
    evaluated.because = format!("no clause holds, otherwise {}", evaluated.because);
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

/// An instant and a length, without leaving the years that can be counted.
pub(super) fn after(at: Instant, length: TimeDelta) -> Instant {
    at.checked_add_signed(length).unwrap_or(at)
}
