//! Local time to instant and back: the one place where a wall clock that skips or repeats is decided.

use chrono::{Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use crate::model::Instant;

/// The instant at which the wall clock of `zone` first shows `local` or a later time.
///
/// A time that occurs twice is its first occurrence; a time that the clock skips is the instant of
/// the clock change, when the wall clock already shows a later time (DESIGN 3.3).
pub fn instant(zone: Tz, local: NaiveDateTime) -> Instant {
    resolve(zone, local, |gap| gap.end.map(|end| end.with_timezone(&Utc)))
}

/// The same for calendar events, where RFC 5545, 3.3.5 holds: a skipped time counts with the
/// offset before the gap.
pub fn event_instant(zone: Tz, local: NaiveDateTime) -> Instant {
    resolve(zone, local, |gap| {
        let (_, before) = gap.begin?;
        local.checked_sub_offset(before.fix()).map(|utc| utc.and_utc())
    })
}

fn resolve(zone: Tz, local: NaiveDateTime, in_gap: impl Fn(GapInfo) -> Option<Instant>) -> Instant {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => time.with_timezone(&Utc),
        LocalResult::Ambiguous(a, b) => a.min(b).with_timezone(&Utc),
        // Only at the ends of time can a gap be without an edge; the local time stands in there.
        LocalResult::None => GapInfo::new(&local, &zone).and_then(in_gap).unwrap_or_else(|| local.and_utc()),
    }
}

/// What the wall clock of `zone` shows at an instant.
pub fn local(zone: Tz, at: Instant) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// The date that the wall clock of `zone` shows at an instant.
pub fn date(zone: Tz, at: Instant) -> NaiveDate {
    local(zone, at).date()
}

/// Whether the date occurs in the zone: Samoa went from 29 to 31 December 2011.
pub fn occurs(zone: Tz, date: NaiveDate) -> bool {
    // One that has a noon occurs; the longer question is for the few that have none.
    let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap_or(NaiveTime::MIN);
    !matches!(zone.offset_from_local_datetime(&date.and_time(noon)), LocalResult::None)
        || start_of(zone, date) < start_of(zone, next(date))
}

/// The first instant of a date, which is midnight unless the clock skips it.
pub fn start_of(zone: Tz, date: NaiveDate) -> Instant {
    instant(zone, date.and_time(NaiveTime::MIN))
}

/// The date after; the last date there is stays itself.
pub fn next(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

/// The instant as people see it: local time with its zone, and UTC.
pub fn show(zone: Tz, at: Instant) -> String {
    format!("{} {zone} ({})", local(zone, at).format("%a %Y-%m-%d %H:%M:%S"), at.format("%Y-%m-%dT%H:%M:%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap()
    }

    fn table(resolve: impl Fn(Tz, NaiveDateTime) -> Instant, cases: &[(&str, &str, &str)]) {
        for (zone, local, wanted) in cases {
            let found = resolve(zone.parse().unwrap(), time(local));
            assert_eq!(found.format("%Y-%m-%dT%H:%M").to_string(), *wanted, "{zone} {local}");
        }
    }

    /// Transitions by the IANA database; the expected instants were worked out by hand from its rules.
    #[test]
    fn a_skipped_time_is_the_clock_change_and_a_repeated_one_its_first_occurrence() {
        table(
            instant,
            &[
                // Forward at 01:00 UTC on 2026-03-29; back at 01:00 UTC on 2026-10-25.
                ("Europe/London", "2026-03-29T00:59", "2026-03-29T00:59"),
                ("Europe/London", "2026-03-29T01:00", "2026-03-29T01:00"),
                ("Europe/London", "2026-03-29T01:45", "2026-03-29T01:00"),
                ("Europe/London", "2026-03-29T02:00", "2026-03-29T01:00"),
                ("Europe/London", "2026-10-25T01:30", "2026-10-25T00:30"),
                ("Europe/London", "2026-10-25T02:00", "2026-10-25T02:00"),
                // Forward at 07:00 UTC on 2026-03-08; back at 06:00 UTC on 2026-11-01.
                ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),
                ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
                // Half an hour: back at 15:00 UTC on 2026-04-04, forward at 15:30 UTC on 2026-10-03.
                ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
                ("Australia/Lord_Howe", "2026-04-05T02:00", "2026-04-04T15:30"),
                ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
                ("Australia/Lord_Howe", "2026-10-04T02:30", "2026-10-03T15:30"),
                ("Asia/Kathmandu", "2026-06-01T09:00", "2026-06-01T03:15"),
                // 30 December 2011 does not occur: from UTC-10 to UTC+14 at its start.
                ("Pacific/Apia", "2011-12-29T23:59", "2011-12-30T09:59"),
                ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T10:00"),
                ("Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00"),
                // Ramadan: back to UTC+0 on 2026-02-15 at 03:00, forward on 2026-03-22 at 02:00.
                ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30"),
                ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:00"),
            ],
        );
    }

    #[test]
    fn an_event_at_a_skipped_time_counts_with_the_offset_before() {
        table(
            event_instant,
            &[
                ("Europe/London", "2026-03-29T01:30", "2026-03-29T01:30"),
                ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30"),
                ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45"),
                ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
                ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T19:00"),
                ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:30"),
            ],
        );
    }

    #[test]
    fn only_a_date_that_is_skipped_whole_does_not_occur() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let apia: Tz = "Pacific/Apia".parse().unwrap();
        assert!(!occurs(apia, date("2011-12-30")));
        assert!(occurs(apia, date("2011-12-29")));
        assert!(occurs(apia, date("2011-12-31")));
        // Midnight itself is skipped here, the rest of the date is not.
        let beirut: Tz = "Asia/Beirut".parse().unwrap();
        assert!(occurs(beirut, date("2026-03-29")));
        assert_eq!(start_of(beirut, date("2026-03-29")).format("%H:%M").to_string(), "22:00");
    }
}
