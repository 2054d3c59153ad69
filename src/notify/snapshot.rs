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
const ENDING: &str = "ending ";
const DRIFT: &str = "drift ";

/// What lint found about data that runs out, and the kind under which it is reported.
pub type Endings = Vec<(EventKind, Problem)>;

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
    endings: Option<Endings>,
}

impl Observer {
    /// Prepares for another driver, whose numbers begin anew.
    pub fn begin_anew(&mut self) {
        (self.restored, self.endings) = (0, None);
    }

    /// Sets the findings of lint.
    pub fn set_endings(&mut self, endings: Endings) {
        self.endings = Some(endings);
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
        states.extend(overrides.map(|set| (format!("override {}", set.id), override_state(set))));
        let errors = status.problems.iter().filter(|problem| problem.is_error()).take(MAX_CONDITIONS);
        states.extend(errors.map(|problem| problem_state(INPUT, EventKind::Input, problem)));
        match &self.endings {
            Some(endings) => {
                let endings = endings.iter().take(MAX_CONDITIONS);
                states.extend(endings.map(|(kind, problem)| problem_state(ENDING, *kind, problem)));
            }
            None => {
                let known = reported.keys().filter(|subject| subject.starts_with(ENDING));
                states.extend(known.map(|subject| (subject.clone(), State::Unknown)));
            }
        }
        states
    }

    fn add_pages(&mut self, status: &Status, states: &mut BTreeMap<String, State>) {
        let is_withheld = matches!(status.withheld, Some(Withheld::Key(_) | Withheld::Clock(_)));
        for page in &status.pages {
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
        let overrides = status.overrides.len();
        lines.extend((overrides > 0).then(|| format!("active: {}", counted(overrides, "override"))));
        let errors = status.problems.iter().filter(|problem| problem.is_error()).count();
        lines.extend((errors > 0).then(|| counted(errors, "input problem")));
        let endings = self.endings.as_ref().map_or(0, Vec::len);
        lines.extend((endings > 0).then(|| format!("data that runs out: {}", counted(endings, "warning"))));
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
        state: String::new(),
        text: format!("set on {pages}{until}: {words}"),
        end: Some(line(&format!("ended: {words}"))),
    })
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
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::notify::changes::changes;
    use crate::pages::OverrideKind;
    use crate::reconcile::Held;

    fn at() -> Instant {
        "2026-11-26T17:00:00Z".parse().unwrap()
    }

    fn page(number: usize, standing: Standing) -> PageStatus {
        let page = format!("A-{number}/live").parse().unwrap();
        let is_fetched = standing != Standing::Unseen;
        PageStatus { page, standing, is_fetched, zone: None, due: None, drift: Some(Vec::new()) }
    }

    fn pages(standings: Vec<Standing>) -> Status {
        let pages = standings.into_iter().enumerate().map(|(number, standing)| page(number, standing));
        Status { pages: pages.collect(), ..Status::of_nothing() }
    }

    fn stuck() -> Standing {
        Standing::Stuck("the API refused it".to_owned())
    }

    /// Observes statuses one after another; returns the events of each, as `kind: text`.
    fn observe(statuses: Vec<Status>) -> Vec<Vec<String>> {
        let (mut observer, mut reported) = (Observer::default(), AllReported::new());
        let observed = statuses.iter().map(|status| {
            let states = observer.states(status, &reported);
            let mut events = changes(&mut reported, &states, at());
            events.extend(observer.passing(status));
            events.iter().map(|event| format!("{}: {}", event.kind.word(), event.text)).collect()
        });
        observed.collect()
    }

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn a_page_is_reported_once_until_it_is_right_again() {
        let retrying = || Standing::Retrying("timed out".to_owned());
        let other = Standing::Stuck("another answer".to_owned());
        let observed = observe(vec![
            pages(vec![Standing::Unseen]),
            pages(vec![retrying()]),
            pages(vec![stuck()]),
            pages(vec![other]),
            pages(vec![retrying()]),
            pages(vec![stuck()]),
            pages(vec![Standing::Unseen]),
            pages(vec![Standing::Right]),
            pages(vec![Standing::Drifted("is_open is true".to_owned())]),
        ]);
        let begun = vec!["page: A-0/live is stuck: the API refused it".to_owned()];
        let ended = vec!["recovered: A-0/live is right again".to_owned()];
        let drifted = vec!["drift: A-0/live is drifted: is_open is true".to_owned()];
        assert_eq!(observed, [none(), none(), begun, none(), none(), none(), none(), ended, drifted]);
    }

