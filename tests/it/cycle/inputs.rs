//! Inputs that change, fail or disappear: rows, joined tables, documents and calendars.

use chrono::TimeDelta;
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::reconcile::Mode;
use serde_json::json;

use super::NOON;
use crate::support::{Api, Driving, Folder, NO_HOLD, SITES, at, desk, until};

#[tokio::test]
async fn an_invalid_value_is_never_sent_and_names_its_cell() {
    let api = Api::start();
    for agent in ["A-1", "A-2"] {
        api.schema(agent, &json!({"properties": {"phone": {"type": "string", "pattern": "^\\+44\\d+$"}}}));
    }
    let folder = Folder::new(&api.url, SITES);
    folder.write(
        "sites.csv",
        "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,020\nb,A-2,Mo-Fr 09:00-17:00,+441\n",
    );
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    api.until_variable("A-2", "phone", &json!("+441")).await;
    driving.advance(at("2026-11-26T18:00:00Z")).await;
    assert_eq!(api.variables("A-1"), json!({}), "no value of an invalid page is sent");
    assert!(!api.requests("PATCH").iter().any(|request| request.path.contains("A-1")));
    let pages = folder.stored().pages().unwrap();
    let problem = &pages[&"A-1/live".parse().unwrap()].problem.as_ref().unwrap().0;
    for part in ["sites.csv:2, column \"phone\"", "phone = \"020\"", "/properties/phone/pattern"] {
        assert!(problem.contains(part), "{part} in {problem}");
    }
    // The cell is fixed, and the page follows immediately.
    folder.write(
        "sites.csv",
        "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,+442\nb,A-2,Mo-Fr 09:00-17:00,+441\n",
    );
    api.until_variable("A-1", "phone", &json!("+442")).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_bad_row_keeps_its_page_on_the_last_good_schedule_with_its_transitions() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("both pages are filled", || api.requests("PATCH").len() == 2).await;
    // One cell is invalid and another row changes: only the valid row becomes active.
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-25:00,9\nb,A-2,Mo-Fr 09:00-17:00,3\n");
    api.until_variable("A-2", "phone", &json!("3")).await;
    driving.advance(at("2026-11-26T17:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": false, "phone": "1"}));
    // The whole file is missing: both pages keep their schedules.
    std::fs::remove_file(folder.path("sites.csv")).unwrap();
    driving.advance(at("2026-11-27T09:00:00Z")).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    api.until_variable("A-2", "is_open", &json!(true)).await;
    let ended = driving.stop().await;
    assert!(
        ended.problems.iter().any(|problem| problem.to_string().contains("the file is missing")),
        "{:?}",
        ended.problems
    );
}

#[tokio::test]
async fn a_row_that_disappears_stops_being_managed_and_nothing_is_sent() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("[hold]\nrows_percent = 100\n{SITES}"));
    folder
        .write("sites.csv", "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n");
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("both pages are filled", || api.requests("PATCH").len() == 2).await;
    folder.write("sites.csv", "site,agent,hours,phone\nb,A-2,Mo-Fr 09:00-17:00,3\n");
    api.until_variable("A-2", "phone", &json!("3")).await;
    driving.advance(at("2026-11-26T18:00:00Z")).await;
    api.until_variable("A-2", "is_open", &json!(false)).await;
    assert_eq!(api.variables("A-1"), json!({"is_open": true, "phone": "1"}));
    driving.stop().await;
}

/// Sites, their phone numbers in another table, and a message.
const JOINED: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.phones]
path = "phones.csv"
key = "site"
[sources.m]
path = "m.json"
[[page]]
for_each = "sites"
join = { phones = "{{ row.site }}" }
agent = "{{ row.agent }}"
environment = "live"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" }, phone = "{{ phones.number }}", text = { source = "m", pointer = "/text" } }
"#;

/// Runs the program twice, as cron does.
async fn run_twice(folder: &Folder, clock: &ManualClock) {
    for _ in 0..2 {
        let once = Mode::Once { deadline: clock.now() + TimeDelta::minutes(1) };
        Driving::start(folder, clock, once).await.ended().await;
    }
}

