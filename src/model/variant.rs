//! Variants of an agent: as they should be, and as the API has them.

use std::collections::BTreeMap;

use super::Origin;

/// A variant as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredVariant {
    /// The agent.
    pub agent: String,
    /// The name of the variant.
    pub name: String,
    /// The text of each owned attribute, by name.
    pub attributes: BTreeMap<String, String>,
    /// The place that defines the variant: the settings block or the row.
    pub origin: Origin,
}

/// The attributes and variants of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteVariants {
    /// The attributes, in the order of the API.
    pub attributes: Vec<Attribute>,
    /// The variants, in the order of the API.
    pub variants: Vec<RemoteVariant>,
}

/// An attribute of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
}

/// A variant of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteVariant {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// True for the default variant.
    pub is_default: bool,
    /// The values by attribute id.
    pub values: BTreeMap<String, String>,
}

impl RemoteVariants {
    /// Returns the attribute with a name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Returns the variant with a name.
    pub fn variant(&self, name: &str) -> Option<&RemoteVariant> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}
