//! Compares the variants of a table with those of an agent.

use crate::model::{DesiredVariant, RemoteVariant, RemoteVariants};

/// A difference between the table and an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariantDifference {
    /// The agent does not have the attribute.
    MissingAttribute {
        /// Its name.
        attribute: String,
    },
    /// The agent does not have the variant.
    Missing {
        /// Its name.
        variant: String,
    },
    /// An attribute has another value.
    Different {
        /// The variant.
        variant: String,
        /// The attribute.
        attribute: String,
        /// The value of the table.
        desired: String,
        /// The value of the agent, if it has one.
        found: Option<String>,
    },
    /// No row defines the variant. It is never removed.
    Surplus {
        /// Its name.
        variant: String,
    },
}

impl VariantDifference {
    /// Returns true if the agent lacks something that the table has.
    pub fn is_change(&self) -> bool {
        !matches!(self, Self::Surplus { .. })
    }
}

/// Returns the differences: missing attributes, then each variant of the table, then surplus ones.
///
/// Attributes that the table does not own are never compared. A value that the agent lacks equals an
/// empty text: the API takes nothing else for it.
pub fn compare_variants(desired: &[DesiredVariant], found: &RemoteVariants) -> Vec<VariantDifference> {
    let mut differences = Vec::new();
    let mut names: Vec<&String> = desired.iter().flat_map(|variant| variant.attributes.keys()).collect();
    names.sort();
    names.dedup();
    let missing = names.iter().filter(|name| found.attribute(name).is_none());
    differences
        .extend(missing.map(|name| VariantDifference::MissingAttribute { attribute: (*name).clone() }));
    for variant in desired {
        match found.variant(&variant.name) {
            None => differences.push(VariantDifference::Missing { variant: variant.name.clone() }),
            Some(remote) => differences.extend(values(variant, remote, found)),
        }
    }
    let is_surplus = |remote: &&RemoteVariant| desired.iter().all(|variant| variant.name != remote.name);
    let surplus = found.variants.iter().filter(is_surplus);
    differences.extend(surplus.map(|remote| VariantDifference::Surplus { variant: remote.name.clone() }));
    differences
}

/// Returns the attributes of a variant with another value.
fn values<'a>(
    variant: &'a DesiredVariant,
    remote: &'a RemoteVariant,
    found: &'a RemoteVariants,
) -> impl Iterator<Item = VariantDifference> + 'a {
    variant.attributes.iter().filter_map(|(name, desired)| {
        // A missing attribute is a difference of its own.
        let value = remote.values.get(&found.attribute(name)?.id);
        (value.map_or("", String::as_str) != desired).then(|| VariantDifference::Different {
            variant: variant.name.clone(),
            attribute: name.clone(),
            desired: desired.clone(),
            found: value.cloned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Attribute, Origin};

    fn texts(pairs: &str) -> BTreeMap<String, String> {
        let pairs = pairs.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Compares variants written as `Leeds: phone=1 city=x; York: phone=2`.
    fn compare(desired: &str, found: &str, attributes: &str) -> Vec<String> {
        let split = |text: &str| -> Vec<(String, BTreeMap<String, String>)> {
            let variants = text.split("; ").filter_map(|variant| variant.split_once(':'));
            variants.map(|(name, pairs)| (name.to_owned(), texts(pairs))).collect()
        };
        let origin = Origin::line(&"sites.csv".into(), 2);
        let desired: Vec<DesiredVariant> = split(desired)
            .into_iter()
            .map(|(name, attributes)| DesiredVariant {
                agent: "A-1".to_owned(),
                name,
                attributes,
                origin: origin.clone(),
            })
            .collect();
        let attribute = |name: &str| Attribute { id: format!("id-{name}"), name: name.to_owned() };
        let by_id = |values: BTreeMap<String, String>| {
            values.into_iter().map(|(name, value)| (format!("id-{name}"), value)).collect()
        };
        let variant = |(name, values): (String, BTreeMap<String, String>)| RemoteVariant {
            id: String::new(),
            name,
            is_default: false,
            values: by_id(values),
        };
        let found = RemoteVariants {
            attributes: attributes.split_whitespace().map(attribute).collect(),
            variants: split(found).into_iter().map(variant).collect(),
        };
        let shown = |difference: &VariantDifference| match difference {
            VariantDifference::MissingAttribute { attribute } => format!("no {attribute}"),
            VariantDifference::Missing { variant } => format!("+{variant}"),
            VariantDifference::Surplus { variant } => format!("-{variant}"),
            VariantDifference::Different { variant, attribute, desired, found } => {
                format!("{variant}.{attribute} {}->{desired}", found.as_deref().unwrap_or("none"))
            }
        };
        compare_variants(&desired, &found).iter().map(shown).collect()
    }

    #[test]
    fn owned_attributes_are_compared_and_everything_else_is_left_alone() {
        for (desired, found, attributes, expected) in [
            ("Leeds: phone=1", "Leeds: phone=1 note=x", "phone note", vec![]),
            ("Leeds: phone=1", "Leeds: phone=2", "phone", vec!["Leeds.phone 2->1"]),
            ("Leeds: phone=1", "Leeds: note=x", "phone note", vec!["Leeds.phone none->1"]),
            ("Leeds: phone=1", "Leeds: note=x", "note", vec!["no phone"]),
            ("Leeds: phone=1; York: phone=2", "York: phone=2", "phone", vec!["+Leeds"]),
            ("York: phone=2", "Main: phone=; York: phone=2", "phone", vec!["-Main"]),
            ("York: phone=", "York: phone=", "phone", vec![]),
            ("York: phone=", "York: note=x", "phone note", vec![]),
        ] {
            assert_eq!(compare(desired, found, attributes), expected, "{desired} | {found}");
        }
    }
}
