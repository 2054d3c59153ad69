//! What keeps one API key from being a nuisance: so many requests a second, pauses that the API asks for, a
//! breaker for when it is down, and few retries. Knows no page and no clock; lengths of time are arguments.

use std::collections::HashMap;
use std::time::Duration;

use super::backoff;

/// The breaker opens only when so many agents fail, and half of all: those that are broken must not stop the others.
const FAILING: usize = 3;
/// And only when so many requests in a row failed, for so long: where some come through, the API is there.
const STREAK: usize = 5;
const STREAK_LENGTH: Duration = Duration::from_secs(2);
/// How long the breaker stays open at first, and at most.
const COOLING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// Of so many requests one may be a retry.
const RETRY_SHARE: f64 = 10.0;

/// The longest pause that a Retry-After brings: one request after it does no harm, and a day's pause would be a day of wrong hours.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How fast requests may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second, in the long run.
    pub rate: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}

/// The gate of one key. Instants are the clock's uptime, which no setting of the clock moves.
#[derive(Debug)]
pub struct Gate {
    all: Bucket,
    retries: Bucket,
    state: State,
    trial: Trial,
    /// The agents that were asked for something, and whether the last first try for each failed.
    fails: HashMap<String, bool>,
    /// Requests that failed since one came through, and since which uptime.
    streak: (usize, Duration),
    /// How often the breaker opened since a request came through.
    opened: u32,
}

/// After a pause one request is tried, until one succeeds.
#[derive(Debug, PartialEq)]
enum Trial {
    /// There is nothing to try.
    Over,
    /// The next request is one.
    Wanted,
    /// It is under way, for a page or an agent.
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
    /// The key is refused: nothing but a call now and then.
    Stopped {
        error: String,
    },
}

/// Why nothing is sent for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The API asked for it (429), and for how long.
    Asked(Duration),
    /// Too many requests failed.
    Breaker,
}

impl Pause {
    /// In words, for status.
    pub fn words(self) -> String {
        match self {
            Self::Asked(asked) => {
                let (asked, most) = (asked.as_secs(), LONGEST_PAUSE.as_secs());
                let waited =
                    if asked > most { format!(", {most} s of which are waited") } else { String::new() };
                format!("waits, because the API asks for fewer requests (Retry-After: {asked} s{waited})")
            }
            Self::Breaker => {
                "waits, because the requests of half of the agents failed; one is tried soon".to_owned()
            }
        }
    }
}

/// What a request is for; the more urgent go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A value that changes by itself at its instant.
    Boundary,
    /// A person's decision.
    Override,
    /// Another content of a source, other settings, a first contact.
    #[default]
    Source,
    /// A value that others changed.
    Drift,
    /// A look that nothing has called for.
    Resync,
}

impl Gate {
    /// An open gate with full buckets.
    pub fn new(limits: Limits, up: Duration) -> Self {
        let rate = f64::from(limits.rate);
        Self {
            all: Bucket::new(rate, f64::from(limits.burst), up),
            retries: Bucket::new(rate / RETRY_SHARE, f64::from(limits.burst), up),
            state: State::Open,
            trial: Trial::Over,
            fails: HashMap::new(),
            streak: (0, up),
            opened: 0,
        }
    }

    /// Whether anything is sent at all, but for the rate.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Why nothing is sent, if that ends by itself.
    pub fn pause(&self) -> Option<Pause> {
        match self.state {
            State::Paused { why, .. } => Some(why),
            _ => None,
        }
    }

    /// What the API said when it refused the key.
    pub fn stopped(&self) -> Option<&str> {
        match &self.state {
            State::Stopped { error } => Some(error),
            _ => None,
        }
    }

    /// Ends a pause that is over; what follows is a trial.
    pub fn turn(&mut self, up: Duration) {
        if matches!(self.state, State::Paused { until, .. } if until <= up) {
            self.state = State::Open;
            self.trial = Trial::Wanted;
        }
    }

    /// Whether a trial is to begin.
    pub fn wants_trial(&self) -> bool {
        self.is_open() && self.trial == Trial::Wanted
    }

    /// Begins the trial with a request for a page or an agent; `false` when it has to wait for the rate.
    pub fn begin_trial(&mut self, whom: &str, up: Duration) -> bool {
        if !self.wants_trial() || !self.all.has(up, 1.0) {
            return false;
        }
        self.all.tokens -= 1.0;
        self.trial = Trial::Of(whom.to_owned());
        true
    }

