//! The driver in this process, against the simulator, on a clock that only the test moves.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use rtconfd::agents_api::{ApiError, Client, KeySource, Meaning, Patched, ReadPages, Timeouts, WritePages};
use rtconfd::clock::{Clock, ManualClock, WallClock};
use rtconfd::model::{Environment, Instant, PageId, RemotePage};
use rtconfd::reconcile::{Mode, Standing};
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use crate::support::{Api, Driving, Folder, NO_HOLD, SITES, at, desk, limit, until};

/// Thursday noon in London, five hours before the next transition.
const NOON: &str = "2026-11-26T12:00:00Z";

/// Advances the driver's clock wait by wait until a condition holds or a limit is reached.
async fn run_until(driving: &Driving, what: &str, limit: Instant, holds: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        if driving.is_quiet()
            && let Some(wait) = driving.clock.next_wait()
            && wait <= limit
        {
            driving.clock.set(wait);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn later(minutes: i64) -> Instant {
    at(NOON) + TimeDelta::minutes(minutes)
}

#[tokio::test]
async fn a_transition_reaches_the_page_as_one_patch_of_one_key() {
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
    driving.stop().await;
    let history = folder.look().history(None, 10).unwrap();
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
    until("both pages are right", || api.requests("PATCH").len() == 2).await;
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

#[tokio::test]
async fn every_fault_is_recovered_from_and_no_change_is_made_twice() {
    for (fault, wanted_patches) in [
        (Kind::Status { status: 500 }, 3),
        (Kind::Status { status: 503 }, 3),
        (Kind::Status { status: 408 }, 3),
        (Kind::RateLimit { retry_after: 2 }, 3),
        (Kind::Reset, 3),
        // These were applied: a fetch finds that, and nothing is sent again.
        (Kind::AppliedThenReset, 1),
        (Kind::AppliedThenStatus { status: 503 }, 1),
        (Kind::AppliedThenStatus { status: 408 }, 1),
    ] {
        let api = Api::start();
        api.simulator.inject(Fault::new(fault.clone()).method("PATCH").times(2));
        let folder = Folder::new(&api.url, &desk("A-1"));
        let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
        let settled = || {
            folder.store().look().ok().flatten().is_some_and(|reading| {
                reading.pages(&api.url).is_ok_and(|pages| {
                    pages.values().any(|page| !page.baseline.is_empty() && page.open.is_none())
                })
            })
        };
        run_until(&driving, &format!("{fault:?} is got over"), later(30), settled).await;
        assert_eq!(api.variables("A-1"), json!({"is_open": true}), "{fault:?}");
        driving.stop().await;
        let patches = api.requests("PATCH");
        assert_eq!(patches.len(), wanted_patches, "{fault:?}");
        assert_eq!(patches.iter().filter(|patch| patch.applied).count(), 1, "{fault:?}");
        let history = folder.look().history(None, 10).unwrap();
        assert_eq!(
            history.iter().filter(|row| row.outcome == "applied").count(),
            1,
            "{fault:?}: {history:?}"
        );
    }
}

#[tokio::test]
async fn a_late_answer_counts_as_unknown_and_is_looked_up() {
    let api = Api::start();
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 60_000 }).method("PATCH").times(1));
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    // The client gives up after its read timeout of a second, on the real clock.
    let settled = || {
        folder.store().look().ok().flatten().is_some_and(|reading| {
            reading.history(None, 1).is_ok_and(|rows| rows.iter().any(|row| row.outcome == "applied"))
        })
    };
    run_until(&driving, "the outcome was looked up", later(30), settled).await;
    driving.stop().await;
    assert_eq!(api.requests("PATCH").len(), 1);
}

