//! Files exported by spreadsheets, web pages and public services. Each is read, or refused with a
//! hint that names its kind.

use rtconfd::settings::{Settings, Surroundings};
use serde_json::json;

use crate::support::{Api, Folder, Ran, desk};

const NOON: &str = "2026-12-21T12:00:00Z";

/// Creates a folder with a page that shows hours.
///
/// `rest` holds the settings of hours and sources.
fn folder(rest: &str) -> Folder {
    Folder::new(
        "http://127.0.0.1:9",
        &format!(
            "{rest}\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ is_open = {{ hours = \"desk\", show = \"is_open\" }} }}\n"
        ),
    )
}

fn open_at(folder: &Folder, at: &str) -> Ran {
    folder.run(&["explain", "A-1/live", "is_open", "--at", at, "--format", "json"])
}

#[track_caller]
fn is_open(folder: &Folder, at: &str) -> bool {
    let ran = open_at(folder, at).expect(0);
    ran.lines()[0]["value"].as_bool().unwrap_or_else(|| panic!("{}", ran.err))
}

#[test]
fn hours_in_web_and_spreadsheet_notation_are_read() {
    for weekly in [
        "Mo-Fr 09:00\u{2011}17:00",
        "Mo\u{2013}Fr\u{A0}09:00\u{2009}\u{2014}\u{2009}17:00",
        "Mo-Fr 09:00:00-17:00:00",
        "Mo-Fr 9:00:00 \u{2212} 17:00",
        "Mo-Fr 09:00-23:59:59",
        "Mo-Fr 09\u{FF1A}00-17\u{FF1A}00",
    ] {
        let folder = folder(&format!("[hours.desk]\ntimezone = \"UTC\"\nweekly = \"{weekly}\"\n"));
        assert!(is_open(&folder, NOON) && !is_open(&folder, "2026-12-21T08:59:59Z"), "{weekly}");
    }
    let seconds = folder("[hours.desk]\ntimezone = \"UTC\"\nweekly = \"Mo-Fr 09:00:30-17:00\"\n");
    assert!(open_at(&seconds, NOON).expect(1).err.contains("\"09:00:30\" is not a time"));
}

#[test]
fn a_table_exported_by_a_spreadsheet_is_read() {
    let settings = "[sources.c]\npath = \"c.csv\"\n[hours.desk]\ntimezone = \"UTC\"\nweekly = \"Mo-Fr 09:00-17:00\"\nspecial_from = { source = \"c\" }\n";
    for text in [
        "date,hours\n2026-12-21,closed\n,\n,\n",
        "date,hours,,\n2026-12-21,closed,,\n,,,\n",
        "sep=,\ndate,hours\n2026-12-21,closed\n",
        "sep=;\ndate;hours\n2026-12-21;closed\n",
        "date,hours\n2026\u{2011}12\u{2011}21,\u{A0}closed\n",
        "\u{FEFF}date,hours\r\n2026-12-21,closed\r\n",
    ] {
        let folder = folder(settings);
        folder.write("c.csv", text);
        assert!(!is_open(&folder, NOON), "{text:?}");
        assert!(is_open(&folder, "2026-12-22T12:00:00Z"), "{text:?}");
    }
}

#[test]
fn a_file_of_another_format_is_identified_with_a_hint() {
    let calendar = "[calendars.c]\npath = \"c.ics\"\n[hours.desk]\ntimezone = \"UTC\"\nweekly = \"24/7\"\nclosed_on = [\"c\"]\n";
    let table = "[sources.c]\npath = \"c.csv\"\n[hours.desk]\ntimezone = \"UTC\"\nweekly = \"24/7\"\nspecial_from = { source = \"c\" }\n";
    let json = table.replace("c.csv", "c.json");
    for (settings, name) in [(calendar, "c.ics"), (table, "c.csv"), (&json, "c.json")] {
        for (bytes, reported, hint) in [
            (
                &b"PK\x03\x04\x14\x00\x06\x00"[..],
                "this file is an Excel or OpenDocument workbook",
                "save the sheet as CSV",
            ),
            (b"\xD0\xCF\x11\xE0\xA1\xB1", "this file is an old Excel workbook", "save the sheet as CSV"),
            (
                b"\n<!DOCTYPE html><title>Sign in</title>",
                "this file is a web page",
                "download the file itself",
            ),
            (b"<HTML lang=en>", "this file is a web page", "download the file itself"),
            (b"%PDF-1.7", "this file is a PDF", "export the table as CSV"),
        ] {
            let folder = folder(settings);
            std::fs::write(folder.path(name), bytes).unwrap();
            let err = open_at(&folder, NOON).expect(1).err;
            assert!(err.contains(&format!("{name}:1: {reported}")) && err.contains(hint), "{name}: {err}");
        }
    }
    let cut = folder(calendar);
    cut.write("c.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261225\n");
    assert!(open_at(&cut, NOON).expect(1).err.contains("the file is cut off; fetch or export it again"));
    for line in [
        "[sources.s]\npath = \"https://x.example/s.csv\"",
        "[calendars.c]\npath = \"webcal://x.example/c.ics\"",
    ] {
        let err = folder(&format!("{line}\n{}", "[hours.desk]\ntimezone = \"UTC\"\nweekly = \"24/7\"\n"))
            .run(&["check", "--offline"])
            .expect(1)
            .err;
        assert!(err.contains("path is a web address") && err.contains("rtconfd reads local files"), "{err}");
    }
}

