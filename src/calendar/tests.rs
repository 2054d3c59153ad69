//! Table tests for calendars: the examples of RFC 5545, 3.8.5.3 with its dates, and edge cases.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate};

use super::{Agenda, Calendar, Filter, Span, Window};
use crate::zone::{self, Database, Version, Zone, named};

static NEW_YORK: LazyLock<Zone> = LazyLock::new(|| named("America/New_York"));

fn calendar(events: &str) -> Result<Calendar, String> {
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\n{}\nEND:VCALENDAR\n", events.trim());
    Calendar::parse(&"c.ics".into(), text.as_bytes(), &Database::embedded()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

/// Returns the warnings of a parsed calendar, one per line.
fn warnings(calendar: &Calendar) -> String {
    calendar.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

fn event(properties: &str) -> String {
    format!("BEGIN:VEVENT\nUID:1\nSUMMARY:x\n{}\nEND:VEVENT", properties.trim())
}

/// Returns the starts within the window in a zone's wall-clock time, sorted.
fn starts(calendar: &Calendar, here: Zone, from: &str, to: &str) -> Vec<String> {
    let window = Window { from: from.parse().unwrap(), to: to.parse().unwrap() };
    let (first, end) = (zone::start_of(here, window.from), zone::start_of(here, window.to));
    let mut found: Vec<_> = calendar
        .occurrences(window)
        .unwrap()
        .iter()
        .filter(|occurrence| {
            let (from, to) = occurrence.instants(here);
            from < end && (to > first || from >= first)
        })
        .map(|occurrence| match &occurrence.span {
            Span::Dates(from, _) => from.to_string(),
            Span::Times(from, _) => {
                zone::local(here, from.instant(here)).format("%Y-%m-%dT%H:%M").to_string()
            }
        })
        .collect();
    found.sort();
    found
}

/// Expands `1997 Sep 2-11; Oct 5 7` to dates, all at 09:00 unless a time follows an `@`.
fn listed(text: &str) -> Vec<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut year, mut month) = (0, 0);
    let mut found = Vec::new();
    for word in text.replace(';', " ").split_whitespace() {
        let (word, times) = word.split_once('@').unwrap_or((word, "09:00"));
        if let Some(index) = MONTHS.iter().position(|name| *name == word) {
            month = index as u32 + 1;
        } else if word.len() == 4 && !word.contains('-') {
            year = word.parse().unwrap();
        } else {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            for day in first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap() {
                let date = NaiveDate::from_ymd_opt(year, month, day).unwrap();
                found.extend(times.split(',').map(|time| format!("{date}T{time}")));
            }
        }
    }
    found
}

/// RFC 5545, 3.8.5.3: the rule, the end of the window, and the dates that the RFC gives.
///
/// The start is 2 September 1997 09:00 in New York unless the rule has its own.
#[test]
fn the_examples_of_rfc_5545_give_the_documented_dates() {
    let every_day_in_january = "1998 Jan 1-31; 1999 Jan 1-31; 2000 Jan 1-31";
    let cases: &[(&str, &str, &str)] = &[
        ("RRULE:FREQ=DAILY;COUNT=10", "1999-01-01", "1997 Sep 2-11"),
        (
            "RRULE:FREQ=DAILY;UNTIL=19971224T000000Z",
            "1999-01-01",
            "1997 Sep 2-30; Oct 1-31; Nov 1-30; Dec 1-23",
        ),
        (
            "RRULE:FREQ=DAILY;INTERVAL=2",
            "1997-10-06",
            "1997 Sep 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30; Oct 2 4",
        ),
        ("RRULE:FREQ=DAILY;INTERVAL=10;COUNT=5", "1999-01-01", "1997 Sep 2 12 22; Oct 2 12"),
        (
            "DTSTART;TZID=America/New_York:19980101T090000\nRRULE:FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
            "2003-01-01",
            every_day_in_january,
        ),
        (
            "DTSTART;TZID=America/New_York:19980101T090000\nRRULE:FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1",
            "2003-01-01",
            every_day_in_january,
        ),
        ("RRULE:FREQ=WEEKLY;COUNT=10", "1999-01-01", "1997 Sep 2 9 16 23 30; Oct 7 14 21 28; Nov 4"),
        (
            "RRULE:FREQ=WEEKLY;UNTIL=19971224T000000Z",
            "1999-01-01",
            "1997 Sep 2 9 16 23 30; Oct 7 14 21 28; Nov 4 11 18 25; Dec 2 9 16 23",
        ),
        (
            "RRULE:FREQ=WEEKLY;INTERVAL=2;WKST=SU",
            "1998-03-01",
            "1997 Sep 2 16 30; Oct 14 28; Nov 11 25; Dec 9 23; 1998 Jan 6 20; Feb 3 17",
        ),
        (
            "RRULE:FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
            "1999-01-01",
            "1997 Sep 2 4 9 11 16 18 23 25 30; Oct 2",
        ),
        (
            "RRULE:FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
            "1999-01-01",
            "1997 Sep 2 4 9 11 16 18 23 25 30; Oct 2",
        ),
        (
            "DTSTART;TZID=America/New_York:19970901T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
            "1999-01-01",
            "1997 Sep 1 3 5 15 17 19 29; Oct 1 3 13 15 17 27 29 31; Nov 10 12 14 24 26 28; Dec 8 10 12 22",
        ),
        (
            "RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
            "1999-01-01",
            "1997 Sep 2 4 16 18 30; Oct 2 14 16",
        ),
        (
            "DTSTART;TZID=America/New_York:19970905T090000\nRRULE:FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
            "1999-01-01",
            "1997 Sep 5; Oct 3; Nov 7; Dec 5; 1998 Jan 2; Feb 6; Mar 6; Apr 3; May 1; Jun 5",
        ),
        (
            "DTSTART;TZID=America/New_York:19970905T090000\nRRULE:FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
            "1999-01-01",
            "1997 Sep 5; Oct 3; Nov 7; Dec 5",
        ),
        (
            "DTSTART;TZID=America/New_York:19970907T090000\nRRULE:FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "1999-01-01",
            "1997 Sep 7 28; Nov 2 30; 1998 Jan 4 25; Mar 1 29; May 3 31",
        ),
        (
            "DTSTART;TZID=America/New_York:19970922T090000\nRRULE:FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
            "1999-01-01",
            "1997 Sep 22; Oct 20; Nov 17; Dec 22; 1998 Jan 19; Feb 16",
        ),
        (
            "DTSTART;TZID=America/New_York:19970928T090000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-3",
            "1998-03-01",
            "1997 Sep 28; Oct 29; Nov 28; Dec 29; 1998 Jan 29; Feb 26",
        ),
        (
            "RRULE:FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
            "1999-01-01",
            "1997 Sep 2 15; Oct 2 15; Nov 2 15; Dec 2 15; 1998 Jan 2 15",
        ),
        (
            "DTSTART;TZID=America/New_York:19970930T090000\nRRULE:FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
            "1999-01-01",
            "1997 Sep 30; Oct 1 31; Nov 1 30; Dec 1 31; 1998 Jan 1 31; Feb 1",
        ),
        (
            "DTSTART;TZID=America/New_York:19970910T090000\nRRULE:FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
            "2001-01-01",
            "1997 Sep 10-15; 1999 Mar 10-13",
        ),
        (
            "RRULE:FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
            "1998-04-01",
            "1997 Sep 2 9 16 23 30; Nov 4 11 18 25; 1998 Jan 6 13 20 27; Mar 3 10 17 24 31",
        ),
        (
            "DTSTART;TZID=America/New_York:19970610T090000\nRRULE:FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
            "2003-01-01",
            "1997 Jun 10; Jul 10; 1998 Jun 10; Jul 10; 1999 Jun 10; Jul 10; 2000 Jun 10; Jul 10; 2001 Jun 10; Jul 10",
        ),
        (
            "DTSTART;TZID=America/New_York:19970310T090000\nRRULE:FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
            "2005-01-01",
            "1997 Mar 10; 1999 Jan 10; Feb 10; Mar 10; 2001 Jan 10; Feb 10; Mar 10; 2003 Jan 10; Feb 10; Mar 10",
        ),
        (
            "DTSTART;TZID=America/New_York:19970101T090000\nRRULE:FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
            "2007-01-01",
            "1997 Jan 1; Apr 10; Jul 19; 2000 Jan 1; Apr 9; Jul 18; 2003 Jan 1; Apr 10; Jul 19; 2006 Jan 1",
        ),
        (
            "DTSTART;TZID=America/New_York:19970519T090000\nRRULE:FREQ=YEARLY;BYDAY=20MO",
            "2000-01-01",
            "1997 May 19; 1998 May 18; 1999 May 17",
        ),
        (
            "DTSTART;TZID=America/New_York:19970512T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
            "2000-01-01",
            "1997 May 12; 1998 May 11; 1999 May 17",
        ),
        (
            "DTSTART;TZID=America/New_York:19970313T090000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
            "2000-01-01",
            "1997 Mar 13 20 27; 1998 Mar 5 12 19 26; 1999 Mar 4 11 18 25",
        ),
        (
            "DTSTART;TZID=America/New_York:19970605T090000\nRRULE:FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
            "1998-01-01",
            "1997 Jun 5 12 19 26; Jul 3 10 17 24 31; Aug 7 14 21 28",
        ),
        (
            "EXDATE;TZID=America/New_York:19970902T090000\nRRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
            "2001-01-01",
            "1998 Feb 13; Mar 13; Nov 13; 1999 Aug 13; 2000 Oct 13",
        ),
        (
            "DTSTART;TZID=America/New_York:19970913T090000\nRRULE:FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
            "1998-07-01",
            "1997 Sep 13; Oct 11; Nov 8; Dec 13; 1998 Jan 10; Feb 7; Mar 7; Apr 11; May 9; Jun 13",
        ),
        (
            "DTSTART;TZID=America/New_York:19961105T090000\nRRULE:FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "2005-01-01",
            "1996 Nov 5; 2000 Nov 7; 2004 Nov 2",
        ),
        (
            "DTSTART;TZID=America/New_York:19970904T090000\nRRULE:FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
            "1999-01-01",
            "1997 Sep 4; Oct 7; Nov 6",
        ),
        (
            "DTSTART;TZID=America/New_York:19970929T090000\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
            "1998-04-01",
            "1997 Sep 29; Oct 30; Nov 27; Dec 30; 1998 Jan 29; Feb 26; Mar 30",
        ),
        // As corrected by erratum 3883: UNTIL is 21:00 UTC, which is 17:00 in New York.
        ("RRULE:FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z", "1999-01-01", "1997 Sep 2@09:00,12:00,15:00"),
        (
            "RRULE:FREQ=MINUTELY;INTERVAL=15;COUNT=6",
            "1999-01-01",
            "1997 Sep 2@09:00,09:15,09:30,09:45,10:00,10:15",
        ),
        ("RRULE:FREQ=MINUTELY;INTERVAL=90;COUNT=4", "1999-01-01", "1997 Sep 2@09:00,10:30,12:00,13:30"),
        (
            "DTSTART;TZID=America/New_York:19970805T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            "1999-01-01",
            "1997 Aug 5 10 19 24",
        ),
        (
            "DTSTART;TZID=America/New_York:19970805T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "1999-01-01",
            "1997 Aug 5 17 19 31",
        ),
        (
            "DTSTART;TZID=America/New_York:20070115T090000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
            "2008-01-01",
            "2007 Jan 15 30; Feb 15; Mar 15 30",
        ),
    ];
    for (properties, to, wanted) in cases {
        let start = match properties.contains("DTSTART") {
            true => String::new(),
            false => "DTSTART;TZID=America/New_York:19970902T090000\n".to_owned(),
        };
        let calendar = calendar(&event(&format!("{start}{properties}"))).unwrap();
        assert_eq!(starts(&calendar, *NEW_YORK, "1996-01-01", to), listed(wanted), "{properties}");
    }
}

/// Both RFC examples for every twenty minutes give the same times.
#[test]
fn two_rules_for_every_twenty_minutes_give_the_same_times() {
    let times = |rule: &str| {
        let text = event(&format!("DTSTART;TZID=America/New_York:19970902T090000\n{rule}"));
        starts(&calendar(&text).unwrap(), *NEW_YORK, "1997-09-02", "1997-09-04")
    };
    let daily = times("RRULE:FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40");
    assert_eq!(daily, times("RRULE:FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16"));
    assert_eq!(daily.len(), 48);
    assert_eq!((daily[0].as_str(), daily[47].as_str()), ("1997-09-02T09:00", "1997-09-03T16:40"));
}

/// Rules for which the rrule crate (and other expanders) would silently lose or add occurrences.
#[test]
fn rules_that_other_expanders_get_wrong_are_expanded_correctly() {
    let cases: &[(&str, &str, &str, &str)] = &[
        // Days with and without numbers are a union.
        (
            "DTSTART:20260601T090000\nRRULE:FREQ=MONTHLY;BYDAY=1MO,FR",
            "2026-06-01",
            "2026-07-07",
            "2026 Jun 1 5 12 19 26; Jul 3 6",
        ),
        (
            "DTSTART:20260601T090000\nRRULE:FREQ=MONTHLY;BYDAY=1MO,FR;COUNT=4",
            "2026-06-01",
            "2027-01-01",
            "2026 Jun 1 5 12 19",
        ),
        // Positions count from the week's first day, in the first week too.
        (
            "DTSTART:20260603T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2",
            "2026-06-01",
            "2026-06-25",
            "2026 Jun 3 10 17 24",
        ),
        // A numbered week without a day uses the weekday of DTSTART.
        (
            "DTSTART:20260601T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=23",
            "2026-01-01",
            "2028-01-01",
            "2026 Jun 1; 2027 Jun 7",
        ),
        // Weeks that extend into another year.
        (
            "DTSTART:20241227T090000\nRRULE:FREQ=YEARLY;WKST=SA;BYWEEKNO=52;BYDAY=FR",
            "2025-12-20",
            "2026-01-10",
            "2026 Jan 2",
        ),
        (
            "DTSTART:20201230T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=-53;BYDAY=WE",
            "2025-12-20",
            "2026-01-10",
            "2025 Dec 31",
        ),
        // Minutes combined with other limits.
        (
            "DTSTART:20260101T090000\nRRULE:FREQ=MINUTELY;INTERVAL=30;BYDAY=MO,TU;BYHOUR=9",
            "2026-01-02",
            "2026-01-07",
            "2026 Jan 5@09:00,09:30 6@09:00,09:30",
        ),
        (
            "DTSTART:20260101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=7;BYHOUR=4",
            "2026-01-01",
            "2026-01-02",
            "2026 Jan 1@00:00,04:05,04:12,04:19,04:26,04:33,04:40,04:47,04:54",
        ),
        (
            "DTSTART:20260101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=45;BYDAY=SU;BYMINUTE=15;COUNT=3",
            "2026-01-02",
            "2026-02-01",
            "2026 Jan 4@02:15,05:15,08:15",
        ),
        (
            "DTSTART:20260101T090000\nRRULE:FREQ=MINUTELY;INTERVAL=10080",
            "2026-01-02",
            "2026-01-16",
            "2026 Jan 8 15",
        ),
    ];
    for (properties, from, to, wanted) in cases {
        let calendar = calendar(&event(properties)).unwrap();
        assert_eq!(starts(&calendar, Zone::UTC, from, to), listed(wanted), "{properties}");
    }
}

#[test]
fn an_old_rule_is_not_expanded_from_its_first_day() {
    for rule in ["MINUTELY;INTERVAL=7", "HOURLY", "DAILY;INTERVAL=3", "WEEKLY;INTERVAL=2;BYDAY=MO,WE"] {
        let text = event(&format!("DTSTART:19700107T090000\nRRULE:FREQ={rule}"));
        let calendar = calendar(&text).unwrap();
        let short = starts(&calendar, Zone::UTC, "2026-03-09", "2026-03-23");
        let long = starts(&calendar, Zone::UTC, "2026-03-02", "2026-03-23");
        assert!(long.ends_with(&short) && !short.is_empty(), "{rule}: {short:?} {long:?}");
    }
    let weeks = |date: &str| date.parse::<NaiveDate>().unwrap().iso_week().week();
    let text = event("DTSTART:19700107T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE");
    let found = starts(&calendar(&text).unwrap(), Zone::UTC, "2026-03-01", "2026-04-01");
    // 7 January 1970 is in a week an even number of weeks before that of 5 January 2026.
    let found: Vec<u32> = found.iter().map(|start| weeks(&start[..10])).collect();
    assert!(found.windows(2).all(|pair| (pair[1] - pair[0]) % 2 == 0), "{found:?}");
}

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
    for (change, wanted) in cases {
        let calendar = calendar(&event(&format!("{series}\n{change}"))).unwrap();
        let found = starts(&calendar, named("Europe/London"), "2026-01-01", "2026-03-01");
        let found: Vec<&str> = found.iter().map(|start| &start[8..13]).collect();
        assert_eq!(found.join(" "), *wanted, "{change}");
    }
}

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
    for (definition, start, wanted) in [
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
        assert_eq!(starts(&calendar, Zone::UTC, "2026-01-01", "2027-01-01"), [wanted], "{start}");
    }
}

