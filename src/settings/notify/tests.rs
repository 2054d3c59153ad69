//! Valid and invalid blocks, and local times of each day.

use super::*;
use crate::settings::{Settings, Surroundings};

const REST: &str =
    "[api]\nregion = \"uk\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { a = 1 }\n";

/// Reads settings with one block; returns it, or the problems.
fn block(lines: &str) -> Result<Receiver, Vec<String>> {
    let text = format!("{REST}[[notify]]\n{lines}");
    let read =
        Settings::parse(Path::new("/etc/rtconfd/rtconfd.toml"), text.as_bytes(), &Surroundings::default());
    let shown =
        |problem: &Problem| format!("{} ({})", problem.message, problem.hint.as_deref().unwrap_or_default());
    read.map(|mut settings| settings.notify.remove(0))
        .map_err(|report| report.problems.iter().map(shown).collect())
}

#[test]
fn a_block_has_defaults_and_paths_relative_to_the_settings() {
    let receiver = block("name = \"ops\"\ntype = \"slack\"\nurl_file = \"slack-url\"").unwrap();
    assert_eq!(receiver.via, Via::Slack("/etc/rtconfd/slack-url".into()));
    assert_eq!(receiver.events, EventKind::ALL.into());
    assert_eq!((receiver.timeout, receiver.collect), (NOTIFY_TIMEOUT, COLLECT));
    assert_eq!((receiver.digest, receiver.quiet), (None, None));
    let receiver = block("name = \"x\"\ntype = \"command\"\ncommand = [\"bin/page\", \"a/b\"]").unwrap();
    assert_eq!(receiver.via, Via::Command(vec!["/etc/rtconfd/bin/page".to_owned(), "a/b".to_owned()]));
}

#[test]
fn an_invalid_block_is_refused_with_a_hint() {
    let slack = "name = \"ops\"\ntype = \"slack\"\nurl_file = \"u\"\n";
    let hook = "name = \"ops\"\ntype = \"webhook\"\nsecret_file = \"s\"\n";
    for (lines, expected) in [
        ("type = \"slack\"\nurl_file = \"u\"".to_owned(), "notify needs \"name\""),
        ("name = \"a b\"\ntype = \"slack\"\nurl_file = \"u\"".to_owned(), "invalid notify name `a b`"),
        (
            "name = \"ops\"\ntype = \"slak\"".to_owned(),
            "unknown notify type `slak` (did you mean \"slack\"?)",
        ),
        (
            "name = \"ops\"\ntype = \"slack\"\nurl = \"https://x\"".to_owned(),
            "`url` does not belong to type `slack` (set url_file instead)",
        ),
        (
            format!("{hook}url = \"http://ops.example/\""),
            "url: the messages would cross the network unencrypted; use https",
        ),
        (format!("{hook}url = \"https://u:p@ops.example/\""), "url: the URL holds a user name or password"),
        (hook.to_owned(), "notify needs \"url_file\""),
        (
            "name = \"ops\"\ntype = \"webhook\"\nurl = \"https://x/\"".to_owned(),
            "notify needs \"secret_file\"",
        ),
        ("name = \"ops\"\ntype = \"command\"\ncommand = []".to_owned(), "command names no program"),
        (format!("{slack}events = [\"pages\"]"), "unknown kind of event `pages` (did you mean \"page\"?)"),
        (format!("{slack}events = [\"digest\"]"), "(set digest = \"08:00\" for a daily digest)"),
        (
            format!("{slack}digest = \"8:00\"\ntimezone = \"Europe/London\""),
            "invalid time `8:00` (write HH:MM",
        ),
        (format!("{slack}digest = \"08:00\""), "digest and quiet need a time zone"),
        (format!("{slack}timezone = \"Europe/London\"\nquiet = \"22:00\""), "invalid quiet hours `22:00`"),
        (format!("{slack}timezone = \"Europe/London\"\nquiet = \"22:00-22:00\""), "invalid quiet hours"),
        (format!("{slack}urgent = [\"key\"]"), "`urgent` has no effect without `quiet`"),
        (format!("{slack}timeout = \"2d\""), "timeout: invalid duration"),
        (format!("{slack}[[notify]]\n{slack}"), "duplicate notify name `ops`"),
    ] {
        let problems = block(&lines).expect_err(&lines);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{lines}\n{problems:?}");
    }
}

#[test]
fn a_digest_is_due_once_a_day_at_its_local_time() {
    let zone = crate::zone::named("Europe/London");
    for (time, after, next) in [
        ("08:00", "2026-11-26T07:59:59Z", "2026-11-26T08:00:00Z"),
        ("08:00", "2026-11-26T08:00:00Z", "2026-11-27T08:00:00Z"),
        ("08:00", "2026-06-26T07:00:00Z", "2026-06-27T07:00:00Z"),
        // The clock goes forward at 01:00, and back at 02:00.
        ("01:30", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
        ("01:30", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
        ("01:30", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
    ] {
        let daily = Daily { at: super::time(time).unwrap(), zone };
        let (after, next): (Instant, Instant) = (after.parse().unwrap(), next.parse().unwrap());
        assert_eq!(daily.next(after), next, "{time} after {after}");
    }
}

#[test]
fn quiet_hours_run_past_midnight_and_follow_the_zone() {
    let zone = crate::zone::named("Europe/London");
    for (from, to, now, end) in [
        ("22:00", "07:00", "2026-11-26T21:59:59Z", None),
        ("22:00", "07:00", "2026-11-26T22:00:00Z", Some("2026-11-27T07:00:00Z")),
        ("22:00", "07:00", "2026-11-27T06:59:59Z", Some("2026-11-27T07:00:00Z")),
        ("22:00", "07:00", "2026-11-27T07:00:00Z", None),
        ("22:00", "07:00", "2026-06-26T21:30:00Z", Some("2026-06-27T06:00:00Z")),
        ("12:00", "13:00", "2026-11-26T12:30:00Z", Some("2026-11-26T13:00:00Z")),
        ("12:00", "13:00", "2026-11-26T13:30:00Z", None),
        ("22:00", "07:00", "2026-03-29T00:30:00Z", Some("2026-03-29T06:00:00Z")),
    ] {
        let [from, to] = [from, to].map(|text| super::time(text).unwrap());
        let quiet = Quiet { from, to, zone, urgent: BTreeSet::new() };
        let end: Option<Instant> = end.map(|end| end.parse().unwrap());
        assert_eq!(quiet.end(now.parse().unwrap()), end, "{now}");
    }
}
