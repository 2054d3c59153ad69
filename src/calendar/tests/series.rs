//! Exceptions, changed instances and added dates of a series, and the agenda of events.

use chrono::NaiveDate;

use super::{NEW_YORK, calendar, event, starts, warnings};
use crate::calendar::{Agenda, Filter, Window};
use crate::zone::{Zone, named};

#[test]
fn exceptions_and_changed_instances_replace_occurrences_of_the_rule() {
    let series = "DTSTART;TZID=Europe/London:20260105T100000\nDTEND;TZID=Europe/London:20260105T110000\nRRULE:FREQ=WEEKLY;COUNT=5";
    let cases: &[(&str, &str)] = &[
        ("EXDATE;TZID=Europe/London:20260112T100000", "05T10 19T10 26T10 02T10"),
        ("EXDATE:20260112T100000Z", "05T10 19T10 26T10 02T10"),
        // A bare date excludes the timed instance on it.
        ("EXDATE;VALUE=DATE:20260112,20260119", "05T10 26T10 02T10"),
        ("RDATE;TZID=Europe/London:20260107T090000", "05T10 07T09 12T10 19T10 26T10 02T10"),
        (
            "END:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID;TZID=Europe/London:20260112T100000\nDTSTART;TZID=Europe/London:20260113T150000",
            "05T10 13T15 19T10 26T10 02T10",
        ),
        (
            "END:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20260112T100000Z\nSTATUS:CANCELLED\nDTSTART;TZID=Europe/London:20260112T100000",
            "05T10 19T10 26T10 02T10",
        ),
        (
            "END:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/London:20260119T100000\nDTSTART;TZID=Europe/London:20260119T120000",
            "05T10 12T10 19T12 26T12 02T12",
        ),
        ("STATUS:CANCELLED", ""),
        ("END:VEVENT\nBEGIN:VEVENT\nUID:1\nSEQUENCE:2\nDTSTART:20260108T080000", "08T08"),
    ];
    for (change, expected) in cases {
        let calendar = calendar(&event(&format!("{series}\n{change}"))).unwrap();
        let found = starts(&calendar, named("Europe/London"), "2026-01-01", "2026-03-01");
        let found: Vec<&str> = found.iter().map(|start| &start[8..13]).collect();
        assert_eq!(found.join(" "), *expected, "{change}");
    }
}

#[test]
fn an_agenda_gives_the_events_of_a_date_and_the_next_event() {
    let events = [
        "BEGIN:VEVENT\nUID:a\nSUMMARY:Christmas Day\nCATEGORIES:Holiday\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227\nEND:VEVENT",
        "BEGIN:VEVENT\nUID:b\nSUMMARY:Stocktaking\nDTSTART:20261230T140000\nDTEND:20261230T160000\nEND:VEVENT",
    ];
    let calendar = calendar(&events.join("\n")).unwrap();
    let window = Window { from: "2026-12-01".parse().unwrap(), to: "2027-02-01".parse().unwrap() };
    let occurrences = calendar.occurrences(window).unwrap();
    let agenda = |filter: Filter| Agenda::new(&occurrences, &filter, *NEW_YORK, window);
    let all = agenda(Filter::default());
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    let at = |text: &str| text.parse::<crate::model::Instant>().unwrap();
    let names = |day: &str| {
        all.on(*NEW_YORK, date(day)).iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("2026-12-26"), ["Christmas Day"]);
    assert_eq!(names("2026-12-27"), Vec::<String>::new());
    assert_eq!(names("2026-12-30"), ["Stocktaking"]);
    assert_eq!(all.next_date(*NEW_YORK, date("2026-12-27")), Some(date("2026-12-30")));
    assert_eq!(all.next_date(*NEW_YORK, date("2026-12-31")), None);
    // Floating times are New York times here: 14:00 is 19:00 UTC.
    assert_eq!(all.next_edge(*NEW_YORK, at("2026-12-27T05:00:00Z")), Some(at("2026-12-30T19:00:00Z")));
    assert!(all.at(*NEW_YORK, at("2026-12-30T20:59:59Z")).is_some());
    assert!(all.at(*NEW_YORK, at("2026-12-30T21:00:00Z")).is_none());
    let only = |summary: Option<&str>, category: Option<&str>| {
        let filter = Filter { summary: summary.map(Into::into), category: category.map(Into::into) };
        let agenda = agenda(filter);
        (agenda.days.len(), agenda.timed().len())
    };
    assert_eq!(only(Some("christmas"), None), (2, 0));
    assert_eq!(only(None, Some("HOLIDAY")), (2, 0));
    assert_eq!(only(Some("stock"), Some("holiday")), (0, 0));
}

#[test]
fn events_without_a_usable_uid_or_sequence_are_all_kept() {
    for (first, second) in [
        ("UID:", "UID:"),
        ("UID:\nSEQUENCE:0", "UID:\nSEQUENCE:1"),
        ("UID:a\nSEQUENCE:x", "UID:a\nSEQUENCE:7"),
    ] {
        let of =
            |properties: &str, date: &str| format!("BEGIN:VEVENT\n{properties}\nDTSTART:{date}\nEND:VEVENT");
        let text = format!("{}\n{}", of(first, "20261225"), of(second, "20261228"));
        let found = starts(&calendar(&text).unwrap(), Zone::UTC, "2026-12-01", "2027-01-31");
        assert_eq!(found, ["2026-12-25", "2026-12-28"], "{first} {second}");
    }
}

