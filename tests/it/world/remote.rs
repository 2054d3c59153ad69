//! The simulated remote: pages, people who edit them, faults, and the promises that concern each request. It judges what
//! arrives by the model alone.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use rtconfd::agents_api::{ApiError, Meaning, Patched, ReadPages, WritePages};
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::model::{Environment, PageId, RemotePage};
use serde_json::{Map, Value, json};

use super::model::{At, Inputs, Overruled, part};

/// The keys that are ours; of `box` only `holiday`, of `desk` only the phone of its item `main`.
const OWNED: [&str; 8] = ["is_open", "phone", "greeting", "season", "box", "motto", "label", "desk"];

/// One page of the remote.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub variables: Map<String, Value>,
    /// The most characters of `phone`; the schema says so.
    pub longest_phone: Option<usize>,
    pub stamp: u64,
    /// Requests that are under way for it.
    pub in_flight: usize,
    /// What others own: by key, below `box`, and in `desk`.
    pub others: Map<String, Value>,
    /// Others changed what is ours, and we were not told.
    pub adrift_since: Option<Duration>,
    /// An answer was lost or late, so that the same may come again.
    pub unsure: bool,
    /// Others changed the motto from this, and it is theirs until ours is another.
    pub kept: Option<String>,
    /// Others changed the label, which is theirs until somebody changes it back.
    pub is_relabelled: bool,
}

/// What goes wrong now.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// Of a hundred requests so many fail.
    pub failing: u32,
    /// Of a hundred answers so many come late.
    pub late: u32,
    /// Until this uptime everything is answered with 429.
    pub storm_until: Option<Duration>,
}

/// Everything behind the API, and the judgement of it.
pub struct State {
    pub pages: BTreeMap<usize, Page>,
    pub weather: Weather,
    pub random: Rng,
    /// What should be in force. Two while a new one is on its way.
    pub models: Vec<Inputs>,
    pub overrides: Vec<Overruled>,
    /// Overrides that may have been released or set just now.
    pub overrides_before: Vec<Overruled>,
    /// Nothing may be sent: the clock is in doubt, the disk full.
    pub forbidden: Option<&'static str>,
    /// Since when it is known that nothing may be asked, and until when, in uptime.
    pub pause: Option<(Duration, Duration)>,
    /// True time is as much later than the clock shows.
    pub clock_is_wrong: bool,
    pub violations: Vec<String>,
    pub trace: DefaultHasher,
    pub requests: u64,
    pub patches: u64,
    pub applied: u64,
    recent: VecDeque<Duration>,
    stamp: u64,
}

#[derive(Clone)]
pub struct Remote {
    pub clock: ManualClock,
    /// The instant that it was when the uptime was zero.
    pub began: At,
    state: Arc<Mutex<State>>,
}

enum Fate {
    Answer,
    /// Nothing was done, and nobody knows.
    LostBefore,
    /// It was done, and nobody knows.
    LostAfter,
    /// Refused by an error of the server's; nothing was done.
    ServerError,
    Unreachable,
    Storm(Duration),
}

