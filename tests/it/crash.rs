//! The process killed at random instants under load, repeatedly on one store. Afterwards no write
//! is lost or repeated, and the history replays to the values on the pages.
//!
//! `RTCONFD_CRASHES=1000 cargo test --test it crash -- --nocapture` kills a thousand times.
//! `RTCONFD_CRASH_SEED` repeats the delays of an earlier run, as closely as timing allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;
use rtconfd::simulator::{Fault, Kind};
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

use crate::support::{Api, Folder, Process, until};

const PAGES: usize = 20;
/// Kills per store.
///
/// A longer run then starts a new store, so that checking the history does not dominate.
const KILLS_PER_STORE: usize = 100;
const SETTINGS: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = "live"
variables = { serial = { column = "serial" }, echo = { column = "serial" } }
"#;

/// The values that one PATCH sets on one page, unique to a revision of the file.
type Sent = (String, String);

/// A row of the store's `writes` with its intended values.
#[derive(Clone, Debug, PartialEq)]
struct Write {
    id: i64,
    agent: String,
    outcome: String,
    changes: String,
}

impl Write {
    fn is_open(&self) -> bool {
        ["intended", "unknown"].contains(&self.outcome.as_str())
    }

    fn sent(&self) -> Sent {
        (self.agent.clone(), self.changes.clone())
    }
}

/// The source under load: some rows get a new serial with every revision.
struct Csv {
    serials: Vec<u64>,
    last: u64,
}

impl Csv {
    fn revise(&mut self, folder: &Folder, random: &mut Rng) {
        for serial in &mut self.serials {
            if random.u8(..) < 100 {
                self.last += 1;
                *serial = self.last;
            }
        }
        let mut text = "site,agent,serial\n".to_owned();
        for (site, serial) in self.serials.iter().enumerate() {
            writeln!(text, "s{site},A-{site},n{serial}").unwrap();
        }
        folder.write("sites.csv", &text);
    }

    fn expected(&self, site: usize) -> Value {
        Value::from(format!("n{}", self.serials[site]))
    }
}

/// Figures of a run.
#[derive(Debug, Default)]
struct Figures {
    kills: usize,
    kills_before_the_store: usize,
    kills_with_open_intents: usize,
    open_intents: usize,
    revisions: u64,
    writes: usize,
    looked_up_as_applied: usize,
    looked_up_as_failed: usize,
    overwritten: usize,
    patches: usize,
    intended_again_after_a_cut: usize,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.kills_before_the_store += other.kills_before_the_store;
        self.kills_with_open_intents += other.kills_with_open_intents;
        self.open_intents += other.open_intents;
        self.revisions += other.revisions;
        self.writes += other.writes;
        self.looked_up_as_applied += other.looked_up_as_applied;
        self.looked_up_as_failed += other.looked_up_as_failed;
        self.overwritten += other.overwritten;
        self.patches += other.patches;
        self.intended_again_after_a_cut += other.intended_again_after_a_cut;
    }
}

/// One store, its API, and the state observed after each kill.
struct Run {
    api: Api,
    folder: Folder,
    scratch: tempfile::TempDir,
    random: Rng,
    csv: Csv,
    /// The writes at the last check.
    writes: Vec<Write>,
    /// The writes that a kill left open.
    cut_off: BTreeSet<i64>,
    figures: Figures,
}

impl Run {
    fn new(seed: u64) -> Self {
        let api = Api::start();
        // Leaves time for a kill before and after a PATCH is applied.
        api.simulator.inject(Fault::new(Kind::Latency { ms: 2 }).method("PATCH"));
        api.simulator.inject(Fault::new(Kind::AppliedThenLatency { ms: 3 }).method("PATCH"));
        let folder = Folder::new(&api.url, SETTINGS);
        let mut run = Self {
            api,
            folder,
            scratch: tempfile::tempdir().unwrap(),
            random: Rng::with_seed(seed),
            csv: Csv { serials: vec![0; PAGES], last: 0 },
            writes: Vec::new(),
            cut_off: BTreeSet::new(),
            figures: Figures::default(),
        };
        run.csv.revise(&run.folder, &mut run.random);
        run
    }

    fn start(&self) -> Process {
        let _ = std::fs::remove_file(self.folder.log());
        // The test needs a burst of work; the rate limit would spread it over a minute.
        let fast = ["--set", "api.rate=10000", "--set", "api.burst=10000"];
        // Every revision changes many pages.
        let unheld = ["--set", "hold.pages_percent=100"];
        self.folder.spawn(&[&["run"][..], &fast, &unheld].concat())
    }

