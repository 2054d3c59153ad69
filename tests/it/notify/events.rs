//! What is reported: each kind of event once, its end, and nothing twice.

use rtconfd::clock::ManualClock;
use rtconfd::notify::{Links, Notifier};
use rtconfd::reconcile::{Control, Feed, Mode};
use rtconfd::simulator::{Fault, Kind};
use serde_json::json;

use super::{Receiver, folder};
use crate::support::{
    Api, Driving, Folder, NO_HOLD, SITES, always, at, desk, round_the_clock, running, until,
};

/// The schema of a page that takes no boolean.
fn stubborn() -> serde_json::Value {
    json!({"properties": {"is_open": {"type": "string"}}})
}

/// Sets how often every page is fetched.
fn resync(folder: &Folder, length: &str) {
    let text = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &format!("resync = \"{length}\"\n{text}"));
}

#[tokio::test]
async fn a_thousand_failing_pages_are_one_signed_message_and_their_recovery_another() {
    const PAGES: usize = 1_000;
    let (api, receiver) = (Api::start(), Receiver::start());
    let block = receiver.webhook("").replace("\"1s\"", "\"3s\"");
    let folder = folder(&api.url, &format!("{SITES}{block}"));
    folder.without_rate();
    resync(&folder, "5s");
    folder.write("sites.csv", &round_the_clock(PAGES, "Mo-Su 00:00-24:00"));
    (0..PAGES).for_each(|number| api.schema(&format!("A-{number}"), &stubborn()));
    let _process = running(&folder).await;
    let counted = |kind: &str| {
        let groups =
            receiver.received().into_iter().map(|message| message.body()["data"]["groups"][0].clone());
        let counts =
            groups.filter(|group| group["kind"] == kind).map(|group| group["count"].as_u64().unwrap());
        counts.sum::<u64>()
    };
    // On a busy machine, the first message may leave before the last page failed.
    until("all pages are reported", || counted("page") == PAGES as u64).await;
    let failed = receiver.received();
    assert!(failed.len() <= 3, "{}", failed.len());
    let message = failed.last().unwrap();
    assert_eq!(message.body()["type"], "rtconfd.events");
    assert!(message.header("webhook-id").starts_with("msg_"), "{message:?}");
    let (listed, title) = (message.events(), message.body()["data"]["title"].clone());
    assert!(title.as_str().unwrap().ends_with(" pages with a problem"), "{title}");
    assert_eq!(listed.len(), 5);
    assert!(listed[0].starts_with("page: A-") && listed[0].contains("/live is stuck: "), "{listed:?}");

    (0..PAGES).for_each(|number| api.schema(&format!("A-{number}"), &json!({})));
    // The pages are fetched one after another, so a few messages may tell of their recovery.
    until("all pages are reported as right again", || counted("recovered") == PAGES as u64).await;
    let received = receiver.received();
    assert!(received.len() <= failed.len() + 5, "{}", received.len());
    received.iter().for_each(super::Received::verify);
    let ids: std::collections::BTreeSet<&str> =
        received.iter().map(|message| message.header("webhook-id")).collect();
    assert_eq!(ids.len(), received.len());
}

#[tokio::test]
async fn overrides_holds_drift_and_inputs_are_reported_when_they_begin_and_end() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let folder = folder(&api.url, &format!("{SITES}{}", receiver.webhook("")));
    folder.without_rate();
    let open = round_the_clock(20, "Mo-Su 00:00-24:00");
    folder.write("sites.csv", &open);
    let _process = running(&folder).await;
    api.until_variable("A-19", "is_open", &json!(true)).await;

    folder
        .run(&["override", "set", "--closed", "A-3/live", "--until-released", "--reason=snow <!here>"])
        .expect(0);
    let set = receiver.event("snow").await;
    assert!(set.starts_with("override: set on A-3/live until it is released: "), "{set}");
    assert!(set.ends_with("override 1: closed, by override as tester: snow <!here>"), "{set}");
    folder.run(&["override", "clear", "1"]).expect(0);
    receiver.event("override: ended: override 1: closed").await;

    folder.write("sites.csv", &round_the_clock(20, "closed"));
    let held = receiver.event("held: revision ").await;
    assert!(held.contains("is held: ") && held.contains("rtconfd approve r"), "{held}");
    folder.write("sites.csv", &open);
    receiver.event("recovered: no revision is held any more").await;

    folder.write("sites.csv", &format!("{open}s99,A-99,Mo-Su 25:00-26:00,1\n"));
    let input = receiver.event("input: ").await;
    assert!(input.contains("sites.csv:22") && input.contains("25:00"), "{input}");
    folder.write("sites.csv", &open);
    receiver.event("recovered: solved: ").await;
    receiver.received().iter().for_each(super::Received::verify);
}