#[tokio::test]
async fn a_refused_value_is_not_sent_again_until_something_relevant_changes() {
    for status in [400, 422] {
        let api = Api::start();
        api.simulator.inject(Fault::new(Kind::Status { status }).method("PATCH"));
        let folder = Folder::new(&api.url, &desk("A-1"));
        let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
        // One refusal may be a mistake; after three the value is withheld.
        driving.advance(later(61)).await;
        assert_eq!(api.requests("PATCH").len(), 3, "{status}: sent again without a reason");
        api.simulator.heal();
        driving.advance(later(70)).await;
        assert_eq!(api.requests("PATCH").len(), 3, "{status}: nothing has changed yet");
        // A person changes the schema of the page: the next resync retries.
        api.schema("A-1", &json!({"properties": {"is_open": {"type": "boolean"}}}));
        driving.advance(later(80)).await;
        api.until_variable("A-1", "is_open", &json!(true)).await;
        driving.stop().await;
    }
}

#[tokio::test]
async fn a_refused_page_is_retried_at_its_next_transition() {
    let api = Api::start();
    api.simulator.inject(Fault::new(Kind::Status { status: 400 }).method("PATCH").times(3));
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:55:00Z")), Mode::Daemon).await;
    driving.advance(at("2026-11-26T16:59:00Z")).await;
    assert_eq!(api.requests("PATCH").len(), 3);
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_refused_key_stops_all_requests_until_it_is_replaced() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    folder.write("key", "a-wrong-key");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path("key"), mode).unwrap();
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("the refusals", || api.simulator.log().len() == 2).await;
    // Single probes check whether the key is accepted again, at first soon and then about every
    // minute.
    driving.advance(later(12)).await;
    let calls = api.simulator.log().len() - 2;
    assert!((10..40).contains(&calls), "{calls} calls in twelve minutes");
    folder.write("key", crate::support::KEY);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path("key"), mode).unwrap();
    api.until_variable("A-1", "is_open", &json!(true)).await;
    api.until_variable("A-2", "is_open", &json!(true)).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_page_that_the_key_may_not_write_is_retried_and_blocks_no_other() {
    let api = Api::start();
    api.simulator.inject(Fault::new(Kind::Status { status: 403 }).method("PATCH").path("A-1/"));
    let folder = Folder::new(&api.url, SITES);
    let rows = |phone: u32| {
        format!("site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,{phone}\n")
    };
    folder.write("sites.csv", &rows(2));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-2", "phone", &json!("2")).await;
    until("the refusal", || api.requests("PATCH").len() == 2 && driving.is_quiet()).await;
    folder.write("sites.csv", &rows(3));
    api.until_variable("A-2", "phone", &json!("3")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    api.simulator.heal();
    driving.advance(later(12)).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.stop().await;
}

/// An API that refuses the list still accepts the key.
#[tokio::test]
async fn a_stopped_key_recovers_even_if_the_list_is_refused() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    api.simulator.inject(Fault::new(Kind::Status { status: 401 }).times(1));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("the key is stopped", || api.simulator.log().len() == 1 && driving.is_quiet()).await;
    api.simulator.inject(Fault::new(Kind::Status { status: 403 }).method("GET").times(1));
    driving.advance(later(12)).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.stop().await;
}

/// An API whose lists fail on request while its pages work.
struct Listless {
    client: Client,
    fails: std::sync::atomic::AtomicBool,
}

impl ReadPages for Listless {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        match self.fails.load(std::sync::atomic::Ordering::SeqCst) {
            // The agent does not exist; its 404 is turned into a server error.
            true => self.client.list("NOBODY").await.map_err(|error| ApiError {
                meaning: Meaning::TryAgain,
                status: Some(500),
                ..error
            }),
            false => self.client.list(agent).await,
        }
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        self.client.page(page).await
    }
}

impl WritePages for Listless {
    async fn patch(&self, page: &PageId, body: &serde_json::Map<String, Value>) -> Result<Patched, ApiError> {
        self.client.patch(page, body).await
    }
}

