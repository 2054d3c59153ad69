//! Drift that the webhook reports, and its record in the history.

use rtconfd::clock::ManualClock;
use rtconfd::reconcile::{Control, Feed, Mode};
use serde_json::json;

use super::{NOON, asking, set, sites};
use crate::support::{Api, Driving, Folder, SITES, at, desk, until};

fn fetch() -> Feed {
    Feed::Control(Control::Fetch { agent: Some("A-1".to_owned()), environment: None, by: None })
}

#[tokio::test]
async fn the_webhook_detects_drift_immediately_and_history_records_it() {
    let api = Api::start();
    let policy = "on_drift = { \"*\" = \"restore\", seats = \"report\" }";
    let settings = desk("A-1").replace("variables = {", &format!("{policy}\nvariables = {{ seats = 40,"));
    let folder = Folder::new(&api.url, &settings);
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    api.edit("A-1", &json!({"seats": 42, "is_open": false}));
    let fetch = Control::Fetch {
        agent: Some("A-1".to_owned()),
        environment: None,
        by: Some("bert@example.com".to_owned()),
    };
    driving.feed.send(Feed::Control(fetch)).await.unwrap();
    until("the drift is recorded", || !folder.stored().drifts(None, true, 10).unwrap().is_empty()).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert_eq!(api.variables("A-1")["seats"], json!(42), "drift with the policy report is not restored");
    let drift = folder.stored().drifts(None, true, 10).unwrap().remove(0);
    assert_eq!(
        (drift.variable.as_str(), &drift.baseline, &drift.found, drift.answer.as_str(), drift.by.as_deref()),
        ("seats", &json!(40), &json!(42), "reported", Some("bert@example.com"))
    );
    // A manual fix ends the drift.
    api.edit("A-1", &json!({"seats": 40}));
    driving.advance(at("2026-11-26T12:10:00Z")).await;
    until("the drift is over", || folder.stored().drifts(None, true, 10).unwrap().is_empty()).await;
    assert!(folder.stored().drifts(None, false, 10).unwrap()[0].ended_at.is_some());
    driving.stop().await;
}

#[tokio::test]
async fn an_override_reaches_the_page_whatever_the_drift_policy_is() {
    for policy in ["keep", "report"] {
        let api = Api::start();
        let settings =
            desk("A-1").replace("variables = {", &format!("on_drift = \"{policy}\"\nvariables = {{"));
        let folder = Folder::new(&api.url, &settings);
        let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
        api.until_variable("A-1", "is_open", &json!(true)).await;
        until("the driver is quiet", || driving.is_quiet()).await;
        api.edit("A-1", &json!({"is_open": false}));
        driving.feed.send(fetch()).await.unwrap();
        until("the drift is left", || !folder.stored().drifts(None, true, 10).unwrap().is_empty()).await;
        set(&driving, asking("open", Some("14:00"))).await.unwrap();
        api.until_variable("A-1", "is_open", &json!(true)).await;
        // Another client's edit does not end an override.
        until("the driver is quiet", || driving.is_quiet()).await;
        api.edit("A-1", &json!({"is_open": false}));
        driving.feed.send(fetch()).await.unwrap();
        api.until_variable("A-1", "is_open", &json!(true)).await;
        // After its end, the policy applies again.
        driving.advance(at("2026-11-26T14:00:00Z")).await;
        until("the driver is quiet", || driving.is_quiet()).await;
        api.edit("A-1", &json!({"is_open": false}));
        driving.feed.send(fetch()).await.unwrap();
        until("the drift is left", || !folder.stored().drifts(None, true, 10).unwrap().is_empty()).await;
        driving.stop().await;
        assert_eq!(api.variables("A-1")["is_open"], json!(false), "{policy}");
    }
}

#[tokio::test]
async fn drift_ends_when_its_page_is_no_longer_defined() {
    let api = Api::start();
    let settings = SITES.replace("variables = {", "on_drift = \"report\"\nvariables = {");
    let folder = Folder::new(&api.url, &settings);
    folder.write("sites.csv", &sites(2, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    api.edit("A-1", &json!({"is_open": false}));
    driving.feed.send(fetch()).await.unwrap();
    until("the drift is left", || !folder.stored().drifts(None, true, 10).unwrap().is_empty()).await;
    folder.write("sites.csv", &sites(2, 0..0).replace(",A-1", ",B-1"));
    until("the drift is over", || folder.stored().drifts(None, true, 10).unwrap().is_empty()).await;
    assert_eq!(driving.status().await.counts.drifted, 1);
    driving.stop().await;
}
