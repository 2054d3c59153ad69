//! Dates and times of events, and the instance of a series that an exception refers to.

use std::collections::HashSet;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::model::Problem;
use crate::zone::{self, Zone};

use super::lines::Property;
use super::local_time::{AMBIGUOUS, parse_local};
use super::notes::Notes;
use super::timezones::{EventZone, Zones};

/// The context in which the events of one calendar are read.
pub(super) struct Context<'a> {
    pub(super) zones: &'a Zones<'a>,
    /// The calendar's own zone.
    pub(super) zone: Option<Zone>,
    pub(super) notes: &'a Notes,
}

/// The hint for an invalid DTSTART, DTEND or similar property.
pub(super) const DATE_OR_TIME: &str =
    "write a date as in DTSTART;VALUE=DATE:20261224, a time as in DTSTART;TZID=Europe/London:20261224T090000";

/// A date or a time.
#[derive(Clone, Debug)]
pub(super) enum Stamp {
    Date(NaiveDate),
    Time(NaiveDateTime, EventZone),
}

impl Stamp {
    /// Returns the wall-clock time; midnight for a date.
    pub(super) fn local(&self) -> NaiveDateTime {
        match self {
            Self::Date(date) => date.and_time(NaiveTime::MIN),
            Self::Time(local, _) => *local,
        }
    }

    /// Returns true if `id` (from an EXDATE or a RECURRENCE-ID) refers to the instance that starts
    /// at `local` in the zone of this start.
    ///
    /// A date refers to every instance on it.
    pub(super) fn is_meant(&self, local: NaiveDateTime, id: &Stamp) -> bool {
        match (self, id) {
            (_, Stamp::Date(date)) => local.date() == *date,
            (Stamp::Date(_), Stamp::Time(time, _)) => local.date() == time.date(),
            (Stamp::Time(_, EventZone::Floating), Stamp::Time(time, _)) => local == *time,
            (Stamp::Time(..), Stamp::Time(time, EventZone::Floating)) => local == *time,
            (Stamp::Time(_, own), Stamp::Time(time, other)) => {
                own.instant(local, Zone::UTC) == other.instant(*time, Zone::UTC)
            }
        }
    }
}

/// The excluded instances, in the wall-clock time of their event.
///
/// A date excludes all instances on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceptions {
    pub(super) dates: HashSet<NaiveDate>,
    pub(super) times: HashSet<NaiveDateTime>,
}

impl Exceptions {
    pub(super) fn has(&self, local: NaiveDateTime) -> bool {
        self.dates.contains(&local.date()) || self.times.contains(&local)
    }
}

/// Returns a stamp in the wall-clock time of an event that starts at `start`.
pub(super) fn local_of(start: &Stamp, stamp: &Stamp) -> NaiveDateTime {
    match (start, stamp) {
        (Stamp::Time(_, own), Stamp::Time(local, other))
            if !matches!(own, EventZone::Floating) && !matches!(other, EventZone::Floating) =>
        {
            own.local(other.instant(*local, Zone::UTC))
        }
        (Stamp::Time(first, _), Stamp::Date(date)) => date.and_time(first.time()),
        // For all-day events only the date of a time counts.
        (Stamp::Date(_), Stamp::Time(local, _)) => local.date().and_time(NaiveTime::MIN),
        _ => stamp.local(),
    }
}

pub(super) const WHOLE_DAYS: &str =
    "write the date alone, as in 20261224 with VALUE=DATE, or give the calendar its X-WR-TIMEZONE";

/// Returns the date that a time in UTC denotes in an all-day series.
///
/// It is the date in the calendar's own zone. Without a zone only midnight is unambiguous: programs
/// that write whole days in UTC mean that date.
pub(super) fn date_of_utc(time: NaiveDateTime, zone: Option<Zone>) -> Option<NaiveDate> {
    match zone {
        Some(zone) => Some(zone::date(zone, time.and_utc())),
        None => Some(time.date()).filter(|_| time.time() == NaiveTime::MIN),
    }
}

/// Parses the value of a property as a single date or time.
pub(super) fn stamp(property: &Property, zones: &Zones) -> Result<Stamp, Problem> {
    stamp_of(property.value.trim(), property, zones)
}

pub(super) fn stamp_of(value: &str, property: &Property, zones: &Zones) -> Result<Stamp, Problem> {
    let kind = property.param("VALUE").map(str::to_ascii_uppercase);
    match kind.as_deref() {
        None | Some("DATE" | "DATE-TIME" | "PERIOD") => {}
        Some(other) => {
            return Err(property
                .problem(format!("VALUE={other} is not supported"))
                .hint("write VALUE=DATE or VALUE=DATE-TIME"));
        }
    }
    if value.len() == 8 {
        let date = NaiveDate::parse_from_str(value, "%Y%m%d").ok();
        let date = date.filter(|_| kind.as_deref() != Some("DATE-TIME"));
        let problem = || property.problem(format!("invalid date \"{value}\"")).hint(DATE_OR_TIME);
        return date.map(Stamp::Date).ok_or_else(problem);
    }
    let (text, zone) = match (value.strip_suffix('Z'), property.param("TZID")) {
        (Some(text), _) => (text, EventZone::Utc),
        (None, Some(id)) => (value, zones.find(id, property)?),
        (None, None) => (value, EventZone::Floating),
    };
    let time = parse_local(text).filter(|_| kind.as_deref() != Some("DATE"));
    time.map(|time| Stamp::Time(time, zone))
        .ok_or_else(|| property.problem(format!("\"{value}\" is not a date or time")).hint(DATE_OR_TIME))
}