#[test]
fn published_holiday_lists_close_pages() {
    let settings = |from: &str| {
        format!(
            "[sources.h]\npath = \"h.json\"\n[hours.desk]\ntimezone = \"UTC\"\nweekly = \"24/7\"\nspecial_from = {{ source = \"h\", {from} }}\n"
        )
    };
    let govuk = json!({"england-and-wales": {"events": [{"title": "Christmas Day", "date": "2026-12-25", "notes": "", "bunting": true}]}});
    let nager =
        json!([{"date": "2026-12-25", "localName": "Weihnachten", "name": "Christmas Day", "global": true}]);
    let open = json!([{"startDate": "2026-12-25", "endDate": "2026-12-26", "name": [{"language": "DE", "text": "Weihnachten"}]}]);
    for (list, from, reason) in [
        (
            &govuk,
            "pointer = \"/england-and-wales/events\", hours = \"closed\", name = \"title\"",
            "Christmas Day",
        ),
        (&nager, "hours = \"closed\", name = \"localName\"", "Weihnachten"),
        (&open, "date = \"startDate\", through = \"endDate\", hours = \"closed\"", "Weihnachten"),
        (&nager, "hours = \"10:00-11:00\"", "Christmas Day"),
    ] {
        let folder = folder(&settings(from));
        folder.write("h.json", &list.to_string());
        let reported = open_at(&folder, "2026-12-25T12:00:00Z").expect(0).lines().remove(0);
        assert_eq!(reported["value"], false, "{from}");
        assert!(reported["because"].as_str().unwrap().contains(reason), "{reported}");
        assert!(is_open(&folder, "2026-12-27T12:00:00Z"));
    }
    let unsaid = folder(&settings("pointer = \"/england-and-wales/events\""));
    unsaid.write("h.json", &govuk.to_string());
    let err = open_at(&unsaid, NOON).expect(1).err;
    assert!(
        err.contains("needs \"hours\"") && err.contains("set hours = \"closed\" in special_from"),
        "{err}"
    );
    let astray = folder(&settings("pointer = \"/england-and-wales/evnts\""));
    astray.write("h.json", &govuk.to_string());
    let err = open_at(&astray, NOON).expect(1).err;
    assert!(
        err.contains("has nothing at \"/england-and-wales/evnts\"")
            && err.contains("the keys at /england-and-wales are: events"),
        "{err}"
    );
}

#[test]
fn published_hours_are_read_in_the_formats_of_their_services() {
    let day = |opens: &str, closes: &str| json!({"@type": "OpeningHoursSpecification", "dayOfWeek": "Monday", "opens": opens, "closes": closes});
    let store = |specification: serde_json::Value| json!({"@type": "Store", "openingHoursSpecification": [specification]});
    let google = json!({"periods": [{"openDay": "MONDAY", "openTime": {"hours": 9}, "closeDay": "MONDAY", "closeTime": {"hours": 17}}]});
    let places = json!({"place_id": "x", "opening_hours": {"open_now": true, "periods": []}});
    for (key, place, expected) in [
        ("schema_org", store(day("00:00:00", "23:59:59")), Ok(true)),
        // schema.org: "The place is open if the opens property is specified, and closed otherwise".
        ("schema_org", store(json!({"dayOfWeek": "Monday"})), Ok(false)),
        ("schema_org", json!([{"@type": "BreadcrumbList"}, store(day("09:00", "17:00"))]), Ok(true)),
        (
            "schema_org",
            json!([store(day("09:00", "17:00")), store(day("10:00", "17:00"))]),
            Err("more than one object in this list has hours"),
        ),
        ("google", json!({"regularHours": google, "specialHours": {}}), Ok(true)),
        ("google", places, Err("comes from the Google Places API")),
        ("google", json!({"regularOpeningHours": {"periods": []}}), Err("comes from the Google Places API")),
    ] {
        let folder = folder(&format!(
            "[sources.p]\npath = \"p.json\"\n[hours.desk]\ntimezone = \"UTC\"\n{key} = {{ source = \"p\" }}\n"
        ));
        folder.write("p.json", &place.to_string());
        match expected {
            Ok(open) => assert_eq!(is_open(&folder, NOON), open, "{place}"),
            Err(reported) => {
                let err = open_at(&folder, NOON).expect(1).err;
                assert!(err.contains(reported) && err.contains("hint:"), "{place}: {err}");
            }
        }
    }
}

