//! Drives the cycle: sleeps until something is due, works on pages side by side, tries again, ends in order.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::agents_api::{ApiError, ApiKey, Meaning, ReadPages, WritePages};
use crate::desired::{Blueprint, World};
use crate::model::{Environment, Instant, PageId, Problem, RemotePage, shorten};
use crate::plan::{Answer, Found, Plan};
use crate::sources::{FileProblems, Revision};
use crate::store::{Outcome, StoreError};

use super::page_state::PageState;
pub use super::page_state::Standing;
use super::{Acted, Actor, Decision, backoff, decide};

/// How long requests under way may take when the program ends; what has no answer then is looked up at the
/// next start.
const LAST_CALLS: Duration = Duration::from_secs(3);
/// The longest sleep; nothing depends on it, it only keeps a clock that leapt back from sleeping for years.
const LONGEST_SLEEP: TimeDelta = TimeDelta::days(1);

/// What comes to the driver from outside.
#[derive(Debug)]
pub enum Feed {
    /// The inputs are others than before.
    Inputs(Box<Revision>),
    /// The key was read again.
    Key(ApiKey),
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
    /// The pages as they last were good.
    pub previous: Option<World>,
    /// How often every page is looked at.
    pub resync: Duration,
    /// Pages that are worked on at once.
    pub concurrency: usize,
    /// Seeds the jitter.
    pub seed: u64,
}

