//! Hostile input: files, schemas, answers and settings that cause endless work, memory use, file
//! access or connections. The limits count work, so no test measures time. The one timeout only
//! keeps a broken guard from hanging.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rtconfd::agents_api::{ApiError, Client, KeySource, ReadPages, Timeouts, read_page, read_pages};
use rtconfd::calendar::{Calendar, Window};
use rtconfd::compile::{Inputs, World};
use rtconfd::hours::{parse_day, parse_days, parse_week};
use rtconfd::model::{PageId, nearest};
use rtconfd::schema::{Schema, check};
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::sources::Files;
use rtconfd::tables::{Table, parse_csv, parse_json};
use rtconfd::zone::Database;
use serde_json::{Map, Value, json};

use crate::support::{Api, Driving, Folder, at, desk, until};

#[path = "../../fuzz/survive.rs"]
mod survive;

/// A timeout longer than any test here takes on the slowest machine.
const HANG: Duration = Duration::from_secs(60);

/// Runs work that must end by itself, on a stack as large as the daemon's threads have.
#[track_caller]
fn ends<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (report, reported) = std::sync::mpsc::channel();
    std::thread::Builder::new().stack_size(2 << 20).spawn(move || drop(report.send(run()))).unwrap();
    match reported.recv_timeout(HANG) {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// The failing cases of a table, collected so that one run shows every missing guard.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn expect(&mut self, holds: bool, case: impl std::fmt::Display) {
        if !holds {
            self.0.push(case.to_string().chars().take(500).collect());
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "{}", self.0.join("\n"));
    }
}

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

// Schemas.

/// Returns definitions that each refer to the next one twice.
fn doubling(count: usize, twice: impl Fn(Value) -> Value) -> Map<String, Value> {
    let next = |index: usize| json!({"$ref": format!("#/definitions/d{}", index + 1)});
    let mut definitions: Map<String, Value> =
        (0..count).map(|index| (format!("d{index}"), twice(next(index)))).collect();
    definitions.insert(format!("d{count}"), json!({"type": "integer"}));
    definitions
}

fn compiled(schema: &Value) -> Result<Schema, String> {
    let schema = schema.clone();
    ends("a schema", move || Schema::compile(Some(&schema)).map_err(|problem| problem.to_string()))
}

#[test]
fn a_schema_that_costs_too_much_is_refused_before_it_is_compiled() {
    let refer = |definitions: Map<String, Value>| json!({"definitions": definitions, "properties": {"x": {"$ref": "#/definitions/d0"}}});
    let chain = |length: usize| {
        let next = |index: usize| json!({"allOf": [{"$ref": format!("#/definitions/d{}", index + 1)}]});
        let mut links: Map<String, Value> =
            (0..length).map(|index| (format!("d{index}"), next(index))).collect();
        links.insert(format!("d{length}"), json!(true));
        refer(links)
    };
    let patterns: Map<String, Value> =
        (0..101).map(|index| (format!("p{index}"), json!({"pattern": format!("^{index}$")}))).collect();
    let cases = [
        (refer(doubling(31, |next| json!({"allOf": [next, next]}))), "multiply"),
        (refer(doubling(31, |next| json!({"anyOf": [next, {"not": next}]}))), "multiply"),
        (refer(doubling(31, |next| json!({"dependencies": {"a": next, "b": next}}))), "multiply"),
        (chain(5_000), "lead through"),
        (json!({"$ref": "#"}), "form a cycle"),
        (json!({"properties": {"x": {"allOf": [{"$ref": "#/properties/x"}]}}}), "form a cycle"),
        (json!({"enum": vec![0; 60_000]}), "60002 values"),
        (json!({"description": "x".repeat(2 << 20)}), "bytes of text"),
        (json!({"properties": patterns}), "101 different patterns"),
        (json!({"properties": {"a": {"$id": "b.json", "$ref": "c.json"}}}), "is not in it"),
        (json!({"$ref": "#/definitions/none"}), "is not in it"),
        (json!({"properties": {"x": {"pattern": "(a{1000}){1000}"}}}), "cannot be used"),
    ];
    let mut wrong = Wrong::default();
    for (schema, wanted) in cases {
        let reported = compiled(&schema).map_or_else(|reported| reported, |_| "taken".to_owned());
        let is_right = reported.contains(wanted) && reported.contains("hint:") && reported.len() < 1_000;
        wrong.expect(is_right, format!("{wanted}: {reported}"));
    }
}

