//! Table tests for the rules of time, one case per line:
//! `zone | weekly | special and closing dates | local time => state`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDateTime;

use super::{Day, Hours, Interval, Recent, Season, nested, parse_day, parse_week, settle};
use crate::calendar::{Agenda, Calendar, Filter, Window};
use crate::model::{Instant, Origin};
use crate::zone::{self, Database, Zone};

/// Parses hours from text.
///
/// - `2026-12-25 closed` and `2026-12-24 09:00-13:00` are special dates.
/// - `holiday 2026-12-25` is a date of a closing calendar.
/// - `season 2026-12-01..2026-12-10 Mo 10:00-12:00` has weekly hours for a range of dates.
/// - `shut 2026-12-24T10:00Z/2026-12-24T11:00Z` is a timed event of a closing calendar.
pub(crate) fn hours(zone: &str, weekly: &str, exceptions: &str) -> Hours {
    let origin = Origin::named("test");
    let day = |intervals| Day { intervals, name: None, origin: origin.clone() };
    let (mut special, mut seasons, mut events) = (BTreeMap::new(), Vec::new(), String::new());
    let mut closing = |start: String| {
        let uid = events.len();
        events += &format!("BEGIN:VEVENT\nUID:{uid}\nSUMMARY:Holiday\nDTSTART{start}\nEND:VEVENT\n");
    };
    for exception in exceptions.split(" & ").filter(|text| !text.is_empty()) {
        match exception.split_once(' ').unwrap() {
            ("holiday", date) => {
                closing(format!(";VALUE=DATE:{}", date.replace('-', "")));
            }
            ("shut", range) => {
                let range = range.replace(['-', ':'], "").replace('Z', "00Z");
                let (from, to) = range.split_once('/').unwrap();
                closing(format!(":{from}\nDTEND:{to}"));
            }
            ("season", season) => seasons.push(self::season(season)),
            (date, hours) => {
                special.insert(date.parse().unwrap(), day(parse_day(hours).unwrap()));
            }
        }
    }
    Hours {
        forced: Vec::new(),
        name: "hours".to_owned(),
        zone: zone::named(zone),
        weekly: parse_week(weekly).unwrap().days.map(|intervals| intervals.map(day)).into(),
        holidays: parse_week(weekly).unwrap().holidays.map(day),
        seasons: nested(seasons).unwrap(),
        special: special.into(),
        closures: Arc::new(closures(&events, zone::named(zone))),
        closed_holidays: BTreeSet::default(),
        origin: origin.clone(),
        recent: Recent::default(),
    }
}

/// Reads the events of a closing calendar.
fn closures(events: &str, here: Zone) -> Agenda {
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\n{events}END:VCALENDAR\n");
    let calendar = Calendar::parse(&"test.ics".into(), text.as_bytes(), &Database::embedded()).unwrap();
    let window = Window { from: "2026-01-01".parse().unwrap(), to: "2028-01-01".parse().unwrap() };
    Agenda::new(&calendar.occurrences(window).unwrap(), &Filter::default(), here, window)
}

/// Parses a season such as `2026-12-01..2026-12-10 Mo-Fr 10:00-12:00`; either end may be omitted.
fn season(text: &str) -> Season {
    let (range, weekly) = text.split_once(' ').unwrap();
    let (from, through) = range.split_once("..").unwrap();
    let day = |intervals| Day { intervals, name: None, origin: Origin::named("season") };
    let weekly = parse_week(weekly).unwrap().days.map(|intervals| intervals.map(day));
    Season { from: from.parse().ok(), through: through.parse().ok(), weekly }
}

/// Parses a local time (its first occurrence) or, with a `Z`, an instant.
pub(crate) fn at(zone: Zone, text: &str) -> Instant {
    match text.strip_suffix('Z') {
        Some(utc) => NaiveDateTime::parse_from_str(utc, "%Y-%m-%dT%H:%M").unwrap().and_utc(),
        None => zone::instant(zone, NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap()),
    }
}