    /// Rewrites the source for a random time, then kills the process.
    ///
    /// The delay is under test, so this sleeps instead of waiting for a condition.
    async fn kill_under_load(&mut self) {
        let mut process = self.start();
        // The delay starts at the launch or, half of the time, once the daemon is ready. Otherwise a
        // slow machine would only be killed during its start.
        if self.random.bool() {
            until("the daemon runs", || process.log().contains("running")).await;
        }
        let kill_at = tokio::time::Instant::now() + Duration::from_micros(self.random.u64(..150_000));
        loop {
            let next = Duration::from_millis(self.random.u64(3..25));
            if tokio::time::Instant::now() + next > kill_at {
                break;
            }
            tokio::time::sleep(next).await;
            self.csv.revise(&self.folder, &mut self.random);
            self.figures.revisions += 1;
        }
        tokio::time::sleep_until(kill_at).await;
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        self.figures.kills += 1;
    }

    /// Opens a copy of the store, so that the next start must recover the original itself.
    fn copy(&self) -> Option<Connection> {
        let store = self.folder.path("state.sqlite");
        let copy = self.scratch.path().join("state.sqlite");
        for ending in ["", "-wal"] {
            let to = copy.with_file_name(format!("state.sqlite{ending}"));
            let _ = std::fs::remove_file(&to);
            let from = store.with_file_name(format!("state.sqlite{ending}"));
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            }
        }
        let _ = std::fs::remove_file(copy.with_file_name("state.sqlite-shm"));
        let connection = copy.exists().then(|| Connection::open(copy).unwrap())?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        (version > 0).then_some(connection)
    }

    /// Checks the store after a kill.
    fn check_store(&mut self) {
        let Some(store) = self.copy() else {
            assert!(self.writes.is_empty(), "the store is missing");
            self.figures.kills_before_the_store += 1;
            return;
        };
        assert_eq!(column(&store, "PRAGMA integrity_check"), ["ok"]);
        assert_eq!(column(&store, "PRAGMA foreign_key_check"), [""; 0]);
        let (replayed, bases) = (replayed(&store), bases(&store));
        let of_one = |one: &Values, other: &Values| -> Values {
            let differing = one.iter().filter(|(key, value)| other.get(key) != Some(value));
            differing.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let (history, state) = (of_one(&replayed, &bases), of_one(&bases, &replayed));
        assert!(
            history.is_empty() && state.is_empty(),
            "only in the history: {history:?}, only in the baselines: {state:?}"
        );
        let writes = writes(&store);
        for (before, now) in self.writes.iter().zip(&writes) {
            assert!(before == now || before.is_open(), "a settled write changed: {before:?} -> {now:?}");
            assert_eq!((before.id, before.sent()), (now.id, now.sent()), "a write was lost");
        }
        assert!(writes.len() >= self.writes.len(), "writes were lost");
        let open: Vec<i64> = writes.iter().filter(|write| write.is_open()).map(|write| write.id).collect();
        self.figures.kills_with_open_intents += usize::from(!open.is_empty());
        self.figures.open_intents += open.len();
        self.cut_off.extend(open);
        self.writes = writes;
    }

    /// Runs one start without a kill: every page converges and no outcome stays open.
    async fn run_without_kill(&mut self) {
        self.api.simulator.heal();
        let mut process = self.start();
        // The killed process may have finished all work. Before that line, a signal kills this one.
        until("the daemon runs", || process.log().contains("running")).await;
        until("every page holds the last revision", || {
            (0..PAGES).all(|site| {
                let shown = self.api.variables(&format!("A-{site}"));
                let expected = self.csv.expected(site);
                shown["serial"] == expected && shown["echo"] == expected
            })
        })
        .await;
        until("no outcome is open", || {
            let pages = self.folder.stored().pages().unwrap();
            pages.values().all(|page| page.open.is_none())
        })
        .await;
        process.signal("TERM");
        assert_eq!(process.ends().await, 0, "{}", process.log());
        self.check_store();
        let store = self.copy().unwrap();
        for site in 0..PAGES {
            let agent = format!("A-{site}");
            let shown = self.api.variables(&agent);
            for variable in ["serial", "echo"] {
                let base = bases(&store).remove(&(agent.clone(), variable.to_owned()));
                assert_eq!(base, Some(shown[variable].to_string()), "{agent}: baseline and page differ");
            }
        }
    }

    /// Compares the requests that the API received with the history.
    fn check_ledger(&mut self) {
        let mut intended: BTreeMap<Sent, Vec<&Write>> = BTreeMap::new();
        for write in &self.writes {
            assert!(!write.is_open(), "{write:?} is still open");
            intended.entry(write.sent()).or_default().push(write);
        }
        let mut patches: BTreeMap<Sent, (usize, usize)> = BTreeMap::new();
        for patch in self.api.requests("PATCH") {
            let agent = patch.path.split('/').nth(3).unwrap().to_owned();
            let body = patch.body.as_ref().unwrap()["variables"].as_object().unwrap();
            let (sent, applied) = patches.entry((agent, as_text(body))).or_default();
            *sent += 1;
            *applied += usize::from(patch.applied);
            self.figures.patches += 1;
        }
        for (sent, (count, applied)) in &patches {
            let writes = intended.get(sent).map(Vec::as_slice).unwrap_or_default();
            assert!(*count <= writes.len(), "{sent:?} was sent {count} times, intended: {writes:?}");
            let known = |write: &&Write| ["applied", "overwritten"].contains(&write.outcome.as_str());
            assert!(*applied == 0 || writes.iter().any(known), "{sent:?} was applied, but: {writes:?}");
        }
        for (sent, writes) in &intended {
            let applied = patches.get(sent).map_or(0, |(_, applied)| *applied);
            let claimed = writes.iter().filter(|write| write.outcome == "applied").count();
            assert!(claimed <= applied, "{sent:?} was applied {applied} times, but: {writes:?}");
            self.figures.intended_again_after_a_cut += writes.len() - 1;
            // Only interrupted writes are intended again, and only if they were not applied.
            for write in &writes[..writes.len() - 1] {
                assert!(
                    self.cut_off.contains(&write.id) && write.outcome == "failed",
                    "intended again: {writes:?}"
                );
            }
        }
        self.count();
    }

    fn count(&mut self) {
        self.figures.writes = self.writes.len();
        for write in self.writes.iter().filter(|write| self.cut_off.contains(&write.id)) {
            match write.outcome.as_str() {
                "applied" => self.figures.looked_up_as_applied += 1,
                "failed" => self.figures.looked_up_as_failed += 1,
                _ => self.figures.overwritten += 1,
            }
        }
    }
}

