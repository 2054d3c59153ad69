//! Simulates a seed: advances time from wake-up to wake-up, writes and breaks files, changes pages,
//! kills and restarts the driver, sets the clock, and judges the state once everything is quiet.

mod checks;
mod driver;
mod edits;
mod faults;
mod figures;
mod people;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use fastrand::Rng;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::reconcile::{Board, Ended, Feed};
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::sources::{Content, Files, ReadFiles, Stamp, Unread};
use rtconfd::store::{Store, StoreError, sqlite};
use rtconfd::zone::Database;
use rusqlite::Connection;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::model::{At, Has, Inputs, Place, ZONES};
use super::remote::Remote;

pub use figures::Figures;

/// The name of an edit of the settings.
const SETTINGS: &str = "rtconfd.toml";
const FILES: [&str; 5] = ["sites.csv", "closures.csv", "messages.json", "holidays.ics", "regions.csv"];
/// The time in which all pages converge after faults end.
const RECOVERY: Duration = Duration::from_secs(60);
/// A revision that changes more pages than this is held.
const AT_ONCE: usize = 5;
/// The time between edits of inputs; closer ones would add up to a held change.
const APART: TimeDelta = TimeDelta::minutes(65);

/// Files in memory.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl ReadFiles for Memory {
    fn read(&self, path: &Path, _: u64) -> Result<Content, Unread> {
        let files = self.0.lock().unwrap();
        let missing = || Unread { why: "the file is missing".to_owned(), may_pass: false };
        let bytes = files.get(path).ok_or_else(missing)?;
        Ok(Content { bytes: bytes.as_slice().into(), steady: true, quiet: false })
    }

    fn quiet_stamp(&self, _: &Path) -> Option<Stamp> {
        None
    }

    fn writer(&self, _: &Path) -> Option<String> {
        None
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// A driver and its channels.
struct Running {
    feed: mpsc::Sender<Feed>,
    board: Board,
    task: JoinHandle<Result<Ended, StoreError>>,
    files: Files,
}

pub struct World {
    seed: u64,
    random: Rng,
    pub clock: ManualClock,
    pub remote: Remote,
    settings: Settings,
    disk: Memory,
    database: Arc<Mutex<Connection>>,
    store: Arc<dyn Store>,
    running: Option<Running>,
    /// The intended content of the files, which the model of the remote has too.
    inputs: Inputs,
    keep_history: TimeDelta,
    /// True if each start is that of another replica, with files of its own.
    is_shared: bool,
    /// The contents of files before their last change, which a replica may still have.
    replaced: BTreeMap<&'static str, Vec<u8>>,
    /// The settings before their last change.
    replaced_settings: Option<Settings>,
    /// The kind of damage of the currently broken file.
    broken: Option<&'static str>,
    next_edit: At,
    /// The uptime since which no fault is active.
    well_since: Duration,
    /// The uptime since which no event delayed or restarted a promotion.
    ///
    /// A restart does not count.
    undisturbed_since: Duration,
    /// The time of the last check of the pages.
    judged_at: At,
    restarts: u64,
    pub figures: Figures,
    /// The latest events.
    recent_events: Vec<String>,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn new(seed: u64, is_shared: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        // Some worlds have promoted pages, or pages for a region.
        let has = Has { followers: matches!(seed % 16, 0 | 3), region: matches!(seed % 16, 0 | 2) };
        let sites = match seed % 10 {
            // Some worlds are large enough for an accidental change to be held.
            5 if has.followers => 7,
            5 => 12,
            _ => random.usize(1..5),
        };
        let inputs = Inputs::any(&mut random, sites, has);
        Self::of(seed, random, inputs, TimeDelta::MAX, is_shared).await
    }

    /// Creates a world with these inputs.
    pub async fn of(
        seed: u64,
        mut random: Rng,
        inputs: Inputs,
        keep_history: TimeDelta,
        is_shared: bool,
    ) -> Self {
        let clock = ManualClock::new("2026-09-07T00:00:00Z".parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        // All worlds of a process share the embedded zones, and each stores the zones used so far.
        // A world must not depend on earlier ones, or it could not be replayed.
        for zone in ZONES {
            Database::embedded().zone(zone.name()).unwrap();
        }
        let settings = written(&folder.path().join(SETTINGS), &inputs);
        let database = Arc::new(Mutex::new(Connection::open_in_memory().unwrap()));
        let remote = Remote::new(clock.clone(), Rng::with_seed(random.u64(..)), inputs.clone());
        let store = sqlite::in_place(database.clone(), &settings.owner()).unwrap();
        let mut world = Self {
            seed,
            random,
            next_edit: clock.now() + APART,
            judged_at: clock.now(),
            clock,
            remote,
            settings,
            disk: Memory::default(),
            store,
            database,
            running: None,
            inputs,
            keep_history,
            is_shared,
            replaced: BTreeMap::new(),
            replaced_settings: None,
            broken: None,
            well_since: Duration::ZERO,
            undisturbed_since: Duration::ZERO,
            restarts: 0,
            figures: Figures::default(),
            recent_events: Vec::new(),
            _folder: folder,
        };
        for name in FILES {
            world.put(name);
        }
        world.start(None).await;
        world.quiet().await;
        world
    }

    pub fn violations(&self) -> Vec<String> {
        self.remote.state().violations.clone()
    }

    /// Returns the latest events, for diagnosis.
    pub async fn recent_events(&self) -> String {
        let status = tokio::time::timeout(Duration::from_secs(1), self.status()).await;
        format!("{}\n{status:#?}", self.recent_events.join("\n"))
    }

    fn note_event(&mut self, what: String) {
        if self.recent_events.len() >= 20 {
            self.recent_events.remove(0);
        }
        self.recent_events.push(format!("{} {what}", self.clock.now().format("%Y-%m-%dT%H:%M:%S")));
    }

    fn violation(&self, what: String) {
        let what = format!("{what} (at {})", self.clock.now());
        self.remote.state().violation(what);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.file.parent().unwrap().join(name)
    }

    fn content(&self, name: &str) -> String {
        match name {
            "sites.csv" => self.inputs.sites_csv(),
            "closures.csv" => self.inputs.closures_csv(),
            "messages.json" => self.inputs.messages_json(),
            "regions.csv" => self.inputs.regions_csv(),
            _ => self.inputs.holidays_ics(),
        }
    }

    fn put(&self, name: &str) {
        self.disk.0.lock().unwrap().insert(self.path(name), self.content(name).into_bytes());
    }

    /// Waits until nothing moves: runtime time advances only when all tasks wait.
    async fn quiet(&mut self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        {
            let mut state = self.remote.state();
            // Delayed answers have arrived.
            if state.models.len() > 1 {
                state.models.remove(0);
            }
            state.overrides_before = state.overrides.clone();
        }
        if self.running.as_ref().is_some_and(|running| running.task.is_finished()) {
            let ended = self.running.take().unwrap().task.await.unwrap();
            if let Err(error) = ended
                && !error.to_string().contains("full")
            {
                self.violation(format!("the driver ended: {error}"));
            }
        }
    }

    /// Advances time like [`pass`](Self::pass), without judging every page at every step.
    pub async fn hurry(&mut self, until: At, mut done: impl FnMut(&Remote) -> bool) -> bool {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = self.clock.now();
            if done(&self.remote) {
                return true;
            }
            if now >= until {
                return false;
            }
            let next = self.clock.next_wait().filter(|next| *next > now).unwrap_or(until);
            self.clock.set(next.min(until));
        }
    }

    fn restart_recovery(&mut self) {
        self.well_since = self.clock.uptime();
    }

    /// Records an event that may delay promotions.
    fn disturb(&mut self) {
        self.restart_recovery();
        self.undisturbed_since = self.clock.uptime();
    }

    /// Returns the extra time after a transition, since many pages share the rate limit.
    fn slack(&self) -> Duration {
        Duration::from_secs(if self.defined().len() > 8 { 12 } else { 0 })
    }

    /// Returns the pages that the settings define.
    fn defined(&self) -> Vec<Place> {
        self.inputs.places().into_iter().filter(|place| self.inputs.defines(*place)).collect()
    }

    fn any_place(&mut self) -> Place {
        let defined = self.defined();
        defined[self.random.usize(..defined.len())]
    }

    /// Advances time, stopping at each wake-up of the driver.
    async fn pass(&mut self, length: TimeDelta) {
        let to = self.clock.now() + length;
        loop {
            self.quiet().await;
            self.judge_pages();
            let now = self.clock.now();
            if now >= to || !self.violations().is_empty() {
                return;
            }
            // A late answer may be due before the driver wakes up; both wait on the clock.
            let next = self.clock.next_wait().filter(|next| *next > now).unwrap_or(to);
            self.clock.set(next.min(to));
        }
    }

    /// Advances time by a random number of minutes.
    async fn pass_some(&mut self, least: i64, most: i64) {
        let minutes = self.random.i64(least..most);
        self.pass(TimeDelta::minutes(minutes)).await;
    }

    /// Simulates one week in steps of a few hours, each with an event or none.
    pub async fn week(&mut self) {
        let end = self.clock.now() + TimeDelta::days(7);
        self.forget_ended_overrides();
        while self.clock.now() < end && self.violations().is_empty() {
            let hours = self.random.i64(1..20);
            self.pass_some(hours * 60 - 40, hours * 60).await;
            let event = self.random.u8(..20);
            self.note_event(format!("event {event}"));
            match event {
                0..=2 => self.edit().await,
                3 => self.edit_twice().await,
                4 => self.break_file().await,
                5 if self.random.bool() => self.drift().await,
                5 => self.take_over(),
                6 | 7 => self.apply_override().await,
                8 => self.inject_faults().await,
                9 => self.storm().await,
                10 | 11 => self.kill().await,
                12 => self.step().await,
                13 => self.jump_clock().await,
                14 => self.suspend().await,
                15 => self.fill_disk().await,
                16 => self.tighten_schema().await,
                17 => self.accident().await,
                _ => self.edit_elsewhere(),
            }
        }
        // History that was partly deleted cannot be replayed.
        if self.keep_history == TimeDelta::MAX {
            self.judge_history().await;
        }
    }

    /// Returns the rows of each table of the store.
    pub fn rows(&self) -> BTreeMap<String, i64> {
        let database = self.database.lock().unwrap();
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut tables = database.prepare(tables).unwrap();
        let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let count = |name: &str| {
            database.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap()
        };
        names.map(|name| (name.clone(), count(&name))).collect()
    }

    pub async fn end(mut self) -> (Figures, u64) {
        if let Some(running) = self.running.take() {
            let _ = running.feed.send(Feed::Stop).await;
            running.task.await.unwrap().unwrap();
        }
        let state = self.remote.state();
        let mut trace = state.trace.clone();
        state.requests.hash(&mut trace);
        let figures = Figures { requests: state.requests, patches: state.patches, ..self.figures };
        (figures, trace.finish())
    }
}

/// Returns the settings, written and parsed.
fn written(path: &Path, inputs: &Inputs) -> Settings {
    std::fs::write(path, inputs.settings()).unwrap();
    let settings = Settings::load(path, &Surroundings::default());
    settings.unwrap_or_else(|report| panic!("{}", report.render(false)))
}