const CASES: &[&str] = &[
    // [open, close): the opening minute is open, the closing minute is not.
    "Europe/London | Mo-Fr 09:00-17:00 | | 2026-12-21T08:59 => closed",
    "Europe/London | Mo-Fr 09:00-17:00 | | 2026-12-21T09:00 => open",
    "Europe/London | Mo-Fr 09:00-17:00 | | 2026-12-21T16:59 => open",
    "Europe/London | Mo-Fr 09:00-17:00 | | 2026-12-21T17:00 => closed",
    "Europe/London | Mo-Fr 09:00-12:30, 13:30-17:30 | | 2026-12-21T13:00 => closed",
    "Europe/London | Mo-Fr 09:00-12:30, 13:30-17:30 | | 2026-12-21T13:30 => open",
    "Asia/Kathmandu | Mo-Fr 09:00-17:00 | | 2026-12-21T03:15Z => open",
    "Asia/Kathmandu | Mo-Fr 09:00-17:00 | | 2026-12-21T03:14Z => closed",
    // Past midnight: the interval belongs to its first date and continues to its end into a
    // holiday.
    "Europe/London | fr 22:00-02:00 | 2026-12-25 closed | 2026-12-25T23:00 => closed",
    "Europe/London | th 22:00-02:00 | 2026-12-25 closed | 2026-12-25T00:30 => open",
    "Europe/London | th 22:00-02:00 | holiday 2026-12-25 | 2026-12-25T01:59 => open",
    "Europe/London | fr 22:00-02:00 | holiday 2026-12-25 | 2026-12-26T00:30 => closed",
    // OpenStreetMap's evaluators end the night at 00:00, where the later rule begins.
    "Europe/London | Fr 22:00-02:00; Sa off | | 2026-12-26T01:59 => open",
    "Europe/London | Fr 22:00-02:00; Sa off | | 2026-12-26T02:00 => closed",
    // 24:00, whole days, and adjacent intervals.
    "Europe/London | daily 18:00-24:00 | | 2026-12-21T23:59 => open",
    "Europe/London | daily 18:00-24:00 | | 2026-12-22T00:00 => closed",
    "Europe/London | daily 00:00-24:00 | | 2026-12-22T00:00 => open",
    // Precedence: special date, then closing calendar, then weekly hours.
    "Europe/London | mo-fr 09:00-17:00 | holiday 2026-12-25 | 2026-12-25T10:00 => closed",
    "Europe/London | mo-fr 09:00-17:00 | holiday 2026-12-25 & 2026-12-25 10:00-12:00 | 2026-12-25T10:30 => open",
    "Europe/London | mo-fr 09:00-17:00; PH 10:00-14:00 | holiday 2026-12-25 & shut 2026-12-25T11:00Z/2026-12-25T12:00Z | 2026-12-25T10:30 => open",
    "Europe/London | mo-fr 09:00-17:00; PH 10:00-14:00 | holiday 2026-12-25 & shut 2026-12-25T11:00Z/2026-12-25T12:00Z | 2026-12-25T11:30 => closed",
    "Europe/London | mo-fr 09:00-17:00 | 2026-12-26 10:00-12:00 | 2026-12-26T11:00 => open",
    "Europe/London | mo-fr 09:00-17:00 | shut 2026-12-24T10:00Z/2026-12-24T11:00Z | 2026-12-24T10:30 => closed",
    "Europe/London | mo-fr 09:00-17:00 | shut 2026-12-24T10:00Z/2026-12-24T11:00Z | 2026-12-24T11:00 => open",
    "Europe/London | mo-fr 09:00-17:00 | shut 2026-12-24T10:00Z/2026-12-24T11:00Z & 2026-12-24 09:00-13:00 | 2026-12-24T10:30 => open",
    // A season replaces the weekly hours: special dates and calendars take precedence, and it
    // applies only to days that it has.
    "Europe/London | mo-fr 09:00-17:00 | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 | 2026-12-21T09:30 => closed",
    "Europe/London | mo-fr 09:00-17:00 | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 | 2026-12-31T11:59 => open",
    "Europe/London | mo-fr 09:00-17:00 | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 | 2027-01-01T09:30 => open",
    "Europe/London | mo-fr 09:00-17:00 | season 2026-12-01..2026-12-31 Mo 10:00-12:00 | 2026-12-22T09:30 => open",
    "Europe/London | mo-fr 09:00-17:00 | season 2026-12-01..2026-12-31 Mo off | 2026-12-21T10:00 => closed",
    "Europe/London | mo-fr 09:00-17:00 | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 & holiday 2026-12-25 | 2026-12-25T11:00 => closed",
    "Europe/London | off | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 & shut 2026-12-24T10:00Z/2026-12-24T11:00Z | 2026-12-24T10:30 => closed",
    "Europe/London | off | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 & 2026-12-24 14:00-15:00 | 2026-12-24T11:00 => closed",
    // The narrower of two seasons wins, in whatever order they are written; either end may be
    // missing.
    "Europe/London | off | season 2026-12-24..2026-12-24 Th 14:00-15:00 & season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 | 2026-12-24T11:00 => closed",
    "Europe/London | off | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 & season 2026-12-24..2026-12-24 Th 14:00-15:00 | 2026-12-24T11:00 => closed",
    "Europe/London | off | season 2026-12-01..2026-12-31 Mo-Fr 10:00-12:00 & season 2026-12-24..2026-12-24 Th 14:00-15:00 | 2026-12-24T14:00 => open",
    "Europe/London | off | season 2026-12-21.. Mo 10:00-12:00 | 2026-12-14T11:00 => closed",
    "Europe/London | off | season 2026-12-21.. Mo 10:00-12:00 | 2036-12-22T11:00 => open",
    "Europe/London | off | season ..2026-12-21 Mo 10:00-12:00 | 2026-12-21T11:00 => open",
    "Europe/London | off | season ..2026-12-21 Mo 10:00-12:00 | 2026-12-28T11:00 => closed",
    // The clock goes forward: 01:15-01:45 does not exist, and an hour that is half skipped starts
    // at the change.
    "Europe/London | su 01:15-01:45 | | 2026-03-29T01:00Z => closed",
    "Europe/London | su 01:15-01:45 | | 2026-03-29T00:59Z => closed",
    "Europe/London | su 01:30-03:00 | | 2026-03-29T00:59Z => closed",
    "Europe/London | su 01:30-03:00 | | 2026-03-29T01:00Z => open",
    "Europe/London | su 01:30-03:00 | | 2026-03-29T02:00Z => closed",
    "America/New_York | su 02:00-04:00 | | 2026-03-08T06:59Z => closed",
    "America/New_York | su 02:00-04:00 | | 2026-03-08T07:00Z => open",
    "Africa/Casablanca | su 02:15-04:00 | | 2026-03-22T02:00Z => open",
    "Africa/Casablanca | su 02:15-04:00 | | 2026-03-22T01:59Z => closed",
    "Australia/Lord_Howe | su 02:15-03:00 | | 2026-10-03T15:29Z => closed",
    "Australia/Lord_Howe | su 02:15-03:00 | | 2026-10-03T15:30Z => open",
    // The clock goes back: a repeated time is its first occurrence, at both ends.
    "Europe/London | su 00:30-01:30 | | 2026-10-25T00:29Z => open",
    "Europe/London | su 00:30-01:30 | | 2026-10-25T00:30Z => closed",
    "Europe/London | su 00:30-01:30 | | 2026-10-25T01:15Z => closed",
    "Europe/London | su 01:30-02:30 | | 2026-10-25T01:45Z => open",
    "America/New_York | su 01:30-03:00 | | 2026-11-01T05:29Z => closed",
    "America/New_York | su 01:30-03:00 | | 2026-11-01T05:30Z => open",
    "Australia/Lord_Howe | su 01:45-03:00 | | 2026-04-04T14:45Z => open",
    "Australia/Lord_Howe | su 01:45-03:00 | | 2026-04-04T14:44Z => closed",
    "Africa/Casablanca | su 02:30-05:00 | | 2026-02-15T01:30Z => open",
    // Samoa had no 30 December 2011, a Friday; an interval that began on the 29th ends at the
    // change.
    "Pacific/Apia | fr 09:00-17:00 | | 2011-12-30T10:00Z => closed",
    "Pacific/Apia | th 22:00-02:00 | | 2011-12-30T09:59Z => open",
    "Pacific/Apia | th 22:00-02:00 | | 2011-12-30T10:00Z => closed",
    "Pacific/Apia | th 22:00-24:00 | | 2011-12-30T09:59Z => open",
    "Pacific/Apia | th,sa 00:00-24:00 | | 2011-12-30T10:00Z => open",
];

