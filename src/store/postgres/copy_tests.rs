//! The copy of a store: after random work on a real server it reads like the database, and what is done
//! on it alone comes back to the database.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant as Start};

use fastrand::Rng;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::server::Server;
use super::{Address, Postgres};
use crate::clock::{Clock, WallClock};
use crate::model::{Change, Instant, PageId, Variable};
use crate::pages::{Override, OverrideKind};
use crate::plan::{Answer, Drift};
use crate::store::{Acceptance, Alone, Behind, Intent, Location, Outcome, Owner, Reading, Store, StoreError};

const PAGES: usize = 4;

fn owners() -> [Owner; 2] {
    ["one", "other"].map(|id| Owner { api: "https://api.example".to_owned(), id: id.to_owned() })
}

fn page(number: usize) -> PageId {
    format!("A-{number}/live").parse().unwrap()
}

fn seats() -> Variable {
    "seats".parse().unwrap()
}

/// A store on a server of its own, and its random work.
struct Case {
    server: Server,
    database: String,
    location: Postgres,
    folder: tempfile::TempDir,
    random: Rng,
    minutes: i64,
    numbers: [i64; 2],
    /// PATCHes without an outcome, and those that failed, by owner.
    open: [Vec<(i64, usize)>; 2],
    failed: [Vec<(i64, usize)>; 2],
    /// The PATCHes that were intended, without those that were tried again.
    intents: usize,
}

impl Case {
    fn new(seed: u64) -> Self {
        let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
        let database = server.create();
        let address = Address::new(&server.url(&database), None, None).unwrap();
        let location = Postgres::new(&address, &folder.path().join("copy.sqlite")).of_replica();
        location.create().unwrap();
        let random = Rng::with_seed(seed);
        let (open, failed) = Default::default();
        Self {
            server,
            database,
            location,
            folder,
            random,
            minutes: 0,
            numbers: [0; 2],
            open,
            failed,
            intents: 0,
        }
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.sqlite")
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }

    fn now(&mut self) -> Instant {
        self.minutes += 1;
        "2026-12-24T17:00:00Z".parse::<Instant>().unwrap() + chrono::TimeDelta::minutes(self.minutes)
    }

    fn number(&mut self) -> usize {
        self.random.usize(..PAGES)
    }

    /// Returns a value, sometimes one that is stored by its hash.
    fn value(&mut self) -> Value {
        match self.random.bool() {
            true => json!(self.random.char('a'..='z').to_string().repeat(300)),
            false => json!(self.random.u8(..)),
        }
    }

