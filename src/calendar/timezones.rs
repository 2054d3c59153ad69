//! Resolves TZIDs (RFC 5545, 3.2.19 and 3.6.5).
//!
//! A TZID denotes a zone of the IANA database, a Windows name, or offsets that the file defines.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::model::{Instant, Problem};
use crate::zone::{self, Database, Zone};

use super::component::Component;
use super::lines::{Property, texts};
use super::local_time::parse_local;
use super::notes::Notes;
use super::recurrence::{Budget, Rule};

/// The zone of an event's time.
#[derive(Clone, Debug)]
pub enum EventZone {
    /// No zone: the wall-clock time of whichever zone is evaluated.
    Floating,
    /// UTC.
    Utc,
    /// A zone of the IANA database.
    Named(Zone),
    /// Offsets that the file defines.
    Custom(Arc<Offsets>),
}

impl EventZone {
    /// Returns the instant of a local time; floating times are interpreted in `here`.
    pub fn instant(&self, local: NaiveDateTime, here: Zone) -> Instant {
        match self {
            Self::Floating => zone::event_instant(here, local),
            Self::Utc => local.and_utc(),
            Self::Named(named) => zone::event_instant(*named, local),
            Self::Custom(offsets) => shifted(local, -offsets.at_local(local)).and_utc(),
        }
    }

    /// Returns the wall-clock time at an instant; for floating times, in UTC.
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

/// The offsets of one VTIMEZONE, as changes in chronological order.
#[derive(Debug)]
pub struct Offsets {
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    /// The wall-clock time before the change.
    local: NaiveDateTime,
    from_seconds: i64,
    to_seconds: i64,
}

impl Offsets {
    fn at_local(&self, local: NaiveDateTime) -> i64 {
        // A skipped time uses the offset before the gap; a repeated time is its first occurrence.
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

/// The zones that TZIDs of a file refer to.
#[derive(Debug)]
pub struct Zones<'a> {
    database: &'a Database,
    /// The zones that the file defines, by TZID.
    defined: HashMap<String, Result<EventZone, Problem>>,
}

impl<'a> Zones<'a> {
    /// Reads the VTIMEZONE components of a calendar.
    pub fn read(calendar: &Component, database: &'a Database, notes: &Notes) -> Result<Self, Problem> {
        let mut zones = Self { database, defined: HashMap::new() };
        let mut budget = Budget::default();
        for component in calendar.children.iter().filter(|c| c.name == "VTIMEZONE") {
            let Some(id) = component.first("TZID", notes) else {
                notes.note("TZID", &component.origin, "VTIMEZONE: has no TZID, so nothing can refer to it");
                continue;
            };
            let id = id_of(&id.value);
            let location = component.first("X-LIC-LOCATION", notes);
            let location = location.and_then(|location| database.zone(location.value.trim()));
            let zone = match registered(&id, database).or(location) {
                Some(zone) => {
                    zones.newer(component, zone, &mut budget, notes).unwrap_or(EventZone::Named(zone))
                }
                None => match (offsets(component, &mut budget, notes), well_known(&id, database)) {
                    (Ok(offsets), _) => EventZone::Custom(Arc::new(offsets)),
                    (Err(problem), Some(zone)) => {
                        let message = format!("{}: the known zone {zone} is used instead", problem.message);
                        notes.note("VTIMEZONE", &component.origin, message);
                        EventZone::Named(zone)
                    }
                    // The error affects only properties that refer to this zone.
                    (Err(problem), None) => {
                        zones.defined.insert(id, Err(problem));
                        continue;
                    }
                },
            };
            let again = zones.defined.insert(id, Ok(zone));
            if again.is_some() {
                notes.note(
                    "twice",
                    &component.origin,
                    "VTIMEZONE: its TZID is defined twice, and the last definition is used",
                );
            }
        }
        Ok(zones)
    }

    /// Returns the offsets of a VTIMEZONE for a known zone if they are newer than the database and
    /// differ from it (RFC 5545, 3.6.5).
    ///
    /// A release states its year, so a definition modified in a later year is newer.
    fn newer(
        &self,
        component: &Component,
        zone: Zone,
        budget: &mut Budget,
        notes: &Notes,
    ) -> Option<EventZone> {
        let modified = component.first("LAST-MODIFIED", notes)?;
        let year: i32 = modified.value.trim().get(..4)?.parse().ok()?;
        let version = self.database.version().filter(|version| version.year() < year)?;
        let offsets = offsets(component, budget, notes).ok()?;
        let months =
            (0..24).filter_map(|month| NaiveDate::from_ymd_opt(year + month / 12, month as u32 % 12 + 1, 1));
        let differs = |date: NaiveDate| {
            let at = date.and_time(NaiveTime::MIN);
            offsets.at_utc(at) != i64::from(zone.offset_at(at.and_utc()).local_minus_utc())
        };
        let first = months.into_iter().find(|date| differs(*date))?;
        let message = format!(
            "VTIMEZONE: {zone} is newer here ({}) than the zone database {version} and differs on \
             {first}: the calendar's rules are used",
            modified.value.trim()
        );
        notes.note("newer", &component.origin, message);
        Some(EventZone::Custom(Arc::new(offsets)))
    }

