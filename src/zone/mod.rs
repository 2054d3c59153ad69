//! Time zones: the zone database, and the only place where local time is converted to an instant.

mod database;
mod names;
mod rules;

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};

use crate::model::Instant;

pub use database::Database;
pub(crate) use database::{TzifFiles, Version};
pub use names::known_names;
pub(crate) use names::{by_windows_name, fixed_offset};
pub use rules::Zone;

/// Returns the instant at which the wall clock of `zone` first shows `local` or a later time.
///
/// A time that occurs twice is its first occurrence. A time that the clock skips is the instant of
/// the clock change.
pub fn instant(zone: Zone, local: NaiveDateTime) -> Instant {
    match zone.first_offset(local) {
        (_, Some(change)) => change,
        (offset, None) => utc(local, offset),
    }
}

/// Returns the instants at which the wall clock of `zone` shows `local`.
///
/// There are two for a time that occurs twice. Otherwise there is one, as returned by [`instant`].
pub(crate) fn instants(zone: Zone, local: NaiveDateTime) -> impl Iterator<Item = Instant> {
    let first = instant(zone, local);
    let second = zone.from_local_datetime(&local).latest().map(|at| at.to_utc());
    std::iter::once(first).chain(second.filter(|second| *second > first))
}

/// Returns the instant of a local time in a calendar event.
///
/// Unlike [`instant`], a skipped time uses the offset before the gap (RFC 5545, 3.3.5).
pub fn event_instant(zone: Zone, local: NaiveDateTime) -> Instant {
    utc(local, zone.first_offset(local).0)
}

/// Converts a local time to UTC.
///
/// Beyond chrono's range, the local time is used unchanged.
fn utc(local: NaiveDateTime, offset: chrono::FixedOffset) -> Instant {
    local.checked_sub_offset(offset).unwrap_or(local).and_utc()
}

/// Returns the wall-clock time of `zone` at an instant.
pub fn local(zone: Zone, at: Instant) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// Returns the local date of `zone` at an instant.
pub fn date(zone: Zone, at: Instant) -> NaiveDate {
    local(zone, at).date()
}

/// Returns true if the date occurs in the zone: Samoa went from 29 to 31 December 2011.
pub fn occurs(zone: Zone, date: NaiveDate) -> bool {
    // A date that has a noon occurs; only the few dates without one need the slower check.
    let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap_or(NaiveTime::MIN);
    zone.offset_from_local_datetime(&date.and_time(noon)).earliest().is_some()
        || start_of(zone, date) < start_of(zone, next(date))
}

/// Returns the first instant of a date, which is midnight unless the clock skips it.
pub fn start_of(zone: Zone, date: NaiveDate) -> Instant {
    instant(zone, date.and_time(NaiveTime::MIN))
}

/// Returns the next date; the last representable date returns itself.
pub(crate) fn next(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

/// Formats an instant for people: local time with its zone, and UTC.
pub fn show(zone: Zone, at: Instant) -> String {
    format!("{} {zone} ({})", local(zone, at).format("%a %Y-%m-%d %H:%M:%S"), at.format("%Y-%m-%dT%H:%M:%SZ"))
}

/// Formats an instant for tables: local time with its zone.
///
/// A local time that occurs twice has its offset from UTC, too.
pub fn show_local(zone: Zone, at: Instant) -> String {
    let local = local(zone, at);
    let offset = match instants(zone, local).nth(1) {
        Some(_) => format!(" {}", zone.offset_at(at)),
        None => String::new(),
    };
    format!("{}{offset} {zone}", local.format("%a %Y-%m-%d %H:%M:%S"))
}

/// Returns a zone of the embedded database, for tests.
#[cfg(test)]
pub(crate) fn named(name: &str) -> Zone {
    Database::embedded().zone(name).unwrap_or_else(|| panic!("unknown zone {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap()
    }

    #[test]
    fn a_local_time_that_occurs_twice_is_shown_with_its_offset() {
        for (at, expected) in [
            ("2026-10-25T00:30:00Z", "Sun 2026-10-25 01:30:00 +01:00 Europe/London"),
            ("2026-10-25T01:30:00Z", "Sun 2026-10-25 01:30:00 +00:00 Europe/London"),
            ("2026-10-25T02:30:00Z", "Sun 2026-10-25 02:30:00 Europe/London"),
            ("2026-06-25T11:30:00Z", "Thu 2026-06-25 12:30:00 Europe/London"),
        ] {
            assert_eq!(show_local(named("Europe/London"), at.parse().unwrap()), expected);
        }
    }

    fn table(resolve: impl Fn(Zone, NaiveDateTime) -> Instant, cases: &[(&str, &str, &str)]) {
        for (zone, local, expected) in cases {
            let found = resolve(named(zone), time(local));
            assert_eq!(found.format("%Y-%m-%dT%H:%M").to_string(), *expected, "{zone} {local}");
        }
    }

    /// Transitions as in the IANA database; the expected instants were computed by hand from its
    /// rules.
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
    fn an_event_at_a_skipped_time_uses_the_previous_offset() {
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
    fn only_a_date_that_is_skipped_entirely_does_not_occur() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let apia = named("Pacific/Apia");
        assert!(!occurs(apia, date("2011-12-30")));
        assert!(occurs(apia, date("2011-12-29")));
        assert!(occurs(apia, date("2011-12-31")));
        // Only midnight itself is skipped here.
        let beirut = named("Asia/Beirut");
        assert!(occurs(beirut, date("2026-03-29")));
        assert_eq!(start_of(beirut, date("2026-03-29")).format("%H:%M").to_string(), "22:00");
    }
}
