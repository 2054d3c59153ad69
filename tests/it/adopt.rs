//! Transcripts of the commands that list agents, pull pages into files, and compare and push
//! schemas.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use rtconfd::clock::{Clock, WallClock};
use rtconfd::model::Environment;
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Map, Value, json};

use crate::support::{Api, Folder, KEY, Ran, desk, until};

/// Returns the variables of a page with every digit preserved.
fn shape(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// Puts a schema and values on a page.
fn fill(api: &Api, agent: &str, environment: Environment, schema: Option<&Value>, values: &Value) {
    let now = WallClock.now();
    api.simulator.with_pages(|pages| {
        pages.patch(agent, environment, object(values), now).unwrap();
        if let Some(schema) = schema {
            pages.put_schema(agent, environment, schema, now).unwrap();
        }
    });
}

fn schema_of(api: &Api, agent: &str) -> Value {
    api.simulator.with_pages(|pages| pages.page(agent, Environment::Live)["schema"].clone())
}

/// Creates a folder with a key and no settings, as a new user has it.
fn newcomer() -> Folder {
    let folder = Folder::new("http://127.0.0.1:9", "");
    std::fs::remove_file(folder.path("rtconfd.toml")).unwrap();
    folder
}

fn fault(kind: Kind, method: &str) -> Fault {
    serde_json::from_value(json!({"kind": "reset", "method": method, "times": 1}))
        .map(|fault: Fault| Fault { kind, ..fault })
        .unwrap()
}

#[test]
fn agents_are_listed_without_a_settings_file() {
    let api = Api::with(vec!["A-1".to_owned(), "B-2".to_owned()], Arc::new(WallClock));
    fill(&api, "A-1", Environment::Live, Some(&json!({"type": "object"})), &json!({"a": 1}));
    fill(&api, "A-1", Environment::Sandbox, None, &json!({"a": 1, "b": 2}));
    let folder = newcomer();
    let access = ["--base-url", &api.url, "--key-file", "key"];
    let agents = |more: &[&str]| folder.run(&[&["agents"], more, &access].concat());
    assert_eq!(
        agents(&[]).expect(0).out,
        "AGENT   NAME   ACCOUNT\nA-1     A-1    ws-simulator\nB-2     B-2    ws-simulator\n"
    );
    assert_eq!(
        agents(&["--format", "json", "--account", "ws-fd112d8f"]).expect(0).lines(),
        [
            json!({"agent": "A-1", "name": "A-1", "account": "ws-simulator", "pages": null}),
            json!({"agent": "B-2", "name": "B-2", "account": "ws-simulator", "pages": null}),
        ]
    );
    // Control characters in a name do not reach the terminal.
    api.simulator.with_pages(|pages| pages.create_agent("C-3", "a\u{1b}[2J\nb", WallClock.now()));
    let table = agents(&[]).expect(0).out;
    assert!(table.contains("C-3     a\\u{1b}[2J\\nb   ws-simulator\n"), "{table}");
    let paths: Vec<String> = api.requests("GET").into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/agents", "/v1/accounts/ws-fd112d8f/agents", "/v1/agents"]);
    let table = agents(&["--pages"]).expect(0).out;
    assert!(table.contains("sandbox (no schema, 2 values), live (schema, 1 value)"), "{table}");
    assert!(table.contains("none in use"), "{table}");
    let row = &agents(&["--pages", "--format", "json"]).expect(0).lines()[0];
    assert_eq!(
        row["pages"],
        json!([
            {"environment": "sandbox", "schema": false, "variables": 2},
            {"environment": "live", "schema": true, "variables": 1},
        ])
    );
}

#[test]
fn agents_reports_missing_settings_and_api_errors() {
    let api = Api::start();
    let folder = newcomer();
    let ran = folder.run(&["agents"]).expect(1);
    assert_eq!(
        ran.err,
        "error: missing API: there is no settings file, and neither region nor base_url is set\n |\n = hint: add --region us, \
         eu, uk or studio, or name the settings with --config FILE\n"
    );
    let ran = folder.run(&["agents", "--region", "ku"]).expect(1);
    assert!(ran.err.contains("\"ku\" is not a region"), "{}", ran.err);
    let ran = folder.run(&["agents", "--region", "uk"]).expect(1);
    assert!(ran.err.starts_with("error: missing API key\n  hint: add --key-file FILE,"), "{}", ran.err);
    let ran = folder.run(&["agents", "--base-url", &api.url, "--key-file", "nowhere"]).expect(1);
    assert!(ran.err.contains("cannot read the key file ") && ran.err.contains("nowhere: "), "{}", ran.err);
    let ran = folder.run(&["agents", "--base-url", &api.url, "--account", "../x"]).expect(1);
    assert!(ran.err.contains("as in ws-fd112d8f"), "{}", ran.err);
    folder.write("other", "another-key");
    std::fs::set_permissions(folder.path("other"), PermissionsExt::from_mode(0o600)).unwrap();
    let ran = folder.run(&["agents", "--base-url", &api.url, "--key-file", "other"]).expect(1);
    assert!(ran.err.contains("the API answered 401 AUTH_USER_UNAUTHORISED"), "{}", ran.err);
    api.simulator.inject(fault(Kind::Status { status: 404 }, "GET"));
    let ran = folder.run(&["agents", "--base-url", &api.url, "--key-file", "key"]).expect(1);
    assert!(ran.err.contains("add --account ID"), "{}", ran.err);
    let ran = folder.run(&["--config", "nowhere.toml", "agents"]).expect(1);
    assert!(ran.err.contains("nowhere.toml: cannot read the settings"), "{}", ran.err);
    assert!(!ran.err.contains(KEY));
}

#[test]
fn incomplete_settings_are_enough_to_list_agents() {
    let api = Api::with(vec!["A-1".to_owned()], Arc::new(WallClock));
    let folder = Folder::new(&api.url, "\n[hours.desk]\nnonsense = 1\n");
    assert!(folder.run(&["agents"]).expect(0).out.contains("A-1"));
    // The environment overrides the file.
    let nobody =
        folder.command(&["agents"]).env("RTCONFD_API__BASE_URL", "http://127.0.0.1:9").output().unwrap();
    assert!(Ran::new(nobody).expect(1).err.contains("cannot reach the API"));
}

#[test]
fn a_pulled_page_of_every_shape_plans_without_changes() {
    for name in ["flat.json", "lists.json", "sites.json", "weekdays.json", "odd.json"] {
        let api = Api::start();
        let shape = shape(name);
        fill(&api, "A-1", Environment::Live, Some(&shape["schema"]), &shape["valid"]);
        let before = api.simulator.with_pages(|pages| pages.page("A-1", Environment::Live));
        let folder = newcomer();
        let pulled = ["pull", "A-1/live", "--base-url", &api.url, "--key-file", "key", "--into", "in/here"];
        let ran = folder.run(&pulled).expect(0);
        assert_eq!(
            ran.out,
            "wrote in/here/rtconfd.toml\nwrote in/here/A-1.live.schema.json\nwrote in/here/A-1.live.json\n",
            "{name}"
        );
        let plan = folder.run(&["plan", "--config", "in/here/rtconfd.toml"]).expect(0);
        assert_eq!(plan.err, "Nothing to do: every page has its desired values.\n", "{name}");
        folder.run(&["check", "--config", "in/here/rtconfd.toml"]).expect(0);
        folder
            .run(&[
                "schema",
                "diff",
                "in/here/A-1.live.schema.json",
                "A-1/live",
                "--config",
                "in/here/rtconfd.toml",
            ])
            .expect(0);
        let text = std::fs::read_to_string(folder.path("in/here/A-1.live.json")).unwrap();
        let kept: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in
            object(&shape["valid"]).iter().filter(|(key, _)| !key.is_empty() && !key.contains("{{"))
        {
            assert_eq!(kept[key].to_string(), value.to_string(), "{name}: {key}");
        }
        let after = api.simulator.with_pages(|pages| pages.page("A-1", Environment::Live));
        assert_eq!((before, api.requests("PATCH").len()), (after, 0), "{name}: pull only looks");
    }
}

#[test]
fn numbers_nulls_and_unusual_keys_survive_a_pull() {
    let api = Api::start();
    let shape = shape("odd.json");
    fill(&api, "A-1", Environment::Live, None, &shape["valid"]);
    let folder = newcomer();
    let ran = folder.run(&["pull", "A-1/live", "--base-url", &api.url, "--key-file", "key"]).expect(0);
    assert!(ran.err.contains("warning: A-1/live: \"\": it cannot be owned"), "{}", ran.err);
    assert_eq!(
        ran.out, "wrote ./rtconfd.toml\nwrote ./A-1.live.json\n",
        "a page without a schema has no file of one"
    );
    let text = std::fs::read_to_string(folder.path("A-1.live.json")).unwrap();
    for kept in ["1.0,", "9007199254740993", "0.10", "\"nothing\": null", "\\u0000"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    folder.run(&["plan"]).expect(0);
    // A changed value of every kind is detected.
    api.edit("A-1", &json!({"nothing": 0, "/starts": 9_007_199_254_740_992_u64, "a/b": 1, "~1": []}));
    let rows = folder.run(&["plan", "--format", "json"]).expect(2).lines();
    let variables: Vec<&str> = rows.iter().map(|row| row["variable"].as_str().unwrap()).collect();
    // 1 and 1.0 are one value.
    assert_eq!(variables, ["/~1starts", "~1", "nothing"]);
    folder.run(&["apply"]).expect(0);
    assert_eq!(api.variables("A-1")["/starts"].to_string(), "9007199254740993");
}

#[test]
fn pull_warns_that_settings_of_empty_pages_need_a_variable_first() {
    let api = Api::start();
    let folder = Folder::new(&api.url, "");
    let ran = folder.run(&["pull", "A-1/sandbox", "--into", "new"]).expect(0);
    let next = "Next: write a variable in new/rtconfd.toml; until then rtconfd plan, like every command, refuses this file\n";
    assert!(ran.err.ends_with(next), "{}", ran.err);
    folder.run(&["plan", "--config", "new/rtconfd.toml"]).expect(1);
}

#[test]
fn several_pages_are_pulled_into_one_settings_file_with_the_existing_api() {
    let api = Api::start();
    fill(&api, "A-1", Environment::Live, None, &json!({"a": 1}));
    fill(&api, "A-1", Environment::PreRelease, None, &json!({"a": 2, "b": null}));
    let old = Folder::new(&api.url, "");
    let settings = std::fs::read_to_string(old.path("rtconfd.toml")).unwrap();
    old.write("rtconfd.toml", &settings.replace("[store]", "rate = 3\n[store]"));
    let pages = ["pull", "A-1/live", "A-1/pre-release", "A-1/sandbox", "A-1/live", "--into", "new"];
    let ran = old.run(&pages).expect(0);
    assert!(
        ran.err.contains("warning: A-1/sandbox holds no values to keep, so its block in rtconfd.toml is a commented example"),
        "{}",
        ran.err
    );
    assert!(ran.err.ends_with("Next: rtconfd plan --config new/rtconfd.toml\n"), "{}", ran.err);
    let text = std::fs::read_to_string(old.path("new/rtconfd.toml")).unwrap();
    let key_file = format!("key_file = \"{}\"", old.path("key").canonicalize().unwrap().display());
    for wanted in [
        &format!("base_url = \"{}\"", api.url),
        "rate = 3",
        "total_timeout = \"2s\"",
        &key_file,
        "# environment = \"sandbox\"",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    old.run(&["plan", "--config", "new/rtconfd.toml"]).expect(0);
    // With the block uncommented the page gets its first value.
    let opened = text.split_once("# ---- A-1/sandbox").map(|(before, behind)| {
        let (block, after) = behind.split_once("# ---- From").unwrap();
        let block = block.lines().map(|line| {
            format!("{}\n", line.strip_prefix("# ").filter(|line| !line.starts_with("The")).unwrap_or(""))
        });
        format!("{before}{}# ---- From{after}", block.collect::<String>())
    });
    std::fs::write(old.path("new/rtconfd.toml"), opened.unwrap()).unwrap();
    let rows = old.run(&["plan", "--config", "new/rtconfd.toml", "--format", "json"]).expect(2).lines();
    assert_eq!((&rows[0]["page"], &rows[0]["variable"]), (&json!("A-1/sandbox"), &json!("greeting")));
}

#[test]
fn pull_overwrites_nothing_and_writes_nothing_when_it_fails() {
    let api = Api::with(vec!["A-1".to_owned()], Arc::new(WallClock));
    fill(&api, "A-1", Environment::Live, None, &json!({"a": 1}));
    let folder = Folder::new(&api.url, "");
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    let ran = folder.run(&["pull", "A-1/live"]).expect(1);
    assert_eq!(
        ran.err,
        "error: ./rtconfd.toml exists, and pull overwrites nothing\n  hint: name another folder with --into DIR, or move the file away\n"
    );
    assert_eq!(std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap(), settings);
    assert!(!folder.path("A-1.live.json").exists());
    std::fs::create_dir(folder.path("there")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path("there/A-1.live.json")).unwrap();
    let ran = folder.run(&["pull", "A-1/live", "--into", "there"]).expect(1);
    assert!(ran.err.contains("there/A-1.live.json exists"), "{}", ran.err);
    assert!(!folder.path("there/rtconfd.toml").exists());
    let ran = folder.run(&["pull", "A-1/live", "--into", "key/below"]).expect(1);
    assert!(ran.err.contains("cannot create the folder key/below"), "{}", ran.err);
    let ran = folder.run(&["pull", "A-1/live", "A-9/live", "--into", "new"]).expect(1);
    assert!(ran.err.starts_with("error: A-9/live: the API answered 404 PROJECT_NOT_FOUND"), "{}", ran.err);
    assert!(!folder.path("new").exists());
    let ran = folder.run(&["pull", "A-1/prod"]).expect(1);
    assert!(ran.err.contains("A-1/prod"), "{}", ran.err);
    folder.run(&["pull"]).expect(1);
}

#[test]
fn pull_writes_no_key_from_the_environment_and_reports_invalid_values_on_the_page() {
    let api = Api::start();
    fill(
        &api,
        "A-1",
        Environment::Live,
        Some(&json!({"properties": {"a": {"type": "string"}}})),
        &json!({"a": 1}),
    );
    let folder = newcomer();
    let mut command = folder.command(&["pull", "A-1/live", "--base-url", &api.url]);
    let ran = Ran::new(command.env("RTCONFD_API_KEY", KEY).output().unwrap()).expect(0);
    assert!(
        ran.err.contains(
            "warning: A-1/live is already invalid, and plan will report it: /a = 1: 1 is not of type \"string\"\n  hint: see the schema at /properties/a/type"
        ),
        "{}",
        ran.err
    );
    let text = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    assert!(text.contains("else the variable RTCONFD_API_KEY.\n# key_file"), "{text}");
    let key = KEY.as_bytes();
    for (path, content) in folder.everything().into_iter().filter(|(path, _)| !path.ends_with("key")) {
        assert!(!content.windows(key.len()).any(|part| part == key), "{}", path.display());
    }
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
    let elsewhere = newcomer();
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
    for (place, wanted) in [
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
        assert!(ran.err.starts_with(wanted), "{place}: {}", ran.err);
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
    assert!(ran.err.contains("Europe/London"), "the first time that it happens is told: {}", ran.err);
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
    for (schema, wanted) in [
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
            ran.err.starts_with("error: next.json: ") && ran.err.contains(wanted),
            "{wanted}: {}",
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
async fn pushed_meanwhile(slow: &str, seen: usize, edit: &Value) -> (Api, Ran) {
    let (api, folder) = desk_page();
    folder.write("next.json", r#"{"properties": {"phone": {"type": "string"}}}"#);
    api.simulator.inject(Fault { times: None, ..fault(Kind::Latency { ms: 1_000 }, slow) });
    let mut command = folder.command(&["schema", "push", "next.json", "A-1/live", "--yes"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the page was looked at", || api.requests("GET").len() == seen).await;
    api.edit("A-1", edit);
    (api, Ran::new(child.wait_with_output().unwrap()))
}

#[tokio::test]
async fn a_page_that_changes_during_the_check_gets_no_schema() {
    let (api, ran) = pushed_meanwhile("GET", 1, &json!({"phone": "0114"})).await;
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
    let (api, ran) = pushed_meanwhile("PUT", 2, &json!({"phone": 114})).await;
    let ran = ran.expect(1);
    assert!(
        ran.err
            .contains("the page has the schema now, but its values were changed just before: /phone = 114"),
        "{}",
        ran.err
    );
    assert_eq!(api.requests("PUT").len(), 1);
}