/// Why and with what a driver ended.
#[derive(Debug)]
pub struct Ended {
    /// The settings are to be read again.
    pub reload: bool,
    /// The pages as they were last.
    pub world: World,
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

struct Agent {
    /// When its pages are next listed.
    due: Instant,
    attempts: u32,
    in_flight: bool,
}

enum Key {
    Good,
    /// Asked to be slower.
    Paused { until: Instant },
    /// Refused; tried again with one call at a time.
    Stopped { probe_at: Instant, error: String },
}

enum Done {
    Listed(String, Result<Vec<(Environment, RemotePage)>, ApiError>),
    Looked(PageId, Result<RemotePage, ApiError>),
    Acted(PageId, Result<Acted, StoreError>),
}

/// The loop and all it remembers.
pub struct Driver<R> {
    actor: Actor<R>,
    set_key: Box<dyn Fn(ApiKey) + Send>,
    blueprint: Blueprint,
    revision: Revision,
    world: World,
    resync: Duration,
    concurrency: usize,
    random: fastrand::Rng,
    pages: BTreeMap<PageId, PageState>,
    applied: BTreeMap<PageId, usize>,
    agents: BTreeMap<String, Agent>,
    key: Key,
    jobs: JoinSet<Done>,
    notes: Vec<BoxFuture<'static, Result<(), StoreError>>>,
    told: Vec<String>,
    last_now: Instant,
}

impl<R: ReadPages + WritePages> Driver<R> {
    /// Puts the pages together and takes up what the store knows of them.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn new(setup: Setup<R>) -> Result<Self, StoreError> {
        let now = setup.actor.clock.now();
        let stored = setup.actor.store.pages(&setup.actor.api_url).await?;
        let world = World::new(&setup.blueprint, &setup.revision.inputs, now, setup.previous.as_ref());
        let mut driver = Self {
            actor: setup.actor,
            set_key: setup.set_key,
            blueprint: setup.blueprint,
            revision: setup.revision,
            world: World::default(),
            resync: setup.resync,
            concurrency: setup.concurrency,
            random: fastrand::Rng::with_seed(setup.seed),
            pages: stored.into_iter().map(|(page, state)| (page, PageState::new(state))).collect(),
            applied: BTreeMap::new(),
            agents: BTreeMap::new(),
            key: Key::Good,
            jobs: JoinSet::new(),
            notes: Vec::new(),
            told: Vec::new(),
            last_now: now,
        };
        driver.take_world(world, now);
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
        supervisor.ready();
        let clock = self.actor.clock.clone();
        let mut beat = supervisor.beat().map(tokio::time::interval);
        let reload = loop {
            let now = clock.now();
            self.pump(now).await?;
            if self.is_done(mode, now) {
                break false;
            }
            let wake = self.next_wake(mode, now);
            tokio::select! {
                biased;
                fed = feed.recv() => match fed {
                    Some(Feed::Inputs(revision)) => self.take_inputs(*revision).await?,
                    Some(Feed::Key(key)) => self.take_key(key),
                    Some(Feed::Stop) | None => break false,
                    Some(Feed::Reload) => break true,
                },
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                    // A job that panicked is a bug of ours; its page is looked at again at the next resync.
                    match done {
                        Ok(done) => self.take(done).await?,
                        Err(error) => tracing::error!(%error, "a job failed"),
                    }
                }
                () = clock.sleep_until(wake) => {}
                () = next_beat(&mut beat) => supervisor.alive(),
            }
        };
        self.end(reload).await
    }

    async fn end(mut self, reload: bool) -> Result<Ended, StoreError> {
        let last_calls = async {
            while let Some(done) = self.jobs.join_next().await {
                if let Ok(done) = done {
                    self.take(done).await?;
                }
            }
            Ok(())
        };
        match tokio::time::timeout(LAST_CALLS, last_calls).await {
            Ok(ended) => ended?,
            Err(_) => tracing::warn!("requests are still unanswered; they are looked up at the next start"),
        }
        self.jobs.shutdown().await;
        self.flush_notes().await?;
        let managed = self.world.pages.iter().map(|managed| managed.page.id.clone());
        let pages = managed.filter_map(|page| {
            let state = self.pages.get(&page)?;
            let applied = self.applied.get(&page).copied().unwrap_or(0);
            Some(PageReport { standing: state.standing.clone(), applied, page })
        });
        let mut problems: Vec<Problem> = self.revision.problems.values().flatten().cloned().collect();
        let of_pages = self.world.problems().filter(|problem| !problems.contains(problem)).cloned();
        let of_pages: Vec<Problem> = of_pages.collect();
        problems.extend(of_pages);
        Ok(Ended { reload, pages: pages.collect(), problems, world: self.world })
    }

    // ---- what comes in ----

    async fn take_inputs(&mut self, revision: Revision) -> Result<(), StoreError> {
        self.revision = revision;
        let now = self.actor.clock.now();
        let world = World::new(&self.blueprint, &self.revision.inputs, now, Some(&self.world));
        self.take_world(world, now);
        Ok(())
    }

    /// Puts a new world in force. Every page is decided on anew, which costs no request when nothing changed.
    fn take_world(&mut self, world: World, now: Instant) {
        for page in &world.released {
            tracing::warn!(%page, "no longer defined: nothing is sent to it any more");
            if let Some(state) = self.pages.get_mut(page) {
                state.due = None;
                state.standing = Standing::Unseen;
            }
        }
        for managed in &world.pages {
            let id = &managed.page.id;
            let state = self.pages.entry(id.clone()).or_insert_with(|| PageState::new(Default::default()));
            let agent = self.agents.entry(id.agent.clone());
            let agent = agent.or_insert(Agent { due: now, attempts: 0, in_flight: false });
            match state.known.observed {
                // One that failed keeps its distance; one that is stuck is decided on anew.
                Some(_) if state.attempts > 0 && state.due.is_some() => {}
                Some(_) => state.due = Some(now),
                // A page that was never seen is seen with its agent's list.
                None if state.standing == Standing::Unseen && !agent.in_flight => agent.due = now,
                None => {}
            }
        }
        let defined = |agent: &String| world.pages.iter().any(|managed| managed.page.id.agent == *agent);
        self.agents.retain(|agent, _| defined(agent));
        self.world = world;
        self.tell_problems();
        self.keep_inputs(now);
    }

    /// Logs each problem once when it comes up, and when it is gone.
    fn tell_problems(&mut self) {
        let files = self.revision.problems.values().flatten();
        let mut now: Vec<String> = files.chain(self.world.problems()).map(ToString::to_string).collect();
        now.sort();
        now.dedup();
        for problem in now.iter().filter(|problem| !self.told.contains(problem)) {
            tracing::error!(%problem, "bad input: what was last good stays in force");
        }
        for problem in self.told.iter().filter(|problem| !now.contains(problem)) {
            tracing::info!(%problem, "this is mended");
        }
        self.told = now;
    }

    /// Inputs without any problem are what a restart with bad files goes back to.
    fn keep_inputs(&mut self, now: Instant) {
        if self.told.is_empty() && self.revision.problems == FileProblems::default() {
            let contents = self.revision.contents.iter();
            let contents = contents.map(|(path, bytes)| (path.clone(), bytes.to_vec())).collect();
            let store = self.actor.store.clone();
            self.notes.push(Box::pin(async move { store.keep_inputs(contents, now).await }));
        }
    }

    fn take_key(&mut self, key: ApiKey) {
        tracing::info!("the API key was read again");
        (self.set_key)(key);
        self.key = Key::Good;
        let now = self.actor.clock.now();
        for agent in self.agents.values_mut() {
            agent.due = now;
            agent.attempts = 0;
        }
        for state in self.pages.values_mut() {
            state.refused = None;
        }
    }

    async fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.actor.clock.now();
        match done {
            Done::Listed(agent, answer) => self.take_list(&agent, answer, now),
            Done::Looked(page, answer) => self.take_look(&page, answer, now),
            Done::Acted(page, acted) => self.take_act(&page, acted?, now),
        }
        Ok(())
    }

    fn take_list(&mut self, agent: &str, answer: Result<Vec<(Environment, RemotePage)>, ApiError>, now: Instant) {
        let next = after(now, backoff::jittered(self.resync, &mut self.random));
        let Some(known) = self.agents.get_mut(agent) else { return };
        known.in_flight = false;
        match answer {
            Ok(pages) => {
                known.attempts = 0;
                known.due = next;
                self.key_works();
                let mut listed: BTreeMap<Environment, RemotePage> = pages.into_iter().collect();
                for id in self.pages_of(agent) {
                    match listed.remove(&id.environment) {
                        Some(page) => self.see(&id, page, now),
                        // Not in the list: the page itself tells why.
                        None => self.ask_for_look(&id, now),
                    }
                }
            }
            // An unknown agent answers 403 here and 404 for its page; only the page tells which it is.
            Err(error) if error.status == Some(403) => {
                known.due = next;
                known.attempts = 0;
                for id in self.pages_of(agent) {
                    self.ask_for_look(&id, now);
                }
            }
            Err(error) => {
                known.attempts += 1;
                known.due = match error.meaning {
                    Meaning::Refused | Meaning::KeyRefused => next,
                    _ => after(now, backoff::wait(known.attempts, &mut self.random)),
                };
                let attempts = known.attempts;
                for id in self.pages_of(agent) {
                    self.fail(&id, &error, attempts);
                }
                self.judge_key(&error, now);
            }
        }
    }

    fn take_look(&mut self, id: &PageId, answer: Result<RemotePage, ApiError>, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.in_flight = false;
        }
        match answer {
            Ok(page) => {
                self.key_works();
                self.see(id, page, now);
            }
            Err(error) => {
                let stuck = matches!(error.meaning, Meaning::Refused | Meaning::KeyRefused);
                // An unknown agent is unknown for all its pages.
                let affected = if error.status == Some(404) { self.pages_of(&id.agent) } else { vec![id.clone()] };
                let unseen = affected.iter().filter(|other| {
                    *other == id || self.pages.get(other).is_some_and(|state| state.known.observed.is_none())
                });
                for other in unseen.cloned().collect::<Vec<_>>() {
                    self.try_later(&other, &error, stuck, now);
                }
                self.judge_key(&error, now);
            }
        }
    }

    fn take_act(&mut self, id: &PageId, acted: Acted, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.in_flight = false;
        match acted {
            Acted::Applied { page, changes, correlation_id } => {
                state.see(page);
                state.attempts = 0;
                state.refused = None;
                state.due = Some(now);
                *self.applied.entry(id.clone()).or_default() += changes.len();
                for change in changes {
                    tracing::info!(
                        page = %id,
                        variable = %change.variable,
                        from = change.from.as_ref().map(|value| shorten(value, 200)),
                        to = shorten(&change.to, 200),
                        because = change.because,
                        until = change.until.map(|until| until.to_rfc3339()),
                        correlation_id,
                        "applied"
                    );
                    state.known.base.insert(change.variable, change.to);
                }
                self.key_works();
            }
            Acted::Unknown(open, error) => {
                state.known.open = Some(open);
                state.refused = None;
                state.forget_page();
                self.try_later(id, &error, false, now);
            }
            Acted::NotTaken { page, message } => {
                state.see(page);
                state.refused = None;
                let error = ApiError {
                    meaning: Meaning::TryAgain,
                    status: None,
                    code: None,
                    message,
                    correlation_id: None,
                    retry_after: None,
                };
                self.try_later(id, &error, false, now);
            }
            Acted::Failed(error) => {
                let stuck = matches!(error.meaning, Meaning::Refused | Meaning::KeyRefused);
                if !stuck {
                    state.refused = None;
                }
                self.try_later(id, &error, stuck, now);
                self.judge_key(&error, now);
            }
        }
    }

    // ---- what follows from an answer ----

    fn see(&mut self, id: &PageId, page: RemotePage, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        if state.see(page) {
            if let Some(observed) = &state.known.observed {
                let (store, api, id, page) =
                    (self.actor.store.clone(), self.actor.api_url.clone(), id.clone(), observed.page.clone());
                self.notes.push(Box::pin(async move { store.saw(&api, &id, &page).await }));
            }
        }
        if !state.in_flight {
            state.due = Some(now);
        }
    }

    fn ask_for_look(&mut self, id: &PageId, now: Instant) {
        if let Some(state) = self.pages.get_mut(id) {
            state.known.observed = None;
            state.due = Some(now);
        }
    }

    /// A page's look or PATCH failed: again after a while, or (when `stuck`) only when something changes.
    fn try_later(&mut self, id: &PageId, error: &ApiError, stuck: bool, now: Instant) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.attempts += 1;
        state.due = match stuck {
            // What was refused is remembered, so that deciding again sends nothing until it is another.
            true => state.known.observed.as_ref().map(|_| now),
            false => Some(after(now, backoff::wait(state.attempts, &mut self.random))),
        };
        let attempts = state.attempts;
        self.fail(id, error, attempts);
    }

    fn fail(&mut self, id: &PageId, error: &ApiError, attempts: u32) {
        let stuck = matches!(error.meaning, Meaning::Refused | Meaning::KeyRefused);
        match stuck {
            true => tracing::error!(page = %id, %error, "refused; waits until something about it changes"),
            false => tracing::warn!(page = %id, %error, attempts, "failed; will be tried again"),
        }
        let text = error.to_string();
        self.set_standing(id, if stuck { Standing::Stuck(text) } else { Standing::Retrying(text) });
    }

    fn key_works(&mut self) {
        if let Key::Stopped { .. } = self.key {
            tracing::info!("the API key is taken again");
            self.key = Key::Good;
            let now = self.actor.clock.now();
            for state in self.pages.values_mut().filter(|state| state.known.observed.is_some()) {
                state.due = Some(now);
                state.attempts = 0;
                state.refused = None;
            }
        }
    }

    fn judge_key(&mut self, error: &ApiError, now: Instant) {
        match error.meaning {
            Meaning::Slower => {
                let pause = error.retry_after.unwrap_or(Duration::from_secs(5));
                let until = after(now, pause + backoff::wait(1, &mut self.random));
                if !matches!(self.key, Key::Paused { until: known } if known >= until) {
                    tracing::warn!(until = %until.to_rfc3339(), "the API asks for fewer requests; all pages wait");
                    self.key = Key::Paused { until };
                }
            }
            Meaning::KeyRefused => {
                let probe_at = after(now, backoff::jittered(self.resync, &mut self.random));
                tracing::error!(%error, "the API refuses the key: nothing is sent until it is replaced; one call is tried at each resync");
                self.key = Key::Stopped { probe_at, error: error.to_string() };
            }
            _ => {}
        }
    }

    fn set_standing(&mut self, id: &PageId, standing: Standing) {
        let Some(state) = self.pages.get_mut(id) else { return };
        state.standing = standing;
        let problem = state.standing.problem().map(str::to_owned);
        if problem != state.noted {
            state.noted.clone_from(&problem);
            let (store, api, id, now) =
                (self.actor.store.clone(), self.actor.api_url.clone(), id.clone(), self.actor.clock.now());
            self.notes.push(Box::pin(async move { store.note_problem(&api, &id, problem, now).await }));
        }
    }

    // ---- deciding and starting ----

    /// Decides on every page that is due and starts what is needed, as far as there is room.
    async fn pump(&mut self, now: Instant) -> Result<(), StoreError> {
        if now < self.last_now {
            tracing::warn!(from = %self.last_now.to_rfc3339(), to = %now.to_rfc3339(), "the clock went back; every page is decided on anew");
            for state in self.pages.values_mut().filter(|state| state.due.is_some()) {
                state.due = Some(now);
            }
        }
        self.last_now = now;
        if self.world.fresh_until.is_some_and(|until| now.date_naive() >= until) {
            let world = World::new(&self.blueprint, &self.revision.inputs, now, Some(&self.world));
            self.take_world(world, now);
        }
        if let Key::Paused { until } = self.key
            && until <= now
        {
            self.key = Key::Good;
        }
        let due: Vec<usize> = (0..self.world.pages.len())
            .filter(|index| self.page_state(*index).is_some_and(|state| !state.in_flight && state.due.is_some_and(|due| due <= now)))
            .collect();
        let mut acts = Vec::new();
        let mut looks = Vec::new();
        for index in due {
            if self.jobs.len() + acts.len() + looks.len() >= self.concurrency {
                break;
            }
            match self.decide_page(index, now) {
                Start::Nothing => {}
                Start::Look(id) => looks.push(id),
                Start::Act(plan) => acts.push(plan),
            }
        }
        // What was learned is durable before anything new is sent.
        self.flush_notes().await?;
        for plan in acts {
            self.start_act(plan);
        }
        for id in looks {
            self.start_look(id);
        }
        self.start_lists(now);
        Ok(())
    }

    fn page_state(&self, index: usize) -> Option<&PageState> {
        self.pages.get(&self.world.pages[index].page.id)
    }

    fn decide_page(&mut self, index: usize, now: Instant) -> Start {
        let managed = self.world.pages[index].clone();
        let id = managed.page.id.clone();
        let can_send = matches!(self.key, Key::Good);
        loop {
            let Some(state) = self.pages.get_mut(&id) else { return Start::Nothing };
            if state.needs_look() {
                return self.look_or_wait(&id, can_send);
            }
            match decide(&managed.page, &state.known, now) {
                Decision::Look => return self.look_or_wait(&id, can_send),
                Decision::Settle(open, found) => {
                    state.known.open = None;
                    tracing::info!(page = %id, ?found, "looked up what became of the last PATCH");
                    let outcome = match found {
                        Found::Applied => {
                            let values = open.changes.iter();
                            let values: Vec<_> =
                                values.map(|change| (change.variable.clone(), change.to.clone())).collect();
                            state.known.base.extend(values.iter().cloned());
                            *self.applied.entry(id.clone()).or_default() += values.len();
                            Outcome::Applied(values)
                        }
                        Found::NotApplied => Outcome::Failed("looked up: it was not applied".to_owned()),
                        Found::Overwritten => Outcome::Overwritten,
                    };
                    let store = self.actor.store.clone();
                    self.notes.push(Box::pin(async move { store.settle(open.id, outcome, None, now).await }));
                }
                Decision::Withhold { problems, until } => {
                    state.due = until;
                    let standing = Standing::Stuck(in_one_line(&problems));
                    if state.standing != standing {
                        for problem in &problems {
                            tracing::error!(page = %id, %problem, "withheld: nothing is sent to this page");
                        }
                    }
                    self.set_standing(&id, standing);
                    return Start::Nothing;
                }
                Decision::Plan { plan, until } => {
                    return self.take_plan(plan, until, in_one_line(&managed.problems), can_send);
                }
            }
        }
    }

    fn look_or_wait(&mut self, id: &PageId, can_send: bool) -> Start {
        if can_send {
            return Start::Look(id.clone());
        }
        let key_returns = self.key_returns();
        if let Some(state) = self.pages.get_mut(id) {
            state.due = key_returns;
        }
        Start::Nothing
    }

    fn take_plan(&mut self, plan: Plan, until: Option<Instant>, stale: String, can_send: bool) -> Start {
        let id = plan.page.clone();
        let key_returns = self.key_returns();
        let Some(state) = self.pages.get_mut(&id) else { return Start::Nothing };
        if !plan.adopted.is_empty() {
            state.known.base.extend(plan.adopted.iter().cloned());
            let (store, api, page, values) =
                (self.actor.store.clone(), self.actor.api_url.clone(), id.clone(), plan.adopted.clone());
            self.notes.push(Box::pin(async move { store.adopt(&api, &page, values).await }));
        }
        let standing = match drift_standing(&plan) {
            Standing::Right if !stale.is_empty() => Standing::Stale(stale),
            standing => standing,
        };
        if standing != state.standing {
            tell_drift(&plan);
        }
        if plan.changes.is_empty() {
            state.due = until;
            state.attempts = 0;
            state.refused = None;
            self.set_standing(&id, standing);
            return Start::Nothing;
        }
        let observed = state.known.observed.as_ref();
        let stamp = observed.map(|observed| (&observed.page.last_updated, &observed.page.schema));
        let fingerprint = format!("{:?} {stamp:?}", plan.body);
        if state.refused.as_ref() == Some(&fingerprint) {
            // The same would be refused again; the next boundary may bring another.
            state.due = until;
            return Start::Nothing;
        }
        if !can_send {
            state.due = key_returns;
            if let Key::Stopped { error, .. } = &self.key {
                let text = error.clone();
                self.set_standing(&id, Standing::Stuck(text));
            }
            return Start::Nothing;
        }
        if !state.is_fresh() {
            return Start::Look(id);
        }
        // Forgotten again when it is applied.
        state.refused = Some(fingerprint);
        Start::Act(plan)
    }

    fn key_returns(&self) -> Option<Instant> {
        match &self.key {
            Key::Good => None,
            Key::Paused { until } => Some(*until),
            Key::Stopped { .. } => None,
        }
    }

    fn start_act(&mut self, plan: Plan) {
        let id = plan.page.clone();
        if let Some(state) = self.pages.get_mut(&id) {
            state.in_flight = true;
            state.due = None;
        }
        let actor = self.actor.clone();
        self.jobs.spawn(async move { Done::Acted(id, actor.act(plan).await) });
    }

    fn start_look(&mut self, id: PageId) {
        if let Some(state) = self.pages.get_mut(&id) {
            state.in_flight = true;
            state.due = None;
        }
        let api = self.actor.api.clone();
        self.jobs.spawn(async move {
            let answer = api.page(&id).await;
            Done::Looked(id, answer)
        });
    }

    fn start_lists(&mut self, now: Instant) {
        let probe = matches!(self.key, Key::Stopped { probe_at, .. } if probe_at <= now);
        if !matches!(self.key, Key::Good) && !probe {
            return;
        }
        if let Key::Stopped { probe_at, .. } = &mut self.key {
            *probe_at = after(now, self.resync);
        }
        let due = |agent: &Agent| !agent.in_flight && (probe || agent.due <= now);
        let names: Vec<String> =
            self.agents.iter().filter(|(_, agent)| due(agent)).map(|(name, _)| name.clone()).collect();
        let room = self.concurrency.saturating_sub(self.jobs.len());
        for name in names.into_iter().take(if probe { 1 } else { room }) {
            if let Some(agent) = self.agents.get_mut(&name) {
                agent.in_flight = true;
            }
            let api = self.actor.api.clone();
            self.jobs.spawn(async move {
                let answer = api.list(&name).await;
                Done::Listed(name, answer)
            });
        }
    }

    async fn flush_notes(&mut self) -> Result<(), StoreError> {
        let notes = std::mem::take(&mut self.notes);
        futures_util::future::try_join_all(notes).await.map(drop)
    }

    fn pages_of(&self, agent: &str) -> Vec<PageId> {
        let managed = self.world.pages.iter().map(|managed| &managed.page.id);
        managed.filter(|id| id.agent == agent).cloned().collect()
    }

    // ---- when to wake, when to end ----

    fn next_wake(&self, mode: Mode, now: Instant) -> Instant {
        let full = self.jobs.len() >= self.concurrency;
        let pages = self.world.pages.iter().filter_map(|managed| {
            let state = self.pages.get(&managed.page.id)?;
            state.due.filter(|_| !state.in_flight)
        });
        let lists = match &self.key {
            Key::Good => self.agents.values().filter(|agent| !agent.in_flight).map(|agent| agent.due).min(),
            Key::Paused { until } => Some(*until),
            Key::Stopped { probe_at, .. } => Some(*probe_at),
        };
        let fresh = self.world.fresh_until.map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc());
        let deadline = match mode {
            Mode::Once { deadline } => Some(deadline),
            Mode::Daemon => None,
        };
        // What is due now and found no room is woken by the job that ends.
        let wakes = pages.chain(lists).filter(|_| !full).chain(fresh).chain(deadline);
        let longest = now.checked_add_signed(LONGEST_SLEEP).unwrap_or(now);
        wakes.chain([longest]).min().unwrap_or(longest)
    }

    fn is_done(&self, mode: Mode, now: Instant) -> bool {
        let Mode::Once { deadline } = mode else { return false };
        if now >= deadline {
            return true;
        }
        let settled = |standing: &Standing| !matches!(standing, Standing::Unseen | Standing::Retrying(_));
        let stopped = matches!(self.key, Key::Stopped { .. });
        self.jobs.is_empty()
            && self.world.pages.iter().all(|managed| {
                self.pages.get(&managed.page.id).is_none_or(|state| {
                    stopped || (settled(&state.standing) && state.due.is_none_or(|due| due > now))
                })
            })
    }
}

