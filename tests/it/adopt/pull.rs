//! Pages pulled into settings and files, which change nothing when planned.

use std::path::Path;
use std::sync::Arc;

use rtconfd::clock::WallClock;
use rtconfd::model::Environment;
use serde_json::{Value, json};

use super::{fill, new_user_folder, object};
use crate::support::{Api, Folder, KEY, Ran};

/// Returns the variables of a page with every digit preserved.
fn shape(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_pulled_page_of_every_shape_plans_without_changes() {
    for name in ["flat.json", "lists.json", "sites.json", "weekdays.json", "odd.json"] {
        let api = Api::start();
        let shape = shape(name);
        fill(&api, "A-1", Environment::Live, Some(&shape["schema"]), &shape["valid"]);
        let before = api.simulator.with_pages(|pages| pages.page("A-1", Environment::Live));
        let folder = new_user_folder();
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
        assert_eq!((before, api.requests("PATCH").len()), (after, 0), "{name}: pull sends nothing");
    }
}

#[test]
fn numbers_nulls_and_unusual_keys_survive_a_pull() {
    let api = Api::start();
    let shape = shape("odd.json");
    fill(&api, "A-1", Environment::Live, None, &shape["valid"]);
    let folder = new_user_folder();
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
    for expected in [
        &format!("base_url = \"{}\"", api.url),
        "rate = 3",
        "total_timeout = \"2s\"",
        &key_file,
        "# environment = \"sandbox\"",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
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
    let folder = new_user_folder();
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