impl Remote {
    pub fn new(clock: ManualClock, random: Rng, model: Inputs) -> Self {
        let began = clock.now();
        let pages = (0..model.sites.len()).map(|site| (site, Page::default())).collect();
        let state = State {
            pages,
            weather: Weather::default(),
            random,
            models: vec![model],
            overrides: Vec::new(),
            overrides_before: Vec::new(),
            forbidden: None,
            pause: None,
            clock_is_wrong: false,
            violations: Vec::new(),
            trace: DefaultHasher::new(),
            requests: 0,
            patches: 0,
            applied: 0,
            recent: VecDeque::new(),
            stamp: 0,
        };
        Self { clock, began, state: Arc::new(Mutex::new(state)) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A request arrives: what becomes of it, and how late its answer is.
    fn arrive(&self, what: &str, site: usize) -> (Fate, Duration) {
        let up = self.clock.uptime();
        let mut guard = self.state();
        let state = &mut *guard;
        state.requests += 1;
        (what, site, up).hash(&mut state.trace);
        state.judge_rate(up);
        if let Some(until) = state.weather.storm_until.filter(|until| up < *until) {
            let left = until - up;
            // Whole seconds, rounded up, as a header has them.
            let left = Duration::from_secs(left.as_secs() + 1);
            let told = state.pause.filter(|(_, until)| up < *until).map_or(up, |(told, _)| told);
            state.pause = Some((told, up + left));
            return (Fate::Storm(left), Duration::ZERO);
        }
        let dice = state.random.u32(..100);
        let late = match state.random.u32(..100) < state.weather.late {
            true => Duration::from_millis(state.random.u64(1..9_000)),
            false => Duration::ZERO,
        };
        let fate = match dice < state.weather.failing {
            false => Fate::Answer,
            true => match state.random.u8(..4) {
                0 => Fate::LostBefore,
                1 => Fate::LostAfter,
                2 => Fate::ServerError,
                _ => Fate::Unreachable,
            },
        };
        (fate, late)
    }

    fn page_at(&self, site: usize) -> RemotePage {
        let state = self.state();
        let page = &state.pages[&site];
        let schema = page.longest_phone.map(
            |most| json!({"type": "object", "properties": {"phone": {"type": "string", "maxLength": most}}}),
        );
        let truth = self.began + chrono::TimeDelta::from_std(self.clock.uptime()).unwrap();
        RemotePage {
            variables: page.variables.clone(),
            schema,
            last_updated: Some(page.stamp.to_string()),
            served_at: Some(truth),
        }
    }

    async fn sleep(&self, length: Duration) {
        if length.is_zero() {
            return;
        }
        let until = self.clock.uptime() + length;
        while self.clock.uptime() < until {
            let left = chrono::TimeDelta::from_std(until - self.clock.uptime()).unwrap();
            self.clock.sleep_until(self.clock.now() + left).await;
        }
    }

    async fn read(&self, what: &str, site: usize) -> Result<RemotePage, ApiError> {
        let (fate, late) = self.arrive(what, site);
        let _in_flight = InFlight::new(self, site);
        let page = self.page_at(site);
        self.sleep(late).await;
        answer(fate, page)
    }
}

/// Counts a request as under way until it is answered or given up.
struct InFlight(Remote, usize);

impl InFlight {
    fn new(remote: &Remote, site: usize) -> Self {
        remote.state().pages.get_mut(&site).unwrap().in_flight += 1;
        Self(remote.clone(), site)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let page = state.pages.get_mut(&self.1).unwrap();
        page.in_flight -= 1;
    }
}

fn answer<T>(fate: Fate, value: T) -> Result<T, ApiError> {
    let failed = |meaning, status, retry_after| {
        let message = "simulated".to_owned();
        Err(ApiError { meaning, status, code: None, message, correlation_id: None, retry_after })
    };
    match fate {
        Fate::Answer => Ok(value),
        Fate::LostBefore | Fate::LostAfter => failed(Meaning::OutcomeUnknown, None, None),
        Fate::ServerError => failed(Meaning::OutcomeUnknown, Some(500), None),
        Fate::Unreachable => failed(Meaning::TryAgain, None, None),
        Fate::Storm(left) => failed(Meaning::Slower, Some(429), Some(left)),
    }
}

pub fn site_of(agent: &str) -> usize {
    agent.strip_prefix("A-").unwrap().parse().unwrap()
}

impl ReadPages for Remote {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        let page = self.read("list", site_of(agent)).await?;
        Ok(vec![(Environment::Live, page)])
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        self.read("look", site_of(&page.agent)).await
    }
}

impl WritePages for Remote {
    async fn patch(&self, page: &PageId, body: &Map<String, Value>) -> Result<Patched, ApiError> {
        let site = site_of(&page.agent);
        let now = self.clock.now();
        let (fate, late) = self.arrive("patch", site);
        {
            let mut state = self.state();
            state.patches += 1;
            body.iter().for_each(|(key, value)| (key, value.to_string()).hash(&mut state.trace));
            state.judge_patch(site, body, now);
        }
        let _in_flight = InFlight::new(self, site);
        // Half of the lateness is on the way there.
        self.sleep(late / 2).await;
        if matches!(fate, Fate::Answer | Fate::LostAfter) {
            let mut state = self.state();
            state.applied += 1;
            state.stamp += 1;
            let stamp = state.stamp;
            let page = state.pages.get_mut(&site).unwrap();
            page.variables.extend(body.iter().map(|(key, value)| (key.clone(), value.clone())));
            page.stamp = stamp;
            if body.contains_key("motto") {
                page.kept = None;
            }
            page.unsure |= !late.is_zero() || matches!(fate, Fate::LostAfter);
        }
        let taken = self.page_at(site);
        self.sleep(late / 2).await;
        answer(fate, Patched { page: taken, correlation_id: None })
    }
}

impl State {
    pub fn violation(&mut self, what: String) {
        if self.violations.len() < 5 {
            self.violations.push(what);
        }
    }

