//! Drives the cycle: sleeps until work is due, processes pages in parallel, retries, and ends in
//! order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::agents_api::{ApiError, ApiKey, ReadPages, WritePages};
use crate::compile::{Blueprint, World};
use crate::model::{Environment, Instant, PageId, Problem, RemotePage, each_once};
use crate::pages::Override;
use crate::plan::{Recent, Thresholds};
use crate::schema::Schemas;
use crate::sources::Revision;
use crate::store::{StoreError, Written};

use super::agents::Agents;
use super::board::{Board, Turn};
use super::clock_trust::{ClockReading, ClockTrust};
use super::gate::{Gate, Limits, Urgency};
use super::page_state::Pages;
use super::revision::{HELD, OUT, Out, RECENT, Rollout};
use super::{Acted, ActiveRevision, Actor, Control, Counts, Held};

pub use super::page_state::Standing;

use under_way::UnderWay;
use waiting::Waiting;

mod asked;
mod deciding;
mod early;
mod found;
mod incoming;
mod promoting;
mod revising;
mod under_way;
mod waiting;

/// The time that requests in progress may still take when the program ends.
///
/// The outcome of unanswered requests is looked up at the next start.
const LAST_CALLS: Duration = Duration::from_secs(2);
/// The shortest time between two stored clock readings.
const SIGHTING_PAUSE: Duration = Duration::from_secs(3600);
/// The longest sleep.
///
/// Nothing depends on it; it only limits the sleep after the clock jumped back.
const LONGEST_SLEEP: TimeDelta = TimeDelta::days(1);

/// The largest deviation between clock and uptime for a clock that was not set.
const NOT_SET: TimeDelta = TimeDelta::seconds(1);

/// Input to the driver from outside.
#[derive(Debug)]
pub enum Feed {
    /// New inputs, with the number of the settings they were read with.
    Inputs(u32, Box<Revision>),
    /// A new key, with the number of the settings it was read with.
    Key(u32, ApiKey),
    /// A request from a user or tool.
    Control(Control),
    /// End in order.
    Stop,
    /// End in order, then restart with new settings.
    Reload,
}

/// The duration of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped.
    Daemon,
    /// Until every page is right or cannot be made so, or the deadline passes.
    Once {
        /// The deadline.
        deadline: Instant,
    },
}

/// The supervisor of the process.
pub trait Supervisor: Send + Sync {
    /// Called when the first decisions can be made.
    fn ready(&self) {}
    /// Called before each sleep, with the number of requests in progress.
    fn resting(&self, _under_way: usize) {}
    /// Called at least every `beat` while the driver runs.
    fn alive(&self) {}
    /// Returns the interval for `alive`, if it is needed.
    fn beat(&self) -> Option<Duration> {
        None
    }
}

/// A supervisor that does nothing.
pub struct Unsupervised;
impl Supervisor for Unsupervised {}

/// Everything needed to build a driver.
pub struct Setup<R> {
    /// Executes plans.
    pub actor: Actor<R>,
    /// Applies a new key.
    pub set_key: Box<dyn Fn(ApiKey) + Send>,
    /// The pages as defined by the settings.
    pub blueprint: Blueprint,
    /// The inputs at the start.
    pub revision: Revision,
    /// The settings as written, for storing them.
    pub written: String,
    /// The active revision.
    pub active: ActiveRevision,
    /// The limits for a change without approval.
    pub thresholds: Thresholds,
    /// The latest instant known to be past; a clock that shows an earlier one is untrusted.
    pub last_known: Option<Instant>,
    /// True if values must match the `format` in their schema.
    pub assert_formats: bool,
    /// The interval of the resync of every page.
    pub resync: Duration,
    /// The age up to which history is kept.
    pub keep_history: TimeDelta,
    /// Maximum number of pages processed at once.
    pub concurrency: usize,
    /// The rate limits for requests.
    pub limits: Limits,
    /// Distinguishes input read with these settings from input left by older settings.
    pub settings_number: u32,
    /// The seed of the jitter.
    pub seed: u64,
    /// The place where the status is published.
    pub board: Board,
}

/// The reason why a driver ended, and its final state.
#[derive(Debug)]
pub struct Ended {
    /// True if the settings must be read again.
    pub reload: bool,
    /// The last active revision.
    pub active: ActiveRevision,
    /// The revision held for approval.
    pub held: Option<Held>,
    /// Pages of an approved revision that were not yet confirmed.
    pub to_come: usize,
    /// The final status of each page.
    pub pages: Vec<PageReport>,
    /// The problems of the inputs.
    pub problems: Vec<Problem>,
}