#[tokio::test]
async fn a_failing_list_blocks_no_change_to_the_pages_of_its_agent() {
    let api = Api::with(vec!["A-1".to_owned()], std::sync::Arc::new(WallClock));
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\n");
    let listless = std::sync::Arc::new(Listless { client: folder.client(), fails: false.into() });
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::with(listless.clone(), Box::new(drop), &folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "phone", &json!("1")).await;
    listless.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    driving.advance(later(12)).await;
    until("a list failed", || {
        folder.look().pages(&api.url).unwrap().values().any(|page| page.problem.is_some())
    })
    .await;
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,2\n");
    api.until_variable("A-1", "phone", &json!("2")).await;
    driving.stop().await;
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
async fn a_429_pauses_all_pages_of_the_key_for_its_retry_after() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("both pages are right", || api.requests("PATCH").len() == 2).await;
    driving.advance(later(1)).await;
    api.simulator.inject(Fault::new(Kind::RateLimit { retry_after: 25 }).path("A-1").times(1));
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,3\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    until("the 429", || api.simulator.log().iter().any(|request| request.status == 429)).await;
    until("it is taken in", || driving.is_quiet()).await;
    let before = api.simulator.log().len();
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,3\nb,A-2,Mo-Fr 09:00-17:00,4\n");
    driving.advance(later(1) + TimeDelta::seconds(24)).await;
    assert_eq!(api.simulator.log().len(), before, "something was sent during the pause");
    driving.advance(later(3)).await;
    api.until_variable("A-1", "phone", &json!("3")).await;
    api.until_variable("A-2", "phone", &json!("4")).await;
    driving.stop().await;
}

#[tokio::test]
async fn one_page_in_trouble_delays_no_other() {
    let clock = ManualClock::new(at(NOON));
    let shared: std::sync::Arc<dyn Clock> = std::sync::Arc::new(clock.clone());
    let api = Api::with(vec!["A-1".to_owned(), "A-2".to_owned()], shared);
    let folder = Folder::new(&api.url, SITES);
    // A-1 is slow, A-2 works, A-3 does not exist.
    api.simulator.inject(Fault::new(Kind::Latency { ms: 600 }).path("A-1"));
    folder.write(
        "sites.csv",
        "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\nc,A-3,Mo-Fr 09:00-17:00,3\n",
    );
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    api.until_variable("A-2", "is_open", &json!(true)).await;
    assert!(!api.requests("PATCH").iter().any(|request| request.path.contains("A-1")));
    until("the unknown agent is told", || {
        let pages = folder.look().pages(&api.url).unwrap();
        pages.get(&"A-3/live".parse().unwrap()).is_some_and(|page| page.problem.is_some())
    })
    .await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let ended = driving.stop().await;
    let unknown = ended.pages.iter().find(|report| report.page.agent == "A-3").unwrap();
    let reported = unknown.standing.problem().unwrap();
    assert!(reported.contains("PROJECT_NOT_FOUND") && reported.contains("check the agent id"), "{reported}");
}

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
    let noted = |wanted: &str| {
        let pages = folder.look().pages(&api.url).unwrap();
        pages.values().any(|page| page.problem.as_ref().is_some_and(|(text, _)| text.contains(wanted)))
    };
    until("the drift is reported", || noted("changed by others")).await;
    folder.write("m.json", "{\"text\": \"two\"}");
    until("the change is held", || noted("and is held")).await;
    assert_eq!(api.variables("A-1"), json!({"text": "theirs"}));
    let ended = driving.stop().await;
    assert!(matches!(ended.pages[0].standing, Standing::Held(_)));
}

