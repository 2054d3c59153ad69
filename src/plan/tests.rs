//! The truth table of the plan, one case per line, with real schemas and checked values.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Baseline, IntentOutcome, look_up, plan};
use crate::model::{Change, Missing, OnDrift, Origin, RemotePage, Variable};
use crate::pages::{Desired, DesiredValue, UntypedValue};
use crate::schema::{Schema, check};

fn variable(name: &str) -> Variable {
    name.parse().unwrap()
}

fn remote(variables: Value) -> RemotePage {
    RemotePage { variables: variables.as_object().cloned().unwrap(), ..RemotePage::default() }
}

const NO_REASON: &dyn Fn(usize) -> String = &|_| String::new();

fn desired(values: &[(&str, Value)]) -> Desired {
    Desired {
        missing: Missing::Refuse,
        page: "A-1/live".parse().unwrap(),
        until: None,
        values: values
            .iter()
            .map(|(name, value)| DesiredValue {
                variable: variable(name),
                value: UntypedValue::Json(value.clone()),
                origin: Origin::named("test"),
                until: None,
            })
            .collect(),
    }
}

fn decide(baseline: Option<Value>, page: Option<Value>, value: Value, policy: &str) -> String {
    let mut remote = RemotePage::default();
    remote.variables.extend(page.map(|value| ("x".to_owned(), value)));
    let schema = Arc::new(Schema::compile(None).unwrap());
    let checked = check(&desired(&[("x", value)]), &Arc::new(remote), &schema).unwrap();
    let baseline: Baseline = baseline.into_iter().map(|value| (variable("x"), value)).collect();
    let plan = plan(&checked, &baseline, &|_| policy.parse().unwrap(), NO_REASON).unwrap();
    let mut reported = Vec::new();
    if let Some(change) = plan.changes.first() {
        reported.push(format!("send {}", change.to));
        assert_eq!(plan.body.get("x"), Some(&change.to));
    }
    reported.extend(plan.drift.iter().map(|drift| format!("{:?}", drift.answer)));
    reported.extend(plan.adopted.iter().map(|(_, value)| format!("adopt {value}")));
    reported.join(", ")
}

#[test]
fn the_page_is_compared_three_ways() {
    let none = || None::<Value>;
    let some = |value: i32| Some(json!(value));
    for (baseline, page, value, policy, expected) in [
        (some(1), some(1), 1, "restore", ""),
        (some(1), some(1), 2, "restore", "send 2"),
        (some(1), some(1), 2, "report", "send 2"),
        (some(1), some(9), 1, "restore", "send 1, Restored"),
        (some(1), some(9), 1, "keep", "Kept"),
        (some(1), some(9), 1, "report", "Reported"),
        (some(1), some(9), 2, "restore", "send 2, Restored"),
        (some(1), some(9), 2, "keep", "send 2, Restored"),
        (some(1), some(9), 2, "report", "Held"),
        (some(1), some(2), 2, "report", "adopt 2"),
        (some(1), none(), 1, "restore", "send 1, Restored"),
        (none(), none(), 1, "report", "send 1"),
        (none(), some(9), 1, "keep", "send 1"),
        (none(), some(1), 1, "restore", "adopt 1"),
    ] {
        let found = decide(baseline.clone(), page.clone(), json!(value), policy);
        assert_eq!(found, expected, "baseline {baseline:?} page {page:?} desired {value} {policy}");
    }
}

#[test]
fn an_equal_value_is_not_sent() {
    assert_eq!(decide(Some(json!(8)), Some(json!(8.0)), json!(8), "restore"), "");
}

#[test]
fn only_owned_and_changed_keys_are_sent_and_neighbours_below_a_key_survive() {
    let remote = remote(json!({"a": 1, "b": 2, "theirs": 3, "m": {"ours": "x", "neighbour": "y"}}));
    let schema = Arc::new(Schema::compile(None).unwrap());
    let expected = desired(&[("a", json!(1)), ("b", json!(5)), ("/m/ours", json!("z"))]);
    let checked = check(&expected, &Arc::new(remote), &schema).unwrap();
    let plan = plan(&checked, &Baseline::new(), &|_| OnDrift::Restore, NO_REASON).unwrap();
    assert_eq!(Value::Object(plan.body), json!({"b": 5, "m": {"ours": "z", "neighbour": "y"}}));
}

#[test]
fn values_left_after_keeping_drift_must_meet_the_schema() {
    let schema = json!({"dependencies": {"a": ["b"]}, "properties": {"pair": {"maximum": 5}}});
    let schema = json!({"allOf": [schema, {"not": {"required": ["a", "b"], "properties": {"a": {"const": 2}, "b": {"const": 9}}}}]});
    let remote = remote(json!({"a": 1, "b": 9}));
    let schema = Arc::new(Schema::compile(Some(&schema)).unwrap());
    let checked = check(&desired(&[("a", json!(2)), ("b", json!(3))]), &Arc::new(remote), &schema).unwrap();
    // b drifted from 3 to 9 and is kept, so a = 2 would meet b = 9, which the schema forbids.
    let baseline = Baseline::from_iter([(variable("a"), json!(1)), (variable("b"), json!(3))]);
    assert!(plan(&checked, &baseline, &|_| OnDrift::Keep, NO_REASON).is_err());
    assert!(plan(&checked, &baseline, &|_| OnDrift::Restore, NO_REASON).is_ok());
}

#[test]
fn an_unknown_outcome_is_resolved_by_the_page() {
    let intent =
        [Change { variable: variable("x"), from: None, to: json!(2), because: String::new(), until: None }];
    let page = |value: Value| value.as_object().cloned().unwrap();
    assert_eq!(look_up(&intent, &page(json!({"x": 2}))), IntentOutcome::Applied);
    assert_eq!(look_up(&intent, &page(json!({}))), IntentOutcome::NotApplied);
    assert_eq!(look_up(&intent, &page(json!({"x": 3}))), IntentOutcome::Overwritten);
}
