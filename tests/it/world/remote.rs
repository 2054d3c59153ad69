//! The simulated remote: pages, people who edit them, faults, and the invariants of each request.
//! It judges requests by the model alone. It stays one file, since each fault needs its judgement beside
//! it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use rtconfd::agents_api::{ApiError, Meaning, Patched, ReadPages, WritePages, read_page};
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::model::{Environment, PageId, RemotePage};
use serde_json::{Map, Value, json};

use super::model::{AFTER, At, Expected, Inputs, Overridden, Place, part};

/// The owned keys.
///
/// Three are owned in part: only `holiday` in `box`, only the phone of the item `main` in `desk`, and
/// only `open` in `flags`.
const OWNED: [&str; 11] =
    ["is_open", "phone", "greeting", "season", "box", "motto", "label", "desk", "manager", "sites", "flags"];

/// One page of the remote.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub variables: Map<String, Value>,
    /// The maximum length of `phone` in the schema.
    pub longest_phone: Option<usize>,
    pub stamp: u64,
    /// The number of its requests in flight.
    pub in_flight: usize,
    /// Values of other clients: by key, below `box`, and in `desk` or `flags`.
    pub others: Map<String, Value>,
    /// The uptime of an unreported drift.
    pub adrift_since: Option<Duration>,
    /// True after a lost or late answer, when the same request may come again.
    pub unsure: bool,
    /// The motto before its drift, which is kept until the desired value changes.
    pub kept: Option<String>,
    /// True while a drifted label is kept, until a person changes it back.
    pub is_relabelled: bool,
    /// The uptime until which its events may delay promotions to or from it.
    pub held_up: Duration,
    /// True if its last answer was anomalous.
    pub was_odd: bool,
    /// The activation time of a revision that it holds; it may also hold a newer one.
    ///
    /// `None` while a promoted page may still be empty.
    pub arrived: Option<Duration>,
}

/// A model and its activation time.
pub struct Activation {
    pub at: Duration,
    pub model: Inputs,
}

/// The current fault rates.
#[derive(Clone, Debug, Default)]
pub struct FaultRates {
    /// The percentage of requests that fail.
    pub failing: u32,
    /// The percentage of answers that are late.
    pub late: u32,
    /// The percentage of anomalous answers, never two in a row for a page.
    pub odd: u32,
    /// The uptime until which every answer is 429.
    pub storm_until: Option<Duration>,
}

/// The state behind the API, and the violations found.
pub struct State {
    pub pages: BTreeMap<Place, Page>,
    pub fault_rates: FaultRates,
    pub random: Rng,
    /// The models that may be active; two while a new one is being applied.
    pub models: Vec<Inputs>,
    /// All models that a promoted page may still follow.
    pub activations: Vec<Activation>,
    /// The total by which the clock was set ahead, which shortens waits by the clock.
    pub set_ahead: Duration,
    pub overrides: Vec<Overridden>,
    /// The overrides before the last change, which may still apply.
    pub overrides_before: Vec<Overridden>,
    /// The reason for which nothing may be sent: an untrusted clock or a full disk.
    pub forbidden: Option<&'static str>,
    /// The start and end of the current pause, in uptime.
    pub pause: Option<(Duration, Duration)>,
    /// True while the clock shows a wrong time.
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
    /// The instant at uptime zero.
    pub began: At,
    state: Arc<Mutex<State>>,
}

enum Fate {
    Answer,
    /// Not applied, and the answer was lost.
    LostBefore,
    /// Applied, and the answer was lost.
    LostAfter,
    /// A server error; not applied.
    ServerError,
    Unreachable,
    Storm(Duration),
    /// An anomalous answer with a success status; a PATCH is applied.
    Anomaly(Anomaly),
    /// The page or key is briefly unknown; not applied.
    Denied(u16),
}

/// The kind of an anomalous answer.
#[derive(Clone, Copy, Debug)]
enum Anomaly {
    /// An empty answer, an error, or the page of another environment.
    NotThePage(u8),
    /// The page without any values or schema.
    Bare,
    /// The page without its schema.
    WithoutSchema,
    /// The page without the values of other clients.
    WithoutOthers,
}

