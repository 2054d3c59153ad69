//! Held revisions: what counts as a large change, approval, and rollout.

use rtconfd::clock::ManualClock;
use rtconfd::model::Environment;
use rtconfd::reconcile::{Control, Mode, Status};
use serde_json::json;

use super::{NOON, driving, held, reported, sites};
use crate::support::{Api, Driving, Folder, SITES, at, until};

#[tokio::test]
async fn a_large_change_is_held_and_once_approved_rolls_out_in_stages() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    folder.write("sites.csv", &sites(40, 0..40));
    let held = held(&driving).await;
    assert_eq!(
        held.describe().replace(&held.revision, "R"),
        "revision R is held: the next 14 days change for 40 of 40 pages (more than 10% and more than 5) (hint: review its changes with rtconfd diff, then approve it with rtconfd approve R, or correct the files)"
    );
    driving.advance(at("2026-11-26T16:30:00Z")).await;
    assert_eq!(api.requests("PATCH").len(), 40, "no value of the held revision is sent");
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    until("all close by the last good schedule", || api.requests("PATCH").len() == 80).await;
    driving.advance(at("2026-11-27T16:30:00Z")).await;
    assert_eq!(api.variables("A-7")["is_open"], json!(true));

    let approve = |revision: String| |answer| Control::Approve { revision, who: "anna".to_owned(), answer };
    let wrong = driving.ask(approve("r000000000000".to_owned())).await.unwrap_err().to_string();
    assert!(wrong.starts_with("revision r000000000000 is not the held revision"), "{wrong}");
    let before = api.requests("PATCH").len();
    driving.ask(approve(held.revision.clone())).await.unwrap();
    until("all sites are closed", || {
        (0..40).all(|number| api.variables(&format!("A-{number}"))["is_open"] == json!(false))
    })
    .await;
    // The first page alone, then two, then the rest.
    let order: Vec<String> =
        api.requests("PATCH")[before..].iter().map(|request| request.path.clone()).collect();
    assert_eq!(order.len(), 40);
    assert!(order[0].contains("/A-0/"), "{order:?}");
    let second: Vec<bool> =
        order[1..3].iter().map(|path| path.contains("/A-1/") || path.contains("/A-2/")).collect();
    assert_eq!(second, [true, true], "{order:?}");
    reported(&driving, "the rollout is complete", |status| status.rollout.is_none().then_some(())).await;
    assert!(driving.status().await.held.is_none());

    // The approval is valid for that revision only, and once.
    folder.write("sites.csv", &sites(40, 0..0));
    let back = self::held(&driving).await.revision;
    assert_ne!(back, held.revision);
    driving.ask(approve(back.clone())).await.unwrap();
    until("all sites are open", || {
        (0..40).all(|number| api.variables(&format!("A-{number}"))["is_open"] == json!(true))
    })
    .await;
    reported(&driving, "the rollout is complete", |status| status.rollout.is_none().then_some(())).await;
    folder.write("sites.csv", &sites(40, 0..40));
    assert_eq!(self::held(&driving).await.revision, held.revision);
    driving.stop().await;
}

/// A dropped page keeps its last value, perhaps "open", for ever.
#[tokio::test]
async fn pages_that_vanish_at_once_are_held_although_no_row_is_lost() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 12).await;
    folder.write("sites.csv", &sites(12, 0..0).replace(",A-", ",B-"));
    let held = held(&driving).await;
    assert_eq!(
        held.reasons,
        [
            "the next 14 days change for 12 of 12 pages, of which 12 would no longer be defined and would keep their last values (more than 10% and more than 5)"
        ]
    );
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    until("the old pages close", || api.requests("PATCH").len() == 24).await;
    let approve =
        |answer| Control::Approve { revision: held.revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    until("the new pages are filled", || {
        (0..12).all(|number| api.variables(&format!("B-{number}"))["is_open"] == json!(false))
    })
    .await;
    driving.stop().await;
}