#[test]
fn a_recursive_schema_is_accepted() {
    let tree = json!({"properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]});
    let tree = compiled(&tree).unwrap();
    assert!(tree.takes(&json!({"name": "a", "children": [{"name": "b"}]})));
    assert!(!tree.takes(&json!({"name": "a", "children": [{"name": "b", "children": [{}]}]})));
    let chained = |length: usize| {
        let next = |index: usize| json!({"allOf": [{"$ref": format!("#/definitions/d{}", index + 1)}]});
        let mut links: Map<String, Value> =
            (0..length).map(|index| (format!("d{index}"), next(index))).collect();
        links.insert(format!("d{length}"), json!({"type": "integer"}));
        json!({"definitions": links, "properties": {"x": {"$ref": "#/definitions/d0"}}})
    };
    // The maximum length, on the stack of a thread.
    let long = compiled(&chained(245)).unwrap();
    let (good, bad) = ends("a chain", move || (long.takes(&json!({"x": 1})), long.takes(&json!({"x": "1"}))));
    assert!(good && !bad);
    let named = json!({"$id": "https://x.example/s.json", "definitions": {"a b": {"type": "integer"}},
        "properties": {"x": {"$ref": "https://x.example/s.json#/definitions/a%20b"}}});
    assert!(!compiled(&named).unwrap().takes(&json!({"x": "text"})));
}

#[test]
fn a_page_that_multiplies_the_cost_of_a_schema_is_refused() {
    // Each level of the page doubles the work; the schema alone is small and legal.
    let again = json!({"properties": {"x": {"$ref": "#/definitions/a"}}});
    let schema = json!({"definitions": {"a": {"allOf": [again, again, again]}}, "$ref": "#/definitions/a"});
    let schema = Arc::new(compiled(&schema).unwrap());
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({"x": inner}));
    assert!(schema.takes(&nested(5)));
    let page = nested(60);
    let reported = ends("a page", move || {
        assert!(!schema.takes(&page));
        let variables = page.as_object().unwrap().clone();
        let page = Arc::new(rtconfd::model::RemotePage { variables, ..Default::default() });
        let desired = rtconfd::pages::Desired {
            page: "A-1/live".parse().unwrap(),
            values: Vec::new(),
            until: None,
            missing: Default::default(),
        };
        check(&desired, &page, &schema).unwrap_err()[0].to_string()
    });
    assert!(
        reported.contains("too large to check against its schema")
            && reported.contains("at most 500000 steps"),
        "{reported}"
    );
}

#[test]
fn a_schema_opens_no_connection_and_no_file() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Opening a pipe without a writer blocks forever.
    let pipe = folder.path().join("schema.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for reference in [
        format!("http://{host}/s.json"),
        format!("http://{host}/s.json#/definitions/a"),
        format!("//{host}/s.json"),
        format!("file://{}", pipe.display()),
        pipe.display().to_string(),
        "schema.json".to_owned(),
    ] {
        for schema in [
            json!({"$ref": reference}),
            json!({"properties": {"x": {"allOf": [{"$ref": reference}]}}}),
            json!({"definitions": {"unused": {"$ref": reference}}}),
        ] {
            let reported = compiled(&schema).map(|_| ()).unwrap_err();
            assert!(reported.contains("which is not in it"), "{reported}");
        }
        // `$id` and `$schema` cause no fetch either.
        let _ =
            compiled(&json!({"$schema": reference, "$id": reference, "properties": {"x": {"$ref": "#"}}}));
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody called");
}

#[test]
fn no_pattern_backtracks_without_bound() {
    let harmless = "a".repeat(20_000) + "!";
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(?!x)(a+)+$", "^(?=(a+)+$).*$", "(a*)*b", "^(?!x)(a|aa)+$"] {
        let schema = compiled(&json!({"properties": {"x": {"pattern": pattern}}})).unwrap();
        let page = json!({"x": harmless});
        assert!(!ends(pattern, move || schema.takes(&page)), "{pattern}");
    }
}

