//! Drives the cycle: sleeps until work is due, processes pages in parallel, retries, and ends in
//! order.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use crate::agents_api::{ReadPages, WritePages};
use crate::compile::World;
use crate::limits::api::LAST_CALLS;
use crate::model::{Instant, PageId, Problem, each_once};
use crate::schema::Schemas;
use crate::store::{StoreError, Written};

use super::agents::Agents;
use super::board::Turn;
use super::clock_trust::{ClockReading, ClockTrust};
use super::gate::{Pause, Urgency};
use super::page_state::Pages;
use super::revision::{HELD, OUT, RECENT, Rollout};
use super::{Actor, Held};

pub use super::page_state::Standing;
pub use interface::{Ended, Feed, Mode, Pace, PageReport, Setup, Supervisor, Unsupervised};
pub use revisions::Newest;

use clock_state::ClockState;
use contested::Contested;
use fetched::Fetched;
use key::Key;
use overrides::Overrides;
use report::Report;
use requests::{Done, Requests, StoredGate};
use revisions::Revisions;
use sharing::Sharing;
use waiting::Waiting;

mod answers;
mod calendar_ends;
mod clock_state;
mod contested;
mod controls;
mod deciding;
mod early;
mod failures;
mod fetched;
mod incoming;
mod interface;
mod key;
mod overrides;
mod promoting;
mod report;
mod requests;
mod revising;
mod revisions;
mod sharing;
mod starting;
mod waiting;

/// The longest sleep.
///
/// Nothing depends on it; it only limits the sleep after the clock jumped back.
const LONGEST_SLEEP: TimeDelta = TimeDelta::days(1);

/// The largest deviation between clock and uptime for a clock that was not set.
const NOT_SET: TimeDelta = TimeDelta::seconds(1);

/// The main loop and its state.
///
/// Each part guards a small state of its own; the driver connects them. One field for each part
/// reads better than parts of parts, so it has more fields than other types.
pub struct Driver<R> {
    actor: Actor<R>,
    /// The pages and agents, with their due times.
    pages: Pages,
    agents: Agents,
    fetched: Fetched,
    /// The pages to decide on: the active revision with rollout stages and overrides.
    world: World,
    revisions: Revisions,
    sharing: Sharing,
    /// The schedule of promotions.
    waiting: Waiting,
    contested: Contested,
    overrides: Overrides,
    clock: ClockState,
    key: Key,
    requests: Requests,
    /// Writes not yet acknowledged by the store.
    notes: FuturesUnordered<Written<()>>,
    report: Report,
    pace: Pace,
    /// True if there is a next transition to prepare for.
    is_daemon: bool,
    random: fastrand::Rng,
}

