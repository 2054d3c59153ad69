//! Schemas of files and pages: compared, pushed after confirmation, and refused.

use std::process::Stdio;
use std::sync::Arc;

use rtconfd::clock::WallClock;
use rtconfd::model::Environment;
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use super::{fault, fill, new_user_folder};
use crate::support::{Api, Folder, Ran, desk, until};

fn schema_of(api: &Api, agent: &str) -> Value {
    api.simulator.with_pages(|pages| pages.page(agent, Environment::Live)["schema"].clone())
}

const OLD: &str = r#"{
  "type": "object",
  "properties": {
    "phone": {"type": "string", "maxLength": 20},
    "fax": {"type": "string"},
    "day": {"enum": ["mon", "tue"]}
  },
  "required": ["phone", "fax"]
}"#;
const NEW: &str = r#"{
  "properties": {
    "phone": {"type": ["string", "null"], "maxLength": 30},
    "day": {"enum": ["tue", "mon", "wed"]},
    "a/b": {"type": "boolean"}
  },
  "required": ["phone", "a/b"],
  "type": "object"
}"#;

#[test]
fn schemas_of_files_and_pages_are_compared() {
    let api = Api::start();
    let folder = Folder::new(&api.url, "");
    folder.write("old.json", OLD);
    folder.write("new.json", NEW);
    fill(&api, "A-1", Environment::Live, Some(&serde_json::from_str(OLD).unwrap()), &json!({}));
    fill(&api, "A-1", Environment::Sandbox, Some(&serde_json::from_str(NEW).unwrap()), &json!({}));
    let golden = "\
AT                            CHANGE               FROM                TO
/properties/phone/type        type changed         \"string\"            [\"string\",\"null\"]
/properties/phone/maxLength   limit changed        20                  30
/properties/fax               property removed     {\"type\":\"string\"}   -
/properties/day/enum          value allowed        -                   \"wed\"
/properties/a~1b              property added       -                   {\"type\":\"boolean\"}
/required                     no longer required   \"fax\"               -
/required                     now required         -                   \"a/b\"
";
    for pair in [
        ["old.json", "new.json"],
        ["A-1/live", "new.json"],
        ["old.json", "A-1/sandbox"],
        ["A-1/live", "A-1/sandbox"],
    ] {
        assert_eq!(folder.run(&[&["schema", "diff"], &pair[..]].concat()).expect(2).out, golden, "{pair:?}");
    }
    let rows = folder.run(&["schema", "diff", "new.json", "old.json", "--format", "json"]).expect(2).lines();
    assert_eq!(rows[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["at", "change", "from", "to"]);
    assert_eq!(
        rows[1],
        json!({"at": "/properties/phone/maxLength", "change": "limit changed", "from": 30, "to": 20})
    );
    let same = folder.run(&["schema", "diff", "old.json", "A-1/live"]).expect(0);
    assert_eq!((same.out.as_str(), same.err.as_str()), ("", "The schemas are equivalent.\n"));
    let none = folder.run(&["schema", "diff", "A-1/pre-release", "A-1/live"]).expect(2);
    assert_eq!(none.err, "A-1/pre-release has no schema and accepts every value\n");

    // Two files need neither settings nor key.
    let elsewhere = new_user_folder();
    elsewhere.write("a.json", "{}");
    elsewhere.run(&["schema", "diff", "a.json", "./a.json"]).expect(0);
}

#[test]
fn schemas_that_cannot_be_compared_are_reported() {
    let api = Api::with(vec!["A-1".to_owned()], Arc::new(WallClock));
    let folder = Folder::new(&api.url, "");
    folder.write("list.json", "[]");
    folder.write("torn.json", "{\n\"type\": ");
    folder.write("good.json", "{}");
    for (place, expected) in [
        (
            "nowhere.json",
            "error: nowhere.json: the file is missing\n  hint: name a JSON file, or a page as AGENT/environment",
        ),
        (
            "A-1/prod",
            "error: A-1/prod: the file is missing\n  hint: name a JSON file, or a page as AGENT/environment",
        ),
        ("list.json", "error: list.json does not hold a JSON object"),
        ("torn.json", "error: torn.json:2:"),
        ("A-9/live", "error: A-9/live: the API answered 404 PROJECT_NOT_FOUND"),
    ] {
        let ran = folder.run(&["schema", "diff", "good.json", place]).expect(1);
        assert!(ran.err.starts_with(expected), "{place}: {}", ran.err);
    }
}

/// Creates a page with hours and a phone, and settings that compute its values.
fn desk_page() -> (Api, Folder) {
    let api = Api::start();
    let schema = json!({"properties": {"is_open": {"type": "boolean"}}});
    fill(&api, "A-1", Environment::Live, Some(&schema), &json!({"is_open": true, "phone": "0113"}));
    let folder = Folder::new(&api.url, &desk("A-1"));
    (api, folder)
}

#[test]
fn a_schema_is_put_only_after_confirmation() {
    let (api, folder) = desk_page();
    let next = json!({"properties": {"is_open": {"type": "boolean"}, "phone": {"type": "string"}}});
    folder.write("next.json", &next.to_string());
    let dry = folder.run(&["schema", "push", "next.json", "A-1/live"]).expect(2);
    assert_eq!(
        dry.out,
        "PAGE       AT                  CHANGE           FROM   TO\nA-1/live   /properties/phone   property added   -      {\"type\":\"string\"}\n"
    );
    assert_eq!(
        dry.err,
        "A-1/live would get the schema of next.json.\nNothing was sent.\n  hint: add --yes to send it\n"
    );
    assert!(api.requests("PUT").is_empty());
    let put = folder
        .run(&["schema", "push", "next.json", "A-1/live", "--yes", "--format", "json"])
        .expect(0)
        .lines();
    let request = &api.requests("PUT")[0];
    assert_eq!(request.body, Some(json!({"schema": next})));
    assert_eq!(
        (&put[0]["page"], &put[0]["result"], &put[0]["correlation_id"]),
        (&json!("A-1/live"), &json!("put"), &json!(request.correlation_id))
    );
    assert_eq!(schema_of(&api, "A-1"), next);
    let again = folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(0);
    assert_eq!(
        (again.out.as_str(), again.err.as_str()),
        ("", "A-1/live already has the schema of next.json.\n")
    );
    assert_eq!(api.requests("PUT").len(), 1);
    assert!(api.requests("PATCH").is_empty());
}

#[test]
fn a_schema_that_rejects_values_on_the_page_is_refused() {
    let (api, folder) = desk_page();
    folder.write(
        "next.json",
        r#"{"properties": {"phone": {"type": "string", "minLength": 9}}, "required": ["fax"]}"#,
    );
    let ran = folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(1);
    assert!(
        ran.err.contains("error: A-1/live: /phone = \"0113\": \"0113\" is shorter than 9 characters\n  hint: see the schema at /properties/phone/minLength"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("error: A-1/live: the page: \"fax\" is a required property"), "{}", ran.err);
    assert!(
        ran.err.ends_with("A-1/live refuses the schema of next.json, so no page gets it.\n"),
        "{}",
        ran.err
    );
    assert!(api.requests("PUT").is_empty());
}

#[test]
fn a_schema_that_rejects_values_of_the_coming_days_is_refused() {
    let (api, folder) = desk_page();
    // Within a few days the page is both open and closed.
    folder.write("next.json", r#"{"properties": {"is_open": {"const": true}}}"#);
    let ran = folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(1);
    assert!(ran.err.contains("is_open = false"), "{}", ran.err);
    assert!(ran.err.contains("Europe/London"), "the first instant is reported: {}", ran.err);
    assert!(api.requests("PUT").is_empty());
    // One refusing page blocks the push to all. A page without settings is checked by its current
    // values.
    fill(&api, "B-2", Environment::Live, None, &json!({"is_open": true}));
    let rows = folder
        .run(&["schema", "push", "next.json", "B-2/live", "A-1/live", "--yes", "--format", "json"])
        .expect(1);
    let results: Vec<Value> = rows.lines().iter().map(|row| row["result"].clone()).collect();
    assert_eq!(results, ["different", "refused"]);
    assert!(api.requests("PUT").is_empty());
    let ran = folder.run(&["schema", "push", "next.json", "B-2/live", "--yes"]).expect(0);
    assert!(
        ran.err.starts_with("B-2/live is not in the settings: only its current values are checked\n"),
        "{}",
        ran.err
    );
    // Unreadable settings give no values for the coming days.
    folder.settings(&api.url, "\n[[page]]\nagent = \"A-1\"\n");
    folder.write("next.json", "{\"title\": \"x\"}");
    let ran = folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(1);
    assert!(ran.err.contains("needs \"environment\""), "{}", ran.err);
    // Missing inputs give none either.
    folder.settings(&api.url, "[sources.m]\npath = \"m.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { a = { source = \"m\", pointer = \"/a\" } }\n");
    let ran = folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(1);
    assert!(ran.err.contains("source \"m\" could not be read"), "{}", ran.err);
    assert_eq!(api.requests("PUT").len(), 1);
}

#[test]
fn only_a_self_contained_draft_7_schema_is_sent() {
    let (api, folder) = desk_page();
    let bomb = json!({
        "definitions": {
            "a": {"allOf": vec![json!({"$ref": "#/definitions/b"}); 50]},
            "b": {"allOf": vec![json!({"$ref": "#/definitions/c"}); 50]},
            "c": {"allOf": vec![json!({"$ref": "#/definitions/d"}); 50]},
            "d": {},
        },
        "$ref": "#/definitions/a",
    });
    for (schema, expected) in [
        (json!({"type": "nonsense"}), "the schema cannot be used"),
        (
            json!({"$ref": "http://127.0.0.1:9/other.json"}),
            "it refers to \"http://127.0.0.1:9/other.json\", which is not in it",
        ),
        (json!({"$ref": "file:///etc/passwd"}), "it refers to \"file:///etc/passwd\""),
        (bomb, "references in the schema multiply"),
        (json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}), "pages use Draft 7"),
        (json!({"properties": {"a": {"pattern": "("}}}), "the schema cannot be used"),
    ] {
        folder.write("next.json", &schema.to_string());
        let ran = folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(1);
        assert!(
            ran.err.starts_with("error: next.json: ") && ran.err.contains(expected),
            "{expected}: {}",
            ran.err
        );
        assert!(ran.err.contains("hint: "), "{}", ran.err);
    }
    assert!(api.simulator.log().is_empty(), "no request at all");
}

#[test]
fn an_empty_page_gets_its_schema_before_its_values() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.write("next.json", r#"{"properties": {"is_open": {"type": "boolean"}}, "required": ["is_open"]}"#);
    folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"]).expect(0);
    folder.run(&["apply"]).expect(0);
    assert_eq!(folder.run(&["plan"]).expect(0).out, "");
}

#[test]
fn a_put_whose_outcome_is_unknown_is_looked_up() {
    let (api, folder) = desk_page();
    let before = schema_of(&api, "A-1");
    let push = |title: &str| {
        folder.write("next.json", &json!({"title": title}).to_string());
        folder.run(&["schema", "push", "next.json", "A-1/live", "--yes"])
    };
    api.simulator.inject(fault(Kind::AppliedThenReset, "PUT"));
    let ran = push("one").expect(0);
    assert!(ran.err.contains("A-1/live now has the schema of next.json."), "{}", ran.err);
    assert_eq!(schema_of(&api, "A-1"), json!({"title": "one"}));
    api.simulator.inject(fault(Kind::AppliedThenStatus { status: 503 }, "PUT"));
    push("two").expect(0);
    api.simulator.inject(fault(Kind::Reset, "PUT"));
    let ran = push("three").expect(1);
    assert!(
        ran.err
            .contains("a later fetch found the previous schema on the page\n  hint: run the command again"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("did not get the schema"), "{}", ran.err);
    api.simulator.inject(fault(Kind::Status { status: 403 }, "PUT"));
    let ran = push("three").expect(1);
    assert!(ran.err.contains("the API answered 403 REAL_TIME_CONFIG_FORBIDDEN_ACCESS"), "{}", ran.err);
    assert!(!ran.err.contains("looked at"), "{}", ran.err);
    // After a failure the remaining pages are skipped.
    fill(&api, "B-2", Environment::Live, Some(&before), &json!({}));
    api.simulator.inject(fault(Kind::Status { status: 400 }, "PUT"));
    let ran = folder.run(&["schema", "push", "next.json", "A-1/live", "B-2/live", "--yes"]).expect(1);
    assert!(ran.err.ends_with("Nothing was sent to B-2/live, because another page failed.\n"), "{}", ran.err);
    assert_eq!(schema_of(&api, "B-2"), before);
}

/// Pushes a schema while another client changes the page during the request `slow`.
async fn push_during_edit(slow: &str, seen: usize, edit: &Value) -> (Api, Ran) {
    let (api, folder) = desk_page();
    folder.write("next.json", r#"{"properties": {"phone": {"type": "string"}}}"#);
    api.simulator.inject(Fault { times: None, ..fault(Kind::Latency { ms: 1_000 }, slow) });
    let mut command = folder.command(&["schema", "push", "next.json", "A-1/live", "--yes"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the page was fetched", || api.requests("GET").len() == seen).await;
    api.edit("A-1", edit);
    (api, Ran::new(child.wait_with_output().unwrap()))
}

#[tokio::test]
async fn a_page_that_changes_during_the_check_gets_no_schema() {
    let (api, ran) = push_during_edit("GET", 1, &json!({"phone": "0114"})).await;
    let ran = ran.expect(1);
    assert!(
        ran.err.contains(
            "the page changed while it was checked, so nothing was sent to it\n  hint: run the command again"
        ),
        "{}",
        ran.err
    );
    assert!(api.requests("PUT").is_empty());
}

#[tokio::test]
async fn values_that_change_just_before_a_put_are_reported() {
    let (api, ran) = push_during_edit("PUT", 2, &json!({"phone": 114})).await;
    let ran = ran.expect(1);
    assert!(
        ran.err
            .contains("the page has the schema now, but its values were changed just before: /phone = 114"),
        "{}",
        ran.err
    );
    assert_eq!(api.requests("PUT").len(), 1);
}
