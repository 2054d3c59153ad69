//! The lease and its fence, on a real server.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant as Start};

use super::server::Server;
use super::{Address, Postgres};
use crate::store::{Location, Owner, Store, StoreError};

/// A short lease: a test waits for five seconds instead of 35.
const SHORT: Duration = Duration::from_secs(4);

fn owner() -> Owner {
    Owner { api: "https://api.example".to_owned(), id: "default".to_owned() }
}

/// A store in a new database of the shared server.
struct Case {
    database: String,
    location: Postgres,
    /// With the copy of the store.
    _folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self::on(Server::shared())
    }

    fn on(server: &Server) -> Self {
        let database = server.create();
        let address = Address::new(&server.url(&database), None, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let location = Postgres::new(&address, &folder.path().join("copy.sqlite")).of_replica();
        location.create().unwrap();
        server.sql(&database, &format!("UPDATE rtconfd.meta SET lease_ms = {}", SHORT.as_millis()));
        Self { database, location, _folder: folder }
    }

    fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        self.location.open(Some(&owner()))
    }

    fn sql(&self, sql: &str) -> String {
        Server::shared().sql(&self.database, sql)
    }
}

async fn write(store: &dyn Store, value: &str) -> Result<(), StoreError> {
    store.set_fact("held", Some(value.to_owned())).await
}

#[tokio::test]
async fn a_live_holder_keeps_the_lease_and_a_closed_one_gives_it_back_at_once() {
    let case = Case::new();
    let first = case.open().unwrap();
    match case.open() {
        Err(StoreError::InUse { other, .. }) => {
            assert!(other.starts_with(&format!("process {} on ", std::process::id())), "{other}");
        }
        other => panic!("{other:?}"),
    }
    write(&*first, "1").await.unwrap();
    drop(first);
    assert!(!case.location.is_in_use());
    let start = Start::now();
    let second = case.open().unwrap();
    assert!(start.elapsed() < SHORT, "it did not wait");
    assert_eq!(second.fact("held").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_holder_that_stands_still_is_replaced_and_never_writes_again() {
    let case = Case::new();
    let first = case.open().unwrap();
    write(&*first, "1").await.unwrap();
    // Another program has taken the lease over, as after a pause of this one.
    case.sql(
        "UPDATE rtconfd.lease SET holder = 'other', described = 'process 1 on other', epoch = epoch + 1",
    );
    match write(&*first, "2").await {
        Err(StoreError::TakenOver { other, .. }) => assert_eq!(other, "process 1 on other"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(first.ended().await, StoreError::TakenOver { .. }));
    assert!(first.may_send(Duration::ZERO).is_err(), "nothing is sent either");
    assert!(matches!(write(&*first, "3").await, Err(StoreError::TakenOver { .. } | StoreError::Closed)));
    assert_eq!(case.sql("SELECT value FROM rtconfd.facts"), "1");
    // The other one does nothing: it is dead.
    let start = Start::now();
    let second = case.open().unwrap();
    assert!(start.elapsed() > SHORT, "{:?}", start.elapsed());
    assert_eq!(case.sql("SELECT epoch FROM rtconfd.lease"), "3");
    write(&*second, "4").await.unwrap();
}

#[tokio::test]
async fn an_idle_holder_renews_its_lease_and_trusts_it_for_its_length_at_most() {
    let case = Case::new();
    let store = case.open().unwrap();
    let before: i64 = case.sql("SELECT commits FROM rtconfd.lease").parse().unwrap();
    tokio::time::sleep(SHORT * 2).await;
    let after: i64 = case.sql("SELECT commits FROM rtconfd.lease").parse().unwrap();
    assert!((6..=20).contains(&(after - before)), "{before} {after}");
    store.may_send(SHORT / 4).unwrap();
    assert!(store.may_send(SHORT).is_err(), "its renewal took time");
}

#[tokio::test]
async fn without_the_database_the_lease_ends_and_is_taken_up_again_at_once() {
    let server = Server::start();
    let case = Case::on(&server);
    let store = case.open().unwrap();
    write(&*store, "1").await.unwrap();
    server.stop("KILL");
    let start = Start::now();
    assert!(matches!(store.ended().await, StoreError::Unreachable { .. }));
    assert!(start.elapsed() < SHORT + Duration::from_secs(5));
    assert!(store.may_send(Duration::ZERO).is_err());
    assert!(matches!(case.open(), Err(StoreError::Unreachable { .. })));
    server.start_again();
    let start = Start::now();
    let again = case.open().unwrap();
    assert!(start.elapsed() < SHORT, "it is the same program: {:?}", start.elapsed());
    assert_eq!(again.fact("held").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_database_that_lost_transactions_is_refused() {
    let case = Case::new();
    let store = case.open().unwrap();
    write(&*store, "1").await.unwrap();
    write(&*store, "2").await.unwrap();
    drop(store);
    case.sql("UPDATE rtconfd.lease SET commits = commits - 1");
    match case.open() {
        Err(StoreError::Rewound { lost, .. }) => assert_eq!(lost, 1),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_store_is_created_on_request_only_and_a_newer_one_is_left_unchanged() {
    let url = Server::shared().url(&Server::shared().create());
    let location = Postgres::new(&Address::new(&url, None, None).unwrap(), Path::new("/nowhere"));
    assert!(location.read(None).unwrap().is_none());
    assert!(matches!(location.open(Some(&owner())), Err(StoreError::Absent { .. })));
    assert_eq!(location.describe("2026-12-24T17:00:00Z".parse().unwrap()).unwrap(), None);
    location.create().unwrap();
    location.create().unwrap();
    assert!(location.read(None).unwrap().is_some());
    let description = location.describe("2026-12-24T17:00:00Z".parse().unwrap()).unwrap().unwrap();
    assert!(description.bytes > 0 && description.contents.unwrap().pages == 0);
    let case = Case::new();
    case.sql("UPDATE rtconfd.meta SET version = 99");
    assert!(matches!(case.open(), Err(StoreError::Newer { found: 99, .. })));
    assert!(matches!(case.location.read(None).map(drop), Err(StoreError::Newer { found: 99, .. })));
    case.location.create().unwrap();
    assert_eq!(case.sql("SELECT version FROM rtconfd.meta"), "99");
}

#[tokio::test]
async fn a_program_stopped_within_a_transaction_keeps_others_out_for_seconds_only() {
    let case = Case::new();
    let store = case.open().unwrap();
    write(&*store, "1").await.unwrap();
    // As its transaction would be: the row of the lease is locked, and nothing comes any more.
    let mut stopped = std::process::Command::new("sh");
    let url = Server::shared().url(&case.database);
    let hold = "(echo \"SET idle_in_transaction_session_timeout TO '8s'; BEGIN; \
        UPDATE rtconfd.lease SET commits = commits + 1;\"; sleep 60) | psql -X -q \"$0\"";
    let mut stopped = stopped.args(["-c", hold, &url]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let start = Start::now();
    assert!(matches!(store.ended().await, StoreError::LeaseEnded { .. } | StoreError::Unreachable { .. }));
    let again = loop {
        match case.open() {
            Ok(store) => break store,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(40), "{error}"),
        }
    };
    write(&*again, "2").await.unwrap();
    stopped.kill().unwrap();
    stopped.wait().unwrap();
}