#[test]
fn the_invariants_of_hours_hold_in_every_zone() {
    for case in CASES {
        let (question, expected) = case.split_once("=>").unwrap();
        let parts: Vec<&str> = question.split('|').map(str::trim).collect();
        let hours = hours(parts[0], parts[1], parts[2]);
        let found = if hours.is_open(at(hours.zone, parts[3])) { "open" } else { "closed" };
        assert_eq!(found, expected.trim(), "{case}");
    }
}

/// `zone | weekly | exceptions | from => next change, next opening`, in UTC.
#[test]
fn the_next_transition_is_found_however_far_away_it_is() {
    for case in [
        "Europe/London | Mo-Fr 09:00-17:00 | | 2026-12-18T16:59 => 2026-12-18T17:00 2026-12-21T09:00",
        "Europe/London | Mo-Fr 09:00-17:00 | | 2026-12-18T17:00 => 2026-12-21T09:00 2026-12-21T09:00",
        "Europe/London | Mo-Fr 09:00-17:00 | holiday 2026-12-25 & holiday 2026-12-28 | 2026-12-24T17:00 => 2026-12-29T09:00 2026-12-29T09:00",
        "Europe/London | daily 00:00-24:00 | | 2026-12-18T17:00 => never never",
        "Europe/London | closed | | 2026-12-18T17:00 => never never",
        "Europe/London | closed | 2027-06-01 10:00-11:00 | 2026-12-18T17:00 => 2027-06-01T09:00 2027-06-01T09:00",
        "Europe/London | daily 00:00-24:00 | 2027-06-01 closed | 2026-12-18T17:00 => 2027-05-31T23:00 2027-06-01T23:00",
        "Europe/London | daily 08:00-02:00 | | 2026-12-18T17:00 => 2026-12-19T02:00 2026-12-19T08:00",
        "Europe/London | mo 09:00-12:00, 12:00-15:00, 14:00-17:00 | | 2026-12-21T09:00 => 2026-12-21T17:00 2026-12-28T09:00",
        "Europe/London | closed | season 2027-06-07..2027-06-13 Mo 10:00-11:00 | 2026-12-18T17:00 => 2027-06-07T09:00 2027-06-07T09:00",
        "Europe/London | daily 00:00-24:00 | season 2027-06-01..2027-06-01 Tu closed | 2026-12-18T17:00 => 2027-05-31T23:00 2027-06-01T23:00",
        "America/New_York | daily 09:00-17:00 | | 2026-03-07T22:00Z => 2026-03-08T13:00 2026-03-08T13:00",
    ] {
        let (question, expected) = case.split_once("=>").unwrap();
        let parts: Vec<&str> = question.split('|').map(str::trim).collect();
        let hours = hours(parts[0], parts[1], parts[2]);
        let from = at(hours.zone, parts[3]);
        let show =
            |at: Option<Instant>| at.map_or("never".to_owned(), |at| at.format("%Y-%m-%dT%H:%M").to_string());
        let found = format!("{} {}", show(hours.next_change(from)), show(hours.next_open(from)));
        assert_eq!(found, expected.trim(), "{case}");
    }
}

