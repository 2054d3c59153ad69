//! The versioned content of an agent: its attributes and variants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::limits::variants::{MAX_ATTRIBUTES, MAX_VARIANTS};

/// The attributes and variants at one place: on main, on a branch, or in a deployment.
///
/// The ids are given in rising order, so the maps keep the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    attributes: BTreeMap<String, Attribute>,
    variants: BTreeMap<String, Variant>,
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    name: String,
    updated_at: String,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variant {
    name: String,
    is_default: bool,
    /// By attribute id.
    values: BTreeMap<String, String>,
    updated_at: String,
}

/// The body that creates or changes a variant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VariantBody {
    name: Option<String>,
    attribute_values: Option<ValuesBody>,
    is_default: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValuesBody {
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// The body that creates or renames an attribute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeBody {
    name: String,
}

/// The reason why a change of the content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The id is unknown.
    Unknown,
    /// A body breaks the documented schema.
    Body,
    /// A variant has values for unknown attributes, or lacks some.
    BadAttributes,
    /// Another one has the name.
    DuplicateName,
    /// The default variant cannot be removed.
    RemovesDefault,
    /// There are too many.
    TooMany,
}

impl Content {
    /// Returns the attributes as the API lists them.
    pub fn attributes(&self) -> Value {
        let all = self.attributes.keys().map(|id| self.attribute(id)).collect::<Vec<_>>();
        json!({ "attributes": all })
    }

    fn attribute(&self, id: &str) -> Value {
        json!({ "id": id, "name": self.attributes.get(id).map(|attribute| &attribute.name) })
    }

    /// Returns the variants as the API lists them.
    pub fn variants(&self) -> Value {
        let all = self.variants.keys().map(|id| self.variant(id)).collect::<Vec<_>>();
        json!({ "variants": all })
    }

    fn variant(&self, id: &str) -> Value {
        let variant = self.variants.get(id);
        json!({
            "id": id,
            "name": variant.map(|variant| &variant.name),
            "isDefault": variant.is_some_and(|variant| variant.is_default),
            "attributeValues": { "values": variant.map(|variant| &variant.values) },
        })
    }

    /// Creates an attribute.
    pub fn create_attribute(&mut self, id: String, body: AttributeBody, at: &str) -> Result<Value, Refused> {
        self.check_attribute_name(&body.name, None)?;
        if self.attributes.len() >= MAX_ATTRIBUTES {
            return Err(Refused::TooMany);
        }
        self.attributes.insert(id.clone(), Attribute { name: body.name, updated_at: at.to_owned() });
        Ok(self.attribute(&id))
    }

    /// Renames an attribute.
    pub fn rename_attribute(&mut self, id: &str, body: AttributeBody, at: &str) -> Result<Value, Refused> {
        self.check_attribute_name(&body.name, Some(id))?;
        let attribute = self.attributes.get_mut(id).ok_or(Refused::Unknown)?;
        *attribute = Attribute { name: body.name, updated_at: at.to_owned() };
        Ok(self.attribute(id))
    }

    /// Removes an attribute, with its values.
    pub fn delete_attribute(&mut self, id: &str) -> Result<Value, Refused> {
        self.attributes.remove(id).ok_or(Refused::Unknown)?;
        self.variants.values_mut().for_each(|variant| drop(variant.values.remove(id)));
        Ok(json!({ "id": id }))
    }

    fn check_attribute_name(&self, name: &str, own: Option<&str>) -> Result<(), Refused> {
        let mut others = self.attributes.iter().filter(|(id, _)| Some(id.as_str()) != own);
        match () {
            () if name.is_empty() => Err(Refused::Body),
            () if others.any(|(_, other)| other.name == name) => Err(Refused::DuplicateName),
            () => Ok(()),
        }
    }

    /// Creates a variant; the first one is the default.
    pub fn create_variant(&mut self, id: String, body: VariantBody, at: &str) -> Result<Value, Refused> {
        let name = body.name.ok_or(Refused::Body)?;
        self.check_variant_name(&name, None)?;
        let values = body.attribute_values.unwrap_or_default().values;
        if !values.keys().eq(self.attributes.keys()) {
            return Err(Refused::BadAttributes);
        }
        if self.variants.len() >= MAX_VARIANTS {
            return Err(Refused::TooMany);
        }
        let is_default = body.is_default == Some(true) || self.variants.is_empty();
        if is_default {
            self.variants.values_mut().for_each(|variant| variant.is_default = false);
        }
        self.variants.insert(id.clone(), Variant { name, is_default, values, updated_at: at.to_owned() });
        Ok(self.variant(&id))
    }

