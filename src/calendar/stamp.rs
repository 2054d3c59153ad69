//! Dates and times of events, and which instance of a series an exception means.

use std::collections::HashSet;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::model::Problem;
use crate::zone::{self, Zone};

use super::lines::Property;
use super::local_time::{AMBIGUOUS, parse_local};
use super::notes::Notes;
use super::timezones::{EventZone, Zones};

/// What the events of one calendar are read with.
pub(super) struct Context<'a> {
    pub(super) zones: &'a Zones<'a>,
    /// The calendar's own zone.
    pub(super) zone: Option<Zone>,
    pub(super) notes: &'a Notes,
}

/// The remedy for what is no DTSTART, DTEND and so on.
pub(super) const DATE_OR_TIME: &str =
    "write a date as in DTSTART;VALUE=DATE:20261224, a time as in DTSTART;TZID=Europe/London:20261224T090000";

/// A date or a time.
#[derive(Clone, Debug)]
pub(super) enum Stamp {
    Date(NaiveDate),
    Time(NaiveDateTime, EventZone),
}

impl Stamp {
    /// The wall clock time; midnight for a date.
    pub(super) fn local(&self) -> NaiveDateTime {
        match self {
            Self::Date(date) => date.and_time(NaiveTime::MIN),
            Self::Time(local, _) => *local,
        }
    }

    /// Whether `id` (of an EXDATE or a RECURRENCE-ID) means the instance that starts at `local` in the
    /// zone of this start. A date means every instance on it.
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

/// The instances that are left out, in the wall clock time of their event. A date leaves out all on it.
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

/// A stamp in the wall clock time of an event that starts at `start`.
pub(super) fn local_of(start: &Stamp, stamp: &Stamp) -> NaiveDateTime {
    match (start, stamp) {
        (Stamp::Time(_, own), Stamp::Time(local, other))
            if !matches!(own, EventZone::Floating) && !matches!(other, EventZone::Floating) =>
        {
            own.local(other.instant(*local, Zone::UTC))
        }
        (Stamp::Time(first, _), Stamp::Date(date)) => date.and_time(first.time()),
        // Of a time only the date counts for an event of whole days.
        (Stamp::Date(_), Stamp::Time(local, _)) => local.date().and_time(NaiveTime::MIN),
        _ => stamp.local(),
    }
}

pub(super) const WHOLE_DAYS: &str =
    "write the date alone, as in 20261224 with VALUE=DATE, or give the calendar its X-WR-TIMEZONE";

/// The date that a time in UTC means in a series of whole days: that in the calendar's own zone. Without one only
/// midnight is certain: it is the date itself to whoever wrote whole days in UTC.
pub(super) fn date_of_utc(time: NaiveDateTime, zone: Option<Zone>) -> Option<NaiveDate> {
    match zone {
        Some(zone) => Some(zone::date(zone, time.and_utc())),
        None => Some(time.date()).filter(|_| time.time() == NaiveTime::MIN),
    }
}

/// A single date or time.
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
        let problem = || property.problem(format!("\"{value}\" is no date")).hint(DATE_OR_TIME);
        return date.map(Stamp::Date).ok_or_else(problem);
    }
    let (text, zone) = match (value.strip_suffix('Z'), property.param("TZID")) {
        (Some(text), _) => (text, EventZone::Utc),
        (None, Some(id)) => (value, zones.find(id, property)?),
        (None, None) => (value, EventZone::Floating),
    };
    let time = parse_local(text).filter(|_| kind.as_deref() != Some("DATE"));
    time.map(|time| Stamp::Time(time, zone))
        .ok_or_else(|| property.problem(format!("\"{value}\" is no date and no time")).hint(DATE_OR_TIME))
}

impl Context<'_> {
    /// The end of an event; midnight at the end of whole days is a date.
    pub(super) fn end(&self, property: &Property, start: &Stamp) -> Result<Stamp, Problem> {
        let end = stamp(property, self.zones)?;
        match (start, &end) {
            (Stamp::Date(_), Stamp::Time(time, _)) if time.time() == NaiveTime::MIN => {
                self.notes.note(
                    "midnight",
                    &property.origin,
                    "DTEND: midnight is read as the date, as DTSTART is one",
                );
                Ok(Stamp::Date(time.date()))
            }
            _ => Ok(end),
        }
    }

    /// The instances of a series that starts at `start`, as an EXDATE lists them.
    pub(super) fn instances(&self, property: &Property, start: &Stamp) -> Result<Vec<Stamp>, Problem> {
        let values = property.values()?.map(str::trim).filter(|value| !value.is_empty());
        values.map(|value| self.instance_of(value, property, start)).collect()
    }

    /// The instance that a RECURRENCE-ID means, as it is written. Where its zone is unknown the date has to do, which for
    /// whole days is all that counts.
    pub(super) fn replaced(&self, property: &Property) -> Result<Stamp, Problem> {
        let stamp = stamp_of(property.value.trim(), property, self.zones);
        stamp.or_else(|problem| {
            let date = parse_local(property.value.trim()).map(|time| time.date()).ok_or(problem)?;
            let message = "RECURRENCE-ID: its time zone is unknown, so every instance on the date is meant";
            self.notes.note("RECURRENCE-ID zone", &property.origin, message);
            Ok(Stamp::Date(date))
        })
    }

    /// Of a series of whole days only the date of a time counts: as it is written, whatever its zone, and of UTC the
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
                    let message = format!(
                        "{name}: a time in UTC, of a series of whole days, means the date that it has in {zone}"
                    );
                    self.notes.note("UTC of whole days", &property.origin, message);
                }
                Ok(Stamp::Date(date))
            }
            None => Err(property.problem(AMBIGUOUS).hint(WHOLE_DAYS)),
        }
    }

    /// The end of the last day of a series of whole days, from an UNTIL in UTC: the date is found as that of an EXDATE,
    /// and the last second of a day ends that day. None where it is ambiguous.
    pub(super) fn last_day(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        let is_last = (until.hour(), until.minute(), until.second()) == (23, 59, 59);
        let date = if is_last { Some(until.date()) } else { date_of_utc(until, self.zone) };
        date?.and_hms_opt(23, 59, 59)
    }

    /// A rule without what whole days must ignore of it (RFC 5545, 3.3.10): it would repeat a day, and use up a COUNT.
    pub(super) fn rule_of(&self, property: &Property, start: &Stamp) -> Property {
        let is_of_times = |part: &&str| {
            let key = part.split('=').next().unwrap_or_default().trim().to_ascii_uppercase();
            matches!(key.as_str(), "BYHOUR" | "BYMINUTE" | "BYSECOND")
        };
        let mut property = property.clone();
        if matches!(start, Stamp::Date(_)) && property.value.split(';').any(|part| is_of_times(&part)) {
            let message = "RRULE: BYHOUR, BYMINUTE and BYSECOND are ignored, as DTSTART is a date";
            self.notes.note("times of whole days", &property.origin, message);
            let left: Vec<&str> = property.value.split(';').filter(|part| !is_of_times(part)).collect();
            property.value = left.join(";");
        }
        property
    }
}
