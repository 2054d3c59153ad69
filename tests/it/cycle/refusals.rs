//! Refused values, pages and keys, and answers that accept a value and do not apply it.

use rtconfd::agents_api::{ApiError, Patched, ReadPages, WritePages};
use rtconfd::clock::ManualClock;
use rtconfd::model::{Environment, PageId, RemotePage};
use rtconfd::reconcile::{Mode, Standing};
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use super::{NOON, later};
use crate::support::{Api, Driving, Folder, SITES, at, desk, until};

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
        assert_eq!(api.requests("PATCH").len(), 3, "{status}: sent again although nothing changed");
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
    folder.private("key", "a-wrong-key");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("the refusals", || api.simulator.log().len() == 2).await;
    // Single probes check whether the key is accepted again, at first soon and then about every
    // minute.
    driving.advance(later(12)).await;
    let calls = api.simulator.log().len() - 2;
    assert!((10..40).contains(&calls), "{calls} calls in twelve minutes");
    folder.private("key", crate::support::KEY);
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

/// An API that answers every PATCH with 200 and changes nothing.
#[derive(Default)]
struct IgnoringPatches {
    patches: std::sync::atomic::AtomicUsize,
}

impl ReadPages for IgnoringPatches {
    async fn list(&self, _: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        Ok(vec![(Environment::Live, self.answer())])
    }

    async fn page(&self, _: &PageId) -> Result<RemotePage, ApiError> {
        Ok(self.answer())
    }
}

impl WritePages for IgnoringPatches {
    async fn patch(&self, _: &PageId, _: &serde_json::Map<String, Value>) -> Result<Patched, ApiError> {
        self.patches.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Patched { page: self.answer(), correlation_id: None })
    }
}

impl IgnoringPatches {
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
    let api = std::sync::Arc::new(IgnoringPatches::default());
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
    let history = folder.stored().history(None, 10).unwrap();
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

#[tokio::test]
async fn a_key_replaced_while_the_old_one_is_refused_is_used_immediately() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.private("key", "an-old-key");
    // The refusal of the old key arrives only after the new key was read.
    api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 700 }).times(1));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("a request with the old key arrived", || !api.simulator.log().is_empty()).await;
    folder.private("key", crate::support::KEY);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    driving.stop().await;
}
