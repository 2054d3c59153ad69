//! A shape with its parameters, as a definition contains it.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem};

use super::language::Language;
use super::shape::{Moment, Parameters, Shape};
use super::time_format::TimeFormat;

/// The default number of coming dates to show.
const DEFAULT_DAYS: u64 = 60;

/// A shape with its parameters.
#[derive(Clone, Copy)]
pub struct Rendering {
    /// The shape.
    pub shape: &'static dyn Shape,
    /// Its parameters.
    pub with: Parameters,
}

impl Rendering {
    /// Returns a shape with its default parameters.
    pub fn new(shape: &'static dyn Shape) -> Self {
        let with = Parameters {
            format: shape.takes().format.unwrap_or(TimeFormat::Minutes),
            days: DEFAULT_DAYS,
            language: Language::default(),
            consumer: shape.consumer(),
        };
        Self { shape, with }
    }

    /// Returns the value at an instant; none without such a time.
    ///
    /// # Errors
    /// Fails if the format cannot express it.
    pub fn value(&self, hours: &Hours, at: Instant, origin: &Origin) -> Result<Option<Value>, Problem> {
        self.shape.value(&Moment { hours, at, with: &self.with, origin })
    }

    /// Returns the next instant at which the value may differ; none if it stays.
    pub fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        self.shape.until(hours, at)
    }
}

impl PartialEq for Rendering {
    fn eq(&self, other: &Self) -> bool {
        self.shape.name() == other.shape.name() && self.with == other.with
    }
}

impl std::fmt::Debug for Rendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.shape.name(), self.with)
    }
}
