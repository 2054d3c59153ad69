//! Simulates a seed: advances time from wake-up to wake-up, writes and breaks files, changes pages,
//! kills and restarts the driver, sets the clock, and judges the state once everything is quiet.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use fastrand::Rng;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::listener::Asking;
use rtconfd::reconcile::{
    ActiveRevision, Actor, Board, Control, Driver, Ended, Feed, Mode, Newest, Pace, Setup, Status,
    Unsupervised,
};
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::sources::{Content, Files, ReadFiles, Stamp, Unread, Writers, Writing};
use rtconfd::store::{Store, StoreError, Writer};
use rtconfd::zone::Database;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::model::{AFTER, At, Has, Inputs, Overridden, Place, REGION, REGIONS, Said, Site, ZONES, part};
use super::remote::{Page, Remote, State, Weather};

/// The name of an edit of the settings.
const SETTINGS: &str = "rtconfd.toml";
const FILES: [&str; 5] = ["sites.csv", "closures.csv", "messages.json", "holidays.ics", "regions.csv"];
/// The time in which all pages converge after faults end.
const RECOVERY: Duration = Duration::from_secs(60);
/// A revision that changes more pages than this is held.
const AT_ONCE: usize = 5;
/// The time between edits of inputs; closer ones would add up to a held change.
const APART: TimeDelta = TimeDelta::minutes(65);

/// Counts of the events of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub requests: u64,
    pub patches: u64,
    pub restarts: u64,
    pub kills: u64,
    pub edits: u64,
    pub moves: u64,
    pub arrivals: u64,
    pub reloads: u64,
    pub bad_files: u64,
    pub drifts: u64,
    pub overrides: u64,
    pub accidents: u64,
    pub approvals: u64,
    pub storms: u64,
    pub steps: u64,
    pub leaps: u64,
    pub suspends: u64,
    pub full_disks: u64,
    pub judged: u64,
}

