//! What a TZID means (RFC 5545, 3.2.19 and 3.6.5): a zone of the IANA database, a Windows name, or
//! offsets that the file brings along.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use crate::model::{Instant, Problem};
use crate::zone;

use super::event::parse_local;
use super::lines::{Component, Property, texts};
use super::recurrence::{Budget, Rule};

/// The zone of an event's time.
#[derive(Clone, Debug)]
pub enum EventZone {
    /// No zone: whatever the wall clock shows where one looks.
    Floating,
    /// UTC.
    Utc,
    /// A zone of the IANA database.
    Named(Tz),
    /// Offsets that the file defines itself.
    Custom(Arc<Offsets>),
}

impl EventZone {
    /// The instant of a local time; floating time counts in `here`.
    pub fn instant(&self, local: NaiveDateTime, here: Tz) -> Instant {
        match self {
            Self::Floating => zone::event_instant(here, local),
            Self::Utc => local.and_utc(),
            Self::Named(named) => zone::event_instant(*named, local),
            Self::Custom(offsets) => shifted(local, -offsets.at_local(local)).and_utc(),
        }
    }

    /// What the wall clock shows at an instant; floating time has none, so UTC stands in.
    pub fn local(&self, at: Instant) -> NaiveDateTime {
        match self {
            Self::Floating | Self::Utc => at.naive_utc(),
            Self::Named(named) => zone::local(*named, at),
            Self::Custom(offsets) => shifted(at.naive_utc(), offsets.at_utc(at.naive_utc())),
        }
    }
}

fn shifted(local: NaiveDateTime, seconds: i64) -> NaiveDateTime {
    TimeDelta::try_seconds(seconds).and_then(|by| local.checked_add_signed(by)).unwrap_or(local)
}

/// The offsets of one VTIMEZONE, as changes in the order of time.
#[derive(Debug)]
pub struct Offsets {
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    /// The wall clock's time before the change.
    local: NaiveDateTime,
    from_seconds: i64,
    to_seconds: i64,
}

impl Offsets {
    fn at_local(&self, local: NaiveDateTime) -> i64 {
        // A skipped time counts with the offset before the gap, a repeated one is its first occurrence.
        let after = self.changes.partition_point(|change| {
            let gap = (change.to_seconds - change.from_seconds).max(0);
            shifted(change.local, gap) <= local
        });
        self.offset_after(after)
    }

    fn at_utc(&self, utc: NaiveDateTime) -> i64 {
        let after = self.changes.partition_point(|change| shifted(change.local, -change.from_seconds) <= utc);
        self.offset_after(after)
    }

    fn offset_after(&self, count: usize) -> i64 {
        match count.checked_sub(1) {
            Some(last) => self.changes[last].to_seconds,
            None => self.changes.first().map_or(0, |first| first.from_seconds),
        }
    }
}

/// The zones that a file defines, by TZID.
#[derive(Debug, Default)]
pub struct Zones {
    defined: HashMap<String, EventZone>,
}

impl Zones {
    /// Reads the VTIMEZONE components of a calendar.
    pub fn read(calendar: &Component) -> Result<Self, Problem> {
        let mut zones = Self::default();
        let mut budget = Budget::default();
        for component in calendar.children.iter().filter(|c| c.name == "VTIMEZONE") {
            let Some(id) = component.single("TZID")? else {
                return Err(Problem::at(&component.origin, "VTIMEZONE: has no TZID").hint(EXPORT));
            };
            let id = id_of(&id.value);
            let location = component
                .single("X-LIC-LOCATION")?
                .and_then(|location| Tz::from_str(location.value.trim()).ok());
            let zone = match registered(&id).or(location) {
                Some(zone) => EventZone::Named(zone),
                None => EventZone::Custom(Arc::new(offsets(component, &mut budget)?)),
            };
            zones.defined.insert(id, zone);
        }
        Ok(zones)
    }

    /// The zone that a property's TZID means.
    pub fn find(&self, id: &str, property: &Property) -> Result<EventZone, Problem> {
        let id = id_of(id);
        if let Some(zone) = self.defined.get(&id) {
            return Ok(zone.clone());
        }
        well_known(&id)
            .map(EventZone::Named)
            .ok_or_else(|| property.problem(format!("the time zone \"{id}\" is unknown")).hint(EXPORT))
    }
}

/// The remedy for zones that can't be read.
const EXPORT: &str = "export the calendar with its VTIMEZONE, or with a name such as Europe/London";

/// A TZID is text, so its commas are escaped (RFC 5545, 3.8.3.1); in parameters some programs escape them as well.
fn id_of(text: &str) -> String {
    texts(text.trim()).join(",")
}

