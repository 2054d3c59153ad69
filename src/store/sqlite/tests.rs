//! The store on a real file. One file, since its tests damage and reopen stores with the same
//! helpers.

use serde_json::json;

use super::{Sqlite, migrations};
use crate::model::{Change, Instant, PageId, RowName};
use crate::pages::{Override, OverrideKind, Part};
use crate::store::{Acceptance, Accepted, Behind, Intent, Location, Outcome, Owner, StoreError};

fn owner() -> Owner {
    Owner { api: "https://api.example".to_owned(), id: "default".to_owned() }
}

fn at() -> Instant {
    "2026-12-24T17:00:00Z".parse().unwrap()
}

fn intent() -> Intent {
    Intent {
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
        again: None,
    }
}

#[tokio::test]
async fn an_intent_is_open_until_settled_and_then_becomes_the_baseline() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/s.sqlite");
    let location = Sqlite::new(Some(&path));
    assert!(location.read(Some(&owner())).unwrap().is_none(), "looking makes no store");
    let page = "A-1/live".parse().unwrap();

    let writer = location.open(Some(&owner())).unwrap();
    let write = writer.intend(intent()).await.unwrap();
    let state = &location.read(Some(&owner())).unwrap().unwrap().pages().unwrap()[&page];
    assert_eq!(state.open.as_ref().unwrap().changes, intent().changes);
    assert!(state.baseline.is_empty());

    let values = vec![("is_open".parse().unwrap(), json!(false))];
    writer.settle(write, Outcome::Applied(values), Some("c-1".to_owned()), at()).await.unwrap();
    let look = location.read(Some(&owner())).unwrap().unwrap();
    let state = &look.pages().unwrap()[&page];
    assert_eq!(state.open, None);
    assert_eq!(state.baseline.get(&"is_open".parse().unwrap()), Some(&json!(false)));
    let elsewhere = Owner { api: "https://elsewhere.example".to_owned(), ..owner() };
    assert!(location.read(Some(&elsewhere)).unwrap().unwrap().pages().unwrap().is_empty());
    assert_eq!(location.read(None).unwrap().unwrap().pages().unwrap().len(), 1, "the rows of all owners");
    let row = &look.history(Some(&page), 10).unwrap()[0];
    assert_eq!((row.outcome.as_str(), row.correlation_id.as_deref()), ("applied", Some("c-1")));
    assert_eq!((&row.from, &row.to, row.because.as_str()), (&json!(true), &json!(false), "closing time"));
    assert_eq!(look.last_applied(&page).unwrap(), Some(at()));
}