impl Figures {
    pub fn add(&mut self, other: &Self) {
        let Self {
            requests,
            patches,
            restarts,
            kills,
            edits,
            moves,
            arrivals,
            reloads,
            bad_files,
            drifts,
            overrides,
            accidents,
            ..
        } = other;
        self.requests += requests;
        self.patches += patches;
        self.restarts += restarts;
        self.kills += kills;
        self.edits += edits;
        self.moves += moves;
        self.arrivals += arrivals;
        self.reloads += reloads;
        self.bad_files += bad_files;
        self.drifts += drifts;
        self.overrides += overrides;
        self.accidents += accidents;
        let Self { approvals, storms, steps, leaps, suspends, full_disks, judged, .. } = other;
        self.approvals += approvals;
        self.storms += storms;
        self.steps += steps;
        self.leaps += leaps;
        self.suspends += suspends;
        self.full_disks += full_disks;
        self.judged += judged;
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl ReadFiles for Memory {
    fn read(&self, path: &Path) -> Result<Content, Unread> {
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
    store: Writer,
    running: Option<Running>,
    /// The intended content of the files, which the model of the remote has too.
    inputs: Inputs,
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
    tale: Vec<String>,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        // Some worlds have more kinds of pages than others.
        let has = Has { followers: matches!(seed % 16, 0 | 3), region: matches!(seed % 16, 0 | 2) };
        let sites = match seed % 10 {
            // Some worlds are large enough for an accidental change to be held.
            5 if has.followers => 7,
            5 => 12,
            _ => random.usize(1..5),
        };
        let inputs = Inputs::any(&mut random, sites, has);
        Self::of(seed, random, inputs).await
    }

    /// Creates a world with these inputs.
    pub async fn of(seed: u64, mut random: Rng, inputs: Inputs) -> Self {
        let clock = ManualClock::new("2026-09-07T00:00:00Z".parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        // All worlds of a process share the embedded zones, and each stores those used so far. A
        // world that depended on others could not be replayed.
        for zone in ZONES {
            Database::embedded().zone(zone.name()).unwrap();
        }
        let settings = written(&folder.path().join(SETTINGS), &inputs);
        let database = Arc::new(Mutex::new(Connection::open_in_memory().unwrap()));
        let remote = Remote::new(clock.clone(), Rng::with_seed(random.u64(..)), inputs.clone());
        let mut world = Self {
            seed,
            random,
            next_edit: clock.now() + APART,
            judged_at: clock.now(),
            clock,
            remote,
            settings,
            disk: Memory::default(),
            store: Writer::in_place(database.clone()).unwrap(),
            database,
            running: None,
            inputs,
            broken: None,
            well_since: Duration::ZERO,
            undisturbed_since: Duration::ZERO,
            restarts: 0,
            figures: Figures::default(),
            tale: Vec::new(),
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
    pub async fn tale(&self) -> String {
        let status = tokio::time::timeout(Duration::from_secs(1), self.status()).await;
        format!("{}\n{status:#?}", self.tale.join("\n"))
    }

    fn note_event(&mut self, what: String) {
        if self.tale.len() >= 20 {
            self.tale.remove(0);
        }
        self.tale.push(format!("{} {what}", self.clock.now().format("%Y-%m-%dT%H:%M:%S")));
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

    /// Starts the driver with the stored state, or after a reload with the active revision.
    async fn start(&mut self, active: Option<ActiveRevision>) {
        self.restarts += 1;
        self.figures.restarts += 1;
        self.note_event("start".to_owned());
        let now = self.clock.now();
        self.remote.state().forget_rates();
        // A failed writer makes no further writes.
        self.store = Writer::in_place(self.database.clone()).unwrap();
        let remembered = self.store.remembered(&self.settings.api.base_url).await.unwrap();
        let active = active.unwrap_or_else(|| ActiveRevision::recall(&self.settings, &remembered, now, now));
        let mut files = Files::read_by(&self.settings, Box::new(self.disk.clone()));
        files.recall(&remembered.newest.inputs);
        files.look(&self.writers());
        let last_known = self.store.last_known().await.unwrap();
        let (feed, mut fed) = mpsc::channel(64);
        let board = Board::default();
        let driver = Driver::new(Setup {
            actor: Actor {
                api: Arc::new(self.remote.clone()),
                api_url: self.settings.api.base_url.clone(),
                store: Arc::new(self.store.clone()),
                clock: Arc::new(self.clock.clone()),
                who: "world".to_owned(),
            },
            set_key: Box::new(|_| {}),
            newest: Newest::of(&self.settings, files.revision(), 0),
            active,
            thresholds: self.settings.hold,
            last_known,
            pace: Pace { keep_history: TimeDelta::MAX, ..Pace::from(&self.settings) },
            seed: self.seed ^ self.restarts,
            board: board.clone(),
        });
        let driver = driver.await.unwrap();
        let task = tokio::spawn(async move { driver.run(Mode::Daemon, &mut fed, &Unsupervised).await });
        self.running = Some(Running { feed, board, task, files });
        self.unwell();
    }

    /// Marks all files as quiet except one that is being written.
    fn writers(&self) -> Writers {
        let writing = |name: &str| match self.broken == Some("torn") && name == "sites.csv" {
            true => Writing::Busy,
            false => Writing::Closed,
        };
        FILES.iter().map(|name| (self.path(name), writing(name))).collect()
    }

    /// Writes the settings and restarts the driver cleanly with them.
    async fn reload(&mut self) {
        self.figures.reloads += 1;
        self.settings = written(&self.settings.file, &self.inputs);
        let Some(running) = self.running.take() else { return };
        for page in self.remote.state().pages.values_mut() {
            page.unsure |= page.in_flight > 0;
        }
        let _ = running.feed.send(Feed::Reload).await;
        match running.task.await.unwrap() {
            Ok(ended) => self.start(Some(ended.active)).await,
            Err(error) => self.violation(format!("the driver ended: {error}")),
        }
    }

    /// Reports to the driver that a file may have changed.
    async fn report(&mut self) {
        let writers = self.writers();
        let Some(running) = &mut self.running else { return };
        if running.files.look(&writers).changed {
            let revision = Box::new(running.files.revision());
            running.feed.send(Feed::Inputs(0, revision)).await.unwrap();
        }
    }

    async fn ask<T>(&self, control: impl FnOnce(oneshot::Sender<T>) -> Control) -> Option<T> {
        let (send, answered) = oneshot::channel();
        self.running.as_ref()?.feed.send(Feed::Control(control(send))).await.ok()?;
        answered.await.ok()
    }

    async fn status(&self) -> Option<Status> {
        let board = &self.running.as_ref()?.board;
        let status = board.ask().await?;
        Some(Status::clone(&status))
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

    fn unwell(&mut self) {
        self.well_since = self.clock.uptime();
    }

    /// Records an event that may delay promotions.
    fn disturb(&mut self) {
        self.unwell();
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

    /// Checks that every page holds its desired values after a while without faults.
    fn judge_pages(&mut self) {
        let up = self.clock.uptime();
        let remote = self.remote.clone();
        let mut state = remote.state();
        let judged_at = std::mem::replace(&mut self.judged_at, self.clock.now());
        note_hidden_changes(&mut state, judged_at.min(self.judged_at), up);
        if let Some(until) = state.weather.storm_until {
            // The driver may not have woken up since it ended.
            self.well_since = self.well_since.max(until.min(up));
            self.undisturbed_since = self.undisturbed_since.max(until.min(up));
        }
        let calm = up.saturating_sub(self.well_since);
        if state.weather.failing + state.weather.late > 0
            || state.weather.storm_until.is_some_and(|until| up < until)
        {
            drop(state);
            return self.disturb();
        }
        let slack = self.slack();
        if calm < RECOVERY + slack || self.running.is_none() || state.forbidden.is_some() {
            return;
        }
        let now = self.clock.now();
        let resync = self.seen_within();
        for (place, page) in &mut state.pages {
            page.unsure = false;
            // The time of an edit is unknown while the page is not managed.
            if page.adrift_since.is_some() && !self.inputs.defines(*place) {
                page.adrift_since = Some(up);
            }
            if page.adrift_since.is_some_and(|since| up > since + resync) {
                page.adrift_since = None;
            }
        }
        let undisturbed = up.saturating_sub(self.undisturbed_since);
        // While a row is bad, promotions from its page wait.
        if self.broken.is_none() && undisturbed > AFTER + 2 * (RECOVERY + slack) {
            self.figures.arrivals += note_arrivals(&mut state, up - AFTER - 2 * (RECOVERY + slack));
        }
        let lately = (!slack.is_zero()).then(|| now - TimeDelta::from_std(slack).unwrap());
        let quiet = state.pages.iter().filter(|(_, page)| page.adrift_since.is_none() && page.in_flight == 0);
        let wrong: Vec<String> =
            quiet.flat_map(|(place, page)| judge_page(&state, *place, page, (now, lately), up)).collect();
        self.figures.judged += 1;
        drop(state);
        for what in wrong {
            self.violation(what);
        }
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
                8 => self.bad_weather().await,
                9 => self.storm().await,
                10 | 11 => self.kill().await,
                12 => self.step().await,
                13 => self.jump_clock().await,
                14 => self.suspend().await,
                15 => self.fill_disk().await,
                16 => self.tighten_schema().await,
                17 => self.accident().await,
                _ => self.meddle(),
            }
        }
        self.judge_history().await;
    }

    /// Makes an ordinary edit of one file, replaced as a whole.
    async fn edit(&mut self) {
        if self.clock.now() < self.next_edit || self.broken.is_some() {
            return;
        }
        self.next_edit = self.clock.now() + APART;
        self.figures.edits += 1;
        let site = self.random.usize(..self.inputs.sites.len());
        let (name, is_held) = self.alter(site);
        self.note_event(format!("{name}, with site {site}"));
        if is_held {
            return self.held(name).await;
        }
        self.remote.state().come(self.inputs.clone(), self.clock.uptime());
        self.change(name).await;
        self.disturb();
    }

    /// Alters the inputs; returns the changed file, and true if the change will be held.
    fn alter(&mut self, site: usize) -> (&'static str, bool) {
        let today = self.clock.now().date_naive();
        let everywhere = self.inputs.sites.len() * if self.inputs.has.followers { 2 } else { 1 };
        let kinds = if self.inputs.has.region { 10 } else { 7 };
        match self.random.u8(..kinds) {
            0 => {
                self.inputs.sites[site].phone = format!("0{}", self.random.u16(..));
                ("sites.csv", false)
            }
            1 => {
                let Site { phone, region, .. } = self.inputs.sites[site].clone();
                self.inputs.sites[site] = Site { phone, region, ..Site::any(&mut self.random, site) };
                ("sites.csv", false)
            }
            2 | 3 => {
                let date = today + chrono::Days::new(self.random.u64(1..20));
                let open = self.random.bool().then_some((10 * 60, 15 * 60));
                self.inputs.closures.insert((site, date), open);
                // Old rows are removed one at a time, since more at once would be held.
                let oldest = self.inputs.closures.keys().min_by_key(|(_, date)| *date).copied();
                if self.inputs.closures.len() > 40 {
                    self.inputs.closures.remove(&oldest.unwrap());
                }
                ("closures.csv", false)
            }
            4 => {
                // Far enough ahead not to be a sudden closure of everything, even on sandboxes.
                self.inputs.holidays.insert(today + chrono::Days::new(self.random.u64(23..60)));
                while self.inputs.holidays.len() > 30 {
                    self.inputs.holidays.pop_first();
                }
                ("holidays.ics", false)
            }
            5 => {
                self.inputs.motto = format!("we care {}", self.random.u32(..));
                (SETTINGS, everywhere > AT_ONCE)
            }
            6 => {
                self.inputs.greeting = format!("hello {}", self.random.u16(..));
                ("messages.json", everywhere > AT_ONCE)
            }
            7 => {
                let region = self.random.usize(..2);
                self.inputs.managers[region] = format!("anna {}", self.random.u16(..));
                let is_shown = |place: &Place| matches!(place, Place::Ahead(_) | Place::Board);
                let shown_on = self.defined().into_iter().filter(is_shown).count();
                ("regions.csv", REGIONS[region] == REGION && shown_on > AT_ONCE)
            }
            _ => {
                self.figures.moves += 1;
                let other = usize::from(self.inputs.sites[site].region == REGIONS[0]);
                self.inputs.sites[site].region = REGIONS[other];
                ("sites.csv", false)
            }
        }
    }

    /// Makes an edit, then another or a restart while the first waits for promotion.
    async fn edit_twice(&mut self) {
        self.edit().await;
        if !self.inputs.has.followers {
            return;
        }
        self.pass_some(66, 170).await;
        match self.random.bool() {
            true => self.edit().await,
            false => self.kill_now().await,
        }
    }

    /// Writes the current inputs to a file.
    async fn change(&mut self, name: &'static str) {
        if name == SETTINGS {
            return self.reload().await;
        }
        self.put(name);
        self.report().await;
    }

    /// Makes a change that is held, and approves it some time later.
    async fn held(&mut self, name: &'static str) {
        let intended = self.inputs.clone();
        self.change(name).await;
        self.inputs = self.remote.state().models[0].clone();
        self.pass_some(1, 600).await;
        if self.running.is_none() {
            self.start(None).await;
            self.quiet().await;
        }
        let Some(held) = self.status().await.and_then(|status| status.held) else {
            return self.violation(format!("hold: {name} changed every page and is not held"));
        };
        self.figures.approvals += 1;
        self.inputs = intended;
        {
            // During the rollout both models are valid.
            let mut state = self.remote.state();
            state.models.truncate(1);
            state.come(self.inputs.clone(), self.clock.uptime());
        }
        let revision = held.revision;
        let approved = self.ask(|answer| Control::Approve { revision, who: "anna".to_owned(), answer }).await;
        if approved.is_none_or(|approved| approved.is_err()) {
            self.violation("hold: the approval was refused".to_owned());
        }
        for _ in 0..120 {
            let both = self.remote.state().models.clone();
            self.quiet().await;
            if self.status().await.is_none_or(|status| status.rollout.is_none()) {
                break;
            }
            if both.len() > 1 {
                self.remote.state().models = both;
            }
            self.clock.set(self.clock.now() + TimeDelta::seconds(1));
        }
        self.remote.state().models = vec![self.inputs.clone()];
        self.next_edit = self.clock.now() + APART;
        self.disturb();
    }

    /// Breaks a file for some hours: torn, emptied, cut, a bad row, missing.
    ///
    /// The last good content stays active.
    async fn break_file(&mut self) {
        self.figures.bad_files += 1;
        let used = if self.inputs.has.region { FILES.len() } else { FILES.len() - 1 };
        let name = FILES[self.random.usize(..used)];
        let good = self.content(name).into_bytes();
        let (kind, bad) = match self.random.u8(..6) {
            0 if name == "sites.csv" => ("torn", Some(good[..self.random.usize(..good.len())].to_vec())),
            1 => ("emptied", Some(Vec::new())),
            // The last row must lack a cell; a row with an empty cell would be valid.
            2 if name == "sites.csv" => ("cut", Some(good[..good.len() - 4].to_vec())),
            2 if name != "messages.json" => ("cut", Some(good[..good.len() - 3].to_vec())),
            3 if name == "sites.csv" => {
                let text = String::from_utf8(good).unwrap().replacen(":00-", ":99-", 1);
                ("a bad row", Some(text.into_bytes()))
            }
            3 if name == "regions.csv" => {
                let text = String::from_utf8(good).unwrap();
                ("a lost row", Some(text.replacen("NE,", "SE,", 1).into_bytes()))
            }
            4 => ("no text", Some(vec![0xff, 0xfe, 0, 0])),
            _ => ("gone", None),
        };
        self.note_event(format!("{name}: {kind}"));
        match bad {
            Some(bad) => drop(self.disk.0.lock().unwrap().insert(self.path(name), bad)),
            None => drop(self.disk.0.lock().unwrap().remove(&self.path(name))),
        }
        self.broken = Some(kind);
        self.report().await;
        self.report().await;
        if self.random.bool() {
            self.kill_now().await;
        }
        self.pass_some(1, 900).await;
        self.broken = None;
        self.put(name);
        self.report().await;
        self.disturb();
    }

    /// Causes drift, which the webhook reports or the next resync finds.
    async fn drift(&mut self) {
        let place = self.any_place();
        self.figures.drifts += 1;
        let (up, reported) = (self.clock.uptime(), self.random.bool());
        {
            let mut state = self.remote.state();
            let Some(page) = state.pages.get_mut(&place).filter(|page| page.in_flight == 0) else { return };
            let open = page.variables.get("is_open").and_then(Value::as_bool).unwrap_or_default();
            let (items, _) = place.items();
            let (name, theirs) = match self.random.u8(..3) {
                0 if place == Place::Board => ("sites", json!([])),
                0 => ("is_open", json!(!open)),
                1 if place != Place::Board => ("phone", json!("999")),
                // Replaces the whole array, and with it our items.
                _ => (items, json!([])),
            };
            page.variables.insert(name.to_owned(), theirs);
            page.others.retain(|other, _| name != items || !other.starts_with(&format!("{items}.")));
            page.stamp += 1_000_000;
            page.adrift_since = (!reported).then_some(up);
        }
        if reported && self.running.is_some() {
            let look = Control::Look { agent: Some(place.agent()), environment: None, by: None };
            let _ = self.running.as_ref().unwrap().feed.send(Feed::Control(look)).await;
            self.unwell();
        } else {
            self.remote.state().pages.get_mut(&place).unwrap().adrift_since = Some(up);
        }
    }

    /// Causes drift that the settings keep.
    ///
    /// The motto is kept until the desired value changes, the label until it is changed back. This
    /// needs a quiet world: before a page converges, drift and its old values look alike.
    fn take_over(&mut self) {
        let up = self.clock.uptime();
        let place = Place::Live(self.random.usize(..self.inputs.sites.len()));
        let is_label = self.random.bool();
        let seen = up + self.seen_within();
        let mut state = self.remote.state();
        let calm = up.saturating_sub(self.well_since) > RECOVERY * 3 && self.running.is_some();
        let (ours, open) = (state.models[0].motto.clone(), state.forbidden.is_none());
        let Some(page) = state.pages.get_mut(&place).filter(|page| page.in_flight == 0) else { return };
        if !calm || !open || page.longest_phone.is_some() || !page.variables.contains_key("motto") {
            return;
        }
        self.figures.drifts += 1;
        page.stamp += 1_000_000;
        if is_label {
            page.is_relabelled = !page.is_relabelled;
            // Promotions wait while it is relabelled.
            page.held_up = seen;
            let label = if page.is_relabelled { "theirs" } else { "L" };
            page.variables.insert("label".to_owned(), json!(label));
        } else {
            page.kept = Some(ours);
            page.variables.insert("motto".to_owned(), json!("theirs"));
        }
    }

    /// Changes a value of others.
    fn meddle(&mut self) {
        let value = json!(self.random.u32(..));
        let place = self.random.u8(..5);
        let target = self.any_place();
        let site = self.random.usize(..self.inputs.sites.len());
        let mut state = self.remote.state();
        let Some(page) = state.pages.get_mut(&target).filter(|page| page.in_flight == 0) else { return };
        page.stamp += 1_000_000;
        if place > 1 {
            let item = match (place, target) {
                (2, Place::Board) => format!("s{site}"),
                (2, _) => "main".to_owned(),
                _ => "other".to_owned(),
            };
            return meddle_with_items(page, target.items(), (place < 4).then_some(&item), &value);
        }
        if place == 1 {
            let shared = page.variables.entry("box").or_insert_with(|| json!({}));
            shared["note"] = value.clone();
            page.others.insert("box.note".to_owned(), value);
        } else {
            page.variables.insert("theirs".to_owned(), value.clone());
            page.others.insert("theirs".to_owned(), value);
        }
    }

    async fn apply_override(&mut self) {
        let now = self.clock.now();
        let release = {
            let state = self.remote.state();
            let lasting = state.overrides.iter().find(|set| set.until.is_none_or(|until| until > now));
            lasting.map(|set| set.id).filter(|_| self.random.bool())
        };
        self.figures.overrides += 1;
        if let Some(id) = release {
            // The computed value may be sent before the acknowledgement arrives.
            self.remote.state().overrides_before.retain(|set| set.id != id);
            let released = self.ask(|answer| Control::Release { id, who: "anna".to_owned(), answer }).await;
            if released.is_some_and(|released| released.is_ok()) {
                let (mut state, now, up) = (self.remote.state(), self.clock.now(), self.clock.uptime());
                note_hidden_changes(&mut state, now, up);
                state.overrides.retain(|set| set.id != id);
            }
            return self.unwell();
        }
        let (says, said) = match self.random.u8(..3) {
            0 => ("closed".to_owned(), Said::Closed),
            1 => ("open".to_owned(), Said::Open),
            _ => {
                let phone = format!("7{}", self.random.u8(..));
                (format!("phone={phone}"), Said::Phone(phone))
            }
        };
        let minutes = self.random.i64(1..2000);
        let region = REGIONS[self.random.usize(..2)];
        let asking = Asking {
            cells: vec![format!("region={region}")],
            says,
            until: self.random.bool().then(|| format!("{minutes}m")),
            reason: "snow".to_owned(),
            who: "anna".to_owned(),
            ..Asking::default()
        };
        let until = asking.until.is_some().then(|| now + TimeDelta::minutes(minutes));
        let draft = Box::new(asking.read().unwrap());
        let mut places = self.chosen(region);
        // The board has rows of a region but no phone number.
        let of_region = self.inputs.sites.iter().enumerate().filter(|(_, site)| site.region == region);
        let on_board: Vec<usize> = match said {
            Said::Phone(_) => Vec::new(),
            _ if region != REGION || !self.inputs.has.region => Vec::new(),
            _ => of_region.map(|(number, _)| number).collect(),
        };
        places.extend((!on_board.is_empty()).then_some(Place::Board));
        // The value may be sent before the acknowledgement arrives.
        self.remote.state().overrides.push(Overridden {
            id: 0,
            places,
            on_board,
            says: said,
            from: now,
            until,
        });
        let set = self.ask(|answer| Control::Set(draft, answer)).await;
        match set {
            Some(Ok(set)) => self.judge_chosen(set.id, set.pages.keys().map(Place::of).collect()),
            _ => drop(self.remote.state().overrides.pop()),
        }
        self.unwell();
        // An acknowledged override survives every later event.
        if self.random.u8(..4) == 0 {
            self.kill_now().await;
        }
    }

    /// Returns the pages with rows of a region.
    ///
    /// For promoted pages these are all candidates, since only the program knows their active row.
    fn chosen(&self, region: &str) -> Vec<Place> {
        let (state, up) = (self.remote.state(), self.clock.uptime());
        let is_chosen = |place: &Place| {
            let is_of = |model: &Inputs| model.is_of(*place, region);
            is_of(&self.inputs) || state.in_force_for(*place, up).any(is_of)
        };
        self.inputs.places().into_iter().filter(is_chosen).collect()
    }

    /// Checks that an acknowledged override affects exactly the intended pages.
    fn judge_chosen(&self, id: i64, answered: Vec<Place>) {
        let mut state = self.remote.state();
        let set = state.overrides.last_mut().unwrap();
        let may_not = |place: &&Place| matches!(place, Place::Follower(_)) && !answered.contains(place);
        let meant: Vec<Place> = set.places.iter().filter(|place| !may_not(place)).copied().collect();
        let is_right = meant.len() == answered.len() && answered.iter().all(|place| meant.contains(place));
        (set.id, set.places) = (id, answered.clone());
        if !is_right {
            state.violation(format!("override: {answered:?} are chosen, not {meant:?}"));
        }
    }

    async fn bad_weather(&mut self) {
        self.remote.state().weather = Weather {
            failing: self.random.u32(5..90),
            late: self.random.u32(..60),
            odd: self.random.u32(..40),
            storm_until: None,
        };
        self.pass_some(5, 1500).await;
        self.remote.state().weather = Weather::default();
        self.disturb();
    }

    async fn storm(&mut self) {
        self.figures.storms += 1;
        let length = Duration::from_secs(self.random.u64(3..300));
        let until = self.clock.uptime() + length;
        self.remote.state().weather.storm_until = Some(until);
        // Waits until there is a value to send.
        self.edit().await;
        self.pass(TimeDelta::from_std(length).unwrap() + TimeDelta::hours(10)).await;
        self.remote.state().weather.storm_until = None;
        self.disturb();
    }

    /// Kills the process at a random point and restarts it with the stored state.
    async fn kill(&mut self) {
        // Gives the driver work: the next transition or an edit.
        match self.random.bool() {
            true => self.edit().await,
            false => {
                if let Some(next) = self.clock.next_wait() {
                    self.clock.set(next.max(self.clock.now()));
                }
            }
        }
        self.kill_now().await;
    }

    async fn kill_now(&mut self) {
        self.figures.kills += 1;
        for _ in 0..self.random.usize(..40) {
            tokio::task::yield_now().await;
        }
        if let Some(running) = self.running.take() {
            running.task.abort();
            let _ = running.task.await;
        }
        for page in self.remote.state().pages.values_mut() {
            page.unsure = true;
        }
        self.start(None).await;
        self.quiet().await;
        self.unwell();
    }

    /// Corrects the clock by some minutes, and back.
    async fn step(&mut self) {
        self.figures.steps += 1;
        let mut minutes = TimeDelta::minutes(self.random.i64(-50..50));
        if self.random.bool() {
            // Back across the last transition.
            if let Some(next) = self.clock.next_wait() {
                self.pass(next - self.clock.now() + TimeDelta::minutes(3)).await;
            }
            minutes = -minutes.abs();
        }
        self.set_clock(minutes);
        self.pass_some(60, 1800).await;
        self.set_clock(-minutes);
    }

    fn set_clock(&mut self, by: TimeDelta) {
        self.clock.step(self.clock.now() + by);
        self.remote.state().set_ahead += by.to_std().unwrap_or_default();
        self.begin_overrides();
        self.disturb();
    }

    /// Drops overrides that ended before any time the clock can step back to.
    fn forget_ended_overrides(&mut self) {
        let long_ago = self.clock.now() - TimeDelta::days(2);
        let mut state = self.remote.state();
        state.overrides.retain(|set| set.until.is_none_or(|until| until > long_ago));
        state.overrides_before = state.overrides.clone();
    }

    /// Starts overrides set by a clock that was ahead as soon as the clock is corrected.
    fn begin_overrides(&mut self) {
        let now = self.clock.now();
        self.remote.state().overrides.iter_mut().for_each(|set| set.from = set.from.min(now));
    }

    /// Makes the clock jump by hours or years: nothing is sent until it is correct again.
    async fn jump_clock(&mut self) {
        self.figures.leaps += 1;
        let hours = [-30, -3, 2, 26, 24 * 400][self.random.usize(..5)];
        self.clock.step(self.clock.now() + TimeDelta::hours(hours));
        self.begin_overrides();
        tokio::time::sleep(Duration::from_millis(1)).await;
        {
            let mut state = self.remote.state();
            state.forbidden = Some("the clock is in doubt");
            state.clock_is_wrong = true;
        }
        self.pass_some(1, 200).await;
        self.clock.step(self.clock.now() - TimeDelta::hours(hours));
        self.begin_overrides();
        {
            let mut state = self.remote.state();
            state.forbidden = None;
            state.clock_is_wrong = false;
        }
        self.disturb();
    }

    /// Suspends the machine: time passes without a wake-up.
    async fn suspend(&mut self) {
        self.figures.suspends += 1;
        let (up, minutes) = (self.clock.uptime(), self.random.i64(5..4000));
        // Pending changes are detected afterwards.
        for page in self.remote.state().pages.values_mut().filter(|page| page.held_up > up) {
            page.held_up += Duration::from_secs(minutes.unsigned_abs() * 60);
        }
        self.clock.set(self.clock.now() + TimeDelta::minutes(minutes));
        self.unwell();
    }

    /// Fills the disk: the driver exits with an error and sends nothing unrecorded.
    async fn fill_disk(&mut self) {
        self.figures.full_disks += 1;
        {
            // No new database page is allowed, and the existing ones are full.
            let database = self.database.lock().unwrap();
            database.execute_batch("CREATE TABLE IF NOT EXISTS filling (x)").unwrap();
            database.query_row("PRAGMA max_page_count = 1", [], |row| row.get::<_, i64>(0)).unwrap();
            for size in [4000, 400, 40, 4, 4] {
                while database.execute("INSERT INTO filling VALUES (zeroblob(?1))", [size]).is_ok() {}
            }
        }
        self.pass_some(60, 40 * 60).await;
        if self.running.is_none() {
            self.remote.state().forbidden = Some("the disk is full");
            self.pass_some(1, 600).await;
        }
        {
            let database = self.database.lock().unwrap();
            database.query_row("PRAGMA max_page_count = 1073741823", [], |row| row.get::<_, i64>(0)).unwrap();
            database.execute_batch("DROP TABLE filling").unwrap();
        }
        self.remote.state().forbidden = None;
        if self.running.is_none() {
            for page in self.remote.state().pages.values_mut() {
                page.unsure = true;
            }
            self.start(None).await;
        }
        self.disturb();
    }

    /// Returns the time in which a change on a page is detected.
    fn seen_within(&self) -> Duration {
        self.settings.resync.mul_f64(1.1) + self.slack()
    }

    /// Makes a schema too narrow for the desired value for some hours.
    async fn tighten_schema(&mut self) {
        let place = self.any_place();
        let set = |world: &Self, most: Option<usize>| {
            let mut state = world.remote.state();
            let up = world.clock.uptime();
            let page = state.pages.get_mut(&place).unwrap();
            page.longest_phone = most;
            page.stamp += 1_000_000;
            page.adrift_since = Some(up);
            page.held_up = up + world.seen_within();
        };
        let most = self.random.usize(1..4);
        set(self, Some(most));
        self.pass_some(60, 2400).await;
        set(self, None);
    }

    /// Damages a file of many sites: no page receives any of it until it is fixed.
    async fn accident(&mut self) {
        if self.inputs.sites.len() <= AT_ONCE || self.broken.is_some() {
            return;
        }
        self.figures.accidents += 1;
        let good = self.inputs.clone();
        let mut bad = good.clone();
        let text = match self.random.u8(..5) {
            0 => {
                bad.sites.iter_mut().for_each(|site| site.zone = chrono_tz::Tz::Asia__Tokyo);
                bad.sites_csv()
            }
            1 => {
                bad.sites.iter_mut().for_each(|site| site.week = Default::default());
                bad.sites_csv().replace("\"\"", "closed")
            }
            2 => {
                let text = good.sites_csv();
                let keep = self.random.usize(1..good.sites.len() / 2);
                text.lines().take(keep + 1).map(|line| format!("{line}\n")).collect()
            }
            3 => {
                bad.sites.iter_mut().for_each(|site| site.phone = "0".to_owned());
                bad.sites_csv()
            }
            _ => good.sites_csv().replace("s", "x"),
        };
        self.disk.0.lock().unwrap().insert(self.path("sites.csv"), text.into_bytes());
        self.broken = Some("an accident");
        self.report().await;
        if self.random.bool() {
            self.kill_now().await;
        }
        self.pass_some(1, 2000).await;
        self.broken = None;
        self.put("sites.csv");
        self.report().await;
        self.disturb();
    }

    /// Checks that every PATCH was recorded first and that a replay gives the baseline.
    async fn judge_history(&mut self) {
        let database = self.database.lock().unwrap();
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let writes = count("SELECT coalesce(sum(tries), 0) FROM writes");
        let applied = count("SELECT count(*) FROM writes WHERE outcome = 'applied'");
        let open = count("SELECT count(*) FROM writes WHERE outcome IN ('intended', 'unknown')");
        let sql = "SELECT page, variable, after FROM writes JOIN changes ON changes.write = writes.id
            WHERE outcome = 'applied' ORDER BY writes.settled_at, writes.id";
        let mut statement = database.prepare(sql).unwrap();
        let text = |row: &rusqlite::Row, index| row.get::<_, String>(index);
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, text(row, 1)?, text(row, 2)?)));
        let mut replayed: BTreeMap<(i64, String), String> = BTreeMap::new();
        for (page, variable, after) in rows.unwrap().map(Result::unwrap) {
            replayed.insert((page, variable), after);
        }
        drop(statement);
        let mut statement = database.prepare("SELECT page, variable, value FROM bases").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, text(row, 1)?, text(row, 2)?)));
        let bases: BTreeMap<(i64, String), String> = rows
            .unwrap()
            .map(Result::unwrap)
            .map(|(page, variable, value)| ((page, variable), value))
            .collect();
        let missing = replayed.keys().filter(|key| !bases.contains_key(*key)).count();
        let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        drop(statement);
        drop(database);
        let (patches, taken) = {
            let state = self.remote.state();
            (state.patches, state.applied)
        };
        if applied > i64::try_from(taken).unwrap() {
            self.violation(format!("history: {applied} applied, and the API took {taken}"));
        }
        // A page without permission to write keeps its open intent.
        let calm = self.clock.uptime().saturating_sub(self.well_since);
        if open > 0 && calm > RECOVERY * 200 && self.running.is_some() {
            self.violation(format!("history: {open} outcomes were never looked up"));
        }
        if i64::try_from(patches).unwrap() > writes {
            self.violation(format!("history: {patches} PATCHes and {writes} intents"));
        }
        if missing > 0 {
            self.violation(format!("history: {missing} applied values are no base"));
        }
        if integrity != "ok" {
            self.violation(format!("history: {integrity}"));
        }
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

/// Returns the violations of a page at rest.
fn judge_page(
    state: &State,
    place: Place,
    page: &Page,
    (now, lately): (At, Option<At>),
    up: Duration,
) -> Vec<String> {
    if page.arrived.is_none() && page.variables.is_empty() {
        // No value has reached it yet.
        return Vec::new();
    }
    let mut wrong = wrong_values(state, place, page, now, up);
    let is_late = |lately| state.explanations(place, lately, up).ne(state.explanations(place, now, up));
    if !wrong.is_empty() && lately.is_some_and(is_late) {
        wrong.clear();
    }
    for (name, value) in &page.others {
        let found = part(&page.variables, name);
        if found != Some(value) {
            wrong.push(format!("owned: {place} lost {name} = {value}, has {found:?}"));
        }
    }
    wrong
}

/// Returns the values that no model explains, by the closest model.
///
/// Kept drift belongs to others, and values that the schema refuses are not sent.
fn wrong_values(state: &State, place: Place, page: &Page, now: At, up: Duration) -> Vec<String> {
    let is_theirs = |name: &str, ours: &Value| match name {
        "motto" => page.kept.as_ref().is_some_and(|kept| *ours == **kept),
        "label" => page.is_relabelled,
        _ => false,
    };
    let (theirs, mut least) = (json!("theirs"), None::<Vec<String>>);
    for expected in state.explanations(place, now, up) {
        let mut wrong = Vec::new();
        for (name, ours) in &expected {
            if name == "phone" && page.longest_phone.is_some_and(|most| ours.as_str().unwrap().len() > most) {
                return Vec::new();
            }
            let wanted = if is_theirs(name, ours) { &theirs } else { ours };
            let found = part(&page.variables, name);
            if found != Some(wanted) {
                wrong.push(format!("level: {place} has {name} = {found:?}, not {wanted}"));
            }
        }
        if wrong.is_empty() {
            return wrong;
        }
        least = least.filter(|least| least.len() <= wrong.len()).or(Some(wrong));
    }
    least.unwrap_or_default()
}

/// Records that an override or kept drift hides a change, which delays its promotion.
fn note_hidden_changes(state: &mut State, lately: At, up: Duration) {
    let lasting = state.overrides.iter().filter(|set| set.until.is_none_or(|until| until > lately));
    let overridden: Vec<Place> = lasting.flat_map(|set| set.places.iter().copied()).collect();
    for (place, page) in &mut state.pages {
        if page.kept.is_some() || overridden.contains(place) {
            page.held_up = page.held_up.max(up);
        }
    }
}

/// Marks promoted pages without delays since `undisturbed` as holding the newest model.
///
/// Returns the number of newly marked pages.
fn note_arrivals(state: &mut State, undisturbed: Duration) -> u64 {
    let newest = state.came.last().unwrap().at;
    let is_free = |page: &Page| {
        let is_as_settled =
            page.adrift_since.is_none() && page.longest_phone.is_none() && !page.is_relabelled;
        is_as_settled && page.held_up < undisturbed
    };
    let is_there = |(place, page): (&Place, &Page)| match place {
        Place::Follower(site) => is_free(page) && is_free(&state.pages[&Place::Live(*site)]),
        _ => false,
    };
    let there: Vec<Place> = state
        .pages
        .iter()
        .filter(|(_, page)| page.arrived < Some(newest))
        .filter(|page| is_there(*page))
        .map(|(place, _)| *place)
        .collect();
    for place in &there {
        state.pages.get_mut(place).unwrap().arrived = Some(newest);
    }
    let followers = state.pages.iter().filter(|(place, _)| matches!(place, Place::Follower(_)));
    let oldest = followers.map(|(_, page)| page.arrived.unwrap_or_default()).min().unwrap_or(newest);
    state.came.retain(|came| came.at >= oldest);
    there.len() as u64
}

/// Changes a field of our item, another item, or their order.
fn meddle_with_items(page: &mut Page, (key, named): (&str, &str), item: Option<&String>, value: &Value) {
    let items = page.variables.entry(key).or_insert_with(|| json!([])).as_array_mut().unwrap();
    let Some(item) = item else { return items.reverse() };
    match items.iter_mut().find(|found| found[named] == json!(item)) {
        Some(found) => found["note"] = value.clone(),
        None if item == "other" => items.insert(0, json!({named: "other", "note": value})),
        None => return,
    }
    page.others.insert(format!("{key}.{item}/note"), value.clone());
}

/// Returns the settings, written and parsed.
fn written(path: &Path, inputs: &Inputs) -> Settings {
    std::fs::write(path, inputs.settings()).unwrap();
    let settings = Settings::load(path, &Surroundings::default());
    settings.unwrap_or_else(|report| panic!("{}", report.render(false)))
}
