//! Builds events from components: rules, exceptions, and the changed instances of a series.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDateTime;

use crate::limits::calendars::{MAX_CALENDAR_PROBLEMS, MAX_CATEGORIES, MAX_CHANGED, MAX_EVENTS};
use crate::model::{Origin, Problem};
use crate::zone::{Database, Zone};

use super::Occurrence;
use super::categories::Categories;
use super::component::{self, Component};
use super::length::{Length, duration, length, length_until};
use super::lines::{Property, texts};
use super::local_time::AMBIGUOUS;
use super::notes::Notes;
use super::recurrence::Rule;
use super::stamp::{
    Context, DATE_OR_TIME, Exceptions, Stamp, WHOLE_DAYS, date_of_utc, local_of, stamp, stamp_of,
};
use super::timezones::{EventZone, Zones};

/// A parsed calendar, from a file or from a list of single dates.
#[derive(Debug, Default)]
pub struct Calendar {
    /// The zone the calendar names as its own (`X-WR-TIMEZONE`).
    pub zone: Option<Zone>,
    /// Oddities in the file that do not make an event unusable.
    pub warnings: Vec<Problem>,
    /// The first event of zero length, which closes nothing.
    pub without_length: Option<Origin>,
    pub(super) series: Vec<Series>,
    /// Single occurrences that do not come from a file.
    pub(super) listed: Vec<Occurrence>,
}

/// An event with its changed instances.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) master: Option<Event>,
    pub(super) changed: Vec<Event>,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) start: Stamp,
    pub(super) length: Length,
    pub(super) rules: Vec<(Rule, Property)>,
    pub(super) extra: Vec<(Stamp, Option<Length>)>,
    pub(super) except: Exceptions,
    pub(super) replaces: Option<(Stamp, bool)>,
    pub(super) cancelled: bool,
    pub(super) summary: Arc<str>,
    pub(super) categories: Categories,
    pub(super) origin: Origin,
    uid: String,
    /// The SEQUENCE; none when it cannot be read.
    sequence: Option<i64>,
}

