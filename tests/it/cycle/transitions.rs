//! Timing and cost of requests: at transitions, at rest, in one pass, and after clock changes.

use rtconfd::clock::ManualClock;
use rtconfd::reconcile::{Mode, Standing};
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use super::{NOON, later};
use crate::support::{Api, Driving, Folder, SITES, at, desk, limit, until};

#[tokio::test]
async fn a_transition_reaches_the_page_as_one_patch_of_one_key() {
    let start = std::time::Instant::now();
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.advance(at("2026-11-26T16:59:59Z")).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": true}));
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    let patches = api.requests("PATCH");
    assert_eq!(patches.len(), 2);
    assert_eq!(patches[1].body, Some(json!({"variables": {"is_open": false}})));
    // The page has the value before the driver has the answer.
    until("the answer is taken", || driving.is_quiet()).await;
    // The first PATCH was no transition, and the clock of this test stands still.
    let mut lag = driving.status().await.counts.lag;
    while lag.count() == 0 {
        // The page changes before the driver has its answer.
        assert!(start.elapsed() < limit(), "the transition is not counted");
        lag = driving.status().await.counts.lag;
    }
    assert_eq!((lag.count(), lag.sum), (1, 0.0));
    driving.stop().await;
    let history = folder.stored().history(None, 10).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(
        (&history[0].from, &history[0].to, history[0].outcome.as_str()),
        (&json!(true), &json!(false), "applied")
    );
    assert_eq!(history[0].correlation_id.as_ref(), Some(&patches[1].correlation_id));
    assert_eq!(history[0].at, at("2026-11-26T17:00:00Z"));
}

#[tokio::test]
async fn a_converged_hour_costs_only_one_list_per_agent_and_resync() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-2", "phone", &json!("2")).await;
    until("both pages are filled", || api.requests("PATCH").len() == 2).await;
    driving.advance(later(1)).await;
    let before = api.simulator.log().len();
    driving.advance(later(61)).await;
    until("the last lists are answered", || api.simulator.log().len() >= before + 2 * 10).await;
    driving.stop().await;
    let after = &api.simulator.log()[before..];
    assert!(
        after.iter().all(|request| request.method == "GET" && request.path.ends_with("real-time-configs"))
    );
    // Every five minutes, plus or minus a tenth, for two agents.
    assert!((2 * 10..=2 * 14).contains(&after.len()), "{}", after.len());
}

/// A run from cron may not reach all pages, so pages known to differ come first.
#[tokio::test]
async fn pages_with_changed_desired_values_are_fetched_first() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    let rows = |differs: usize| -> String {
        let row = |n: usize| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{}\n", if n == differs { 99 } else { n });
        std::iter::once("site,agent,hours,phone\n".to_owned()).chain((10..30).map(row)).collect()
    };
    folder.write("sites.csv", &rows(0));
    let clock = ManualClock::new(at(NOON));
    let once = Mode::Once { deadline: later(1) };
    Driving::start(&folder, &clock, once).await.ended().await;
    let before = api.simulator.log().len();
    folder.write("sites.csv", &rows(27));
    Driving::start(&folder, &clock, once).await.ended().await;
    assert!(api.simulator.log()[before].path.contains("/A-27/"), "{:?}", api.simulator.log()[before]);
}

#[tokio::test]
async fn values_follow_a_clock_that_is_set_back() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T17:20:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.clock.step(at("2026-11-26T16:50:00Z"));
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.stop().await;
}

#[tokio::test]
async fn once_ends_when_all_pages_are_settled_and_reports_failures() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    api.schema("A-2", &json!({"properties": {"phone": {"type": "integer", "maximum": 1}}}));
    let mode = Mode::Once { deadline: later(1) };
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), mode).await;
    let ended = driving.ended().await;
    let standing: Vec<(&str, bool, usize)> = ended
        .pages
        .iter()
        .map(|report| (report.page.agent.as_str(), report.standing == Standing::Right, report.applied))
        .collect();
    assert_eq!(standing, [("A-1", true, 2), ("A-2", false, 0)]);
    assert_eq!(api.variables("A-2"), Value::Object(Default::default()));
}

#[tokio::test]
async fn a_list_from_before_a_patch_is_ignored_after_it() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:54:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    // The next list is answered late, with the current page.
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 350 }).method("GET").times(1));
    let before = api.simulator.log().len();
    driving.clock.set(at("2026-11-26T16:59:45Z"));
    until("the list is requested", || api.simulator.log().len() > before).await;
    driving.clock.set(at("2026-11-26T17:00:00Z"));
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    driving.advance(at("2026-11-26T17:01:00Z")).await;
    assert_eq!(api.requests("PATCH").len(), 2, "an outdated answer caused another PATCH");
    driving.stop().await;
}

/// The fetch happens before the transition, and only the PATCH is sent on it.
///
/// A transition that changes no value costs no request.
#[tokio::test]
async fn a_page_is_fetched_before_its_transition_and_patched_on_it() {
    let api = Api::start();
    let settings =
        desk("A-1").replace("is_open = {", "week = { hours = \"desk\", show = \"week\" }, is_open = {");
    let folder = Folder::new(&api.url, &format!("resync = \"7d\"\n{settings}"));
    let text = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap().replace("resync = \"7d\"\n", "");
    folder.write("rtconfd.toml", &format!("resync = \"7d\"\n{text}"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:00:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    let methods = |since: usize| -> Vec<String> {
        api.simulator.log()[since..].iter().map(|request| request.method.clone()).collect()
    };
    let before = api.simulator.log().len();
    driving.advance(at("2026-11-26T16:59:59.900Z")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(methods(before), ["GET"], "only the fetch");
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(methods(before), ["GET", "PATCH"], "at the transition only the PATCH is sent");
    // Midnight moves the week by a day, and each key holds the same text.
    driving.advance(at("2026-11-27T08:00:00Z")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(methods(before), ["GET", "PATCH"], "a transition without a change sends nothing");
    driving.stop().await;
}
