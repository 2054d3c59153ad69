//! Values against schemas, as tables.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Checked, Schema, Schemas, check};
use crate::model::{Cell, Missing, Origin, RemotePage};
use crate::pages::{Desired, DesiredValue, UntypedValue};

fn cell(text: &str) -> Cell {
    let origin = Origin { field: Some("phone".into()), ..Origin::line(&"sites.csv".into(), 14) };
    Cell { text: text.to_owned(), origin }
}

fn desired(variable: &str, value: UntypedValue) -> Desired {
    Desired {
        missing: Missing::Refuse,
        page: "A-1/live".parse().unwrap(),
        until: None,
        values: vec![DesiredValue {
            variable: variable.parse().unwrap(),
            value,
            origin: cell("").origin,
            until: None,
        }],
    }
}

#[test]
fn a_cell_takes_the_type_that_the_schema_requires() {
    let cases = [
        (json!({"type": "integer"}), "8", Some(json!(8))),
        (json!({"type": "integer"}), "08", Some(json!(8))),
        (json!({"type": "integer"}), "8.5", None),
        (json!({"type": "number"}), "8.5", Some(json!(8.5))),
        (json!({"type": "number"}), "eight", None),
        (json!({"type": "boolean"}), "Yes", Some(json!(true))),
        (json!({"type": "boolean"}), "FALSE", Some(json!(false))),
        (json!({"type": "boolean"}), "open", None),
        (json!({"type": "string"}), "08", Some(json!("08"))),
        (json!({"type": ["string", "integer"]}), "0113", Some(json!("0113"))),
        (json!({"type": ["string", "integer"]}), "+44", Some(json!("+44"))),
        (json!({"type": ["string", "integer"]}), "113", Some(json!(113))),
        (json!({"anyOf": [{"$ref": "#/definitions/bomb"}, {"type": "integer"}]}), "3", Some(json!("3"))),
        (json!({"type": ["string", "null"]}), "", Some(json!(null))),
        (json!({"type": "string"}), "", Some(json!(""))),
        (json!({"type": "array"}), "[1, 2]", Some(json!([1, 2]))),
        (json!({"enum": [1, 2]}), "2", Some(json!(2))),
        (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), "3", Some(json!(3))),
        (json!({"$ref": "#/definitions/hour"}), "3", Some(json!(3))),
        (json!({"$ref": "#/definitions/loop"}), "3", Some(json!("3"))),
        (json!({}), "3", Some(json!("3"))),
    ];
    for (schema, text, expected) in cases {
        let root = json!({
            "properties": {"x": schema},
            "definitions": {"hour": {"type": "integer"}, "loop": {"$ref": "#/definitions/loop"},
                "bomb": {"anyOf": [{"$ref": "#/definitions/bomb"}, {"$ref": "#/definitions/bomb"}]}}
        });
        let found = super::cell::typed(&cell(text), &"x".parse().unwrap(), &root);
        assert_eq!(found.ok(), expected, "{schema} {text:?}");
    }
    let below = json!({"properties": {"a": {"properties": {"b": {"type": "boolean"}}}}});
    assert_eq!(super::cell::typed(&cell("no"), &"/a/b".parse().unwrap(), &below).unwrap(), json!(false));
}

