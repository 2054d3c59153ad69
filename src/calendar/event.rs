//! Components to events: starts, lengths, rules, exceptions, and the changed instances of a series.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::model::{Origin, Problem};
use crate::zone::{self, Database, Zone};

use super::Occurrence;
use super::lines::{self, Component, Property, texts};
use super::notes::Notes;
use super::recurrence::Rule;
use super::timezones::{EventZone, Zones};

/// Events a calendar may have; a country's holidays for a century are fewer.
const MAX_EVENTS: usize = 10_000;
/// Changed instances of one event.
const MAX_CHANGED: usize = 1_000;
/// Categories of one event.
const MAX_CATEGORIES: usize = 100;
/// The remedy for what is no DTSTART, DTEND and so on.
const DATE_OR_TIME: &str =
    "write a date as in DTSTART;VALUE=DATE:20261224, a time as in DTSTART;TZID=Europe/London:20261224T090000";
/// Problems of one file that are told; who mends these sees the others then.
const MAX_TOLD: usize = 100;

/// A calendar, understood: that of a file, or dates that are listed one by one.
#[derive(Debug)]
pub struct Calendar {
    /// The file as the settings name it; of one without a file what messages call it.
    pub file: Arc<str>,
    /// The zone the calendar names as its own (`X-WR-TIMEZONE`).
    pub zone: Option<Zone>,
    /// What is odd in the file and costs no event.
    pub warnings: Vec<Problem>,
    /// The first event without length, which closes nothing.
    pub without_length: Option<Origin>,
    pub(super) series: Vec<Series>,
    /// What takes place once and is not from a file.
    pub(super) listed: Vec<Occurrence>,
}

/// An event with its changed instances.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) master: Option<Event>,
    pub(super) changed: Vec<Event>,
}

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
    dates: HashSet<NaiveDate>,
    times: HashSet<NaiveDateTime>,
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

/// How long an event lasts (RFC 5545, 3.8.5.3): a DTEND gives an exact length, a DURATION's days are nominal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) days: i64,
    pub(super) seconds: i64,
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
    pub(super) summary: String,
    pub(super) categories: Vec<String>,
    pub(super) origin: Origin,
    uid: String,
    /// None when it cannot be read.
    sequence: Option<i64>,
}

/// What the events of one calendar are read with.
struct Context<'a> {
    zones: &'a Zones<'a>,
    /// The calendar's own zone.
    zone: Option<Zone>,
    notes: &'a Notes,
}

