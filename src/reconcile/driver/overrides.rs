//! The overrides, and the values found on unpromoted pages before they were overridden.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Instant, PageId, Variable};
use crate::pages::Override;

/// The name under which the store keeps them.
pub(super) const FOUND: &str = "found before overrides";

/// Values found on pages before they were overridden; none if a variable was missing.
///
/// They are restored and then forgotten when the overrides end.
type FoundValues = BTreeMap<PageId, BTreeMap<Variable, Option<Value>>>;

/// The overrides of a driver.
pub(super) struct Overrides {
    /// All overrides, applied or not.
    pub(super) set: Vec<Override>,
    /// Those applied to the pages.
    pub(super) applied: Vec<Override>,
    /// Values found on unpromoted pages before they were overridden.
    pub(super) found: FoundValues,
}

impl Overrides {
    /// Starts overrides dated in the future, which were set by a clock that was ahead.
    ///
    /// Returns true if there were any.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let mut to_come = self.set.iter_mut().filter(|set| set.at > now).peekable();
        let has_any = to_come.peek().is_some();
        to_come.for_each(|set| set.at = now);
        has_any
    }

    /// Drops those that were over at an instant.
    pub(super) fn drop_over(&mut self, at: Instant) {
        self.set.retain(|set| !set.is_over(at));
    }

    /// Returns those that are not over.
    pub(super) fn active(&self, now: Instant) -> impl Iterator<Item = &Override> {
        self.set.iter().filter(move |set| !set.is_over(now))
    }
}

/// Parses the stored fact, in which pages and variables are text.
pub(super) fn read(fact: &str) -> Option<FoundValues> {
    let named: BTreeMap<String, BTreeMap<String, Option<Value>>> = serde_json::from_str(fact).ok()?;
    let page = |(page, values): (String, BTreeMap<String, Option<Value>>)| {
        let values = values.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value)));
        Some((page.parse().ok()?, values.collect()))
    };
    Some(named.into_iter().filter_map(page).collect())
}

/// Returns the fact to store; none when nothing was found.
pub(super) fn write(found: &FoundValues) -> Option<String> {
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
        let found = FoundValues::from([("A-1/live".parse().unwrap(), BTreeMap::from(variables))]);
        assert_eq!(read(&write(&found).unwrap()), Some(found));
        assert_eq!(write(&FoundValues::new()), None);
    }
}
