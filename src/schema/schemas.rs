//! Compiled schemas, shared by the pages that have the same one.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::model::Problem;

use super::Schema;

/// Compiled schemas, each compiled once for all pages that share it.
#[derive(Debug, Default)]
pub struct Schemas {
    pub(super) known: HashSet<Known>,
    assert_formats: bool,
}

impl Schemas {
    /// Creates an empty cache; `assert_formats` makes `format` a rule that values must meet.
    pub fn new(assert_formats: bool) -> Self {
        Self { known: HashSet::new(), assert_formats }
    }

    /// Compiles a page's schema, or returns the cached one if another page has the same schema.
    ///
    /// In that case the page's `source` is replaced by the shared copy.
    ///
    /// # Errors
    /// As [`Schema::compile`]; failures are not cached.
    pub fn compile(&mut self, source: &mut Option<Arc<Value>>) -> Result<Arc<Schema>, Problem> {
        let Some(source) = source else { return Ok(Arc::new(Schema::anything())) };
        if let Some(Known(schema)) = self.known.get(&**source) {
            source.clone_from(&schema.source);
            return Ok(schema.clone());
        }
        let schema = Arc::new(Schema::of(source, self.assert_formats)?);
        // Drops schemas that no page uses any more. The scan runs at powers of two only, so that it
        // stays cheap when every page has its own schema.
        if self.known.len().is_power_of_two() {
            self.known.retain(|Known(schema)| Arc::strong_count(schema) > 1);
        }
        self.known.insert(Known(schema.clone()));
        Ok(schema)
    }
}

/// A schema that is hashed and compared by its source.
#[derive(Debug)]
pub(super) struct Known(Arc<Schema>);

impl Borrow<Value> for Known {
    fn borrow(&self) -> &Value {
        &self.0.source
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Known {}
