//! Drives the cycle: sleeps until something is due, works on pages side by side, tries again, ends in order.

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
use super::doubt::{ClockWatch, Sighting};
use super::gate::{Gate, Limits, Urgency};
use super::page_state::Pages;
use super::revision::{HELD, OUT, Out, RECENT, Rollout};
use super::{Acted, Actor, Control, Counts, Held, InForce};

pub use super::page_state::Standing;

use under_way::UnderWay;
use waiting::Waiting;

mod asked;
mod deciding;
mod early;
mod following;
mod found;
mod incoming;
mod revising;
mod under_way;
mod waiting;

/// How long requests under way may take when the program ends; what has no answer then is looked up at the
/// next start.
const LAST_CALLS: Duration = Duration::from_secs(2);
/// How long what the clock shows is not remembered again.
const SIGHTING_PAUSE: Duration = Duration::from_secs(3600);
/// The longest sleep; nothing depends on it, it only keeps a clock that leapt back from sleeping for years.
const LONGEST_SLEEP: TimeDelta = TimeDelta::days(1);

/// Two readings of a clock that differ by less from the time between them are of a clock that nobody set.
const NOT_SET: TimeDelta = TimeDelta::seconds(1);

/// What comes to the driver from outside.
#[derive(Debug)]
pub enum Feed {
    /// The inputs are others than before. The number is that of the settings they were read by.
    Inputs(u32, Box<Revision>),
    /// The key was read again, likewise.
    Key(u32, ApiKey),
    /// Somebody asks something.
    Control(Control),
    /// End in order.
    Stop,
    /// End in order, to start again with other settings.
    Reload,
}

/// How long to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until told to stop.
    Daemon,
    /// Until every page is right or can't be made so, or the time is up.
    Once {
        /// When the time is up.
        deadline: Instant,
    },
}

/// Whoever watches over the process.
pub trait Supervisor: Send + Sync {
    /// The first decisions can be made.
    fn ready(&self) {}
    /// All that can be started is started; so many requests are under way. Called before each sleep.
    fn resting(&self, _under_way: usize) {}
    /// Still turning. Called at least every `beat`.
    fn alive(&self) {}
    /// How often `alive` is wanted.
    fn beat(&self) -> Option<Duration> {
        None
    }
}

/// Nobody watches.
pub struct Unsupervised;
impl Supervisor for Unsupervised {}

/// What a driver is made of.
pub struct Setup<R> {
    /// Acts on pages.
    pub actor: Actor<R>,
    /// Takes a new key.
    pub set_key: Box<dyn Fn(ApiKey) + Send>,
    /// The pages as the settings define them.
    pub blueprint: Blueprint,
    /// The inputs as they are at the start.
    pub revision: Revision,
    /// The settings as they were written, for remembering them.
    pub written: String,
    /// What was let pass last.
    pub in_force: InForce,
    /// How much may change at once without a person.
    pub thresholds: Thresholds,
    /// The latest instant that is known to be past; a clock that shows an earlier one is in doubt.
    pub last_known: Option<Instant>,
    /// Whether values must meet the `format` of their schema.
    pub assert_formats: bool,
    /// How often every page is looked at.
    pub resync: Duration,
    /// How long history is kept.
    pub keep_history: TimeDelta,
    /// Pages that are worked on at once.
    pub concurrency: usize,
    /// How fast requests may be sent.
    pub limits: Limits,
    /// Tells what is fed by these settings from what older ones left in the feed.
    pub settings_number: u32,
    /// Seeds the jitter.
    pub seed: u64,
    /// Where others read how things stand.
    pub board: Board,
}

/// Why and with what a driver ended.
#[derive(Debug)]
pub struct Ended {
    /// The settings are to be read again.
    pub reload: bool,
    /// What was in force last.
    pub in_force: InForce,
    /// A revision that waits for approval.
    pub held: Option<Held>,
    /// How many pages an approved one has yet to go out to, or to be seen on.
    pub to_come: usize,
    /// How each page stands.
    pub pages: Vec<PageReport>,
    /// What is wrong with the inputs.
    pub problems: Vec<Problem>,
}

/// How a page stood at the end.
#[derive(Clone, Debug)]
pub struct PageReport {
    /// Which page.
    pub page: PageId,
    /// How it stands.
    pub standing: Standing,
    /// Values that were put on it.
    pub applied: usize,
}

/// A request that ended.
struct Done {
    /// The turn at which it was begun, and the uptime then.
    asked: (u64, Duration),
    /// Which key it used, counted from the first.
    key: u32,
    answer: Answered,
}

enum Answered {
    List(String, Result<Vec<(Environment, RemotePage)>, ApiError>),
    Look(PageId, Result<RemotePage, ApiError>),
    Act(PageId, Result<(Acted, Written<()>), StoreError>),
}

