//! Anomalous answers of the API: another page, half a page, an error with a success status, a page
//! that is briefly missing. They must not lose a neighbour, bypass a schema, or keep a page wrong
//! for longer than a minute.

use std::time::Duration;

use chrono::TimeDelta;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::model::Environment;
use rtconfd::reconcile::Mode;
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use crate::support::{Api, Driving, Folder, at, desk, until};

/// A minute before a transition.
const BEFORE: &str = "2026-11-26T16:59:00Z";
/// A transition.
const FIVE: &str = "2026-11-26T17:00:00Z";

/// A page whose key `messages` also holds values of other clients.
const SHARED: &str = r#"
[[page]]
agent = "A-1"
environment = "live"
hours = { timezone = "Europe/London", weekly = "Mo-Su 09:00-17:00" }
[page.variables]
"/messages/seasonal" = { when = [{ state = "open", value = "Welcome" }], otherwise = "We are closed" }
"#;

/// Advances the driver's clock until a condition holds, and returns the elapsed time.
///
/// Returns `None` if the limit is reached first.
async fn passes(
    driving: &Driving,
    from: &str,
    limit: TimeDelta,
    holds: impl Fn() -> bool,
) -> Option<TimeDelta> {
    let (start, from) = (std::time::Instant::now(), at(from));
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "the driver made no progress for a minute");
        if driving.is_quiet()
            && let Some(wait) = driving.clock.next_wait()
        {
            if wait > from + limit {
                return None;
            }
            driving.clock.set(wait);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Some(driving.clock.now() - from)
}

fn odd_bodies() -> Vec<Value> {
    vec![
        Value::Null,
        json!({}),
        json!([]),
        json!({"success": false, "error_code": "BUSY", "error_message": "later", "data": null}),
        json!({"clientEnv": "live"}),
        json!({"clientEnv": "live", "variables": {}, "schema": null}),
        json!({"clientEnv": "live", "variables": {"messages": {}}}),
        json!({"clientEnv": "live", "variables": null, "agentId": "A-2"}),
        json!({"clientEnv": "sandbox", "variables": {"messages": {"legal": "of the sandbox", "seasonal": "x"}}}),
        json!({"variables": {"messages": {"legal": "whose?"}}}),
        json!({"configPages": []}),
        json!({"configPages": [{"clientEnv": "live"}]}),
    ]
}

/// After an anomalous answer no other client's value is lost, and changes still reach the page.
#[tokio::test]
async fn an_anomalous_answer_loses_no_neighbour_and_bypasses_no_schema() {
    for body in odd_bodies() {
        for (method, path) in [("GET", "real-time-configs/live"), ("GET", "real-time-configs"), ("PATCH", "")]
        {
            let what = format!("{method} {path}: {body}");
            let api = Api::start();
            api.edit("A-1", &json!({"messages": {"seasonal": "?", "legal": "keep me"}, "theirs": 1}));
            api.schema("A-1", &json!({"properties": {"messages": {"required": ["legal"]}}}));
            let folder = Folder::new(&api.url, SHARED);
            let driving = Driving::start(&folder, &ManualClock::new(at(BEFORE)), Mode::Daemon).await;
            let says = |text: &str| api.variables("A-1")["messages"]["seasonal"] == json!(text);
            until("the first value", || says("Welcome") && driving.is_quiet()).await;
            let odd = Kind::Answer { status: 200, body: body.clone() };
            api.simulator.inject(Fault::new(odd).method(method).path(path).times(1));
            let passed = passes(&driving, FIVE, TimeDelta::seconds(65), || says("We are closed")).await;
            assert!(passed.is_some(), "{what}: wrong for more than a minute");
            assert_eq!(
                api.variables("A-1"),
                json!({"messages": {"seasonal": "We are closed", "legal": "keep me"}, "theirs": 1}),
                "{what}"
            );
            driving.stop().await;
        }
    }
}

