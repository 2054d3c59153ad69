//! Promotions in commands and settings, and the comparison of two definitions.

use chrono::TimeDelta;
use rtconfd::compile::{Inputs, World};
use serde_json::{Value, json};

use super::{SITES, noon};
use crate::support::{Api, Folder, at};

/// `apply` from cron keeps waiting promotions between runs, and every command shows them.
#[test]
fn commands_show_waiting_promotions_and_their_reasons() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,daily 00:00-24:00,1\n");
    let waits = "A-1/live waits until ";
    let planned = folder.run(&["plan"]).expect(2);
    assert!(
        planned.err.contains("A-1/live waits until A-1/sandbox has held its change long enough, then takes over the change of A-1/sandbox: A-1/sandbox must hold the change first"),
        "{}",
        planned.err
    );
    assert!(!planned.out.contains("A-1/live"), "{}", planned.out);
    for _ in 0..2 {
        folder.run(&["apply"]).expect(0);
        assert_eq!(api.variables("A-1"), json!({}), "no value has reached live");
    }
    folder.run(&["plan"]).expect(0);
    let status = folder.run(&["status"]).expect(0);
    assert!(status.out.contains(waits), "{}", status.out);
    assert!(status.out.contains(": A-1/sandbox has held the change since "), "{}", status.out);
    let last = folder.run(&["status", "--format", "json"]).expect(0).lines().pop().unwrap();
    assert_eq!(
        (&last["following"][0]["page"], &last["following"][0]["follows"]),
        (&json!("A-1/live"), &json!("A-1/sandbox"))
    );
    let previewed =
        folder.run(&["preview", "A-1/live", "--variable", "phone", "--format", "json"]).expect(0).lines();
    let at = |row: &Value| at(row["at"].as_str().unwrap());
    assert_eq!((previewed.len(), &previewed[0]["to"]), (1, &json!("1")));
    assert_eq!(
        at(&previewed[0]),
        at(&last["following"][0]),
        "preview shows the change from its promotion on"
    );
    let explained = folder.run(&["explain", "A-1/live", "phone", "--format", "json"]).expect(0);
    assert_eq!(explained.lines()[0]["value"], "1", "a page that was never active is explained as written");
    // Once it is due, plan shows the change that apply will make.
    let later = (rtconfd::clock::Clock::now(&rtconfd::clock::WallClock) + TimeDelta::hours(3)).to_rfc3339();
    let plan = |code: i32| {
        let ran = folder.run(&["plan", "--at", &later, "--format", "json"]).expect(code);
        assert!(ran.err.contains(&format!("{waits}both pages are next fetched, ")), "{}", ran.err);
        let rows = ran.lines();
        let shown =
            |row: &Value| format!("{} {} {}", row["page"], row["action"], row["variable"]).replace('"', "");
        rows.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(plan(2), ["A-1/live set is_open", "A-1/live set phone"]);
    api.schema("A-1", &json!({"properties": {"phone": {"type": "string", "pattern": "^x"}}}));
    assert_eq!(plan(1), ["A-1/live fail null"]);
}

#[test]
fn invalid_promotions_are_refused() {
    let page = |environment: &str, more: &str| {
        format!("[[page]]\nagent = \"A-1\"\nenvironment = {environment}\nvariables = {{ a = 1 }}\n{more}\n")
    };
    let live = |more: &str| page("\"live\"", more);
    for (settings, problem) in [
        (live("follow = \"sandbox\""), "`follow` and `after` must be set together"),
        (live("after = \"2h\""), "`follow` and `after` must be set together"),
        (live("follow = \"sandbox\"\nafter = \"0s\""), "invalid duration \"0s\""),
        (live("follow = \"sandbox\"\nafter = \"40d\""), "a change can wait for at most 31 days"),
        (live("follow = \"live\"\nafter = \"2h\""), "a page in live cannot follow itself"),
        (live("follow = \"prod\"\nafter = \"2h\""), "prod"),
        (live("follow = \"sandbox\"\nafter = \"2h\""), "it follows A-1/sandbox, which is not defined"),
        (
            page("\"sandbox\"", "follow = \"live\"\nafter = \"2h\"")
                + &live("follow = \"sandbox\"\nafter = \"2h\""),
            "which directly or indirectly follows it",
        ),
    ] {
        let folder = Folder::new("http://127.0.0.1:9", &settings);
        let checked = folder.run(&["check", "--offline"]).expect(1);
        assert!(checked.err.contains(problem), "{settings}\n{}", checked.err);
        assert!(checked.err.contains("hint: "), "{}", checked.err);
    }
}

