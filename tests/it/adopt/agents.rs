//! The list of agents, with and without settings.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rtconfd::clock::{Clock, WallClock};
use rtconfd::model::Environment;
use rtconfd::simulator::Kind;
use serde_json::json;

use super::{fault, fill, new_user_folder};
use crate::support::{Api, Folder, KEY, Ran};

#[test]
fn agents_are_listed_without_a_settings_file() {
    let api = Api::with(vec!["A-1".to_owned(), "B-2".to_owned()], Arc::new(WallClock));
    fill(&api, "A-1", Environment::Live, Some(&json!({"type": "object"})), &json!({"a": 1}));
    fill(&api, "A-1", Environment::Sandbox, None, &json!({"a": 1, "b": 2}));
    let folder = new_user_folder();
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
    let folder = new_user_folder();
    let ran = folder.run(&["agents"]).expect(1);
    assert_eq!(
        ran.err,
        "error: missing API: no settings file was found, and neither region nor base_url is set\n |\n = hint: add --region us, \
         eu, uk or studio, or name the settings with --config FILE\n"
    );
    let ran = folder.run(&["agents", "--region", "ku"]).expect(1);
    assert!(ran.err.contains("unknown region \"ku\""), "{}", ran.err);
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
    let unreachable =
        folder.command(&["agents"]).env("RTCONFD_API__BASE_URL", "http://127.0.0.1:9").output().unwrap();
    assert!(Ran::new(unreachable).expect(1).err.contains("cannot reach the API"));
}