/// The loop and all it remembers.
pub struct Driver<R> {
    actor: Actor<R>,
    set_key: Box<dyn Fn(ApiKey) + Send>,
    blueprint: Blueprint,
    revision: Revision,
    written: String,
    in_force: InForce,
    /// The pages in force are defined by the settings of now.
    is_blueprint_in_force: bool,
    /// A revision that waits for a person.
    held: Option<Held>,
    /// The pages that the held revision would change because sources lost rows, with the rows.
    bereft: BTreeMap<PageId, String>,
    /// An approved one on its way.
    rollout: Option<Rollout>,
    /// The pages that it has gone out to, also before a restart.
    out: Out,
    approved: BTreeSet<String>,
    thresholds: Thresholds,
    /// What was let pass lately.
    recent: Recent,
    overrides: Vec<Override>,
    /// What stood on pages that wait for their first promotion before they were overridden.
    found: found::Found,
    /// Those that the pages as they are decided on are under.
    overruled_by: Vec<Override>,
    clock_watch: ClockWatch,
    /// The uptime at which what the clock shows was last remembered.
    sighted_at: Option<Duration>,
    counts: Counts,
    /// The pages as they are decided on: what is in force, the stages of a rollout, overrides.
    world: World,
    resync: Duration,
    keep_history: TimeDelta,
    concurrency: usize,
    settings_number: u32,
    /// Whether there is a next boundary to look ahead to.
    is_daemon: bool,
    random: fastrand::Rng,
    schemas: Schemas,
    pages: Pages,
    applied: BTreeMap<PageId, usize>,
    waiting: Waiting,
    agents: Agents,
    gate: Gate,
    /// When a refused key is next tried, with one call.
    probe_at: Instant,
    /// When it was last tried so.
    probed_at: Instant,
    /// How often it was refused in a row.
    probes: u32,
    /// When there may be room at the gate for what found none.
    room_at: Option<Instant>,
    /// The same for what is tried again.
    retry_at: Option<Instant>,
    key_number: u32,
    /// Counts what begins and ends, so that it can be told what came first.
    turn: u64,
    jobs: JoinSet<Done>,
    under_way: UnderWay,
    /// The next retry is a list's.
    is_lists_turn: bool,
    /// The memory that the pages take as they were seen.
    pages_bytes: usize,
    /// What the store was told and has not acknowledged.
    notes: FuturesUnordered<Written<()>>,
    told: Vec<(bool, String)>,
    last_now: Instant,
    board: Board,
}

impl<R: ReadPages + WritePages> Driver<R> {
    /// Puts the pages together and takes up what the store knows of them.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn new(setup: Setup<R>) -> Result<Self, StoreError> {
        let (now, up) = (setup.actor.clock.now(), setup.actor.clock.uptime());
        let (store, api) = (&setup.actor.store, &setup.actor.api_url);
        let stored = store.pages(api).await?;
        let recent = store.fact(RECENT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        let held = store.fact(HELD).await?.and_then(|fact| Held::from_fact(&fact));
        let out = store.fact(OUT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        let found = store.fact(found::FOUND).await?.and_then(|fact| found::read(&fact));
        // By a clock that is ahead those that are in force would seem to be over.
        let past = setup.last_known.map_or(now, |known| known.min(now));
        let overrides = store.overrides(api, past.checked_sub_signed(LONGEST_SLEEP).unwrap_or(past)).await?;
        let approved = store.approvals().await?;
        let mut clock_watch = ClockWatch::new(&*setup.actor.clock, setup.last_known);
        let sighting = store.fact(Sighting::FACT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        if let Some(sighting) = sighting {
            clock_watch.remember(&sighting, &*setup.actor.clock);
        }
        if let Some(doubt) = clock_watch.doubt() {
            tracing::error!("{}", doubt.describe());
        }
        let mut driver = Self {
            actor: setup.actor,
            set_key: setup.set_key,
            blueprint: setup.blueprint,
            revision: setup.revision,
            written: setup.written,
            in_force: setup.in_force,
            is_blueprint_in_force: false,
            held,
            bereft: BTreeMap::new(),
            rollout: None,
            out: out.unwrap_or_default(),
            approved,
            thresholds: setup.thresholds,
            recent: recent.unwrap_or_default(),
            overrides,
            found: found.unwrap_or_default(),
            overruled_by: Vec::new(),
            clock_watch,
            sighted_at: None,
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
            told: Vec::new(),
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
        match driver.clock_watch.doubt() {
            Some(_) if driver.in_force.number > 0 => {
                driver.take_world(driver.in_force.pages(), now, Urgency::Source);
            }
            _ => driver.revise(now),
        }
        Ok(driver)
    }

    /// Drives until the end of the mode.
    ///
    /// # Errors
    /// When the store fails: nothing is sent any more then.
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
            // A clock that was set since the decisions were made would be slept on as if it had always been so.
            let passed = clock.uptime().saturating_sub(up) * clock.speed();
            if (clock.now() - now - TimeDelta::from_std(passed).unwrap_or_default()).abs() > NOT_SET {
                continue;
            }
            // Our own work comes first, and what others ask last; but however much work there is, something of the feed is taken
            // up at each turn.
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
                // What was read by older settings says nothing of these.
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
        self.keep_sighting();
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
        Ok(Ended { reload, pages, problems, held: self.held, to_come, in_force: self.in_force })
    }

    /// Remembers what the clock shows now and then: each time is a write to the disk.
    fn keep_sighting_hourly(&mut self) {
        let up = self.actor.clock.uptime();
        if self.sighted_at.is_none_or(|at| up.saturating_sub(at) >= SIGHTING_PAUSE) {
            self.sighted_at = Some(up);
            self.keep_sighting();
        }
    }

    /// Remembers what the clock shows, for the next start.
    fn keep_sighting(&mut self) {
        let sighting = self.clock_watch.sighting(&*self.actor.clock);
        if let Some(sighting) = sighting.and_then(|sighting| serde_json::to_string(&sighting).ok()) {
            self.keep_fact(Sighting::FACT, Some(sighting));
        }
    }

    /// What is wrong with the inputs.
    fn problems(&self) -> Vec<Problem> {
        each_once(self.revision.problems.values().flatten().chain(self.world.problems()))
    }

    /// Pages that were not come to are not known to be right, and whoever asks later is told so.
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

    /// When to decide again, if nothing comes in before.
    fn next_wake(&self, mode: Mode, now: Instant) -> Instant {
        // What is due now and found no room waits for the gate, or for the job that ends.
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

/// What a job gave. One that panicked is a bug of ours: the program ends, loudly, and is started anew.
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