// Calendars.

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
    let mut wrong = Wrong::default();
    for (text, wanted) in [
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
        (events(1, "DTSTART:+2621420101T000000"), "invalid date or time"),
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
        let is_right = reported.starts_with("c.ics:") && reported.contains(wanted) && reported.len() < 1_000;
        wrong.expect(is_right, format!("{wanted}: {reported}"));
    }
}

#[test]
fn a_calendar_that_is_merely_large_is_read() {
    // Birthdays since 1900, a thousand of them, and ten thousand single days.
    let yearly = "UID:{}\nDTSTART;VALUE=DATE:19040229\nRRULE:FREQ=YEARLY";
    assert_eq!(expanded(events(1_000, yearly)), Ok(1_000), "no 29th of February but the first");
    let monthly = "UID:{}\nDTSTART;VALUE=DATE:19000131\nRRULE:FREQ=MONTHLY";
    assert_eq!(expanded(events(1_000, monthly)).map(|count| count > 14_000), Ok(true));
    assert_eq!(expanded(events(10_000, "UID:{}\nDTSTART;VALUE=DATE:20260704")), Ok(10_000));
}

// Tables.

#[test]
fn a_table_beyond_its_limits_is_refused_with_its_position() {
    let wide: String = (0..1_001).map(|index| format!("c{index},")).collect();
    let mut wrong = Wrong::default();
    let rows = |count: usize, row: &str| format!("k,a\n{}", row.repeat(count));
    for (text, wanted) in [
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
        let reported = ends(wanted, move || match parse_csv(&"t.csv".into(), &text, b',', Some("k")) {
            Ok(table) => format!("{} rows", table.rows.len()),
            Err(problem) => problem.to_string(),
        });
        wrong.expect(reported.contains(wanted), format!("{wanted}: {reported}"));
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
    let mut wrong = Wrong::default();
    for (text, wanted) in [
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
        let reported = ends(wanted, move || match parse_json(&"m.json".into(), &text) {
            Ok(_) => "taken".to_owned(),
            Err(problem) => problem.to_string(),
        });
        wrong.expect(reported.contains(wanted), format!("{wanted}: {reported}"));
    }
}

#[test]
fn blank_lines_count_towards_the_line_limit() {
    let blank = "k\n1\n".to_owned() + &"\n".repeat(1_000_000);
    let reported = rtconfd::tables::decode(&"t.csv".into(), blank.as_bytes()).unwrap_err().to_string();
    assert!(reported.contains("more than 1000000 lines"), "{reported}");
}

#[test]
fn hours_and_suggestions_have_a_length_limit() {
    let long = "Mo,".repeat(10_000);
    assert!(parse_days(&long).unwrap_err().message.contains("30000 bytes; the limit is 4096"));
    assert!(parse_day(&"09:00-10:00,".repeat(1_000)).is_err());
    let reported = parse_week(&"Mo 09:00-10:00;".repeat(1_000)).unwrap_err();
    assert!(reported.message.len() < 200, "the text is not told again");
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
        let wanted = format!("{name}: this is not a regular file (hint: put the file there");
        assert!(reported(name).starts_with(&wanted), "{}", reported(name));
    }
    assert!(
        reported("c.csv").starts_with("c.csv: the file is larger than 24 MiB (hint:"),
        "{}",
        reported("c.csv")
    );
}

// Settings.

