//! The behaviour that every store must have, checked on each of them.
//!
//! A new entry of `KINDS` is checked without a change here.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::memory::Memory;
use super::postgres::{Address, Postgres, server::Server};
use super::{
    Acceptance, Accepted, Behind, Intent, KINDS, Location, OpenIntent, Outcome, Owner, PageState, Reading,
    Store, StoreError, Written, move_store,
};
use crate::model::{Change, Instant, PageId};
use crate::pages::{Override, OverrideKind};
use crate::plan::{Answer, Drift};

fn owner(api: &str, id: &str) -> Owner {
    Owner { api: format!("https://{api}.example"), id: id.to_owned() }
}

/// Returns the location of a store of every kind that keeps a file, none of which exists yet.
fn files(folder: &TempDir) -> impl Iterator<Item = Box<dyn Location>> {
    KINDS.iter().map(|kind| super::at(Some(&folder.path().join("state/s").with_extension(kind.ending))))
}

/// Returns a location of every kind, without a store.
fn locations(folder: &TempDir) -> impl Iterator<Item = Box<dyn Location>> {
    let server = Server::shared();
    let address = Address::new(&server.url(&server.create()), None, None).unwrap();
    let database: Box<dyn Location> = Box::new(Postgres::new(&address, &folder.path().join("copy.sqlite")));
    files(folder).chain([database])
}

/// Creates the store of a location, if need be, and opens it.
fn open(location: &dyn Location, owner: &Owner) -> Arc<dyn Store> {
    location.create().unwrap();
    location.open(Some(owner)).unwrap()
}

/// Returns an empty store of every kind, and the folder with the files of those that keep some.
fn stores() -> (TempDir, Vec<Arc<dyn Store>>) {
    let (folder, ours) = (tempfile::tempdir().unwrap(), owner("api", "default"));
    let others: Vec<_> = locations(&folder).map(|location| open(&*location, &ours)).collect();
    let in_memory = [super::at(None).open(Some(&ours)).unwrap(), Arc::new(Memory::new(ours))];
    (folder, in_memory.into_iter().chain(others).collect())
}

/// Returns the instant some minutes after 17:00.
fn at(minutes: i64) -> Instant {
    "2026-12-24T17:00:00Z".parse::<Instant>().unwrap() + chrono::TimeDelta::minutes(minutes)
}

fn page(number: usize) -> PageId {
    format!("A-{number}/live").parse().unwrap()
}

fn change(to: usize) -> Change {
    Change {
        variable: "seats".parse().unwrap(),
        from: None,
        to: json!(to),
        because: "seats.csv:2".to_owned(),
        until: None,
    }
}

fn intent(number: usize, to: usize, again: Option<i64>) -> Intent {
    let changes = vec![change(to)];
    Intent { page: page(number), at: at(0), who: "test".to_owned(), changes, again }
}

fn override_of(number: usize, until: Option<Instant>) -> Override {
    Override {
        id: 0,
        at: at(0),
        who: "anna".to_owned(),
        reason: "snow".to_owned(),
        kind: OverrideKind::Closed,
        pages: [(page(number), until)].into(),
        parts: [].into(),
    }
}

fn drift(found: usize, answer: Answer) -> Drift {
    Drift {
        variable: "seats".parse().unwrap(),
        baseline: json!(1),
        found: Some(json!(found)),
        desired: json!(1),
        answer,
    }
}

async fn done<T>(written: Written<T>) -> T {
    written.await.unwrap()
}

async fn state(store: &dyn Store, number: usize) -> PageState {
    done(store.pages()).await.remove(&page(number)).unwrap_or_default()
}