impl Context<'_> {
    /// Parses the end of an event; at the end of an all-day event, midnight is read as a date.
    pub(super) fn end(&self, property: &Property, start: &Stamp) -> Result<Stamp, Problem> {
        let end = stamp(property, self.zones)?;
        match (start, &end) {
            (Stamp::Date(_), Stamp::Time(time, _)) if time.time() == NaiveTime::MIN => {
                self.notes.note(
                    "midnight",
                    &property.origin,
                    "DTEND: midnight is read as a date, because DTSTART is a date",
                );
                Ok(Stamp::Date(time.date()))
            }
            _ => Ok(end),
        }
    }

    /// Parses the instances that an EXDATE lists, for a series that starts at `start`.
    pub(super) fn instances(&self, property: &Property, start: &Stamp) -> Result<Vec<Stamp>, Problem> {
        let values = property.values()?.map(str::trim).filter(|value| !value.is_empty());
        values.map(|value| self.instance_of(value, property, start)).collect()
    }

    /// Parses the instance that a RECURRENCE-ID refers to, as written.
    ///
    /// If its zone is unknown the date is used, which is all that counts for all-day events.
    pub(super) fn replaced(&self, property: &Property) -> Result<Stamp, Problem> {
        let stamp = stamp_of(property.value.trim(), property, self.zones);
        stamp.or_else(|problem| {
            let date = parse_local(property.value.trim()).map(|time| time.date()).ok_or(problem)?;
            let message =
                "RECURRENCE-ID: its time zone is unknown, so it applies to every instance on that date";
            self.notes.note("RECURRENCE-ID zone", &property.origin, message);
            Ok(Stamp::Date(date))
        })
    }

    /// Parses one instance of a series that starts at `start`.
    ///
    /// In an all-day series only the date of a time counts: the date as written, or for UTC the
    /// date in the calendar's zone.
    pub(super) fn instance_of(
        &self,
        value: &str,
        property: &Property,
        start: &Stamp,
    ) -> Result<Stamp, Problem> {
        if !matches!(start, Stamp::Date(_)) || !value.contains('T') {
            return stamp_of(value, property, self.zones);
        }
        let Some(text) = value.strip_suffix('Z') else {
            let date = parse_local(value).map(|time| Stamp::Date(time.date()));
            return date.map_or_else(|| stamp_of(value, property, self.zones), Ok);
        };
        let Some(time) = parse_local(text) else { return stamp_of(value, property, self.zones) };
        let name = &property.name;
        match date_of_utc(time, self.zone) {
            Some(date) => {
                if let Some(zone) = self.zone {
                    let message =
                        format!("{name}: a time in UTC in an all-day series is read as its date in {zone}");
                    self.notes.note("UTC of whole days", &property.origin, message);
                }
                Ok(Stamp::Date(date))
            }
            None => Err(property.problem(AMBIGUOUS).hint(WHOLE_DAYS)),
        }
    }

    /// Returns the end of the last day of an all-day series, from an UNTIL in UTC.
    ///
    /// The date is determined as for an EXDATE, except that the last second of a day ends that day.
    /// Returns none if it is ambiguous.
    pub(super) fn last_day(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        let is_last = (until.hour(), until.minute(), until.second()) == (23, 59, 59);
        let date = if is_last { Some(until.date()) } else { date_of_utc(until, self.zone) };
        date?.and_hms_opt(23, 59, 59)
    }

    /// Returns the rule without the parts that all-day events must ignore (RFC 5545, 3.3.10).
    ///
    /// They would repeat a day and use up a COUNT.
    pub(super) fn rule_of(&self, property: &Property, start: &Stamp) -> Property {
        let is_of_times = |part: &&str| {
            let key = part.split('=').next().unwrap_or_default().trim().to_ascii_uppercase();
            matches!(key.as_str(), "BYHOUR" | "BYMINUTE" | "BYSECOND")
        };
        let mut property = property.clone();
        if matches!(start, Stamp::Date(_)) && property.value.split(';').any(|part| is_of_times(&part)) {
            let message = "RRULE: BYHOUR, BYMINUTE and BYSECOND are ignored, because DTSTART is a date";
            self.notes.note("times of whole days", &property.origin, message);
            let left: Vec<&str> = property.value.split(';').filter(|part| !is_of_times(part)).collect();
            property.value = left.join(";");
        }
        property
    }
}
