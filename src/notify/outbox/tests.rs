//! Tests of the outbox: collected events, retries and lost messages.

use super::*;
use crate::settings::{Daily, Via};

fn at(text: &str) -> Instant {
    format!("2026-11-26T{text}Z").parse().unwrap()
}

fn receiver() -> Receiver {
    Receiver {
        name: "ops".to_owned(),
        via: Via::Command(Vec::new()),
        timeout: Duration::from_secs(1),
        events: EventKind::ALL.into(),
        collect: Duration::from_secs(10),
        digest: None,
        quiet: None,
    }
}

fn event(kind: EventKind, time: &str) -> Event {
    Event::new(kind, "something happened", at(time))
}

/// Makes the message that is due; returns its groups as `kind count`.
fn composed(outbox: &mut Outbox, receiver: &Receiver, now: &str) -> Vec<String> {
    let is_new = outbox.compose(receiver, at(now), || format!("msg at {now}"), "here");
    let message = outbox.due_message(receiver, at(now)).filter(|_| is_new);
    let groups = message.into_iter().flat_map(|message| &message.groups);
    groups.map(|group| format!("{} {}", group.kind.word(), group.count)).collect()
}

fn settle(outbox: &mut Outbox, id: &str, result: Result<(), Failure>, now: &str) -> Option<Settled> {
    let outcome = Outcome { answer: String::new(), result };
    outbox.settle(id, &outcome, at(now), &mut fastrand::Rng::with_seed(1))
}

#[test]
fn events_are_collected_into_one_message_that_lists_a_few() {
    let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
    assert_eq!(outbox.next_due(&receiver, at("12:00:00"), true), None);
    (0..1_000).for_each(|_| outbox.add(event(EventKind::Page, "12:00:01")));
    outbox.add(event(EventKind::Key, "12:00:09"));
    assert_eq!(outbox.next_due(&receiver, at("12:00:09"), true), Some(at("12:00:11")));
    assert_eq!(composed(&mut outbox, &receiver, "12:00:10"), Vec::<String>::new());
    assert_eq!(composed(&mut outbox, &receiver, "12:00:11"), ["key 1", "page 1000"]);
    let message = outbox.due_message(&receiver, at("12:00:11")).unwrap();
    assert_eq!(message.groups[1].events.len(), 5);
    assert_eq!(message.title(), "API key, 1000 pages with a problem");
}

#[test]
fn a_message_is_retried_by_its_id_while_later_events_wait() {
    let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
    outbox.add(event(EventKind::Page, "12:00:00"));
    assert_eq!(composed(&mut outbox, &receiver, "12:00:10"), ["page 1"]);
    outbox.add(event(EventKind::Held, "12:00:11"));
    let id = "msg at 12:00:10";
    let failed = settle(&mut outbox, id, Err(Failure::default()), "12:00:12");
    assert!(
        matches!(failed, Some(Settled::Retried { after, is_first: true }) if (4..=5).contains(&after.as_secs())),
        "{failed:?}"
    );
    assert_eq!(outbox.due_message(&receiver, at("12:00:13")), None);
    // As after a crash.
    let mut outbox: Outbox = serde_json::from_str(&serde_json::to_string(&outbox).unwrap()).unwrap();
    assert_eq!(composed(&mut outbox, &receiver, "12:00:30"), Vec::<String>::new());
    assert_eq!(outbox.due_message(&receiver, at("12:00:30")).unwrap().id, id);
    assert_eq!(outbox.failed_count(), 1);
    assert_eq!(settle(&mut outbox, "msg of another store", Ok(()), "12:00:30"), None);
    assert_eq!(settle(&mut outbox, id, Ok(()), "12:00:30"), Some(Settled::Delivered));
    assert_eq!(composed(&mut outbox, &receiver, "12:00:31"), ["held 1"]);
}