#[tokio::test]
async fn an_intent_is_open_until_its_outcome_is_known() {
    let (_folder, stores) = stores();
    for store in stores {
        let id = done(store.intend(intent(1, 8, None))).await;
        let open = Some(OpenIntent { id, changes: vec![change(8)] });
        assert_eq!(state(&*store, 1).await.open, open);
        done(store.settle(id, Outcome::Unknown("no answer".to_owned()), None, at(1))).await;
        assert_eq!(state(&*store, 1).await.open, open, "it is looked up first");
        done(store.settle(id, Outcome::Failed("refused".to_owned()), None, at(2))).await;
        assert_eq!(state(&*store, 1).await.open, None);
        assert_eq!(done(store.intend(intent(1, 8, Some(id)))).await, id, "a retry reuses it");
        let values = vec![("seats".parse().unwrap(), json!(8))];
        done(store.settle(id, Outcome::Applied(values), None, at(3))).await;
        let known = state(&*store, 1).await;
        assert_eq!((known.open, known.baseline.values().collect::<Vec<_>>()), (None, vec![&json!(8)]));
        assert_eq!(store.history_rows(), 1);
        assert_ne!(done(store.intend(intent(1, 9, Some(id)))).await, id, "it was applied");
        assert_eq!(store.history_rows(), 2);
        assert_eq!(done(store.last_known()).await, Some(at(3)));
    }
}

#[tokio::test]
async fn an_override_is_active_until_it_is_over_or_released() {
    let (_folder, stores) = stores();
    for store in stores {
        let first = done(store.set_override(override_of(1, Some(at(5))))).await;
        let second = done(store.set_override(override_of(2, None))).await;
        assert_ne!(first.id, second.id);
        let active = async |now| done(store.overrides(now)).await;
        assert_eq!(active(at(4)).await, [first, second.clone()]);
        assert_eq!(active(at(6)).await, std::slice::from_ref(&second));
        assert!(done(store.release_override(second.id, "anna", at(7))).await);
        assert!(!done(store.release_override(second.id, "anna", at(8))).await, "it was released before");
        assert!(active(at(9)).await.is_empty());
    }
}

#[tokio::test]
async fn an_approval_is_used_once_and_a_fact_can_be_replaced_and_deleted() {
    let (_folder, stores) = stores();
    for store in stores {
        done(store.approve("r1", "anna", at(0))).await;
        done(store.approve("r2", "anna", at(0))).await;
        done(store.use_approval("r1", at(1))).await;
        assert_eq!(done(store.approvals()).await, ["r2".to_owned()].into());
        for value in [Some("1"), Some("2"), None] {
            done(store.set_fact("held", value.map(str::to_owned))).await;
            assert_eq!(done(store.fact("held")).await.as_deref(), value);
        }
    }
}

#[tokio::test]
async fn a_problem_keeps_its_start_and_drift_lasts_until_it_is_gone() {
    let (_folder, stores) = stores();
    for store in stores {
        done(store.note_problem(&page(1), Some("first".to_owned()), at(1))).await;
        done(store.note_problem(&page(1), Some("second".to_owned()), at(2))).await;
        assert_eq!(state(&*store, 1).await.problem, Some(("second".to_owned(), at(1))));
        done(store.note_problem(&page(1), None, at(3))).await;
        assert_eq!(state(&*store, 1).await.problem, None);
        for (answer, is_adrift) in [(Answer::Restored, false), (Answer::Kept, true), (Answer::Held, true)] {
            done(store.note_drift(&page(1), vec![drift(7, answer)], None, at(4))).await;
            assert_eq!(state(&*store, 1).await.is_adrift, is_adrift, "{answer:?}");
        }
        done(store.note_drift(&page(1), Vec::new(), None, at(5))).await;
        assert!(!state(&*store, 1).await.is_adrift);
        done(store.saw_schema(&page(1), Some(Arc::new(json!({"type": "object"}))))).await;
        done(store.adopt(&page(1), vec![("seats".parse().unwrap(), json!(3))])).await;
        let known = state(&*store, 1).await;
        assert_eq!((known.schema.as_deref(), known.baseline.len()), (Some(&json!({"type": "object"})), 1));
    }
}

