//! Checks the values of one page at many instants, one after the other.

use std::sync::Arc;

use serde_json::Value;

use crate::model::{Places, RemotePage, Step};
use crate::pages::{Desired, DesiredValue, UntypedValue};

use super::{RULES_COMPARED, Schema};

/// A page with the values of the last instant merged in.
///
/// Most values stay from one instant to the next. Only the changed ones are typed and written
/// again.
pub struct Series<'a> {
    observed: &'a RemotePage,
    schema: &'a Schema,
    merged: Arc<Value>,
    /// The values in `merged`; empty when it has none.
    written: Vec<UntypedValue>,
}

impl<'a> Series<'a> {
    /// Begins with a fetched page.
    pub fn new(observed: &'a RemotePage, schema: &'a Schema) -> Self {
        Self { observed, schema, merged: Arc::default(), written: Vec::new() }
    }

    /// Returns true if [`check`](super::check) accepts the values and has no warning.
    ///
    /// False says nothing: the values may be wrong, or select items of an array, which takes the
    /// whole check. All calls must be for the same variables.
    pub fn accepts(&mut self, desired: &Desired) -> bool {
        let selects =
            |value: &DesiredValue| value.variable.steps().any(|step| matches!(step, Step::Item { .. }));
        if self.written.is_empty() {
            if desired.values.iter().any(selects) {
                return false;
            }
            self.merged = Arc::new(Value::Object(self.observed.variables.clone()));
        }
        let is_written = self.write(desired).is_some();
        if !is_written {
            self.written.clear();
        }
        is_written && self.schema.takes_without_warning(&self.merged)
    }

    fn write(&mut self, desired: &Desired) -> Option<()> {
        let page = Arc::make_mut(&mut self.merged).as_object_mut()?;
        for (index, DesiredValue { variable, value, .. }) in desired.values.iter().enumerate() {
            if self.written.get(index).is_some_and(|written| written.same(value)) {
                continue;
            }
            let typed = self.schema.typed(variable, value).ok()?;
            variable.write(page, typed, desired.missing, &mut Places::default()).ok()?;
            match self.written.get_mut(index) {
                Some(written) => *written = value.clone(),
                None => self.written.push(value.clone()),
            }
        }
        Some(())
    }
}

impl Schema {
    /// Returns true if a page's values meet the schema, formats included.
    fn takes_without_warning(&self, values: &Arc<Value>) -> bool {
        let formats = self.with_formats.as_ref();
        let is_clean = |checker: &super::Checker| {
            checker.errors(&self.whole, values, RULES_COMPARED).is_ok_and(|errors| errors.is_empty())
        };
        self.validator.as_ref().is_none_or(is_clean) && formats.is_none_or(is_clean)
    }
}