#[test]
fn a_day_is_shown_in_its_own_times() {
    let london = hours(
        "Europe/London",
        "Mo-Th 09:00-12:30, 13:30-17:30; Fr 22:00-02:00; Sa 18:00-24:00; Su 00:00-24:00",
        "holiday 2026-12-24",
    );
    for (date, expected) in [
        ("2026-12-21", "09:00-12:30, 13:30-17:30"),
        ("2026-12-24", "closed"),
        ("2026-12-25", "22:00-02:00"),
        ("2026-12-26", "18:00-24:00"),
        ("2026-12-27", "00:00-24:00"),
        ("2026-03-29", "00:00-24:00"),
    ] {
        assert_eq!(london.text(date.parse().unwrap()), expected, "{date}");
    }
    let special = london.special_dates("2026-12-20".parse().unwrap(), 10);
    assert_eq!(special.len(), 1);
    assert_eq!(
        (special[0].date.to_string().as_str(), special[0].name.as_deref()),
        ("2026-12-24", Some("Holiday"))
    );
}

#[test]
fn seasons_are_described_and_distinguished_by_their_dates() {
    let of = |exceptions: &str| hours("Europe/London", "Mo-Fr 09:00-17:00", exceptions);
    let summer = "season 2026-12-01..2026-12-22 Mo-Tu 10:00-12:00";
    let hours = of(summer);
    let dates = hours.special_dates("2026-12-20".parse().unwrap(), 10);
    // A season's day is special if it differs from the ordinary week, which readers know.
    assert_eq!(
        dates.iter().map(|date| date.date.to_string()).collect::<Vec<_>>(),
        ["2026-12-21", "2026-12-22"]
    );
    assert!(
        of("season 2026-12-01..2026-12-22 Mo 09:00-17:00")
            .special_dates("2026-12-20".parse().unwrap(), 10)
            .is_empty()
    );
    let because = |at: &str| hours.because(self::at(hours.zone, at));
    assert_eq!(
        because("2026-12-21T11:00"),
        "hours is open 10:00-12:00 on Mon 2026-12-21 from 2026-12-01 to 2026-12-22 (season)"
    );
    assert_eq!(
        because("2026-12-21T13:00"),
        "hours is 10:00-12:00 on Mon from 2026-12-01 to 2026-12-22 (season)"
    );
    assert_eq!(because("2026-12-23T10:00"), "hours is open 09:00-17:00 on Wed 2026-12-23 (test)");
    assert!(hours.is_equivalent(&of(summer)));
    for other in [
        "",
        "season 2026-12-01..2026-12-23 Mo-Tu 10:00-12:00",
        "season 2026-12-01..2026-12-22 Mo 10:00-12:00",
    ] {
        assert!(!hours.is_equivalent(&of(other)) && !of(other).is_equivalent(&hours), "{other}");
    }
    // Overlapping seasons are ambiguous unless they cover different weekdays.
    let clash =
        |other: &str| nested(vec![season("2026-12-01..2026-12-22 Mo 10:00-12:00"), season(other)]).err();
    assert_eq!(clash("2026-12-15.. Mo-Fr 09:00-10:00").unwrap().date.to_string(), "2026-12-21");
    assert_eq!(clash("2026-12-15..2026-12-31 Tu 09:00-10:00"), None);
    assert_eq!(clash("2026-12-22..2026-12-31 Mo 09:00-10:00"), None);
}

