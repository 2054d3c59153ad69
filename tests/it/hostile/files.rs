//! Source files beyond their limits: calendars, tables, documents, and files of other types.

use rtconfd::calendar::{Calendar, Window};
use rtconfd::hours::{parse_day, parse_days, parse_week};
use rtconfd::limits::files::MAX_LINES;
use rtconfd::model::nearest;
use rtconfd::sources::Files;
use rtconfd::tables::{parse_csv, parse_json};
use rtconfd::zone::Database;

use super::{Failures, ends};
use crate::support::{Folder, desk};

#[path = "../../../fuzz/survive.rs"]
mod survive;

#[test]
fn no_corpus_file_crashes_a_parser() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, survive) in survive::TARGETS {
        let mut files = 0;
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            ends(&path.display().to_string(), move || survive(&bytes));
            files += 1;
        }
        assert!(files > 0, "{target} has no corpus");
    }
}

fn expanded(text: String) -> Result<usize, String> {
    ends("a calendar", move || {
        let window = Window { from: "2026-01-01".parse().unwrap(), to: "2028-01-01".parse().unwrap() };
        let calendar = Calendar::parse(&"c.ics".into(), text.as_bytes(), &Database::embedded())
            .map_err(|all| all[0].to_string())?;
        calendar.occurrences(window).map(|found| found.len()).map_err(|problem| problem.to_string())
    })
}

/// Returns `count` events; `{}` in one becomes its number.
fn events(count: usize, properties: &str) -> String {
    let one = |index: usize| {
        format!("BEGIN:VEVENT\n{}\nEND:VEVENT\n", properties.replace("{}", &index.to_string()))
    };
    format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", (0..count).map(one).collect::<String>())
}