fn load(name: &str, text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    ends("settings", move || {
        Settings::load(&file, &Surroundings::default()).map_err(|report| report.render(false))
    })
}

#[test]
fn settings_beyond_their_limits_are_refused() {
    let mut wrong = Wrong::default();
    let api = "[api]\nregion = \"uk\"\n";
    let page = "[[page]]\nagent=\"A\"\nenvironment=\"live\"\nvariables={x=1}\n";
    let keys = |count: usize| (0..count).map(|index| format!("k{index} = 1\n")).collect::<String>();
    let wrong_values = (0..900).map(|index| format!("x{index}={{}}")).collect::<Vec<_>>().join(",");
    let many = |what: &str| {
        (0..1_001).map(|index| format!("[{what}.n{index}]\npath = \"x.csv\"\n")).collect::<String>()
    };
    let public = |count: usize, code: &str, rest: &str| {
        let calendar = |index| format!("[calendars.n{index}]\npublic_holidays = \"{code}\"\n{rest}\n");
        format!("{api}{}{page}", (0..count).map(calendar).collect::<String>())
    };
    let no_holidays = format!("remove = [{}]", "\"2026-12-27\",".repeat(300));
    for (name, text, wanted) in [
        ("s.toml", public(1_000, "GB-ENG", ""), "more than 200 calendars have public holidays"),
        ("s.toml", public(200, &"x".repeat(50), ""), "and 100 more"),
        ("s.toml", public(200, "Untied Sttes of Americca", ""), "and 100 more"),
        ("s.toml", public(1, &"x".repeat(5_000), ""), "unknown public holiday region"),
        ("s.toml", public(200, "US-CA", &no_holidays), "more"),
        ("s.toml", format!("# {}\n", "x".repeat(2 << 20)), "more than 1048576 bytes"),
        ("s.toml", format!("a = [{}]", "1,".repeat(250_000)), "more than 200000 values"),
        ("s.toml", keys(10_001), "more than 10000 keys in one table"),
        ("s.toml", format!("{api}{}", page.repeat(5_001)), "may have at most 5000"),
        ("s.toml", format!("{api}{}{page}", many("sources")), "more than 1000 sources"),
        ("s.toml", format!("{api}{}{page}", many("calendars")), "more than 1000 calendars"),
        (
            "s.toml",
            format!("{api}{}[page.variables]\n{}", page.replace("variables={x=1}\n", ""), keys(1_001)),
            "the page owns 1001 variables",
        ),
        ("s.toml", format!("{api}{page}").replace("x=1", &wrong_values), "and 800 more"),
        ("s.toml", format!("a = {}", "[".repeat(100_000)), "this is not TOML"),
        ("s.toml", format!("a = {}", "{a=".repeat(50_000)), "this is not TOML"),
        ("s.toml", format!("{}a = 1", "a.".repeat(100_000)), "this is not TOML"),
        ("s.toml", format!("[{}a]\n", "a.".repeat(100_000)), "this is not TOML"),
        ("s.json", "[".repeat(100_000), "levels deep for its size"),
        ("s.toml", "9".repeat(400) + " = 1\n", "unknown key"),
        ("s.toml", format!("a = {}\n", "9".repeat(400)), "hint: write it in quotes if it is text"),
        ("s.toml", "a = nan\n".to_owned(), "JSON has no infinity and no NaN"),
        ("s.yaml", "a: &a [x,x]\nb: &b [*a,*a]\n".to_owned(), "unsupported format: settings in YAML"),
    ] {
        let reported = load(name, &text).map_or_else(|reported| reported, |_| "taken".to_owned());
        let is_right = reported.contains(wanted) && reported.len() < 50_000;
        wrong.expect(is_right, format!("{wanted}: {} bytes: {reported}", reported.len()));
    }
}

