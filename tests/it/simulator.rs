//! The simulator as people use it: its state file and its web page.

use std::sync::Arc;

use rtconfd::clock::WallClock;
use rtconfd::simulator::{Options, Simulator};
use serde_json::{Value, json};

use crate::support::{Api, KEY};

#[tokio::test]
async fn the_state_file_keeps_pages_between_runs() {
    let directory = tempfile::tempdir().unwrap();
    let state_file = directory.path().join("pages.json");
    let simulator = || {
        let options = Options {
            api_key: KEY.to_owned(),
            agents: Vec::new(),
            state_file: Some(state_file.clone()),
            clock: Arc::new(WallClock),
        };
        Simulator::new(options).unwrap()
    };
    let environment = rtconfd::model::Environment::Live;
    let variables = serde_json::from_str::<Value>(r#"{"n": 1.0}"#).unwrap();
    let at = crate::support::at("2026-11-26T12:00:00.000001Z");
    let before = simulator()
        .with_pages(|pages| pages.patch("A-1", environment, variables.as_object().unwrap(), at).unwrap());
    let after = simulator().with_pages(|pages| pages.page("A-1", environment));
    assert_eq!(after.to_string(), before.to_string());
    std::fs::write(&state_file, "{cut").unwrap();
    let options = Options {
        api_key: KEY.to_owned(),
        agents: Vec::new(),
        state_file: Some(state_file),
        clock: Arc::new(WallClock),
    };
    assert!(Simulator::new(options).is_err(), "a damaged state file is not replaced by an empty one");
}

#[test]
fn the_simulators_web_page_shows_values_and_requests() {
    let api = Api::start();
    api.edit("A-1", &json!({"greeting": "Good <b>morning</b>"}));
    let profile = tempfile::tempdir().unwrap();
    let ran = std::process::Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=3000", "--dump-dom", &format!("{}/", api.url)])
        .output()
        .expect("chromium is needed for this test: install the package chromium");
    let page = String::from_utf8_lossy(&ran.stdout);
    assert!(page.contains("A-1 / live") && page.contains("<td>greeting</td>"), "{page}");
    // Values are shown as text and never executed.
    assert!(page.contains("Good &lt;b&gt;morning&lt;/b&gt;"), "{page}");
}
