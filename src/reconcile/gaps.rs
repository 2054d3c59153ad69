//! Tells whether a fetched page lacks something that is known to be on it. One odd answer must not cost values of others, nor
//! let values past a schema, so such a page is fetched a second time before anything follows from it.

use std::collections::BTreeSet;

use crate::model::{Places, RemotePage, Variable};
use crate::pages::Owned;
use crate::plan::Base;

/// What a page lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Gap {
    /// Variables of the baseline that are missing, and those below a key that is missing: the key would be sent whole.
    variables: BTreeSet<Variable>,
    /// The schema that it had.
    schema: bool,
    /// Keys that it had: the API knows no way to take one away.
    keys: BTreeSet<String>,
    /// It says that it was not written since, and is another.
    contradicts: bool,
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
    pub fn judge(
        &mut self,
        page: &RemotePage,
        last: Option<&RemotePage>,
        base: &Base,
        owned: &[Owned],
    ) -> Fetch {
        let found = self.gap(page, last, base, owned);
        let is_known = self.confirmed.covers(&found);
        let before = self.unconfirmed.take();
        if is_known || before.as_ref() == Some(&found) {
            self.has_schema = has_schema(page);
            // A schema that is gone is missed once, and what is compared with the last page is compared with this from now on.
            self.confirmed = Gap { variables: found.variables, ..Gap::default() };
            return Fetch::Sound;
        }
        self.unconfirmed = Some(found);
        if before.is_some() { Fetch::Inconsistent } else { Fetch::Doubtful }
    }

    /// Gives up a doubt that another answer contradicts, though that one may be too old to be taken for the page: two odd
    /// answers confirm each other only when no sound one came between them.
    pub fn reconsider(&mut self, page: &RemotePage, last: Option<&RemotePage>, base: &Base, owned: &[Owned]) {
        if self.unconfirmed.is_some() && self.unconfirmed != Some(self.gap(page, last, base, owned)) {
            self.unconfirmed = None;
        }
    }

    /// Learns from the page that a PATCH answered: what was missing may be there now, and is missed again when it vanishes.
    pub fn learn(&mut self, page: &RemotePage) {
        let mut places = Places::default();
        self.confirmed.variables.retain(|variable| variable.read_at(&page.variables, &mut places).is_none());
    }

    /// True while values of ours are missing on the page, by two fetches.
    pub fn is_lacking(&self) -> bool {
        !self.confirmed.variables.is_empty()
    }

    /// True when the page that a PATCH answered lacks something that it had when it was last fetched.
    pub fn has_new(
        &self,
        page: &RemotePage,
        last: Option<&RemotePage>,
        base: &Base,
        owned: &[Owned],
    ) -> bool {
        !self.confirmed.covers(&Gap { contradicts: false, ..self.gap(page, last, base, owned) })
    }

    fn gap(&self, page: &RemotePage, last: Option<&RemotePage>, base: &Base, owned: &[Owned]) -> Gap {
        let mut places = Places::default();
        let missing = base.keys().filter(|variable| variable.read_at(&page.variables, &mut places).is_none());
        let mut variables: BTreeSet<Variable> = missing.cloned().collect();
        let below = owned.iter().map(|owned| &owned.variable).filter(|variable| !variable.is_whole());
        variables.extend(below.filter(|variable| !page.variables.contains_key(variable.key())).cloned());
        let had = last.into_iter().flat_map(|last| last.variables.keys());
        let keys = had.filter(|key| !page.variables.contains_key(*key)).cloned().collect();
        let is_same_writing =
            |last: &&RemotePage| page.last_updated.is_some() && last.last_updated == page.last_updated;
        let contradicts = last
            .filter(is_same_writing)
            .is_some_and(|last| last.variables != page.variables || last.schema != page.schema);
        Gap { variables, schema: self.has_schema && !has_schema(page), keys, contradicts }
    }
}

/// True for a page whose schema asks for something.
fn has_schema(page: &RemotePage) -> bool {
    page.schema.as_ref().is_some_and(|schema| schema.as_object().is_none_or(|rules| !rules.is_empty()))
}

impl Gap {
    /// Whether nothing is missing that is not missing here.
    fn covers(&self, found: &Self) -> bool {
        found.variables.is_subset(&self.variables)
            && found.keys.is_subset(&self.keys)
            && !(found.schema || found.contradicts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, Value, json};

    use super::*;

    fn page(variables: Value, has_schema: bool) -> RemotePage {
        let variables: Map<String, Value> = serde_json::from_value(variables).unwrap();
        let schema = has_schema.then(|| Arc::new(json!({"type": "object"})));
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
                assert_eq!(gaps.judge(page, None, &base, &[]), wanted, "fetch {number}");
            }
        }
        // What we put there after it was missing is missed when it vanishes again.
        let mut gaps = Gaps::new(true);
        assert_eq!(
            (gaps.judge(&empty, None, &base, &[]), gaps.judge(&empty, None, &base, &[])),
            (Doubtful, Sound)
        );
        gaps.learn(&whole);
        assert_eq!(gaps.judge(&empty, None, &base, &[]), Doubtful);
        // A sound answer between two odd ones, however old, keeps them from confirming each other; an odd one does not.
        for (between, wanted) in [(&whole, Doubtful), (&empty, Sound)] {
            let mut gaps = Gaps::new(true);
            assert_eq!(gaps.judge(&empty, None, &base, &[]), Doubtful);
            gaps.reconsider(between, None, &base, &[]);
            assert_eq!(gaps.judge(&empty, None, &base, &[]), wanted);
        }
        // Others' values have no baseline; a page that says it is as it was must be so, and keys don't go away.
        let page =
            |value: Value, stamp: &str| RemotePage { last_updated: Some(stamp.into()), ..page(value, false) };
        let last = page(json!({"a": {"b": 1, "c": 2}, "d": 3}), "1");
        for (now, wanted) in [
            (page(json!({"a": {"b": 1}, "d": 3}), "1"), Doubtful),
            (page(json!({"a": {"b": 1}, "d": 3}), "2"), Sound),
            (page(json!({"a": {"b": 1, "c": 2}}), "2"), Doubtful),
            (last.clone(), Sound),
        ] {
            let mut gaps = Gaps::new(false);
            assert_eq!(gaps.judge(&now, Some(&last), &Base::new(), &[]), wanted, "{now:?}");
            assert_eq!(gaps.judge(&now, Some(&last), &Base::new(), &[]), Sound, "{now:?}");
        }
        let page = |value: Value, has_schema: bool| RemotePage {
            last_updated: None,
            ..self::tests::page(value, has_schema)
        };
        // One that was never seen before has nothing to lack.
        assert_eq!(Gaps::new(false).judge(&page(json!({}), false), None, &Base::new(), &[]), Sound);
    }
}
