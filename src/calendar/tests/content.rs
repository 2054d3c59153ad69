//! Content lines: folding, escapes, unsupported content, and the warnings about it.

use super::{calendar, event, starts, warnings};
use crate::calendar::{Calendar, Window};
use crate::zone::{Database, Zone};

#[test]
fn unsupported_content_is_an_error_with_file_line_and_property() {
    for (text, expected) in [
        (
            event("DTSTART;TZID=Mars/Olympus:20260101T090000"),
            "c.ics:6: DTSTART: the time zone \"Mars/Olympus\" is unknown",
        ),
        // The prefix does not define summer time, and its minutes count.
        (
            event("DTSTART;TZID=\"(UTC+05:30) Anywhere\":20260101T090000"),
            "c.ics:6: DTSTART: the time zone \"(UTC+05:30) Anywhere\" is unknown",
        ),
        (event("DTSTART;TZID=/EST/Nowhere:20260101T090000"), "the time zone \"/EST/Nowhere\" is unknown"),
        (
            format!(
                "BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\nDTSTART:20251026T020000\nRDATE:20261025T020000,20271031T020000Z\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0000\nEND:STANDARD\nEND:VTIMEZONE\n{}",
                event("DTSTART;TZID=Home:20260101T090000")
            ),
            "c.ics:7: RDATE: invalid local time \"20271031T020000Z\"",
        ),
        (event("DTSTART:2026-01-01"), "c.ics:6: DTSTART: \"2026-01-01\" is not a date or time"),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=FORTNIGHTLY"), "c.ics:7: RRULE:"),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=DAILY;INTERVAL=0"), "INTERVAL that is out of range"),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=SECONDLY"), "repeats SECONDLY, which is not supported"),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=WEEKLY;BYDAY=2MO"), "has a numbered BYDAY"),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=MONTHLY;BYDAY=0MO"), "has a BYDAY that is out of range"),
        (
            event("DTSTART:20260101T090000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=0,15"),
            "has a BYMONTHDAY that is out of range",
        ),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=DAILY;COUNT=3;COUNT=5"), "has COUNT twice"),
        (event("DTSTART:20260101T090000\nDURATION:PT"), "c.ics:7: DURATION:"),
        (event("DTSTART:20260101T090000\nDURATION:P1W2D"), "c.ics:7: DURATION:"),
        (
            event("DTSTART:20260101\nBEGIN:VEVENT\nDTSTART:20260102\nEND:VEVENT"),
            "c.ics:7: VEVENT: nested inside another event",
        ),
        (event("DTSTART:20260101T090000\nRRULE:FREQ=DAILY;SKIP=OMIT"), "SKIP, which is not supported"),
        (event("DTSTART:20260101T090000\nEXRULE:FREQ=DAILY"), "c.ics:7: EXRULE: is obsolete"),
        (event("DTSTART:20260101T090000\nDURATION:P99999999999999D"), "c.ics:7: DURATION:"),
        (event("DTSTART:20260102\nDTEND:20260101"), "c.ics:7: DTEND: is before DTSTART"),
        (event(""), "c.ics:3: VEVENT: has no DTSTART"),
        (event("DTSTART:20260631"), "c.ics:6: DTSTART: invalid date \"20260631\""),
        (event("DTSTART:20260101T090000\nDTEND:20260102"), "DTEND: must be a date if DTSTART is a date"),
        (event("DTSTART:20260101\nDTSTART:20260102"), "c.ics:7: DTSTART: occurs twice in one VEVENT"),
        (event("DTSTART:20260101\nDURATION:PT1H"), "an all-day event must last whole days"),
        (event("DTSTART:20260101\nDTEND:20260102\nDURATION:P2D"), "c.ics:8: DURATION: conflicts with DTEND"),
        // A line that may have been meant to set when an event happens is never skipped.
        (event("DTSTART:20260101\nEXDATE 20260102"), "c.ics:7: invalid iCalendar line"),
        (event("DTSTART:20260101\nRRULE"), "c.ics:7: invalid iCalendar line"),
        (event("DTSTART:20260101\nSTATUS;CANCELLED"), "c.ics:7: invalid iCalendar line"),
        (
            event("DTSTART:20260101\nRECURRENCE-ID:20260108\nRRULE:FREQ=WEEKLY"),
            "c.ics:8: RRULE: a changed instance (RECURRENCE-ID) cannot have a rule of its own",
        ),
        (
            event("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260101T230000Z"),
            "c.ics:8: EXDATE: ambiguous date: a time in UTC in an all-day series",
        ),
        (event("DTSTART:20260101\nDURATION:PT90000S"), "an all-day event must last whole days"),
        (
            event("DTSTART:20260101T090000\nDTEND:20260101T100000\nDURATION:PT30M"),
            "DURATION: conflicts with DTEND",
        ),
        (
            format!(
                "BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\nDTSTART:20251026T020000\nTZOFFSETTO:+0000\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20250330T010000\nTZOFFSETTO:+0100\nEND:DAYLIGHT\nBEGIN:DAYLIGHT\nDTSTART:20240330T010000\nTZOFFSETTO:+0200\nEND:DAYLIGHT\nEND:VTIMEZONE\n{}",
                event("DTSTART;TZID=Home:20260101T090000")
            ),
            "STANDARD: has no TZOFFSETFROM",
        ),
    ] {
        let problem = calendar(&text).map(|_| ()).unwrap_err();
        assert!(problem.contains(expected) && problem.contains("(hint: "), "{text}\n{problem}");
    }
    let cut = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nEND:VEVENT\n";
    let problems = Calendar::parse(&"c.ics".into(), cut.as_bytes(), &Database::embedded()).unwrap_err();
    assert!(problems[0].to_string().starts_with("c.ics:1: the VCALENDAR that begins here never ends"));
    let bomb = calendar(&event("DTSTART:19700101T000000\nRRULE:FREQ=MINUTELY")).unwrap();
    let window = Window { from: "2026-01-01".parse().unwrap(), to: "2027-01-01".parse().unwrap() };
    assert!(bomb.occurrences(window).unwrap_err().to_string().contains("more than 60000 occurrences"));
}