/// The final status of a page.
#[derive(Clone, Debug)]
pub struct PageReport {
    /// The page's ID.
    pub page: PageId,
    /// Its status.
    pub standing: Standing,
    /// Number of values applied to it.
    pub applied: usize,
}

/// A completed request.
struct Done {
    /// The turn and the uptime at which it began.
    asked: (u64, Duration),
    /// The number of the key it used, counted from the first.
    key: u32,
    answer: Answered,
}

enum Answered {
    List(String, Result<Vec<(Environment, RemotePage)>, ApiError>),
    Look(PageId, Result<RemotePage, ApiError>),
    Act(PageId, Result<(Acted, Written<()>), StoreError>),
}

/// The main loop and its state.
pub struct Driver<R> {
    actor: Actor<R>,
    set_key: Box<dyn Fn(ApiKey) + Send>,
    blueprint: Blueprint,
    revision: Revision,
    written: String,
    active: ActiveRevision,
    /// True when the active pages are defined by the current settings.
    is_blueprint_active: bool,
    /// The revision held for approval.
    held: Option<Held>,
    /// The pages that the held revision would change because of lost rows, with the rows.
    losing_rows: BTreeMap<PageId, String>,
    /// The approved revision being rolled out.
    rollout: Option<Rollout>,
    /// The pages rolled out to so far, including before a restart.
    out: Out,
    approved: BTreeSet<String>,
    thresholds: Thresholds,
    /// Recently accepted changes.
    recent: Recent,
    overrides: Vec<Override>,
    /// Values found on unpromoted pages before they were overridden.
    found: found::Found,
    /// The overrides applied to `world`.
    applied_overrides: Vec<Override>,
    clock_trust: ClockTrust,
    /// The uptime at which the clock reading was last stored.
    reading_stored_at: Option<Duration>,
    counts: Counts,
    /// The pages to decide on: the active revision with rollout stages and overrides.
    world: World,
    resync: Duration,
    keep_history: TimeDelta,
    concurrency: usize,
    settings_number: u32,
    /// True if there is a next transition to prepare for.
    is_daemon: bool,
    random: fastrand::Rng,
    schemas: Schemas,
    pages: Pages,
    applied: BTreeMap<PageId, usize>,
    waiting: Waiting,
    agents: Agents,
    gate: Gate,
    /// The time of the next probe of a refused key.
    probe_at: Instant,
    /// The time of the last probe.
    probed_at: Instant,
    /// Number of refusals in a row.
    probes: u32,
    /// The time at which the gate may have room for a request that found none.
    room_at: Option<Instant>,
    /// The same for retries.
    retry_at: Option<Instant>,
    key_number: u32,
    /// Counts requests as they begin and end, to order these events.
    turn: u64,
    jobs: JoinSet<Done>,
    under_way: UnderWay,
    /// True if the next retry is a list.
    is_lists_turn: bool,
    /// The memory used by fetched pages, in bytes.
    pages_bytes: usize,
    /// Writes not yet acknowledged by the store.
    notes: FuturesUnordered<Written<()>>,
    reported: Vec<(bool, String)>,
    last_now: Instant,
    board: Board,
}