#[tokio::test]
async fn restored_drift_is_reported_although_it_lasted_only_a_moment() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let settings = always("A-1");
    let folder = folder(&api.url, &format!("{settings}{}", receiver.webhook("")));
    resync(&folder, "1s");
    let _process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    api.edit("A-1", &json!({"is_open": false}));
    let drift = receiver.event("drift: ").await;
    assert_eq!(drift, "drift: A-1/live: another client changed is_open to false; true is restored");
}

#[tokio::test]
async fn a_refused_key_is_one_event_and_an_expiring_one_is_announced() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let folder = folder(&api.url, &format!("{SITES}{}", receiver.webhook("")));
    folder.without_rate();
    let text = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    let tomorrow =
        (rtconfd::clock::Clock::now(&rtconfd::clock::WallClock) + chrono::TimeDelta::days(1)).date_naive();
    folder.write("rtconfd.toml", &text.replace("[api]\n", &format!("[api]\nkey_expires = \"{tomorrow}\"\n")));
    folder.write("sites.csv", &round_the_clock(9, "Mo-Su 00:00-24:00"));
    let _process = running(&folder).await;
    let expiring = receiver.event("key: ").await;
    assert!(expiring.starts_with(&format!("key: the API key expires on {tomorrow}")), "{expiring}");
    assert!(folder.run(&["check"]).expect(0).err.contains("the API key expires on"));

    folder.private("key", "k-refused-by-the-api");
    folder.write("sites.csv", &round_the_clock(9, "Mo-Su 00:00-24:00").replace(",1\n", ",2\n"));
    let refused = receiver.event("the API refuses the key").await;
    assert!(refused.contains("so nothing is sent: the API answered 401"), "{refused}");
    folder.private("key", crate::support::KEY);
    receiver.event("recovered: the API accepts the key again").await;
    api.until_variable("A-1", "phone", &json!("2")).await;
    let events = receiver.events();
    assert!(!events.iter().any(|event| event.starts_with("page: ")), "{events:?}");
}

#[tokio::test]
async fn a_restart_repeats_nothing_and_reports_what_changed_meanwhile() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let block = receiver.webhook("");
    let folder = folder(&api.url, &format!("{NO_HOLD}{SITES}{block}"));
    folder.write("sites.csv", &round_the_clock(2, "Mo-Su 00:00-24:00"));
    api.schema("A-0", &stubborn());
    let mut process = running(&folder).await;
    receiver.event("page: A-0/live is stuck").await;
    until("the delivery is stored", || process.log().contains("notification delivered")).await;
    process.signal("KILL");
    process.ends().await;

    let process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    api.schema("A-1", &stubborn());
    folder.write("sites.csv", &round_the_clock(2, "closed"));
    receiver.event("page: A-1/live is stuck").await;
    let stuck: Vec<String> =
        receiver.events().into_iter().filter(|event| event.starts_with("page: A-0/live")).collect();
    assert_eq!(stuck.len(), 1, "{stuck:?}\n{}", process.log());
}

#[tokio::test]
async fn reading_the_status_is_no_turn_so_a_daemon_at_rest_stays_at_rest() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T12:00:00Z")), Mode::Daemon).await;
    let turns = driving.board.turns();
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver rests", || driving.is_quiet()).await;
    let last = *turns.borrow();
    for _ in 0..20 {
        driving.status().await;
    }
    // Acknowledgements of the store may still come.
    assert!(*turns.borrow() < last + 20, "{last} {}", *turns.borrow());
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    assert!(*turns.borrow() > last);
    driving.stop().await;
}

