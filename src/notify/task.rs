//! The task that watches the driver's status and sends messages.
//!
//! It sleeps until the driver did something, an event was collected long enough, or an attempt is
//! due. So it adds no wake-up to a daemon at rest, except one after each thing that happened.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::lint::{old_zone_database, running_out};
use crate::model::Instant;
use crate::reconcile::{Board, Control, Definitions, Feed, Status};
use crate::settings::{Api, EventKind, Receiver, Settings};
use crate::store::{Store, StoreError};

use super::deliver::{Outcome, deliver};
use super::event::Event;
use super::ledger::Ledger;
use super::message::Message;
use super::outbox::Settled;
use super::snapshot::{Findings, Observer};

/// The shortest time between two looks at the status.
const PAUSE: Duration = Duration::from_secs(1);
/// Time limit for the driver's status; a driver that is being replaced does not answer.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two runs of lint while nothing changes.
const LINT_EACH: TimeDelta = TimeDelta::hours(24);
/// The shortest time between two runs of lint, which may take seconds of CPU.
const LINT_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// The links to the driver.
#[derive(Clone)]
pub struct Links {
    /// The board where it publishes its status.
    pub board: Board,
    /// Its feed.
    pub feed: mpsc::Sender<Feed>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// What the settings say, and the store of their owner.
#[derive(Clone)]
struct Config {
    receivers: Vec<Receiver>,
    api: Api,
    /// The sender that messages name.
    instance: String,
    store: Arc<dyn Store>,
}

/// The running notifications; dropped, they end.
#[derive(Debug)]
pub struct Notifier {
    configs: watch::Sender<Arc<Config>>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("receivers", &self.receivers).finish_non_exhaustive()
    }
}

impl Config {
    fn new(settings: &Settings, store: Arc<dyn Store>) -> Arc<Self> {
        let receivers = settings.notify.clone();
        Arc::new(Self { receivers, api: settings.api.clone(), instance: instance(settings), store })
    }
}

/// Returns the name by which messages tell several rtconfd apart.
pub fn instance(settings: &Settings) -> String {
    let owner = settings.owner();
    let host = owner.api.split_once("://").map_or(owner.api.as_str(), |(_, host)| host);
    match owner.id.as_str() {
        "default" => host.to_owned(),
        id => format!("{id} at {host}"),
    }
}

impl Notifier {
    /// Starts notifications for the receivers of the settings.
    pub fn start(settings: &Settings, store: Arc<dyn Store>, links: Links) -> Self {
        let (configs, changed) = watch::channel(Config::new(settings, store));
        let task = tokio::spawn(async move {
            if let Err(error) = run(links, changed).await {
                // The driver ends with the same store, and reports it.
                tracing::error!(%error, "notifications ended");
            }
        });
        Self { configs, task }
    }

    /// Replaces the receivers by those of other settings, without waiting.
    pub fn replace(&self, settings: &Settings, store: Arc<dyn Store>) {
        self.configs.send_replace(Config::new(settings, store));
    }