#[test]
fn an_exception_to_an_all_day_series_is_matched_by_date_only() {
    let series = "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY;COUNT=4";
    let dates = |zone: &str, exception: &str| {
        let text = format!("{zone}{}", event(&format!("{series}\n{exception}")));
        let read = calendar(&text).unwrap_or_else(|problems| panic!("{exception}: {problems}"));
        let found = starts(&read, Zone::UTC, "2026-12-01", "2027-01-31");
        found.iter().map(|date| date[8..].to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (zone, exception, left) in [
        ("", "EXDATE;VALUE=DATE:20261226", "24 25 27"),
        ("", "EXDATE;TZID=UTC+01:20261226T000000", "24 25 27"),
        ("", "EXDATE:20261226T000000Z", "24 25 27"),
        ("X-WR-TIMEZONE:Europe/Berlin\n", "EXDATE:20261225T230000Z", "24 25 27"),
        ("X-WR-TIMEZONE:America/New_York\n", "EXDATE:20261226T050000Z", "24 25 27"),
    ] {
        assert_eq!(dates(zone, exception), left, "{zone}{exception}");
    }
}

/// In an all-day series an instance is replaced by its date, whatever the change itself is.
#[test]
fn a_changed_all_day_instance_is_matched_by_its_date_in_the_calendars_zone() {
    let series = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT";
    let changed = |id: &str, start: &str| format!("{series}\nBEGIN:VEVENT\nUID:1\n{id}\n{start}\nEND:VEVENT");
    let berlin = "X-WR-TIMEZONE:Europe/Berlin\n";
    for (zone, id, start, expected) in [
        (
            berlin,
            "RECURRENCE-ID:20261224T230000Z",
            "DTSTART:20261230T100000Z",
            vec!["2026-12-24", "2026-12-26", "2026-12-30T10:00"],
        ),
        (
            berlin,
            "RECURRENCE-ID:20261224T230000Z",
            "DTSTART;VALUE=DATE:20261230",
            vec!["2026-12-24", "2026-12-26", "2026-12-30"],
        ),
        (
            "",
            "RECURRENCE-ID:20261225T000000Z",
            "DTSTART;VALUE=DATE:20261230",
            vec!["2026-12-24", "2026-12-26", "2026-12-30"],
        ),
        (
            "",
            "RECURRENCE-ID;TZID=UTC+01:20261225T000000",
            "DTSTART:20261230T100000Z",
            vec!["2026-12-24", "2026-12-26", "2026-12-30T10:00"],
        ),
    ] {
        let read = calendar(&format!("{zone}{}", changed(id, start)))
            .unwrap_or_else(|problems| panic!("{id}: {problems}"));
        assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), expected, "{zone}{id} {start}");
    }
    let problem =
        calendar(&changed("RECURRENCE-ID:20261224T230000Z", "DTSTART:20261230T100000Z")).unwrap_err();
    assert!(
        problem.contains("RECURRENCE-ID: ambiguous date: a time in UTC") && problem.contains("(hint: "),
        "{problem}"
    );
    // A timed series matches by instant, even if the change is an all-day event.
    let timed = changed("RECURRENCE-ID:20261225T230000Z", "DTSTART;VALUE=DATE:20261230")
        .replace("DTSTART;VALUE=DATE:20261224", "DTSTART;TZID=Asia/Tokyo:20261225T080000");
    let found = starts(&calendar(&timed).unwrap(), Zone::UTC, "2026-12-01", "2027-01-31");
    assert_eq!(found, ["2026-12-24T23:00", "2026-12-26T23:00", "2026-12-30"]);
}

#[test]
fn dates_added_to_an_all_day_series_are_all_day() {
    let dates = |added: &str| {
        let text = event(&format!("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261225\n{added}"));
        calendar(&text).map(|read| starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"))
    };
    for added in ["RDATE;VALUE=DATE:20261228", "RDATE:20261228T000000", "RDATE:20261228T000000Z"] {
        assert_eq!(dates(added).unwrap(), ["2026-12-24", "2026-12-28"], "{added}");
    }
}

#[test]
fn the_until_of_an_all_day_series_is_matched_by_date_only() {
    let days = |zone: &str, rule: &str| {
        let text = format!("{zone}{}", event(&format!("DTSTART;VALUE=DATE:20261224\nRRULE:{rule}")));
        calendar(&text).map(|read| {
            let found = starts(&read, Zone::UTC, "2026-12-01", "2027-01-31");
            found.iter().map(|date| date[8..].to_owned()).collect::<Vec<_>>().join(" ")
        })
    };
    let (paris, new_york) = ("X-WR-TIMEZONE:Europe/Paris\n", "X-WR-TIMEZONE:America/New_York\n");
    for (zone, until, expected) in [
        ("", "20261226", "24 25 26"),
        ("", "20261226T000000Z", "24 25 26"),
        ("", "20261226T235959Z", "24 25 26"),
        (paris, "20261225T230000Z", "24 25 26"),
        (paris, "20261226T235959Z", "24 25 26"),
        (new_york, "20261227T045959Z", "24 25 26"),
    ] {
        assert_eq!(days(zone, &format!("FREQ=DAILY;UNTIL={until}")).unwrap(), expected, "{zone}{until}");
    }
    let read = calendar(&format!("X-WR-TIMEZONE:Foo\n{}", event("DTSTART;VALUE=DATE:20261224"))).unwrap();
    assert!(warnings(&read).contains("the time zone is unknown"), "{}", warnings(&read));
    let reported = days("", "FREQ=DAILY;UNTIL=20261225T230000Z").unwrap_err();
    assert!(reported.contains("ambiguous date"), "{reported}");
    // Times of day would repeat each date and use up the count.
    assert_eq!(days("", "FREQ=DAILY;BYHOUR=9,12;COUNT=4").unwrap(), "24 25 26 27");
}
