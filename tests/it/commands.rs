//! Output and exit codes of the commands, as transcripts.

use serde_json::{Value, json};

use crate::support::{Api, Folder, NO_HOLD, SITES, desk};

const CSV: &str = "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n";

pub fn unreachable_api() -> &'static str {
    // Nothing listens on this port; connections are refused immediately.
    "http://127.0.0.1:9"
}

#[test]
fn plan_shows_changes_apply_makes_them_and_a_second_plan_is_empty() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", CSV);
    let plan = folder.run(&["plan", "--format", "json", "--at", "2026-11-26T12:00:00Z"]).expect(2).lines();
    assert_eq!(plan.len(), 4);
    assert_eq!(
        plan[0],
        json!({
            "page": "A-1/live", "variable": "is_open", "action": "set", "from": null, "to": true,
            "because": "the page is open 09:00-17:00 on Thu 2026-11-26 (sites.csv:2, column \"hours\")",
            "until": "2026-11-26T17:00:00Z"
        })
    );
    assert!(!folder.path("state.sqlite").exists(), "plan creates no store");
    assert!(api.requests("PATCH").is_empty(), "plan never writes");
    let applied = folder.run(&["apply", "--format", "json"]).expect(0).lines();
    assert_eq!(applied[0], json!({"page": "A-1/live", "result": "right", "applied": 2, "problem": null}));
    assert_eq!(folder.run(&["plan"]).expect(0).err, "Nothing to do: every page has its desired values.\n");
    folder.run(&["apply"]).expect(0);
    assert_eq!(api.requests("PATCH").len(), 2);
}

#[test]
fn a_removed_row_is_reported_and_listed_by_status_while_its_page_holds_values() {
    let api = Api::start();
    let one_less = "[[page.each]]\nsource = \"sites\"\nvariables = { \"/phones/{{ row.site }}\" = { column = \"phone\" } }\n";
    let all = format!("[[page]]\nagent = \"ALL\"\nenvironment = \"live\"\n{one_less}");
    let folder = Folder::new(&api.url, &format!("{NO_HOLD}{SITES}{all}"));
    folder.write("sites.csv", CSV);
    folder.run(&["apply"]).expect(0);
    folder.write("sites.csv", CSV.split_once("b,").unwrap().0);
    let gone = [
        "A-2/live is no longer defined: nothing more is sent to it, and it keeps its values",
        "/phones/b of ALL/live is no longer defined: nothing more is sent for it, and it keeps its value",
    ];
    for command in ["plan", "check", "apply"] {
        let reported = folder.run(&[command]).expect(0).err;
        assert!(gone.iter().all(|gone| reported.contains(gone)), "{command}: {reported}");
    }
    assert_eq!(api.requests("PATCH").len(), 3, "nothing is sent");
    for command in ["plan", "apply"] {
        assert!(
            !folder.run(&[command]).expect(0).err.contains("no longer defined"),
            "{command}: it is reported only once"
        );
    }
    let status = folder.run(&["status"]).expect(0).out;
    assert!(gone.iter().all(|gone| status.contains(gone)), "{status}");
    let status = folder.run(&["status", "--format", "json"]).expect(0).lines();
    assert_eq!(
        status.last().unwrap()["left_behind"],
        json!([{"page": "A-2/live", "variable": null}, {"page": "ALL/live", "variable": "/phones/b"}])
    );
}

#[test]
fn exit_codes_of_failures_are_as_documented() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", CSV);
    api.schema("A-2", &json!({"properties": {"phone": {"type": "string", "minLength": 5}}}));
    let plan = folder.run(&["plan"]).expect(1);
    assert!(
        plan.out.contains("A-2/live") && plan.out.contains("/properties/phone/minLength"),
        "{}",
        plan.out
    );
    let apply = folder.run(&["apply", "--format", "json"]).expect(1).lines();
    assert_eq!(
        apply.iter().map(|row| row["result"].as_str().unwrap()).collect::<Vec<_>>(),
        ["right", "failed"]
    );
    let status = folder.run(&["status", "--format", "json"]).expect(1).lines();
    assert_eq!((status[0]["state"].as_str(), status[1]["state"].as_str()), (Some("right"), Some("problem")));
    assert!(status[1]["problem"].as_str().unwrap().contains("sites.csv:3, column \"phone\""));
    let check = folder.run(&["check"]).expect(1);
    assert!(
        check.err.contains("sites.csv:3, column \"phone\"") && check.err.contains("A-2/live"),
        "{}",
        check.err
    );

    // Fixed: all commands succeed again.
    folder.write("sites.csv", &CSV.replace(",2\n", ",22222\n"));
    folder.run(&["apply"]).expect(0);
    folder.run(&["status"]).expect(0);
    folder.run(&["check"]).expect(0);

    // The API is unreachable: plan and apply fail within the time limit.
    let folder = Folder::new(unreachable_api(), &desk("A-1"));
    assert!(folder.run(&["plan"]).expect(1).out.contains("cannot reach the API"));
    folder.run(&["apply", "--timeout", "1s"]).expect(1);
    // A usage error is a failure, not "changes".
    folder.run(&["plan", "--nonsense"]).expect(1);
    folder.run(&["--help"]).expect(0);
}

