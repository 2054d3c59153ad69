//! Edits by people and other clients: restored, kept, reported, or left alone beside ours.

use std::time::Duration;

use rtconfd::clock::ManualClock;
use rtconfd::reconcile::{Mode, Standing};
use serde_json::json;

use super::{NOON, later};
use crate::support::{Api, Driving, Folder, at, desk, until};

#[tokio::test]
async fn a_persons_edit_is_restored_kept_or_reported() {
    for (policy, expected) in [("restore", json!(true)), ("keep", json!(false)), ("report", json!(false))] {
        let api = Api::start();
        let settings = desk("A-1").replace("variables =", &format!("on_drift = \"{policy}\"\nvariables ="));
        let folder = Folder::new(&api.url, &settings);
        let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
        api.until_variable("A-1", "is_open", &json!(true)).await;
        driving.advance(later(1)).await;
        api.edit("A-1", &json!({"is_open": false, "theirs": "x"}));
        driving.advance(later(8)).await;
        if policy == "restore" {
            api.until_variable("A-1", "is_open", &json!(true)).await;
        }
        driving.advance(later(20)).await;
        assert_eq!(api.variables("A-1"), json!({"is_open": expected, "theirs": "x"}), "{policy}");
        // The desired value changes at 17:00. The page already holds false.
        driving.advance(at("2026-11-26T17:00:00Z")).await;
        api.until_variable("A-1", "is_open", &json!(false)).await;
        driving.advance(at("2026-11-27T09:00:00Z")).await;
        api.until_variable("A-1", "is_open", &json!(true)).await;
        driving.stop().await;
    }
}

#[tokio::test]
async fn a_report_page_that_changed_on_both_sides_is_held() {
    let api = Api::start();
    let settings = "\n[sources.m]\npath = \"m.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\non_drift = \"report\"\nvariables = { text = { source = \"m\", pointer = \"/text\" } }\n";
    let folder = Folder::new(&api.url, settings);
    folder.write("m.json", "{\"text\": \"one\"}");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "text", &json!("one")).await;
    driving.advance(later(1)).await;
    api.edit("A-1", &json!({"text": "theirs"}));
    driving.advance(later(8)).await;
    let noted = |expected: &str| {
        let pages = folder.stored().pages().unwrap();
        pages.values().any(|page| page.problem.as_ref().is_some_and(|(text, _)| text.contains(expected)))
    };
    until("the drift is reported", || noted("another client changed it")).await;
    folder.write("m.json", "{\"text\": \"two\"}");
    until("the change is held", || noted("and is held")).await;
    assert_eq!(api.variables("A-1"), json!({"text": "theirs"}));
    let ended = driving.stop().await;
    assert!(matches!(ended.pages[0].standing, Standing::Held(_)));
}

#[tokio::test]
async fn neighbours_below_an_owned_key_survive_an_edit_at_any_time() {
    let api = Api::start();
    let settings = desk("A-1").replace("{ is_open =", "{ \"/desk/is_open\" =");
    let folder = Folder::new(&api.url, &settings);
    api.edit("A-1", &json!({"desk": {"greeting": "old", "is_open": true}, "other": 1}));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:58:00Z")), Mode::Daemon).await;
    until("the page is fetched", || !api.requests("GET").is_empty() && driving.is_quiet()).await;
    // The last list is stale, and the next one comes after the transition. Only a fetch of the page
    // itself can show the edit.
    tokio::time::sleep(Duration::from_millis(600)).await;
    api.edit("A-1", &json!({"desk": {"greeting": "new", "is_open": true}}));
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "desk", &json!({"greeting": "new", "is_open": false})).await;
    driving.stop().await;
}

/// Below a shared key the fetch stays right before the PATCH.
#[tokio::test]
async fn a_neighbours_edit_just_before_a_transition_survives() {
    let api = Api::start();
    let settings = desk("A-1").replace("is_open =", "\"/box/is_open\" =");
    let folder = Folder::new(&api.url, &settings);
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:59:50Z")), Mode::Daemon).await;
    api.until_variable("A-1", "box", &json!({"is_open": true})).await;
    driving.advance(at("2026-11-26T16:59:59.900Z")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    api.edit("A-1", &json!({"box": {"is_open": true, "note": "theirs"}}));
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "box", &json!({"is_open": false, "note": "theirs"})).await;
    driving.stop().await;
}
