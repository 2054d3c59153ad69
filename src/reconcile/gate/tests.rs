//! Tests of the gate.

use super::*;

const LIMITS: Limits = Limits { rate: 10, burst: 20 };

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn taken(gate: &mut Gate, up: f64, urgency: Urgency, is_retry: bool) -> usize {
    (0..1000).take_while(|_| gate.take(seconds(up), 1, urgency, is_retry)).count()
}

#[test]
fn a_burst_is_allowed_and_then_the_rate_applies() {
    let mut gate = Gate::new(LIMITS, seconds(0.0));
    assert_eq!(taken(&mut gate, 0.0, Urgency::Transition, false), 20);
    assert_eq!(taken(&mut gate, 0.5, Urgency::Transition, false), 5);
    let wait = gate.wait(seconds(0.5), 1, Urgency::Transition, false).unwrap();
    assert!(wait > seconds(0.1) && wait < seconds(0.11), "{wait:?}");
    assert_eq!(taken(&mut gate, 100.0, Urgency::Transition, false), 20, "the bucket holds at most the burst");
}

#[test]
fn retries_get_one_request_in_ten_and_a_resync_leaves_half_the_burst() {
    let mut gate = Gate::new(LIMITS, seconds(0.0));
    assert_eq!(taken(&mut gate, 0.0, Urgency::Resync, false), 10);
    assert_eq!(taken(&mut gate, 0.0, Urgency::Source, true), 10);
    for second in 1..=20 {
        taken(&mut gate, f64::from(second), Urgency::Source, true);
    }
    // The initial burst is used up. From here on, one request in ten may be a retry.
    let later: usize = (21..=40).map(|s| taken(&mut gate, f64::from(s), Urgency::Source, true)).sum();
    assert_eq!(later, 20);
}

#[test]
fn after_a_pause_a_single_probe_is_sent_first() {
    let mut gate = Gate::new(LIMITS, seconds(0.0));
    assert!(gate.pause_for(seconds(30.0), seconds(3600.0), seconds(0.0)));
    assert!(
        !gate.pause_for(seconds(10.0), seconds(10.0), seconds(5.0)),
        "a shorter pause does not replace a longer one"
    );
    gate.turn(seconds(29.9));
    assert!(!gate.take(seconds(29.9), 1, Urgency::Transition, false));
    gate.turn(seconds(30.0));
    assert!(!gate.take(seconds(30.0), 1, Urgency::Transition, false), "a trial comes first");
    assert!(gate.begin_trial("a/live", seconds(30.0)));
    assert!(!gate.begin_trial("b/live", seconds(30.0)), "only one trial at a time");
    assert_eq!(
        gate.wait(seconds(30.0), 1, Urgency::Transition, false),
        None,
        "only the answer of the trial can help"
    );
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(
        gate.failed("b/live", false, 1, seconds(30.0), &mut random),
        None,
        "a request from before the pause opens no breaker"
    );
    assert!(gate.record_answer("a"));
    assert!(gate.take(seconds(30.0), 1, Urgency::Transition, false));
}

#[test]
fn the_next_gate_of_a_key_continues_the_rate_and_the_pause() {
    let mut gate = Gate::new(LIMITS, seconds(0.0));
    let next = |gate: &Gate, passed: f64| {
        let stored = serde_json::to_string(&gate.state(seconds(10.0))).unwrap();
        Gate::resume(LIMITS, &serde_json::from_str(&stored).unwrap(), seconds(passed), seconds(0.0))
    };
    assert_eq!(taken(&mut gate, 10.0, Urgency::Transition, false), 20);
    assert_eq!(taken(&mut next(&gate, 0.0), 0.0, Urgency::Transition, false), 0);
    assert_eq!(taken(&mut next(&gate, 1.0), 0.0, Urgency::Transition, false), 10);
    assert_eq!(taken(&mut next(&gate, 99.0), 0.0, Urgency::Transition, false), 20);
    gate.pause_for(seconds(30.0), seconds(3600.0), seconds(10.0));
    let mut other = next(&gate, 5.0);
    assert_eq!(other.pause(), Some(Pause::Asked(seconds(3600.0))));
    assert_eq!(other.wait(seconds(0.0), 1, Urgency::Transition, false), Some(seconds(25.0)));
    other.turn(seconds(25.0));
    assert!(other.wants_trial());
    let later = &mut next(&other, 10.0);
    later.turn(seconds(0.0));
    assert!(later.wants_trial(), "the trial is still due");
    assert!(!next(&other, 3600.0).is_pausing(), "a pause of long ago does not count");
}

#[test]
fn the_breaker_opens_when_half_of_the_agents_fail_and_no_request_succeeds() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut fail = |gate: &mut Gate, whom: String, is_retry: bool, agents: usize, up: f64| {
        gate.failed(&whom, is_retry, agents, seconds(up), &mut random)
    };
    // All pages of one agent, then two agents that fail repeatedly.
    for (agents, modulus) in [(1, 1), (30, 2)] {
        let mut gate = Gate::new(LIMITS, seconds(0.0));
        for number in 0..100 {
            let whom = format!("{}/live", number % modulus);
            assert_eq!(fail(&mut gate, whom, number >= modulus, agents, f64::from(number)), None);
        }
    }
    // 40 of 100 agents hang; then 80 of 100 fail while the rest succeed.
    for (agents, failing, has_others) in [(100, 40, false), (100, 80, true)] {
        let mut gate = Gate::new(LIMITS, seconds(0.0));
        for number in 0..400 {
            let up = f64::from(number) / 10.0;
            assert_eq!(fail(&mut gate, format!("{}/live", number % failing), false, agents, up), None);
            if has_others && number % 15 == 0 {
                gate.record_answer("good");
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
    assert!(gate.begin_trial("1/live", seconds(30.0)) && gate.record_answer("1"));
    assert!(gate.is_open() && gate.take(seconds(30.0), 1, Urgency::Source, false));
}

#[test]
fn the_time_that_requests_wait_for_the_rate_is_summed_without_idle_time() {
    let mut gate = Gate::new(LIMITS, seconds(0.0));
    let near = |waited: Duration, expected: f64| (waited.as_secs_f64() - expected).abs() < 0.005;
    assert_eq!(taken(&mut gate, 0.0, Urgency::Source, false), 20);
    assert!(!gate.take(seconds(0.05), 1, Urgency::Source, false));
    assert!(near(gate.rate_wait(), 0.05), "{:?}", gate.rate_wait());
    assert!(gate.take(seconds(0.1), 1, Urgency::Source, false));
    assert!(near(gate.rate_wait(), 0.1), "{:?}", gate.rate_wait());
    // The last request of these is refused and given up.
    assert_eq!(taken(&mut gate, 100.0, Urgency::Source, false), 20);
    assert!(gate.take(seconds(200.0), 1, Urgency::Source, false));
    assert!(near(gate.rate_wait(), 0.2), "{:?}", gate.rate_wait());
}