#[test]
fn unsupported_content_is_an_error_with_file_line_and_property() {
    for (text, wanted) in [
        (
            event("DTSTART;TZID=Mars/Olympus:20260101T090000"),
            "c.ics:6: DTSTART: unknown time zone \"Mars/Olympus\"",
        ),
        // The prefix does not define summer time, and its minutes count.
        (
            event("DTSTART;TZID=\"(UTC+05:30) Anywhere\":20260101T090000"),
            "c.ics:6: DTSTART: unknown time zone \"(UTC+05:30) Anywhere\"",
        ),
        (event("DTSTART;TZID=/EST/Nowhere:20260101T090000"), "unknown time zone \"/EST/Nowhere\""),
        (
            format!(
                "BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\nDTSTART:20251026T020000\nRDATE:20261025T020000,20271031T020000Z\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0000\nEND:STANDARD\nEND:VTIMEZONE\n{}",
                event("DTSTART;TZID=Home:20260101T090000")
            ),
            "c.ics:7: RDATE: invalid local time \"20271031T020000Z\"",
        ),
        (event("DTSTART:2026-01-01"), "c.ics:6: DTSTART: invalid date or time \"2026-01-01\""),
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
            "c.ics:8: EXDATE: is a time in UTC in an all-day series",
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
        assert!(problem.contains(wanted) && problem.contains("(hint: "), "{text}\n{problem}");
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
    assert_eq!(found[0].summary, "Café closed, sorry\n!");
    assert_eq!(found[0].categories, ["Holiday", "Bank"]);
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
    assert_eq!(read.occurrences(window).unwrap()[0].summary, "F\u{EA}te");
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
    for (zone, id, start, wanted) in [
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
        assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), wanted, "{zone}{id} {start}");
    }
    let problem =
        calendar(&changed("RECURRENCE-ID:20261224T230000Z", "DTSTART:20261230T100000Z")).unwrap_err();
    assert!(problem.contains("RECURRENCE-ID: is a time in UTC") && problem.contains("(hint: "), "{problem}");
    // A timed series matches by instant, even if the change is an all-day event.
    let timed = changed("RECURRENCE-ID:20261225T230000Z", "DTSTART;VALUE=DATE:20261230")
        .replace("DTSTART;VALUE=DATE:20261224", "DTSTART;TZID=Asia/Tokyo:20261225T080000");
    let found = starts(&calendar(&timed).unwrap(), Zone::UTC, "2026-12-01", "2027-01-31");
    assert_eq!(found, ["2026-12-24T23:00", "2026-12-26T23:00", "2026-12-30"]);
}