#[test]
fn a_missing_settings_file_is_not_searched_for_elsewhere() {
    let folder = Folder::new("http://127.0.0.1:9", &desk("A-1"));
    std::fs::create_dir_all(folder.path("deep/er")).unwrap();
    for file in ["deep/rtconfd.toml", "deep/er/rtconfd.toml"] {
        let report = Settings::load(&folder.path(file), &Surroundings::default()).unwrap_err();
        assert!(report.render(false).contains("cannot read the settings"), "{file}");
    }
}

#[test]
fn a_template_does_a_bounded_amount_of_work() {
    let rows = |text: &str, agent: &str| {
        let sites = "[sources.s]\npath = \"s.csv\"\nkey = \"k\"\n[[page]]\nfor_each = \"s\"\nenvironment = \"live\"\n";
        let settings = format!(
            "[api]\nregion = \"uk\"\n{sites}agent = \"A-1\"\nvariables = {{ x = {} }}\n",
            toml_text(text)
        );
        let settings = load("s.toml", &settings)?;
        let table =
            parse_csv(&"s.csv".into(), &format!("k,a\n{agent},{}\n", "z".repeat(9_000)), b',', Some("k"));
        let mut inputs = Inputs::default();
        inputs.tables.insert("s".to_owned(), Arc::new(Table::Rows(table.unwrap())));
        ends("a template", move || {
            let world = World::new(&settings.blueprint, &inputs, at("2026-11-23T12:00:00Z"), None);
            world.problems().next().map_or(Ok(()), |problem| Err(problem.to_string()))
        })
    };
    for good in ["{{ row.k }}", "*{{ row.k }}*", "{% if row.k == '*' %}x{% else %}{{ row.k }}{% endif %}"] {
        assert_eq!(rows(good, "1"), Ok(()), "{good}");
    }
    let mut wrong = Wrong::default();
    let doubling: String = (0..40).map(|_| "{% set a = a + a %}").collect();
    let nested = "{% for a in [[a, a]] %}".repeat(40);
    for (bad, wanted) in [
        ("{{ 'x' * 1000000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ [row.k] * 90000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ '}}' * 90000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ '\\é' * 90000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ row.k }}{{ 9 ** 99999 }}".to_owned(), "uses *, which is not supported"),
        ("{# {{ ' #}{{ [0] * 90000000 }}{# ' }} #}".to_owned(), "contains a comment"),
        ("{% raw %}{{ ' {% endraw %}{{ [0] * 90000000 }}{{ ' }}".to_owned(), "{% raw %}"),
        (format!("{{% if row.k %}}{doubling}{{{{ a }}}}{{% endif %}}"), "{% set %}"),
        (format!("{{%- with a = [0] %}}{doubling}{{{{ a }}}}{{% endwith %}}"), "{% with %}"),
        (nested, "{% for %}"),
        ("{%+ for i in range(1000000000) %}x{% endfor %}".to_owned(), "{% for %}"),
        ("{{ range(1000000000) }}".to_owned(), "fails"),
        (format!("{{{{ {}row.k{} }}}}", "(".repeat(1_000), "~ row.k)".repeat(300)), "fails"),
        ("{{ row.a }}".repeat(10), "more than 65536 bytes result"),
        ("{{ row.k }}".repeat(1_000), "the template has 11000 bytes"),
        ("{{ ".to_owned() + &"(".repeat(3_000), "fails"),
    ] {
        let reported = rows(&bad, "1").map_or_else(|reported| reported, |()| "filled in".to_owned());
        wrong.expect(reported.contains(wanted), format!("{wanted}: {reported}"));
    }
    // As deep as the length limit of a template allows.
    let _ = rows(&format!("{{{{ {}row.k }}}}", "not ".repeat(1_000)), "1");
}

