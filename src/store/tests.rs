//! The store on a real file.

use serde_json::json;

use super::{Intent, Location, Outcome, StoreError};
use crate::model::{Change, Instant};

const API: &str = "https://api.example";

fn at() -> Instant {
    "2026-12-24T17:00:00Z".parse().unwrap()
}

fn intent() -> Intent {
    Intent {
        api: API.to_owned(),
        page: "A-1/live".parse().unwrap(),
        at: at(),
        who: "test".to_owned(),
        changes: vec![Change {
            variable: "is_open".parse().unwrap(),
            from: Some(json!(true)),
            to: json!(false),
            because: "closing time".to_owned(),
            until: None,
        }],
    }
}

#[tokio::test]
async fn an_intent_is_open_until_it_is_settled_and_then_becomes_the_base() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/s.sqlite");
    let location = Location::new(Some(&path));
    assert!(location.look().unwrap().is_none(), "looking makes no store");
    let page = "A-1/live".parse().unwrap();

    let writer = location.open().unwrap();
    let write = writer.intend(intent()).await.unwrap();
    let state = &location.look().unwrap().unwrap().pages(API).unwrap()[&page];
    assert_eq!(state.open.as_ref().unwrap().changes, intent().changes);
    assert!(state.base.is_empty());

    let values = vec![("is_open".parse().unwrap(), json!(false))];
    writer.settle(write, Outcome::Applied(values), Some("c-1".to_owned()), at()).await.unwrap();
    let look = location.look().unwrap().unwrap();
    let state = &look.pages(API).unwrap()[&page];
    assert_eq!(state.open, None);
    assert_eq!(state.base[&"is_open".parse().unwrap()], json!(false));
    assert!(look.pages("https://elsewhere.example").unwrap().is_empty());
    let row = &look.history(Some(&page), 10).unwrap()[0];
    assert_eq!((row.outcome.as_str(), row.correlation_id.as_deref()), ("applied", Some("c-1")));
    assert_eq!((&row.from, &row.to, row.because.as_str()), (&json!(true), &json!(false), "closing time"));
    assert_eq!(look.last_applied(API, &page).unwrap(), Some(at()));
}

#[tokio::test]
async fn a_second_writer_is_refused_and_a_newer_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let location = Location::new(Some(&path));
    let writer = location.open().unwrap();
    assert!(location.is_in_use());
    assert!(matches!(location.open(), Err(StoreError::InUse { .. })));
    writer.intend(intent()).await.unwrap();
    drop(writer);
    while location.is_in_use() {
        tokio::task::yield_now().await;
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(location.open(), Err(StoreError::Newer { found: 99, .. })));
    assert!(matches!(location.look(), Err(StoreError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn a_file_that_is_no_store_is_an_error_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let text = "this is no database, but somebody's notes, long enough to be looked at as a page".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let location = Location::new(Some(&path));
    assert!(matches!(location.open(), Err(StoreError::Sqlite { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn inputs_are_kept_as_they_last_were_good() {
    let writer = Location::new(None).open().unwrap();
    let keep = |path: &str, text: &str| {
        writer.keep_inputs([(path.to_owned(), text.as_bytes().to_vec())].into(), at())
    };
    keep("a.csv", "1").await.unwrap();
    keep("b.csv", "2").await.unwrap();
    keep("a.csv", "3").await.unwrap();
    let kept = writer.inputs().await.unwrap();
    assert_eq!((kept["a.csv"].as_slice(), kept["b.csv"].as_slice()), (&b"3"[..], &b"2"[..]));
}
