//! Zones of events: known by name, defined in the calendar, partial or invalid.

use std::collections::BTreeMap;
use std::path::Path;

use super::{calendar, event, starts, warnings};
use crate::calendar::Calendar;
use crate::zone::{Database, Version, Zone};

#[test]
fn zones_are_found_by_iana_name_windows_name_or_definition() {
    let custom = "BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\nDTSTART:19701025T030000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0200\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:19700329T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0300\nEND:DAYLIGHT\nEND:VTIMEZONE\n";
    // Summer time from March to October, under any TZID.
    let defined = |lines: &str, standard: &str, daylight: &str| {
        let rule = |month| format!("RRULE:FREQ=YEARLY;BYMONTH={month};BYDAY=-1SU");
        let (october, march) = (rule(10), rule(3));
        format!(
            "BEGIN:VTIMEZONE\n{lines}\nBEGIN:STANDARD\nDTSTART:16010101T020000\n{october}\nTZOFFSETFROM:{daylight}\nTZOFFSETTO:{standard}\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\n{march}\nTZOFFSETFROM:{standard}\nTZOFFSETTO:{daylight}\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
        )
    };
    let exchange = defined("TZID:(UTC+00:00) Dublin, Edinburgh, Lisbon, London", "+0000", "+0100");
    let (est, gmt) = (defined("TZID:EST", "-0500", "-0400"), defined("TZID:GMT", "+0000", "+0100"));
    let windows = defined("TZID:W. Europe Standard Time", "+0200", "+0300");
    let city = defined("TZID:Europe/London", "+0500", "+0600");
    let global = defined("TZID:/example.org/Europe/London", "+0500", "+0600");
    let located = defined("TZID:Home\nX-LIC-LOCATION:Europe/London", "+0500", "+0600");
    let escaped = defined("TZID:Our\\, Zone", "+0200", "+0300");
    let listed = "BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\nDTSTART:20251026T020000\nRDATE:20261025T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0000\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20250330T010000\nRDATE:20260329T010000,20270328T010000\nTZOFFSETFROM:+0000\nTZOFFSETTO:+0100\nEND:DAYLIGHT\nEND:VTIMEZONE\n";
    for (definition, start, expected) in [
        // The file defines the meaning of a TZID (RFC 5545, 3.2.19), even if it looks like another
        // zone's name.
        (
            &*exchange,
            "DTSTART;TZID=\"(UTC+00:00) Dublin, Edinburgh, Lisbon, London\":20260701T090000",
            "2026-07-01T08:00",
        ),
        (&*est, "DTSTART;TZID=EST:20260701T090000", "2026-07-01T13:00"),
        (&*est, "DTSTART;TZID=EST:20261201T090000", "2026-12-01T14:00"),
        (&*gmt, "DTSTART;TZID=GMT:20260701T090000", "2026-07-01T08:00"),
        (&*windows, "DTSTART;TZID=W. Europe Standard Time:20260701T090000", "2026-07-01T06:00"),
        // A city, a global registry and X-LIC-LOCATION take precedence over offsets.
        (&*city, "DTSTART;TZID=Europe/London:20260701T090000", "2026-07-01T08:00"),
        (&*global, "DTSTART;TZID=/example.org/Europe/London:20260701T090000", "2026-07-01T08:00"),
        (&*located, "DTSTART;TZID=Home:20260701T090000", "2026-07-01T08:00"),
        (&*escaped, "DTSTART;TZID=\"Our, Zone\":20260701T090000", "2026-07-01T06:00"),
        (&*escaped, "DTSTART;TZID=\"Our\\, Zone\":20260701T090000", "2026-07-01T06:00"),
        (listed, "DTSTART;TZID=Home:20260701T090000", "2026-07-01T08:00"),
        (listed, "DTSTART;TZID=Home:20261201T090000", "2026-12-01T09:00"),
        // Windows names that changed their zone, and names behind a prefix.
        ("", "DTSTART;TZID=Mountain Standard Time (Mexico):20260701T090000", "2026-07-01T16:00"),
        ("", "DTSTART;TZID=Central Asia Standard Time:20260701T090000", "2026-07-01T03:00"),
        ("", "DTSTART;TZID=\"(UTC-05:00) Eastern Standard Time\":20260701T090000", "2026-07-01T13:00"),
        ("", "DTSTART;TZID=UTC-11:20260701T090000", "2026-07-01T20:00"),
        ("", "DTSTART;TZID=Europe/London:20260701T090000", "2026-07-01T08:00"),
        ("", "DTSTART;TZID=\"W. Europe Standard Time\":20260701T090000", "2026-07-01T07:00"),
        ("", "DTSTART;TZID=Eastern Standard Time:20260701T090000", "2026-07-01T13:00"),
        (
            "",
            "DTSTART;TZID=/freeassociation.sourceforge.net/Europe/London:20260701T090000",
            "2026-07-01T08:00",
        ),
        (custom, "DTSTART;TZID=Home:20260701T090000", "2026-07-01T06:00"),
        (custom, "DTSTART;TZID=Home:20261201T090000", "2026-12-01T07:00"),
        ("", "DTSTART:20260701T090000Z", "2026-07-01T09:00"),
        // Skipped in London: the offset before the gap applies (RFC 5545, 3.3.5).
        ("", "DTSTART;TZID=Europe/London:20260329T013000", "2026-03-29T01:30"),
    ] {
        let calendar = calendar(&format!("{definition}{}", event(start))).unwrap();
        assert_eq!(starts(&calendar, Zone::UTC, "2026-01-01", "2027-01-01"), [expected], "{start}");
    }
}