impl Calendar {
    /// Returns true if the calendar has no events.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.listed.is_empty()
    }

    /// Reads a whole calendar file.
    ///
    /// # Errors
    /// Returns a problem with file, line and property for every event that cannot be read. No
    /// calendar is returned then: one that lost an event would open a shop on a holiday.
    pub fn parse(file: &Arc<str>, bytes: &[u8], database: &Database) -> Result<Self, Vec<Problem>> {
        let notes = Notes::default();
        let components = component::parse(file, bytes, &notes).map_err(|problem| vec![problem])?;
        let mut zone = None;
        let (mut events, mut problems) = (Vec::new(), Vec::new());
        for mut calendar in components {
            let zones = Zones::read(&calendar, database, &notes).map_err(|problem| vec![problem])?;
            let own = own_zone(&calendar, database, &notes);
            zone = zone.or(own);
            // The text of an event is freed once it is read; that bounds the memory of a large file.
            for component in take_events(&mut calendar, &notes) {
                if events.len() >= MAX_EVENTS {
                    let message = format!("the calendar has more than {MAX_EVENTS} events");
                    let problem = Problem::at(&component.origin, message);
                    return Err(vec![problem.hint("export only upcoming events")]);
                }
                match Event::read(&component, &Context { zones: &zones, zone: own, notes: &notes }) {
                    Ok(event) => events.push(event),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        problems.truncate(MAX_CALENDAR_PROBLEMS);
        match problems.is_empty() {
            true => {
                let without_length = events.iter().find(|event| event.closes_nothing());
                let without_length = without_length.map(|event| event.origin.clone());
                let series = group(events, zone).map_err(|problem| vec![problem])?;
                let warnings = notes.into_problems();
                Ok(Self { zone, warnings, without_length, series, listed: Vec::new() })
            }
            false => Err(problems),
        }
    }
}

/// Returns the zone that a calendar names as its own.
fn own_zone(calendar: &Component, database: &Database, notes: &Notes) -> Option<Zone> {
    let mut named = calendar.all("X-WR-TIMEZONE").filter(|property| !property.value.trim().is_empty());
    named.find_map(|property| {
        let zone = database.zone(property.value.trim());
        if zone.is_none() {
            let message = "X-WR-TIMEZONE: the time zone is unknown and is ignored";
            notes.note("X-WR-TIMEZONE", &property.origin, message);
        }
        zone
    })
}

/// Takes the events out of a calendar, including those nested in other components.
///
/// Events are nested where one calendar was embedded in another.
fn take_events(calendar: &mut Component, notes: &Notes) -> Vec<Component> {
    let mut found = Vec::new();
    for mut child in std::mem::take(&mut calendar.children) {
        match child.name.as_str() {
            "VEVENT" => found.push(child),
            _ => {
                let inner = take_events(&mut child, notes);
                if !inner.is_empty() {
                    notes.note(
                        "nested",
                        &child.origin,
                        format!("{}: its events are read as if they were outside it", child.name),
                    );
                }
                found.extend(inner);
            }
        }
    }
    found
}

/// Groups events by UID.
///
/// Among several versions of one event, the one with the highest SEQUENCE counts. Events that share
/// UID and SEQUENCE are all kept, because dropping one could drop a closure.
fn group(events: Vec<Event>, zone: Option<Zone>) -> Result<Vec<Series>, Problem> {
    let mut order: Vec<String> = Vec::new();
    let mut by_uid: HashMap<String, Vec<Event>> = HashMap::new();
    for event in events {
        if !by_uid.contains_key(&event.uid) {
            order.push(event.uid.clone());
        }
        // Nearly every event is alone.
        by_uid.entry(event.uid.clone()).or_insert_with(|| Vec::with_capacity(1)).push(event);
    }
    let mut series = Vec::new();
    for uid in order {
        let (changed, masters): (Vec<Event>, Vec<Event>) =
            by_uid.remove(&uid).unwrap_or_default().into_iter().partition(|event| event.replaces.is_some());
        if let Some(last) = changed.get(MAX_CHANGED) {
            let message = format!("VEVENT: more than {MAX_CHANGED} instances of one event are changed");
            return Err(Problem::at(&last.origin, message).hint("split it into several events"));
        }
        let newest = masters.iter().map(|event| event.sequence).max();
        // If a version has no readable SEQUENCE, the newest is unknown, so all versions count.
        let is_unknown = masters.iter().any(|event| event.sequence.is_none());
        let mut masters = masters.into_iter().filter(|event| is_unknown || Some(event.sequence) == newest);
        let (master, mut changed) = (masters.next(), newest_changes(changed));
        if matches!(&master, Some(Event { start: Stamp::Date(_), .. })) {
            changed.iter_mut().try_for_each(|event| event.replace_dates(zone))?;
        }
        series.push(Series { master, changed });
        series.extend(masters.map(|event| Series { master: Some(event), changed: Vec::new() }));
    }
    Ok(series)
}

fn newest_changes(mut changed: Vec<Event>) -> Vec<Event> {
    changed.sort_by_key(|event| event.sequence);
    let mut kept: Vec<Event> = Vec::new();
    for event in changed {
        kept.retain(|older| match (&older.replaces, &event.replaces) {
            (Some((a, _)), Some((b, _))) => older.sequence == event.sequence || !a.is_meant(a.local(), b),
            _ => true,
        });
        kept.push(event);
    }
    kept
}

impl Event {
    /// Replaces a RECURRENCE-ID in UTC by the date it denotes.
    ///
    /// Called for changed instances of an all-day series.
    fn replace_dates(&mut self, zone: Option<Zone>) -> Result<(), Problem> {
        if let Some((replaced, _)) = &mut self.replaces
            && let Stamp::Time(time, EventZone::Utc) = replaced
        {
            let date = date_of_utc(*time, zone).ok_or_else(|| {
                Problem::at(&self.origin, format!("RECURRENCE-ID: {AMBIGUOUS}")).hint(WHOLE_DAYS)
            })?;
            *replaced = Stamp::Date(date);
        }
        Ok(())
    }

    /// Returns true for a timed event of zero length, which closes nothing.
    fn closes_nothing(&self) -> bool {
        matches!(self.start, Stamp::Time(..))
            && (self.length.days, self.length.seconds) == (0, 0)
            && !self.cancelled
    }

    fn read(component: &Component, context: &Context) -> Result<Self, Problem> {
        let Context { zones, notes, .. } = *context;
        check_not_nested(component)?;
        let start_property = component
            .single("DTSTART")?
            .ok_or_else(|| Problem::at(&component.origin, "VEVENT: has no DTSTART").hint(DATE_OR_TIME))?;
        let start = stamp(start_property, zones)?;
        check_no_exrule(component, notes)?;
        let replaces = component
            .single("RECURRENCE-ID")?
            .map(|property| Ok((context.replaced(property)?, and_future(property)?)))
            .transpose()?;
        let rules = rules(component, &start, context)?;
        if let (Some(_), Some((_, rule))) = (&replaces, rules.first()) {
            return Err(rule
                .problem("a changed instance (RECURRENCE-ID) cannot have a rule of its own")
                .hint("give the rest of the series a UID of its own and remove its RECURRENCE-ID"));
        }
        let except = exceptions(component, &start, context)?;
        if let (Some(_), Some(property)) =
            (&replaces, component.all("RDATE").find(|property| !property.value.trim().is_empty()))
        {
            return Err(property
                .problem("a changed instance (RECURRENCE-ID) cannot have dates of its own")
                .hint("move the further dates to an event with a UID of its own"));
        }
        note_last_minute(component, notes);
        let mut extra = Vec::new();
        for property in component.all("RDATE").filter(|property| !is_empty(property, notes)) {
            extra.extend(extra_starts(property, &start, context)?);
        }
        let summary = component.first("SUMMARY", notes);
        let uid = component.first("UID", notes).filter(|property| !is_empty(property, notes));
        Ok(Self {
            length: length(component, &start, start_property, context)?,
            replaces,
            cancelled: is_cancelled(component, notes),
            // Commas in a summary are often not escaped, so the pieces are joined again.
            summary: summary.map_or_else(Arc::default, |property| texts(&property.value).join(",").into()),
            categories: categories(component)?,
            origin: component.origin.clone(),
            uid: match uid {
                Some(property) => property.value.trim().to_owned(),
                None => format!("line {}", component.origin.line),
            },
            sequence: sequence(component, notes),
            start,
            rules,
            extra,
            except,
        })
    }
}

/// Checks that an event contains no other event.
fn check_not_nested(component: &Component) -> Result<(), Problem> {
    match component.children.iter().find(|inner| inner.name == "VEVENT") {
        Some(inner) => Err(Problem::at(&inner.origin, "VEVENT: nested inside another event")
            .hint("add the missing END:VEVENT before it")),
        None => Ok(()),
    }
}

/// Checks that an event has no EXRULE, which RFC 5545 removed.
fn check_no_exrule(component: &Component, notes: &Notes) -> Result<(), Problem> {
    match component.all("EXRULE").find(|property| !is_empty(property, notes)) {
        Some(property) => {
            Err(property.problem("is obsolete and not supported").hint("list the excluded dates as EXDATE"))
        }
        None => Ok(()),
    }
}

/// Parses the RRULEs of an event that starts at `start`, each with its property.
fn rules(component: &Component, start: &Stamp, context: &Context) -> Result<Vec<(Rule, Property)>, Problem> {
    let wall = |until: NaiveDateTime| match start {
        Stamp::Date(_) => context.last_day(until),
        Stamp::Time(_, zone) => Some(zone.local(until.and_utc())),
    };
    let written = component.all("RRULE").filter(|property| !is_empty(property, context.notes));
    written
        .map(|property| {
            let property = context.rule_of(property, start);
            Ok((Rule::parse(&property, start.local(), wall)?, property))
        })
        .collect()
}

/// Parses the EXDATEs of an event that starts at `start`.
fn exceptions(component: &Component, start: &Stamp, context: &Context) -> Result<Exceptions, Problem> {
    let mut except = Exceptions::default();
    for property in component.all("EXDATE").filter(|property| !is_empty(property, context.notes)) {
        for stamp in context.instances(property, start)? {
            match stamp {
                Stamp::Date(date) => drop(except.dates.insert(date)),
                time => drop(except.times.insert(local_of(start, &time))),
            }
        }
    }
    Ok(except)
}

/// Notes a DTEND at 23:59, which was probably meant as midnight.
fn note_last_minute(component: &Component, notes: &Notes) {
    if let Some(end) = component.all("DTEND").find(|end| end.value.trim().contains("T2359")) {
        let message = "DTEND: 23:59 is a minute before the end of the day; write midnight of the \
                       next day for the end of the day";
        notes.note("last minute", &end.origin, message);
    }
}

fn categories(component: &Component) -> Result<Categories, Problem> {
    let mut names: Vec<String> = Vec::new();
    for property in component.all("CATEGORIES") {
        if property.values()?.count() + names.len() > MAX_CATEGORIES {
            return Err(property
                .problem(format!("more than {MAX_CATEGORIES} categories in one event"))
                .hint("keep only those that the settings use"));
        }
        names.extend(texts(&property.value));
    }
    Ok(names.iter().collect())
}

fn sequence(component: &Component, notes: &Notes) -> Option<i64> {
    let Some(property) = component.first("SEQUENCE", notes) else {
        return Some(0);
    };
    let number = property.value.trim().parse().ok();
    if number.is_none() {
        let message = "SEQUENCE: the value is not a number, so all versions of the event are used";
        notes.note("SEQUENCE value", &property.origin, message);
    }
    number
}

/// Returns true for an empty value, and notes a warning.
fn is_empty(property: &Property, notes: &Notes) -> bool {
    let is_empty = property.value.split(',').all(|value| value.trim().is_empty());
    if is_empty {
        let (name, origin) = (&property.name, &property.origin);
        notes.note("empty", origin, format!("{name}: the value is empty, so the {name} is ignored"));
    }
    is_empty
}

/// Returns true if the event has a STATUS and every STATUS is CANCELLED.
fn is_cancelled(component: &Component, notes: &Notes) -> bool {
    let statuses: Vec<String> =
        component.all("STATUS").map(|property| property.value.trim().to_ascii_uppercase()).collect();
    let is_known = |status: &String| ["CANCELLED", "CONFIRMED", "TENTATIVE"].contains(&status.as_str());
    if let Some(property) = component.all("STATUS").next()
        && (!statuses.iter().all(is_known) || statuses.len() > 1)
    {
        let message = "STATUS: only CANCELLED removes an event, and only if every STATUS of the event \
                       says so; other values are ignored";
        notes.note("STATUS", &property.origin, message);
    }
    !statuses.is_empty() && statuses.iter().all(|status| status == "CANCELLED")
}

fn and_future(property: &Property) -> Result<bool, Problem> {
    match property.param("RANGE") {
        None => Ok(false),
        Some("THISANDFUTURE") => Ok(true),
        Some(other) => Err(property
            .problem(format!("RANGE={other} is not supported"))
            .hint("write RANGE=THISANDFUTURE, or leave it out for one instance")),
    }
}

/// Reads an RDATE: dates, times, or periods with a length of their own.
///
/// For all-day events only the dates count.
fn extra_starts(
    property: &Property,
    first: &Stamp,
    context: &Context,
) -> Result<Vec<(Stamp, Option<Length>)>, Problem> {
    let is_whole = matches!(first, Stamp::Date(_));
    let read = |value: &str| {
        let Some((from, to)) = value.split_once('/') else {
            return Ok((context.instance_of(value, property, first)?, None));
        };
        let start = stamp_of(from, property, context.zones)?;
        let length = match duration(to) {
            Some(length) => length,
            None => length_until(&start, &stamp_of(to, property, context.zones)?, property)?,
        };
        if !is_whole {
            return Ok((start, Some(length)));
        }
        let days = length.days + length.seconds / 86_400;
        match length.seconds % 86_400 {
            0 => Ok((context.instance_of(from, property, first)?, Some(Length { days, seconds: 0 }))),
            _ => Err(property
                .problem("a period in an all-day series must last whole days")
                .hint("write it as in RDATE;VALUE=PERIOD:20261226T000000/P2D, or list the dates")),
        }
    };
    property.values()?.map(str::trim).filter(|value| !value.is_empty()).map(read).collect()
}
