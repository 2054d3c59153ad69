//! Opening hours of a Google Business Profile location, as JSON.

use chrono::{Months, NaiveDate};

use crate::hours::{Day, Season, parse_days};
use crate::limits::time::YEARS;
use crate::model::{Origin, Problem};
use crate::written::{Fields, Node, Raw, Reader};

use crate::compile::compiler::Compiler;
use crate::compile::formats::{DAY, Published, add, check_names, interval, or_hint, starts, time};
use crate::model::WEEKDAYS;

use super::json::Place;
use super::notation::Notation;

/// The keys of a location that concern its hours.
const HOURS: &[&str] = &["regularHours", "specialHours", "moreHours", "openInfo"];

/// The keys of the Places API, old and new, which is not supported.
const PLACES_API_KEYS: &[&str] = &[
    "opening_hours",
    "current_opening_hours",
    "secondary_opening_hours",
    "regularOpeningHours",
    "currentOpeningHours",
    "regularSecondaryOpeningHours",
    "openNow",
    "open_now",
    "weekdayDescriptions",
    "weekday_text",
];

/// `google = { source = "places", pointer = "/0", more = "DELIVERY" }`.
pub(super) struct Google;

impl Notation for Google {
    fn key(&self) -> &'static str {
        "google"
    }

    fn read(&self, compiler: &Compiler, reader: &Reader, node: &Node) -> Option<Published> {
        let fields = reader.table(node, "published hours", &["source", "pointer", "more"])?;
        let place = Place::read(reader, &fields)?;
        let more = match fields.get("more") {
            Some(node) => Some(reader.text(node, "more")?.value),
            None => None,
        };
        place.find(compiler, reader, |location| google(reader, location, more.as_deref()))
    }
}

/// Reads a location: `regularHours`, or the `moreHours` of a type, and `specialHours`.
fn google(reader: &Reader, node: &Node, more: Option<&str>) -> Option<Published> {
    let fields = reader.open_table(node, "a location")?;
    let problems = reader.problem_count();
    let of_places = |node: &Node| PLACES_API_KEYS.iter().find(|key| node.get(key).is_some()).copied();
    if fields.get("regularHours").is_none() && node.any(&|node| of_places(node).is_some()) {
        let message = "this comes from the Google Places API, but google reads the Business Profile API";
        reader.note(Problem::at(&node.origin, message).hint(
            "fetch the location from the Business Profile API with its regularHours, or write the hours \
             as weekly",
        ));
        return None;
    }
    check_names(reader, &fields, "a location", HOURS);
    let mut published = Published::default();
    if let Some((opens, day)) = closed_until(reader, &fields) {
        let weekly = std::array::from_fn(|_| Some(day.clone()));
        published.opens = Some(opens);
        if opens == NaiveDate::MAX {
            let shut = Published { weekly, ..published };
            return (reader.problem_count() == problems).then_some(shut);
        }
        published.seasons.push(Season { from: None, through: opens.pred_opt(), weekly });
    }
    let periods = match more {
        None => regular(reader, &fields),
        Some(kind) => more_hours(reader, &fields, kind),
    };
    for period in periods.unwrap_or_default() {
        google_period(reader, period, &mut published);
    }
    // JSON omits empty lists, so `{}` is the API's form of an empty list.
    let special =
        fields.get("specialHours").filter(|node| !matches!(&node.raw, Raw::Table(keys) if keys.is_empty()));
    if let Some(special) = special {
        for period in periods_of(reader, special, "specialHours", "specialHourPeriods").unwrap_or_default() {
            google_special(reader, period, &mut published);
        }
    }
    (reader.problem_count() == problems).then_some(published)
}

/// Returns the date until which `openInfo` closes a location, and its closed day.
///
/// This applies regardless of the location's hours. A location that is closed temporarily or
/// permanently has no opening date: the date is `NaiveDate::MAX`.
fn closed_until(reader: &Reader, fields: &Fields) -> Option<(NaiveDate, Day)> {
    const KEYS: &[&str] = &["status", "canReopen", "openingDate"];
    let info = reader.table(fields.get("openInfo")?, "openInfo", KEYS)?;
    let closed = |says: &str, origin: &Origin| {
        let name = Some(format!("its openInfo says {says}"));
        Day { intervals: Vec::new(), name, origin: origin.clone() }
    };
    if let Some(status) = info.get("status") {
        let text = reader.text(status, "status")?;
        match text.value.as_str() {
            "OPEN" | "OPEN_FOR_BUSINESS_UNSPECIFIED" => {}
            says @ ("CLOSED_TEMPORARILY" | "CLOSED_PERMANENTLY") => {
                return Some((NaiveDate::MAX, closed(says, &text.origin)));
            }
            other => {
                let message = format!("invalid openInfo status \"{other}\"");
                reader.note(
                    Problem::at(&text.origin, message)
                        .hint("write OPEN, CLOSED_TEMPORARILY or CLOSED_PERMANENTLY"),
                );
                return None;
            }
        }
    }
    let opening = info.get("openingDate")?;
    let date = opening_date(reader, opening)?;
    Some((date, closed(&format!("that it opens on {date}"), &opening.origin)))
}