#[test]
fn a_receiver_that_is_away_gets_one_message_and_the_state_stays_small() {
    let (receiver, mut outbox) = (receiver(), Outbox::new(at("00:00:00")));
    let mut size = 0;
    for hour in 0..20 {
        let now = format!("{hour:02}:00:00");
        (0..1_000).for_each(|_| outbox.add(event(EventKind::Page, &now)));
        composed(&mut outbox, &receiver, &format!("{hour:02}:30:00"));
        let due = at(&format!("{hour:02}:59:00"));
        let id = outbox.due_message(&receiver, due).unwrap().id.clone();
        settle(&mut outbox, &id, Err(Failure::default()), &format!("{hour:02}:59:00"));
        size = serde_json::to_string(&outbox).unwrap().len();
    }
    assert!(size < 4_000, "{size}");
    settle(&mut outbox, "msg at 00:30:00", Ok(()), "20:00:00");
    assert_eq!(composed(&mut outbox, &receiver, "20:00:00"), ["page 19000"]);
}

#[test]
fn a_refused_message_is_given_up_sooner_and_counted() {
    let refused = Failure { refusal: Some(Refusal::Other), retry_after: None };
    let asked = Failure { refusal: None, retry_after: Some(Duration::from_secs(300)) };
    let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
    outbox.add(event(EventKind::Page, "12:00:00"));
    composed(&mut outbox, &receiver, "12:00:10");
    let id = "msg at 12:00:10";
    assert_eq!(
        settle(&mut outbox, id, Err(asked), "12:01:00"),
        Some(Settled::Retried { after: Duration::from_secs(300), is_first: true })
    );
    assert!(matches!(
        settle(&mut outbox, id, Err(refused), "13:00:09"),
        Some(Settled::Retried { is_first: false, .. })
    ));
    let unreachable = settle(&mut outbox, id, Err(Failure::default()), "13:00:10");
    assert!(
        matches!(unreachable, Some(Settled::Retried { is_first: false, .. })),
        "an answer may still come"
    );
    assert_eq!(settle(&mut outbox, id, Err(refused), "13:00:11"), Some(Settled::Lost));
    outbox.add(event(EventKind::Held, "13:01:00"));
    composed(&mut outbox, &receiver, "13:05:00");
    assert_eq!(
        outbox.due_message(&receiver, at("13:05:00")).unwrap().footer(),
        "rtconfd, here; 1 earlier message could not be delivered"
    );
}

#[test]
fn a_message_with_refused_content_makes_way_for_newer_events() {
    let refused = |refusal| Err(Failure { refusal: Some(refusal), retry_after: None });
    for (refusal, newer, expected) in [
        (Refusal::Content, true, (true, "lost")),
        (Refusal::Content, false, (false, "retried")),
        (Refusal::Other, true, (false, "retried")),
    ] {
        let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
        outbox.add(event(EventKind::Page, "12:00:00"));
        composed(&mut outbox, &receiver, "12:00:10");
        let id = "msg at 12:00:10";
        // It has failed for long, so the next attempt is minutes away.
        for time in ["12:00:11", "12:01:00", "12:02:00", "12:04:00", "12:08:00", "12:16:00", "12:25:00"] {
            assert!(
                matches!(settle(&mut outbox, id, refused(refusal), time), Some(Settled::Retried { .. })),
                "{refusal:?} {time}"
            );
        }
        newer.then(|| outbox.add(event(EventKind::Held, "12:26:00")));
        let is_due = outbox.due_message(&receiver, at("12:26:00")).is_some();
        let settled = match settle(&mut outbox, id, refused(refusal), "12:26:01") {
            Some(Settled::Lost) => "lost",
            _ => "retried",
        };
        assert_eq!((is_due, settled), expected, "{refusal:?} {newer}");
    }
}

#[test]
fn messages_that_follow_each_other_soon_come_less_often() {
    let (receiver, mut outbox) = (receiver(), Outbox::new(at("12:00:00")));
    let mut now = at("12:00:00");
    let waits: Vec<i64> = (0..7)
        .map(|number| {
            outbox.add(Event::new(EventKind::Page, "", now));
            let due = outbox.next_due(&receiver, now, true).unwrap();
            assert!(outbox.compose(&receiver, due, || number.to_string(), "here"));
            let sent = Outcome { answer: String::new(), result: Ok(()) };
            outbox.settle(&number.to_string(), &sent, due, &mut fastrand::Rng::with_seed(1));
            let wait = (due - now).num_seconds();
            now = due;
            wait
        })
        .collect();
    assert_eq!(waits, [10, 10, 20, 40, 80, 160, 160]);
    let calm = now + TimeDelta::hours(1);
    outbox.add(Event::new(EventKind::Page, "", calm));
    assert!(outbox.compose(&receiver, calm + TimeDelta::seconds(160), || "last".to_owned(), "here"));
    assert_eq!(outbox.factor, 1);
}

