//! The values that we last sent to a page and saw confirmed.

use serde_json::Value;

use crate::model::Variable;

/// The baseline of a page: a value for each variable.
///
/// A sorted list, since a page has a few variables as a rule. For 100,000 pages of three variables,
/// trees would take 100 MB more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline(Vec<(Variable, Value)>);

impl Baseline {
    /// Creates a baseline without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of a variable.
    pub fn get(&self, variable: &Variable) -> Option<&Value> {
        self.place(variable).ok().map(|place| &self.0[place].1)
    }

    /// Sets the value of a variable.
    pub fn insert(&mut self, variable: Variable, value: Value) {
        match self.place(&variable) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (variable, value)),
        }
    }

    /// Returns true if it has no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the variables with their values, in the order of the variables.
    pub fn pairs(&self) -> impl Iterator<Item = (&Variable, &Value)> {
        self.0.iter().map(|(variable, value)| (variable, value))
    }

    /// Returns the variables, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &Variable> {
        self.pairs().map(|(variable, _)| variable)
    }

    /// Returns the values, in the order of their variables.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.pairs().map(|(_, value)| value)
    }

    fn place(&self, variable: &Variable) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(variable))
    }
}

impl Extend<(Variable, Value)> for Baseline {
    fn extend<I: IntoIterator<Item = (Variable, Value)>>(&mut self, values: I) {
        values.into_iter().for_each(|(variable, value)| self.insert(variable, value));
    }
}

impl FromIterator<(Variable, Value)> for Baseline {
    fn from_iter<I: IntoIterator<Item = (Variable, Value)>>(values: I) -> Self {
        let mut baseline = Self::new();
        baseline.extend(values);
        baseline
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_value_of_a_variable_counts_in_whatever_order_they_come() {
        let pairs =
            ["b", "a", "c", "a"].iter().zip(1..).map(|(name, value)| (name.parse().unwrap(), json!(value)));
        let baseline: Baseline = pairs.collect();
        assert_eq!(baseline.keys().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(baseline.values().collect::<Vec<_>>(), [&json!(4), &json!(1), &json!(3)]);
        assert_eq!(baseline.get(&"c".parse().unwrap()), Some(&json!(3)));
        assert_eq!((baseline.get(&"d".parse().unwrap()), baseline.len()), (None, 3));
    }
}