#[tokio::test]
async fn an_invalid_value_is_never_sent_and_names_its_cell() {
    let api = Api::start();
    for agent in ["A-1", "A-2"] {
        api.schema(agent, &json!({"properties": {"phone": {"type": "string", "pattern": "^\\+44\\d+$"}}}));
    }
    let folder = Folder::new(&api.url, SITES);
    folder.write(
        "sites.csv",
        "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,020\nb,A-2,Mo-Fr 09:00-17:00,+441\n",
    );
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-2", "phone", &json!("+441")).await;
    driving.advance(at("2026-11-26T18:00:00Z")).await;
    assert_eq!(api.variables("A-1"), json!({}), "nothing of an invalid page is sent");
    assert!(!api.requests("PATCH").iter().any(|request| request.path.contains("A-1")));
    let pages = folder.look().pages(&api.url).unwrap();
    let problem = &pages[&"A-1/live".parse().unwrap()].problem.as_ref().unwrap().0;
    for part in ["sites.csv:2, column \"phone\"", "phone = \"020\"", "/properties/phone/pattern"] {
        assert!(problem.contains(part), "{part} in {problem}");
    }
    // The cell is fixed, and the page follows immediately.
    folder.write(
        "sites.csv",
        "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,+442\nb,A-2,Mo-Fr 09:00-17:00,+441\n",
    );
    api.until_variable("A-1", "phone", &json!("+442")).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_bad_row_keeps_its_page_on_the_last_good_schedule_with_its_transitions() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("both pages are right", || api.requests("PATCH").len() == 2).await;
    // One cell is invalid and another row changes: only the valid row becomes active.
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-25:00,9\nb,A-2,Mo-Fr 09:00-17:00,3\n");
    api.until_variable("A-2", "phone", &json!("3")).await;
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": false, "phone": "1"}));
    // The whole file is missing: both pages keep their schedules.
    std::fs::remove_file(folder.path("sites.csv")).unwrap();
    driving.advance(at("2026-11-27T09:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    api.until_variable("A-2", "is_open", &json!(true)).await;
    let ended = driving.stop().await;
    assert!(
        ended.problems.iter().any(|problem| problem.to_string().contains("the file is missing")),
        "{:?}",
        ended.problems
    );
}

#[tokio::test]
async fn a_row_that_disappears_stops_being_managed_and_nothing_is_sent() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("[hold]\nrows_percent = 100\n{SITES}"));
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("both pages are right", || api.requests("PATCH").len() == 2).await;
    folder.write("sites.csv", "site,agent,hours,phone\nb,A-2,Mo-Fr 09:00-17:00,3\n");
    api.until_variable("A-2", "phone", &json!("3")).await;
    driving.advance(at("2026-11-26T18:00:00Z")).await;
    api.until_variable("A-2", "is_open", &json!(false)).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": true, "phone": "1"}));
    driving.stop().await;
}