    /// Opens the store for both owners.
    async fn open(&self) -> [Arc<dyn Store>; 2] {
        let [one, other] = owners();
        let start = Start::now();
        let first = loop {
            match self.location.open(Some(&one)) {
                Ok(store) => break store,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let second = first.owned_by(&other).await.unwrap();
        [first, second]
    }

    /// Works, runs alone by a decision, and notes a fact then; the database answers again.
    async fn decided(&mut self) -> Connection {
        let stores = self.open().await;
        self.work(&stores, 30).await;
        self.until_copied();
        drop(stores);
        self.server.stop("KILL");
        let decision = Alone { since: WallClock.now(), who: "anna".to_owned(), reason: None };
        self.location.decide(&decision).unwrap();
        let alone = self.open().await;
        alone[0].set_fact("held", Some("alone".to_owned())).await.unwrap();
        drop(alone);
        self.server.start_again();
        Connection::open(self.copy()).unwrap()
    }

    /// Returns why the store is not opened.
    fn refused(&self) -> String {
        let start = Start::now();
        loop {
            match self.location.open(Some(&owners()[0])) {
                // The thread that wrote the copy is still ending.
                Err(StoreError::InUse { .. }) if start.elapsed() < Duration::from_secs(60) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened.unwrap_err().to_string(),
            }
        }
    }

    /// Waits until the copy has all transactions, apart from renewals.
    fn until_copied(&self) {
        let start = Start::now();
        let copied = || {
            let copy = Connection::open(self.copy()).ok()?;
            copy.query_row("SELECT commits FROM origin", [], |row| row.get::<_, i64>(0)).ok()
        };
        while copied().map(|commits| commits.to_string())
            != Some(self.sql("SELECT commits FROM rtconfd.lease"))
        {
            assert!(start.elapsed() < Duration::from_secs(60), "the copy is not complete");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    async fn work(&mut self, stores: &[Arc<dyn Store>; 2], steps: usize) {
        for _ in 0..steps {
            let of = self.random.usize(..2);
            self.step(of, &*stores[of]).await.unwrap();
        }
    }

    async fn step(&mut self, of: usize, store: &dyn Store) -> Result<(), StoreError> {
        let (at, number) = (self.now(), self.number());
        match self.random.u8(..14) {
            0..4 => {
                let is_open = self.open[of].iter().any(|(_, open)| *open == number);
                if is_open {
                    return Ok(());
                }
                let again = self.failed[of].iter().position(|(_, page)| *page == number);
                let again = again.map(|index| self.failed[of].swap_remove(index).0);
                self.intents += usize::from(again.is_none());
                let from = if self.random.bool() { Some(self.value()) } else { None };
                let change = Change {
                    variable: seats(),
                    from,
                    to: self.value(),
                    because: "test".to_owned(),
                    until: None,
                };
                let changes = vec![change];
                let intent = Intent { page: page(number), at, who: "test".to_owned(), changes, again };
                self.open[of].push((store.intend(intent).await?, number));
                Ok(())
            }
            4..7 => {
                let Some((write, number)) = self.open[of].pop() else { return Ok(()) };
                let outcome = match self.random.u8(..5) {
                    0 => Outcome::Failed("refused".to_owned()),
                    1 => Outcome::Unknown("no answer".to_owned()),
                    2 => Outcome::Overwritten,
                    _ => Outcome::Applied(vec![(seats(), self.value())]),
                };
                match &outcome {
                    Outcome::Failed(_) => self.failed[of].push((write, number)),
                    Outcome::Unknown(_) => self.open[of].insert(0, (write, number)),
                    Outcome::Overwritten | Outcome::Applied(_) => {}
                }
                store.settle(write, outcome, Some("c-1".to_owned()), at).await
            }
            7 => {
                let set = Override {
                    id: 0,
                    at,
                    who: "anna".to_owned(),
                    reason: "snow".to_owned(),
                    kind: OverrideKind::Closed,
                    pages: [(page(number), None)].into(),
                    parts: [].into(),
                };
                store.set_override(set).await.map(drop)
            }
            8 => store.release_override(self.random.i64(1..9), "anna", at).await.map(drop),
            9 => {
                let revision = format!("r{}", self.random.u8(..4));
                match self.random.bool() {
                    true => store.approve(&revision, "anna", at).await,
                    false => store.use_approval(&revision, at).await,
                }
            }
            10 => {
                let answer = if self.random.bool() { Answer::Reported } else { Answer::Restored };
                let drift = Drift {
                    variable: seats(),
                    baseline: json!(1),
                    found: Some(self.value()),
                    desired: self.value(),
                    answer,
                };
                let drifts = if self.random.bool() { vec![drift] } else { Vec::new() };
                store.note_drift(&page(number), drifts, None, at).await
            }
            11 => {
                self.numbers[of] += 1;
                let last = self.numbers[of] - 1;
                let behind = Behind { as_of: (last > 0).then_some(last), since: None };
                let acceptance = Acceptance {
                    number: self.numbers[of],
                    settings: format!("settings {}", self.random.u8(..3)),
                    inputs: [("a.csv".to_owned(), format!("{}", self.random.u8(..3)).into_bytes().into())]
                        .into(),
                    paths: BTreeSet::from(["a.csv".to_owned()]),
                    behind: if self.random.bool() { [(page(number), behind)].into() } else { [].into() },
                    kept: [].into(),
                };
                store.accept(acceptance, at).await
            }
            12 => {
                let problem = self.random.bool().then(|| "a problem".to_owned());
                store.note_problem(&page(number), problem, at).await
            }
            _ => store.set_fact("held", self.random.bool().then(|| format!("{}", self.random.u8(..4)))).await,
        }
    }
}

/// Returns all that commands read of a store and that is more than history.
fn seen(reading: &dyn Reading) -> String {
    let pages = reading.pages().unwrap();
    let overrides = reading.overrides("2026-12-25T00:00:00Z".parse().unwrap(), true).unwrap();
    let drifts = reading.drifts(None, true, 1_000).unwrap();
    let (approvals, remembered) = (reading.approvals().unwrap(), reading.remembered().unwrap());
    let held = reading.fact("held").unwrap();
    format!("{pages:#?}\n{overrides:#?}\n{drifts:#?}\n{approvals:#?}\n{remembered:#?}\n{held:?}")
}

fn assert_same(one: &str, other: &str, what: &str) {
    let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    assert!(one == other, "{what}: {differs:?} of\n{one}\nand\n{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_reads_like_the_database_and_what_is_done_on_it_comes_back() {
    let mut case = Case::new(7);
    for round in 0..6 {
        let stores = case.open().await;
        for part in 0..6 {
            case.until_copied();
            for owner in owners() {
                let database = seen(&*case.location.read(Some(&owner)).unwrap().unwrap());
                let copy = seen(&*case.location.copy().read(Some(&owner)).unwrap());
                assert_same(&database, &copy, &format!("round {round}.{part}: the copy of {}", owner.id));
            }
            // As after transactions that failed.
            for table in ["writes", "pages", "overrides", "drifts"] {
                case.sql(&format!("SELECT nextval(pg_get_serial_sequence('rtconfd.{table}', 'id'))"));
            }
            case.work(&stores, 25).await;
        }
        case.until_copied();
        drop(stores);
        if round % 2 == 0 {
            continue;
        }
        case.server.stop("KILL");
        let decision = Alone { since: WallClock.now(), who: "anna".to_owned(), reason: None };
        case.location.decide(&decision).unwrap();
        let alone = case.open().await;
        case.work(&alone, 150).await;
        let of =
            |case: &Case| owners().map(|owner| seen(&*case.location.read(Some(&owner)).unwrap().unwrap()));
        let before = of(&case);
        drop(alone);
        case.server.start_again();
        let history = "SELECT string_agg(w::TEXT, '|' ORDER BY id) FROM rtconfd.writes AS w WHERE id <= 20;
            SELECT string_agg(d::TEXT, '|' ORDER BY id) FROM rtconfd.drifts AS d WHERE ended_at < '2026-12-24T18:00Z'";
        let kept = case.sql(history);
        drop(case.open().await);
        assert_same(&kept, &case.sql(history), &format!("round {round}: the history"));
        assert_eq!(case.location.alone().unwrap(), None);
        for (before, after) in before.iter().zip(of(&case)) {
            assert_same(before, &after, &format!("round {round}: the database"));
        }
    }
    // The history has each PATCH, also those of the times alone.
    assert_eq!(case.sql("SELECT count(*) FROM rtconfd.writes"), case.intents.to_string());
    let changes = "SELECT count(*) FROM rtconfd.writes WHERE id NOT IN (SELECT write FROM rtconfd.changes)";
    assert_eq!(case.sql(changes), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_a_transaction_whose_commit_was_not_confirmed() {
    let case = Case::new(9);
    // The commit itself fails, as it does without an answer.
    case.sql(
        "CREATE FUNCTION rtconfd.fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
            CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON rtconfd.facts DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.value = 'unconfirmed') EXECUTE FUNCTION rtconfd.fail()",
    );
    let stores = case.open().await;
    stores[0].set_fact("held", Some("confirmed".to_owned())).await.unwrap();
    case.until_copied();
    stores[0].set_fact("held", Some("unconfirmed".to_owned())).await.unwrap_err();
    drop(stores);
    let reading = case.location.copy().read(Some(&owners()[0])).unwrap();
    assert_eq!(reading.fact("held").unwrap().as_deref(), Some("unconfirmed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_come_back_once_after_attempts_that_failed() {
    let mut case = Case::new(8);
    let copy = case.decided().await;
    // The first attempt is refused.
    case.sql(
        "CREATE FUNCTION rtconfd.fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
            CREATE TRIGGER never BEFORE INSERT OR UPDATE ON rtconfd.facts
                FOR EACH ROW WHEN (NEW.name = 'alone') EXECUTE FUNCTION rtconfd.fail()",
    );
    assert!(case.refused().contains("failed: no"), "{}", case.refused());
    // Of the second one only the answer is lost, and the third one is refused.
    let lease: String = copy.query_row("SELECT new_lease FROM origin", [], |row| row.get(0)).unwrap();
    case.sql(&format!(
        "UPDATE rtconfd.lease SET holder = '{lease}', epoch = epoch + 1, commits = commits + 1"
    ));
    assert!(case.refused().contains("failed: no"), "{}", case.refused());
    case.sql("DROP TRIGGER never ON rtconfd.facts");
    let back = case.open().await;
    assert_eq!(back[0].fact("held").await.unwrap().as_deref(), Some("alone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_never_come_back_after_another_replica_and_the_decision_ends() {
    let mut case = Case::new(9);
    let copy = case.decided().await;
    let lease = case.sql("SELECT epoch || ' ' || commits FROM rtconfd.lease");
    let (epoch, commits) = lease.split_once(' ').unwrap();
    let commits: i64 = commits.parse().unwrap();
    // The database lost transactions, so another replica got the number of the copied lease.
    for holder in ["'other'", "NULL"] {
        case.sql(&format!(
            "UPDATE rtconfd.lease SET holder = {holder}, described = 'process 1 on other',
                epoch = {epoch}, commits = {}",
            commits - 1
        ));
        assert!(case.refused().contains("that of process 1 on other"), "{}", case.refused());
    }
    case.sql(&format!(
        "UPDATE rtconfd.lease SET holder = 'other', epoch = epoch + 1, commits = {}",
        commits + 1
    ));
    assert!(case.refused().contains("that of process 1 on other"), "{}", case.refused());
    // A store that was created anew is another one, too.
    case.sql(&format!(
        "UPDATE rtconfd.meta SET store = gen_random_uuid();
            UPDATE rtconfd.lease SET holder = NULL, described = '', epoch = {epoch}, commits = {commits}"
    ));
    assert!(case.refused().contains("that of no program"), "{}", case.refused());
    // At the next outage it does not run alone by the same decision.
    case.server.stop("KILL");
    assert!(case.refused().contains("cannot reach the store"), "{}", case.refused());
    // Without the refusal it does, but not after a pause.
    copy.execute("UPDATE origin SET refused = NULL", []).unwrap();
    drop(case.open().await);
    let long_ago = "UPDATE origin SET at = '2026-11-01T00:00:00Z', since = '2026-11-01T00:00:00Z'";
    copy.execute(long_ago, []).unwrap();
    let used = case.folder.path().join("copy.sqlite.used");
    std::fs::write(used, "2026-11-01T00:00:00Z").unwrap();
    assert!(case.refused().contains("not followed after a pause"), "{}", case.refused());
    copy.execute("UPDATE origin SET database = 'postgres://other', since = ?1", [WallClock.now()]).unwrap();
    assert!(case.refused().contains("it is a copy of postgres://other"), "{}", case.refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_of_use_right_after_a_restart_and_after_the_way_back() {
    let mut case = Case::new(10);
    for round in 0..3 {
        let stores = case.decided().await;
        drop(stores);
        // The way back, and a restart.
        let back = case.open().await;
        case.until_copied();
        drop(back);
        let again = case.open().await;
        again[0].set_fact("held", Some(format!("{round}"))).await.unwrap();
        case.until_copied();
        drop(again);
        let copied = case.location.copy().read(Some(&owners()[0])).unwrap().fact("held").unwrap();
        assert_eq!(copied, Some(format!("{round}")), "round {round}");
    }
}