fn regular<'n>(reader: &Reader, fields: &Fields<'n>) -> Option<&'n [Node]> {
    let hint = "point at a location that has it, or take its moreHours with more = \"TYPE\"";
    periods_of(reader, fields.require_or(reader, "regularHours", hint)?, "regularHours", "periods")
}

/// Returns the periods of the `moreHours` of a type.
fn more_hours<'n>(reader: &Reader, fields: &Fields<'n>, kind: &str) -> Option<&'n [Node]> {
    let hint = "point at a location that has it, or leave out \"more\" to use its regularHours";
    let node = fields.require_or(reader, "moreHours", hint)?;
    let is_of_kind =
        |item: &&Node| matches!(item.get("hoursTypeId").map(|id| &id.raw), Some(Raw::Text(id)) if id == kind);
    let mut found = reader.list(node, "moreHours")?.iter().filter(is_of_kind);
    let Some(first) = found.next() else {
        let message = format!("the location has no moreHours of type \"{kind}\"");
        reader.note(Problem::at(&node.origin, message).hint("write an hoursTypeId that the location has"));
        return None;
    };
    if let Some(second) = found.next() {
        let message = format!("duplicate moreHours of type \"{kind}\" ({})", first.origin);
        reader.note(Problem::at(&second.origin, message).hint("merge their periods into one of them"));
    }
    let fields = reader.table(first, "moreHours", &["hoursTypeId", "periods"])?;
    reader.list(fields.require_or(reader, "periods", NO_PERIODS)?, "periods")
}

const NO_PERIODS: &str = "write an empty list where there are none";

fn periods_of<'n>(
    reader: &Reader,
    node: &'n Node,
    what: &'static str,
    key: &'static str,
) -> Option<&'n [Node]> {
    let fields = reader.table(node, what, &[key])?;
    reader.list(fields.require_or(reader, key, NO_PERIODS)?, key)
}

fn google_period(reader: &Reader, node: &Node, published: &mut Published) -> Option<()> {
    const KEYS: &[&str] = &["openDay", "openTime", "closeDay", "closeTime"];
    let fields = reader.table(node, "a period", KEYS)?;
    let (first, last) = (weekday(reader, &fields, "openDay")?, weekday(reader, &fields, "closeDay")?);
    let (open, close) =
        (google_time(reader, &fields, "openTime")?, google_time(reader, &fields, "closeTime")?);
    starts(reader, open, &node.origin)?;
    if first == last && close <= open {
        // If the close were in the next week, the site would be open for almost seven days.
        let message =
            format!("a period of {} closes no later than it opens", WEEKDAYS[first as usize % 7].name);
        let next = WEEKDAYS[(first as usize + 1) % 7].name.to_uppercase();
        let hint =
            format!("set closeDay to {next}; for a period that ends with the day, set closeTime to 24 hours");
        reader.note(Problem::at(&node.origin, message).hint(hint));
        return None;
    }
    let from = first * DAY + open;
    let mut to = last * DAY + close;
    if to <= from {
        to += 7 * DAY;
    }
    // A period longer than a day, such as "always open", is split by day.
    let pieces = match to - from <= DAY {
        true => vec![(from, to)],
        false => {
            (from / DAY..to.div_ceil(DAY)).map(|day| (from.max(day * DAY), to.min((day + 1) * DAY))).collect()
        }
    };
    for (from, to) in pieces {
        let day = (from / DAY) as usize % 7;
        let interval = interval(from % DAY, from % DAY + (to - from));
        add(reader, &mut published.weekly[day], WEEKDAYS[day].name, Some(interval), &node.origin);
    }
    Some(())
}