/// The very first answer may be anomalous too.
///
/// The content of a shared key is not known then.
#[tokio::test]
async fn the_first_answer_is_confirmed_before_a_whole_key_is_sent() {
    for body in [json!({"clientEnv": "live"}), json!({"clientEnv": "live", "variables": {"theirs": 1}})] {
        let api = Api::start();
        let kept = json!({"messages": {"legal": "keep me"}, "theirs": 1});
        api.edit("A-1", &kept);
        let list = Kind::Answer { status: 200, body: json!({"configPages": [body]}) };
        api.simulator.inject(Fault::new(list).method("GET").times(1));
        let folder = Folder::new(&api.url, SHARED);
        let driving = Driving::start(&folder, &ManualClock::new(at(BEFORE)), Mode::Daemon).await;
        let passed = passes(&driving, BEFORE, TimeDelta::seconds(50), || {
            api.variables("A-1")["messages"]["seasonal"] == json!("Welcome")
        });
        assert!(passed.await.is_some(), "{body}");
        assert_eq!(api.variables("A-1")["messages"]["legal"], json!("keep me"), "{body}");
        driving.stop().await;
    }
}

/// A removal counts once two fetches show it.
#[tokio::test]
async fn a_value_missing_from_two_answers_is_accepted_as_missing() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    api.schema("A-1", &json!({"properties": {"is_open": {"type": "string"}}}));
    let driving = Driving::start(&folder, &ManualClock::new(at(BEFORE)), Mode::Daemon).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert!(api.requests("PATCH").is_empty());
    // The simulator cannot remove a schema, so every later answer omits it.
    let page = json!({"clientEnv": "live", "variables": {}});
    api.simulator
        .inject(Fault::new(Kind::Answer { status: 200, body: page }).method("GET").path("configs/live"));
    let list = json!({"configPages": [{"clientEnv": "live", "variables": {}}]});
    let once = Fault::new(Kind::Answer { status: 200, body: list }).method("GET").path("real-time-configs");
    api.simulator.inject(once);
    let asked = || !api.requests("PATCH").is_empty();
    assert!(passes(&driving, BEFORE, TimeDelta::minutes(10), asked).await.is_some());
    driving.stop().await;
}

/// A failed fetch and a PATCH refused by a proxy prove nothing, so both are retried soon.
#[tokio::test]
async fn one_bad_answer_before_a_transition_costs_less_than_a_minute() {
    let envelope = json!({"success": false, "error_code": "BUSY", "error_message": "later"});
    let kinds = [
        Kind::Status { status: 301 },
        Kind::Status { status: 400 },
        Kind::Status { status: 422 },
        Kind::Status { status: 401 },
        Kind::Status { status: 403 },
        Kind::Status { status: 404 },
        Kind::Status { status: 405 },
        Kind::Status { status: 451 },
        Kind::Status { status: 500 },
        Kind::Answer { status: 400, body: json!("Bad Request") },
        Kind::Answer { status: 200, body: envelope.clone() },
        Kind::RateLimit { retry_after: 86_400 },
        Kind::Reset,
    ];
    for kind in kinds {
        for (method, when) in [("GET", BEFORE), ("PATCH", BEFORE), ("GET", "2026-11-26T16:40:00Z")] {
            let api = Api::start();
            let folder = Folder::new(&api.url, &desk("A-1"));
            let driving = Driving::start(&folder, &ManualClock::new(at(when)), Mode::Daemon).await;
            api.until_variable("A-1", "is_open", &json!(true)).await;
            until("the driver is quiet", || driving.is_quiet()).await;
            api.simulator.inject(Fault::new(kind.clone()).method(method).times(1));
            let closed = || api.variables("A-1")["is_open"] == json!(false);
            let passed = passes(&driving, FIVE, TimeDelta::seconds(70), closed).await;
            assert!(passed.is_some(), "{kind:?} of a {method} after {when}: wrong for more than a minute");
            driving.stop().await;
        }
    }
}

