//! The conditions that a status causes, and their events.

use super::*;
use crate::model::Origin;
use crate::notify::changes::changes;
use crate::pages::OverrideKind;
use crate::reconcile::{Held, LastReload};

fn at() -> Instant {
    "2026-11-26T17:00:00Z".parse().unwrap()
}

fn page(number: usize, standing: Standing) -> PageStatus {
    let page = format!("A-{number}/live").parse().unwrap();
    let is_fetched = standing != Standing::Unseen;
    PageStatus { is_fetched, ..PageStatus::of(page, standing) }
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
        held: Some(Held::new(revision.to_owned(), at(), vec!["many".to_owned()])),
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
        pages: [(page.clone(), Some(at()))].into(),
        parts: BTreeMap::new(),
    };
    // An extension keeps all but the ID and the end.
    let extended = Override { id: 8, pages: [(page, None)].into(), ..set.clone() };
    let with = |set| Status { overrides: vec![set], ..Status::of_nothing() };
    let observed = observe(vec![with(set), with(extended), Status::of_nothing()]);
    let words = |id| format!("override {id}: closed, by dana: snow");
    assert_eq!(observed[0], [format!("override: set on A-1/live until 2026-11-26T17:00:00Z: {}", words(7))]);
    assert_eq!(observed[1], [format!("override: set on A-1/live until it is released: {}", words(8))]);
    assert_eq!(observed[2], [format!("override: ended: {}", words(8))]);
}

#[test]
fn an_untrusted_clock_and_a_stopped_rollout_wait_for_a_person() {
    let clock =
        Status { withheld: Some(Withheld::Clock("the clock went back".to_owned())), ..pages(vec![stuck()]) };
    let page = "A-3/live".parse().unwrap();
    let stopped = Status { rollout: Some(("r1".to_owned(), 9, Some(page))), ..Status::of_nothing() };
    let observed = observe(vec![clock, stopped]);
    assert_eq!(observed[0], ["held: the clock went back"]);
    assert_eq!(observed[1][0], "recovered: the clock is trusted again");
    assert!(observed[1][1].starts_with("held: the rollout of revision r1 stopped at A-3/live; 9 pages wait"));
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
    let text = "drift: A-0/live: another client changed is_open to true; it stays until our value changes";
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
    let [(first, _), (second, _)] = [origin, moved]
        .map(|origin| problem_state(INPUT, EventKind::Input, &Problem::at(&origin, "invalid time `25:00`")));
    assert_eq!(first, second);
}

#[test]
fn reported_endings_stay_until_lint_ran_again() {
    let (mut observer, mut reported) = (Observer::default(), AllReported::new());
    observer.set_findings(vec![(EventKind::Key, Problem::new("the API key expires on 2026-12-01"))]);
    let status = Status::of_nothing();
    let mut look = |observer: &mut Observer| {
        let states = observer.states(&status, &reported);
        changes(&mut reported, &states, at()).into_iter().map(|event| event.text).collect::<Vec<_>>()
    };
    assert_eq!(look(&mut observer), ["the API key expires on 2026-12-01"]);
    observer.begin_anew();
    assert_eq!(look(&mut observer), none());
    observer.set_findings(Vec::new());
    assert_eq!(look(&mut observer), ["solved: the API key expires on 2026-12-01"]);
}

#[test]
fn a_failed_reload_is_reported_once_and_its_end_too() {
    let reloaded = |problems: &[&str]| {
        let problems = problems.iter().map(|text| Problem::new(*text)).collect();
        let reload = LastReload { at: at(), succeeded_at: at(), problems };
        Status { reload, ..Status::of_nothing() }
    };
    let failed = reloaded(&["unknown key `x`", "missing agent"]);
    let events = observe(vec![reloaded(&[]), failed, reloaded(&["unknown key `y`"]), reloaded(&[])]);
    let first = "input: the last reload of the settings failed, so the previous ones are active: \
                 unknown key `x` (and 1 more)";
    let end = "recovered: the settings were reloaded and are active";
    assert_eq!(events, [vec![], vec![first.to_owned()], vec![], vec![end.to_owned()]]);
}