/// The driver and the notifications of this process, on a clock that the test moves.
#[tokio::test]
async fn a_digest_comes_at_its_time_and_quiet_hours_hold_back_the_rest() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let hours = "timezone = \"Europe/London\"\ndigest = \"18:00\"\nquiet = \"17:30-18:30\"";
    let folder = folder(&api.url, &format!("{}{}", desk("A-1"), receiver.webhook(hours)));
    let clock = ManualClock::new(at("2026-11-26T17:20:00Z"));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    let settings = folder.load();
    let store = rtconfd::store::at(None).open(Some(&settings.owner())).unwrap();
    let (board, feed) = (driving.board.clone(), driving.feed.clone());
    let links = Links { board, feed, clock: std::sync::Arc::new(clock) };
    let notifier = Notifier::start(&settings, store, links);
    api.until_variable("A-1", "is_open", &json!(false)).await;

    driving.advance(at("2026-11-26T17:40:00Z")).await;
    api.simulator.inject(Fault::new(Kind::Status { status: 422 }).method("PATCH"));
    api.edit("A-1", &json!({"is_open": true}));
    driving
        .feed
        .send(Feed::Control(Control::Fetch { agent: None, environment: None, by: None }))
        .await
        .unwrap();
    driving.advance(at("2026-11-26T17:59:59Z")).await;
    assert_eq!(receiver.events(), Vec::<String>::new());

    driving.advance(at("2026-11-26T18:00:00Z")).await;
    let digest = receiver.count(1).await.remove(0);
    digest.verify();
    assert_eq!(
        (&digest.body()["type"], digest.header("webhook-timestamp")),
        (&json!("rtconfd.digest"), "1795716000")
    );
    assert_eq!(digest.events()[0], "digest: 1 page: 1 stuck");

    driving.advance(at("2026-11-26T18:29:59Z")).await;
    assert_eq!(receiver.received().len(), 1);
    driving.advance(at("2026-11-26T18:30:00Z")).await;
    let events = receiver.count(2).await[1].events();
    assert!(events.iter().any(|event| event.starts_with("page: A-1/live is stuck")), "{events:?}");
    assert!(events.iter().any(|event| event.starts_with("drift: A-1/live")), "{events:?}");
    notifier.stop().await;
    driving.stop().await;
}

#[tokio::test]
async fn a_rehearsal_notifies_nobody() {
    let (api, receiver) = (Api::start(), Receiver::start());
    api.schema("A-1", &stubborn());
    let folder = folder(&api.url, &format!("{}{}", always("A-1"), receiver.webhook("")));
    let process = folder.spawn(&["run", "--at", "2026-11-26T16:00:00Z", "--speed", "60"]);
    until("the page is withheld", || process.log().contains("withheld: nothing is sent")).await;
    assert!(process.log().contains("rehearsal: no notifications are sent"), "{}", process.log());
    // With a message on its way, the store would hold it.
    assert_eq!(folder.stored().fact("notifications").unwrap(), None);
    assert!(receiver.received().is_empty());
}

/// The key may be on a page: a person once pasted it there.
#[tokio::test]
async fn the_api_key_is_in_no_message() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let folder = folder(&api.url, &format!("{SITES}{}", receiver.webhook("")));
    resync(&folder, "1s");
    folder.write("sites.csv", &round_the_clock(1, "Mo-Su 00:00-24:00"));
    let _process = running(&folder).await;
    api.until_variable("A-0", "phone", &json!("0")).await;
    api.edit("A-0", &json!({"phone": crate::support::KEY}));
    let drift = receiver.event("drift: ").await;
    assert_eq!(drift, "drift: A-0/live: another client changed phone to \"[key]\"; \"0\" is restored");
}

/// A page that fails for other reasons is reported, too.
#[tokio::test]
async fn a_page_that_the_api_refuses_is_reported() {
    let (api, receiver) = (Api::start(), Receiver::start());
    api.simulator.inject(Fault::new(Kind::Status { status: 422 }).method("PATCH"));
    let folder = folder(&api.url, &format!("{}{}", always("A-1"), receiver.webhook("events = [\"page\"]")));
    let _process = running(&folder).await;
    let stuck = receiver.event("page: A-1/live is stuck").await;
    assert!(stuck.contains("the API answered 422"), "{stuck}");
}
