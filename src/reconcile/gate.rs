//! Limits the load on the API per key: a request rate, pauses that the API asks for, a circuit
//! breaker for outages, and few retries.
//!
//! It knows neither pages nor clocks; lengths of time are arguments.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::api::{
    FAILING_AGENTS, FAILURE_STREAK, FAILURE_STREAK_LENGTH, FIRST_BREAKER_PAUSE, LONGEST_BREAKER_PAUSE,
    LONGEST_PAUSE, RETRY_SHARE,
};

use super::backoff;

/// After this many doublings, the breaker's pause has long reached its maximum.
const MOST_DOUBLINGS: u32 = 8;

/// The rate limits for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sustained requests per second.
    pub rate: u32,
    /// Requests at once after an idle period.
    pub burst: u32,
}

/// The gate of one API key.
///
/// Instants are uptimes, which are not affected when the clock is set.
#[derive(Debug)]
pub struct Gate {
    all: Bucket,
    retries: Bucket,
    state: State,
    trial: Trial,
    /// For each agent with requests: true if its last first attempt failed.
    fails: HashMap<String, bool>,
    /// Number of failures since the last success, and the uptime of the first.
    streak: (usize, Duration),
    /// Number of times the breaker opened since the last success.
    opened: u32,
    waits: Waits,
}

/// The time in which a due request waited for the rate.
#[derive(Debug, Default)]
struct Waits {
    /// The uptime of the last refusal for the rate, and the wait expected then.
    pending: Option<(Duration, Duration)>,
    total: Duration,
}

impl Waits {
    /// Adds the time since a refusal.
    ///
    /// The request may be gone, so a longer time than expected does not count.
    fn end(&mut self, up: Duration) {
        if let Some((since, expected)) = self.pending.take() {
            self.total += up.saturating_sub(since).min(expected);
        }
    }
}

/// The state of the trial: after a pause single requests are tried until one succeeds.
#[derive(Debug, PartialEq)]
enum Trial {
    /// No trial is needed.
    Over,
    /// The next request is a trial.
    Due,
    /// The trial for this page or agent is in progress.
    Of(String),
}

#[derive(Debug, PartialEq)]
enum State {
    Open,
    /// Nothing is sent until then.
    Paused {
        until: Duration,
        why: Pause,
    },
    /// The key is refused. Only an occasional probe is sent.
    Stopped {
        error: String,
    },
}

/// The state that a gate leaves to the next one, in another process or replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateState {
    tokens: f64,
    retry_tokens: f64,
    /// The remaining time of a pause, which is zero while a trial is due.
    pause: Option<(Duration, Pause)>,
    opened: u32,
}

/// The reason for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    /// The API asked for it (429), for this long.
    Asked(Duration),
    /// Too many requests failed.
    Breaker,
}

impl Pause {
    /// Returns the reason as text for the status.
    pub fn words(self) -> String {
        match self {
            Self::Asked(asked) => {
                let (asked, most) = (asked.as_secs(), LONGEST_PAUSE.as_secs());
                let waited = if asked > most { format!(", shortened to {most} s") } else { String::new() };
                format!("paused: the API asks for fewer requests (Retry-After: {asked} s{waited})")
            }
            Self::Breaker => {
                "paused: requests failed for half of the agents; a trial request follows soon".to_owned()
            }
        }
    }
}

/// The cause of a request, most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A value reached its transition.
    Transition,
    /// A person set or released an override.
    Override,
    /// A source or the settings changed, or the page is new.
    #[default]
    Source,
    /// Another client changed a value.
    Drift,
    /// A periodic fetch.
    Resync,
}

impl Gate {
    /// Returns an open gate with full buckets.
    pub fn new(limits: Limits, up: Duration) -> Self {
        let rate = f64::from(limits.rate);
        Self {
            all: Bucket::new(rate, f64::from(limits.burst), up),
            retries: Bucket::new(rate / f64::from(RETRY_SHARE), f64::from(limits.burst), up),
            state: State::Open,
            trial: Trial::Over,
            fails: HashMap::new(),
            streak: (0, up),
            opened: 0,
            waits: Waits::default(),
        }
    }