    /// A process that is new knows of no pause, and has its burst before it.
    pub fn forget_rates(&mut self) {
        self.pause = None;
        self.recent.clear();
    }

    /// At most 20 at once and 10 a second, and nothing while the API wants peace.
    fn judge_rate(&mut self, up: Duration) {
        // Requests of the same instant can't have known of it.
        if let Some((told, until)) = self.pause.filter(|(told, until)| *told < up && up < *until) {
            self.violation(format!("pause: a request at {up:?}, told at {told:?} to wait until {until:?}"));
        }
        self.recent.push_back(up);
        while self.recent.front().is_some_and(|first| up - *first > Duration::from_secs(10)) {
            self.recent.pop_front();
        }
        let first = *self.recent.front().unwrap();
        let most = 21.0 + (up - first).as_secs_f64() * 10.0;
        if self.recent.len() as f64 > most {
            self.violation(format!("rate: {} requests within {:?}", self.recent.len(), up - first));
        }
    }

    fn judge_patch(&mut self, site: usize, body: &Map<String, Value>, now: At) {
        if let Some(why) = self.forbidden {
            self.violation(format!("stopped: a PATCH of A-{site} though {why}"));
        }
        let page = self.pages[&site].clone();
        if let Some(foreign) = body.keys().find(|key| !OWNED.contains(&key.as_str())) {
            self.violation(format!("owned: A-{site} gets {foreign}, which is not ours"));
        }
        if body.is_empty() {
            self.violation(format!("doubled: an empty PATCH of A-{site}"));
        }
        // Of a shared key nothing but our part may differ from what stands there.
        if let Some(sent) = body.get("box") {
            let neighbour = |value: Option<&Value>| value.and_then(|value| value.get("note")).cloned();
            if page.in_flight == 0 && neighbour(Some(sent)) != neighbour(page.variables.get("box")) {
                self.violation(format!("owned: A-{site} would lose a neighbour's edit below box"));
            }
        }
        if page.in_flight == 0 && body.contains_key("desk") {
            for name in ["desk.note", "desk.other/note", "desk.other/name"] {
                if part(body, name) != part(&page.variables, name) {
                    self.violation(format!("owned: A-{site} would lose a neighbour's edit of {name}"));
                }
            }
        }
        let mut merged = page.variables.clone();
        merged.extend(body.iter().map(|(key, value)| (key.clone(), value.clone())));
        let phone = merged.get("phone").and_then(Value::as_str).unwrap_or_default();
        if page.longest_phone.is_some_and(|most| phone.chars().count() > most) {
            self.violation(format!("valid: A-{site} would break its schema with {phone:?}"));
        }
        let is_kept = |ours: &String| self.models.iter().all(|model| model.motto == *ours);
        if body.contains_key("motto") && page.kept.as_ref().is_some_and(is_kept) {
            self.violation(format!("keep: A-{site} gets the motto that others changed"));
        }
        if body.contains_key("label") && page.is_relabelled {
            self.violation(format!("report: A-{site} gets the label that others changed"));
        }
        if merged == page.variables && !page.unsure {
            self.violation(format!("doubled: A-{site} holds {body:?} already"));
        }
        self.judge_values(site, body, now);
    }

    /// Each value is what it should be at this instant, by one of the models that may be in force.
    fn judge_values(&mut self, site: usize, body: &Map<String, Value>, now: At) {
        if self.clock_is_wrong {
            return;
        }
        let expected: Vec<_> = self
            .models
            .iter()
            .filter(|model| site < model.sites.len())
            .flat_map(|model| {
                [&self.overrides, &self.overrides_before]
                    .map(|overrides| model.expected(site, now, overrides))
            })
            .collect();
        for key in body.keys() {
            let name = match key.as_str() {
                "box" => "box.holiday",
                "desk" => "desk.phone",
                key => key,
            };
            let value = part(body, name).cloned().unwrap_or_default();
            let right = expected.iter().flatten().any(|(known, wanted)| *known == name && *wanted == value);
            if !right {
                self.violation(format!(
                    "stale: A-{site} gets {key} = {value} at {now}, which it should not be"
                ));
            }
        }
    }
}
