//! The lists of `status`, `preview`, `history` and `calendar`, as transcripts.

use serde_json::{Value, json};

use crate::commands::unreachable_api;
use crate::support::{Api, Folder, NO_HOLD, Ran, SITES, desk};

#[test]
fn status_of_many_pages_is_a_summary_and_the_pages_with_a_problem() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("{NO_HOLD}{SITES}"));
    let rows = |hours: &str| -> String {
        let row = |number: usize| format!("s{number},A-{number},{hours},{number}\n");
        format!("site,agent,hours,phone\n{}", (0..21).map(row).collect::<String>())
    };
    folder.write("sites.csv", &rows("Mo-Su 00:00-24:00"));
    folder.run(&["apply"]).expect(0);
    folder.write("sites.csv", &rows("Mo-Su 00:00-24:00").replacen("00:00", "99:00", 1));
    let listed = |arguments: &[&str]| {
        let status = folder.run(&[&["status"], arguments].concat());
        let lines = status.out.lines().filter(|line| line.starts_with("A-"));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let status = folder.run(&["status"]).out;
    assert!(
        status.starts_with("rtconfd is not running.\n21 page(s): 20 right, 1 with a problem.\n"),
        "{status}"
    );
    assert_eq!(listed(&[]), ["A-0/live"]);
    assert_eq!(listed(&["--problems"]), ["A-0/live"]);
    assert_eq!(listed(&["--all"]).len(), 21);
    assert_eq!(listed(&["--site", "s3", "--site", "s0"]), ["A-0/live", "A-3/live"]);
    assert_eq!(listed(&["--site", "s3", "--problems"]), [""; 0]);
    let unknown = folder.run(&["status", "--site", "s33"]).expect(1).err;
    assert!(unknown.contains("no page is made for a row with the key \"s33\""), "{unknown}");
}

#[test]
fn preview_shows_the_value_at_the_start_and_then_each_change() {
    let folder = Folder::new(unreachable_api(), &desk("A-1"));
    let rows = folder
        .run(&[
            "preview",
            "--format",
            "json",
            "--from",
            "2026-03-27T12:00:00Z",
            "--to",
            "2026-03-30T12:00:00Z",
        ])
        .expect(0)
        .lines();
    let reported: Vec<(&str, &Value, &Value)> =
        rows.iter().map(|row| (row["at"].as_str().unwrap(), &row["from"], &row["to"])).collect();
    // The clock goes forward on Sunday: Monday's nine is eight in UTC.
    assert_eq!(
        reported,
        [
            ("2026-03-27T12:00:00Z", &Value::Null, &json!(true)),
            ("2026-03-27T17:00:00Z", &json!(true), &json!(false)),
            ("2026-03-30T08:00:00Z", &json!(false), &json!(true)),
        ]
    );
    assert_eq!(
        rows[1].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["page", "variable", "at", "from", "to", "because"]
    );
    let table =
        folder.run(&["preview", "A-1/live", "--at", "2026-03-30T00:00:00Z", "--days", "1"]).expect(0).out;
    assert!(table.contains("Mon 2026-03-30 09:00:00 Europe/London "), "{table}");
    let day = ["preview", "A-1/live", "--utc", "--at", "2026-03-30T00:00:00Z", "--days", "1"];
    let table = folder.run(&day).expect(0).out;
    assert!(table.contains("Mon 2026-03-30 08:00:00 UTC "), "{table}");
    let unknown = folder.run(&["preview", "A-9/live"]).expect(1);
    assert!(
        unknown.err.contains("unknown page A-9/live") && unknown.err.contains("A-1/live"),
        "{}",
        unknown.err
    );
}

#[test]
fn calendar_prints_events_in_the_window_with_all_day_events_first() {
    let folder = Folder::new(unreachable_api(), "");
    folder.write("c.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;TZID=Europe/London:20261224T100000\nDTEND;TZID=Europe/London:20261224T113000\nRRULE:FREQ=DAILY;COUNT=3\nSUMMARY:Standup\nEND:VEVENT\nBEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20261220\nDTEND;VALUE=DATE:20261225\nSUMMARY:Week\nEND:VEVENT\nBEGIN:VEVENT\nUID:3\nDTSTART;VALUE=DATE:20261224\nSTATUS:CANCELLED\nSUMMARY:No\nEND:VEVENT\nBEGIN:VEVENT\nUID:4\nDTSTART:20261224T000000\nSUMMARY:Midnight\nEND:VEVENT\nEND:VCALENDAR\n");
    let window = ["--timezone", "America/New_York", "--from", "2026-12-24", "--to", "2026-12-26"];
    let rows =
        folder.run(&[&["calendar", "c.ics", "--format", "json"], &window[..]].concat()).expect(0).lines();
    assert_eq!(
        rows,
        [
            json!({"start": "2026-12-20", "end": "2026-12-25", "all_day": true, "summary": "Week"}),
            json!({"start": "2026-12-24T05:00:00Z", "end": "2026-12-24T05:00:00Z", "all_day": false, "summary": "Midnight"}),
            json!({"start": "2026-12-24T10:00:00Z", "end": "2026-12-24T11:30:00Z", "all_day": false, "summary": "Standup"}),
            json!({"start": "2026-12-25T10:00:00Z", "end": "2026-12-25T11:30:00Z", "all_day": false, "summary": "Standup"}),
        ]
    );
    folder.write("c.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:nonsense\n");
    let ran = folder.run(&[&["calendar", "c.ics"], &window[..]].concat()).expect(1);
    assert!(ran.err.starts_with("error: c.ics:1: the VCALENDAR that begins here never ends"), "{}", ran.err);
}