    /// Returns the gate that continues a state after a time.
    ///
    /// `passed` may compare the wall clocks of two machines, so a pause is capped. A pause that ended
    /// longer ago than the longest one lasts no longer counts.
    pub fn resume(limits: Limits, state: &GateState, passed: Duration, up: Duration) -> Self {
        let mut gate = Self::new(limits, up);
        gate.all.resume(state.tokens, passed);
        gate.retries.resume(state.retry_tokens, passed);
        if let Some((left, why)) = state.pause.filter(|(left, _)| passed <= *left + LONGEST_PAUSE) {
            gate.opened = state.opened.min(MOST_DOUBLINGS);
            gate.state = State::Paused { until: up + left.saturating_sub(passed).min(LONGEST_PAUSE), why };
        }
        gate
    }

    /// Returns the state for the next gate.
    ///
    /// A refused key is not stored: the next driver tries its own key.
    pub fn state(&self, up: Duration) -> GateState {
        let pause = match self.state {
            State::Paused { until, why } => Some((until.saturating_sub(up), why)),
            State::Open if self.trial != Trial::Over => Some((Duration::ZERO, Pause::Breaker)),
            State::Open | State::Stopped { .. } => None,
        };
        let (tokens, retry_tokens) = (self.all.at(up), self.retries.at(up));
        GateState { tokens, retry_tokens, pause, opened: self.opened }
    }