#[tokio::test]
async fn neighbours_below_an_owned_key_survive_an_edit_at_any_time() {
    let api = Api::start();
    let settings = desk("A-1").replace("{ is_open =", "{ \"/desk/is_open\" =");
    let folder = Folder::new(&api.url, &settings);
    api.edit("A-1", &json!({"desk": {"greeting": "old", "is_open": true}, "other": 1}));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:58:00Z")), Mode::Daemon).await;
    until("the page is seen", || !api.requests("GET").is_empty() && driving.is_quiet()).await;
    // The last list is no longer fresh, and the next one comes after the transition. Only a fetch
    // of the page itself can show the edit.
    tokio::time::sleep(Duration::from_millis(600)).await;
    api.edit("A-1", &json!({"desk": {"greeting": "new", "is_open": true}}));
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "desk", &json!({"greeting": "new", "is_open": false})).await;
    driving.stop().await;
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
async fn a_missing_page_is_retried_with_backoff_and_at_least_every_minute() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:59:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the answer is taken in", || driving.is_quiet()).await;
    api.simulator.inject(Fault::new(Kind::Status { status: 404 }).method("GET").path("/live"));
    driving.advance(at("2026-11-26T17:30:00Z")).await;
    let looks = api.requests("GET").iter().filter(|request| request.path.ends_with("/live")).count();
    assert!((5..60).contains(&looks), "asked {looks} times in half an hour");
    api.simulator.heal();
    driving.advance(at("2026-11-26T17:31:01Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}

/// An API that answers every PATCH with 200 and changes nothing.
#[derive(Default)]
struct Deaf {
    patches: std::sync::atomic::AtomicUsize,
}

impl ReadPages for Deaf {
    async fn list(&self, _: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        Ok(vec![(Environment::Live, self.answer())])
    }

    async fn page(&self, _: &PageId) -> Result<RemotePage, ApiError> {
        Ok(self.answer())
    }
}

impl WritePages for Deaf {
    async fn patch(&self, _: &PageId, _: &serde_json::Map<String, Value>) -> Result<Patched, ApiError> {
        self.patches.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Patched { page: self.answer(), correlation_id: None })
    }
}

impl Deaf {
    /// Returns a different page after each PATCH, and never the requested one.
    fn answer(&self) -> RemotePage {
        let patches = self.patches.load(std::sync::atomic::Ordering::SeqCst);
        RemotePage {
            variables: json!({"is_open": "who knows", "box": {"patches": patches}})
                .as_object()
                .cloned()
                .unwrap(),
            last_updated: Some(patches.to_string()),
            ..RemotePage::default()
        }
    }
}

#[tokio::test]
async fn an_answer_without_the_sent_values_is_reported_and_retries_are_bounded() {
    let api = std::sync::Arc::new(Deaf::default());
    let settings = desk("A-1").replace("variables = {", "variables = { \"/box/ours\" = 1,");
    let folder = Folder::new("http://127.0.0.1:9", &settings);
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::with(api.clone(), Box::new(drop), &folder, &clock, Mode::Daemon).await;
    driving.advance(later(61)).await;
    assert_eq!(api.patches.load(std::sync::atomic::Ordering::SeqCst), 3);
    let ended = driving.stop().await;
    assert!(
        matches!(&ended.pages[0].standing, Standing::Stuck(text) if text.contains("differs from the values sent: /box/ours, is_open")),
        "{:?}",
        ended.pages[0]
    );
    let history = folder.look().history(None, 10).unwrap();
    assert_eq!((history.len(), history[0].outcome.as_str(), history[0].tries), (2, "failed", 3));
}

#[tokio::test]
async fn a_corrected_file_is_applied_immediately_after_a_refusal() {
    let api = Api::start();
    api.simulator.inject(Fault::new(Kind::Status { status: 400 }).method("PATCH").times(1));
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("the refusal", || api.requests("PATCH").len() == 1 && driving.is_quiet()).await;
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,2\n");
    api.until_variable("A-1", "phone", &json!("2")).await;
    driving.stop().await;
}

/// An API whose pages report a size of 300 MiB each.
#[derive(Default)]
struct Huge(std::sync::Mutex<BTreeMap<PageId, serde_json::Map<String, Value>>>);

impl Huge {
    fn answer(&self, page: &PageId) -> RemotePage {
        let variables = self.0.lock().unwrap().get(page).cloned().unwrap_or_default();
        RemotePage { variables, weight: 300 << 20, ..RemotePage::default() }
    }

    fn holds(&self, agent: &str, phone: &str) -> bool {
        let page = self.answer(&PageId::new(agent, Environment::Live).unwrap());
        page.variables.get("phone") == Some(&json!(phone))
    }
}

impl ReadPages for Huge {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        Ok(vec![(Environment::Live, self.answer(&PageId::new(agent, Environment::Live).unwrap()))])
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        Ok(self.answer(page))
    }
}

impl WritePages for Huge {
    async fn patch(&self, page: &PageId, body: &serde_json::Map<String, Value>) -> Result<Patched, ApiError> {
        self.0.lock().unwrap().entry(page.clone()).or_default().extend(body.clone());
        Ok(Patched { page: self.answer(page), correlation_id: None })
    }
}