fn column(store: &Connection, query: &str) -> Vec<String> {
    let mut statement = store.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Values of pages by agent and variable.
type Values = BTreeMap<(String, String), String>;

fn values(store: &Connection, query: &str) -> Values {
    let read = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
    let mut statement = store.prepare(query).unwrap();
    let rows = statement.query_map([], read).unwrap();
    rows.map(Result::unwrap).collect()
}

fn bases(store: &Connection) -> Values {
    values(store, "SELECT agent, variable, value FROM bases JOIN pages ON pages.id = bases.page")
}

/// Replays the applied changes in order; later ones replace earlier ones.
fn replayed(store: &Connection) -> Values {
    values(
        store,
        "SELECT agent, variable, after FROM changes JOIN writes ON writes.id = changes.write
            JOIN pages ON pages.id = writes.page WHERE outcome = 'applied' ORDER BY writes.id",
    )
}

fn writes(store: &Connection) -> Vec<Write> {
    let mut statement = store
        .prepare(
            "SELECT writes.id, agent, outcome, json_group_object(variable, json(after)) FROM changes
                JOIN writes ON writes.id = changes.write JOIN pages ON pages.id = writes.page
                GROUP BY writes.id ORDER BY writes.id",
        )
        .unwrap();
    let read = |row: &Row<'_>| {
        let changes: String = row.get(3)?;
        let changes: Map<String, Value> = serde_json::from_str(&changes).unwrap();
        // A variable is a JSON Pointer in the store and a key on the wire.
        let keys = changes.into_iter().map(|(key, value)| (key.trim_start_matches('/').to_owned(), value));
        Ok(Write {
            id: row.get(0)?,
            agent: row.get(1)?,
            outcome: row.get(2)?,
            changes: as_text(&keys.collect()),
        })
    };
    let rows = statement.query_map([], read).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Renders values as text independent of their order.
fn as_text(values: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = values.iter().collect();
    serde_json::to_string(&sorted).unwrap()
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// A guard that prints the seed when the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to try again: RTCONFD_CRASH_SEED={}", self.0);
        }
    }
}

#[tokio::test]
async fn kills_at_random_instants_under_load_lose_and_repeat_no_write() {
    let kills = from_environment("RTCONFD_CRASHES").map_or(60, |kills| usize::try_from(kills).unwrap());
    let seed = Seed(from_environment("RTCONFD_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..)));
    let mut total = Figures::default();
    while total.kills < kills {
        let mut run = Run::new(seed.0.wrapping_add(total.kills as u64));
        for _ in 0..KILLS_PER_STORE.min(kills - total.kills) {
            run.kill_under_load().await;
            run.check_store();
        }
        run.run_without_kill().await;
        run.check_ledger();
        total.add(&run.figures);
    }
    crate::support::report(&format!("{total:?}"));
    // A run without an interrupted write would prove nothing.
    assert!(kills < 60 || total.kills_with_open_intents > kills / 20, "{total:?}");
}