    /// Changes a variant.
    ///
    /// The values replace those before: nothing says that they are merged, and a client that sends
    /// only some must find out here.
    pub fn change_variant(&mut self, id: &str, body: VariantBody, at: &str) -> Result<Value, Refused> {
        let known = self.variants.get(id).ok_or(Refused::Unknown)?.clone();
        if let Some(name) = &body.name {
            self.check_variant_name(name, Some(id))?;
        }
        let values = body.attribute_values.map_or(known.values, |given| given.values);
        if values.keys().any(|attribute| !self.attributes.contains_key(attribute)) {
            return Err(Refused::BadAttributes);
        }
        match body.is_default {
            Some(false) if known.is_default => return Err(Refused::RemovesDefault),
            Some(true) => self.variants.values_mut().for_each(|variant| variant.is_default = false),
            _ => {}
        }
        let is_default = body.is_default.unwrap_or(known.is_default);
        let name = body.name.unwrap_or(known.name);
        let changed = Variant { name, is_default, values, updated_at: at.to_owned() };
        self.variants.insert(id.to_owned(), changed);
        Ok(self.variant(id))
    }

    /// Removes a variant, except for the default one.
    pub fn delete_variant(&mut self, id: &str) -> Result<Value, Refused> {
        if self.variants.get(id).ok_or(Refused::Unknown)?.is_default {
            return Err(Refused::RemovesDefault);
        }
        self.variants.remove(id);
        Ok(json!({ "id": id }))
    }

    fn check_variant_name(&self, name: &str, own: Option<&str>) -> Result<(), Refused> {
        let mut others = self.variants.iter().filter(|(id, _)| Some(id.as_str()) != own);
        match () {
            () if name.is_empty() => Err(Refused::Body),
            () if others.any(|(_, other)| other.name == name) => Err(Refused::DuplicateName),
            () => Ok(()),
        }
    }

    /// Returns why the content is not valid as a whole, as after the merges of two branches.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let attributes: Vec<&String> = self.attributes.values().map(|attribute| &attribute.name).collect();
        let variants: Vec<&String> = self.variants.values().map(|variant| &variant.name).collect();
        for (what, mut names) in [("attributes", attributes), ("variants", variants)] {
            names.sort();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
            problems.extend(twice.map(|pair| format!("two {what} have the name \"{}\"", pair[0])));
        }
        if self.variants.values().filter(|variant| variant.is_default).count() > 1 {
            problems.push("two variants are the default".to_owned());
        }
        problems
    }

    /// Sets values by names, as a person does in the vendor's UI; creates missing ones.
    ///
    /// `next` gives the ids.
    pub fn set_by_name(
        &mut self,
        variant: &str,
        values: &BTreeMap<String, String>,
        at: &str,
        mut next: impl FnMut(&str) -> String,
    ) {
        let mut ids = BTreeMap::new();
        for (name, value) in values {
            let known =
                self.attributes.iter().find(|(_, known)| known.name == *name).map(|(id, _)| id.clone());
            let id = known.unwrap_or_else(|| {
                let id = next("ATTRIBUTE");
                let attribute = Attribute { name: name.clone(), updated_at: at.to_owned() };
                self.attributes.insert(id.clone(), attribute);
                id
            });
            ids.insert(id, value.clone());
        }
        let is_first = self.variants.is_empty();
        let known = self.variants.iter().find(|(_, known)| known.name == variant).map(|(id, _)| id.clone());
        let entry =
            self.variants.entry(known.unwrap_or_else(|| next("VARIANT"))).or_insert_with(|| Variant {
                name: variant.to_owned(),
                is_default: is_first,
                values: BTreeMap::new(),
                updated_at: String::new(),
            });
        entry.values.extend(ids);
        at.clone_into(&mut entry.updated_at);
    }
}