#[test]
fn history_shows_actor_time_change_reason_and_correlation_id() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.run(&["apply"]).expect(0);
    let rows = folder.run(&["history", "--format", "json"]).expect(0).lines();
    assert_eq!(rows.len(), 1);
    let row = rows[0].as_object().unwrap();
    assert_eq!(
        row.keys().collect::<Vec<_>>(),
        [
            "at",
            "who",
            "page",
            "variable",
            "from",
            "to",
            "because",
            "outcome",
            "correlation_id",
            "error",
            "tries"
        ]
    );
    assert_eq!(row["who"], json!("apply as tester"));
    assert_eq!(row["correlation_id"], json!(api.requests("PATCH")[0].correlation_id));
    assert!(row["because"].as_str().unwrap().contains("hours \"desk\""));
    let table = folder.run(&["history", "A-1/live"]).expect(0).out;
    assert!(table.contains("apply as tester") && table.contains("applied"), "{table}");
}

/// Our own reader reads it back.
#[test]
fn a_preview_as_a_calendar_has_an_event_for_each_open_period() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let window = ["--from", "2026-11-26T12:00:00Z", "--to", "2026-11-28T00:00:00Z"];
    let ics = folder.run(&[&["preview", "--format", "ics"][..], &window].concat()).expect(0).out;
    folder.write("open.ics", &ics);
    let dates = ["--timezone", "Europe/London", "--from", "2026-11-26", "--to", "2026-11-28"];
    let read = folder.run(&[&["calendar", "open.ics", "--format", "json"][..], &dates].concat());
    let period = |start: &str, end: &str| json!({"start": start, "end": end, "all_day": false, "summary": "is_open (A-1/live)"});
    assert_eq!(
        read.expect(0).lines(),
        [
            period("2026-11-26T12:00:00Z", "2026-11-26T17:00:00Z"),
            period("2026-11-27T09:00:00Z", "2026-11-27T17:00:00Z"),
        ]
    );
    assert!(ics.lines().all(|line| line.len() <= 75), "{ics}");
}

fn narrow(folder: &Folder, width: usize, arguments: &[&str]) -> Ran {
    Ran::new(folder.command(arguments).env("COLUMNS", width.to_string()).output().unwrap())
}

#[test]
fn tables_fit_a_narrow_terminal_and_pipes_have_no_width() {
    let folder = Folder::new(unreachable_api(), &desk("A-1"));
    let day = ["preview", "--at", "2026-03-30T00:00:00Z", "--days", "1"];
    let wide = folder.run(&day).expect(0).out;
    assert!(wide.lines().all(|line| line.contains("A-1/live") || line.starts_with("AT ")), "{wide}");
    let wrapped = narrow(&folder, 80, &day).expect(0);
    assert!(wrapped.out.lines().all(|line| line.chars().count() <= 80), "{}", wrapped.out);
    assert!(wrapped.out.lines().count() > wide.lines().count() && !wrapped.err.contains("left out"));
    let cut = narrow(&folder, 55, &day).expect(0);
    assert!(cut.out.lines().all(|line| line.chars().count() <= 55), "{}", cut.out);
    assert!(cut.err.contains("left out on this narrow terminal: BECAUSE"), "{}", cut.err);
}

#[test]
fn two_long_values_that_differ_late_look_different() {
    let start = "x".repeat(300);
    let settings = format!(
        "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\ntimezone = \"UTC\"\nvariables = {{ a = {{ when = [{{ from = \"2026-03-30\", until = \"2026-03-31\", value = \"{start}yes\" }}], otherwise = \"{start}no\" }} }}\n"
    );
    let folder = Folder::new(unreachable_api(), &settings);
    let table = folder.run(&["preview", "--at", "2026-03-29T12:00:00Z", "--days", "3"]).expect(0).out;
    let change = table.lines().find(|line| line.starts_with("Mon 2026-03-30")).unwrap();
    assert!(change.contains("xno\"") && change.contains("xyes\""), "{change}");
}

/// A command that could not write its data must not look like a success.
#[test]
fn a_full_disk_and_a_closed_pipe_are_errors_of_every_command() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.run(&["apply"]).expect(0);
    folder.write("c.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261220\nSUMMARY:Week\nEND:VEVENT\nEND:VCALENDAR\n");
    folder.write("schema.json", "{\"properties\": {\"is_open\": {\"type\": \"boolean\"}}}");
    let set = ["override", "set", "A-1/live", "--closed", "--until-released", "--reason", "snow"];
    for arguments in [
        &["apply"][..],
        &["check"],
        &["explain", "A-1/live", "is_open"],
        &["preview"],
        &["preview", "--format", "ics"],
        &["status"],
        &["status", "--format", "json"],
        &["history"],
        &set,
        &["plan"],
        &["override", "list"],
        &["override", "clear", "1"],
        &["calendar", "c.ics", "--timezone", "UTC", "--from", "2026-12-01", "--to", "2027-01-01"],
        &["agents"],
        &["schema", "diff", "A-1/live", "./schema.json"],
        &["pull", "A-1/live", "--into", "pulled"],
        &["demo", "--listen", "127.0.0.1:0"],
        &["simulator", "--api-key", "k", "--listen", "127.0.0.1:0"],
        &["--version"],
        &["--help"],
        &["help", "preview"],
    ] {
        if arguments == ["plan"] {
            api.edit("A-1", &json!({"is_open": "other"}));
        }
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Ran::new(folder.command(arguments).stdout(full).output().unwrap());
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("No space left on device"), "{arguments:?}: {}", ran.err);
    }
    for arguments in [&["status"][..], &["check"], &["--help"], &["--version"], &["history"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::new(folder.command(arguments).stdout(writer).output().unwrap());
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.err);
    }
}