fn google_special(reader: &Reader, node: &Node, published: &mut Published) -> Option<()> {
    const KEYS: &[&str] = &["startDate", "openTime", "endDate", "closeTime", "closed"];
    let fields = reader.table(node, "a special period", KEYS)?;
    let hint = "write the date as {\"year\": 2026, \"month\": 12, \"day\": 24}";
    let start = google_date(reader, fields.require_or(reader, "startDate", hint)?)?;
    let end = match fields.get("endDate") {
        Some(node) => google_date(reader, node)?,
        None => start,
    };
    let closed = match fields.get("closed") {
        Some(node) => reader.boolean(node, "closed")?,
        None => false,
    };
    let mut add = |date: NaiveDate, interval| {
        let mut slot = published.special.remove(&date);
        add(reader, &mut slot, &date.to_string(), interval, &node.origin);
        published.special.extend(slot.map(|day| (date, day)));
    };
    if closed {
        // "If true, endDate, openTime, and closeTime are ignored" (SpecialHourPeriod of the
        // Business Profile).
        if end != start {
            let message =
                format!("a closed special period covers only its startDate, but this one ends on {end}");
            let hint = "write a closed period for each date, without endDate";
            reader.note(Problem::at(&node.origin, message).hint(hint));
            return None;
        }
        add(start, None);
        return Some(());
    }
    let (open, close) =
        (google_time(reader, &fields, "openTime")?, google_time(reader, &fields, "closeTime")?);
    starts(reader, open, &node.origin)?;
    if start == end && close <= open {
        let message = format!("a special period of {start} closes no later than it opens");
        let hint =
            "set endDate to the next date; for a period that ends with the day, set closeTime to 24 hours";
        reader.note(Problem::at(&node.origin, message).hint(hint));
        return None;
    }
    let length = (end - start).num_days() * i64::from(DAY) + i64::from(close) - i64::from(open);
    match u32::try_from(length).ok().filter(|length| (1..=DAY).contains(length)) {
        Some(length) => add(start, Some(interval(open, open + length))),
        None => reader.note(
            Problem::at(&node.origin, "a special period must last from one minute to 24 hours")
                .hint("write a period for each date"),
        ),
    }
    Some(())
}

fn weekday(reader: &Reader, fields: &Fields, key: &str) -> Option<u32> {
    let text = reader.text(fields.require_or(reader, key, "write MONDAY to SUNDAY")?, key)?;
    let days = parse_days(&text.value).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
    match reader.ok(days)?.as_slice() {
        [day] => Some(day.num_days_from_monday()),
        _ => {
            reader.note(
                Problem::at(&text.origin, format!("{key} must be one day")).hint("write MONDAY to SUNDAY"),
            );
            None
        }
    }
}

/// Reads `{"hours": 9, "minutes": 30}`, or the older form `"09:30"`.
///
/// A missing part is zero.
fn google_time(reader: &Reader, fields: &Fields, key: &'static str) -> Option<u32> {
    let hint =
        "write it as {\"hours\": 9, \"minutes\": 30}; a special period without hours has \"closed\": true";
    let node = fields.require_or(reader, key, hint)?;
    if let Raw::Text(_) = node.raw {
        let text = reader.text(node, key)?;
        return time(reader, &text.value, &text.origin);
    }
    let parts = or_hint(reader, hint, || reader.table(node, key, &["hours", "minutes", "seconds", "nanos"]))?;
    let part = |key: &str, most: u64| match parts.get(key) {
        Some(node) => reader.integer(node, key, 0, most),
        None => Some(0),
    };
    if part("seconds", 59)? + part("nanos", 0)? > 0 {
        reader
            .note(Problem::at(&node.origin, "hours must be in whole minutes").hint("leave the seconds out"));
        return None;
    }
    let minutes = part("hours", 24)? * 60 + part("minutes", 59)?;
    u32::try_from(minutes).ok().filter(|minutes| *minutes <= DAY).or_else(|| {
        reader.note(Problem::at(&node.origin, "this is later than 24:00").hint("write at most 24 hours"));
        None
    })
}

/// Reads `{"year": 2026, "month": 12, "day": 25}`.
fn google_date(reader: &Reader, node: &Node) -> Option<NaiveDate> {
    let parts = date_parts(reader, node)?;
    let day = date_part(reader, &parts, "day", 31)?;
    date_of(reader, &parts, day)
}

/// Returns the date on which a location opens.
///
/// If only the month is known (a missing day, or day 0 as in google.type.Date), this is its last
/// date: the location may still be closed on any earlier one.
fn opening_date(reader: &Reader, node: &Node) -> Option<NaiveDate> {
    let parts = date_parts(reader, node)?;
    let day = match parts.get("day") {
        Some(day) => reader.integer(day, "day", 0, 31)?,
        None => 0,
    };
    match day {
        0 => date_of(reader, &parts, 1)?.checked_add_months(Months::new(1))?.pred_opt(),
        day => date_of(reader, &parts, u32::try_from(day).ok()?),
    }
}

fn date_parts<'n>(reader: &Reader, node: &'n Node) -> Option<Fields<'n>> {
    let hint = "write it as {\"year\": 2026, \"month\": 12, \"day\": 24}";
    or_hint(reader, hint, || reader.table(node, "a date", &["year", "month", "day"]))
}

fn date_part(reader: &Reader, parts: &Fields, key: &str, most: u64) -> Option<u32> {
    let node = parts.require_or(reader, key, "write year, month and day")?;
    u32::try_from(reader.integer(node, key, 1, most)?).ok()
}

fn date_of(reader: &Reader, parts: &Fields, day: u32) -> Option<NaiveDate> {
    let (year, month) = (
        date_part(reader, parts, "year", YEARS.end().unsigned_abs().into())?,
        date_part(reader, parts, "month", 12)?,
    );
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day);
    reader.ok(date.ok_or_else(|| {
        Problem::at(parts.origin, format!("{year}-{month:02}-{day:02} is not a date"))
            .hint("write a day that the month has")
    }))
}