enum Start {
    Nothing,
    Look(PageId),
    Act(Plan),
}

fn in_one_line(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn drift_standing(plan: &Plan) -> Standing {
    let told: Vec<String> = plan
        .drift
        .iter()
        .filter(|drift| matches!(drift.answer, Answer::Held))
        .map(|drift| {
            let found = drift.found.as_ref().map_or("nothing".to_owned(), |found| shorten(found, 60));
            format!(
                "{} is {found} on the page, changed by others; {} is held (hint: set on_drift = \"restore\", or correct the page)",
                drift.variable,
                shorten(&drift.desired, 60)
            )
        })
        .collect();
    match told.is_empty() {
        true => Standing::Right,
        false => Standing::Held(told.join("; ")),
    }
}

fn tell_drift(plan: &Plan) {
    for drift in &plan.drift {
        tracing::warn!(
            page = %plan.page,
            variable = %drift.variable,
            base = shorten(&drift.base, 200),
            found = drift.found.as_ref().map(|found| shorten(found, 200)),
            desired = shorten(&drift.desired, 200),
            answer = ?drift.answer,
            "drift: others changed this value"
        );
    }
}

fn after(now: Instant, length: Duration) -> Instant {
    TimeDelta::from_std(length)
        .ok()
        .and_then(|length| now.checked_add_signed(length))
        .unwrap_or(now)
}

async fn next_beat(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}