#[test]
fn quiet_hours_hold_back_all_but_urgent_events_until_they_end() {
    let [from, to] = ["12:00:00", "14:00:00"].map(|text| text.parse().unwrap());
    let quiet = Quiet { from, to, zone: crate::zone::Zone::UTC, urgent: [EventKind::Key].into() };
    let receiver = Receiver { quiet: Some(quiet), ..receiver() };
    let mut outbox = Outbox::new(at("11:00:00"));
    outbox.add(event(EventKind::Page, "12:30:00"));
    assert_eq!(outbox.next_due(&receiver, at("12:30:00"), true), Some(at("14:00:00")));
    assert_eq!(composed(&mut outbox, &receiver, "13:00:00"), Vec::<String>::new());
    outbox.add(event(EventKind::Key, "13:00:00"));
    // The time for which the page has waited does not count for the key.
    assert_eq!(composed(&mut outbox, &receiver, "13:00:09"), Vec::<String>::new());
    outbox.add(event(EventKind::Key, "13:00:09"));
    assert_eq!(composed(&mut outbox, &receiver, "13:00:10"), ["key 2"]);
    settle(&mut outbox, "msg at 13:00:10", Ok(()), "13:00:11");
    outbox.add(event(EventKind::Page, "13:59:59"));
    assert_eq!(composed(&mut outbox, &receiver, "14:00:00"), ["page 2"]);
}

#[test]
fn a_retry_waits_for_the_end_of_quiet_hours_unless_it_is_urgent() {
    let [from, to] = ["12:00:00", "14:00:00"].map(|text| text.parse().unwrap());
    let quiet = Quiet { from, to, zone: crate::zone::Zone::UTC, urgent: [EventKind::Key].into() };
    let receiver = Receiver { quiet: Some(quiet), ..receiver() };
    for (kind, due) in [(EventKind::Page, "14:00:00"), (EventKind::Key, "12:00:02")] {
        let mut outbox = Outbox::new(at("11:00:00"));
        outbox.add(event(kind, "11:59:40"));
        composed(&mut outbox, &receiver, "11:59:55");
        settle(&mut outbox, "msg at 11:59:55", Err(Failure::default()), "11:59:58");
        let next = outbox.next_due(&receiver, at("11:59:58"), true).unwrap();
        assert!((at(due)..=at(due) + TimeDelta::seconds(1)).contains(&next), "{kind:?} {next}");
        assert_eq!(outbox.due_message(&receiver, at("12:00:30")).is_some(), kind == EventKind::Key);
        assert!(outbox.due_message(&receiver, at("14:00:00")).is_some());
    }
}

#[test]
fn a_digest_is_sent_once_a_day_also_in_quiet_hours_and_after_an_outage() {
    let zone = crate::zone::Zone::UTC;
    let [from, to, time] = ["12:00:00", "14:00:00", "13:00:00"].map(|text| text.parse().unwrap());
    let quiet = Some(Quiet { from, to, zone, urgent: [].into() });
    let receiver = Receiver { quiet, digest: Some(Daily { at: time, zone }), ..receiver() };
    let mut outbox = Outbox::new(at("11:00:00"));
    outbox.add(event(EventKind::Page, "12:30:00"));
    assert!(!outbox.is_digest_due(&receiver, at("12:59:59")));
    assert_eq!(outbox.next_due(&receiver, at("12:59:59"), true), Some(at("13:00:00")));
    // The program was off at 13:00.
    assert!(outbox.is_digest_due(&receiver, at("13:20:00")));
    outbox.add_digest(vec![event(EventKind::Digest, "13:10:00")], at("13:10:00"));
    outbox.add_digest(vec![event(EventKind::Digest, "13:20:00")], at("13:20:00"));
    assert!(!outbox.is_digest_due(&receiver, at("13:20:00")));
    assert_eq!(composed(&mut outbox, &receiver, "13:20:00"), ["digest 1"]);
    settle(&mut outbox, "msg at 13:20:00", Ok(()), "13:20:01");
    assert_eq!(outbox.next_due(&receiver, at("13:20:01"), true), Some(at("14:00:00")));
}