#[tokio::test]
async fn a_page_with_a_bad_input_keeps_its_last_good_values_across_restarts() {
    let good = [
        ("sites.csv", "site,agent,hours\na,A-1,Mo-Fr 09:00-17:00\nb,A-2,Mo-Fr 09:00-17:00\n"),
        ("phones.csv", "site,number\na,1\nb,2\n"),
        ("m.json", "{\"text\": \"one\"}"),
    ];
    for (name, bad) in [
        ("phones.csv", "site,number\nb,2\n"),
        ("phones.csv", "site,nummer\na,1\nb,2\n"),
        ("m.json", "{\"txt\": \"one\"}"),
        ("sites.csv", "site,agent,hourz\na,A-1,Mo-Fr 09:00-17:00\nb,A-2,Mo-Fr 09:00-17:00\n"),
        ("rtconfd.toml", "phones.nummer"),
    ] {
        let api = Api::start();
        let folder = Folder::new(&api.url, &format!("{NO_HOLD}{JOINED}"));
        good.iter().for_each(|(name, text)| folder.write(name, text));
        let clock = ManualClock::new(at(NOON));
        run_twice(&folder, &clock).await;
        assert_eq!(api.variables("A-1"), json!({"is_open": true, "phone": "1", "text": "one"}));
        match name {
            "rtconfd.toml" => {
                let settings = std::fs::read_to_string(folder.path(name)).unwrap();
                folder.write(name, &settings.replace("phones.number", bad));
            }
            _ => folder.write(name, bad),
        }
        run_twice(&folder, &clock).await;
        clock.set(at("2026-11-26T17:00:00Z"));
        run_twice(&folder, &clock).await;
        assert_eq!(api.variables("A-1")["is_open"], json!(false), "{name}: {bad}");
        assert_eq!(api.requests("PATCH").len(), 4, "{name}: {bad}");
    }
}

async fn wait_for_problem(driving: &Driving, is_expected: bool) {
    while driving.status().await.problems.is_empty() == is_expected {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// The page keeps its old values, so it is not up to date when its row is as before.
#[tokio::test]
async fn a_row_that_was_bad_gets_the_changes_of_other_tables_meanwhile() {
    let sites = "site,agent,hours\na,A-1,Mo-Fr 09:00-17:00\nb,A-2,Mo-Fr 09:00-17:00\n";
    let bad = sites.replacen("09:00", "99:00", 1);
    for restarts in [false, true] {
        let api = Api::start();
        let folder = Folder::new(&api.url, &format!("{NO_HOLD}{JOINED}"));
        folder.write("m.json", "{\"text\": \"one\"}");
        let clock = ManualClock::new(at(NOON));
        let steps = [(sites, "1", "1"), (&bad, "7", "1"), (sites, "7", "7")];
        let mut driving = None;
        for (sites, phone, expected) in steps {
            folder.write("sites.csv", sites);
            if let Some(driving) = &driving {
                let is_bad = sites == bad;
                wait_for_problem(driving, is_bad).await;
            }
            folder.write("phones.csv", &format!("site,number\na,{phone}\nb,{phone}\n"));
            if restarts {
                run_twice(&folder, &clock).await;
            } else if driving.is_none() {
                driving = Some(Driving::start(&folder, &clock, Mode::Daemon).await);
            }
            api.until_variable("A-2", "phone", &json!(phone)).await;
            if expected == phone {
                api.until_variable("A-1", "phone", &json!(expected)).await;
            }
            assert_eq!(api.variables("A-1")["phone"], json!(expected), "{sites}");
        }
        if let Some(driving) = driving {
            driving.stop().await;
        }
    }
}

/// A row stays bad for weeks: a restart uses the good rows that arrived meanwhile.
#[tokio::test]
async fn a_bad_row_does_not_prevent_storing_the_good_rows_beside_it() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("{NO_HOLD}{SITES}"));
    let write = |a: &str, b: &str| {
        folder.write("sites.csv", &format!("site,agent,hours,phone\na,A-1,{a},1\nb,A-2,{b},1\n"));
    };
    let clock = ManualClock::new(at(NOON));
    for (a, b) in [
        ("Mo-Fr 09:00-17:00", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr 09:00-25:00", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr 09:00-25:00", "Mo-Fr 09:00-16:00"),
        ("Mo-Fr 09:00-25:00", "Mo-Fr 09:00-26:00"),
    ] {
        write(a, b);
        run_twice(&folder, &clock).await;
    }
    clock.set(at("2026-11-26T16:00:00Z"));
    run_twice(&folder, &clock).await;
    assert_eq!(
        [&api.variables("A-1")["is_open"], &api.variables("A-2")["is_open"]],
        [&json!(true), &json!(false)]
    );
    clock.set(at("2026-11-26T17:00:00Z"));
    run_twice(&folder, &clock).await;
    assert_eq!(api.variables("A-1")["is_open"], json!(false));
    let kept = folder.stored().remembered().unwrap().kept;
    assert_eq!(kept.into_values().collect::<Vec<_>>(), [1, 3]);
    write("Mo-Fr 09:00-18:00", "Mo-Fr 09:00-18:00");
    run_twice(&folder, &clock).await;
    assert_eq!(api.variables("A-1")["is_open"], json!(true));
    let remembered = folder.stored().remembered().unwrap();
    assert!(remembered.kept.is_empty() && remembered.older.is_empty(), "{remembered:?}");
}

