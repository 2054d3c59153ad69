//! Faults and limits: errors, late and missing answers, pages that hang, memory, a lost store.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use rtconfd::agents_api::{ApiError, Client, KeySource, Meaning, Patched, ReadPages, Timeouts, WritePages};
use rtconfd::clock::{Clock, ManualClock, WallClock};
use rtconfd::model::{Environment, Instant, PageId, RemotePage};
use rtconfd::reconcile::{Mode, Standing};
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use super::{NOON, later};
use crate::support::{Api, Driving, Folder, NO_HOLD, SITES, at, desk, limit, until};

/// Advances the driver's clock wait by wait until a condition holds or a limit is reached.
async fn run_until(driving: &Driving, what: &str, limit: Instant, holds: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "timed out waiting until {what}");
        if driving.is_quiet()
            && let Some(wait) = driving.clock.next_wait()
            && wait <= limit
        {
            driving.clock.set(wait);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn every_fault_is_recovered_from_and_no_change_is_made_twice() {
    for (fault, expected_patches) in [
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
            folder.reading().is_some_and(|reading| {
                reading.pages().is_ok_and(|pages| {
                    pages.values().any(|page| !page.baseline.is_empty() && page.open.is_none())
                })
            })
        };
        run_until(&driving, &format!("the driver recovers from {fault:?}"), later(30), settled).await;
        assert_eq!(api.variables("A-1"), json!({"is_open": true}), "{fault:?}");
        driving.stop().await;
        let patches = api.requests("PATCH");
        assert_eq!(patches.len(), expected_patches, "{fault:?}");
        assert_eq!(patches.iter().filter(|patch| patch.applied).count(), 1, "{fault:?}");
        let history = folder.stored().history(None, 10).unwrap();
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
        folder.reading().is_some_and(|reading| {
            reading.history(None, 1).is_ok_and(|rows| rows.iter().any(|row| row.outcome == "applied"))
        })
    };
    run_until(&driving, "the outcome was looked up", later(30), settled).await;
    driving.stop().await;
    assert_eq!(api.requests("PATCH").len(), 1);
}

/// An API whose lists fail on request while its pages work.
struct FailingLists {
    client: Client,
    fails: std::sync::atomic::AtomicBool,
}

impl ReadPages for FailingLists {
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

impl WritePages for FailingLists {
    async fn patch(&self, page: &PageId, body: &serde_json::Map<String, Value>) -> Result<Patched, ApiError> {
        self.client.patch(page, body).await
    }
}

#[tokio::test]
async fn a_failing_list_blocks_no_change_to_the_pages_of_its_agent() {
    let api = Api::with(vec!["A-1".to_owned()], std::sync::Arc::new(WallClock));
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\n");
    let failing = std::sync::Arc::new(FailingLists { client: folder.client(), fails: false.into() });
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::with(failing.clone(), Box::new(drop), &folder, &clock, Mode::Daemon).await;
    api.until_variable("A-1", "phone", &json!("1")).await;
    failing.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    driving.advance(later(12)).await;
    until("a list failed", || folder.stored().pages().unwrap().values().any(|page| page.problem.is_some()))
        .await;
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,2\n");
    api.until_variable("A-1", "phone", &json!("2")).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_429_pauses_all_pages_of_the_key_for_its_retry_after() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("both pages are filled", || api.requests("PATCH").len() == 2).await;
    driving.advance(later(1)).await;
    api.simulator.inject(Fault::new(Kind::RateLimit { retry_after: 25 }).path("A-1").times(1));
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,3\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    until("the 429", || api.simulator.log().iter().any(|request| request.status == 429)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
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

/// The next one is the same program after a restart, or a replica that takes over.
#[tokio::test]
async fn a_pause_that_the_api_asks_for_goes_on_in_the_next_driver_of_the_key() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\n");
    let clock = ManualClock::new(at(NOON));
    let driving = Driving::start(&folder, &clock, Mode::Daemon).await;
    until("the page is filled", || api.requests("PATCH").len() == 1).await;
    api.simulator.inject(Fault::new(Kind::RateLimit { retry_after: 25 }).path("A-1").times(1));
    driving.advance(later(1)).await;
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,2\n");
    until("the 429", || api.simulator.log().iter().any(|request| request.status == 429)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    driving.stop().await;
    let before = api.simulator.log().len();
    let next = Driving::start(&folder, &clock, Mode::Daemon).await;
    next.advance(later(1) + TimeDelta::seconds(24)).await;
    until("the driver is quiet", || next.is_quiet()).await;
    assert_eq!(api.simulator.log().len(), before, "something was sent during the pause");
    next.advance(later(1) + TimeDelta::seconds(26)).await;
    api.until_variable("A-1", "phone", &json!("2")).await;
    next.stop().await;
}

#[tokio::test]
async fn a_failing_page_delays_no_other_page() {
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
    until("the unknown agent is reported", || {
        let pages = folder.stored().pages().unwrap();
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
async fn a_missing_page_is_retried_with_backoff_and_at_least_every_minute() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T16:59:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    until("the driver is quiet", || driving.is_quiet()).await;
    api.simulator.inject(Fault::new(Kind::Status { status: 404 }).method("GET").path("/live"));
    driving.advance(at("2026-11-26T17:30:00Z")).await;
    let fetches = api.requests("GET").iter().filter(|request| request.path.ends_with("/live")).count();
    assert!((5..60).contains(&fetches), "{fetches} fetches in half an hour");
    api.simulator.heal();
    driving.advance(at("2026-11-26T17:31:01Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
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
    until("the first page is updated", || api.holds("A-1", "2")).await;
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
    tokio::time::timeout(limit(), second_page).await.expect("the memory of the first page is released");
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
    until("all pages are filled", || api.requests("PATCH").len() == 200 && driving.is_quiet()).await;
    api.simulator.inject(Fault::new(Kind::Latency { ms: 3_600_000 }).path("/A-"));
    driving.clock.set(at("2026-11-26T17:00:00Z"));
    let closed = || {
        (0..200).filter(|n| n % 5 > 0).all(|n| api.variables(&format!("B-{n}"))["is_open"] == json!(false))
    };
    let start = std::time::Instant::now();
    while !closed() {
        assert!(start.elapsed() < crate::support::limit(), "pages wait for hanging pages");
        // Time passes independently of the driver's waits.
        driving.clock.set(driving.clock.now() + TimeDelta::milliseconds(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // After half a second, a hanging page frees its ordinary slot.
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
    until("the driver is quiet", || driving.is_quiet()).await;
    std::fs::remove_file(folder.path("state.sqlite")).unwrap();
    driving.clock.set(at("2026-11-26T17:00:00Z"));
    until("the driver has ended", || driving.is_over()).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": true}));
}