impl<R: ReadPages + WritePages> Driver<R> {
    /// Builds the pages and loads their stored state.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn new(setup: Setup<R>) -> Result<Self, StoreError> {
        let now = setup.actor.clock.now();
        let store = &setup.actor.store;
        let stored = store.pages().await?;
        let recent = store.fact(RECENT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        let held = store.fact(HELD).await?.and_then(|fact| Held::from_fact(&fact));
        let out = store.fact(OUT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        let found = store.fact(overrides::FOUND).await?.and_then(|fact| overrides::read(&fact));
        let past = store.fact(sharing::PAST).await?;
        let open = stored.iter().filter(|(_, state)| state.open.is_some()).map(|(page, _)| page.clone());
        let sharing = Sharing::new(setup.pace.is_shared, past.as_deref(), open.collect(), now);
        // With a clock that is ahead, active overrides would look expired.
        let past = setup.last_known.map_or(now, |known| known.min(now));
        let overrides = store.overrides(past.checked_sub_signed(LONGEST_SLEEP).unwrap_or(past)).await?;
        let approved = store.approvals().await?;
        let mut clock_trust = ClockTrust::new(&*setup.actor.clock, setup.last_known);
        let reading = store.fact(ClockReading::FACT).await?.and_then(|fact| serde_json::from_str(&fact).ok());
        if let Some(reading) = reading {
            clock_trust.remember(&reading, &*setup.actor.clock);
        }
        if let Some(distrust) = clock_trust.distrust() {
            tracing::error!("{}", distrust.describe());
        }
        let pace = setup.pace;
        let gate = store.fact(StoredGate::FACT).await?;
        let gate = StoredGate::resume(gate.as_deref(), pace.limits, &*setup.actor.clock);
        let mut driver = Self {
            actor: setup.actor,
            pages: Pages::default(),
            agents: Agents::default(),
            fetched: Fetched::new(Schemas::new(pace.assert_formats), pace.max_fetched_bytes),
            world: World::default(),
            revisions: Revisions {
                newest: setup.newest,
                active: setup.active,
                is_blueprint_active: false,
                held,
                proposal: None,
                losing_rows: BTreeMap::new(),
                rollout: None,
                out: out.unwrap_or_default(),
                approved,
                thresholds: setup.thresholds,
                recent: recent.unwrap_or_default(),
            },
            sharing,
            waiting: Waiting::default(),
            contested: Contested::default(),
            overrides: Overrides { set: overrides, applied: Vec::new(), found: found.unwrap_or_default() },
            clock: ClockState::new(clock_trust, now),
            key: Key::new(setup.set_key, now),
            requests: Requests::new(gate, pace.concurrency),
            notes: FuturesUnordered::new(),
            report: Report::new(setup.board),
            pace,
            is_daemon: false,
            random: fastrand::Rng::with_seed(setup.seed),
        };
        for (page, state) in stored {
            driver.pages.insert(page, state);
        }
        driver.overrides.begin(now);
        if let Some(held) = &driver.revisions.held {
            tracing::warn!(because = held.reasons.join("; "), "still held: {}", held.advice());
        }
        match driver.clock.trust.distrust() {
            Some(_) if driver.revisions.active.number > 0 => {
                driver.take_world(driver.revisions.active.pages(), now, Urgency::Source);
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
        let mut store_ended = self.actor.store.ended();
        let mut beat = supervisor.beat().map(tokio::time::interval);
        let mut turn = Turn::default();
        // A turn for a reader or the supervisor alone changes nothing.
        let mut is_idle = false;
        let reload = loop {
            let (now, up) = (clock.now(), clock.uptime());
            self.claim_pages(supervisor, now);
            self.pump(now);
            if !self.contested.is_claimed() {
                continue;
            }
            if self.is_done(mode, now) {
                break false;
            }
            let wake = self.next_wake(mode, now);
            supervisor.resting(self.requests.jobs.len());
            if !std::mem::take(&mut is_idle) {
                self.report.board.note_turn();
            }
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
                error = &mut store_ended => return Err(error),
                Some(done) = self.requests.jobs.join_next(), if !self.requests.jobs.is_empty() => {
                    self.take(finished(done))?;
                    while let Some(done) = self.requests.jobs.try_join_next() {
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
                    is_idle = true;
                    None
                }
                () = self.report.board.is_due(&turn) => {
                    turn = self.report.board.publish(|| self.status());
                    is_idle = true;
                    None
                }
            };
            if let Some(fed) = fed
                && let Some(reload) = self.take_fed(fed).await?
            {
                break reload;
            }
        };
        self.end(mode, reload).await
    }

    /// Takes one item of the feed.
    ///
    /// Returns none to continue; at an end, true if the settings must be read again.
    async fn take_fed(&mut self, fed: Feed) -> Result<Option<bool>, StoreError> {
        match fed {
            // Input read with older settings does not apply to these.
            Feed::Inputs(number, _) | Feed::Key(number, _) if number != self.revisions.newest.number => {}
            Feed::Inputs(_, revision) => self.take_inputs(*revision),
            Feed::Key(_, key) => self.take_key(key),
            Feed::Control(control) => self.take_control(control).await?,
            Feed::Stop => return Ok(Some(false)),
            Feed::Reload => return Ok(Some(true)),
        }
        Ok(None)
    }

    async fn end(mut self, mode: Mode, reload: bool) -> Result<Ended, StoreError> {
        let last_calls = async {
            while let Some(done) = self.requests.jobs.join_next().await {
                self.take(finished(done))?;
            }
            Ok(())
        };
        match tokio::time::timeout(LAST_CALLS, last_calls).await {
            Ok(ended) => ended?,
            Err(_) => {
                tracing::warn!("requests are still unanswered; the next start determines their outcome")
            }
        }
        self.requests.jobs.shutdown().await;
        let reading = self.clock.trust.reading(&*self.actor.clock);
        self.store_clock_reading(reading);
        self.store_gate();
        if matches!(mode, Mode::Once { .. }) {
            self.note_unseen();
        }
        while let Some(noted) = self.notes.next().await {
            noted?;
        }
        let managed = self.world.pages.iter().map(|managed| managed.page.id.clone());
        let pages = managed.filter_map(|page| {
            let state = self.pages.get(&page)?;
            let applied = self.report.applied.get(&page).copied().unwrap_or(0);
            Some(PageReport { standing: state.standing.clone(), applied, page })
        });
        let problems = self.problems();
        let to_come = self.revisions.rollout.as_ref().map_or(0, Rollout::to_come);
        let pages = pages.collect();
        Ok(Ended {
            reload,
            pages,
            problems,
            held: self.revisions.held,
            to_come,
            active: self.revisions.active,
        })
    }

    /// Stores a clock reading for the next start.
    fn store_clock_reading(&mut self, reading: Option<ClockReading>) {
        if let Some(reading) = reading.and_then(|reading| serde_json::to_string(&reading).ok()) {
            self.keep_fact(ClockReading::FACT, Some(reading));
        }
    }

    /// Stores the rate's tokens and the pause for the next driver.
    fn store_gate(&mut self) {
        self.keep_fact(StoredGate::FACT, StoredGate::of(&self.requests.gate, &*self.actor.clock));
    }

    /// Returns the problems of the inputs.
    fn problems(&self) -> Vec<Problem> {
        each_once(self.revisions.newest.revision.problems.values().flatten().chain(self.world.problems()))
    }

    /// Marks pages not fetched as retrying, so that later readers do not take them as right.
    fn note_unseen(&mut self) {
        let ids: Vec<PageId> = self.world.pages.iter().map(|managed| managed.page.id.clone()).collect();
        for id in ids {
            if self.pages.get(&id).is_some_and(|state| state.standing == Standing::Unseen) {
                let unseen = "the page was not fetched in time (hint: raise --timeout or api.rate)";
                let pause = self.requests.gate.pause().map(Pause::words);
                let why = self.requests.gate.stopped().map(str::to_owned).or(pause);
                let why = why.unwrap_or_else(|| unseen.to_owned());
                self.set_standing(&id, Standing::Retrying(why));
            }
        }
    }

    /// Returns when to decide again if no event comes earlier.
    fn next_wake(&self, mode: Mode, now: Instant) -> Instant {
        // Pages that are due but found no room wait for the gate, or for a job to end.
        let lists = match self.requests.gate.stopped() {
            Some(_) => Some(self.key.probe_at()),
            None => self.agents.next_due(now),
        };
        let fresh = self.world.stale_at().filter(|at| *at > now);
        let deadline = match mode {
            Mode::Once { deadline } => Some(deadline),
            Mode::Daemon => None,
        };
        let pages = self.pages.next_due(now);
        let follows = self.next_to_follow(now);
        let (claims, requests, shared) = (self.contested.again(), &self.requests, self.sharing.next(now));
        let wakes =
            [pages, lists, claims, requests.room_at, requests.retry_at, fresh, follows, shared, deadline]
                .into_iter()
                .flatten();
        let longest = now.checked_add_signed(LONGEST_SLEEP).unwrap_or(now);
        wakes.chain([longest]).min().unwrap_or(longest)
    }

    fn is_done(&self, mode: Mode, now: Instant) -> bool {
        let Mode::Once { deadline } = mode else { return false };
        if now >= deadline {
            return true;
        }
        let settled = |standing: &Standing| !matches!(standing, Standing::Unseen | Standing::Retrying(_));
        let stopped = self.requests.gate.stopped().is_some();
        let rolls = self.revisions.rollout.as_ref().is_some_and(|rollout| rollout.stopped_at.is_none());
        self.requests.jobs.is_empty()
            && (stopped || !rolls)
            && self.world.pages.iter().all(|managed| {
                self.pages.get(&managed.page.id).is_none_or(|state| {
                    stopped || (settled(&state.standing) && state.due().is_none_or(|due| due > now))
                })
            })
    }
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