#[tokio::test]
async fn pages_beyond_the_memory_limit_wait_until_others_are_released() {
    let api = std::sync::Arc::new(Huge::default());
    let folder = Folder::new("http://127.0.0.1:9", &format!("{NO_HOLD}{SITES}"));
    let head = "site,agent,hours,phone\n";
    folder.write("sites.csv", &format!("{head}a,A-1,Mo-Fr 09:00-17:00,1\n"));
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::with(api.clone(), Box::new(drop), &folder, &clock, Mode::Daemon).await;
    until("the first page", || api.holds("A-1", "1")).await;
    folder.write("sites.csv", &format!("{head}a,A-1,Mo-Fr 09:00-17:00,2\nb,A-2,Mo-Fr 09:00-17:00,3\n"));
    until("the first page goes on", || api.holds("A-1", "2")).await;
    driving.advance(later(1)).await;
    let status = driving.status().await;
    let waits = |page: &rtconfd::reconcile::PageStatus| matches!(&page.standing, Standing::Stuck(text) | Standing::Retrying(text) if text.contains("more than 512 MiB of memory"));
    assert!(status.pages.iter().any(waits) && !api.holds("A-2", "3"), "{:?}", status.pages);
    folder.write("sites.csv", &format!("{head}b,A-2,Mo-Fr 09:00-17:00,3\n"));
    let mut minutes = 1;
    let second_page = async {
        while !api.holds("A-2", "3") {
            minutes += 1;
            driving.advance(later(minutes)).await;
        }
    };
    tokio::time::timeout(limit(), second_page).await.expect("the memory of the first page is given back");
    driving.stop().await;
}

/// Sites, their phone numbers in another table, and a message.
const JOINED: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.phones]
path = "phones.csv"
key = "site"
[sources.m]
path = "m.json"
[[page]]
for_each = "sites"
join = { phones = "{{ row.site }}" }
agent = "{{ row.agent }}"
environment = "live"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" }, phone = "{{ phones.number }}", text = { source = "m", pointer = "/text" } }
"#;

/// Runs the program twice, as cron does.
async fn run_twice(folder: &Folder, clock: &ManualClock) {
    for _ in 0..2 {
        let once = Mode::Once { deadline: clock.now() + TimeDelta::minutes(1) };
        Driving::start(folder, clock, once).await.ended().await;
    }
}

#[tokio::test]
async fn a_page_with_a_bad_input_keeps_its_last_good_values_across_restarts() {
    let good = [
        ("sites.csv", "site,agent,hours\na,A-1,Mo-Fr 09:00-17:00\nb,A-2,Mo-Fr 09:00-17:00\n"),
        ("phones.csv", "site,number\na,1\nb,2\n"),
        ("m.json", "{\"text\": \"one\"}"),
    ];
    for (name, bad) in [
        ("phones.csv", "site,number\nb,2\n"),
        ("phones.csv", "site,nummer\na,1\nb,2\n"),
        ("m.json", "{\"txt\": \"one\"}"),
        ("sites.csv", "site,agent,hourz\na,A-1,Mo-Fr 09:00-17:00\nb,A-2,Mo-Fr 09:00-17:00\n"),
        ("rtconfd.toml", "phones.nummer"),
    ] {
        let api = Api::start();
        let folder = Folder::new(&api.url, &format!("{NO_HOLD}{JOINED}"));
        good.iter().for_each(|(name, text)| folder.write(name, text));
        let clock = ManualClock::new(at(NOON));
        run_twice(&folder, &clock).await;
        assert_eq!(api.variables("A-1"), json!({"is_open": true, "phone": "1", "text": "one"}));
        match name {
            "rtconfd.toml" => {
                let settings = std::fs::read_to_string(folder.path(name)).unwrap();
                folder.write(name, &settings.replace("phones.number", bad));
            }
            _ => folder.write(name, bad),
        }
        run_twice(&folder, &clock).await;
        clock.set(at("2026-11-26T17:00:00Z"));
        run_twice(&folder, &clock).await;
        assert_eq!(api.variables("A-1")["is_open"], json!(false), "{name}: {bad}");
        assert_eq!(api.requests("PATCH").len(), 4, "{name}: {bad}");
    }
}