#[test]
fn a_calendar_bomb_is_refused_with_name_position_and_limit() {
    let rule = |rule: &str| format!("UID:{{}}\nDTSTART:19700101T000000\nRRULE:{rule}");
    let sixty: String = (0..60).map(|number| format!("{number},")).collect();
    let sixty = sixty.trim_end_matches(',');
    let dates =
        |key: &str, count: usize| format!("DTSTART:20260101\n{key}:{}20260101", "20260101,".repeat(count));
    let summary = format!("DTSTART:20260101\nRRULE:FREQ=DAILY\nSUMMARY:{}", "x".repeat(30_000));
    let changed = "UID:1\nDTSTART:20260101T090000\nRECURRENCE-ID:20260101T0900{}";
    let mut zone = "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Z\n".to_owned();
    zone.push_str(
        &"BEGIN:STANDARD\nDTSTART:19000101T000000\nRRULE:FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30\nTZOFFSETFROM:+0000\nTZOFFSETTO:+0000\nEND:STANDARD\n"
            .repeat(50),
    );
    zone.push_str("END:VTIMEZONE\nBEGIN:VEVENT\nDTSTART;TZID=Z:20260101T000000\nEND:VEVENT\nEND:VCALENDAR\n");
    let mut wrong = Failures::default();
    for (text, expected) in [
        (events(1, &rule("FREQ=SECONDLY")), "c.ics:5: RRULE: \"FREQ=SECONDLY\" repeats SECONDLY"),
        (events(1, &rule("FREQ=DAILY;COUNT=1000000000")), "COUNT that is out of range"),
        (events(1, &rule("FREQ=DAILY;INTERVAL=0")), "INTERVAL that is out of range"),
        (events(1, &rule("FREQ=MINUTELY")), "more than 60000 occurrences"),
        (events(1_000, &rule("FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30")), "take too many steps"),
        (events(1_000, &rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")), "take too many steps"),
        (events(1_000, &rule("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30")), "take too many steps"),
        (events(1_000, &rule("FREQ=DAILY;COUNT=60000")), "take too many steps"),
        (events(1_000, &rule("FREQ=HOURLY")), "more than 100000 occurrences"),
        (events(1, &rule(&format!("FREQ=YEARLY;BYHOUR=0;BYMINUTE={sixty};BYSECOND={sixty}"))), "times a day"),
        (events(1, &rule(&format!("FREQ=HOURLY;BYMINUTE={sixty}"))), "times a day"),
        (
            events(1, &rule(&format!("FREQ=YEARLY;BYMONTHDAY={}1", "1,".repeat(2_000)))),
            "BYMONTHDAY that is out",
        ),
        (events(1, &rule(&format!("FREQ=YEARLY;BYDAY={}MO", "MO,".repeat(2_000)))), "BYDAY that is out"),
        (events(1, &dates("EXDATE", 10_000)), "EXDATE: lists more than 10000 values"),
        (events(1, &dates("RDATE", 10_000)), "RDATE: lists more than 10000 values"),
        (events(2, &summary), "bytes of text"),
        (
            events(600, "UID:{}\nDTSTART:20200101\nDURATION:P3660D"),
            "all-day events on more than 200000 dates",
        ),
        (events(1, "DTSTART:20260101\nDURATION:P99999999999999999999W"), "DURATION:"),
        (events(1, "DTSTART:20260101T090000\nDURATION:PT9223372036854775807S"), "DURATION:"),
        (events(1, "DTSTART:+2621420101T000000"), "is not a date or time"),
        (events(1_001, &changed.replace("{}", "00")), "more than 1000 instances"),
        (events(10_001, "DTSTART:20260101"), "more than 10000 events"),
        (
            events(1, &format!("DTSTART:20260101\nCATEGORIES:{}", ",".repeat(1_000))),
            "more than 100 categories",
        ),
        (
            events(1, &format!("DTSTART:20260101\nX{}:1", ";A=1".repeat(1_000)).replace("X;", "DTEND;")),
            "more than 50 parameters",
        ),
        (
            events(1, &format!("DTSTART:20260101\nEXDATE:x{}", "\n x".repeat(2 << 20))),
            "more than 1048576 bytes",
        ),
        (format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", "X:1\n".repeat(200_000)), "more than 200000 lines"),
        ("\n".repeat(9 << 20), "the calendar has 9437184 bytes"),
        ("BEGIN:VEVENT\n".repeat(100_000), "c.ics:9: BEGIN: components are nested too deeply"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nEND:VEVENT\n".to_owned(), "never ends"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:2026".to_owned(), "never ends"),
        (zone, "take too many steps"),
    ] {
        let reported =
            expanded(text).map_or_else(|reported| reported, |count| format!("{count} occurrences"));
        let is_right =
            reported.starts_with("c.ics:") && reported.contains(expected) && reported.len() < 1_000;
        wrong.expect(is_right, format!("{expected}: {reported}"));
    }
}

#[test]
fn a_calendar_that_is_merely_large_is_read() {
    // A thousand yearly and a thousand monthly events since about 1900, and ten thousand single days.
    let yearly = "UID:{}\nDTSTART;VALUE=DATE:19040229\nRRULE:FREQ=YEARLY";
    assert_eq!(
        expanded(events(1_000, yearly)),
        Ok(1_000),
        "only DTSTART, as neither 2026 nor 2027 has a 29 February"
    );
    let monthly = "UID:{}\nDTSTART;VALUE=DATE:19000131\nRRULE:FREQ=MONTHLY";
    assert_eq!(expanded(events(1_000, monthly)).map(|count| count > 14_000), Ok(true));
    assert_eq!(expanded(events(10_000, "UID:{}\nDTSTART;VALUE=DATE:20260704")), Ok(10_000));
}

#[test]
fn a_table_beyond_its_limits_is_refused_with_its_position() {
    let wide: String = (0..1_001).map(|index| format!("c{index},")).collect();
    let mut wrong = Failures::default();
    let rows = |count: usize, row: &str| format!("k,a\n{}", row.repeat(count));
    for (text, expected) in [
        (wide, "t.csv:1:"),
        (format!("k,{}\n1,2\n", "n".repeat(300)), "name has more than 256 bytes"),
        (format!("k,a\n1,{}\n", "x".repeat(70_000)), "t.csv:2:3: a cell has more than 65536 bytes"),
        (format!("k,a\n1,\"{}", "x\n".repeat(70_000)), "t.csv:2:3: a cell has more than 65536 bytes"),
        (rows(200_002, "1,2\n"), "more than 200000 rows"),
        (format!("k,a\n1{}", ",".repeat(2_100_000)), "2000000 cells"),
        (format!("k,a\n1{}\n", ",".repeat(2_000)), "a row has more than 1000 fields"),
        (rows(10_001, "1\n"), "more than 10000 rows are bad"),
        ("k,a\n1,\"cut".to_owned(), "t.csv:2:3: the quote that opens here is never closed"),
        ("k,a\n1,\"cut\"\"".to_owned(), "never closed"),
    ] {
        let reported = ends(expected, move || match parse_csv(&"t.csv".into(), &text, b',', Some("k")) {
            Ok(table) => format!("{} rows", table.rows.len()),
            Err(problem) => problem.to_string(),
        });
        wrong.expect(reported.contains(expected), format!("{expected}: {reported}"));
    }
    // Truncated in an unquoted field: only the short row is rejected.
    let cut = parse_csv(&"t.csv".into(), "k,a,b\n1,x,y\n2,x", b',', Some("k")).unwrap();
    assert!(cut.row("1").is_some() && cut.row("2").is_none() && cut.may_hide("2"));
    // Quoted commas do not separate cells.
    let quoted =
        format!("k,a\n{}", (0..5_000).map(|i| format!("{i},\"{}\"\n", ",".repeat(500))).collect::<String>());
    assert!(parse_csv(&"t.csv".into(), &quoted, b',', Some("k")).is_ok());
}

#[test]
fn a_document_beyond_its_limits_is_refused_with_its_position() {
    let mut wrong = Failures::default();
    for (text, expected) in [
        ("[".repeat(100_000), "m.json:1:"),
        (format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "m.json:1:"),
        ("{\"a\":".repeat(100_000), "m.json:1:"),
        (format!("[{}1]", "1,".repeat(300_000)), "it holds 300002 values"),
        (
            format!("{}\"{}\"{}", "[".repeat(100), "x".repeat(3 << 20), "]".repeat(100)),
            "levels deep for its size",
        ),
        (r#"{"a": 1, "\u0061": 2}"#.to_owned(), "m.json:1:10: duplicate key \"a\""),
        ("[1e400]".to_owned(), "m.json:1:2: the number 1e400… is too long or too large"),
        ("[-1e999999999]".to_owned(), "is too long or too large"),
        (format!("[{}]", "9".repeat(400)), "is too long or too large"),
        (format!("[0.{}]", "1".repeat(400)), "is too long or too large"),
        ("{\"a\": 1".to_owned(), "this is not JSON"),
    ] {
        let reported = ends(expected, move || match parse_json(&"m.json".into(), &text) {
            Ok(_) => "taken".to_owned(),
            Err(problem) => problem.to_string(),
        });
        wrong.expect(reported.contains(expected), format!("{expected}: {reported}"));
    }
}

#[test]
fn blank_lines_count_towards_the_line_limit() {
    let blank = "k\n1\n".to_owned() + &"\n".repeat(1_000_000);
    let reported =
        rtconfd::tables::decode(&"t.csv".into(), blank.as_bytes(), MAX_LINES).unwrap_err().to_string();
    assert!(reported.contains("more than 1000000 lines"), "{reported}");
}

#[test]
fn hours_and_suggestions_have_a_length_limit() {
    let long = "Mo,".repeat(10_000);
    assert!(parse_days(&long).unwrap_err().message.contains("30000 bytes; the limit is 4096"));
    assert!(parse_day(&"09:00-10:00,".repeat(1_000)).is_err());
    let reported = parse_week(&"Mo 09:00-10:00;".repeat(1_000)).unwrap_err();
    assert!(reported.message.len() < 200, "the text is not repeated");
    // Hours without a day are missing, and missing never means closed.
    for nothing in ["", " ", ";", " ; ;\t"] {
        assert!(parse_week(nothing).unwrap_err().message.contains("weekly hours are empty"), "{nothing:?}");
    }
    assert_eq!(nearest(&"timezone".repeat(100_000), ["timezone"]), None);
    assert_eq!(nearest("timezne", ["timezone"]), Some("timezone"));
}

#[test]
fn a_source_that_is_not_a_regular_file_or_too_large_is_not_read() {
    let sources =
        "[sources.a]\npath = \"a.csv\"\n[sources.b]\npath = \"b.csv\"\n[sources.c]\npath = \"c.csv\"\n";
    let folder = Folder::new("http://127.0.0.1:9", &(sources.to_owned() + &desk("A-1")));
    assert!(std::process::Command::new("mkfifo").arg(folder.path("a.csv")).status().unwrap().success());
    // Opening it would never end.
    std::os::unix::fs::symlink("/dev/zero", folder.path("b.csv")).unwrap();
    // A sparse file takes no disk space.
    std::fs::File::create(folder.path("c.csv")).unwrap().set_len(1 << 40).unwrap();
    let settings = folder.load();
    let problems = ends("reading files", move || {
        let mut files = Files::new(&settings);
        files.settle();
        files.revision().problems
    });
    let reported = |name: &str| problems[name][0].to_string();
    for name in ["a.csv", "b.csv"] {
        let expected = format!("{name}: this is not a regular file (hint: put the file there");
        assert!(reported(name).starts_with(&expected), "{}", reported(name));
    }
    assert!(
        reported("c.csv").starts_with("c.csv: the file is larger than 24 MiB (hint:"),
        "{}",
        reported("c.csv")
    );
}