/// A restart, or the next run from cron, reverts no page.
#[tokio::test]
async fn a_stopped_rollout_continues_after_a_restart() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    let clock = driving.clock.clone();
    api.schema("A-1", &json!({"properties": {"is_open": {"const": true}}}));
    driving.advance(at("2026-11-26T12:10:00Z")).await;
    folder.write("sites.csv", &sites(40, 0..40).replace("09:00", "13:00"));
    let revision = held(&driving).await.revision;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    let stopped = |status: Status| status.rollout.and_then(|rollout| rollout.2);
    assert_eq!(reported(&driving, "the rollout stops", stopped).await.to_string(), "A-1/live");
    until("the other pages of its stage have the change", || api.requests("PATCH").len() == 42).await;
    driving.stop().await;
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    assert_eq!(reported(&driving, "the rollout stops there again", stopped).await.to_string(), "A-1/live");
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(api.requests("PATCH").len(), 42, "no page is reverted or sent to again");
    api.schema("A-1", &json!({}));
    driving.advance(at("2026-11-26T12:20:00Z")).await;
    until("all pages have the change", || api.requests("PATCH").len() == 80).await;
    reported(&driving, "the rollout is complete", |status| status.rollout.is_none().then_some(())).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_rollout_stops_at_the_first_page_that_refuses_it() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    let always_open = json!({"properties": {"is_open": {"const": true}}});
    api.schema("A-0", &always_open);
    driving.advance(at("2026-11-26T12:10:00Z")).await;
    folder.write("sites.csv", &sites(40, 0..40).replace("09:00", "13:00"));
    let revision = held(&driving).await.revision;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    let stopped = |status: Status| status.rollout.filter(|rollout| rollout.2.is_some());
    let (_, to_come, stopped_at) = reported(&driving, "the rollout stops", stopped).await;
    assert_eq!((to_come, stopped_at.unwrap().to_string()), (40, "A-0/live".to_owned()));
    assert_eq!(api.requests("PATCH").len(), 40, "no other page was changed");
    api.schema("A-0", &json!({}));
    driving.advance(at("2026-11-26T12:20:00Z")).await;
    until("the rollout continues", || api.variables("A-39")["is_open"] == json!(false)).await;
    driving.stop().await;
}

/// An approved change that was reverted needs a new approval when it returns.
#[tokio::test]
async fn an_abandoned_approval_is_no_longer_valid() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    api.schema("A-0", &json!({"properties": {"is_open": {"const": true}}}));
    let change = sites(40, 0..40).replace("09:00", "13:00");
    folder.write("sites.csv", &change);
    let revision = held(&driving).await.revision;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    reported(&driving, "the rollout stops", |status| status.rollout?.2).await;
    folder.write("sites.csv", &sites(40, 0..0));
    reported(&driving, "the rollout is abandoned", |status| status.rollout.is_none().then_some(())).await;
    api.schema("A-0", &json!({}));
    folder.write("sites.csv", &change);
    assert_eq!(held(&driving).await.revision, revision);
    assert_eq!(api.requests("PATCH").len(), 40, "no page was changed");
    driving.stop().await;
}

#[tokio::test]
async fn small_changes_within_an_hour_add_up_to_a_large_one() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    folder.write("sites.csv", &sites(40, 0..4));
    // Only after the first change is active.
    driving.advance(at("2026-11-26T16:00:00Z")).await;
    until("the first part is applied", || api.variables("A-3")["is_open"] == json!(false)).await;
    folder.write("sites.csv", &sites(40, 0..8));
    driving.advance(at("2026-11-26T16:10:00Z")).await;
    until("the second part is applied, hours after the first", || {
        api.variables("A-7")["is_open"] == json!(false)
    })
    .await;
    folder.write("sites.csv", &sites(40, 0..11));
    assert_eq!(
        held(&driving).await.reasons.join("; "),
        "the next 14 days change for 7 of 40 pages, including those of the last hour (more than 10% and more than 5)"
    );
    driving.stop().await;
}

