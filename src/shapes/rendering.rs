//! A shape with its parameters, as a definition has it.

use serde_json::Value;

use crate::hours::Hours;
use crate::model::{Instant, Origin, Problem};

use super::{ConsumerModel, Language, Moment, SHAPES, Shape, TimeFormat};

/// Coming dates that are shown unless the settings say otherwise.
const DEFAULT_DAYS: u64 = 60;

/// A shape with its parameters.
#[derive(Clone, Copy)]
pub struct Rendering {
    /// The shape.
    pub shape: &'static dyn Shape,
    /// How times are written.
    pub format: TimeFormat,
    /// How many dates are shown, today the first.
    pub days: u64,
    /// The language of words.
    pub language: Language,
    /// How agents read the value.
    pub consumer: ConsumerModel,
}

impl Rendering {
    /// Returns the shape with a name in settings and its default parameters; none when there is no such shape.
    pub fn named(name: &str) -> Option<Self> {
        let shape = *SHAPES.iter().find(|shape| shape.name() == name)?;
        Some(Self {
            shape,
            format: shape.takes().format.unwrap_or(TimeFormat::Minutes),
            days: DEFAULT_DAYS,
            language: Language::default(),
            consumer: shape.consumer(),
        })
    }

    /// Returns the value at an instant; none when there is no such time.
    ///
    /// # Errors
    /// When the format cannot express it.
    pub fn value(&self, hours: &Hours, at: Instant, origin: &Origin) -> Result<Option<Value>, Problem> {
        self.shape.value(&Moment { hours, at, with: self, origin })
    }

    /// Returns the next instant at which the value may differ; none when it stays.
    pub fn until(&self, hours: &Hours, at: Instant) -> Option<Instant> {
        self.shape.until(hours, at)
    }
}

impl PartialEq for Rendering {
    fn eq(&self, other: &Self) -> bool {
        let parameters = |one: &Self| (one.format, one.days, one.language, one.consumer);
        self.shape.name() == other.shape.name() && parameters(self) == parameters(other)
    }
}

impl std::fmt::Debug for Rendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(self.shape.name())
            .field("format", &self.format)
            .field("days", &self.days)
            .field("language", &self.language)
            .field("consumer", &self.consumer)
            .finish()
    }
}