#[test]
fn a_season_without_an_end_replaces_the_weekly_hours_once_it_has_begun() {
    let mut hours = hours(
        "Europe/London",
        "Mo-Fr 09:00-17:00",
        "season 2024-01-01.. Mo-Tu 10:00-12:00 & season 2020-01-01.. Mo-We 11:00-12:00 & season 2027-01-01.. Mo off & season 2026-10-01..2026-10-31 Mo off",
    );
    let asked = ["2026-12-21", "2026-12-22", "2026-12-23", "2026-12-24", "2027-01-04"]
        .map(|date| date.parse().unwrap());
    let before = asked.map(|date| hours.text(date));
    assert_eq!(before, ["10:00-12:00", "10:00-12:00", "11:00-12:00", "09:00-17:00", "closed"]);
    let mut weekly: [Option<Day>; 7] = std::array::from_fn(|weekday| hours.weekly.day(weekday).cloned());
    settle(&mut weekly, &mut hours.seasons, "2026-12-01".parse().unwrap());
    hours.weekly = weekly.into();
    assert_eq!(asked.map(|date| hours.text(date)), before);
    assert_eq!(hours.seasons.len(), 1, "one is to come, and one that closed is over");
    assert!(hours.special_dates("2026-12-20".parse().unwrap(), 10).is_empty());
}