/// A row stays bad for weeks: a restart uses the good rows that arrived meanwhile.
#[tokio::test]
async fn a_bad_row_does_not_prevent_storing_the_good_rows_beside_it() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("{NO_HOLD}{SITES}"));
    let write = |a: &str, b: &str| {
        folder.write("sites.csv", &format!("site,agent,hours,phone\na,A-1,{a},1\nb,A-2,{b},1\n"));
    };
    let clock = ManualClock::new(at(NOON));
    for (a, b) in [
        ("Mo-Fr 09:00-17:00", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr 09:00-25:00", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr 09:00-25:00", "Mo-Fr 09:00-16:00"),
        ("Mo-Fr 09:00-25:00", "Mo-Fr 09:00-26:00"),
    ] {
        write(a, b);
        run_twice(&folder, &clock).await;
    }
    clock.set(at("2026-11-26T16:00:00Z"));
    run_twice(&folder, &clock).await;
    assert_eq!(
        [&api.variables("A-1")["is_open"], &api.variables("A-2")["is_open"]],
        [&json!(true), &json!(false)]
    );
    clock.set(at("2026-11-26T17:00:00Z"));
    run_twice(&folder, &clock).await;
    assert_eq!(api.variables("A-1")["is_open"], json!(false));
    let kept = folder.look().remembered(&api.url).unwrap().kept;
    assert_eq!(kept.into_values().collect::<Vec<_>>(), [1, 3]);
    write("Mo-Fr 09:00-18:00", "Mo-Fr 09:00-18:00");
    run_twice(&folder, &clock).await;
    assert_eq!(api.variables("A-1")["is_open"], json!(true));
    let remembered = folder.look().remembered(&api.url).unwrap();
    assert!(remembered.kept.is_empty() && remembered.older.is_empty(), "{remembered:?}");
}

#[tokio::test]
async fn a_list_from_before_a_patch_is_ignored_after_it() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:54:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the answer is taken in", || driving.is_quiet()).await;
    // The next list is answered late, with the current page.
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 350 }).method("GET").times(1));
    let before = api.simulator.log().len();
    driving.clock.set(at("2026-11-26T16:59:45Z"));
    until("the list is asked for", || api.simulator.log().len() > before).await;
    driving.clock.set(at("2026-11-26T17:00:00Z"));
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the late list is taken in", || driving.is_quiet()).await;
    driving.advance(at("2026-11-26T17:01:00Z")).await;
    assert_eq!(api.requests("PATCH").len(), 2, "sent again because of an old answer");
    driving.stop().await;
}

#[tokio::test]
async fn a_calendar_that_lost_its_events_still_closes_as_before() {
    let api = Api::start();
    let settings = desk("A-1")
        .replace("weekly =", "closed_on = [\"hols\"]\nweekly =")
        .replace("{ is_open", "{ text = { source = \"m\", pointer = \"\" }, is_open");
    let top = "[calendars.hols]\npath = \"h.ics\"\n[sources.m]\npath = \"m.json\"\n";
    let folder = Folder::new(&api.url, &format!("{top}{settings}"));
    folder.write("m.json", "1");
    let calendar = |events: &str| format!("BEGIN:VCALENDAR\nVERSION:2.0\n{events}END:VCALENDAR\n");
    folder.write(
        "h.ics",
        &calendar("BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas\nEND:VEVENT\n"),
    );
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-12-25T08:00:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    folder.write("h.ics", &calendar(""));
    // A later write is processed later.
    folder.write("m.json", "2");
    api.until_variable("A-1", "text", &json!(2)).await;
    driving.advance(at("2026-12-25T12:00:00Z")).await;
    assert_eq!(api.variables("A-1"), json!({"text": 2, "is_open": false}));
    let ended = driving.stop().await;
    assert!(ended.problems.iter().any(|problem| problem.to_string().contains("the calendar has no events")));
}

