//! Detects fetched pages that lack something known to be on them.
//!
//! One wrong answer must not cost other clients' values, nor bypass a schema. Such a page is
//! fetched a second time before anything follows from it.

use std::collections::BTreeSet;

use crate::model::{Places, RemotePage, Variable};
use crate::pages::Owned;
use crate::plan::Baseline;

/// The things missing from a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Gap {
    /// Missing baseline variables, and owned variables below a missing key.
    ///
    /// For the latter the key would be sent whole.
    variables: BTreeSet<Variable>,
    /// True when the schema is missing.
    schema: bool,
    /// Missing keys that the page had. The API cannot delete a key.
    keys: BTreeSet<String>,
    /// True when the page changed although its update time did not.
    contradicts: bool,
}

/// The gaps known for one page.
#[derive(Debug, Default)]
pub struct Gaps {
    /// True when the page had a schema in the last fetch.
    has_schema: bool,
    /// The gap found by two fetches in a row.
    confirmed: Gap,
    /// The gap found by the last fetch only.
    unconfirmed: Option<Gap>,
}

/// The verdict on a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The answer can be trusted.
    Sound,
    /// Something vanished; another fetch decides.
    Doubtful,
    /// The second fetch lacks other things than the first.
    Inconsistent,
}

impl Gaps {
    /// Creates the state of a page; `has_schema` is true if the store has a schema of it.
    pub fn new(has_schema: bool) -> Self {
        Self { has_schema, ..Self::default() }
    }

    /// Judges a fetched page against the known state.
    pub fn judge(
        &mut self,
        page: &RemotePage,
        last: Option<&RemotePage>,
        baseline: &Baseline,
        owned: &[Owned],
    ) -> Fetch {
        let found = self.gap(page, last, baseline, owned);
        let is_known = self.confirmed.covers(&found);
        let before = self.unconfirmed.take();
        if is_known || before.as_ref() == Some(&found) {
            self.has_schema = has_schema(page);
            // A missing schema counts once. Comparisons with the last page use this page from now
            // on.
            self.confirmed = Gap { variables: found.variables, ..Gap::default() };
            return Fetch::Sound;
        }
        self.unconfirmed = Some(found);
        if before.is_some() { Fetch::Inconsistent } else { Fetch::Doubtful }
    }

    /// Drops an unconfirmed gap if another answer contradicts it.
    ///
    /// The other answer may be too old to be used as the page. Two wrong answers confirm each other only
    /// if no sound answer came between them.
    pub fn reconsider(
        &mut self,
        page: &RemotePage,
        last: Option<&RemotePage>,
        baseline: &Baseline,
        owned: &[Owned],
    ) {
        if self.unconfirmed.is_some() && self.unconfirmed != Some(self.gap(page, last, baseline, owned)) {
            self.unconfirmed = None;
        }
    }

    /// Updates the confirmed gap from the page that a PATCH returned.
    ///
    /// A value present again is reported as missing if it vanishes again.
    pub fn learn(&mut self, page: &RemotePage) {
        let mut places = Places::default();
        self.confirmed.variables.retain(|variable| variable.read_at(&page.variables, &mut places).is_none());
    }

    /// Returns true while two fetches confirm that values of ours are missing.
    pub fn has_confirmed_gap(&self) -> bool {
        !self.confirmed.variables.is_empty()
    }

    /// Returns true if a PATCH's answer lacks something that the last fetch had.
    pub fn has_new(
        &self,
        page: &RemotePage,
        last: Option<&RemotePage>,
        baseline: &Baseline,
        owned: &[Owned],
    ) -> bool {
        !self.confirmed.covers(&Gap { contradicts: false, ..self.gap(page, last, baseline, owned) })
    }

    fn gap(&self, page: &RemotePage, last: Option<&RemotePage>, baseline: &Baseline, owned: &[Owned]) -> Gap {
        let mut places = Places::default();
        let missing =
            baseline.keys().filter(|variable| variable.read_at(&page.variables, &mut places).is_none());
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

/// Returns true if the page has a schema with at least one rule.
fn has_schema(page: &RemotePage) -> bool {
    page.schema.as_ref().is_some_and(|schema| schema.as_object().is_none_or(|rules| !rules.is_empty()))
}

impl Gap {
    /// Returns true if this gap includes everything in `found`.
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
    fn a_missing_value_is_accepted_when_a_second_fetch_lacks_it_too() {
        let baseline = Baseline::from_iter([
            ("is_open".parse().unwrap(), json!(true)),
            ("/a/b".parse().unwrap(), json!(1)),
        ]);
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
            for (number, (page, expected)) in fetches.into_iter().enumerate() {
                assert_eq!(gaps.judge(page, None, &baseline, &[]), expected, "fetch {number}");
            }
        }
        // A value that we restored counts as missing again when it vanishes again.
        let mut gaps = Gaps::new(true);
        assert_eq!(
            (gaps.judge(&empty, None, &baseline, &[]), gaps.judge(&empty, None, &baseline, &[])),
            (Doubtful, Sound)
        );
        gaps.learn(&whole);
        assert_eq!(gaps.judge(&empty, None, &baseline, &[]), Doubtful);
        // A sound answer between two wrong ones, even an old one, prevents confirmation. A wrong
        // one does not.
        for (between, expected) in [(&whole, Doubtful), (&empty, Sound)] {
            let mut gaps = Gaps::new(true);
            assert_eq!(gaps.judge(&empty, None, &baseline, &[]), Doubtful);
            gaps.reconsider(between, None, &baseline, &[]);
            assert_eq!(gaps.judge(&empty, None, &baseline, &[]), expected);
        }
        // Other clients' values have no baseline. A page with the same update time must be
        // unchanged, and keys cannot disappear.
        let page =
            |value: Value, stamp: &str| RemotePage { last_updated: Some(stamp.into()), ..page(value, false) };
        let last = page(json!({"a": {"b": 1, "c": 2}, "d": 3}), "1");
        for (now, expected) in [
            (page(json!({"a": {"b": 1}, "d": 3}), "1"), Doubtful),
            (page(json!({"a": {"b": 1}, "d": 3}), "2"), Sound),
            (page(json!({"a": {"b": 1, "c": 2}}), "2"), Doubtful),
            (last.clone(), Sound),
        ] {
            let mut gaps = Gaps::new(false);
            assert_eq!(gaps.judge(&now, Some(&last), &Baseline::new(), &[]), expected, "{now:?}");
            assert_eq!(gaps.judge(&now, Some(&last), &Baseline::new(), &[]), Sound, "{now:?}");
        }
        let page = |value: Value, has_schema: bool| RemotePage {
            last_updated: None,
            ..self::tests::page(value, has_schema)
        };
        // A page never fetched before cannot lack anything.
        assert_eq!(Gaps::new(false).judge(&page(json!({}), false), None, &Baseline::new(), &[]), Sound);
    }
}