#[test]
fn folded_lines_are_joined_and_escapes_are_decoded() {
    let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261225\r\nSUMMARY:Caf\u{C3}\r\n \u{A9} closed\\, sor\r\n\try\\n!\r\nCATEGORIES:Holiday,Bank\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let calendar = Calendar::parse(&"c.ics".into(), &bytes, &Database::embedded()).unwrap();
    let window = Window { from: "2026-12-01".parse().unwrap(), to: "2027-01-01".parse().unwrap() };
    let found = calendar.occurrences(window).unwrap();
    assert_eq!(&*found[0].summary, "Café closed, sorry\n!");
    assert_eq!(found[0].categories.names().collect::<Vec<_>>(), ["Holiday", "Bank"]);
}

/// Each case: properties added to an all-day event on 28 December 2026, and the expected warning.
#[test]
fn errors_in_properties_without_effect_on_dates_do_not_reject_the_calendar() {
    let day = "DTSTART;VALUE=DATE:20261228\nDTEND;VALUE=DATE:20261229";
    for (properties, warned) in [
        // An address with escaped separators, an unclosed quote, a line that was not folded.
        (
            "X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=High Street 1\\; Leeds;X-Y=1:geo:53.8",
            "the line is ignored",
        ),
        ("ATTENDEE;CN=\"Smith; John:mailto:j@example.com", "the line is ignored"),
        ("LOCATION;ALTREP=\"http://x\nsecond line of the address\":here", "the line is ignored"),
        ("DESCRIPTION:first line\nsee you there", "the line is ignored"),
        ("DESCRIPTION:we close for\nDuration: two hours", "text that was not folded"),
        ("REFRESH - INTERVAL; VALUE = DURATION:PT48H", "the line is ignored"),
        ("SUMMARY : Closed", "spaces around names"),
        ("STATUS:NEEDS-ACTION", "only CANCELLED removes an event"),
        ("STATUS:CONFIRMED\nSTATUS:TENTATIVE", "only CANCELLED removes an event"),
        ("STATUS:CONFIRMED\nSTATUS:CANCELLED", "only CANCELLED removes an event"),
        ("SUMMARY:one\nSUMMARY:two", "the first is used"),
        ("UID:2\nUID:3", "the first is used"),
        ("SEQUENCE:many", "not a number"),
        ("RRULE:", "RRULE: the value is empty"),
        ("EXDATE:", "EXDATE: the value is empty"),
        ("EXDATE;VALUE=DATE: ,", "EXDATE: the value is empty"),
        ("RDATE:", "RDATE: the value is empty"),
        ("DURATION:PT0S", "ignored, because the event has a DTEND"),
        ("DURATION:P1D", "ignored, because the event has a DTEND"),
        ("DURATION:PT86400S", "read as 1 whole days"),
        ("DTSTART;VALUE=DATE:20261228", ""),
    ] {
        let text = event(&format!("{day}\n{properties}"));
        let read = calendar(&text).unwrap_or_else(|problems| panic!("{properties}: {problems}"));
        assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-28"], "{properties}");
        let reported = warnings(&read);
        assert!(
            reported.contains(warned) && reported.is_empty() == warned.is_empty(),
            "{properties}: {reported}"
        );
    }
    for (text, warned) in [
        (
            "\u{FEFF}BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261228\nEND:VEVENT\nEND:VCALENDAR\nX-COMMENT:cached\n",
            "this line is outside",
        ),
        ("BEGIN:VCALENDAR\rBEGIN:VEVENT\rDTSTART:20261228\rEND:VEVENT\rEND:VCALENDAR\r", "end with CR alone"),
        (
            "BEGIN:VCALENDAR\nEND:VCALENDAR\n\u{FEFF}BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261228\nEND:VEVENT\nEND:VCALENDAR\n",
            "",
        ),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261228\nDTEND:20261229T000000\nEND:VEVENT\nEND:VCALENDAR\n",
            "midnight is read as a date",
        ),
    ] {
        let read = Calendar::parse(&"c.ics".into(), text.as_bytes(), &Database::embedded()).unwrap();
        assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-28"], "{text}");
        let reported = warnings(&read);
        assert!(reported.contains(warned) && reported.is_empty() == warned.is_empty(), "{text}: {reported}");
    }
    let latin =
        b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261228\nSUMMARY:F\xEAte\nEND:VEVENT\nEND:VCALENDAR\n";
    let read = Calendar::parse(&"c.ics".into(), latin, &Database::embedded()).unwrap();
    let window = Window { from: "2026-12-01".parse().unwrap(), to: "2027-01-31".parse().unwrap() };
    assert_eq!(&*read.occurrences(window).unwrap()[0].summary, "F\u{EA}te");
    assert!(warnings(&read).starts_with("c.ics:4: this line is not UTF-8 and is read as Latin-1"));
    let wide: Vec<u8> = "BEGIN:VCALENDAR\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(
        Calendar::parse(&"c.ics".into(), &wide, &Database::embedded()).unwrap_err()[0]
            .to_string()
            .contains("UTF-16")
    );
}

