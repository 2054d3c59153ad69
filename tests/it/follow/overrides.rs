//! Overrides of pages that are promoted.

use rtconfd::clock::ManualClock;
use rtconfd::model::Environment;
use rtconfd::reconcile::Control;
use rtconfd::web::OverrideRequest;
use serde_json::json;

use super::{SITES, Scene, noon};
use crate::support::{Api, Folder, until};

/// An override closes a page immediately, even while it waits for its first promotion.
#[tokio::test]
async fn a_page_that_waits_for_its_first_promotion_can_be_overridden_and_is_restored() {
    let api = Api::start();
    let live = json!({"is_open": true, "phone": "theirs"});
    api.edit("A-1", &live);
    let folder = Folder::new(&api.url, SITES);
    let mut scene = Scene { api, folder, clock: ManualClock::new(noon()), driving: None };
    scene.write("a,A-1,Mo-Fr 09:00-17:00,1\n");
    scene.start().await;
    scene.until_sandbox("true \"1\"").await;
    let asking = |until: Option<&str>| OverrideRequest {
        pages: vec!["A-1/live".to_owned()],
        says: "closed".to_owned(),
        until: until.map(str::to_owned),
        reason: "flood".to_owned(),
        ..OverrideRequest::default()
    };
    let set = |draft| scene.driving.as_ref().unwrap().ask(|answer| Control::Set(Box::new(draft), answer));
    set(asking(Some("30m")).read().unwrap()).await.unwrap();
    until("live is closed", || scene.page(Environment::Live) == "false \"theirs\"").await;

    // Neither another change of its definition nor a restart promotes anything early.
    scene.write("a,A-1,Mo-Fr 09:00-18:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.restart().await;
    scene.at(29).await;
    assert_eq!(scene.both(), ["true \"2\"", "false \"theirs\""]);
    scene.at(30).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"theirs\""], "the earlier value of live is restored");
    // After the override, edits of the page are no longer restored.
    scene.api.edit("A-1", &json!({"is_open": false}));
    scene.at(60).await;
    assert_eq!(scene.page(Environment::Live), "false \"theirs\"");
    scene.restart().await;
    scene.at(90).await;
    assert_eq!(scene.page(Environment::Live), "false \"theirs\"");

    // A released override also restores the page, and the promotion happens when due.
    let set = |draft| scene.driving.as_ref().unwrap().ask(|answer| Control::Set(Box::new(draft), answer));
    let value = OverrideRequest { says: "phone=0800".to_owned(), ..asking(None) };
    let number = set(value.read().unwrap()).await.unwrap().id;
    until("live has the number of the override", || scene.page(Environment::Live) == "false \"0800\"").await;
    let who = "anna".to_owned();
    scene.driving.as_ref().unwrap().ask(|answer| Control::Release { id: number, who, answer }).await.unwrap();
    until("live has its earlier number", || scene.page(Environment::Live) == "false \"theirs\"").await;
    assert_eq!(scene.status().await.following.len(), 1, "live still waits for its promotion");
    scene.at(181).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn an_override_value_has_the_type_of_the_value_it_replaces() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.until_sandbox("true \"1\"").await;
    let set = |says: &str| {
        let asking = OverrideRequest {
            pages: vec!["A-1/sandbox".to_owned()],
            says: says.to_owned(),
            reason: "x".to_owned(),
            ..OverrideRequest::default()
        };
        let draft = asking.read().unwrap();
        let driving = scene.driving.as_ref().unwrap();
        async move { driving.ask(|answer| Control::Set(Box::new(draft), answer)).await }
    };
    let refused = set("is_open=closed").await.unwrap_err();
    let reported = refused[0].to_string();
    assert_eq!(
        reported,
        "invalid value `closed` for is_open: expected true or false (hint: write --value is_open=false)"
    );
    assert_eq!(scene.page(Environment::Sandbox), "true \"1\"");
    // The Python spelling is equally clear.
    set("is_open=False").await.unwrap();
    scene.until_sandbox("false \"1\"").await;
    let refused = set("phone=null").await.unwrap_err()[0].to_string();
    assert!(refused.starts_with("invalid value `null` for phone: expected text"), "{refused}");
    set("phone=[1]").await.unwrap();
    scene.until_sandbox("false \"[1]\"").await;
    set("phone=\"0800\"").await.unwrap();
    scene.until_sandbox("false \"0800\"").await;
    scene.driving.unwrap().stop().await;
}