#[tokio::test]
async fn a_second_writer_is_refused_and_a_newer_store_is_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let location = Sqlite::new(Some(&path));
    let writer = location.open(Some(&owner())).unwrap();
    assert!(location.is_in_use());
    assert!(matches!(location.open(Some(&owner())), Err(StoreError::InUse { .. })));
    writer.intend(intent()).await.unwrap();
    drop(writer);
    assert!(!location.is_in_use() && !path.with_extension("sqlite-wal").exists(), "it is left closed");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(location.open(Some(&owner())), Err(StoreError::Newer { found: 99, .. })));
    assert!(matches!(location.read(Some(&owner())), Err(StoreError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn a_file_that_is_not_a_store_is_an_error_and_is_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let text = "these are notes and not a database, and long enough to be read as a database page".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let location = Sqlite::new(Some(&path));
    assert!(matches!(location.open(Some(&owner())), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_unchanged() {
    for version in [0, 5, 57] {
        let (_directory, path, location) = store();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch(&format!("CREATE TABLE notes (text); PRAGMA user_version = {version}")).unwrap();
        drop(other);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(location.read(Some(&owner())), Err(StoreError::Foreign { .. })), "{version}");
        assert!(matches!(location.open(Some(&owner())), Err(StoreError::Foreign { .. })), "{version}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{version}");
    }
}

#[tokio::test]
async fn the_last_good_inputs_are_kept_and_older_ones_while_a_page_depends_on_them() {
    let writer = Sqlite::new(None).open(Some(&owner())).unwrap();
    let page: PageId = "A-1/live".parse().unwrap();
    let accept = async |number: i64, path: &str, text: &str, as_of: Option<i64>| {
        let behind = as_of.map(|as_of| (page.clone(), Behind { as_of: Some(as_of), since: Some(at()) }));
        let inputs = [(path.to_owned(), text.as_bytes().into())].into();
        let settings = format!("settings of {}", number.min(3));
        let behind = behind.into_iter().collect();
        // From the sixth on, no settings name "a" any more.
        let paths = if number < 6 { vec!["a", "b"] } else { vec!["b"] };
        let paths = paths.into_iter().map(str::to_owned).collect();
        let acceptance = Acceptance { number, settings, inputs, paths, behind, ..Acceptance::default() };
        writer.accept(acceptance, at()).await.unwrap();
        let remembered = writer.remembered().await.unwrap();
        let text = |accepted: &Accepted| {
            let inputs = accepted.inputs.iter();
            let inputs = inputs.map(|(path, bytes)| format!(" {path}={}", String::from_utf8_lossy(bytes)));
            accepted.settings.clone().unwrap_or_default() + &inputs.collect::<String>()
        };
        let older =
            remembered.older.iter().map(|(number, accepted)| format!("; {number}: {}", text(accepted)));
        text(&remembered.newest) + &older.collect::<String>()
    };
    assert_eq!(accept(1, "a", "1", None).await, "settings of 1 a=1");
    assert_eq!(accept(2, "b", "2", Some(1)).await, "settings of 2 a=1 b=2; 1: settings of 1 a=1");
    assert_eq!(accept(3, "a", "3", Some(1)).await, "settings of 3 a=3 b=2; 1: settings of 1 a=1");
    // An acceptance without changes has no rows of its own, but a page can be based on it.
    assert_eq!(accept(4, "a", "3", Some(1)).await, "settings of 3 a=3 b=2; 1: settings of 1 a=1");
    assert_eq!(accept(5, "a", "5", Some(4)).await, "settings of 3 a=5 b=2; 4: settings of 3 a=3 b=2");
    let remembered = writer.remembered().await.unwrap();
    assert_eq!((remembered.number, remembered.behind[&page].since), (5, Some(at())));
    writer.set_behind(&page, None).await.unwrap();
    let remembered = writer.remembered().await.unwrap();
    assert!(remembered.older.is_empty() && remembered.behind.is_empty());
    assert_eq!(accept(6, "b", "6", None).await, "settings of 3 b=6");
}

/// A file store in its own folder.
fn store() -> (tempfile::TempDir, std::path::PathBuf, Sqlite) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let location = Sqlite::new(Some(&path));
    (directory, path, location)
}

#[tokio::test]
async fn a_missing_store_is_not_recreated_automatically() {
    let (_directory, path, location) = store();
    drop(location.open(Some(&owner())).unwrap());
    for empty in [false, true] {
        let _ = std::fs::remove_file(path.with_extension("sqlite-wal"));
        std::fs::remove_file(&path).unwrap();
        if empty {
            std::fs::write(&path, "").unwrap();
        }
        let error = location.open(Some(&owner())).unwrap_err().to_string();
        assert_eq!(
            error.replace(&path.display().to_string(), "S"),
            "the store S is missing: it existed before, with overrides, approvals and the history of sent values (hint: restore a backup with rtconfd store restore FILE; if there is none, start once with --accept-empty-store)"
        );
        assert!(matches!(location.read(Some(&owner())), Err(StoreError::Lost { .. })), "{empty}");
        drop(location.open_or_begin_anew(Some(&owner())).unwrap());
        drop(location.open(Some(&owner())).unwrap());
    }
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_moved_aside_only_on_request() {
    let (directory, path, location) = store();
    let writer = location.open(Some(&owner())).unwrap();
    for number in 0..200 {
        let mut intent = intent();
        intent.changes[0].because = format!("{number} {}", "x".repeat(400));
        writer.intend(intent).await.unwrap();
    }
    drop(writer);
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[length / 2..length / 2 + 8000].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let error = location.open(Some(&owner())).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("--accept-empty-store"), "{error}");
    let writer = location.open_or_begin_anew(Some(&owner())).unwrap();
    assert!(writer.pages().await.unwrap().is_empty());
    assert_eq!(
        std::fs::read(directory.path().join("s.sqlite.damaged-1")).unwrap(),
        bytes,
        "nothing is deleted"
    );
    // A sound store is left unchanged by the same call.
    writer.intend(intent()).await.unwrap();
    drop(writer);
    let writer = location.open_or_begin_anew(Some(&owner())).unwrap();
    assert_eq!(writer.pages().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_locked_store_names_both_processes_and_a_full_or_read_only_one_gives_a_hint() {
    let (_directory, _, location) = store();
    let _writer = location.open(Some(&owner())).unwrap();
    let error = location.open(Some(&owner())).unwrap_err().to_string();
    let process = std::process::id();
    assert!(error.contains(&format!("is in use by process {process} (")), "{error}");
    assert!(error.contains(&format!("so this rtconfd (process {process}) stops")), "{error}");

    let connection =
        std::sync::Arc::new(std::sync::Mutex::new(rusqlite::Connection::open_in_memory().unwrap()));
    let writer = super::in_place(connection.clone(), &owner()).unwrap();
    let set =
        |pragma: &str| connection.lock().unwrap().query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
    set("PRAGMA max_page_count = 1");
    let mut failed = None;
    while failed.is_none() {
        failed = writer.intend(intent()).await.err();
    }
    let reported = failed.unwrap().to_string();
    assert!(
        reported.contains("full")
            && reported.contains("free some space on its disk; nothing is sent until then"),
        "{reported}"
    );
    set("PRAGMA max_page_count = 100000");
    // Earlier jobs are missing, so later ones are refused, except by a new writer.
    assert!(writer.intend(intent()).await.unwrap_err().to_string().contains("full"));
    let writer = super::in_place(connection.clone(), &owner()).unwrap();
    writer.intend(intent()).await.unwrap();
    connection.lock().unwrap().execute_batch("PRAGMA query_only = ON").unwrap();
    let reported = writer.intend(intent()).await.unwrap_err().to_string();
    assert!(reported.contains("let rtconfd write to the file and its directory"), "{reported}");
}

#[tokio::test]
async fn an_override_keeps_its_rows_and_one_from_an_older_store_is_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let location = Sqlite::new(Some(&path));
    let (page, other): (PageId, PageId) = ("A-1/live".parse().unwrap(), "A-2/live".parse().unwrap());
    let row = |source: Option<&str>, key: &str| RowName {
        source: source.map(str::to_owned),
        column: "site".to_owned(),
        key: key.to_owned(),
    };
    let rows = [(row(Some("sites"), "Leeds"), Some(at())), (row(Some("vans"), "a\"b"), None)];
    let part = Part::new(true, rows);
    let set = Override {
        id: 0,
        at: at(),
        who: "anna".to_owned(),
        reason: "snow".to_owned(),
        kind: OverrideKind::Closed,
        pages: [(page.clone(), None), (other, None)].into(),
        parts: [(page, part)].into(),
    };
    let writer = location.open(Some(&owner())).unwrap();
    let set = writer.set_override(set).await.unwrap();
    assert_eq!(writer.overrides(at()).await.unwrap(), std::slice::from_ref(&set));
    drop(writer);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let without_sources = r#"{"own": true, "rows": [["site", "Leeds", null]]}"#;
    connection.execute("UPDATE overridden SET part = ?1 WHERE part IS NOT NULL", [without_sources]).unwrap();
    let writer = location.open(Some(&owner())).unwrap();
    let known = writer.overrides(at()).await.unwrap();
    let any = Part::new(true, [(row(None, "Leeds"), None)]);
    assert_eq!(known[0].parts.values().collect::<Vec<_>>(), [&any]);
}

/// Creates a store as an earlier version left it.
fn store_of_version(path: &std::path::Path, version: i64, rows: &str) {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    migrations::apply_up_to(&mut connection, 0, version).unwrap();
    connection.execute_batch(rows).unwrap();
}

#[tokio::test]
async fn a_store_of_version_2_is_migrated_by_a_writer_only() {
    let (_directory, path, location) = store();
    store_of_version(
        &path,
        2,
        "INSERT INTO pages (id, api, agent, environment) VALUES (1, 'https://api.example', 'A-1', 'live');
        INSERT INTO overrides (id, api, at, who, reason, says)
            VALUES (1, 'https://api.example', '2026-12-24T17:00:00Z', 'anna', 'snow', 'closed');
        INSERT INTO overridden (override, page) VALUES (1, 1);
        INSERT INTO inputs VALUES ('a.csv', CAST('1' AS BLOB), '2026-12-24T17:00:00Z');
        INSERT INTO facts VALUES ('settings', 'as they were');",
    );
    assert!(matches!(location.read(Some(&owner())), Err(StoreError::Older { found: 2, .. })));
    let writer = location.open(Some(&owner())).unwrap();
    let set = writer.overrides(at()).await.unwrap().remove(0);
    assert_eq!((set.who.as_str(), set.parts.len()), ("anna", 0));
    assert_eq!(set.pages, [("A-1/live".parse().unwrap(), None)].into());
    let remembered = writer.remembered().await.unwrap();
    assert_eq!(remembered.newest.settings.as_deref(), Some("as they were"));
    assert_eq!(remembered.newest.inputs["a.csv"], b"1");
}

/// Version 7 kept some rows without an API: each of its APIs gets a copy.
#[tokio::test]
async fn a_store_of_version_7_keeps_everything_under_its_owners() {
    let (_directory, path, location) = store();
    let long = "x".repeat(300);
    store_of_version(
        &path,
        7,
        &format!(
            "INSERT INTO pages (id, api, agent, environment, schema) VALUES
                (1, 'https://api.example', 'A-1', 'live', '{{}}'),
                (2, 'https://elsewhere.example', 'A-1', 'live', NULL);
            INSERT INTO bases VALUES (1, 'seats', '8'), (2, 'seats', '9');
            INSERT INTO writes (id, page, at, who) VALUES (5, 1, '2026-12-24T17:00:00Z', 'test');
            INSERT INTO texts VALUES ('abc', '\"{long}\"', '2026-12-24T17:00:00Z');
            INSERT INTO changes VALUES (5, 'note', NULL, '#abc', 'note.csv:2');
            INSERT INTO overrides (id, api, at, who, reason, says)
                VALUES (3, 'https://api.example', '2026-12-24T17:00:00Z', 'anna', 'snow', 'closed');
            INSERT INTO overridden (override, page) VALUES (3, 1);
            INSERT INTO approvals (revision, at, who) VALUES ('r1', '2026-12-24T17:00:00Z', 'anna');
            INSERT INTO facts VALUES ('held', 'r2');
            INSERT INTO accepted VALUES ('a.csv', CAST('1' AS BLOB), '2026-12-24T17:00:00Z', 1, NULL);
            INSERT INTO behind VALUES (1, 1, NULL);
            INSERT INTO drifts (page, variable, base, found, desired, answer, since)
                VALUES (1, 'seats', '8', '7', '8', 'kept', '2026-12-24T17:00:00Z');"
        ),
    );
    let ours = location.open(Some(&owner())).unwrap();
    let elsewhere = Owner { api: "https://elsewhere.example".to_owned(), ..owner() };
    let theirs = ours.owned_by(&elsewhere).await.unwrap();
    let page: PageId = "A-1/live".parse().unwrap();
    let state = &ours.pages().await.unwrap()[&page];
    assert_eq!(state.baseline.values().collect::<Vec<_>>(), [&json!(8)]);
    assert_eq!((state.is_adrift, state.schema.is_some()), (true, true));
    let open = state.open.as_ref().unwrap();
    assert_eq!((open.id, &open.changes[0].to), (5, &json!(long)));
    assert_eq!(ours.overrides(at()).await.unwrap()[0].id, 3);
    assert_eq!(theirs.pages().await.unwrap()[&page].baseline.values().collect::<Vec<_>>(), [&json!(9)]);
    assert!(theirs.overrides(at()).await.unwrap().is_empty());
    assert_eq!(ours.remembered().await.unwrap().behind.len(), 1);
    assert!(theirs.remembered().await.unwrap().behind.is_empty());
    for owner in [&ours, &theirs] {
        assert!(owner.approvals().await.unwrap().is_empty(), "one approval must not approve twice");
        assert_eq!(owner.fact("held").await.unwrap().as_deref(), Some("r2"));
        assert_eq!(owner.remembered().await.unwrap().newest.inputs["a.csv"], b"1");
    }
    drop((ours, theirs));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let broken: i64 =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0, "every reference is valid");
}

/// A page that keeps failing with a large value leaves one row and one value.
#[tokio::test]
async fn retries_of_a_large_value_take_no_space() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let location = Sqlite::new(Some(&path));
    let writer = location.open(Some(&owner())).unwrap();
    let large = |text: &str| {
        let mut intent = intent();
        intent.changes[0].to = json!(text.repeat(200_000));
        intent
    };
    let mut again = None;
    for _ in 0..50 {
        let write = writer.intend(Intent { again, ..large("x") }).await.unwrap();
        assert!(again.is_none_or(|before| before == write));
        writer.settle(write, Outcome::Failed("503".to_owned()), None, at()).await.unwrap();
        again = Some(write);
    }
    // A new intent has its own row, with the same value.
    writer.intend(large("x")).await.unwrap();
    let look = location.read(Some(&owner())).unwrap().unwrap();
    let history = look.history(None, 100).unwrap();
    assert_eq!(history.iter().map(|row| row.tries).collect::<Vec<_>>(), [1, 50]);
    assert!(history.iter().all(|row| row.to == json!("x".repeat(200_000))));
    let open = &look.pages().unwrap()[&"A-1/live".parse().unwrap()];
    assert_eq!(open.open.as_ref().unwrap().changes, large("x").changes);
    drop(writer);
    assert!(std::fs::metadata(&path).unwrap().len() < 600_000, "{:?}", std::fs::metadata(&path));
}

#[tokio::test]
async fn old_history_is_deleted_and_open_intents_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sqlite");
    let location = Sqlite::new(Some(&path));
    let writer = location.open(Some(&owner())).unwrap();
    let day = |number: i64| at() + chrono::TimeDelta::days(number);
    for number in 0..1_200 {
        // Each is settled a day later, and its texts are kept for as long as the row.
        let mut intent = Intent { at: day(number - 1), ..intent() };
        intent.changes[0].to = json!(format!("{number} {}", "x".repeat(300)));
        let write = writer.intend(intent).await.unwrap();
        if number != 5 {
            writer.settle(write, Outcome::Failed("no".to_owned()), None, day(number)).await.unwrap();
        }
    }
    for _ in 0..20 {
        writer.prune(day(1_100)).await.unwrap();
    }
    let look = location.read(Some(&owner())).unwrap().unwrap();
    let history = look.history(None, 10_000).unwrap();
    assert_eq!(history.len(), 101);
    assert_eq!((history[99].at, history[100].at), (day(1_099), day(4)));
    // The texts of the remaining rows all exist, and those of the deleted rows do not.
    assert!(history.iter().all(|row| row.to.as_str().is_some_and(|text| text.len() > 300)));
    let texts: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM texts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(texts, 101);
}

/// After any change to the files of an open store, nothing more is acknowledged.
#[tokio::test]
async fn removing_or_replacing_an_open_store_stops_all_writes() {
    for file in ["s.sqlite", "s.sqlite.lock"] {
        for replaced in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let writer = Sqlite::new(Some(&directory.path().join("s.sqlite"))).open(Some(&owner())).unwrap();
            writer.intend(intent()).await.unwrap();
            let path = directory.path().join(file);
            if replaced {
                std::fs::copy(&path, directory.path().join("copy")).unwrap();
                std::fs::rename(directory.path().join("copy"), &path).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            for _ in 0..2 {
                let error = writer.intend(intent()).await.unwrap_err();
                assert!(matches!(error, StoreError::Moved { .. }), "{file}, {replaced}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn store_files_are_private_to_their_owner_and_record_how_the_store_was_closed() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/s.sqlite");
    let writer = Sqlite::new(Some(&path)).open(Some(&owner())).unwrap();
    writer.intend(intent()).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert!(!super::file::was_closed(&path));
    drop(writer);
    assert!(super::file::was_closed(&path));
}

#[test]
fn a_cached_statement_is_not_prepared_again_for_other_values() {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    migrations::prepare(&mut connection).unwrap();
    // As in `texts::keep`: the planner looks at the number of the row.
    let sql = "UPDATE texts SET used_at = ?1 WHERE used_at < ?1 AND hash IN
        (SELECT before FROM changes WHERE write = ?2 UNION SELECT after FROM changes WHERE write = ?2)";
    for number in 11..15 {
        let mut statement = connection.prepare_cached(sql).unwrap();
        statement.execute((format!("2026-12-{number}"), number)).unwrap();
    }
    let statement = connection.prepare_cached(sql).unwrap();
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}
