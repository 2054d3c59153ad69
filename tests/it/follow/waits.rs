//! The wait of a change before its promotion, and the events that restart it.

use rtconfd::clock::{Clock, ManualClock};
use rtconfd::model::Environment;
use rtconfd::reconcile::Control;
use rtconfd::web::OverrideRequest;
use serde_json::json;

use super::{SITES, Scene, after, noon};
use crate::support::{Api, Folder};

#[tokio::test]
async fn a_change_reaches_live_after_two_hours_on_the_sandbox_despite_restarts() {
    let mut scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.until_sandbox("true \"1\"").await;
    scene.at(60).await;
    scene.restart().await;
    scene.at(119).await;
    assert_eq!(scene.both(), ["true \"1\"", "null null"], "a new page waits for promotion like any change");
    scene.at(120).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);

    // It now closes at half past three; the change reaches live at half past four.
    scene.at(150).await;
    scene.write("a,A-1,Mo-Fr 09:00-15:30,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.restart().await;
    scene.at(211).await;
    assert_eq!(scene.both(), ["false \"2\"", "true \"1\""]);
    scene.restart().await;
    scene.at(269).await;
    assert_eq!(scene.both(), ["false \"2\"", "true \"1\""]);
    let following = scene.status().await.following;
    assert_eq!((following[0].at, &*following[0].why), (Some(after(270)), "A-1/sandbox holds the change"));
    scene.at(270).await;
    assert_eq!(scene.both(), ["false \"2\"", "false \"2\""]);
    assert!(scene.status().await.following.is_empty());
    let remembered = scene.folder.stored().remembered().unwrap();
    assert!(remembered.older.is_empty() && remembered.behind.is_empty(), "{remembered:?}");

    // Transitions are not promoted: both pages open in the morning.
    scene.at(21 * 60).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn live_keeps_its_hours_while_waiting_and_a_new_change_restarts_the_wait() {
    let mut scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.at(240).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);
    scene.write("a,A-1,Mo-Fr 09:00-18:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.at(300).await;
    assert_eq!(scene.both(), ["true \"2\"", "false \"1\""], "live still closes at five");
    // Another change of the same page before the first is due.
    scene.at(350).await;
    scene.write("a,A-1,Mo-Fr 09:00-20:00,2\n");
    scene.until_promotion_is_due_at(470).await;
    scene.restart().await;
    scene.at(469).await;
    assert_eq!(scene.both(), ["true \"2\"", "false \"1\""]);
    scene.at(470).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    // A reverted change never reaches live.
    scene.write("a,A-1,Mo-Fr 09:00-20:00,3\n");
    scene.until_sandbox("true \"3\"").await;
    scene.write("a,A-1,Mo-Fr 09:00-20:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    assert!(scene.status().await.following.is_empty());
    scene.driving.unwrap().stop().await;
}

/// A change that the sandbox never showed was not tested there.
#[tokio::test]
async fn only_an_override_or_edit_that_covers_a_change_restarts_its_wait() {
    let api = Api::start();
    let folder =
        Folder::new(&api.url, &SITES.replace("after = \"2h\"", "after = \"2h\"\non_drift = \"keep\""));
    let mut scene = Scene { api, folder, clock: ManualClock::new(noon()), driving: None };
    scene.write("a,A-1,Mo-Fr 09:00-17:00,1\n");
    scene.start().await;
    scene.at(121).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);
    scene.at(130).await;
    scene.write("a,A-1,Mo-Fr 09:00-18:00,1\n");
    scene.until_promotion_is_due_at(250).await;
    scene.at(140).await;
    let closed = OverrideRequest {
        pages: vec!["A-1/sandbox".to_owned()],
        says: "closed".to_owned(),
        until: Some("1h".to_owned()),
        reason: "snow".to_owned(),
        who: "anna".to_owned(),
        ..OverrideRequest::default()
    };
    let draft = Box::new(closed.read().unwrap());
    scene.driving.as_ref().unwrap().ask(|answer| Control::Set(draft, answer)).await.unwrap();
    scene.until_sandbox("false \"1\"").await;
    let waits = &scene.status().await.following[0];
    let covered =
        "A-1/sandbox does not hold the change: is_open is overridden: override 1: closed, by anna: snow";
    assert_eq!((waits.at, &*waits.why), (None, covered));
    // The wait starts at its end: two hours after twenty past three.
    scene.at(319).await;
    assert_eq!(scene.both(), ["true \"1\"", "false \"1\""], "live still closes at five");
    scene.at(320).await;
    assert_eq!(scene.both(), ["true \"1\"", "true \"1\""]);

    // The edited phone number is kept; the hours do not wait for it.
    scene.edit("phone", &json!("9"));
    scene.write("a,A-1,Mo-Fr 09:00-17:50,1\n");
    scene.until_promotion_is_due_at(440).await;
    scene.at(340).await;
    scene.until_sandbox("true \"9\"").await;
    assert_eq!(scene.status().await.following[0].at, Some(after(440)));
    // The edited opening state is kept too, so the new hours stay hidden until nine in the morning.
    scene.at(400).await;
    scene.edit("is_open", &json!(true));
    scene.at(439).await;
    let waits = &scene.status().await.following[0];
    let covered = "A-1/sandbox does not hold the change: is_open is kept as another client changed it";
    assert_eq!((waits.at, &*waits.why), (None, covered));
    scene.driving.unwrap().stop().await;
}

/// While the drift lasts, callers of the sandbox hear a different value.
#[tokio::test]
async fn drift_on_the_sandbox_restarts_the_wait_even_if_it_is_restored() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.until_sandbox("true \"1\"").await;
    scene.at(121).await;
    assert_eq!(scene.page(Environment::Live), "true \"1\"");
    scene.write("a,A-1,Mo-Fr 09:00-17:00,2\n");
    scene.until_sandbox("true \"2\"").await;
    scene.at(181).await;
    let theirs = json!({"phone": "9"});
    let now = scene.clock.now();
    let edit = |pages: &mut rtconfd::simulator::Pages| {
        pages.patch("A-1", Environment::Sandbox, theirs.as_object().unwrap(), now).map(drop)
    };
    scene.api.simulator.with_pages(edit).unwrap();
    scene.at(190).await;
    assert_eq!(scene.page(Environment::Sandbox), "true \"2\"", "the sandbox is restored");
    scene.at(260).await;
    assert_eq!(scene.page(Environment::Live), "true \"1\"");
    scene.at(320).await;
    assert_eq!(scene.both(), ["false \"2\"", "false \"2\""], "both close at five, and live has the change");
}