#[tokio::test]
async fn a_calendar_that_lost_its_events_still_closes_as_before() {
    let api = Api::start();
    let settings = desk("A-1")
        .replace("weekly =", "closed_on = [\"hols\"]\nweekly =")
        .replace("{ is_open", "{ text = { source = \"m\", pointer = \"\" }, is_open");
    let top = "[calendars.hols]\npath = \"h.ics\"\n[sources.m]\npath = \"m.json\"\n";
    let folder = Folder::new(&api.url, &format!("{top}{settings}"));
    folder.write("m.json", "1");
    let calendar = |events: &str| format!("BEGIN:VCALENDAR\nVERSION:2.0\n{events}END:VCALENDAR\n");
    folder.write(
        "h.ics",
        &calendar("BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas\nEND:VEVENT\n"),
    );
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-12-25T08:00:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    folder.write("h.ics", &calendar(""));
    // A later write is processed later.
    folder.write("m.json", "2");
    api.until_variable("A-1", "text", &json!(2)).await;
    driving.advance(at("2026-12-25T12:00:00Z")).await;
    assert_eq!(api.variables("A-1"), json!({"text": 2, "is_open": false}));
    let ended = driving.stop().await;
    assert!(ended.problems.iter().any(|problem| problem.to_string().contains("the calendar has no events")));
}

/// A cell may name the table to read, which may be the table of the pages itself.
#[tokio::test]
async fn a_page_that_reads_other_rows_of_its_table_follows_their_changes() {
    let api = Api::start();
    let settings = SITES.replace(
        "weekly = \"{{ row.hours }}\"",
        "weekly = \"{{ row.hours }}\", special_from = { source = \"{{ row.table }}\", match = { site = \"b\" }, hours = \"exception\" }",
    );
    let folder = Folder::new(&api.url, &settings);
    let rows = |exception: &str| {
        format!(
            "site,agent,hours,phone,table,date,exception\na,A-1,Mo-Su 09:00-17:00,1,sites,2026-01-01,closed\nb,A-2,Mo-Su 09:00-17:00,2,sites,2026-11-26,{exception}\n"
        )
    };
    folder.write("sites.csv", &rows("09:00-18:00"));
    let driving = Driving::start(&folder, &ManualClock::new(at("2026-11-26T12:00:00Z")), Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.write("sites.csv", &rows("10:00-11:00"));
    api.until_variable("A-2", "is_open", &json!(false)).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    driving.stop().await;
}