    /// Takes the permission for so many requests in a row; `false` when they have to wait.
    pub fn take(&mut self, up: Duration, count: u32, urgency: Urgency, is_retry: bool) -> bool {
        if !self.is_open() || self.trial != Trial::Over {
            return false;
        }
        // Looks that nothing has called for leave half of the burst to what has.
        let spare = if urgency == Urgency::Resync { self.all.size / 2.0 } else { 0.0 };
        let count = f64::from(count);
        if !self.all.has(up, count + spare) || (is_retry && !self.retries.has(up, 1.0)) {
            return false;
        }
        // A bucket that is smaller than that owes the rest.
        self.all.tokens -= count;
        if is_retry {
            self.retries.tokens -= 1.0;
        }
        true
    }

    /// Gives a permission back that was not used.
    pub fn give_back(&mut self) {
        self.all.tokens = (self.all.tokens + 1.0).min(self.all.size);
    }

    /// The least wait after which [`take`](Self::take) may say yes; none while only an answer can change that.
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

    /// How long a retry has to wait for others of its kind, and for nothing else; none when it doesn't.
    pub fn retry_wait(&mut self, up: Duration) -> Option<Duration> {
        let must_wait = self.is_open() && !self.retries.has(up, 1.0);
        must_wait.then(|| self.retries.wait(up, 1.0))
    }

    /// A request for a page or an agent was carried out or refused for good: the API is there. Gives whether that ends a
    /// trial.
    pub fn came_through(&mut self, whom: &str) -> bool {
        let ends_trial = std::mem::replace(&mut self.trial, Trial::Over) != Trial::Over;
        if ends_trial {
            self.fails.clear();
        }
        (self.opened, self.streak.0) = (0, 0);
        self.note(whom, false);
        ends_trial
    }