#[tokio::test]
async fn settings_and_inputs_stay_as_long_as_a_page_is_based_on_them() {
    let (_folder, stores) = stores();
    for store in stores {
        let accept = async |number: i64, path: &str, text: &str, as_of: Option<i64>| {
            let behind = as_of.map(|as_of| (page(1), Behind { as_of: Some(as_of), since: Some(at(0)) }));
            let acceptance = Acceptance {
                number,
                settings: format!("settings of {number}"),
                inputs: [(path.to_owned(), text.as_bytes().into())].into(),
                // From the third on, no settings name "a" any more.
                paths: if number < 3 { ["a", "b"].as_slice() } else { &["b"] }
                    .iter()
                    .map(|path| (*path).to_owned())
                    .collect(),
                behind: behind.into_iter().collect(),
                kept: as_of.map(|as_of| (page(2), as_of)).into_iter().collect(),
            };
            done(store.accept(acceptance, at(number))).await;
            done(store.remembered()).await
        };
        let accepted = |settings: &str, inputs: &[(&str, &str)]| Accepted {
            settings: Some(settings.to_owned()),
            inputs: inputs
                .iter()
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect(),
        };
        let first = accepted("settings of 1", &[("a", "1")]);
        assert_eq!(accept(1, "a", "1", None).await.newest, first);
        let remembered = accept(2, "b", "2", Some(1)).await;
        assert_eq!(remembered.newest, accepted("settings of 2", &[("a", "1"), ("b", "2")]));
        assert_eq!(remembered.older, [(1, first.clone())].into());
        assert_eq!((remembered.number, remembered.kept), (2, [(page(2), 1)].into()));
        let remembered = accept(3, "b", "3", Some(1)).await;
        assert_eq!(remembered.newest, accepted("settings of 3", &[("b", "3")]));
        assert_eq!(remembered.older, [(1, first)].into());
        done(store.set_behind(&page(1), None)).await;
        assert!(done(store.remembered()).await.behind.is_empty());
        assert!(accept(4, "b", "4", None).await.older.is_empty());
    }
}

/// Programs that share a store, one after the other, see and change nothing of each other.
#[tokio::test]
async fn owners_leave_each_others_rows_alone() {
    let (_folder, stores) = stores();
    for store in stores {
        let work = async |store: &dyn Store, name: &'static str| {
            let acceptance = Acceptance {
                number: 1,
                settings: name.to_owned(),
                inputs: [(name.to_owned(), name.as_bytes().into())].into(),
                paths: [name.to_owned()].into(),
                behind: [(page(1), Behind { as_of: Some(1), since: None })].into(),
                kept: [(page(2), 1)].into(),
            };
            done(store.accept(acceptance, at(0))).await;
            done(store.approve(name, "anna", at(0))).await;
            done(store.set_fact("held", Some(name.to_owned()))).await;
            done(store.note_problem(&page(1), Some(name.to_owned()), at(0))).await;
            done(store.note_drift(&page(1), vec![drift(7, Answer::Kept)], None, at(0))).await;
            done(store.adopt(&page(1), vec![("seats".parse().unwrap(), json!(name))])).await;
            let write = done(store.intend(intent(1, 8, None))).await;
            done(store.settle(write, Outcome::Failed("x".repeat(300)), None, at(0))).await;
            done(store.set_override(Override { who: name.to_owned(), ..override_of(1, None) })).await;
        };
        let read = async |store: &dyn Store| {
            let (pages, overrides) = (done(store.pages()).await, done(store.overrides(at(1))).await);
            let fact = done(store.fact("held")).await;
            format!("{pages:?} {overrides:?} {fact:?} {:?}", done(store.approvals()).await)
                + &format!("{:?}", done(store.remembered()).await)
        };
        let owners = [owner("api", "default"), owner("api", "other"), owner("elsewhere", "default")];
        let mut states = Vec::new();
        for (owner, name) in owners.iter().zip(["a", "b", "c"]) {
            let ours = done(store.owned_by(owner)).await;
            assert!(done(ours.pages()).await.is_empty(), "{name}");
            work(&*ours, name).await;
            states.push(read(&*ours).await);
        }
        // The last one deletes all that it can.
        let ours = done(store.owned_by(&owners[2])).await;
        done(ours.accept(Acceptance { number: 2, ..Acceptance::default() }, at(2))).await;
        done(ours.use_approval("a", at(2))).await;
        done(ours.set_fact("held", None)).await;
        done(ours.prune(at(1_000_000))).await;
        for (owner, state) in owners.iter().zip(&states).take(2) {
            let ours = done(store.owned_by(owner)).await;
            assert_eq!(read(&*ours).await, *state, "{owner:?}");
            assert_eq!(done(ours.overrides(at(1))).await[0].who, if owner.id == "other" { "b" } else { "a" });
        }
    }
}