/// The timeline is consistent: minute by minute, the state changes at each change and nowhere in
/// between.
#[test]
fn the_state_is_constant_between_two_transitions() {
    let hours = hours(
        "Europe/London",
        "Mo-Th 09:00-12:30, 13:30-17:30; Fr 22:00-02:00; Su 01:15-02:15",
        "2026-03-31 10:00-01:00 & shut 2026-03-30T10:00Z/2026-03-30T11:30Z",
    );
    let mut now = at(Zone::UTC, "2026-03-26T00:00Z");
    let end = at(Zone::UTC, "2026-04-05T00:00Z");
    let mut next = hours.next_change(now).unwrap();
    let mut state = hours.is_open(now);
    while now < end {
        if now == next {
            assert_ne!(hours.is_open(now), state, "{now}");
            state = !state;
            next = hours.next_change(now).unwrap();
        }
        assert_eq!(hours.is_open(now), state, "{now}");
        now += chrono::TimeDelta::minutes(1);
    }
}

#[test]
fn text_without_valid_hours_is_refused_with_a_hint() {
    for (text, expected) in [
        ("", "the hours are empty"),
        ("25:00-26:00", "\"25:00\" is not a time"),
        ("9-17", "\"9\" is not a time"),
        ("09:00", "invalid interval \"09:00\""),
        ("09:00-09:00", "opens and closes at the same time"),
        ("24:00-06:00", "is only valid as a closing time"),
        ("09:60-10:00", "\"09:60\" is not a time"),
        ("Closed ", ""),
        ("9:00–17:30", ""),
    ] {
        match parse_day(text) {
            Err(error) => {
                assert!(!expected.is_empty() && error.message.contains(expected), "{text}: {error:?}")
            }
            Ok(_) => assert_eq!(expected, "", "{text}"),
        }
    }
    for (text, expected) in [
        ("", "empty"),
        ("Mo-Fr", "has no hours"),
        ("Xx 09:00-17:00", "invalid day of the week \"Xx\""),
        ("Mo-Fr 09:00-12:00; 13:00-17:00", "missing days for \"13:00-17:00\""),
        ("Mo-Fr 09:00-12:00; Mo-Fr 13:00-17:00", "Mon has hours already"),
        ("ẞclosed", "invalid day of the week"),
        ("Mo-Fr 09:00-17:00; SH off", "school holidays cannot be used in weekly hours"),
        ("Dec 25 off; Mo-Fr 09:00-17:00", "parts of the year cannot be used"),
        ("week 01-10 Mo 09:00-17:00", "parts of the year cannot be used"),
        ("Mo-Fr sunrise-sunset", "a time that depends on the sun cannot be used"),
        ("Mo-Fr 09:00+", "an open end is not supported"),
        ("Th[1] 09:00-17:00", "a weekday of the month is not supported"),
        ("Mo-Fr 09:00-17:00 || \"by appointment\"", "a comment is not supported"),
        ("Mo-Fr 09:00-17:00, Sa 10:00-12:00", "another day stands behind a comma"),
        ("24/7; Su off", "24/7 cannot be combined"),
        ("PH off; PH 10:00-12:00", "holidays have hours already"),
        ("Mo 09:00-25:00", "\"25:00\" is not a time"),
    ] {
        let error = parse_week(text).unwrap_err();
        assert!(error.message.contains(expected), "{text}: {error:?}");
    }
    for (text, expected, hint) in [
        ("20:00-26:00", "\"26:00\" is not a time: a day has 24 hours", "as in 20:00-02:00"),
        ("Fr 20:00-24:30", "\"24:30\" is not a time: a day has 24 hours", "as in 20:00-02:00"),
        ("Fr 20:00-49:00", "\"49:00\" is not a time", "write HH:MM"),
        ("Mo-Fr 09:00-17:00; 2026-11-24 off", "a year or a date cannot be used", "special"),
        ("2026 Mo 09:00-17:00", "a year or a date cannot be used", "special"),
        ("2026-2028 Mo 09:00-17:00", "a year or a date cannot be used", "special"),
        (
            "Jan-Mar Mo-Fr 09:00-17:00",
            "parts of the year cannot be used",
            "hours of seasons are read from schema_org",
        ),
        ("Mo-Fr 2000-2200", "\"2000\" is not a time", "write HH:MM"),
        ("Mo-Fr unknown", "an unknown state cannot be used", "or closed"),
        ("Mo-Fr 09:00-17:00 open", "the word open cannot be used", "alone"),
        (
            "Mo 10:00-16:00/90",
            "repetition within an interval is not supported",
            "when it opens and when it closes",
        ),
        ("PH +1 day off", "a date relative to another cannot be used", "special"),
        ("Mo-Fr off; Mo 09:00-10:00", "Mon has hours already", "name each day once"),
        // OpenStreetMap: a later rule wins on the days it names, including holidays among them.
        ("Mo-Fr,PH 09:00-17:00; Sa,Su off", "\"Sa,Su off\" follows PH", "write PH last"),
        ("PH 08:00-22:00; Mo-Fr 09:00-17:00", "\"Mo-Fr 09:00-17:00\" follows PH", "write PH last"),
        ("PH off; Mo-Fr 09:00-17:00", "follows PH", "write PH last"),
        ("PH off; Su off; PH 10:00-12:00", "follows PH", "write PH last"),
    ] {
        let error = parse_week(text).unwrap_err();
        assert!(error.message.contains(expected) && error.hint.contains(hint), "{text}: {error:?}");
    }
    for text in ["every day 09:00-17:00", "Mo-Su 00:00-24:00; Sa,PH off", "Sa off; Mo-Fr,PH 09:00-17:00"] {
        assert!(parse_week(text).is_ok(), "{text}");
    }
    let week = parse_week("fri-wed 09:00-12:00, 13:00-17:00; Tues,Sun closed").unwrap();
    let open: Vec<usize> = week.days.iter().map(|day| day.as_ref().map_or(9, Vec::len)).collect();
    assert_eq!(open, [2, 0, 2, 9, 2, 2, 0]);
}

