//! Turns the driver's status into conditions to report, and into the daily digest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::limits::notifications::MAX_CONDITIONS;
use crate::model::{Instant, PageId, Problem, shorten};
use crate::pages::Override;
use crate::plan::{Answer, Drift};
use crate::reconcile::{PageStatus, Restored, Standing, Status, Withheld};
use crate::settings::EventKind;

use super::changes::{AllReported, Condition, State};
use super::event::{Event, line};

/// The beginnings of subjects; those of pages are their IDs, which contain no space.
const INPUT: &str = "input ";
const LINT: &str = "lint ";
const DRIFT: &str = "drift ";

/// The state after a failed reload, in words.
const RELOAD_FAILED: &str = "the last reload of the settings failed, so the previous ones are active";

/// What lint found about data that runs out, and the kind under which it is reported.
pub type Findings = Vec<(EventKind, Problem)>;

/// The observer of one run of the program.
#[derive(Debug, Default)]
pub struct Observer {
    /// The pages that failed while nothing was sent, with a hash of their problem.
    ///
    /// One message about the key is enough, also while the pages recover one by one.
    shadowed: HashMap<PageId, u64>,
    /// The number of the last restored drift that was seen.
    restored: u64,
    /// The last findings of lint; none before the first.
    findings: Option<Findings>,
}

impl Observer {
    /// Prepares for another driver, whose numbers begin anew.
    pub fn begin_anew(&mut self) {
        (self.restored, self.findings) = (0, None);
    }

    /// Sets the findings of lint.
    pub fn set_findings(&mut self, findings: Findings) {
        self.findings = Some(findings);
    }

    /// Returns the events that leave no state behind: drift that was restored.
    pub fn passing(&mut self, status: &Status) -> Vec<Event> {
        let new = status.restored.iter().filter(|restored| restored.number > self.restored);
        let events = new.map(restored_event).collect();
        self.restored = status.restored.last().map_or(self.restored, |last| last.number);
        events
    }

    /// Returns the state of every subject that is known now or was reported.
    pub fn states(&mut self, status: &Status, reported: &AllReported) -> BTreeMap<String, State> {
        let mut states = BTreeMap::new();
        self.add_pages(status, &mut states);
        add_drift(status, reported, &mut states);
        add_holds(status, &mut states);
        let overrides = status.overrides.iter().take(MAX_CONDITIONS);
        states.extend(overrides.map(|set| (override_subject(set), override_state(set))));
        states.extend(reload_state(&status.reload.problems).map(|state| ("reload".to_owned(), state)));
        let errors = status.problems.iter().filter(|problem| problem.is_error()).take(MAX_CONDITIONS);
        states.extend(errors.map(|problem| problem_state(INPUT, EventKind::Input, problem)));
        match &self.findings {
            Some(findings) => {
                let findings = findings.iter().take(MAX_CONDITIONS);
                states.extend(findings.map(|(kind, problem)| problem_state(LINT, *kind, problem)));
            }
            None => {
                let known = reported.keys().filter(|subject| subject.starts_with(LINT));
                states.extend(known.map(|subject| (subject.clone(), State::Unknown)));
            }
        }
        states
    }

    fn add_pages(&mut self, status: &Status, states: &mut BTreeMap<String, State>) {
        let is_withheld = matches!(status.withheld, Some(Withheld::Key(_) | Withheld::Clock(_)));
        for page in &status.pages {
            // A row or file with a problem is one whatever happens to the key.
            let is_withheld = is_withheld && !matches!(page.standing, Standing::Stale(_));
            let state = match (page_state(page), is_withheld) {
                (State::Holds(condition), true) => {
                    self.shadowed.insert(page.page.clone(), hash(&condition.text));
                    State::Unknown
                }
                (State::Holds(condition), false)
                    if self.shadowed.get(&page.page) == Some(&hash(&condition.text)) =>
                {
                    State::Unknown
                }
                (state, false) => {
                    self.shadowed.remove(&page.page);
                    state
                }
                (state, true) => state,
            };
            states.insert(page.page.to_string(), state);
        }
    }