    /// Returns true if requests may be sent, subject to the rate.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns the reason for a pause that ends by itself.
    pub fn pause(&self) -> Option<Pause> {
        match self.state {
            State::Paused { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Returns true during a pause, and after it until a trial has succeeded.
    pub fn is_pausing(&self) -> bool {
        self.pause().is_some() || self.trial != Trial::Over
    }

    /// Returns the API's error if it refused the key.
    pub fn stopped(&self) -> Option<&str> {
        match &self.state {
            State::Stopped { error } => Some(error),
            _ => None,
        }
    }

    /// Ends an expired pause; the next request is a trial.
    pub fn turn(&mut self, up: Duration) {
        if matches!(self.state, State::Paused { until, .. } if until <= up) {
            self.state = State::Open;
            self.trial = Trial::Due;
        }
    }

    /// Returns true if a trial should start.
    pub fn wants_trial(&self) -> bool {
        self.is_open() && self.trial == Trial::Due
    }

    /// Starts the trial with a request for a page or an agent.
    ///
    /// Returns false if it must wait for the rate.
    pub fn begin_trial(&mut self, whom: &str, up: Duration) -> bool {
        if !self.wants_trial() || !self.all.has(up, 1.0) {
            return false;
        }
        self.all.tokens -= 1.0;
        self.trial = Trial::Of(whom.to_owned());
        true
    }

    /// Takes permission for `count` requests in a row; returns false if they must wait.
    pub fn take(&mut self, up: Duration, count: u32, urgency: Urgency, is_retry: bool) -> bool {
        if !self.is_open() || self.trial != Trial::Over {
            return false;
        }
        // Resyncs leave half of the burst to more urgent requests.
        let spare = if urgency == Urgency::Resync { self.all.size / 2.0 } else { 0.0 };
        self.waits.end(up);
        if !self.all.has(up, f64::from(count) + spare) || (is_retry && !self.retries.has(up, 1.0)) {
            let expected = self.wait(up, count, urgency, is_retry);
            self.waits.pending = expected.map(|expected| (up, expected));
            return false;
        }
        let count = f64::from(count);
        // A bucket smaller than `count` goes into debt.
        self.all.tokens -= count;
        if is_retry {
            self.retries.tokens -= 1.0;
        }
        true
    }

    /// Returns the time in which a request waited for the rate.
    pub fn rate_wait(&self) -> Duration {
        self.waits.total
    }

    /// Returns an unused permission.
    pub fn give_back(&mut self) {
        self.all.tokens = (self.all.tokens + 1.0).min(self.all.size);
    }

    /// Returns the shortest wait after which [`take`](Self::take) may succeed.
    ///
    /// None if only an answer can change that.
    pub fn wait(&self, up: Duration, count: u32, urgency: Urgency, is_retry: bool) -> Option<Duration> {
        match self.state {
            State::Stopped { .. } => None,
            State::Paused { until, .. } => Some(until.saturating_sub(up)),
            State::Open if matches!(self.trial, Trial::Of(_)) => None,
            State::Open => {
                let spare = if urgency == Urgency::Resync { self.all.size / 2.0 } else { 0.0 };
                let all = self.all.wait(up, f64::from(count) + spare);
                Some(if is_retry { all.max(self.retries.wait(up, 1.0)) } else { all })
            }
        }
    }

    /// Returns how long a retry must wait for the retry limit alone; none if not at all.
    pub fn retry_wait(&mut self, up: Duration) -> Option<Duration> {
        let must_wait = self.is_open() && !self.retries.has(up, 1.0);
        must_wait.then(|| self.retries.wait(up, 1.0))
    }

    /// Records a completed or permanently refused request: the API is up.
    ///
    /// Returns true if that ends a trial.
    pub fn record_answer(&mut self, whom: &str) -> bool {
        let ends_trial = std::mem::replace(&mut self.trial, Trial::Over) != Trial::Over;
        if ends_trial {
            self.fails.clear();
        }
        (self.opened, self.streak.0) = (0, 0);
        self.note(whom, false);
        ends_trial
    }

    /// Records a failure that concerns the API: no connection, no answer, 5xx.
    ///
    /// Returns how long the breaker stays open if this failure opens it. `agents` is the total
    /// number of agents. A failed retry does not count towards the failing agents. In quiet times
    /// there are no other requests, and a few pages that the API cannot serve would speak for all.
    pub fn failed(
        &mut self,
        whom: &str,
        is_retry: bool,
        agents: usize,
        up: Duration,
        random: &mut fastrand::Rng,
    ) -> Option<Duration> {
        let failed_trial = matches!(&self.trial, Trial::Of(tried) if tried == whom);
        if !is_retry {
            self.note(whom, true);
        }
        if self.streak.0 == 0 {
            self.streak.1 = up;
        }
        self.streak.0 += 1;
        let failing = self.fails.values().filter(|fails| **fails).count();
        let is_streak =
            self.streak.0 >= FAILURE_STREAK && up.saturating_sub(self.streak.1) >= FAILURE_STREAK_LENGTH;
        let many =
            failing >= FAILING_AGENTS && failing * 2 >= agents && is_streak && self.trial == Trial::Over;
        if !self.is_open() || !(many || failed_trial) {
            return None;
        }
        let cooling = FIRST_BREAKER_PAUSE.saturating_mul(1 << self.opened).min(LONGEST_BREAKER_PAUSE);
        let cooling = backoff::jittered(cooling, random);
        self.opened = (self.opened + 1).min(MOST_DOUBLINGS);
        self.fails.clear();
        self.trial = Trial::Over;
        self.state = State::Paused { until: up + cooling, why: Pause::Breaker };
        Some(cooling)
    }

    /// Pauses because the API asked for it. Returns true if that extends the pause.
    ///
    /// `length` may be shorter than `asked`.
    pub fn pause_for(&mut self, length: Duration, asked: Duration, up: Duration) -> bool {
        let until = up + length;
        match self.state {
            State::Stopped { .. } => false,
            State::Paused { until: known, .. } if known >= until => false,
            _ => {
                self.state = State::Paused { until, why: Pause::Asked(asked) };
                true
            }
        }
    }

    /// Stops all requests: the API refused the key.
    pub fn stop(&mut self, error: String) {
        self.state = State::Stopped { error };
    }

    /// Opens the gate for a new key, or one that the API accepts again.
    ///
    /// The state from before no longer counts.
    pub fn open(&mut self) {
        self.state = State::Open;
        self.trial = Trial::Over;
    }

    /// Records the last result for an agent, given the agent or one of its pages.
    fn note(&mut self, whom: &str, fails: bool) {
        let agent = whom.split('/').next().unwrap_or_default();
        match self.fails.get_mut(agent) {
            Some(known) => *known = fails,
            None => drop(self.fails.insert(agent.to_owned(), fails)),
        }
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    /// Tokens per second.
    rate: f64,
    size: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    fn new(rate: f64, size: f64, up: Duration) -> Self {
        Self { rate, size, tokens: size, filled: up }
    }

    /// Continues with the tokens that were left some time before.
    fn resume(&mut self, tokens: f64, passed: Duration) {
        self.tokens = (tokens + passed.as_secs_f64() * self.rate).min(self.size);
    }

    /// Refills the bucket and returns true if it holds enough tokens.
    fn has(&mut self, up: Duration, count: f64) -> bool {
        self.tokens = self.at(up);
        self.filled = up;
        self.tokens + 1e-9 >= count.min(self.size)
    }

    fn at(&self, up: Duration) -> f64 {
        (self.tokens + up.saturating_sub(self.filled).as_secs_f64() * self.rate).min(self.size)
    }

    fn wait(&self, up: Duration, count: f64) -> Duration {
        let missing = count.min(self.size) - self.at(up);
        // Rounded up, so that the token is available when the wait ends.
        Duration::from_secs_f64((missing / self.rate).max(0.0)) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests;