/// The examples of the OpenStreetMap wiki's page on opening_hours that concern weekdays and
/// holidays.
#[test]
fn weekly_hours_from_openstreetmap_are_parsed() {
    let week = |text: &str| {
        let week = parse_week(text).unwrap();
        let show = |intervals: &Vec<Interval>| {
            let times: Vec<String> = intervals.iter().map(|i| format!("{}-{}", i.open, i.close)).collect();
            times.join(",")
        };
        let days: Vec<String> =
            week.days.iter().map(|day| day.as_ref().map_or("-".to_owned(), show)).collect();
        (days.join(" "), week.holidays.as_ref().map(show))
    };
    for (text, days, holidays) in [
        ("24/7", "0-1440 0-1440 0-1440 0-1440 0-1440 0-1440 0-1440", None),
        ("Mo-Fr 08:00-17:30", "480-1050 480-1050 480-1050 480-1050 480-1050 - -", None),
        (
            "Mo-Fr 09:00-17:00; Sa 10:00-14:00; PH off",
            "540-1020 540-1020 540-1020 540-1020 540-1020 600-840 -",
            Some(""),
        ),
        (
            "Mo-Fr 08:00-12:00,13:00-17:30; Sa 08:00-12:00",
            "480-720,780-1050 480-720,780-1050 480-720,780-1050 480-720,780-1050 480-720,780-1050 480-720 -",
            None,
        ),
        ("Tu-Su 10:00-18:00; Mo,PH off", " 600-1080 600-1080 600-1080 600-1080 600-1080 600-1080", Some("")),
        ("Su-Tu 11:00-01:00; PH 12:00-20:00", "660-1500 660-1500 - - - - 660-1500", Some("720-1200")),
        ("00:00-24:00", "0-1440 0-1440 0-1440 0-1440 0-1440 0-1440 0-1440", None),
    ] {
        assert_eq!(week(text), (days.to_owned(), holidays.map(str::to_owned)), "{text}");
    }
}