    /// Returns the lines of a digest.
    pub fn digest(&self, status: &Status, at: Instant) -> Vec<Event> {
        let counts = Standing::WORDS.into_iter().filter_map(|word| {
            let count = status.pages.iter().filter(|page| page.standing.word() == word).count();
            (count > 0).then(|| format!("{count} {word}"))
        });
        let counts: Vec<String> = counts.collect();
        let mut lines = vec![match counts.is_empty() {
            true => "no page is defined".to_owned(),
            false => format!("{}: {}", counted(status.pages.len(), "page"), counts.join(", ")),
        }];
        lines.extend(status.withheld.as_ref().map(|withheld| withheld.text().to_owned()));
        lines.extend(
            status.held.as_ref().map(|held| format!("revision {} waits for approval", held.revision)),
        );
        lines.extend((!status.reload.problems.is_empty()).then(|| RELOAD_FAILED.to_owned()));
        let overrides = status.overrides.len();
        lines.extend((overrides > 0).then(|| format!("active: {}", counted(overrides, "override"))));
        let errors = status.problems.iter().filter(|problem| problem.is_error()).count();
        lines.extend((errors > 0).then(|| counted(errors, "input problem")));
        let findings = self.findings.as_ref().map_or(0, Vec::len);
        lines.extend((findings > 0).then(|| format!("data that runs out: {}", counted(findings, "warning"))));
        lines.iter().map(|line| Event::new(EventKind::Digest, line, at)).collect()
    }
}

/// Returns a number of things in words.
fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Hashes a text for this run of the program.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn page_state(page: &PageStatus) -> State {
    let kind = match &page.standing {
        Standing::Unseen | Standing::Retrying(_) => return State::Unknown,
        Standing::Right => return State::Right,
        Standing::Drifted(_) => EventKind::Drift,
        Standing::Stale(_) | Standing::Stuck(_) | Standing::Held(_) => EventKind::Page,
    };
    let (id, word) = (page.page.to_string(), page.standing.word());
    let text = format!("{id} is {word}: {}", page.standing.problem().unwrap_or_default());
    State::Holds(Condition { kind, page: Some(id), state: word.to_owned(), text, end: None })
}

/// Adds drift that is kept until our value changes; the page counts as right.
fn add_drift(status: &Status, reported: &AllReported, states: &mut BTreeMap<String, State>) {
    let known: BTreeMap<String, bool> =
        status.pages.iter().map(|page| (page.page.to_string(), page.drift.is_some())).collect();
    for subject in reported.keys() {
        let Some((page, _)) = subject.strip_prefix(DRIFT).and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        match known.get(page) {
            Some(true) => {}
            Some(false) => _ = states.insert(subject.clone(), State::Unknown),
            None => _ = states.insert(subject.clone(), State::Undefined),
        }
    }
    let all =
        status.pages.iter().flat_map(|page| page.drift.iter().flatten().map(|drift| (&page.page, drift)));
    let kept = all.filter(|(_, drift)| drift.answer == Answer::Kept).take(MAX_CONDITIONS);
    for (page, drift) in kept {
        let text = format!("{}; it stays until our value changes", changed(page, drift, None));
        let condition = Condition {
            kind: EventKind::Drift,
            page: Some(page.to_string()),
            state: digest(&format!("{:?}", drift.found)),
            text,
            end: Some(format!("{page}: {} is as desired again", drift.variable)),
        };
        states.insert(format!("{DRIFT}{page} {}", drift.variable), State::Holds(condition));
    }
}

/// Returns a description of a changed value: page, author, variable, value.
fn changed(page: &PageId, drift: &Drift, by: Option<&str>) -> String {
    let by = by.map_or_else(String::new, |by| format!(" ({by})"));
    let found = drift.found.as_ref().map_or("nothing".to_owned(), |found| shorten(found, 60));
    format!("{page}: another client{by} changed {} to {found}", drift.variable)
}

fn restored_event(Restored { page, drift, by, at, .. }: &Restored) -> Event {
    let text =
        format!("{}; {} is restored", changed(page, drift, by.as_deref()), shorten(&drift.desired, 60));
    Event::new(EventKind::Drift, &text, *at).on(Some(page.to_string()))
}