/// Acknowledged jobs outlive the process, and commands read the same beside the writer.
#[tokio::test]
async fn a_reader_and_the_next_writer_find_what_was_acknowledged() {
    let (folder, ours) = (tempfile::tempdir().unwrap(), owner("api", "default"));
    for location in locations(&folder) {
        assert!(location.read(Some(&ours)).unwrap().is_none(), "reading creates no store");
        let store = open(&*location, &ours);
        assert!(location.is_in_use());
        assert!(matches!(location.open(Some(&ours)), Err(StoreError::InUse { .. })));

        let acceptance = Acceptance {
            number: 1,
            settings: "settings".to_owned(),
            inputs: [("a".to_owned(), (*b"1").into())].into(),
            paths: ["a".to_owned()].into(),
            behind: [(page(1), Behind { as_of: Some(1), since: Some(at(0)) })].into(),
            kept: [(page(2), 1)].into(),
        };
        done(store.accept(acceptance, at(0))).await;
        done(store.approve("r1", "anna", at(0))).await;
        done(store.set_fact("held", Some("1".to_owned()))).await;
        done(store.note_problem(&page(1), Some("problem".to_owned()), at(1))).await;
        done(store.note_drift(&page(1), vec![drift(7, Answer::Kept)], None, at(1))).await;
        done(store.saw_schema(&page(1), Some(Arc::new(json!({"type": "object"}))))).await;
        done(store.set_override(override_of(1, None))).await;
        let applied = done(store.intend(intent(1, 8, None))).await;
        let values = vec![("seats".parse().unwrap(), json!(8))];
        done(store.settle(applied, Outcome::Applied(values), Some("c-1".to_owned()), at(2))).await;
        done(store.intend(intent(2, 9, None))).await;
        let before = all_that_a_writer_reads(&*store).await;

        for writer in [Some(store), None] {
            assert_eq!(location.is_in_use(), writer.is_some());
            let reading = location.read(Some(&ours)).unwrap().unwrap();
            assert_eq!(all_that_a_reader_reads(&*reading), before);
            assert_eq!(reading.last_applied(&page(1)).unwrap(), Some(at(2)));
            let history = reading.history(None, 10).unwrap();
            let outcomes: Vec<&str> = history.iter().map(|row| row.outcome.as_str()).collect();
            assert_eq!(outcomes, ["intended", "applied"], "newest first");
            assert_eq!(history[1].correlation_id.as_deref(), Some("c-1"));
            assert_eq!(reading.history(Some(&page(1)), 10).unwrap(), history[1..]);
            let drifts = reading.drifts(Some(&page(1)), true, 10).unwrap();
            assert_eq!((drifts.len(), &drifts[0].found, drifts[0].since), (1, &json!(7), at(1)));
            let theirs = location.read(Some(&owner("elsewhere", "default"))).unwrap().unwrap();
            assert!(theirs.pages().unwrap().is_empty() && theirs.history(None, 10).unwrap().is_empty());
        }
        let store = location.open(Some(&ours)).unwrap();
        assert_eq!(all_that_a_writer_reads(&*store).await, before);
    }
}

async fn all_that_a_writer_reads(store: &dyn Store) -> String {
    let (pages, overrides) = (done(store.pages()).await, done(store.overrides(at(3))).await);
    let (approvals, fact) = (done(store.approvals()).await, done(store.fact("held")).await);
    format!("{pages:?} {overrides:?} {approvals:?} {fact:?} {:?}", done(store.remembered()).await)
}

