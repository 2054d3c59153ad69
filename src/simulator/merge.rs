//! Merges two changes of one content by JSON values, as the API merges a branch into main.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A place that both sides changed to different values; `ours` is main.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    path: Vec<String>,
    base_value: Option<Value>,
    ours_value: Option<Value>,
    theirs_value: Option<Value>,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A person's decision about a conflict.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    path: Vec<String>,
    strategy: Strategy,
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Strategy {
    Ours,
    Theirs,
    Base,
}

/// The sides of a merge, and the decisions about its conflicts.
pub struct Merge<'r> {
    resolutions: &'r [Resolution],
    /// The conflicts without a decision.
    pub conflicts: Vec<Conflict>,
}

impl<'r> Merge<'r> {
    /// Prepares a merge with these decisions.
    pub fn new(resolutions: &'r [Resolution]) -> Self {
        Self { resolutions, conflicts: Vec::new() }
    }

    /// Returns the merged value; `None` where it was removed.
    ///
    /// A conflict without a decision keeps the value of main and is noted.
    pub fn value(
        &mut self,
        path: &mut Vec<String>,
        base: Option<&Value>,
        ours: Option<&Value>,
        theirs: Option<&Value>,
    ) -> Option<Value> {
        match (base, ours, theirs) {
            _ if ours == theirs || theirs == base => ours.cloned(),
            _ if ours == base => theirs.cloned(),
            (base, Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
                let nothing = Map::new();
                let base = base.and_then(Value::as_object).unwrap_or(&nothing);
                Some(Value::Object(self.object(path, base, ours, theirs)))
            }
            _ => self.conflict(path, base, ours, theirs),
        }
    }

    fn object(
        &mut self,
        path: &mut Vec<String>,
        base: &Map<String, Value>,
        ours: &Map<String, Value>,
        theirs: &Map<String, Value>,
    ) -> Map<String, Value> {
        let added = theirs.keys().filter(|key| !ours.contains_key(*key));
        let mut merged = Map::new();
        for key in ours.keys().chain(added) {
            path.push(key.clone());
            if let Some(value) = self.value(path, base.get(key), ours.get(key), theirs.get(key)) {
                merged.insert(key.clone(), value);
            }
            path.pop();
        }
        merged
    }

    fn conflict(
        &mut self,
        path: &[String],
        base: Option<&Value>,
        ours: Option<&Value>,
        theirs: Option<&Value>,
    ) -> Option<Value> {
        if let Some(resolution) = self.resolutions.iter().find(|resolution| resolution.path == path) {
            let chosen = match resolution.strategy {
                Strategy::Ours => ours,
                Strategy::Theirs => theirs,
                Strategy::Base => base,
            };
            return resolution.value.as_ref().or(chosen).cloned();
        }
        let kind = match (base, ours, theirs) {
            (None, ..) => "add",
            (_, None, _) | (_, _, None) => "delete",
            _ => "modify",
        };
        self.conflicts.push(Conflict {
            path: path.to_vec(),
            base_value: base.cloned(),
            ours_value: ours.cloned(),
            theirs_value: theirs.cloned(),
            kind,
        });
        ours.cloned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_sides_merge_by_key_and_conflict_only_where_both_changed() {
        let base = json!({"a": 1, "b": 2, "c": 3, "d": {"x": 1, "y": 1}});
        // ours, theirs, merged, conflicts
        for (ours, theirs, merged, conflicts) in [
            (json!({"a": 9}), json!({}), json!({"a": 9}), vec![]),
            (json!({}), json!({"a": 9}), json!({"a": 9}), vec![]),
            (json!({"a": 9}), json!({"a": 9}), json!({"a": 9}), vec![]),
            (json!({"a": 8}), json!({"a": 9}), json!({"a": 8}), vec![("a", "modify")]),
            (json!({"a": null}), json!({"a": 9}), json!({"a": null}), vec![("a", "delete")]),
            (json!({"n": 1}), json!({"n": 2}), json!({"n": 1}), vec![("n", "add")]),
            (json!({"n": 1}), json!({"m": 2}), json!({"n": 1, "m": 2}), vec![]),
            (
                json!({"d": {"x": 2, "y": 1}}),
                json!({"d": {"x": 1, "y": 3}}),
                json!({"d": {"x": 2, "y": 3}}),
                vec![],
            ),
            (
                json!({"d": {"x": 2, "y": 1}}),
                json!({"d": {"x": 3, "y": 3}}),
                json!({"d": {"x": 2, "y": 3}}),
                vec![("d/x", "modify")],
            ),
        ] {
            // A null stands for a key that was removed.
            let over = |changes: &Value| {
                let mut all = base.clone();
                for (key, value) in changes.as_object().unwrap() {
                    match value {
                        Value::Null => drop(all.as_object_mut().unwrap().remove(key)),
                        value => all[key] = value.clone(),
                    }
                }
                all
            };
            let mut merge = Merge::new(&[]);
            let found = merge.value(&mut Vec::new(), Some(&base), Some(&over(&ours)), Some(&over(&theirs)));
            assert_eq!(found, Some(over(&merged)), "{ours} {theirs}");
            let found: Vec<(String, &str)> =
                merge.conflicts.iter().map(|conflict| (conflict.path.join("/"), conflict.kind)).collect();
            let expected: Vec<(String, &str)> =
                conflicts.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
            assert_eq!(found, expected, "{ours} {theirs}");
        }
    }

    #[test]
    fn a_decision_settles_a_conflict() {
        let side = |value: u8| json!({ "a": value });
        for (decision, merged) in [
            (json!({"path": ["a"], "strategy": "ours"}), 2),
            (json!({"path": ["a"], "strategy": "theirs"}), 3),
            (json!({"path": ["a"], "strategy": "base"}), 1),
            (json!({"path": ["a"], "strategy": "ours", "value": 7}), 7),
        ] {
            let resolutions: Vec<Resolution> = vec![serde_json::from_value(decision).unwrap()];
            let mut merge = Merge::new(&resolutions);
            let found = merge.value(&mut Vec::new(), Some(&side(1)), Some(&side(2)), Some(&side(3)));
            assert_eq!((found, merge.conflicts), (Some(side(merged)), vec![]));
        }
    }
}