/// A site counts once, however many environments it has: it may close for a day.
#[tokio::test]
async fn a_single_site_in_two_environments_may_close() {
    let api = Api::start();
    let settings = SITES.replace("environment = \"live\"", "environment = [\"sandbox\", \"live\"]");
    assert_ne!(settings, SITES);
    let folder = Folder::new(&api.url, &settings);
    folder.write("sites.csv", &sites(1, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    let open = |environment| {
        api.simulator.with_pages(|pages| pages.page("A-0", environment)["variables"]["is_open"].clone())
    };
    let both = |value: bool| {
        [Environment::Sandbox, Environment::Live].iter().all(|environment| open(*environment) == json!(value))
    };
    until("both are open", || both(true)).await;
    folder.write("sites.csv", &sites(1, 0..0).replace("Mo-Fr 09:00-17:00", "off"));
    until("both are closed", || both(false)).await;
    driving.stop().await;
}

/// A page with many sites counts each of them: closing all is a large change.
#[tokio::test]
async fn the_sites_of_one_page_are_counted_individually() {
    let api = Api::start();
    let settings = SITES.split("[[page]]").next().unwrap().to_owned()
        + r#"
[[page]]
agent = "A-1"
environment = "live"
[page.variables.site_hours]
each = "sites"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
item = { site_name = "{{ row.site }}", hours = { show = "today" }, is_open = { show = "is_open" } }
"#;
    let folder = Folder::new(&api.url, &settings);
    folder.write("sites.csv", &sites(20, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    let open = |count: usize| {
        let found = api.variables("A-1")["site_hours"]
            .as_array()
            .map_or(0, |sites| sites.iter().filter(|site| site["is_open"] == json!(true)).count());
        found == count
    };
    until("all are open", || open(20)).await;
    folder.write("sites.csv", &sites(20, 0..0).replacen("Mo-Fr 09:00-17:00", "off", 1));
    until("one site may close", || open(19)).await;
    folder.write("sites.csv", &sites(20, 0..0).replace("Mo-Fr 09:00-17:00", "off"));
    assert_eq!(
        held(&driving).await.reasons,
        [
            "the next 14 days change for 20 of 20 sites, on 1 of 1 pages, including those of the last hour (more than 10% and more than 5)",
            "20 of 20 sites become closed all day on 2026-11-26, including those of the last hour (more than 20%)",
        ]
    );
    assert!(open(19), "the last good values stay active");
    driving.stop().await;
}

#[tokio::test]
async fn pages_that_vanish_count_with_all_of_their_sites() {
    let api = Api::start();
    let settings = SITES.split("[[page]]").next().unwrap().to_owned()
        + r#"
[sources.chains]
path = "chains.csv"
key = "chain"
[[page]]
for_each = "chains"
agent = "{{ row.agent }}"
environment = "live"
[page.variables.site_hours]
each = "sites"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
item = { site_name = "{{ row.site }}", is_open = { show = "is_open" } }
"#;
    let chains = |renamed: usize| {
        let row = |n: usize| format!("c{n},{}-{n}\n", if n < renamed { "B" } else { "A" });
        format!("chain,agent\n{}", (0..7).map(row).collect::<String>())
    };
    let folder = Folder::new(&api.url, &settings);
    folder.without_rate();
    folder.write("sites.csv", &sites(20, 0..0));
    folder.write("chains.csv", &chains(0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("all pages are filled", || api.requests("PATCH").len() == 7).await;
    folder.write("chains.csv", &chains(6));
    let reasons = held(&driving).await.reasons;
    assert!(
        reasons[0].starts_with("the next 14 days change for 120 of 140 sites, on 6 of 7 pages"),
        "{reasons:?}"
    );
    driving.stop().await;
}