#[test]
fn nested_each_makes_a_bounded_number_of_values() {
    let problems = |rows: usize, agents: usize| {
        let settings = load(
            "s.toml",
            r#"
[api]
region = "uk"
[sources.pages]
path = "pages.csv"
key = "k"
[sources.s]
path = "s.csv"
key = "k"
[[page]]
for_each = "pages"
agent = "{{ row.k }}"
environment = "live"
variables.x = { each = "s", item = { each = "s", item = 1 } }
"#,
        )
        .unwrap();
        let table = |file: &str, count: usize| {
            let text: String = (0..count).fold("k\n".to_owned(), |text, row| format!("{text}A{row}\n"));
            Arc::new(Table::Rows(parse_csv(&file.into(), &text, b',', Some("k")).unwrap()))
        };
        let mut inputs = Inputs::default();
        inputs.tables.insert("pages".to_owned(), table("pages.csv", agents));
        inputs.tables.insert("s".to_owned(), table("s.csv", rows));
        ends("each within each", move || {
            let world = World::new(&settings.blueprint, &inputs, at("2026-11-23T12:00:00Z"), None);
            world.problems().map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    let is_refused = |problems: &[String]| problems.iter().any(|problem| problem.contains("too many rows"));
    assert_eq!(problems(200, 2), Vec::<String>::new(), "200 + 200 * 200 on a page");
    assert!(is_refused(&problems(300, 1)), "on one page");
    assert!(is_refused(&problems(200, 15)), "on all pages");
}

fn toml_text(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn a_cron_pattern_without_a_date_is_refused_without_a_search() {
    let with = |pattern: &str| {
        let page = "[[page]]\nagent = \"A\"\nenvironment = \"live\"\ntimezone = \"UTC\"\n";
        load(
            "s.toml",
            &format!(
                "[api]\nregion = \"uk\"\n{page}variables = {{ x = {{ when = [{{ cron = \"{pattern}\", for = \"1h\", value = 1 }}], otherwise = 2 }} }}\n"
            ),
        )
    };
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"] {
        let reported = with(never).map(|_| ()).unwrap_err();
        assert!(reported.contains("matches no date"), "{reported}");
    }
    for rare in ["0 0 29 2 *", "0 0 31 12 *", "0 0 * * FRI#5", "*/7 * * * *", "0 0 L 2 *"] {
        with(rare).unwrap();
    }
    assert!(with(&"1,".repeat(50_000)).is_err());
}

// Answers.

const PAGE: &str = "A-1/live";

/// Answers one request with `answer` until the client disconnects, and returns the request.
fn serve(
    answer: impl Fn(&mut std::net::TcpStream) -> std::io::Result<()> + Send + 'static,
) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            asked.extend_from_slice(&buffer[..count]);
        }
        let _ = answer(&mut stream);
        String::from_utf8(asked).unwrap()
    });
    (url, serving)
}