/// Adds what withholds requests or waits for a person.
fn add_holds(status: &Status, states: &mut BTreeMap<String, State>) {
    let holds = |kind, state: &str, text: String, end: &str| {
        let (state, end) = (state.to_owned(), Some(end.to_owned()));
        State::Holds(Condition { kind, page: None, state, text, end })
    };
    // After a start, the key is proved by the first answer.
    let is_proved = status.pages.iter().any(|page| page.is_fetched);
    match &status.withheld {
        Some(Withheld::Key(error)) => {
            let text = format!("the API refuses the key, so nothing is sent: {error}");
            states.insert("key".to_owned(), holds(EventKind::Key, "", text, "the API accepts the key again"));
        }
        Some(Withheld::Clock(text)) => {
            let state = holds(EventKind::Held, "", text.clone(), "the clock is trusted again");
            states.extend([("clock".to_owned(), state), ("key".to_owned(), State::Unknown)]);
        }
        _ if !is_proved => _ = states.insert("key".to_owned(), State::Unknown),
        Some(Withheld::Pause(_)) | None => {}
    }
    if let Some(held) = &status.held {
        let end = "no revision is held any more";
        states.insert("held".to_owned(), holds(EventKind::Held, &held.revision, held.describe(), end));
    }
    if let Some((revision, to_come, Some(page))) = &status.rollout {
        let text = format!(
            "the rollout of revision {revision} stopped at {page}; {to_come} pages wait (hint: see rtconfd status)"
        );
        let state = format!("{revision} {page}");
        states.insert(
            "rollout".to_owned(),
            holds(EventKind::Held, &state, text, "no rollout is stopped any more"),
        );
    }
}

/// Returns the subject of an override, which an extension does not change, unlike its ID.
fn override_subject(set: &Override) -> String {
    let first = set.pages.keys().next().map(ToString::to_string).unwrap_or_default();
    format!("override {} {first}", set.at.to_rfc3339())
}

fn override_state(set: &Override) -> State {
    let pages: Vec<&PageId> = set.pages.keys().collect();
    let pages = match pages.as_slice() {
        [page] => page.to_string(),
        pages => format!("{} pages", pages.len()),
    };
    let ends: BTreeSet<Option<Instant>> = set.pages.values().copied().collect();
    let until = match (ends.len(), ends.first()) {
        (1, Some(Some(end))) => format!(" until {}", end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        (1, _) => " until it is released".to_owned(),
        _ => String::new(),
    };
    let words = set.describe();
    State::Holds(Condition {
        kind: EventKind::Override,
        page: None,
        text: format!("set on {pages}{until}: {words}"),
        state: until,
        end: Some(line(&format!("ended: {words}"))),
    })
}

/// Returns the state after a failed reload of the settings.
fn reload_state(problems: &[Problem]) -> Option<State> {
    let more = match problems.len() {
        0 => return None,
        1 => String::new(),
        number => format!(" (and {} more)", number - 1),
    };
    Some(State::Holds(Condition {
        kind: EventKind::Input,
        page: None,
        state: String::new(),
        text: format!("{RELOAD_FAILED}: {}{more}", problems[0]),
        end: Some("the settings were reloaded and are active".to_owned()),
    }))
}

/// Returns the subject and the state of a problem of the inputs or of lint.
fn problem_state(prefix: &str, kind: EventKind, problem: &Problem) -> (String, State) {
    let file = problem.origin.as_ref().map(|origin| origin.file.to_string()).unwrap_or_default();
    let subject = format!("{prefix}{}", digest(&format!("{file} {}", without_counts(&problem.message))));
    let end = Some(line(&format!("solved: {}", problem.message)));
    let text = problem.to_string();
    (subject, State::Holds(Condition { kind, page: None, state: String::new(), text, end }))
}

/// Removes dates and counts of days, which change from day to day although the problem stays.
fn without_counts(message: &str) -> String {
    let is_date = |word: &str| word.get(..10).is_some_and(|date| date.parse::<chrono::NaiveDate>().is_ok());
    let words: Vec<&str> = message.split(' ').collect();
    let unit =
        |at: usize| words.get(at + 1).is_some_and(|next| next.starts_with("date") || next.starts_with("day"));
    let is_count = |at: usize, word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) && unit(at);
    let kept = words.iter().enumerate().filter(|(at, word)| !is_date(word) && !is_count(*at, word));
    kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

/// Returns a short hash for the store.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
