//! An untrusted clock: requests stop, overrides survive, and inputs wait until it is trusted.

use chrono::TimeDelta;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::reconcile::{Control, Mode, Status};
use serde_json::{Value, json};

use super::{NOON, asking, driving, held, reported, set, sites, texts};
use crate::support::{Api, Driving, Folder, at, desk, until};

#[tokio::test]
async fn an_override_survives_a_clock_that_is_temporarily_ahead() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    set(&driving, asking("closed", Some("40m"))).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
    // The clock is ahead by too little to be untrusted.
    clock.set(at("2026-11-26T12:50:00Z"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    clock.step(at("2026-11-26T12:05:00Z"));
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.advance(at("2026-11-26T12:40:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    // An override set by such a clock is active once the clock is correct again.
    clock.step(at("2026-11-26T13:30:00Z"));
    set(&driving, asking("closed", None)).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    let before = api.requests("PATCH").len();
    clock.step(at("2026-11-26T12:45:00Z"));
    // Between two answers the driver completes a full cycle.
    driving.status().await;
    driving.status().await;
    until("the driver is quiet", || driving.is_quiet()).await;
    driving.advance(at("2026-11-26T13:00:00Z")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(api.requests("PATCH").len(), before, "the page stays closed");
    driving.stop().await;
}

/// No other clock has confirmed the new time yet.
#[tokio::test]
async fn an_override_survives_a_start_with_a_clock_that_is_days_ahead() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    set(&driving, asking("closed", Some("4h"))).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
    clock.set(at("2026-11-30T12:00:00Z"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    clock.step(at("2026-11-26T12:05:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    let approve_clock =
        |answer| Control::Approve { revision: "clock".to_owned(), who: "anna".to_owned(), answer };
    driving.ask(approve_clock).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}

/// Closures of tomorrow seem past to a clock that jumped ahead.
#[tokio::test]
async fn inputs_received_while_the_clock_is_untrusted_are_checked_once_it_is_trusted() {
    let api = Api::start();
    let (folder, driving) = driving(&api, 40).await;
    driving.clock.step(at("2027-01-26T12:00:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    folder.write("sites.csv", &format!("{}s99,A-99\n", sites(40, 0..40)));
    reported(&driving, "the bad row is reported", |status| (!status.problems.is_empty()).then_some(())).await;
    assert!(driving.status().await.held.is_none());
    let refused = set(&driving, asking("closed", Some("14:00"))).await.unwrap_err();
    assert!(
        texts(refused).starts_with("nothing is sent while the clock is untrusted"),
        "an override was set while the clock is untrusted"
    );
    driving.clock.step(at("2026-11-26T12:00:10Z"));
    held(&driving).await;
    // An approval does not make the driver assess a revision while the clock is untrusted.
    driving.clock.step(at("2027-01-26T12:00:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    let revision = held(&driving).await.revision;
    folder.write("sites.csv", &format!("{}s99,A-99\ns98,A-98\n", sites(40, 0..39)));
    reported(&driving, "both bad rows are reported", |status| (status.problems.len() == 2).then_some(()))
        .await;
    let approve = |answer| Control::Approve { revision: revision.clone(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    until("the driver is quiet", || driving.is_quiet()).await;
    driving.clock.step(at("2026-11-26T12:00:20Z"));
    let of_39 = |status: Status| status.held.filter(|held| held.reasons.join("").contains("39 of 40 pages"));
    reported(&driving, "the other revision is held", of_39).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_clock_jump_stops_writes_until_it_is_reverted_or_the_api_agrees() {
    let clock = ManualClock::new(at(NOON));
    let api = Api::with(Vec::new(), std::sync::Arc::new(ManualClock::new(at(NOON))));
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    clock.step(at("2027-03-01T20:00:00Z"));
    assert_eq!(
        reported(&driving, "the clock is untrusted", |status| status.withheld).await.text(),
        "nothing is sent while the clock is untrusted: it jumped from 2026-11-26T12:00:00Z to 2027-03-01T20:00:00Z (hint: correct the clock; if it is right, run rtconfd approve clock)"
    );
    driving.advance(clock.now() + TimeDelta::hours(1)).await;
    assert_eq!(
        api.variables("A-1"),
        json!({"is_open": true}),
        "the wrong clock says closed, which is not sent"
    );
    let approve = |answer| Control::Approve { revision: "clock".to_owned(), who: "anna".to_owned(), answer };
    driving.ask(approve).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    // Going back is another jump; the API's clock confirms that time.
    clock.step(at("2026-11-26T12:01:00Z"));
    api.until_variable("A-1", "is_open", &Value::Bool(true)).await;
    assert_eq!(driving.status().await.withheld, None);
    driving.stop().await;
}

/// Calendars are expanded around the current date, and again after a large clock change.
#[tokio::test]
async fn holidays_apply_again_after_a_clock_was_years_off() {
    let clock = ManualClock::new(at(NOON));
    let api = Api::with(Vec::new(), std::sync::Arc::new(ManualClock::new(at(NOON))));
    let settings = desk("A-1").replace("weekly =", "closed_on = [\"holidays\"]\nweekly =");
    let folder = Folder::new(&api.url, &format!("[calendars.holidays]\npath = \"holidays.ics\"\n{settings}"));
    folder.write(
        "holidays.ics",
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261127\r\nSUMMARY:Holiday\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    );
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let approve = |answer| Control::Approve { revision: "clock".to_owned(), who: "anna".to_owned(), answer };
    clock.step(at("2029-11-25T20:00:00Z"));
    reported(&driving, "the clock is untrusted", |status| status.withheld).await;
    driving.ask(approve).await.unwrap();
    api.until_variable("A-1", "is_open", &json!(false)).await;
    clock.step(at("2026-11-26T12:01:00Z"));
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let patches = api.requests("PATCH").len();
    driving.advance(at("2026-11-27T12:00:00Z")).await;
    until("the page closes in the evening", || api.requests("PATCH").len() > patches).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": false}), "open on a holiday");
    driving.stop().await;
}