impl Remote {
    pub fn new(clock: ManualClock, random: Rng, model: Inputs) -> Self {
        let began = clock.now();
        let pages = model.places().into_iter().map(|place| (place, Page::default())).collect();
        let state = State {
            pages,
            fault_rates: FaultRates::default(),
            random,
            models: vec![model.clone()],
            activations: vec![Activation { at: Duration::ZERO, model }],
            set_ahead: Duration::ZERO,
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

    /// Receives a request and returns its fate and the delay of its answer.
    fn arrive(&self, what: &str, whose: impl Hash) -> (Fate, Duration) {
        let up = self.clock.uptime();
        let mut guard = self.state();
        let state = &mut *guard;
        state.requests += 1;
        (what, whose, up).hash(&mut state.trace);
        state.judge_rate(up);
        if let Some(until) = state.fault_rates.storm_until.filter(|until| up < *until) {
            let left = until - up;
            // Whole seconds, rounded up, as in the header.
            let left = Duration::from_secs(left.as_secs() + 1);
            let reported = state.pause.filter(|(_, until)| up < *until).map_or(up, |(reported, _)| reported);
            // Waits longer than half a minute are capped.
            state.pause = Some((reported, up + left.min(Duration::from_secs(30))));
            return (Fate::Storm(left), Duration::ZERO);
        }
        let dice = state.random.u32(..100);
        let late = match state.random.u32(..100) < state.fault_rates.late {
            true => Duration::from_millis(state.random.u64(1..9_000)),
            false => Duration::ZERO,
        };
        let fate = match dice < state.fault_rates.failing {
            false => Fate::Answer,
            true => match state.random.u8(..4) {
                0 => Fate::LostBefore,
                1 => Fate::LostAfter,
                2 => Fate::ServerError,
                _ => Fate::Unreachable,
            },
        };
        let odd = state.random.u32(..100) < state.fault_rates.odd;
        let fate = match (odd, state.random.u8(..6)) {
            (false, _) => fate,
            (true, 0) => Fate::Denied([404, 403, 301, 401][state.random.usize(..4)]),
            (true, 1) => Fate::Anomaly(Anomaly::Bare),
            (true, 2) => Fate::Anomaly(Anomaly::WithoutSchema),
            (true, 3) => Fate::Anomaly(Anomaly::WithoutOthers),
            (true, _) => Fate::Anomaly(Anomaly::NotThePage(state.random.u8(..4))),
        };
        // An anomalous answer is never late: it could arrive after another answer, next to a second
        // anomaly.
        (fate, if odd { Duration::ZERO } else { late })
    }

    /// Records that a sound answer of a page has arrived.
    ///
    /// A late answer has not arrived if the next request comes first.
    fn arrived(&self, place: Place, fate: &Fate) {
        if matches!(fate, Fate::Answer) {
            self.state().pages.get_mut(&place).unwrap().was_odd = false;
        }
    }

    /// Returns the answer for a page by its fate.
    ///
    /// An anomalous answer comes once; the next one that arrives is sound.
    fn answered(&self, place: Place, fate: &Fate) -> Result<RemotePage, ApiError> {
        let page = self.page_at(place);
        let Fate::Anomaly(odd) = fate else { return Ok(page) };
        // An anomalous answer is immediate, and so is the sound one in its place.
        let is_odd = !self.state().pages[&place].was_odd;
        self.state().pages.get_mut(&place).unwrap().was_odd = is_odd;
        if !is_odd {
            return Ok(page);
        }
        Ok(match odd {
            Anomaly::Bare => RemotePage { variables: Map::new(), schema: None, ..page },
            Anomaly::WithoutSchema => RemotePage { schema: None, ..page },
            Anomaly::WithoutOthers => {
                let mut page = page;
                page.variables.retain(|key, _| !["box", "desk", "flags"].contains(&key.as_str()));
                page
            }
            Anomaly::NotThePage(kind) => {
                let other = match place.environment() {
                    Environment::Live => "sandbox",
                    _ => "live",
                };
                let body = match kind {
                    0 => String::new(),
                    1 => json!({}).to_string(),
                    2 => json!({"clientEnv": place.environment().as_str(), "success": false}).to_string(),
                    _ => json!({"clientEnv": other, "variables": {"box": {"note": "of another page"}}})
                        .to_string(),
                };
                let id = PageId::new(&place.agent(), place.environment()).unwrap();
                let message = read_page(body.as_bytes(), &id).unwrap_err();
                return Err(ApiError { message, ..ApiError::of(Meaning::OutcomeUnknown) });
            }
        })
    }

    fn page_at(&self, place: Place) -> RemotePage {
        let state = self.state();
        let page = &state.pages[&place];
        let schema = page.longest_phone.map(
            |most| json!({"type": "object", "properties": {"phone": {"type": "string", "maxLength": most}}}),
        );
        let truth = self.began + chrono::TimeDelta::from_std(self.clock.uptime()).unwrap();
        RemotePage {
            variables: page.variables.clone(),
            schema: schema.map(Arc::new),
            last_updated: Some(page.stamp.to_string()),
            served_at: Some(truth),
            weight: 1_000,
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
}

/// A guard that counts a request in flight for its pages until it is answered.
struct InFlight(Remote, Vec<Place>);

impl InFlight {
    fn new(remote: &Remote, places: Vec<Place>) -> Self {
        let mut state = remote.state();
        places.iter().for_each(|place| state.pages.get_mut(place).unwrap().in_flight += 1);
        drop(state);
        Self(remote.clone(), places)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        self.1.iter().for_each(|place| state.pages.get_mut(place).unwrap().in_flight -= 1);
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
        Fate::Denied(status) => failed(Meaning::of_status(status, true), Some(status), None),
        Fate::Anomaly(_) => Ok(value),
    }
}

impl ReadPages for Remote {
    async fn list(&self, agent: &str) -> Result<Vec<(Environment, RemotePage)>, ApiError> {
        let (fate, late) = self.arrive("list", agent);
        let places: Vec<Place> =
            self.state().pages.keys().copied().filter(|place| place.agent() == agent).collect();
        let _in_flight = InFlight::new(self, places.clone());
        let was_odd = |place: &Place| self.state().pages[place].was_odd;
        let odd_before: Vec<Place> = places.iter().copied().filter(was_odd).collect();
        // One unreadable page invalidates the whole list, also the sound pages in it.
        let pages =
            places.iter().copied().map(|place| Ok((place.environment(), self.answered(place, &fate)?)));
        let pages: Result<Vec<_>, ApiError> = pages.collect();
        if pages.is_err() {
            odd_before.iter().for_each(|place| self.state().pages.get_mut(place).unwrap().was_odd = true);
        }
        self.sleep(late).await;
        places.iter().for_each(|place| self.arrived(*place, &fate));
        answer(fate, pages?)
    }

    async fn page(&self, page: &PageId) -> Result<RemotePage, ApiError> {
        let place = Place::of(page);
        let (fate, late) = self.arrive("look", place);
        let _in_flight = InFlight::new(self, vec![place]);
        let page = self.answered(place, &fate);
        self.sleep(late).await;
        self.arrived(place, &fate);
        answer(fate, page?)
    }
}

impl WritePages for Remote {
    async fn patch(&self, page: &PageId, body: &Map<String, Value>) -> Result<Patched, ApiError> {
        let place = Place::of(page);
        let (now, up) = (self.clock.now(), self.clock.uptime());
        let (fate, late) = self.arrive("patch", place);
        {
            let mut state = self.state();
            state.patches += 1;
            body.iter().for_each(|(key, value)| (key, value.to_string()).hash(&mut state.trace));
            state.judge_patch(place, body, now, up);
        }
        let _in_flight = InFlight::new(self, vec![place]);
        // Half of the delay is before the request arrives.
        self.sleep(late / 2).await;
        if matches!(fate, Fate::Answer | Fate::LostAfter | Fate::Anomaly(_)) {
            let mut state = self.state();
            state.applied += 1;
            state.stamp += 1;
            let stamp = state.stamp;
            let page = state.pages.get_mut(&place).unwrap();
            page.variables.extend(body.iter().map(|(key, value)| (key.clone(), value.clone())));
            page.stamp = stamp;
            if body.contains_key("motto") && page.kept.take().is_some() {
                page.held_up = page.held_up.max(up);
            }
            page.unsure |= !late.is_zero() || matches!(fate, Fate::LostAfter | Fate::Anomaly(_));
        }
        let taken = self.answered(place, &fate);
        self.sleep(late / 2).await;
        self.arrived(place, &fate);
        answer(fate, Patched { page: taken?, correlation_id: None })
    }
}

impl State {
    pub fn violation(&mut self, what: String) {
        if self.violations.len() < 5 {
            self.violations.push(what);
        }
    }

    /// Makes a model active from now on.
    pub fn activate(&mut self, model: Inputs, up: Duration) {
        self.activations.push(Activation { at: up + self.set_ahead, model: model.clone() });
        self.models.push(model);
    }

    /// Returns the values that a page may hold, by its possible models and overrides.
    pub fn explanations(&self, place: Place, now: At, up: Duration) -> impl Iterator<Item = Expected> {
        let overrides = match self.overrides == self.overrides_before {
            true => vec![&self.overrides],
            false => vec![&self.overrides, &self.overrides_before],
        };
        self.possible_models(place, up).flat_map(move |model| {
            overrides.clone().into_iter().filter_map(move |set| model.expected(place, now, set))
        })
    }

    /// Returns the models that a page may show.
    ///
    /// For a promoted page these are all that are old enough, since it last matched the newest one.
    pub fn possible_models(&self, place: Place, up: Duration) -> Box<dyn Iterator<Item = &Inputs> + '_> {
        if !matches!(place, Place::Follower(_)) {
            return Box::new(self.models.iter());
        }
        let (arrived, passed) = (self.pages[&place].arrived.unwrap_or_default(), up + self.set_ahead);
        let possible = self
            .activations
            .iter()
            .filter(move |activation| activation.at >= arrived && activation.at + AFTER <= passed);
        Box::new(possible.map(|activation| &activation.model))
    }

    /// Resets the rate limits: a new process knows no pause and has its full burst.
    pub fn forget_rates(&mut self) {
        self.pause = None;
        self.recent.clear();
    }

    /// Checks the rate: a burst of 20, then 10 a second, and nothing during a pause.
    fn judge_rate(&mut self, up: Duration) {
        // Requests of the same instant cannot know of the pause.
        if let Some((reported, until)) = self.pause.filter(|(reported, until)| *reported < up && up < *until)
        {
            self.violation(format!(
                "pause: a request at {up:?}, although the API asked at {reported:?} to wait until {until:?}"
            ));
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

    fn judge_patch(&mut self, place: Place, body: &Map<String, Value>, now: At, up: Duration) {
        if let Some(why) = self.forbidden {
            self.violation(format!("stopped: a PATCH of {place} although {why}"));
        }
        let page = self.pages[&place].clone();
        if let Some(foreign) = body.keys().find(|key| !OWNED.contains(&key.as_str())) {
            self.violation(format!("owned: {place} gets {foreign}, which is not ours"));
        }
        if body.is_empty() {
            self.violation(format!("doubled: an empty PATCH of {place}"));
        }
        let explanations: Vec<Expected> = self.explanations(place, now, up).collect();
        if page.in_flight == 0 {
            self.judge_neighbours(place, &page, body, &explanations);
        }
        let mut merged = page.variables.clone();
        merged.extend(body.iter().map(|(key, value)| (key.clone(), value.clone())));
        let phone = merged.get("phone").and_then(Value::as_str).unwrap_or_default();
        if page.longest_phone.is_some_and(|most| phone.chars().count() > most) {
            self.violation(format!("valid: {place} would break its schema with {phone:?}"));
        }
        let is_kept = |ours: &String| self.models.iter().all(|model| model.motto == *ours);
        if body.contains_key("motto") && page.kept.as_ref().is_some_and(is_kept) {
            self.violation(format!("keep: {place} gets the motto that another client changed"));
        }
        if body.contains_key("label") && page.is_relabelled {
            self.violation(format!("report: {place} gets the label that another client changed"));
        }
        if merged == page.variables && !page.unsure {
            self.violation(format!("doubled: {place} already holds {body:?}"));
        }
        self.judge_values(place, body, now, &explanations);
    }

    /// Checks that only our part of a shared key differs from the page.
    fn judge_neighbours(
        &mut self,
        place: Place,
        page: &Page,
        body: &Map<String, Value>,
        explanations: &[Expected],
    ) {
        let neighbour = |value: Option<&Value>| value.and_then(|value| value.get("note")).cloned();
        if let Some(sent) = body.get("box")
            && neighbour(Some(sent)) != neighbour(page.variables.get("box"))
        {
            self.violation(format!("owned: {place} would lose a neighbour's edit below box"));
        }
        let (key, named) = place.items();
        let Some(items) =
            page.variables.get(key).and_then(Value::as_array).filter(|_| body.contains_key(key))
        else {
            return;
        };
        for (item, (field, value)) in items.iter().flat_map(|item| {
            item.as_object().unwrap().iter().map(move |field| (item[named].as_str().unwrap(), field))
        }) {
            let name = format!("{key}.{item}/{field}");
            let is_ours = explanations.iter().flatten().any(|(ours, _)| *ours == name);
            if !is_ours && part(body, &name) != Some(value) {
                self.violation(format!("owned: {place} would lose a neighbour's edit of {name}"));
            }
        }
    }

    /// Checks that all sent values are desired at this instant by one possible model.
    fn judge_values(&mut self, place: Place, body: &Map<String, Value>, now: At, explanations: &[Expected]) {
        if self.clock_is_wrong {
            return;
        }
        let wrong_by = |expected: &Expected| -> Vec<String> {
            let is_right = |key: &str| {
                let mut ours =
                    expected.iter().filter(|(name, _)| name.split('.').next() == Some(key)).peekable();
                ours.peek().is_some() && ours.all(|(name, value)| part(body, name) == Some(value))
            };
            body.keys().filter(|key| !is_right(key)).cloned().collect()
        };
        // Reports the closest model, for diagnosis.
        match explanations.iter().map(wrong_by).min_by_key(Vec::len) {
            Some(wrong) if wrong.is_empty() => {}
            Some(wrong) => {
                let values: Vec<_> = wrong.iter().map(|key| (key, &body[key])).collect();
                self.violation(format!("stale: {place} gets {values:?} at {now}, which are not desired"));
            }
            None => self.violation(format!(
                "unasked: {place} gets {body:?} at {now}, but nothing should be sent to it"
            )),
        }
    }
}