/// A name that means its zone whatever a VTIMEZONE says: an area and a city of the IANA database, also behind the prefix of
/// a global registry (RFC 5545, 3.2.19: it begins with a slash). `EST` or a Windows name is what the file says it is.
fn registered(id: &str) -> Option<Tz> {
    let Some(global) = id.strip_prefix('/') else {
        return Tz::from_str(id).ok().filter(|_| id.contains('/'));
    };
    let steps: Vec<&str> = global.split('/').collect();
    (1..=steps.len().min(3)).find_map(|count| Tz::from_str(&steps[steps.len() - count..].join("/")).ok())
}

/// What a name means where no VTIMEZONE defines it: IANA names and Windows names.
fn well_known(id: &str) -> Option<Tz> {
    Tz::from_str(id).ok().or_else(|| registered(id)).or_else(|| by_windows_name(id))
}

/// A Windows name, or the name behind a prefix such as `(UTC+05:30)`. The prefix itself is no zone: it tells nothing of
/// summer time.
fn by_windows_name(id: &str) -> Option<Tz> {
    let behind = id.strip_prefix('(').and_then(|id| id.split_once(')'));
    match behind.map_or(id, |(_, name)| name.trim()) {
        // The crate has these as they were before 2022 and 2024 (Unicode CLDR, windowsZones).
        "Mountain Standard Time (Mexico)" => Some(Tz::America__Mazatlan),
        "Central Asia Standard Time" => Some(Tz::Asia__Bishkek),
        name => match calcard::common::timezone::Tz::from_str(name) {
            Ok(calcard::common::timezone::Tz::Tz(zone)) => Some(zone),
            _ => None,
        },
    }
}

/// The changes of a VTIMEZONE, its rules expanded up to 2100.
fn offsets(component: &Component, budget: &mut Budget) -> Result<Offsets, Problem> {
    let mut changes = Vec::new();
    for observance in &component.children {
        changes.extend(changes_of(observance, budget)?);
    }
    changes.sort_by_key(|change| change.local);
    changes.dedup_by_key(|change| change.local);
    match changes.is_empty() {
        true => {
            let message = "VTIMEZONE: has no STANDARD and no DAYLIGHT part";
            Err(Problem::at(&component.origin, message).hint(EXPORT))
        }
        false => Ok(Offsets { changes }),
    }
}

/// When a part of a VTIMEZONE begins: by DTSTART, RDATE and RRULE.
fn changes_of(observance: &Component, budget: &mut Budget) -> Result<Vec<Change>, Problem> {
    let need = |name: &str| {
        let problem = || Problem::at(&observance.origin, format!("{}: has no {name}", observance.name));
        observance.single(name)?.ok_or_else(|| problem().hint(EXPORT))
    };
    let start_property = need("DTSTART")?;
    let start = local_time(&start_property.value, start_property)?;
    let from_seconds = offset_seconds(need("TZOFFSETFROM")?)?;
    let to_seconds = offset_seconds(need("TZOFFSETTO")?)?;
    let mut locals = vec![start];
    for property in observance.all("RDATE") {
        for date in property.values()? {
            locals.push(local_time(date, property)?);
        }
    }
    if let Some(property) = observance.single("RRULE")? {
        let rule = Rule::parse(property, start, |until| shifted(until, from_seconds))?;
        // Windows lets its rules begin in 1601, and nobody changed a clock for summer before 1900.
        let new_year = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(NaiveDate::MAX).into();
        locals.extend(rule.starts(start, start.max(new_year(1900)), new_year(2100), property, budget)?);
    }
    Ok(locals.into_iter().map(|local| Change { local, from_seconds, to_seconds }).collect())
}

fn local_time(text: &str, property: &Property) -> Result<NaiveDateTime, Problem> {
    let problem = || property.problem(format!("\"{}\" is no local time", text.trim()));
    parse_local(text).ok_or_else(|| problem().hint("write it as 20261025T020000, without a Z"))
}

/// `+0530` or `-033000` in seconds (RFC 5545, 3.3.14).
fn offset_seconds(property: &Property) -> Result<i64, Problem> {
    let value = property.value.trim();
    let parsed = (|| {
        let (sign, digits) = match value.split_at_checked(1)? {
            ("+", digits) => (1, digits),
            ("-", digits) => (-1, digits),
            _ => return None,
        };
        if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |d| d.parse::<i64>().ok());
        let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
        (hours < 24 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
    })();
    let problem = || property.problem(format!("\"{value}\" is no offset"));
    parsed.ok_or_else(|| problem().hint("write hours and minutes with a sign, as in +0100"))
}
