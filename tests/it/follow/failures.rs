//! Changes that fail on the way: bad rows, reverts, and refusals of either page.

use rtconfd::clock::ManualClock;
use rtconfd::model::Environment;
use rtconfd::reconcile::{Control, Standing};
use serde_json::{Value, json};

use super::{SITES, Scene, noon};
use crate::support::{Api, Folder, until};

/// The store keeps the files of the active revision, bad rows included.
#[tokio::test]
async fn a_restart_with_a_bad_row_neither_reverts_nor_abandons_live() {
    let good = "a,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,1\n";
    let mut scene = Scene::begin(good).await;
    scene.at(121).await;
    scene.write("a,A-1,Mo-Fr 09:00-17:00,2\nb,A-2,Mo-Fr 09:00-25:00,1\n");
    scene.until_sandbox("true \"2\"").await;
    scene.at(242).await;
    assert_eq!(scene.both(), ["true \"2\"", "true \"2\""]);
    let before = scene.api.requests("PATCH").len();
    scene.restart().await;
    scene.at(300).await;
    assert_eq!(scene.both(), ["false \"2\"", "false \"2\""]);
    let closed = scene.api.requests("PATCH").len() - before;
    assert_eq!(closed, 4, "all four pages close at five, and nothing else is sent");
    assert!(scene.status().await.following.is_empty());

    // A row that was missing for a moment does not define a new page.
    scene.write("b,A-2,Mo-Fr 09:00-25:00,1\n");
    scene.until_pages(2).await;
    scene.write("a,A-1,Mo-Fr 09:00-17:00,2\nb,A-2,Mo-Fr 09:00-25:00,1\n");
    scene.until_pages(4).await;
    assert!(scene.status().await.following.is_empty());
    scene.driving.unwrap().stop().await;
}

/// Reverting a change that live never had does not put it there.
#[tokio::test]
async fn an_approved_revert_of_a_change_never_promotes_the_change() {
    let rows =
        |phone: usize| (0..8).map(|n| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{phone}\n")).collect::<String>();
    let api = Api::start();
    let settings = SITES.replace("pages_percent = 100", "pages = 1\npages_percent = 1");
    let folder = Folder::new(&api.url, &settings);
    let mut scene = Scene { api, folder, clock: ManualClock::new(noon()), driving: None };
    scene.folder.without_rate();
    scene.write(&rows(1));
    scene.start().await;
    scene.until_sandbox("true \"1\"").await;
    scene.at(121).await;
    for phone in [2, 1] {
        scene.write(&rows(phone));
        let held = loop {
            match scene.status().await.held {
                Some(held) => break held.revision,
                None => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            }
        };
        let asked = |answer| Control::Approve { revision: held, who: "anna".to_owned(), answer };
        scene.driving.as_ref().unwrap().ask(asked).await.unwrap();
        scene.until_sandbox(&format!("true \"{phone}\"")).await;
    }
    scene.at(180).await;
    let live = scene.api.requests("PATCH").into_iter().filter(|request| request.path.contains("/live/"));
    let phones: Vec<Value> =
        live.map(|request| request.body.unwrap()["variables"]["phone"].clone()).collect();
    assert_eq!(phones, vec![json!("1"); 8]);
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn a_change_that_the_sandbox_refuses_never_reaches_live() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,1\n").await;
    scene.at(121).await;
    scene.require_type(Environment::Sandbox, "^[0-9]$");
    scene.write("a,A-1,Mo-Fr 09:00-16:00,none\nb,A-2,Mo-Fr 09:00-16:00,2\n");
    scene.driving.as_ref().unwrap().feed.send(fetch_request()).await.unwrap();
    until("the other page has the change", || {
        scene.api.requests("PATCH").iter().any(|request| request.path.contains("A-2"))
    })
    .await;
    scene.at(290).await;
    assert_eq!(scene.page(Environment::Live), "true \"1\"");
    let waits = scene.status().await.following.remove(0);
    assert!(
        waits.at.is_none() && waits.why.starts_with("A-1/sandbox does not hold the change: "),
        "{waits:?}"
    );
    assert_eq!(scene.api.variables("A-2")["phone"], "2", "a refusal does not affect another page");
    // After the fix, the wait of two hours starts again.
    scene.write("a,A-1,Mo-Fr 09:00-16:00,3\n b,A-2,Mo-Fr 09:00-16:00,2\n".replace(" b", "b").as_str());
    scene.until_sandbox("false \"3\"").await;
    scene.at(409).await;
    assert_eq!(scene.page(Environment::Live), "false \"1\"", "live closed at five");
    scene.at(410).await;
    assert_eq!(scene.page(Environment::Live), "false \"3\"");
    scene.driving.unwrap().stop().await;
}

#[tokio::test]
async fn a_change_that_live_would_refuse_is_reported_and_live_keeps_its_hours() {
    let scene = Scene::begin("a,A-1,Mo-Fr 09:00-17:00,1\n").await;
    scene.at(121).await;
    scene.require_type(Environment::Live, "^[0-9]$");
    scene.driving.as_ref().unwrap().feed.send(fetch_request()).await.unwrap();
    scene.write("a,A-1,Mo-Fr 09:00-19:00,none\n");
    scene.until_sandbox("true \"none\"").await;
    scene.at(305).await;
    assert_eq!(scene.both(), ["true \"none\"", "false \"1\""], "live still closes at five");
    let status = scene.status().await;
    let live = status.pages.iter().find(|page| page.page.environment == Environment::Live).unwrap();
    let problem = "the values of A-1/sandbox cannot be promoted: ";
    assert!(matches!(&live.standing, Standing::Stale(text) if text.starts_with(problem)), "{live:?}");
    assert!(status.following[0].why.starts_with(problem), "{:?}", status.following);
    scene.require_type(Environment::Live, "^[a-z]*$");
    scene.driving.as_ref().unwrap().feed.send(fetch_request()).await.unwrap();
    until("live has the change", || scene.page(Environment::Live) == "true \"none\"").await;
    scene.driving.unwrap().stop().await;
}

fn fetch_request() -> rtconfd::reconcile::Feed {
    let fetch = rtconfd::reconcile::Control::Fetch { agent: None, environment: None, by: None };
    rtconfd::reconcile::Feed::Control(fetch)
}