    /// Ends notifications. What was not sent is sent after the next start.
    pub async fn stop(mut self) {
        self.task.abort();
        // It was aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Work beside the loop that ended.
enum Done {
    /// An attempt to deliver a message: receiver, ID and outcome.
    Tried(String, String, Outcome),
    /// Lint in a round, of the revision with a number; none if it could not run.
    Linted(u32, Option<(i64, Findings)>),
}

/// The state of lint.
#[derive(Default)]
struct Lint {
    /// The last run and the number of its revision.
    last: Option<(Instant, i64)>,
    is_running: bool,
    /// Distinguishes runs for these settings from those for older ones.
    round: u32,
}

impl Lint {
    fn is_due(&self, status: &Status, now: Instant) -> bool {
        // The first sync has precedence over warnings.
        let is_synced = status.pages.iter().all(|page| page.is_fetched || page.standing.problem().is_some());
        let is_due = self.last.is_none_or(|(at, number)| {
            let age = (now - at).abs();
            age >= LINT_EACH || (number != status.active && age >= LINT_PAUSE)
        });
        !self.is_running && is_synced && is_due
    }
}

struct Task {
    links: Links,
    config: Arc<Config>,
    ledger: Ledger,
    observer: Observer,
    lint: Lint,
    jobs: JoinSet<Done>,
    /// The receivers to which a message is being sent.
    sending: BTreeSet<String>,
    turns: watch::Receiver<u64>,
    /// The turn of the driver as of the last look; none to look again.
    seen: Option<u64>,
    next_look: tokio::time::Instant,
    /// The lines of a digest as of the last look; the driver has done nothing since.
    digest: Option<Vec<Event>>,
    random: fastrand::Rng,
}

async fn run(links: Links, mut configs: watch::Receiver<Arc<Config>>) -> Result<(), StoreError> {
    let config = configs.borrow_and_update().clone();
    let turns = links.board.turns();
    let mut task = Task {
        links,
        config: config.clone(),
        ledger: Ledger::default(),
        observer: Observer::default(),
        lint: Lint::default(),
        jobs: JoinSet::new(),
        sending: BTreeSet::new(),
        turns,
        seen: None,
        next_look: tokio::time::Instant::now(),
        digest: None,
        random: fastrand::Rng::new(),
    };
    task.configure(config).await?;
    let clock = task.links.clock.clone();
    loop {
        task.send();
        let due = task.next_due(clock.now());
        let wait = async {
            match due {
                Some(due) => clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let (seen, next_look) = (task.seen, task.next_look);
        tokio::select! {
            changed = configs.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let config = configs.borrow_and_update().clone();
                task.configure(config).await?;
            }
            Some(done) = task.jobs.join_next(), if !task.jobs.is_empty() => {
                match done {
                    Ok(done) => task.take(done).await?,
                    Err(error) => tracing::error!(%error, "a notification failed unexpectedly"),
                }
            }
            () = turned(&mut task.turns, seen, next_look) => task.look().await?,
            () = wait => task.compose().await?,
        }
    }
}

/// Waits until the driver did something since a turn, and until a time.
async fn turned(turns: &mut watch::Receiver<u64>, seen: Option<u64>, next_look: tokio::time::Instant) {
    // Before its first turn, the driver has no status.
    let is_new = |turn: &u64| *turn > 0 && Some(*turn) != seen;
    if turns.wait_for(is_new).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(next_look).await;
}

impl Task {
    /// Takes over receivers, and the state of their owner.
    async fn configure(&mut self, config: Arc<Config>) -> Result<(), StoreError> {
        let stored = config.store.fact(Ledger::FACT).await?;
        self.ledger = match stored.as_deref().map(serde_json::from_str) {
            Some(Ok(ledger)) => ledger,
            Some(Err(error)) => {
                tracing::warn!(%error, "stored notifications are unreadable; conditions are reported again");
                Ledger::default()
            }
            None => Ledger::default(),
        };
        self.config = config;
        self.ledger.set_receivers(&self.config.receivers, self.links.clock.now());
        self.observer.begin_anew();
        self.lint = Lint { round: self.lint.round + 1, ..Lint::default() };
        (self.digest, self.seen) = (None, None);
        self.save().await
    }

    /// Stores the state, so that nothing is lost or reported twice, and shows what fails.
    async fn save(&self) -> Result<(), StoreError> {
        self.links.board.note_receivers(self.ledger.failures());
        let text = serde_json::to_string(&self.ledger).ok();
        self.config.store.set_fact(Ledger::FACT, text).await
    }

    /// Looks at the driver's status, and collects what changed.
    async fn look(&mut self) -> Result<(), StoreError> {
        let turn = *self.turns.borrow();
        self.next_look = tokio::time::Instant::now() + PAUSE;
        let status = tokio::time::timeout(STATUS_TIMEOUT, self.links.board.ask()).await;
        let Ok(Some(status)) = status else { return Ok(()) };
        self.seen = Some(turn);
        let now = self.links.clock.now();
        let states = self.observer.states(&status, &self.ledger.reported);
        let passing = self.observer.passing(&status);
        self.digest = Some(self.observer.digest(&status, now));
        if self.lint.is_due(&status, now) {
            self.start_lint(now);
        }
        if self.ledger.observe(&self.config.receivers, &states, passing, now) {
            self.save().await?;
        }
        Ok(())
    }

    /// Starts lint on a thread of its own.
    fn start_lint(&mut self, at: Instant) {
        self.lint.is_running = true;
        let (feed, api, round) = (self.links.feed.clone(), self.config.api.clone(), self.lint.round);
        self.jobs.spawn(async move {
            let (send, answered) = oneshot::channel();
            let linted = async {
                feed.send(Feed::Control(Control::Define(send))).await.ok()?;
                let definitions = answered.await.ok()?;
                tokio::task::spawn_blocking(move || (definitions.number, findings(&definitions, &api, at)))
                    .await
                    .ok()
            };
            Done::Linted(round, linted.await)
        });
    }

    async fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.links.clock.now();
        match done {
            Done::Linted(round, _) if round != self.lint.round => Ok(()),
            Done::Linted(_, linted) => {
                self.lint.is_running = false;
                if let Some((number, findings)) = linted {
                    self.lint.last = Some((now, number));
                    self.observer.set_findings(findings);
                    self.seen = None;
                }
                Ok(())
            }
            Done::Tried(name, id, outcome) => {
                self.sending.remove(&name);
                let outbox = self.ledger.outboxes.get_mut(&name);
                let settled = outbox.and_then(|outbox| outbox.settle(&id, &outcome, now, &mut self.random));
                self.save().await?;
                settled.iter().for_each(|settled| report(&name, &id, &outcome, *settled));
                Ok(())
            }
        }
    }

    /// Makes the messages that are due.
    async fn compose(&mut self) -> Result<(), StoreError> {
        let (now, config) = (self.links.clock.now(), self.config.clone());
        let mut is_changed = false;
        if self.is_digest_due(now) && self.seen != Some(*self.turns.borrow()) {
            self.look().await?;
        }
        for receiver in &config.receivers {
            let Some(outbox) = self.ledger.outboxes.get_mut(&receiver.name) else { continue };
            if let Some(lines) = &self.digest
                && outbox.is_digest_due(receiver, now)
            {
                outbox.add_digest(lines.clone(), now);
                is_changed = true;
            }
            is_changed |= outbox.compose(receiver, now, || message_id(&mut self.random), &config.instance);
        }
        if is_changed { self.save().await } else { Ok(()) }
    }

    fn is_digest_due(&self, now: Instant) -> bool {
        let outboxes = self
            .config
            .receivers
            .iter()
            .filter_map(|receiver| Some((receiver, self.ledger.outboxes.get(&receiver.name)?)));
        self.digest.is_some()
            && outboxes.into_iter().any(|(receiver, outbox)| outbox.is_digest_due(receiver, now))
    }

    /// Starts the attempts that are due, one for each receiver.
    fn send(&mut self) {
        let now = self.links.clock.now();
        for receiver in &self.config.receivers {
            let outbox = self.ledger.outboxes.get(&receiver.name);
            let Some(message) = outbox.and_then(|outbox| outbox.due_message(receiver, now)).cloned() else {
                continue;
            };
            if self.sending.insert(receiver.name.clone()) {
                let (receiver, message) = (receiver.clone(), message.redacted());
                self.jobs.spawn(async move {
                    let outcome = deliver(&receiver, &message, now).await;
                    Done::Tried(receiver.name, message.id, outcome)
                });
            }
        }
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.config.receivers.iter().filter(|receiver| !self.sending.contains(&receiver.name));
        waiting.filter_map(|receiver| self.ledger.next_due(receiver, now, self.digest.is_some())).min()
    }
}

/// Returns an ID that no other message has.
pub fn message_id(random: &mut fastrand::Rng) -> String {
    format!("msg_{:032x}", random.u128(..))
}

/// Returns what runs out: of the definitions, the zone database and the key.
fn findings(definitions: &Definitions, api: &Api, at: Instant) -> Findings {
    let Definitions { world, blueprint, inputs, .. } = definitions;
    let mut found = running_out(world, blueprint, inputs, at);
    found.extend(blueprint.ending(at.date_naive()));
    found.extend(old_zone_database(&blueprint.zones, at));
    let found = found.into_iter().map(|problem| (EventKind::Lint, problem));
    let key = api.key_ending(at.date_naive()).map(|problem| (EventKind::Key, problem));
    key.into_iter().chain(found).collect()
}

/// Logs the outcome of an attempt.
fn report(receiver: &str, id: &str, outcome: &Outcome, settled: Settled) {
    let answer = &outcome.answer;
    match settled {
        Settled::Delivered => tracing::info!(receiver, id, answer, "notification delivered"),
        Settled::Retried { after, is_first: true } => {
            let seconds = after.as_secs();
            tracing::warn!(receiver, id, answer, retry_after_secs = seconds, "notification not delivered");
        }
        // The same problem once; its end is logged as a delivery or as given up.
        Settled::Retried { is_first: false, .. } => {
            tracing::debug!(receiver, id, answer, "notification not delivered");
        }
        Settled::Lost => tracing::error!(receiver, id, answer, "notification given up"),
    }
}

/// Creates a test message for the receivers of the settings.
pub fn test_message(settings: &Settings, at: Instant) -> Message {
    Message::test(message_id(&mut fastrand::Rng::new()), at, instance(settings))
}