fn all_that_a_reader_reads(reading: &dyn Reading) -> String {
    let overrides: Vec<Override> =
        reading.overrides(at(3), false).unwrap().into_iter().map(|row| row.set).collect();
    let (pages, approvals) = (reading.pages().unwrap(), reading.approvals().unwrap());
    let (fact, remembered) = (reading.fact("held").unwrap(), reading.remembered().unwrap());
    format!("{pages:?} {overrides:?} {approvals:?} {fact:?} {remembered:?}")
}

/// Does the same to all stores at random, and compares all that can be read.
#[tokio::test]
async fn stores_agree_after_any_sequence_of_writes() {
    for seed in 0..20 {
        let (mut random, (_folder, stores)) = (fastrand::Rng::with_seed(seed), stores());
        let mut ids = vec![Vec::new(); stores.len()];
        for step in 0..60 {
            let (kind, number, value, pick) =
                (random.u8(0..9), random.usize(0..3), random.usize(0..4), random.f64());
            for (store, ids) in stores.iter().zip(&mut ids) {
                let id: Option<i64> = ids.get((pick * ids.len() as f64) as usize).copied();
                match (kind, id) {
                    (0, again) => ids.push(done(store.intend(intent(number, value, again))).await),
                    (1, Some(id)) => {
                        let values = vec![("seats".parse().unwrap(), json!(value))];
                        done(store.settle(id, Outcome::Applied(values), None, at(step))).await;
                    }
                    (2, Some(id)) => {
                        done(store.settle(id, Outcome::Failed("refused".to_owned()), None, at(step))).await;
                    }
                    (3, Some(id)) => {
                        done(store.settle(id, Outcome::Unknown("late".to_owned()), None, at(step))).await;
                    }
                    (4, _) => {
                        let until = (value > 0).then(|| at(step + 10));
                        drop(done(store.set_override(override_of(number, until))).await);
                    }
                    (5, _) => drop(done(store.release_override(value as i64, "anna", at(step))).await),
                    (6, _) => {
                        let answer = [Answer::Restored, Answer::Kept][value % 2];
                        done(store.note_drift(&page(number), vec![drift(value, answer)], None, at(step)))
                            .await;
                    }
                    (7, _) => {
                        let problem = (value > 0).then(|| format!("problem {value}"));
                        done(store.note_problem(&page(number), problem, at(step))).await;
                    }
                    _ => done(store.adopt(&page(number), vec![("a".parse().unwrap(), json!(value))])).await,
                }
            }
            let mut read = Vec::new();
            for store in &stores {
                let (pages, overrides) = (done(store.pages()).await, done(store.overrides(at(step))).await);
                read.push(format!("{pages:?} {overrides:?} {:?}", done(store.last_known()).await));
            }
            let is_same =
                read.iter().all(|other| *other == read[0]) && ids.iter().all(|other| *other == ids[0]);
            assert!(is_same, "seed {seed}, step {step}: {read:#?} {ids:?}");
        }
    }
}

#[tokio::test]
async fn a_backup_is_complete_while_the_store_is_open_and_replaces_it_later() {
    let folder = tempfile::tempdir().unwrap();
    for location in files(&folder) {
        let (backup, ours) = (folder.path().join("backup"), owner("api", "default"));
        assert_eq!(location.describe(at(0)).unwrap(), None);
        assert!(location.back_up(&backup).is_err() && !backup.exists(), "there is no store yet");
        let store = location.open(Some(&ours)).unwrap();
        store.set_override(override_of(1, Some(at(60)))).await.unwrap();
        location.back_up(&backup).unwrap();
        assert!(location.back_up(&backup).is_err(), "a backup is never replaced");
        assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        store.set_override(override_of(2, None)).await.unwrap();
        let overrides = |at| location.describe(at).unwrap().unwrap().contents.unwrap().overrides;
        assert_eq!((overrides(at(59)), overrides(at(60))), (2, 1));
        assert!(matches!(location.restore(&backup), Err(StoreError::InUse { .. })));
        drop(store);
        let replaced = location.restore(&backup).unwrap().expect("the replaced store is kept");
        assert_eq!((overrides(at(59)), overrides(at(60))), (1, 0));
        let store = location.open(Some(&ours)).unwrap();
        assert_eq!(store.overrides(at(0)).await.unwrap().len(), 1);
        drop(store);
        location.restore(&replaced).unwrap();
        assert_eq!(overrides(at(59)), 2, "and the way back");
        for (content, name) in [(&b"no store"[..], "damaged"), (b"", "empty")] {
            let file = folder.path().join(name);
            std::fs::write(&file, content).unwrap();
            assert!(location.restore(&file).is_err(), "{name}");
        }
        assert!(location.restore(&folder.path().join("nowhere")).is_err());
        assert_eq!(overrides(at(59)), 2, "a bad backup replaces nothing");
    }
}