#[test]
fn a_partial_zone_definition_is_used_only_where_it_is_unambiguous() {
    let zone = |id: &str, parts: &str| {
        format!(
            "BEGIN:VTIMEZONE\nTZID:{id}\n{parts}\nEND:VTIMEZONE\n{}",
            event(&format!("DTSTART;TZID=\"{id}\":20261224T120000"))
        )
    };
    let alone = "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETTO:+1000\nEND:STANDARD";
    let date =
        "BEGIN:STANDARD\nDTSTART;VALUE=DATE:16010101\nTZOFFSETFROM:+1000\nTZOFFSETTO:+1000\nEND:STANDARD";
    let broken = "BEGIN:STANDARD\nDTSTART:16010101T000000\nEND:STANDARD";
    let pair = "BEGIN:STANDARD\nDTSTART:20201025T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZOFFSETTO:+0100\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20200329T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nTZOFFSETTO:+0200\nEND:DAYLIGHT";
    for (id, parts, expected, warned) in [
        ("(UTC+10:00) Brisbane", alone, "02:00", "has no TZOFFSETFROM"),
        ("(UTC+10:00) Brisbane", date, "02:00", "the date is read as midnight"),
        ("Home", pair, "11:00", "has no TZOFFSETFROM"),
        ("E. Australia Standard Time", broken, "02:00", "the known zone Australia/Brisbane is used"),
    ] {
        let read = calendar(&zone(id, parts)).unwrap_or_else(|problems| panic!("{id}: {problems}"));
        assert_eq!(
            starts(&read, Zone::UTC, "2026-12-24", "2026-12-25"),
            [format!("2026-12-24T{expected}")],
            "{id}"
        );
        assert!(warnings(&read).contains(warned), "{id}: {}", warnings(&read));
    }
}

#[test]
fn a_zone_definition_replaces_a_known_zone_only_if_it_is_newer_than_the_database() {
    let older = Database::in_folder(Version::parse("2025b"), Path::new("/zones"), BTreeMap::new());
    // British Columbia under a rule that no release has: two hours more.
    let text = |modified: &str| {
        let zone = format!(
            "BEGIN:VTIMEZONE\nTZID:America/Vancouver\n{modified}BEGIN:STANDARD\nDTSTART:20261101T020000\nTZOFFSETFROM:-0700\nTZOFFSETTO:-0500\nEND:STANDARD\nEND:VTIMEZONE"
        );
        format!(
            "BEGIN:VCALENDAR\n{zone}\n{}\nEND:VCALENDAR\n",
            event("DTSTART;TZID=America/Vancouver:20261224T120000")
        )
    };
    for (modified, database, expected) in [
        ("LAST-MODIFIED:20261101T000000Z\n", &older, "17:00"),
        ("LAST-MODIFIED:20250601T000000Z\n", &older, "19:00"),
        ("", &older, "19:00"),
        ("LAST-MODIFIED:20261101T000000Z\n", &*Database::embedded(), "19:00"),
    ] {
        let read = Calendar::parse(&"c.ics".into(), text(modified).as_bytes(), database).unwrap();
        let found = starts(&read, Zone::UTC, "2026-12-24", "2026-12-25");
        assert_eq!(found, [format!("2026-12-24T{expected}")], "{modified} {database}");
        assert_eq!(warnings(&read).contains("is newer here"), expected == "17:00");
    }
}

#[test]
fn an_invalid_zone_definition_fails_only_events_that_use_it() {
    let zone = "BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:?\nTZOFFSETTO:?\nEND:STANDARD\nEND:VTIMEZONE\n";
    let read = calendar(&format!("{zone}{}", event("DTSTART;VALUE=DATE:20261228"))).unwrap();
    assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-28"]);
    let reported = calendar(&format!("{zone}{}", event("DTSTART;TZID=Mine:20261228T090000"))).unwrap_err();
    assert!(reported.contains("invalid offset"), "{reported}");
}