#[test]
fn a_held_revision_exits_with_3() {
    let api = Api::start();
    let settings = "\n[sources.m]\npath = \"m.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\non_drift = \"report\"\nvariables = { text = { source = \"m\", pointer = \"/text\" } }\n";
    let folder = Folder::new(&api.url, settings);
    folder.write("m.json", "{\"text\": \"one\"}");
    folder.run(&["apply"]).expect(0);
    api.edit("A-1", &json!({"text": "theirs"}));
    folder.run(&["plan"]).expect(0);
    folder.write("m.json", "{\"text\": \"two\"}");
    let plan = folder.run(&["plan", "--format", "json"]).expect(3).lines();
    assert_eq!((plan[0]["action"].as_str(), &plan[0]["from"]), (Some("hold"), &json!("theirs")));
    folder.run(&["apply"]).expect(3);
    assert_eq!(api.variables("A-1"), json!({"text": "theirs"}));
    assert!(folder.run(&["status"]).expect(1).out.contains("another client changed it"));
}

#[test]
fn every_kind_of_value_can_be_computed() {
    let settings = r#"
[sources.m]
path = "m.json"
[sources.closures]
path = "closures.csv"
[calendars.hols]
path = "hols.ics"
[hours.desk]
timezone = "Europe/London"
weekly = { mon-thu = "09:00-12:30, 13:30-17:30", fri = "09:00-16:00", sat = "22:00-02:00" }
special = { "2026-12-24" = "09:00-13:00" }
special_from = { source = "closures", date = "day", hours = "open", name = "why", match = { site = "leeds" } }
closed_on = ["hols"]
[[page]]
agent = "A-1"
environment = "live"
[page.variables]
constant = 8.50
list = ["a", 1]
table = { value = { a = 1 } }
pointer = { source = "m", pointer = "/deep/0/text" }
is_open = { hours = "desk", show = "is_open" }
is_closed = { hours = "desk", show = "is_closed" }
opens_at = { hours = "desk", show = "opens_at" }
closes_at = { hours = "desk", show = "closes_at", format = "HH:MM:SS" }
open_hour = { hours = "desk", show = "opens_at", format = "hour", otherwise = -1 }
next_open_at = { hours = "desk", show = "next_open_at" }
next_change_at = { hours = "desk", show = "next_change_at", format = "HH:MM" }
today = { hours = "desk", show = "today" }
week = { hours = "desk", show = "week" }
special = { hours = "desk", show = "special_dates", days = 12 }
is_today = { calendar = "hols", show = "is_today" }
name = { calendar = "hols", show = "name", otherwise = "none" }
next_date = { calendar = "hols", show = "next_date" }
only = { calendar = "hols", summary = "new year", show = "next_date" }
"/below/a" = { when = [
  { calendar = "hols", value = "holiday" },
  { hours = "desk", value = "open" },
  { cron = "0 3 * * *", for = "1h", value = "night" },
  { from = "2026-12-20", until = "2026-12-21T12:00", value = "window" },
], otherwise = { source = "m", pointer = "/deep/0/text" } }
"#;
    let folder = Folder::new(unreachable_api(), settings);
    folder.write("m.json", r#"{"deep": [{"text": "hello"}]}"#);
    folder.write(
        "closures.csv",
        "site,day,open,why\nleeds,2026-12-22,10:00-11:00,Training\nyork,2026-12-21,closed,Other\n",
    );
    folder.write("hols.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nSUMMARY:Christmas Day\nEND:VEVENT\nBEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY\nSUMMARY:New Year's Day\nEND:VEVENT\nEND:VCALENDAR\n");
    let values = |at: &str| {
        let rows = folder.run(&["preview", "--format", "json", "--from", at, "--to", at]).expect(0).lines();
        let pair = |row: &Value| (row["variable"].as_str().unwrap().to_owned(), row["to"].clone());
        rows.iter().map(pair).collect::<serde_json::Map<String, Value>>()
    };
    let monday = values("2026-12-21T10:00:00Z");
    for (variable, expected) in [
        ("constant", serde_json::from_str("8.50").unwrap()),
        ("list", json!(["a", 1])),
        ("table", json!({"a": 1})),
        ("pointer", json!("hello")),
        ("is_open", json!(true)),
        ("is_closed", json!(false)),
        ("opens_at", json!("09:00")),
        ("closes_at", json!("12:30:00")),
        ("open_hour", json!(9)),
        ("next_open_at", json!("2026-12-21T13:30:00+00:00")),
        ("next_change_at", json!("12:30")),
        ("today", json!("09:00-12:30, 13:30-17:30")),
        (
            "week",
            json!({
                "monday": "09:00-12:30, 13:30-17:30", "tuesday": "10:00-11:00", "wednesday": "09:00-12:30, 13:30-17:30",
                "thursday": "09:00-13:00", "friday": "closed", "saturday": "22:00-02:00", "sunday": "closed"
            }),
        ),
        (
            "special",
            json!([
                {"date": "2026-12-22", "hours": "10:00-11:00", "special_date_name": "Training"},
                {"date": "2026-12-24", "hours": "09:00-13:00"},
                {"date": "2026-12-25", "hours": "closed", "special_date_name": "Christmas Day"},
                {"date": "2027-01-01", "hours": "closed", "special_date_name": "New Year's Day"}
            ]),
        ),
        ("is_today", json!(false)),
        ("name", json!("none")),
        ("next_date", json!("2026-12-25")),
        ("only", json!("2027-01-01")),
        ("/below/a", json!("open")),
    ] {
        assert_eq!(monday[variable], expected, "{variable}");
    }
    let christmas = values("2026-12-25T10:00:00Z");
    for (variable, expected) in [
        ("is_open", json!(false)),
        ("opens_at", json!(null)),
        ("open_hour", json!(-1)),
        ("next_open_at", json!("2026-12-26T22:00:00+00:00")),
        ("today", json!("closed")),
        ("is_today", json!(true)),
        ("name", json!("Christmas Day")),
        ("/below/a", json!("holiday")),
    ] {
        assert_eq!(christmas[variable], expected, "{variable}");
    }
    // Past midnight the current interval belongs to the previous day.
    let night = values("2026-12-27T01:00:00Z");
    assert_eq!(
        (&night["opens_at"], &night["closes_at"], &night["is_open"]),
        (&json!("22:00"), &json!("02:00:00"), &json!(true))
    );
    for (at, expected) in [
        ("2026-12-23T03:30:00Z", "night"),
        ("2026-12-20T08:00:00Z", "window"),
        ("2026-12-20T23:59:59Z", "window"),
        ("2026-12-19T20:00:00Z", "hello"),
        ("2026-12-22T20:00:00Z", "hello"),
    ] {
        assert_eq!(values(at)["/below/a"], json!(expected), "{at}");
    }
    // Times that whole hours cannot express are refused, not rounded.
    let at = ["--from", "2026-12-21T13:00:00Z", "--to", "2026-12-21T13:00:00Z"];
    let ran = folder.run(&["preview", at[0], at[1], at[2], at[3]]).expect(1);
    assert!(ran.err.contains("open_hour") && ran.err.contains("13:30 is not a whole hour"), "{}", ran.err);
}

#[test]
fn explain_shows_value_origin_reason_and_duration() {
    let folder = Folder::new(unreachable_api(), &desk("A-1"));
    let at = "2026-11-26T12:00:00Z";
    let reported =
        folder.run(&["explain", "A-1/live", "is_open", "--at", at, "--format", "json"]).expect(0).lines();
    assert_eq!(reported[0]["value"], json!(true));
    assert_eq!(
        (reported[0]["since"].as_str(), reported[0]["until"].as_str()),
        (Some("2026-11-26T09:00:00Z"), Some("2026-11-26T17:00:00Z"))
    );
    assert!(reported[0]["because"].as_str().unwrap().contains("open 09:00-17:00 on Thu 2026-11-26"));
    assert_eq!(reported[0]["considered"].as_array().unwrap().len(), 3);
    let table = folder.run(&["explain", "A-1/live", "is_open", "--at", at]).expect(0).out;
    assert!(
        table.contains("until      Thu 2026-11-26 17:00:00 Europe/London (2026-11-26T17:00:00Z)"),
        "{table}"
    );
    let ran = folder.run(&["explain", "A-1/live", "colour"]).expect(1);
    assert!(ran.err.contains("does not own colour") && ran.err.contains("it owns: is_open"), "{}", ran.err);
}

#[test]
fn check_evaluates_400_days_so_that_christmas_fails_in_october() {
    let api = Api::start();
    // The schema accepts one interval a day and no close at midnight.
    let day = json!({"type": "string", "pattern": "^(closed|([01]\\d|2[0-3]):[0-5]\\d-([01]\\d|2[0-3]):[0-5]\\d)$"});
    api.schema("A-1", &json!({"properties": {"today": day}}));
    let settings = desk("A-1")
        .replace(
            "is_open = { hours = \"desk\", show = \"is_open\" }",
            "today = { hours = \"desk\", show = \"today\" }",
        )
        .replace("[[page]]", "special = { \"2026-12-24\" = \"09:00-12:00, 13:00-15:00\" }\n[[page]]");
    let folder = Folder::new(&api.url, &settings);
    let ran = folder.run(&["check", "--at", "2026-10-01T00:00:00Z"]).expect(1);
    assert!(ran.err.contains("A-1/live at Thu 2026-12-24 00:00:00 Europe/London"), "{}", ran.err);
    assert!(ran.err.contains("/properties/today/pattern"), "{}", ran.err);
    assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
    api.schema("A-1", &json!({"properties": {"today": day}, "required": ["fax"]}));
    let ran = folder.run(&["check", "--at", "2026-10-01T00:00:00Z", "--format", "json"]).expect(1);
    let severities: Vec<Value> = ran.lines().iter().map(|line| line["severity"].clone()).collect();
    assert_eq!(severities, ["error", "error", "warning"], "{}", ran.out);
    api.schema("A-1", &json!({"properties": {"today": day}}));
    folder.run(&["check", "--at", "2026-12-25T00:00:00Z"]).expect(0);
    folder.run(&["check", "--at", "2026-10-01T00:00:00Z", "--offline"]).expect(0);
}

#[test]
fn plan_and_check_respect_the_rate_limit() {
    let api = Api::start();
    let agents = "[sources.agents]\npath = \"agents.csv\"\nkey = \"agent\"\n[[page]]\nfor_each = \"agents\"\nagent = \"{{ row.agent }}\"\nenvironment = \"live\"\nvariables = { a = 1 }\n";
    let folder = Folder::new(&api.url, agents);
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &settings.replace("[api]\n", "[api]\nrate = 10\nburst = 2\n"));
    folder.write("agents.csv", "agent\nA-1\nA-2\nA-3\nA-4\nA-5\nA-6\nA-7\nA-8\n");
    for (command, code) in [("plan", 2), ("check", 0)] {
        let (start, before) = (std::time::Instant::now(), api.requests("GET").len());
        folder.run(&[command]).expect(code);
        let (asked, took) = (api.requests("GET").len() - before, start.elapsed().as_millis());
        assert!(asked >= 8 && took + 10 >= (asked as u128 - 2) * 100, "{command}: {asked} in {took} ms");
    }
}