    /// Returns the zone that a property's TZID refers to.
    pub fn find(&self, id: &str, property: &Property) -> Result<EventZone, Problem> {
        let id = id_of(id);
        if let Some(zone) = self.defined.get(&id) {
            return zone.clone();
        }
        well_known(&id, self.database)
            .map(EventZone::Named)
            .ok_or_else(|| property.problem(format!("the time zone \"{id}\" is unknown")).hint(EXPORT))
    }
}

/// The hint for zones that cannot be read.
const EXPORT: &str = "export the calendar with its VTIMEZONE, or with a name such as Europe/London";

/// Resolves the escapes of a TZID.
///
/// A TZID is text, so its commas are escaped (RFC 5545, 3.8.3.1); some programs escape them in
/// parameters as well.
fn id_of(text: &str) -> String {
    texts(text.trim()).join(",")
}

/// Returns the zone of a name that takes precedence over a VTIMEZONE.
///
/// Such a name is an area and a city of the IANA database, also behind the prefix of a global
/// registry (RFC 5545, 3.2.19: it begins with a slash). `EST` or a Windows name means what the file
/// defines.
fn registered(id: &str, database: &Database) -> Option<Zone> {
    let Some(global) = id.strip_prefix('/') else {
        return database.zone(id).filter(|_| id.contains('/'));
    };
    let steps: Vec<&str> = global.split('/').collect();
    (1..=steps.len().min(3)).find_map(|count| database.zone(&steps[steps.len() - count..].join("/")))
}

/// Returns the zone of an IANA or Windows name that no VTIMEZONE defines.
fn well_known(id: &str, database: &Database) -> Option<Zone> {
    database
        .zone(id)
        .or_else(|| registered(id, database))
        .or_else(|| database.zone(zone::by_windows_name(behind_prefix(id))?))
}

/// Returns the name behind a prefix such as `(UTC+05:30)`.
///
/// The prefix itself is not a zone: it does not define summer time.
fn behind_prefix(id: &str) -> &str {
    id.strip_prefix('(').and_then(|id| id.split_once(')')).map_or(id, |(_, name)| name.trim())
}

/// Returns the changes of a VTIMEZONE, with its rules expanded up to 2100.
fn offsets(component: &Component, budget: &mut Budget, notes: &Notes) -> Result<Offsets, Problem> {
    let mut changes = Vec::new();
    for observance in &component.children {
        let before = || offset_before(component, observance);
        changes.extend(changes_of(observance, before, budget, notes)?);
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

/// Returns the offset before a part of a VTIMEZONE begins, derived from the other parts.
///
/// It is the offset of the other parts, or the part's own if it is the only one. Returns none if
/// the other parts differ.
fn offset_before(component: &Component, observance: &Component) -> Option<i64> {
    let own = offset_seconds(observance.single("TZOFFSETTO").ok()??).ok()?;
    let others = component.children.iter().filter(|other| !std::ptr::eq(*other, observance));
    let offsets = others.map(|other| offset_seconds(other.single("TZOFFSETTO").ok()??).ok());
    let mut offsets: Vec<i64> = offsets.collect::<Option<_>>()?;
    offsets.dedup();
    match offsets.as_slice() {
        [] => Some(own),
        [other] => Some(*other),
        _ => None,
    }
}

/// Returns the changes at which a part of a VTIMEZONE begins: by DTSTART, RDATE and RRULE.
///
/// `before` returns the preceding offset if the part does not state it.
fn changes_of(
    observance: &Component,
    before: impl Fn() -> Option<i64>,
    budget: &mut Budget,
    notes: &Notes,
) -> Result<Vec<Change>, Problem> {
    let need = |name: &str| {
        let problem = || Problem::at(&observance.origin, format!("{}: has no {name}", observance.name));
        observance.single(name)?.ok_or_else(|| problem().hint(EXPORT))
    };
    let start_property = need("DTSTART")?;
    let start = match NaiveDate::parse_from_str(start_property.value.trim(), "%Y%m%d") {
        Ok(date) => {
            notes.note(
                "date start",
                &start_property.origin,
                "DTSTART: the date is read as midnight of that date",
            );
            date.and_time(NaiveTime::MIN)
        }
        Err(_) => local_time(&start_property.value, start_property)?,
    };
    let from_seconds = match (observance.single("TZOFFSETFROM")?, before()) {
        (None, Some(before)) => {
            let message = format!(
                "{}: has no TZOFFSETFROM, so the offset of the other part applies before it",
                observance.name
            );
            notes.note("TZOFFSETFROM", &observance.origin, message);
            before
        }
        _ => offset_seconds(need("TZOFFSETFROM")?)?,
    };
    let to_seconds = offset_seconds(need("TZOFFSETTO")?)?;
    let mut locals = vec![start];
    for property in observance.all("RDATE") {
        for date in property.values()? {
            locals.push(local_time(date, property)?);
        }
    }
    if let Some(property) = observance.single("RRULE")?.filter(|rule| !rule.value.trim().is_empty()) {
        let rule = Rule::parse(property, start, |until| Some(shifted(until, from_seconds)))?;
        // Windows rules begin in 1601, but no clock changed for summer time before 1900.
        let new_year = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(NaiveDate::MAX).into();
        locals.extend(rule.starts(start, start.max(new_year(1900)), new_year(2100), property, budget)?);
    }
    Ok(locals.into_iter().map(|local| Change { local, from_seconds, to_seconds }).collect())
}

fn local_time(text: &str, property: &Property) -> Result<NaiveDateTime, Problem> {
    let problem = || property.problem(format!("invalid local time \"{}\"", text.trim()));
    parse_local(text).ok_or_else(|| problem().hint("write it as 20261025T020000, without a Z"))
}

/// Parses an offset such as `+0530` or `-033000` to seconds (RFC 5545, 3.3.14).
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
    let problem = || property.problem(format!("invalid offset \"{value}\""));
    parsed.ok_or_else(|| problem().hint("write hours and minutes with a sign, as in +0100"))
}
