//! Tells whether a fetched page lacks something that is known to be on it. One odd answer must not cost values of others, nor
//! let values past a schema, so such a page is fetched a second time before anything follows from it.

use std::collections::BTreeSet;

use crate::desired::Owned;
use crate::model::{Places, RemotePage, Variable};
use crate::plan::Base;

/// What a page lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Gap {
    /// Variables of the baseline that are missing, and those below a key that is missing: the key would be sent whole.
    variables: BTreeSet<Variable>,
    /// The schema that it had.
    schema: bool,
}

/// What one page is known to lack.
#[derive(Debug, Default)]
pub struct Gaps {
    /// It had a schema when it was last fetched.
    has_schema: bool,
    /// Found by two fetches in a row.
    confirmed: Gap,
    /// Found by the last fetch alone.
    unconfirmed: Option<Gap>,
}

/// What a fetch is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The page is as it was answered.
    Sound,
    /// Something vanished; another fetch tells whether that is so.
    Doubtful,
    /// The second fetch lacks other things than the first.
    Inconsistent,
}

impl Gaps {
    /// A page that the store knows with or without a schema.
    pub fn new(has_schema: bool) -> Self {
        Self { has_schema, ..Self::default() }
    }

    /// Judges a fetched page by what is known of it.
    pub fn judge(&mut self, page: &RemotePage, base: &Base, owned: &[Owned]) -> Fetch {
        let found = self.gap(page, base, owned);
        let is_known = found.variables.is_subset(&self.confirmed.variables) && !found.schema;
        let before = self.unconfirmed.take();
        if is_known || before.as_ref() == Some(&found) {
            self.has_schema = page.schema.is_some();
            // A schema that is gone is missed once.
            self.confirmed = Gap { schema: false, ..found };
            return Fetch::Sound;
        }
        self.unconfirmed = Some(found);
        if before.is_some() { Fetch::Inconsistent } else { Fetch::Doubtful }
    }

    /// True when a page lacks something that it had when it was last fetched.
    pub fn has_new(&self, page: &RemotePage, base: &Base, owned: &[Owned]) -> bool {
        let found = self.gap(page, base, owned);
        found.schema || !found.variables.is_subset(&self.confirmed.variables)
    }

    fn gap(&self, page: &RemotePage, base: &Base, owned: &[Owned]) -> Gap {
        let mut places = Places::default();
        let missing = base.keys().filter(|variable| variable.read_at(&page.variables, &mut places).is_none());
        let mut variables: BTreeSet<Variable> = missing.cloned().collect();
        let below = owned.iter().map(|owned| &owned.variable).filter(|variable| !variable.is_whole());
        variables.extend(below.filter(|variable| !page.variables.contains_key(variable.key())).cloned());
        Gap { variables, schema: self.has_schema && page.schema.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, Value, json};

    use super::*;

    fn page(variables: Value, has_schema: bool) -> RemotePage {
        let variables: Map<String, Value> = serde_json::from_value(variables).unwrap();
        let schema = has_schema.then(|| Arc::new(json!({})));
        RemotePage { variables, schema, ..RemotePage::default() }
    }

    #[test]
    fn what_vanished_is_believed_when_a_second_fetch_lacks_the_same() {
        let base =
            Base::from([("is_open".parse().unwrap(), json!(true)), ("/a/b".parse().unwrap(), json!(1))]);
        let whole = page(json!({"is_open": true, "a": {"b": 1, "c": 2}}), true);
        let (empty, bare) = (page(json!({}), true), page(json!({"is_open": true, "a": {"b": 1}}), false));
        use Fetch::{Doubtful, Inconsistent, Sound};
        for fetches in [
            vec![(&whole, Sound), (&empty, Doubtful), (&whole, Sound), (&empty, Doubtful), (&empty, Sound)],
            vec![(&empty, Doubtful), (&empty, Sound), (&empty, Sound), (&whole, Sound), (&empty, Doubtful)],
            vec![
                (&whole, Sound),
                (&bare, Doubtful),
                (&bare, Sound),
                (&bare, Sound),
                (&whole, Sound),
                (&bare, Doubtful),
            ],
            vec![(&whole, Sound), (&bare, Doubtful), (&empty, Inconsistent), (&empty, Sound)],
            vec![(&whole, Sound), (&bare, Doubtful), (&empty, Inconsistent), (&whole, Sound)],
        ] {
            let mut gaps = Gaps::new(true);
            for (number, (page, wanted)) in fetches.into_iter().enumerate() {
                assert_eq!(gaps.judge(page, &base, &[]), wanted, "fetch {number}");
            }
        }
        // One that was never seen before has nothing to lack.
        assert_eq!(Gaps::new(false).judge(&page(json!({}), false), &Base::new(), &[]), Sound);
    }
}