#[test]
fn an_invalid_value_is_refused_naming_cell_variable_and_rule() {
    let schema = json!({
        "type": "object",
        "properties": {
            "phone": {"type": "string", "pattern": "^\\+44\\d{10}$"},
            "hour": {"type": "integer", "maximum": 23},
            "day": {"type": "string", "format": "date"}
        },
        "required": ["phone"],
        "additionalProperties": false
    });
    let schema = Arc::new(Schema::compile(Some(&schema)).unwrap());
    let page = |value: Value| {
        Arc::new(RemotePage { variables: value.as_object().cloned().unwrap(), ..RemotePage::default() })
    };
    let complain = |variable: &str, value: UntypedValue, on: Value| {
        let problems = check(&desired(variable, value), &page(on), &schema).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let good = json!({"phone": "+442071234567"});
    let reported = complain("phone", UntypedValue::Cell(cell("020 7123 4567")), json!({}));
    for part in ["sites.csv:14, column \"phone\"", "phone = \"020 7123 4567\"", "/properties/phone/pattern"] {
        assert!(reported.contains(part), "{part} in {reported}");
    }
    assert!(
        complain("hour", UntypedValue::Json(json!(24)), good.clone()).contains("/properties/hour/maximum")
    );
    assert!(
        complain("hour", UntypedValue::Cell(cell("nine")), good.clone())
            .contains("\"nine\" is not of type integer")
    );
    let reported = complain("opn_hour", UntypedValue::Json(json!(8)), good);
    assert!(reported.contains("opn_hour = 8") && reported.contains("/additionalProperties"), "{reported}");
    // The API decides about values that we do not own and that already broke the schema.
    let checked = |variable: &str, value: Value, on: Value| {
        check(&desired(variable, UntypedValue::Json(value)), &page(on), &schema).unwrap()
    };
    let warned = |checked: Checked| {
        let warnings = checked.warnings();
        assert!(warnings.iter().all(|warning| !warning.is_error()));
        warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let reported = complain("hour", UntypedValue::Json(json!(9)), json!({}));
    assert!(
        reported.contains("\"phone\" is a required property") && reported.contains("own that variable too"),
        "a required property that is missing withholds the page: {reported}"
    );
    let reported = warned(checked("hour", json!(9), json!({"phone": "none"})));
    assert!(reported.starts_with("/phone would break the schema"), "{reported}");
    // The same holds for a format, unless the settings assert formats.
    let reported = warned(checked("day", json!("2026-02-30"), json!({"phone": "+442071234567"})));
    assert!(reported.contains("day = \"2026-02-30\""), "{reported}");
    // We must keep a rule that other clients' values met before.
    let schema = json!({"properties": {"a": {"maxProperties": 1}}});
    let schema = Arc::new(Schema::compile(Some(&schema)).unwrap());
    let on = page(json!({"a": {"theirs": 1}}));
    assert!(check(&desired("/a/ours", UntypedValue::Json(json!(1))), &on, &schema).is_err());
}

#[test]
fn a_schema_cannot_access_the_network_or_files() {
    for reference in ["http://127.0.0.1:1/x.json", "file:///etc/hostname"] {
        let schema = json!({"properties": {"x": {"$ref": reference}}});
        let problem = Schema::compile(Some(&schema)).unwrap_err().to_string();
        assert!(problem.contains("cannot be used"), "{problem}");
    }
    assert!(Schema::compile(Some(&json!({"type": "nonsense"}))).is_err());
    // Look-around needs the other engine, which has its own bound.
    let schema = json!({"properties": {"x": {"pattern": "^(?!closed)"}}});
    let schema = Arc::new(Schema::compile(Some(&schema)).unwrap());
    let page = Arc::new(RemotePage::default());
    assert!(check(&desired("x", UntypedValue::Json(json!("closed"))), &page, &schema).is_err());
    assert!(check(&desired("x", UntypedValue::Json(json!("open"))), &page, &schema).is_ok());
}

#[test]
fn pages_with_the_same_schema_share_it_while_any_of_them_uses_it() {
    let text = |maximum| Some(Arc::new(json!({"properties": {"x": {"maximum": maximum}}})));
    let (mut schemas, mut first, mut second) = (Schemas::default(), text(1), text(1));
    let (a, b) = (schemas.compile(&mut first).unwrap(), schemas.compile(&mut second).unwrap());
    assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(first.as_ref().unwrap(), second.as_ref().unwrap()));
    let other = schemas.compile(&mut text(2)).unwrap();
    assert!(!Arc::ptr_eq(&a, &other));
    let broken = |schema: &Schema| schema.broken_by(json!({"x": 2}).as_object().unwrap()).len();
    assert_eq!((broken(&a), broken(&other)), (1, 0));
    assert!(broken(&schemas.compile(&mut None).unwrap()) == 0);
    assert!(schemas.compile(&mut Some(Arc::new(json!({"type": "nonsense"})))).is_err());
    drop((a, b, other));
    (3..100).for_each(|maximum| drop(schemas.compile(&mut text(maximum)).unwrap()));
    assert!(schemas.known.len() <= 2, "{}", schemas.known.len());
}

#[test]
fn formats_are_enforced_only_where_the_settings_enable_them() {
    let schema = Arc::new(json!({"properties": {"day": {"format": "date"}}}));
    for (asserted, refused) in [(true, true), (false, false)] {
        let schema = Schemas::new(asserted).compile(&mut Some(schema.clone())).unwrap();
        let checked = check(
            &desired("day", UntypedValue::Json(json!("2026-02-30"))),
            &Arc::new(RemotePage::default()),
            &schema,
        );
        assert_eq!(checked.is_err(), refused);
    }
}

#[test]
fn nested_ids_follow_draft_7() {
    let schema = json!({
        "$id": "http://x.example/page.json",
        "properties": {
            "hour": {"$id": "#/properties/hour", "type": "integer", "maximum": 23},
            "phone": {"type": "string"}
        }
    });
    let schema = Arc::new(Schema::compile(Some(&schema)).unwrap());
    let takes = |variable: &str, value: UntypedValue| {
        check(&desired(variable, value), &Arc::new(RemotePage::default()), &schema).is_ok()
    };
    assert!(takes("hour", UntypedValue::Cell(cell("9"))) && !takes("hour", UntypedValue::Cell(cell("24"))));
    // Draft 7 ignores everything beside `$ref` (core 8.3), including its id.
    let phone = json!({"$id": "http://x.example/page.json", "properties": {"phone": {"$ref": "phone.json"}}, "definitions": {"phone": {"$id": "phone.json", "pattern": "^[0-9]+$"}}});
    let phone = Arc::new(Schema::compile(Some(&phone)).unwrap());
    let takes = |value: &str| {
        check(&desired("phone", UntypedValue::Json(json!(value))), &Arc::new(RemotePage::default()), &phone)
            .is_ok()
    };
    assert!(takes("123") && !takes("none"));
}

#[test]
fn batched_checks_accept_the_same_values_as_single_checks() {
    let schema = json!({
        "properties": {"state": {"enum": ["open", "closed"]}, "day": {"format": "date"}},
        "if": {"properties": {"state": {"const": "closed"}}},
        "then": {"properties": {"hours": {"maxProperties": 0}}}
    });
    let mut schemas = Schemas::new(false);
    let schema = schemas.compile(&mut Some(Arc::new(schema))).unwrap();
    let page = json!({"theirs": 1, "hours": {"theirs": 1}});
    let variables = page.as_object().unwrap().clone();
    let page = Arc::new(RemotePage { variables, ..RemotePage::default() });
    let mut series = super::Series::new(&page, &schema);
    let steps = [
        ("open", "2026-12-24", true),
        ("closed", "2026-12-24", false),
        ("open", "2026-12-24", true),
        ("ajar", "2026-12-24", false),
        ("open", "tomorrow", false),
        ("open", "2026-12-25", true),
    ];
    for (state, day, expected) in steps {
        let json = |value: &str| UntypedValue::Json(json!(value));
        let mut values = desired("state", json(state));
        for (variable, value) in [("day", json(day)), ("/hours/ours", UntypedValue::Cell(cell("9")))] {
            values.values.extend(desired(variable, value).values);
        }
        let is_clean = check(&values, &page, &schema).is_ok_and(|checked| checked.warnings().is_empty());
        assert_eq!((series.accepts(&values), is_clean), (expected, expected), "{state} {day}");
    }
}