#[test]
fn a_broken_pipe_or_a_missing_settings_file_does_not_panic() {
    let folder = Folder::new(unreachable_api(), &desk("A-1"));
    let ran = folder.run(&["--config", "nowhere.toml", "plan"]).expect(1);
    assert!(ran.err.contains("nowhere.toml") && ran.err.contains("--config FILE"), "{}", ran.err);
    let mut child =
        folder.command(&["preview", "--days", "400"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    // A closed pipe is deliberate, but a script must be able to detect lost data.
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// Regressions found in a review.
///
/// They cover named hours in two zones, templates in every value, joined intervals, and two tables
/// with equal blocks.
#[test]
fn named_hours_use_the_zone_of_each_page_and_templates_work_in_every_value() {
    let settings = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.second]
path = "second.csv"
key = "site"
[hours.desk]
weekly = "Fr 22:00-24:00; Sa 00:00-02:00"
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = "live"
timezone = "{{ row.zone }}"
[page.variables]
closes_at = { hours = "desk", show = "closes_at" }
text = { value = "Hi {{ row.site }}" }
list = ["{{ row.site }}", { a = "{{ row.agent }}" }]
never = { hours = "desk", show = "opens_at", otherwise = "{{ row.site }} is closed" }
[[page]]
for_each = "second"
agent = "{{ row.agent }}"
environment = "live"
variables = { x = "{{ row.zone }}" }
"#;
    let folder = Folder::new(unreachable_api(), &format!("timezone = \"Europe/London\"\n{settings}"));
    let text = std::fs::read_to_string(folder.path("rtconfd.toml"))
        .unwrap()
        .replace("timezone = \"Europe/London\"\n\n[sources", "\n[sources");
    folder.write("rtconfd.toml", &format!("timezone = \"Europe/London\"\n{text}"));
    folder.write("sites.csv", "site,agent,zone\na,A-1,Europe/London\nb,A-2,America/New_York\nbroken\n");
    folder.write("second.csv", "site,agent,zone\na,B-1,one\n");
    let value = |page: &str, variable: &str, at: &str| {
        let arguments =
            ["preview", page, "--variable", variable, "--format", "json", "--from", at, "--to", at];
        let ran = folder.run(&arguments).expect(1);
        assert!(ran.err.contains("sites.csv:4: 1 field, but the header has 3"), "{}", ran.err);
        ran.lines()[0]["to"].clone()
    };
    // Friday 23:00 in London and in New York: open until 02:00, across midnight.
    assert_eq!(value("A-1/live", "closes_at", "2026-11-27T23:00:00Z"), json!("02:00"));
    assert_eq!(value("A-2/live", "closes_at", "2026-11-28T04:00:00Z"), json!("02:00"));
    assert_eq!(value("A-1/live", "text", "2026-11-27T23:00:00Z"), json!("Hi a"));
    assert_eq!(value("A-2/live", "list", "2026-11-27T23:00:00Z"), json!(["b", {"a": "A-2"}]));
    assert_eq!(value("A-2/live", "never", "2026-11-23T12:00:00Z"), json!("b is closed"));
    assert_eq!(value("B-1/live", "x", "2026-11-23T12:00:00Z"), json!("one"));
}

#[test]
fn dated_exceptions_are_read_from_a_json_list_or_object() {
    let settings = |source: &str| {
        format!(
            "[sources.c]\npath = \"c.json\"\n[hours.desk]\ntimezone = \"Europe/London\"\nweekly = \"Mo-Su 09:00-17:00\"\nspecial_from = {{ source = \"c\"{source} }}\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ today = {{ hours = \"desk\", show = \"today\" }} }}\n"
        )
    };
    let today = |folder: &Folder, code: i32| {
        let at = "2026-12-24T08:00:00Z";
        let ran = folder.run(&["preview", "--format", "json", "--from", at, "--to", at]).expect(code);
        (ran.lines().first().map(|row| row["to"].clone()), ran.err)
    };
    let list =
        Folder::new(unreachable_api(), &settings(", pointer = \"/leeds\", date = \"day\", name = \"why\""));
    list.write(
        "c.json",
        r#"{"leeds": [{"day": "2026-12-24", "hours": "09:00-12:00", "why": "Christmas Eve"}]}"#,
    );
    assert_eq!(today(&list, 0).0, Some(json!("09:00-12:00")));
    let object = Folder::new(unreachable_api(), &settings(""));
    object.write("c.json", r#"{"2026-12-24": "closed"}"#);
    assert_eq!(today(&object, 0).0, Some(json!("closed")));
    object.write("c.json", "{\n  \"2026-12-24\": \"closd\"}");
    let (value, reported) = today(&object, 1);
    assert_eq!(value, None, "no value is computed from hours that cannot be read");
    assert!(reported.contains("c.json:2:17: invalid interval \"closd\""), "{reported}");
}