/// A failed page is retried at its transition, even if the backoff is longer.
#[tokio::test]
async fn a_page_that_cannot_be_fetched_is_retried_at_its_transition() {
    // The next retry is random within a minute, so the cases start at different times.
    let starts = ["16:30:00", "16:31:07", "16:33:11", "16:37:41", "16:41:23"];
    for (status, start) in
        starts.map(|start| (404, start)).into_iter().chain([(401, "16:30:00"), (503, "16:30:00")])
    {
        let api = Api::start();
        let folder = Folder::new(&api.url, &desk("A-1"));
        let clock = ManualClock::new(at(&format!("2026-11-26T{start}Z")));
        let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
        api.until_variable("A-1", "is_open", &json!(true)).await;
        api.simulator.inject(Fault::new(Kind::Status { status }));
        driving.advance(at("2026-11-26T16:59:59.9Z")).await;
        api.simulator.heal();
        let closed = || api.variables("A-1")["is_open"] == json!(false);
        let passed = passes(&driving, FIVE, TimeDelta::seconds(5), closed).await;
        assert!(passed.is_some(), "{status} since {start}: not tried at the transition");
        driving.stop().await;
    }
}

/// A `Retry-After` of a day is capped at half a minute, and both are reported.
#[tokio::test]
async fn a_long_retry_after_is_reported_and_capped() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at(BEFORE)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    api.simulator.inject(Fault::new(Kind::RateLimit { retry_after: 86_400 }).times(1));
    driving.advance(at(FIVE)).await;
    let withheld = driving.status().await.withheld.expect("a pause");
    let withheld = withheld.text();
    assert!(withheld.contains("Retry-After: 86400 s, shortened to 30 s"), "{withheld}");
    driving.stop().await;
}

/// Without its schema a page would accept any value.
#[tokio::test]
async fn a_schema_missing_from_one_answer_is_still_enforced() {
    let api = Api::start();
    api.edit("A-1", &json!({"messages": {"seasonal": "?"}}));
    api.schema("A-1", &json!({"properties": {"messages": {"properties": {"seasonal": {"maxLength": 10}}}}}));
    let folder = Folder::new(&api.url, SHARED);
    let driving = Driving::start(&folder, &ManualClock::new(at(BEFORE)), Mode::Daemon).await;
    let says = || api.variables("A-1")["messages"]["seasonal"].clone();
    until("the first value", || says() == json!("Welcome") && driving.is_quiet()).await;
    let page = json!({"clientEnv": "live", "variables": {"messages": {"seasonal": "Welcome"}}});
    let list = json!({"configPages": [page]});
    for (path, body) in [("configs/live", page), ("real-time-configs", list)] {
        let odd = Kind::Answer { status: 200, body };
        api.simulator.inject(Fault::new(odd).method("GET").path(path).times(1));
        // Past the transition, whose value is too long for the schema, and some lists.
        driving.advance(driving.clock.now() + TimeDelta::minutes(12)).await;
        api.simulator.heal();
    }
    assert_eq!(
        (api.requests("PATCH").len(), says()),
        (1, json!("Welcome")),
        "a value that breaks the schema was sent"
    );
    driving.stop().await;
}

/// A page with the same stamp is unchanged, so an answer that lacks values is anomalous.
#[tokio::test]
async fn an_answer_with_an_unchanged_write_time_cannot_remove_values() {
    let api = Api::start();
    api.edit("A-1", &json!({"messages": {"seasonal": "?", "legal": "keep me"}}));
    let folder = Folder::new(&api.url, SHARED);
    let driving = Driving::start(&folder, &ManualClock::new(at(BEFORE)), Mode::Daemon).await;
    let says = |text: &str| api.variables("A-1")["messages"]["seasonal"] == json!(text);
    until("the first value", || says("Welcome") && driving.is_quiet()).await;
    let mut page = api.simulator.with_pages(|pages| pages.page("A-1", Environment::Live));
    page["variables"]["messages"].as_object_mut().unwrap().remove("legal");
    let odd = Kind::Answer { status: 200, body: page };
    api.simulator.inject(Fault::new(odd).method("GET").path("configs/live").times(1));
    assert!(passes(&driving, FIVE, TimeDelta::seconds(65), || says("We are closed")).await.is_some());
    assert_eq!(api.variables("A-1")["messages"]["legal"], json!("keep me"));
    driving.stop().await;
}