    #[test]
    fn a_page_that_is_no_longer_defined_is_forgotten_silently() {
        assert_eq!(observe(vec![pages(vec![stuck()]), pages(Vec::new())])[1], none());
    }

    /// While the pages recover one by one, they still carry the problem of the key.
    #[test]
    fn a_refused_key_is_one_event_whatever_it_does_to_the_pages() {
        let refused = || Standing::Stuck("the API answered 401".to_owned());
        let withheld = |standings| Status {
            withheld: Some(Withheld::Key("the API answered 401".to_owned())),
            ..pages(standings)
        };
        let observed = observe(vec![
            pages(vec![Standing::Right, Standing::Right]),
            withheld(vec![Standing::Right, refused()]),
            withheld(vec![refused(), refused()]),
            pages(vec![refused(), Standing::Right]),
            pages(vec![Standing::Right, Standing::Right]),
            pages(vec![refused(), Standing::Right]),
        ]);
        let begun = vec!["key: the API refuses the key, so nothing is sent: the API answered 401".to_owned()];
        let ended = vec!["recovered: the API accepts the key again".to_owned()];
        let later = vec!["page: A-0/live is stuck: the API answered 401".to_owned()];
        assert_eq!(observed, [none(), begun, none(), ended, none(), later]);
    }

    #[test]
    fn after_a_start_the_key_counts_as_refused_until_an_answer_proves_it() {
        let withheld = Status { withheld: Some(Withheld::Key("401".to_owned())), ..pages(vec![stuck()]) };
        let observed = observe(vec![withheld, pages(vec![Standing::Unseen]), pages(vec![Standing::Right])]);
        assert_eq!(observed[1..], [none(), vec!["recovered: the API accepts the key again".to_owned()]]);
    }

    #[test]
    fn holds_and_overrides_begin_and_end() {
        let held = |revision: &str| Status {
            held: Some(Held { revision: revision.to_owned(), since: at(), reasons: vec!["many".to_owned()] }),
            ..Status::of_nothing()
        };
        let observed = observe(vec![held("r1"), held("r1"), held("r2"), Status::of_nothing()]);
        assert!(observed[0][0].starts_with("held: revision r1 is held: many (hint: "), "{observed:?}");
        assert_eq!(observed[1], none());
        assert!(observed[2][0].starts_with("held: revision r2 is held"), "{observed:?}");
        assert_eq!(observed[3], ["recovered: no revision is held any more"]);

        let page: PageId = "A-1/live".parse().unwrap();
        let set = Override {
            id: 7,
            at: at(),
            who: "dana".to_owned(),
            reason: "snow".to_owned(),
            kind: OverrideKind::Closed,
            pages: [(page, Some(at()))].into(),
            parts: BTreeMap::new(),
        };
        let with = Status { overrides: vec![set], ..Status::of_nothing() };
        let observed = observe(vec![with, Status::of_nothing()]);
        let words = "override 7: closed, by dana: snow";
        assert_eq!(observed[0], [format!("override: set on A-1/live until 2026-11-26T17:00:00Z: {words}")]);
        assert_eq!(observed[1], [format!("override: ended: {words}")]);
    }

