//! The definition of a variant, which can be evaluated at an instant.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{DesiredVariant, Instant, Origin, Problem};

use super::definition::{Definition, UntypedValue};

/// The owned attributes of one variant.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The agent.
    pub agent: String,
    /// The name of the variant.
    pub name: String,
    /// The owned attributes by name.
    pub attributes: BTreeMap<String, Definition>,
    /// The place that defines the variant: the settings block or the row.
    pub origin: Origin,
}

impl Variant {
    /// Returns the texts of the attributes at an instant.
    ///
    /// # Errors
    /// Every attribute that has no text then.
    pub fn desired(&self, at: Instant) -> Result<DesiredVariant, Vec<Problem>> {
        let (mut attributes, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, definition) in &self.attributes {
            let evaluated = definition.evaluate(at).and_then(|evaluated| {
                let text = text(&evaluated.value);
                text.ok_or_else(|| Problem::at(&evaluated.origin, "the value is not a text").hint(NOT_A_TEXT))
            });
            match evaluated {
                Ok(text) => drop(attributes.insert(name.clone(), text)),
                Err(problem) => {
                    problems.push(problem.about(format!("attribute {name} of \"{}\"", self.name)))
                }
            }
        }
        match problems.is_empty() {
            true => Ok(DesiredVariant {
                agent: self.agent.clone(),
                name: self.name.clone(),
                attributes,
                origin: self.origin.clone(),
            }),
            false => Err(problems),
        }
    }

    /// Returns the attributes that change by themselves in a period, each with its place.
    pub fn changing(&self, from: Instant, to: Instant) -> Vec<(&str, Origin)> {
        let changing = self.attributes.iter().filter_map(|(name, definition)| {
            definition.next_transition(from, to)?;
            Some((name.as_str(), definition.evaluate(from).ok()?.origin))
        });
        changing.collect()
    }
}

const NOT_A_TEXT: &str = "attributes of variants are texts: give it a text, a number, true or false";

/// Returns a value as the text of an attribute; `None` for an object or array.
fn text(value: &UntypedValue) -> Option<String> {
    match value.to_json() {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
