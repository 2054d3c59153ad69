//! Recurrence rules: the examples of RFC 5545, 3.8.5.3 with its dates, and edge cases.

use chrono::{Datelike, NaiveDate};

use super::{NEW_YORK, calendar, event, starts};
use crate::zone::Zone;

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
    for (properties, to, expected) in cases {
        let start = match properties.contains("DTSTART") {
            true => String::new(),
            false => "DTSTART;TZID=America/New_York:19970902T090000\n".to_owned(),
        };
        let calendar = calendar(&event(&format!("{start}{properties}"))).unwrap();
        assert_eq!(starts(&calendar, *NEW_YORK, "1996-01-01", to), listed(expected), "{properties}");
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
    for (properties, from, to, expected) in cases {
        let calendar = calendar(&event(properties)).unwrap();
        assert_eq!(starts(&calendar, Zone::UTC, from, to), listed(expected), "{properties}");
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