    #[test]
    fn an_untrusted_clock_and_a_stopped_rollout_wait_for_a_person() {
        let clock = Status {
            withheld: Some(Withheld::Clock("the clock went back".to_owned())),
            ..pages(vec![stuck()])
        };
        let page = "A-3/live".parse().unwrap();
        let stopped = Status { rollout: Some(("r1".to_owned(), 9, Some(page))), ..Status::of_nothing() };
        let observed = observe(vec![clock, stopped]);
        assert_eq!(observed[0], ["held: the clock went back"]);
        assert_eq!(observed[1][0], "recovered: the clock is trusted again");
        assert!(
            observed[1][1].starts_with("held: the rollout of revision r1 stopped at A-3/live; 9 pages wait")
        );
    }

    #[test]
    fn drift_is_reported_when_it_is_restored_and_when_it_is_kept() {
        let drift = |answer| Drift {
            variable: "is_open".parse().unwrap(),
            baseline: false.into(),
            found: Some(true.into()),
            desired: false.into(),
            answer,
        };
        let restored = |number| {
            let (page, drift) = ("A-0/live".parse().unwrap(), drift(Answer::Restored));
            Restored { number, page, drift, by: Some("eve".to_owned()), at: at() }
        };
        let of = |numbers: &[u64]| Status {
            restored: numbers.iter().map(|number| restored(*number)).collect(),
            ..Status::of_nothing()
        };
        let text = "drift: A-0/live: another client (eve) changed is_open to true; false is restored";
        let observed = observe(vec![of(&[]), of(&[1]), of(&[1]), of(&[1, 2])]);
        assert_eq!(observed, [none(), vec![text.to_owned()], none(), vec![text.to_owned()]]);

        let kept = |known: Option<Vec<Drift>>| {
            let mut status = pages(vec![Standing::Right]);
            status.pages[0].drift = known;
            status
        };
        let there = || kept(Some(vec![drift(Answer::Kept)]));
        let observed = observe(vec![there(), there(), kept(None), kept(Some(Vec::new()))]);
        let text =
            "drift: A-0/live: another client changed is_open to true; it stays until our value changes";
        let ended = "recovered: A-0/live: is_open is as desired again";
        assert_eq!(observed, [vec![text.to_owned()], none(), none(), vec![ended.to_owned()]]);
    }

    #[test]
    fn a_problem_that_only_counts_down_is_the_same_problem() {
        let origin = Origin { line: 3, ..Origin::named("sites.csv") };
        for (one, other, is_same) in [
            (
                "closed on all 14 dates from 2026-12-01 to 2026-12-14",
                "closed on all 13 dates from 2026-12-02 to 2026-12-14",
                true,
            ),
            (
                "GB is known up to 2027, which ends in 30 day(s)",
                "GB is known up to 2027, which ends in 29 day(s)",
                true,
            ),
            ("shop 1 is closed", "shop 2 is closed", false),
            ("invalid time `25:00`", "invalid time `26:00`", false),
        ] {
            let [(first, _), (second, _)] =
                [one, other].map(|text| problem_state(INPUT, EventKind::Input, &Problem::at(&origin, text)));
            assert_eq!(first == second, is_same, "{one}");
        }
        // The row moved.
        let moved = Origin { line: 4, ..origin.clone() };
        let [(first, _), (second, _)] = [origin, moved].map(|origin| {
            problem_state(INPUT, EventKind::Input, &Problem::at(&origin, "invalid time `25:00`"))
        });
        assert_eq!(first, second);
    }

    #[test]
    fn reported_endings_stay_until_lint_ran_again() {
        let (mut observer, mut reported) = (Observer::default(), AllReported::new());
        observer.set_endings(vec![(EventKind::Key, Problem::new("the API key expires on 2026-12-01"))]);
        let status = Status::of_nothing();
        let mut look = |observer: &mut Observer| {
            let states = observer.states(&status, &reported);
            changes(&mut reported, &states, at()).into_iter().map(|event| event.text).collect::<Vec<_>>()
        };
        assert_eq!(look(&mut observer), ["the API key expires on 2026-12-01"]);
        observer.begin_anew();
        assert_eq!(look(&mut observer), none());
        observer.set_endings(Vec::new());
        assert_eq!(look(&mut observer), ["solved: the API key expires on 2026-12-01"]);
    }
}