    /// A request failed in a way that speaks of the API: no connection, no answer, 5xx. Gives how long the
    /// breaker stays open, when that opens it. A retry that fails like the try before it says nothing new: in quiet times
    /// there are no other requests, and some pages that the API can't serve would speak for all. `agents` is how many there are.
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
        let is_streak = self.streak.0 >= STREAK && up.saturating_sub(self.streak.1) >= STREAK_LENGTH;
        let many = failing >= FAILING && failing * 2 >= agents && is_streak && self.trial == Trial::Over;
        if !self.is_open() || !(many || failed_trial) {
            return None;
        }
        let (first, longest) = COOLING;
        let cooling = first.saturating_mul(1 << self.opened.min(8)).min(longest);
        let cooling = backoff::jittered(cooling, random);
        self.opened += 1;
        self.fails.clear();
        self.trial = Trial::Over;
        self.state = State::Paused { until: up + cooling, why: Pause::Breaker };
        Some(cooling)
    }

    /// Pauses for a while, because the API asked to be left alone for as long or longer. Gives whether that is news.
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

    /// The API refuses the key.
    pub fn stop(&mut self, error: String) {
        self.state = State::Stopped { error };
    }

    /// Another key, or the same taken again: nothing that was said of the one before counts.
    pub fn open(&mut self) {
        self.state = State::Open;
        self.trial = Trial::Over;
    }

    /// Notes how the last request went for the agent of a page, or for an agent.
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
    /// Tokens a second.
    rate: f64,
    size: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    fn new(rate: f64, size: f64, up: Duration) -> Self {
        Self { rate, size, tokens: size, filled: up }
    }

    /// Fills up, and tells whether there is enough.
    fn has(&mut self, up: Duration, wanted: f64) -> bool {
        self.tokens = self.at(up);
        self.filled = up;
        self.tokens + 1e-9 >= wanted.min(self.size)
    }

    fn at(&self, up: Duration) -> f64 {
        (self.tokens + up.saturating_sub(self.filled).as_secs_f64() * self.rate).min(self.size)
    }

    fn wait(&self, up: Duration, wanted: f64) -> Duration {
        let missing = wanted.min(self.size) - self.at(up);
        // Rounded up, so that the token is there when the wait is over.
        Duration::from_secs_f64((missing / self.rate).max(0.0)) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rate: 10, burst: 20 };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn taken(gate: &mut Gate, up: f64, urgency: Urgency, is_retry: bool) -> usize {
        (0..1000).take_while(|_| gate.take(seconds(up), 1, urgency, is_retry)).count()
    }

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut gate = Gate::new(LIMITS, seconds(0.0));
        assert_eq!(taken(&mut gate, 0.0, Urgency::Boundary, false), 20);
        assert_eq!(taken(&mut gate, 0.5, Urgency::Boundary, false), 5);
        let wait = gate.wait(seconds(0.5), 1, Urgency::Boundary, false).unwrap();
        assert!(wait > seconds(0.1) && wait < seconds(0.11), "{wait:?}");
        assert_eq!(taken(&mut gate, 100.0, Urgency::Boundary, false), 20, "it does not fill beyond its size");
    }

    #[test]
    fn one_in_ten_is_a_retry_and_a_resync_leaves_half_the_burst() {
        let mut gate = Gate::new(LIMITS, seconds(0.0));
        assert_eq!(taken(&mut gate, 0.0, Urgency::Resync, false), 10);
        assert_eq!(taken(&mut gate, 0.0, Urgency::Source, true), 10);
        for second in 1..=20 {
            taken(&mut gate, f64::from(second), Urgency::Source, true);
        }
        // What was left of the burst is used up; from now on it is one in ten.
        let later: usize = (21..=40).map(|s| taken(&mut gate, f64::from(s), Urgency::Source, true)).sum();
        assert_eq!(later, 20);
    }

    #[test]
    fn after_a_pause_one_request_is_tried_alone() {
        let mut gate = Gate::new(LIMITS, seconds(0.0));
        assert!(gate.pause_for(seconds(30.0), seconds(3600.0), seconds(0.0)));
        assert!(!gate.pause_for(seconds(10.0), seconds(10.0), seconds(5.0)), "the longer pause stands");
        gate.turn(seconds(29.9));
        assert!(!gate.take(seconds(29.9), 1, Urgency::Boundary, false));
        gate.turn(seconds(30.0));
        assert!(!gate.take(seconds(30.0), 1, Urgency::Boundary, false), "a trial comes first");
        assert!(gate.begin_trial("a/live", seconds(30.0)));
        assert!(!gate.begin_trial("b/live", seconds(30.0)), "one at a time");
        assert_eq!(gate.wait(seconds(30.0), 1, Urgency::Boundary, false), None, "its answer is waited for");
        let mut random = fastrand::Rng::with_seed(1);
        assert_eq!(
            gate.failed("b/live", false, 1, seconds(30.0), &mut random),
            None,
            "begun before the pause"
        );
        assert!(gate.came_through("a"));
        assert!(gate.take(seconds(30.0), 1, Urgency::Boundary, false));
    }

    #[test]
    fn the_breaker_opens_when_half_of_the_agents_fail_and_nothing_comes_through() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut fail = |gate: &mut Gate, whom: String, is_retry: bool, agents: usize, up: f64| {
            gate.failed(&whom, is_retry, agents, seconds(up), &mut random)
        };
        // All pages of one agent, and two agents again and again.
        for (agents, modulus) in [(1, 1), (30, 2)] {
            let mut gate = Gate::new(LIMITS, seconds(0.0));
            for number in 0..100 {
                let whom = format!("{}/live", number % modulus);
                assert_eq!(fail(&mut gate, whom, number >= modulus, agents, f64::from(number)), None);
            }
        }
        // Forty of a hundred that hang, and eighty that fail while others come through.
        for (agents, failing, has_others) in [(100, 40, false), (100, 80, true)] {
            let mut gate = Gate::new(LIMITS, seconds(0.0));
            for number in 0..400 {
                let up = f64::from(number) / 10.0;
                assert_eq!(fail(&mut gate, format!("{}/live", number % failing), false, agents, up), None);
                if has_others && number % 15 == 0 {
                    gate.came_through("good");
                }
            }
        }
        let mut gate = Gate::new(LIMITS, seconds(0.0));
        for number in 0..6 {
            let opens = fail(&mut gate, format!("{number}/live"), false, 10, f64::from(number) / 2.0);
            assert_eq!(opens.is_some(), number == 4, "{number}");
            if opens.is_some() {
                break;
            }
        }
        assert_eq!(gate.pause(), Some(Pause::Breaker));
        gate.turn(seconds(9.0));
        assert!(gate.begin_trial("1/live", seconds(9.0)));
        let longer = fail(&mut gate, "1/live".to_owned(), true, 10, 9.0).expect("the trial failed");
        assert!(longer > seconds(8.0), "{longer:?}");
        gate.turn(seconds(30.0));
        assert!(gate.begin_trial("1/live", seconds(30.0)) && gate.came_through("1"));
        assert!(gate.is_open() && gate.take(seconds(30.0), 1, Urgency::Source, false));
    }
}