impl Calendar {
    /// Whether it has no event at all.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.listed.is_empty()
    }

    /// A calendar of single occurrences, under the name that messages give it.
    pub(super) fn listed(name: &str, listed: Vec<Occurrence>) -> Self {
        Self {
            file: name.into(),
            zone: None,
            warnings: Vec::new(),
            without_length: None,
            series: Vec::new(),
            listed,
        }
    }

    /// Reads a whole calendar file.
    ///
    /// # Errors
    /// Every event that is not understood, each with file, line and property. There is no calendar
    /// then: one that lost an event would open a shop on a holiday.
    pub fn parse(file: &Arc<str>, bytes: &[u8], database: &Database) -> Result<Self, Vec<Problem>> {
        let notes = Notes::default();
        let components = lines::parse(file, bytes, &notes).map_err(|problem| vec![problem])?;
        let mut zone = None;
        let (mut events, mut problems) = (Vec::new(), Vec::new());
        for calendar in &components {
            let zones = Zones::read(calendar, database, &notes).map_err(|problem| vec![problem])?;
            let own = calendar.all("X-WR-TIMEZONE").find_map(|property| database.zone(property.value.trim()));
            zone = zone.or(own);
            for component in calendar.children.iter().filter(|c| c.name == "VEVENT") {
                if events.len() >= MAX_EVENTS {
                    let message = format!("the calendar has more than {MAX_EVENTS} events");
                    let problem = Problem::at(&component.origin, message);
                    return Err(vec![problem.hint("export those alone that are still to come")]);
                }
                match Event::read(component, &Context { zones: &zones, zone: own, notes: &notes }) {
                    Ok(event) => events.push(event),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        problems.truncate(MAX_TOLD);
        match problems.is_empty() {
            true => {
                let without_length = events.iter().find(|event| event.closes_nothing());
                let without_length = without_length.map(|event| event.origin.clone());
                let series = group(events).map_err(|problem| vec![problem])?;
                let warnings = notes.into_problems();
                Ok(Self { file: file.clone(), zone, warnings, without_length, series, listed: Vec::new() })
            }
            false => Err(problems),
        }
    }
}

/// Gathers events by UID. Of several versions of one event the one with the highest SEQUENCE counts;
/// events that share UID and SEQUENCE are all kept, because to drop one could drop a closure.
fn group(events: Vec<Event>) -> Result<Vec<Series>, Problem> {
    let mut order: Vec<String> = Vec::new();
    let mut by_uid: HashMap<String, Vec<Event>> = HashMap::new();
    for event in events {
        if !by_uid.contains_key(&event.uid) {
            order.push(event.uid.clone());
        }
        by_uid.entry(event.uid.clone()).or_default().push(event);
    }
    let mut series = Vec::new();
    for uid in order {
        let (changed, masters): (Vec<Event>, Vec<Event>) =
            by_uid.remove(&uid).unwrap_or_default().into_iter().partition(|event| event.replaces.is_some());
        if let Some(last) = changed.get(MAX_CHANGED) {
            let message = format!("VEVENT: more than {MAX_CHANGED} instances of one event are changed");
            return Err(Problem::at(&last.origin, message).hint("make it several events"));
        }
        let newest = masters.iter().map(|event| event.sequence).max();
        // Of versions that cannot be told apart all count.
        let is_unknown = masters.iter().any(|event| event.sequence.is_none());
        let mut masters = masters.into_iter().filter(|event| is_unknown || Some(event.sequence) == newest);
        series.push(Series { master: masters.next(), changed: newest_changes(changed) });
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
    /// True for a time without length, which closes nothing.
    fn closes_nothing(&self) -> bool {
        matches!(self.start, Stamp::Time(..))
            && (self.length.days, self.length.seconds) == (0, 0)
            && !self.cancelled
    }

    fn read(component: &Component, context: &Context) -> Result<Self, Problem> {
        let Context { zones, notes, .. } = *context;
        if let Some(inner) = component.children.iter().find(|inner| inner.name == "VEVENT") {
            return Err(Problem::at(&inner.origin, "VEVENT: stands inside another event")
                .hint("an END:VEVENT is missing before it"));
        }
        let start_property = component
            .single("DTSTART")?
            .ok_or_else(|| Problem::at(&component.origin, "VEVENT: has no DTSTART").hint(DATE_OR_TIME))?;
        let start = stamp(start_property, zones)?;
        if let Some(property) = component.all("EXRULE").next() {
            return Err(property
                .problem("is obsolete and not supported")
                .hint("list the dates that are left out as EXDATE"));
        }
        let wall = |until: NaiveDateTime| match &start {
            Stamp::Date(_) => until,
            Stamp::Time(_, zone) => zone.local(until.and_utc()),
        };
        let replaces = component
            .single("RECURRENCE-ID")?
            .map(|property| Ok((context.instance(property, &start)?, and_future(property)?)))
            .transpose()?;
        let written_rules = component.all("RRULE").filter(|property| !is_empty(property, notes));
        let rules = written_rules
            .map(|property| Ok((Rule::parse(property, start.local(), wall)?, property.clone())))
            .collect::<Result<Vec<_>, Problem>>()?;
        if let (Some(_), Some((_, rule))) = (&replaces, rules.first()) {
            return Err(rule
                .problem("a changed instance (RECURRENCE-ID) cannot have a rule of its own")
                .hint("give the rest of the series a UID of its own and remove its RECURRENCE-ID"));
        }
        let mut except = Exceptions::default();
        for property in component.all("EXDATE").filter(|property| !is_empty(property, notes)) {
            for stamp in context.instances(property, &start)? {
                match stamp {
                    Stamp::Date(date) => drop(except.dates.insert(date)),
                    time => drop(except.times.insert(local_of(&start, &time))),
                }
            }
        }
        let mut extra = Vec::new();
        for property in component.all("RDATE").filter(|property| !is_empty(property, notes)) {
            extra.extend(extra_starts(property, zones)?);
        }
        let summary = component.first("SUMMARY", notes);
        let uid = component.first("UID", notes).filter(|property| !is_empty(property, notes));
        Ok(Self {
            length: length(component, &start, start_property, context)?,
            replaces,
            cancelled: is_cancelled(component, notes),
            // A comma in a summary is often not escaped, so the pieces are put together again.
            summary: summary.map_or_else(String::new, |property| texts(&property.value).join(",")),
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

fn categories(component: &Component) -> Result<Vec<String>, Problem> {
    let mut categories: Vec<String> = Vec::new();
    for property in component.all("CATEGORIES") {
        if property.values()?.count() + categories.len() > MAX_CATEGORIES {
            return Err(property
                .problem(format!("more than {MAX_CATEGORIES} categories of one event"))
                .hint("keep those that the settings ask for"));
        }
        categories.extend(texts(&property.value).iter().map(|category| category.trim().to_owned()));
    }
    Ok(categories)
}

fn sequence(component: &Component, notes: &Notes) -> Option<i64> {
    let Some(property) = component.first("SEQUENCE", notes) else {
        return Some(0);
    };
    let number = property.value.trim().parse().ok();
    if number.is_none() {
        let message = "SEQUENCE: this is not a number, so all versions of the event count";
        notes.note("SEQUENCE value", &property.origin, message);
    }
    number
}

/// True for a value that says nothing, which is noted.
fn is_empty(property: &Property, notes: &Notes) -> bool {
    let is_empty = property.value.split(',').all(|value| value.trim().is_empty());
    if is_empty {
        let (name, origin) = (&property.name, &property.origin);
        notes.note("empty", origin, format!("{name}: the value is empty, which is read as no {name} at all"));
    }
    is_empty
}

/// True for an event of which every STATUS says that it is cancelled.
fn is_cancelled(component: &Component, notes: &Notes) -> bool {
    let statuses: Vec<String> =
        component.all("STATUS").map(|property| property.value.trim().to_ascii_uppercase()).collect();
    let is_known = |status: &String| ["CANCELLED", "CONFIRMED", "TENTATIVE"].contains(&status.as_str());
    if let Some(property) = component.all("STATUS").next()
        && (!statuses.iter().all(is_known) || statuses.len() > 1)
    {
        let message = "STATUS: only CANCELLED takes an event out; any other or further status is ignored";
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

/// The length by DTEND, by DURATION, or the one that RFC 5545, 3.6.1 gives an event without either.
fn length(
    component: &Component,
    start: &Stamp,
    start_property: &Property,
    context: &Context,
) -> Result<Length, Problem> {
    let end = component.single("DTEND")?;
    let by_end = || end.map(|end| length_until(start, &context.end(end, start)?, end)).transpose();
    let by_duration = component
        .single("DURATION")?
        .map(|property| Ok((length_of(property, start, context.notes)?, property)))
        .transpose()?;
    match (by_end()?, by_duration) {
        (Some(length), Some((duration, property))) => {
            // Thunderbird exports an empty one beside the end.
            let is_nothing = (duration.days, duration.seconds) == (0, 0);
            if !is_nothing && (duration.days, duration.seconds) != (length.days, length.seconds) {
                return Err(property
                    .problem("stands beside DTEND; an event has one of them")
                    .hint("keep one of them"));
            }
            context.notes.note("two ends", &property.origin, "DURATION: stands beside DTEND, which counts");
            Ok(length)
        }
        (Some(length), None) | (None, Some((length, _))) => Ok(length),
        (None, None) if start_property.param("VALUE") == Some("DATE") || matches!(start, Stamp::Date(_)) => {
            Ok(Length { days: 1, seconds: 0 })
        }
        (None, None) => Ok(Length { days: 0, seconds: 0 }),
    }
}

/// The length that a DURATION tells. Of whole days some programs write the seconds.
fn length_of(property: &Property, start: &Stamp, notes: &Notes) -> Result<Length, Problem> {
    let length = duration(&property.value).ok_or_else(|| {
        property
            .problem(format!("\"{}\" is no length of an event", property.value))
            .hint("write days, hours and minutes as in P1DT2H30M, weeks alone as in P2W")
    })?;
    if !matches!(start, Stamp::Date(_)) || length.seconds == 0 {
        return Ok(length);
    }
    if length.seconds % 86_400 != 0 {
        return Err(property
            .problem("an event of whole days lasts whole days")
            .hint("write days alone, as in P1D, or give DTSTART a time"));
    }
    let days = length.days + length.seconds / 86_400;
    notes.note(
        "seconds",
        &property.origin,
        format!("DURATION: {} is read as {days} whole days", property.value.trim()),
    );
    Ok(Length { days, seconds: 0 })
}

impl Context<'_> {
    /// The end of an event; midnight at the end of whole days is a date.
    fn end(&self, property: &Property, start: &Stamp) -> Result<Stamp, Problem> {
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
    fn instances(&self, property: &Property, start: &Stamp) -> Result<Vec<Stamp>, Problem> {
        let values = property.values()?.map(str::trim).filter(|value| !value.is_empty());
        values.map(|value| self.instance_of(value, property, start)).collect()
    }

    /// The instance that a RECURRENCE-ID means.
    fn instance(&self, property: &Property, start: &Stamp) -> Result<Stamp, Problem> {
        self.instance_of(property.value.trim(), property, start)
    }

    /// Of a series of whole days only the date of a time counts: as it is written, whatever its zone, and of UTC the
    /// date in the calendar's zone.
    fn instance_of(&self, value: &str, property: &Property, start: &Stamp) -> Result<Stamp, Problem> {
        if !matches!(start, Stamp::Date(_)) || !value.contains('T') {
            return stamp_of(value, property, self.zones);
        }
        let Some(text) = value.strip_suffix('Z') else {
            let date = parse_local(value).map(|time| Stamp::Date(time.date()));
            return date.map_or_else(|| stamp_of(value, property, self.zones), Ok);
        };
        let Some(time) = parse_local(text) else { return stamp_of(value, property, self.zones) };
        match (self.zone, time.time() == NaiveTime::MIN) {
            (Some(zone), _) => {
                let message = format!(
                    "{}: a time in UTC, of a series of whole days, means the date that it has in {zone}",
                    property.name
                );
                self.notes.note("UTC of whole days", &property.origin, message);
                Ok(Stamp::Date(zone::date(zone, time.and_utc())))
            }
            // Midnight in UTC is the date itself to whoever wrote whole days in UTC.
            (None, true) => Ok(Stamp::Date(time.date())),
            (None, false) => Err(property
                .problem("is a time in UTC, and its series is of whole days: the date is ambiguous")
                .hint(
                    "write the date as in EXDATE;VALUE=DATE:20261224, or give the calendar its X-WR-TIMEZONE",
                )),
        }
    }
}

fn length_until(start: &Stamp, end: &Stamp, property: &Property) -> Result<Length, Problem> {
    let length = match (start, end) {
        (Stamp::Date(start), Stamp::Date(end)) => Length {
            // Some programs write the same date for a single day.
            days: (*end - *start).num_days() + i64::from(start == end),
            seconds: 0,
        },
        (Stamp::Time(start, EventZone::Floating), Stamp::Time(end, _))
        | (Stamp::Time(start, _), Stamp::Time(end, EventZone::Floating)) => {
            Length { days: 0, seconds: (*end - *start).num_seconds() }
        }
        (Stamp::Time(start, from), Stamp::Time(end, to)) => Length {
            days: 0,
            seconds: (to.instant(*end, Zone::UTC) - from.instant(*start, Zone::UTC)).num_seconds(),
        },
        _ => {
            return Err(property
                .problem("is a date where DTSTART is a time, or the other way round")
                .hint("write both as dates, or both as times"));
        }
    };
    match length.days < 0 || length.seconds < 0 {
        true => Err(property.problem("lies before DTSTART").hint("correct one of them")),
        false => Ok(length),
    }
}

/// `P1DT2H30M`, `P2W` (RFC 5545, 3.3.6); not negative, and no longer than ten years.
fn duration(text: &str) -> Option<Length> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let mut length = Length { days: 0, seconds: 0 };
    let mut in_time = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (in_time, rest) = (true, time);
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        rest = &rest[digits + unit.len_utf8()..];
        match (in_time, unit) {
            (false, 'W') => length.days = length.days.checked_add(number.checked_mul(7)?)?,
            (false, 'D') => length.days = length.days.checked_add(number)?,
            (true, 'H') => length.seconds = length.seconds.checked_add(number.checked_mul(3600)?)?,
            (true, 'M') => length.seconds = length.seconds.checked_add(number.checked_mul(60)?)?,
            (true, 'S') => length.seconds = length.seconds.checked_add(number)?,
            _ => return None,
        }
    }
    // `P` and `PT` alone say nothing, and weeks stand alone.
    let says_something = text.ends_with(|c: char| c.is_ascii_alphabetic() && c != 'P' && c != 'T');
    let weeks_alone = !text.contains('W') || (text.ends_with('W') && !text.contains('D'));
    (says_something && weeks_alone && length.days <= 3_660 && length.seconds <= 3_660 * 86_400)
        .then_some(length)
}

/// A single date or time.
fn stamp(property: &Property, zones: &Zones) -> Result<Stamp, Problem> {
    stamp_of(property.value.trim(), property, zones)
}

/// RDATE: dates, times, or periods with a length of their own.
fn extra_starts(property: &Property, zones: &Zones) -> Result<Vec<(Stamp, Option<Length>)>, Problem> {
    property
        .values()?
        .filter(|value| !value.trim().is_empty())
        .map(|value| {
            let Some((start, end)) = value.trim().split_once('/') else {
                return Ok((stamp_of(value.trim(), property, zones)?, None));
            };
            let start = stamp_of(start, property, zones)?;
            let length = match duration(end) {
                Some(length) => length,
                None => length_until(&start, &stamp_of(end, property, zones)?, property)?,
            };
            Ok((start, Some(length)))
        })
        .collect()
}

fn stamp_of(value: &str, property: &Property, zones: &Zones) -> Result<Stamp, Problem> {
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

/// `19970714T133000` (RFC 5545, 3.3.5, form 1). A leap second counts as the second before it.
pub(super) fn parse_local(text: &str) -> Option<NaiveDateTime> {
    let (date, time) = text.trim().split_once('T')?;
    // Years have four digits; more would lead rules through hundreds of thousands of years.
    if date.len() != 8 || time.len() != 6 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let date = NaiveDate::parse_from_str(date, "%Y%m%d").ok()?;
    let part = |at: usize| time[at..at + 2].parse::<u32>().ok();
    date.and_hms_opt(part(0)?, part(2)?, part(4)?.min(59))
}

/// Adds to a wall clock time, staying within the years chrono can count.
pub(super) fn add(local: NaiveDateTime, days: i64, seconds: i64) -> NaiveDateTime {
    TimeDelta::try_days(days)
        .zip(TimeDelta::try_seconds(seconds))
        .and_then(|(days, seconds)| local.checked_add_signed(days)?.checked_add_signed(seconds))
        .unwrap_or(local)
}