#[tokio::test]
async fn a_key_replaced_while_the_old_one_is_refused_is_used_immediately() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.write("key", "an-old-key");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path("key"), mode).unwrap();
    // The refusal of the old key arrives only after the new key was read.
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 700 }).times(1));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("the old key is asked with", || !api.simulator.log().is_empty()).await;
    folder.write("key", crate::support::KEY);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path("key"), mode).unwrap();
    api.until_variable("A-1", "is_open", &json!(true)).await;
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
    assert_eq!(methods(before), ["GET"], "the look");
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(methods(before), ["GET", "PATCH"], "on the boundary nothing but the PATCH");
    // Midnight moves the week by a day, and each key holds the same text.
    driving.advance(at("2026-11-27T08:00:00Z")).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    assert_eq!(methods(before), ["GET", "PATCH"], "a boundary that changes nothing");
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

/// A cell may name the table to read, which may be the table of the pages itself.
#[tokio::test]
async fn a_page_that_reads_other_rows_of_its_table_follows_their_changes() {
    let api = Api::start();
    let settings = SITES.replace(
        "weekly = \"{{ row.hours }}\"",
        "weekly = \"{{ row.hours }}\", special_from = { source = \"{{ row.table }}\", match = { site = \"b\" }, hours = \"exception\" }",
    );
    let folder = Folder::new(&api.url, &settings);
    let rows = |exception: &str| {
        format!(
            "site,agent,hours,phone,table,date,exception\na,A-1,Mo-Su 09:00-17:00,1,sites,2026-01-01,closed\nb,A-2,Mo-Su 09:00-17:00,2,sites,2026-11-26,{exception}\n"
        )
    };
    folder.write("sites.csv", &rows("09:00-18:00"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T12:00:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.write("sites.csv", &rows("10:00-11:00"));
    api.until_variable("A-2", "is_open", &json!(false)).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}

/// Hanging pages get slots of their own, and a minority of them opens no breaker.
#[tokio::test]
async fn pages_that_hang_delay_no_other_page() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    // The hanging pages sort first by name.
    let row = |n: usize| {
        let agent = if n.is_multiple_of(5) { format!("A-{n}") } else { format!("B-{n}") };
        format!("s{n},{agent},Mo-Fr 09:00-17:00,{n}\n")
    };
    let rows: String = (0..200).map(row).collect();
    folder.write("sites.csv", &format!("site,agent,hours,phone\n{rows}"));
    let key = KeySource::File(folder.path("key")).load().unwrap();
    let minute = Duration::from_secs(60);
    let timeouts = Timeouts { connect: minute, read: minute, total: minute };
    let client = std::sync::Arc::new(Client::new(&api.url, key, timeouts).unwrap());
    let clock = ManualClock::new(at("2026-11-26T16:50:00Z"));
    let driving = Driving::with(client, Box::new(drop), &folder, &clock, Mode::Daemon).await;
    until("all are right", || api.requests("PATCH").len() == 200 && driving.is_quiet()).await;
    api.simulator.inject(Fault::new(Kind::Latency { ms: 3_600_000 }).path("/A-"));
    driving.clock.set(at("2026-11-26T17:00:00Z"));
    let closed = || {
        (0..200).filter(|n| n % 5 > 0).all(|n| api.variables(&format!("B-{n}"))["is_open"] == json!(false))
    };
    let start = std::time::Instant::now();
    while !closed() {
        assert!(start.elapsed() < crate::support::limit(), "they wait for those that hang");
        // Time passes independently of the driver's waits.
        driving.clock.set(driving.clock.now() + TimeDelta::milliseconds(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Forty hanging pages free the slots of others after half a second.
    let late = driving.clock.now() - at("2026-11-26T17:00:00Z");
    assert!(late < TimeDelta::seconds(8), "{late}");
}

/// An intent in a deleted file is lost, so nothing may be sent.
#[tokio::test]
async fn removing_the_store_stops_all_requests() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:59:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("it is at rest", || driving.is_quiet()).await;
    std::fs::remove_file(folder.path("state.sqlite")).unwrap();
    driving.clock.set(at("2026-11-26T17:00:00Z"));
    until("the driver has ended", || driving.is_over()).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": true}));
}