impl<R: ReadPages + WritePages> Driver<R> {
    /// Builds the pages and loads their stored state.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn new(setup: Setup<R>) -> Result<Self, StoreError> {
        let (now, up) = (setup.actor.clock.now(), setup.actor.clock.uptime());
        let (store, api) = (&setup.actor.store, &setup.actor.api_url);
        let stored = store.pages(api).await?;
        let recent = store.fact(RECENT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        let held = store.fact(HELD).await?.and_then(|fact| Held::from_fact(&fact));
        let out = store.fact(OUT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        let found = store.fact(found::FOUND).await?.and_then(|fact| found::read(&fact));
        // With a clock that is ahead, active overrides would look expired.
        let past = setup.last_known.map_or(now, |known| known.min(now));
        let overrides = store.overrides(api, past.checked_sub_signed(LONGEST_SLEEP).unwrap_or(past)).await?;
        let approved = store.approvals().await?;
        let mut clock_trust = ClockTrust::new(&*setup.actor.clock, setup.last_known);
        let reading = store.fact(ClockReading::FACT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        if let Some(reading) = reading {
            clock_trust.remember(&reading, &*setup.actor.clock);
        }
        if let Some(distrust) = clock_trust.distrust() {
            tracing::error!("{}", distrust.describe());
        }
        let mut driver = Self {
            actor: setup.actor,
            set_key: setup.set_key,
            blueprint: setup.blueprint,
            revision: setup.revision,
            written: setup.written,
            active: setup.active,
            is_blueprint_active: false,
            held,
            losing_rows: BTreeMap::new(),
            rollout: None,
            out: out.unwrap_or_default(),
            approved,
            thresholds: setup.thresholds,
            recent: recent.unwrap_or_default(),
            overrides,
            found: found.unwrap_or_default(),
            applied_overrides: Vec::new(),
            clock_trust,
            reading_stored_at: None,
            counts: Counts::default(),
            world: World::default(),
            resync: setup.resync,
            keep_history: setup.keep_history,
            concurrency: setup.concurrency,
            settings_number: setup.settings_number,
            is_daemon: false,
            random: fastrand::Rng::with_seed(setup.seed),
            schemas: Schemas::new(setup.assert_formats),
            pages: Pages::default(),
            applied: BTreeMap::new(),
            waiting: Waiting::default(),
            agents: Agents::default(),
            gate: Gate::new(setup.limits, up),
            probe_at: now,
            probed_at: now,
            probes: 0,
            room_at: None,
            retry_at: None,
            key_number: 0,
            turn: 0,
            jobs: JoinSet::new(),
            under_way: UnderWay::default(),
            is_lists_turn: false,
            pages_bytes: 0,
            notes: FuturesUnordered::new(),
            reported: Vec::new(),
            last_now: now,
            board: setup.board,
        };
        for (page, state) in stored {
            driver.pages.insert(page, state);
        }
        driver.begin_overrides(now);
        if let Some(held) = &driver.held {
            tracing::warn!("still held: {}", held.describe());
        }
        match driver.clock_trust.distrust() {
            Some(_) if driver.active.number > 0 => {
                driver.take_world(driver.active.pages(), now, Urgency::Source);
            }
            _ => driver.revise(now),
        }
        Ok(driver)
    }

    /// Runs until the mode's end condition.
    ///
    /// # Errors
    /// Fails when the store fails. Nothing more is sent then.
    pub async fn run(
        mut self,
        mode: Mode,
        feed: &mut mpsc::Receiver<Feed>,
        supervisor: &dyn Supervisor,
    ) -> Result<Ended, StoreError> {
        self.is_daemon = mode == Mode::Daemon;
        supervisor.ready();
        let clock = self.actor.clock.clone();
        let mut beat = supervisor.beat().map(tokio::time::interval);
        let mut turn = Turn::default();
        let reload = loop {
            let (now, up) = (clock.now(), clock.uptime());
            self.pump(now);
            if self.is_done(mode, now) {
                break false;
            }
            let wake = self.next_wake(mode, now);
            supervisor.resting(self.jobs.len());
            let sleep = clock.sleep_until(wake);
            // If the clock was set since the decisions were made, decide again before sleeping.
            let passed = clock.uptime().saturating_sub(up) * clock.speed();
            if (clock.now() - now - TimeDelta::from_std(passed).unwrap_or_default()).abs() > NOT_SET {
                continue;
            }
            // Our own work comes first and outside requests last. Each turn still takes one item
            // from the feed.
            let fed = tokio::select! {
                biased;
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                    self.take(finished(done))?;
                    while let Some(done) = self.jobs.try_join_next() {
                        self.take(finished(done))?;
                    }
                    feed.try_recv().ok()
                }
                Some(noted) = self.notes.next(), if !self.notes.is_empty() => {
                    noted?;
                    while let Some(Some(noted)) = self.notes.next().now_or_never() {
                        noted?;
                    }
                    feed.try_recv().ok()
                }
                fed = feed.recv() => Some(fed.unwrap_or(Feed::Stop)),
                () = sleep => None,
                () = next_beat(&mut beat) => {
                    supervisor.alive();
                    None
                }
                () = self.board.is_due(&turn) => {
                    turn = self.board.publish(|| self.status());
                    None
                }
            };
            match fed {
                None => {}
                // Input read with older settings does not apply to these.
                Some(Feed::Inputs(number, _) | Feed::Key(number, _)) if number != self.settings_number => {}
                Some(Feed::Inputs(_, revision)) => self.take_inputs(*revision),
                Some(Feed::Key(_, key)) => self.take_key(key),
                Some(Feed::Control(control)) => self.take_control(control).await?,
                Some(Feed::Stop) => break false,
                Some(Feed::Reload) => break true,
            }
        };
        self.end(mode, reload).await
    }

    async fn end(mut self, mode: Mode, reload: bool) -> Result<Ended, StoreError> {
        let last_calls = async {
            while let Some(done) = self.jobs.join_next().await {
                self.take(finished(done))?;
            }
            Ok(())
        };
        match tokio::time::timeout(LAST_CALLS, last_calls).await {
            Ok(ended) => ended?,
            Err(_) => tracing::warn!("requests are still unanswered; they are looked up at the next start"),
        }
        self.jobs.shutdown().await;
        self.store_clock_reading();
        if matches!(mode, Mode::Once { .. }) {
            self.note_unseen();
        }
        while let Some(noted) = self.notes.next().await {
            noted?;
        }
        let managed = self.world.pages.iter().map(|managed| managed.page.id.clone());
        let pages = managed.filter_map(|page| {
            let state = self.pages.get(&page)?;
            let applied = self.applied.get(&page).copied().unwrap_or(0);
            Some(PageReport { standing: state.standing.clone(), applied, page })
        });
        let problems = self.problems();
        let to_come = self.rollout.as_ref().map_or(0, Rollout::to_come);
        let pages = pages.collect();
        Ok(Ended { reload, pages, problems, held: self.held, to_come, active: self.active })
    }

    /// Stores the clock reading at most once per [`SIGHTING_PAUSE`]: each write costs a disk
    /// access.
    fn store_clock_reading_hourly(&mut self) {
        let up = self.actor.clock.uptime();
        if self.reading_stored_at.is_none_or(|at| up.saturating_sub(at) >= SIGHTING_PAUSE) {
            self.reading_stored_at = Some(up);
            self.store_clock_reading();
        }
    }

    /// Stores the clock reading for the next start.
    fn store_clock_reading(&mut self) {
        let reading = self.clock_trust.reading(&*self.actor.clock);
        if let Some(reading) = reading.and_then(|reading| serde_json::to_string(&reading).ok()) {
            self.keep_fact(ClockReading::FACT, Some(reading));
        }
    }

    /// Returns the problems of the inputs.
    fn problems(&self) -> Vec<Problem> {
        each_once(self.revision.problems.values().flatten().chain(self.world.problems()))
    }

    /// Marks pages not fetched as retrying, so that later readers do not take them as right.
    fn note_unseen(&mut self) {
        let ids: Vec<PageId> = self.world.pages.iter().map(|managed| managed.page.id.clone()).collect();
        for id in ids {
            if self.pages.get(&id).is_some_and(|state| state.standing == Standing::Unseen) {
                let unseen = "was not seen in the time allowed (hint: see --timeout and api.rate)";
                let why = self.gate.stopped().unwrap_or(unseen).to_owned();
                self.set_standing(&id, Standing::Retrying(why));
            }
        }
    }

    /// Returns when to decide again if no event comes earlier.
    fn next_wake(&self, mode: Mode, now: Instant) -> Instant {
        // Pages that are due but found no room wait for the gate, or for a job to end.
        let lists = match self.gate.stopped() {
            Some(_) => Some(self.probe_at),
            None => self.agents.next_due(now),
        };
        let fresh = self.world.stale_at().filter(|at| *at > now);
        let deadline = match mode {
            Mode::Once { deadline } => Some(deadline),
            Mode::Daemon => None,
        };
        let pages = self.pages.next_due(now);
        let follows = self.next_to_follow(now);
        let wakes =
            [pages, lists, self.room_at, self.retry_at, fresh, follows, deadline].into_iter().flatten();
        let longest = now.checked_add_signed(LONGEST_SLEEP).unwrap_or(now);
        wakes.chain([longest]).min().unwrap_or(longest)
    }

    fn is_done(&self, mode: Mode, now: Instant) -> bool {
        let Mode::Once { deadline } = mode else { return false };
        if now >= deadline {
            return true;
        }
        let settled = |standing: &Standing| !matches!(standing, Standing::Unseen | Standing::Retrying(_));
        let stopped = self.gate.stopped().is_some();
        let rolls = self.rollout.as_ref().is_some_and(|rollout| rollout.stopped_at.is_none());
        self.jobs.is_empty()
            && (stopped || !rolls)
            && self.world.pages.iter().all(|managed| {
                self.pages.get(&managed.page.id).is_none_or(|state| {
                    stopped || (settled(&state.standing) && state.due().is_none_or(|due| due > now))
                })
            })
    }
}

fn after(now: Instant, length: Duration) -> Instant {
    TimeDelta::from_std(length).ok().and_then(|length| now.checked_add_signed(length)).unwrap_or(now)
}

/// Returns the result of a job.
///
/// A panic in a job is a bug: the program ends with it and is restarted.
fn finished(done: Result<Done, tokio::task::JoinError>) -> Done {
    match done {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn next_beat(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}