#[test]
fn two_definitions_are_equal_when_they_give_equal_values_over_the_whole_horizon() {
    let world = |variable: &str, more: &str| {
        let page = format!(
            "timezone = \"Europe/London\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"sandbox\"\nvariables = {{ x = {variable} }}\n"
        );
        let folder = Folder::new("http://127.0.0.1:9", "");
        let top = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
        let (zone, page) = page.split_once('\n').unwrap();
        folder.write("rtconfd.toml", &format!("{zone}\n{top}{more}{page}"));
        World::new(&folder.load().blueprint, &Inputs::default(), noon(), None)
    };
    let hours = |week: &str| format!("[hours.desk]\nweekly = \"{week}\"\n");
    let bank =
        |remove: &str| format!("[calendars.bank]\npublic_holidays = \"GB-ENG\"\nremove = [{remove}]\n");
    let nothing = String::new;
    let opens = "{ hours = \"desk\", show = \"opens_at\", format = \"hour\" }";
    let is_open = "{ when = [{ hours = \"desk\", state = \"open\", value = 1 }], otherwise = 0 }";
    let from = |date: &str| format!("{{ when = [{{ from = \"{date}\", value = 1 }}], otherwise = 0 }}");
    let cron = |length: &str| {
        format!("{{ when = [{{ cron = \"0 8 * * FRI\", for = \"{length}\", value = 1 }}], otherwise = 0 }}")
    };
    let holiday = "{ calendar = \"bank\", show = \"is_today\" }";
    for (a, b, alike) in [
        // On Thursdays neither has a value; they differ from Friday on.
        (
            (opens, hours("Th 09:30-17:00; Fr 10:00-17:00")),
            (opens, hours("Th 09:30-17:00; Fr 11:00-17:00")),
            false,
        ),
        ((opens, hours("Th 09:30-17:00")), (opens, hours("Th 09:45-17:00")), true),
        ((is_open, hours("Fr 10:00-17:00")), (is_open, hours("Fr 10:00-12:00, 12:00-17:00")), true),
        ((is_open, hours("Fr 10:00-17:00")), (is_open, hours("Fr 10:00-16:00")), false),
        ((&from("2027-11-01"), nothing()), (&from("2027-11-01T00:00"), nothing()), true),
        ((&from("2027-11-01"), nothing()), (&from("2027-11-02"), nothing()), false),
        ((&from("2029-11-01"), nothing()), (&from("2029-11-02"), nothing()), true),
        ((&cron("4h"), nothing()), (&cron("240m"), nothing()), true),
        ((&cron("4h"), nothing()), (&cron("5h"), nothing()), false),
        ((holiday, bank("")), (holiday, bank("\"2026-12-25\"")), false),
        ((holiday, bank("")), (holiday, bank("")), true),
    ] {
        let (one, other) = (world(a.0, &a.1), world(b.0, &b.1));
        assert_eq!(one.problems().count() + other.problems().count(), 0, "{a:?} {b:?}");
        let (one, other) = (&one.pages[0].page, &other.pages[0].page);
        let until = noon() + TimeDelta::days(400);
        assert_eq!(one.is_equivalent(other, noon(), until), alike, "{a:?} {b:?}");
        assert_eq!(other.is_equivalent(one, noon(), until), alike, "{b:?} {a:?}");
    }
}