#[test]
fn suspicious_hours_are_warned_about_with_their_position() {
    for (weekly, reported) in [
        ("Mo-Su 00:00-23:59", Some("closes a minute before midnight")),
        (
            "Mo-Fr 09:00-13:30, 13:00-17:30",
            Some("09:00-13:30 and 13:00-17:30 overlap, so it is open without a break from 09:00 to 17:30"),
        ),
        ("Mo-Fr 09:00-05:00", Some("09:00-05:00 is open for more than 16 hours without a break")),
        ("Mo-Fr 09:00-13:00, 13:00-17:30", None),
        ("Mo-Su 00:00-24:00", None),
        ("Fr 18:00-02:00", None),
    ] {
        let folder = folder(&format!("[hours.desk]\ntimezone = \"UTC\"\nweekly = \"{weekly}\"\n"));
        let err = folder.run(&["check", "--offline", "--at", "2026-12-01"]).expect(0).err;
        match reported {
            Some(reported) => assert!(
                err.contains("warning: ") && err.contains(reported) && err.contains("rtconfd.toml:9"),
                "{err}"
            ),
            None => assert_eq!(err, "", "{weekly}"),
        }
    }
    let settings = "[calendars.c]\npath = \"c.ics\"\n[hours.desk]\ntimezone = \"UTC\"\nweekly = \"24/7\"\n";
    let event = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261225T000000Z\nRRULE:FREQ=YEARLY\nSUMMARY:Christmas\nEND:VEVENT\nEND:VCALENDAR\n";
    for (closed_on, warned) in [("closed_on = [\"c\"]\n", true), ("", false)] {
        let folder = folder(&format!("{settings}{closed_on}"));
        folder.write("c.ics", event);
        let err = folder.run(&["check", "--offline", "--at", "2026-12-01"]).expect(0).err;
        assert_eq!(err.contains("c.ics:2: this event has no length, so it closes no hours"), warned, "{err}");
    }
}

#[test]
fn calendar_anomalies_are_warnings_and_fail_no_command() {
    let api = Api::start();
    let folder = Folder::new(
        &api.url,
        &format!(
            "[calendars.c]\npath = \"c.ics\"\n{}",
            desk("A-1").replace("weekly =", "closed_on = [\"c\"]\nweekly =")
        ),
    );
    let event = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY\nSTATUS:DRAFT\nEND:VEVENT\nEND:VCALENDAR\n";
    folder.write("c.ics", event);
    for command in ["apply", "plan", "check", "status"] {
        let err = folder.run(&[command]).expect(0).err;
        assert!(err.contains("c.ics:6: STATUS: only CANCELLED removes an event"), "{command}: {err}");
    }
    assert_eq!(folder.run(&["preview", "--days", "400"]).expect(0).code, 0);
    assert!(Settings::load(&folder.path("rtconfd.toml"), &Surroundings::default()).is_ok());
}

#[test]
fn a_range_has_at_most_400_dates_in_every_format() {
    let (special, published) = (
        "weekly = \"24/7\"\nspecial_from = { source = \"h\", through = \"last\", hours = \"closed\" }",
        "schema_org = { source = \"h\" }",
    );
    let (first, last, beyond) = ("2026-01-01", "2027-02-04", "2027-02-05");
    for hours in [special, published] {
        let settings = format!("[sources.h]\npath = \"h.json\"\n[hours.desk]\ntimezone = \"UTC\"\n{hours}\n");
        let folder = folder(&settings);
        let range = |last: &str| {
            let list = match hours == special {
                true => json!([{"date": first, "last": last}]),
                false => {
                    json!([{"validFrom": first, "validThrough": last, "opens": "00:00", "closes": "00:00"}])
                }
            };
            folder.write("h.json", &list.to_string());
        };
        range(last);
        let reported = open_at(&folder, "2027-02-04T12:00:00Z").expect(0).lines().remove(0);
        assert_eq!(reported["value"], false, "{hours}");
        range(beyond);
        let err = open_at(&folder, NOON).expect(1).err;
        let refused = format!("{first} to {beyond} is not a range of at most 400 dates");
        assert!(err.contains(&refused), "{err}");
    }
}

#[test]
fn preview_rejects_a_window_that_ends_before_it_begins() {
    let folder = folder("[hours.desk]\ntimezone = \"UTC\"\nweekly = \"24/7\"\n");
    let err = folder.run(&["preview", "--from", "2026-12-02", "--to", "2026-12-01"]).expect(1).err;
    assert!(err.contains("--to 2026-12-01T00:00:00Z is before --from 2026-12-02T00:00:00Z"), "{err}");
}