#[test]
fn each_kind_of_warning_names_its_first_line_and_counts_the_others() {
    let events: Vec<String> = (1..=3)
        .map(|day| {
            event(&format!("DTSTART:2026120{day}\nSTATUS:DRAFT")).replace("UID:1", &format!("UID:{day}"))
        })
        .collect();
    let reported = warnings(&calendar(&events.join("\n")).unwrap());
    assert_eq!(reported.lines().count(), 1, "{reported}");
    assert!(
        reported.starts_with("c.ics:7: STATUS:") && reported.contains("(and 2 more times in this file)"),
        "{reported}"
    );
}

#[test]
fn an_inline_attachment_loses_no_event() {
    let attachment = format!("ATTACH;ENCODING=BASE64:{}", "\n QUJD".repeat(400_000));
    let read = calendar(&event(&format!("{attachment}\nDTSTART:20261228"))).unwrap();
    assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-28"]);
    assert!(warnings(&read).contains("bytes and is ignored"), "{}", warnings(&read));
}

#[test]
fn an_unfolded_continuation_of_a_date_or_rule_is_an_error() {
    for (properties, line) in [
        ("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY;COUNT=5\nEXDATE;VALUE=DATE:20261225,\n20261226", 9),
        ("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY;\nCOUNT=5", 8),
    ] {
        let reported = calendar(&event(properties)).unwrap_err();
        assert!(reported.starts_with(&format!("c.ics:{line}: invalid iCalendar line")), "{reported}");
        assert!(reported.contains("begin it with a space"), "{reported}");
    }
}

#[test]
fn an_event_inside_another_component_is_read_with_a_warning() {
    let inner = event("DTSTART;VALUE=DATE:20261228").replace("UID:1", "UID:2");
    let read =
        calendar(&format!("{}\nBEGIN:VTODO\n{inner}\nEND:VTODO", event("DTSTART;VALUE=DATE:20261224")))
            .unwrap();
    assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-24", "2026-12-28"]);
    assert!(!warnings(&read).is_empty());
}