#[test]
fn an_inline_attachment_loses_no_event() {
    let attachment = format!("ATTACH;ENCODING=BASE64:{}", "\n QUJD".repeat(400_000));
    let read = calendar(&event(&format!("{attachment}\nDTSTART:20261228"))).unwrap();
    assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-28"]);
    assert!(warnings(&read).contains("bytes and is ignored"), "{}", warnings(&read));
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
    for (id, parts, wanted, warned) in [
        ("(UTC+10:00) Brisbane", alone, "02:00", "has no TZOFFSETFROM"),
        ("(UTC+10:00) Brisbane", date, "02:00", "the date is read as midnight"),
        ("Home", pair, "11:00", "has no TZOFFSETFROM"),
        ("E. Australia Standard Time", broken, "02:00", "the known zone Australia/Brisbane is used"),
    ] {
        let read = calendar(&zone(id, parts)).unwrap_or_else(|problems| panic!("{id}: {problems}"));
        assert_eq!(
            starts(&read, Zone::UTC, "2026-12-24", "2026-12-25"),
            [format!("2026-12-24T{wanted}")],
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
    for (modified, database, wanted) in [
        ("LAST-MODIFIED:20261101T000000Z\n", &older, "17:00"),
        ("LAST-MODIFIED:20250601T000000Z\n", &older, "19:00"),
        ("", &older, "19:00"),
        ("LAST-MODIFIED:20261101T000000Z\n", &*Database::embedded(), "19:00"),
    ] {
        let read = Calendar::parse(&"c.ics".into(), text(modified).as_bytes(), database).unwrap();
        let found = starts(&read, Zone::UTC, "2026-12-24", "2026-12-25");
        assert_eq!(found, [format!("2026-12-24T{wanted}")], "{modified} {database}");
        assert_eq!(warnings(&read).contains("is newer here"), wanted == "17:00");
    }
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
fn an_event_inside_another_component_is_read_with_a_warning() {
    let inner = event("DTSTART;VALUE=DATE:20261228").replace("UID:1", "UID:2");
    let read =
        calendar(&format!("{}\nBEGIN:VTODO\n{inner}\nEND:VTODO", event("DTSTART;VALUE=DATE:20261224")))
            .unwrap();
    assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-24", "2026-12-28"]);
    assert!(!warnings(&read).is_empty());
}

#[test]
fn an_invalid_zone_definition_fails_only_events_that_use_it() {
    let zone = "BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:?\nTZOFFSETTO:?\nEND:STANDARD\nEND:VTIMEZONE\n";
    let read = calendar(&format!("{zone}{}", event("DTSTART;VALUE=DATE:20261228"))).unwrap();
    assert_eq!(starts(&read, Zone::UTC, "2026-12-01", "2027-01-31"), ["2026-12-28"]);
    let reported = calendar(&format!("{zone}{}", event("DTSTART;TZID=Mine:20261228T090000"))).unwrap_err();
    assert!(reported.contains("invalid offset"), "{reported}");
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
    for (zone, until, wanted) in [
        ("", "20261226", "24 25 26"),
        ("", "20261226T000000Z", "24 25 26"),
        ("", "20261226T235959Z", "24 25 26"),
        (paris, "20261225T230000Z", "24 25 26"),
        (paris, "20261226T235959Z", "24 25 26"),
        (new_york, "20261227T045959Z", "24 25 26"),
    ] {
        assert_eq!(days(zone, &format!("FREQ=DAILY;UNTIL={until}")).unwrap(), wanted, "{zone}{until}");
    }
    let read = calendar(&format!("X-WR-TIMEZONE:Foo\n{}", event("DTSTART;VALUE=DATE:20261224"))).unwrap();
    assert!(warnings(&read).contains("the time zone is unknown"), "{}", warnings(&read));
    let reported = days("", "FREQ=DAILY;UNTIL=20261225T230000Z").unwrap_err();
    assert!(reported.contains("the date is ambiguous"), "{reported}");
    // Times of day would repeat each date and use up the count.
    assert_eq!(days("", "FREQ=DAILY;BYHOUR=9,12;COUNT=4").unwrap(), "24 25 26 27");
}