async fn ask(url: &str, total: Duration) -> Result<(), ApiError> {
    let key = KeySource::find(None, |name| (name == "RTCONFD_API_KEY").then(|| "0123456".to_owned()));
    let timeouts = Timeouts { connect: Duration::from_secs(30), read: Duration::from_secs(30), total };
    let client = Client::new(url, key.unwrap().load().unwrap(), timeouts).unwrap();
    tokio::time::timeout(HANG, client.page(&PAGE.parse().unwrap()))
        .await
        .expect("no answer lasts for ever")
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_off() {
    let endless_body = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"10000\r\n")?;
            stream.write_all(&[b' '; 0x10000])?;
            stream.write_all(b"\r\n")?;
        }
    };
    let endless_headers = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"x-more: and more\r\n")?;
        }
    };
    let endless_header = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-more: ")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    };
    // A slow drip: each wait is short, but the whole answer takes long.
    let slow_drip = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
        loop {
            stream.write_all(b" ")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let (url, _) = serve(endless_body);
    assert!(ask(&url, HANG).await.unwrap_err().message.contains("larger than 8388608 bytes"));
    for (name, (url, _)) in [("headers", serve(endless_headers)), ("header", serve(endless_header))] {
        let error = ask(&url, HANG).await.unwrap_err();
        assert!(error.status.is_none() && error.message.contains("cannot reach the API"), "{name}: {error}");
    }
    let (url, _) = serve(slow_drip);
    let error = ask(&url, Duration::from_secs(1)).await.unwrap_err();
    assert!(error.message.contains("broke off") && error.status == Some(200), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_not_decompressed_and_a_key_of_digits_stays_text() {
    // A gzip header; decompressing could make the body a thousand times larger.
    let packed = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n")?;
        stream.write_all(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
    };
    let (url, asked) = serve(packed);
    let error = ask(&url, HANG).await.unwrap_err();
    assert!(error.message.contains("the API's answer is invalid: expected value"), "{error}");
    let asked = asked.join().unwrap().to_lowercase();
    assert!(!asked.contains("accept-encoding"), "{asked}");
    assert!(asked.contains("x-api-key: 0123456\r\n"), "{asked}");
}

#[test]
fn an_answer_beyond_its_limits_is_refused_before_it_is_parsed() {
    let page: PageId = "A-1/live".parse().unwrap();
    let pages = |count: usize| format!("{{\"configPages\":[{}{{}}]}}", "{},".repeat(count - 1));
    for (body, wanted) in [
        ("[".repeat(100_000), "nested 100000 levels deep, and at most 100"),
        (format!("{{\"variables\":{}1", "{\"a\":".repeat(101)), "at most 100 are read"),
        (format!("{{\"variables\":{{\"a\":[{}1]}}}}", "1,".repeat(300_000)), "at most 250000 are read"),
        (" ".repeat(9 << 20), "larger than 8388608 bytes"),
    ] {
        let page = page.clone();
        let read = ends(wanted, move || {
            (read_page(body.as_bytes(), &page).map(drop), read_pages(body.as_bytes(), "A-1").map(drop))
        });
        let reported = read.1.as_ref().unwrap_err();
        assert!(reported.contains(wanted), "{wanted}: {reported}");
        assert_eq!(read.0, read.1);
    }
    assert!(
        read_pages(pages(101).as_bytes(), "A-1").unwrap_err().contains("lists 101 pages, and at most 100")
    );
    assert!(read_pages(pages(100).as_bytes(), "A-1").is_ok());
    // Numbers that no double can hold pass through unchanged, since others own them.
    let body = br#"{"clientEnv": "live", "variables": {"a": 1e400, "b": 123456789012345678901234567890}}"#;
    let page = read_page(body, &page).unwrap();
    let schema =
        compiled(&json!({"properties": {"a": {"maximum": 5, "multipleOf": 0.1}, "b": {"type": "integer"}}}));
    assert!(!schema.unwrap().takes(&Value::Object(page.variables)));
}

/// A schema that needs endless work delays only its own page.
#[tokio::test]
async fn a_schema_check_that_never_ends_delays_no_other_page() {
    let api = Api::start();
    api.edit("A-1", &json!({"theirs": "a1".repeat(750_000)}));
    api.schema("A-1", &json!({"additionalProperties": {"pattern": "(?=.*[0-9])(?=.*[a-z]).{8,}x"}}));
    let folder = Folder::new(&api.url, crate::support::SITES);
    folder.without_rate();
    let rows = (1..=20).map(|n| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{n}\n"));
    folder.write("sites.csv", &format!("site,agent,hours,phone\n{}", rows.collect::<String>()));
    let clock = rtconfd::clock::ManualClock::new(at("2026-11-26T12:00:00Z"));
    let driving = Driving::start(&folder, &clock, rtconfd::reconcile::Mode::Daemon).await;
    for number in 2..=20 {
        api.until_variable(&format!("A-{number}"), "is_open", &json!(true)).await;
    }
    until("the one page is parked", || {
        let pages = folder.look().pages(&api.url).unwrap();
        let problem = pages.get(&"A-1/live".parse().unwrap()).and_then(|page| page.problem.clone());
        problem.is_some_and(|(text, _)| text.contains("too large to check against its schema"))
    })
    .await;
    driving.stop().await;
}