/// From each kind of store to each, and no program opens the one that was left.
#[tokio::test]
async fn a_store_moves_with_all_its_content_and_its_source_is_refused_then() {
    let (folder, ours) = (tempfile::tempdir().unwrap(), owner("api", "default"));
    for (number, from) in locations(&folder).enumerate() {
        let store = open(&*from, &ours);
        for page in 1..300 {
            let write = done(store.intend(intent(page, page, None))).await;
            let values = vec![("seats".parse().unwrap(), json!(page))];
            done(store.settle(write, Outcome::Applied(values), Some("c".to_owned()), at(2))).await;
        }
        let acceptance = Acceptance {
            number: 1,
            settings: "settings".to_owned(),
            inputs: [("a".to_owned(), [0, 1, 255].into())].into(),
            paths: ["a".to_owned()].into(),
            behind: [(page(1), Behind { as_of: Some(1), since: Some(at(0)) })].into(),
            kept: [(page(2), 1)].into(),
        };
        done(store.accept(acceptance, at(0))).await;
        done(store.approve("r1", "anna", at(0))).await;
        done(store.set_fact("held", Some("1".to_owned()))).await;
        done(store.note_problem(&page(1), Some("x".repeat(300)), at(1))).await;
        done(store.note_drift(&page(1), vec![drift(7, Answer::Kept)], None, at(1))).await;
        done(store.set_override(override_of(1, None))).await;
        let open_intent = done(store.intend(intent(7, 9, None))).await;
        let before = all_that_a_writer_reads(&*store).await;
        let beside = folder.path().join(format!("other-{number}"));
        std::fs::create_dir(&beside).unwrap();
        let targets = tempfile::tempdir_in(&beside).unwrap();
        for to in locations(&targets) {
            assert!(matches!(move_store(&*from, &*to, "there"), Err(StoreError::InUse { .. })));
        }
        drop(store);
        let mut history = from.read(Some(&ours)).unwrap().unwrap().history(None, 1_000).unwrap();
        let mut source = from;
        for to in locations(&targets) {
            let moved = move_store(&*source, &*to, "there").unwrap().unwrap();
            assert!(moved > 900, "{moved}");
            for refused in [source.open(Some(&ours)).map(drop), source.read(None).map(drop)] {
                assert!(
                    matches!(&refused, Err(StoreError::MovedTo { to, .. }) if to == "there"),
                    "{refused:?}"
                );
            }
            let reading = to.read(Some(&ours)).unwrap().unwrap();
            assert_eq!(reading.history(None, 1_000).unwrap(), history);
            drop(reading);
            let store = to.open(Some(&ours)).unwrap();
            assert_eq!(all_that_a_writer_reads(&*store).await, before);
            let next = done(store.intend(intent(8, 1, None))).await;
            assert!(next > open_intent, "numbers go on: {next}");
            done(store.settle(next, Outcome::Failed("no".to_owned()), None, at(3))).await;
            drop(store);
            history = to.read(Some(&ours)).unwrap().unwrap().history(None, 1_000).unwrap();
            // Nothing is moved over other rows, and the source stays usable.
            let full = super::at(Some(&targets.path().join("full.sqlite")));
            done(full.open(Some(&ours)).unwrap().set_fact("x", None)).await;
            assert!(matches!(move_store(&*to, &*full, "x"), Err(StoreError::NotEmpty { .. })));
            drop(to.open(Some(&ours)).unwrap());
            source = to;
        }
    }
}
