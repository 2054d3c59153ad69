//! The values found on pages before they were overridden, as stored.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{PageId, Variable};

/// The name under which the store keeps them.
pub(super) const FOUND: &str = "found before overrides";

/// Values found on pages before they were overridden; none if a variable was missing.
///
/// They are restored and then forgotten when the overrides end.
pub(super) type Found = BTreeMap<PageId, BTreeMap<Variable, Option<Value>>>;

/// Parses the stored fact, in which pages and variables are text.
pub(super) fn read(fact: &str) -> Option<Found> {
    let named: BTreeMap<String, BTreeMap<String, Option<Value>>> = serde_json::from_str(fact).ok()?;
    let page = |(page, values): (String, BTreeMap<String, Option<Value>>)| {
        let values = values.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value)));
        Some((page.parse().ok()?, values.collect()))
    };
    Some(named.into_iter().filter_map(page).collect())
}

/// Returns the fact to store; none when nothing was found.
pub(super) fn write(found: &Found) -> Option<String> {
    let named: BTreeMap<String, BTreeMap<String, &Option<Value>>> = found
        .iter()
        .map(|(page, values)| {
            (page.to_string(), values.iter().map(|(variable, value)| (variable.to_string(), value)).collect())
        })
        .collect();
    serde_json::to_string(&named).ok().filter(|_| !named.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_values_survive_a_round_trip() {
        let variables = [("is_open", Some(Value::Bool(true))), ("/messages/seasonal", None)];
        let variables = variables.map(|(name, value)| (name.parse().unwrap(), value));
        let found = Found::from([("A-1/live".parse().unwrap(), BTreeMap::from(variables))]);
        assert_eq!(read(&write(&found).unwrap()), Some(found));
        assert_eq!(write(&Found::new()), None);
    }
}
