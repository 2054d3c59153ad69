//! Opening hours in the formats that others publish: Google Business Profile and schema.org, as JSON.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};

use crate::hours::{Day, Interval, parse_days};
use crate::model::{Origin, Problem};
use crate::written::{Fields, Node, Raw, Reader, one_or_more};

/// Minutes of a day.
const DAY: u32 = 24 * 60;
/// Dates that one specification may be valid for.
const MAX_DATES: i64 = 400;

/// What a format says of a place's hours.
#[derive(Default)]
pub(super) struct Published {
    /// Monday first; a day without hours is closed.
    pub weekly: [Option<Day>; 7],
    /// Dated exceptions.
    pub special: BTreeMap<NaiveDate, Day>,
    /// The hours of public holidays.
    pub holidays: Option<Day>,
}

impl Published {
    fn add_weekly(&mut self, reader: &Reader, day: u32, interval: Interval, origin: &Origin) {
        let new = || Day { intervals: Vec::new(), name: None, origin: origin.clone() };
        let day = self.weekly[day as usize % 7].get_or_insert_with(new);
        if day.intervals.contains(&interval) {
            reader.note(Problem::at(origin, "these hours are there twice").hint("remove one of them"));
        }
        day.intervals.push(interval);
    }

    fn add_special(&mut self, reader: &Reader, date: NaiveDate, interval: Option<Interval>, origin: &Origin) {
        let known = self.special.get(&date);
        if let Some(known) = known.filter(|day| day.intervals.is_empty() != interval.is_none()) {
            let message = format!("{date} is open and closed at once ({})", known.origin);
            reader.note(Problem::at(origin, message).hint("keep one of them"));
        }
        let new = || Day { intervals: Vec::new(), name: None, origin: origin.clone() };
        self.special.entry(date).or_insert_with(new).intervals.extend(interval);
    }
}

/// A location of the Google Business Profile: `regularHours`, or the `moreHours` of a type, and `specialHours`.
pub(super) fn google(reader: &Reader, node: &Node, more: Option<&str>) -> Option<Published> {
    let fields = reader.open_table(node, "a location")?;
    let problems = reader.problem_count();
    let mut published = Published::default();
    let periods = match more {
        None => fields.require(reader, "regularHours").and_then(|node| node_list(reader, node, "periods")),
        Some(wanted) => {
            let lists = fields.require(reader, "moreHours").and_then(|node| reader.list(node, "moreHours"));
            let is_wanted = |item: &&Node| matches!(item.get("hoursTypeId").map(|id| &id.raw), Some(Raw::Text(id)) if id == wanted);
            let found = lists.unwrap_or_default().iter().find(is_wanted);
            if found.is_none() && lists.is_some() {
                let message = format!("there are no moreHours of the type \"{wanted}\"");
                reader.note(
                    Problem::at(&node.origin, message).hint("write one of the hoursTypeId that are there"),
                );
            }
            found.and_then(|node| node_list(reader, node, "periods"))
        }
    };
    for period in periods.unwrap_or_default() {
        google_period(reader, period, &mut published);
    }
    if let Some(special) = fields.get("specialHours") {
        for period in node_list(reader, special, "specialHourPeriods").unwrap_or_default() {
            google_special(reader, period, &mut published);
        }
    }
    (reader.problem_count() == problems).then_some(published)
}

fn node_list<'n>(reader: &Reader, node: &'n Node, key: &'static str) -> Option<&'n [Node]> {
    let fields = reader.open_table(node, "hours of Google")?;
    reader.list(fields.require(reader, key)?, key)
}

fn google_period(reader: &Reader, node: &Node, published: &mut Published) -> Option<()> {
    const KEYS: &[&str] = &["openDay", "openTime", "closeDay", "closeTime"];
    let fields = reader.table(node, "a period", KEYS)?;
    let (first, last) = (weekday(reader, &fields, "openDay")?, weekday(reader, &fields, "closeDay")?);
    let (open, close) =
        (google_time(reader, &fields, "openTime")?, google_time(reader, &fields, "closeTime")?);
    starts(reader, open, &node.origin)?;
    let from = first * DAY + open;
    let mut to = last * DAY + close;
    if to <= from {
        to += 7 * DAY;
    }
    if to - from <= DAY {
        let interval = interval(open, open + (to - from));
        published.add_weekly(reader, first, interval, &node.origin);
        return Some(());
    }
    // Longer than a day, as "always open" is: a piece for each day.
    let mut at = from;
    while at < to {
        let end = ((at / DAY + 1) * DAY).min(to);
        published.add_weekly(reader, at / DAY, interval(at % DAY, at % DAY + (end - at)), &node.origin);
        at = end;
    }
    Some(())
}

fn google_special(reader: &Reader, node: &Node, published: &mut Published) -> Option<()> {
    const KEYS: &[&str] = &["startDate", "openTime", "endDate", "closeTime", "closed"];
    let fields = reader.table(node, "a special period", KEYS)?;
    let start = google_date(reader, fields.require(reader, "startDate")?)?;
    let end = match fields.get("endDate") {
        Some(node) => google_date(reader, node)?,
        None => start,
    };
    let closed = match fields.get("closed") {
        Some(node) => reader.boolean(node, "closed")?,
        None => false,
    };
    if closed {
        for date in dates(reader, start, end, &node.origin)? {
            published.add_special(reader, date, None, &node.origin);
        }
        return Some(());
    }
    let (open, close) =
        (google_time(reader, &fields, "openTime")?, google_time(reader, &fields, "closeTime")?);
    starts(reader, open, &node.origin)?;
    let length = (end - start).num_days() * i64::from(DAY) + i64::from(close) - i64::from(open);
    match u32::try_from(length).ok().filter(|length| (1..=DAY).contains(length)) {
        Some(length) => {
            published.add_special(reader, start, Some(interval(open, open + length)), &node.origin)
        }
        None => reader.note(
            Problem::at(&node.origin, "a special period lasts from one minute to 24 hours")
                .hint("write a period for each date"),
        ),
    }
    Some(())
}

fn weekday(reader: &Reader, fields: &Fields, key: &str) -> Option<u32> {
    let text = reader.text(fields.require(reader, key)?, key)?;
    let days = parse_days(&text.value).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
    match reader.ok(days)?.as_slice() {
        [day] => Some(day.num_days_from_monday()),
        _ => {
            reader
                .note(Problem::at(&text.origin, format!("{key} is one day")).hint("write MONDAY to SUNDAY"));
            None
        }
    }
}

/// `{"hours": 9, "minutes": 30}`, where what is missing is zero, or `"09:30"` as it was once written.
fn google_time(reader: &Reader, fields: &Fields, key: &'static str) -> Option<u32> {
    let node = fields.require(reader, key)?;
    if let Raw::Text(_) = node.raw {
        let text = reader.text(node, key)?;
        return time(reader, &text.value, &text.origin);
    }
    let parts = reader.table(node, key, &["hours", "minutes", "seconds", "nanos"])?;
    let part = |key: &str, most: u64| match parts.get(key) {
        Some(node) => reader.integer(node, key, 0, most),
        None => Some(0),
    };
    if part("seconds", 59)? + part("nanos", 0)? > 0 {
        reader.note(Problem::at(&node.origin, "hours are in whole minutes").hint("leave the seconds out"));
        return None;
    }
    let minutes = part("hours", 24)? * 60 + part("minutes", 59)?;
    u32::try_from(minutes).ok().filter(|minutes| *minutes <= DAY).or_else(|| {
        reader.note(Problem::at(&node.origin, "this is later than 24:00").hint("write at most 24 hours"));
        None
    })
}

/// `{"year": 2026, "month": 12, "day": 25}`
fn google_date(reader: &Reader, node: &Node) -> Option<NaiveDate> {
    let parts = reader.table(node, "a date", &["year", "month", "day"])?;
    let part = |key: &str, most: u64| {
        let value = reader.integer(parts.require(reader, key)?, key, 1, most)?;
        u32::try_from(value).ok()
    };
    let (year, month, day) = (part("year", 2200)?, part("month", 12)?, part("day", 31)?);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day);
    reader.ok(date.ok_or_else(|| {
        Problem::at(&node.origin, format!("{year}-{month:02}-{day:02} is not a date"))
            .hint("write a day that there is")
    }))
}

/// schema.org: a list of `OpeningHoursSpecification`, or a thing that has `openingHoursSpecification` and perhaps
/// `specialOpeningHoursSpecification`.
pub(super) fn schema_org(reader: &Reader, node: &Node) -> Option<Published> {
    let problems = reader.problem_count();
    let mut published = Published::default();
    let lists: Vec<&Node> = match node.get("openingHoursSpecification") {
        Some(list) => [list].into_iter().chain(node.get("specialOpeningHoursSpecification")).collect(),
        None => vec![node],
    };
    let mut found = false;
    for item in lists.into_iter().flat_map(|list| one_or_more(Some(list))) {
        found = true;
        specification(reader, item, &mut published);
    }
    if !found {
        reader.note(
            Problem::at(&node.origin, "there is no OpeningHoursSpecification here")
                .hint("point at a list of them, or at the thing that has openingHoursSpecification"),
        );
    }
    (reader.problem_count() == problems).then_some(published)
}

fn specification(reader: &Reader, node: &Node, published: &mut Published) -> Option<()> {
    const KEYS: &[&str] =
        &["@type", "@context", "@id", "name", "dayOfWeek", "opens", "closes", "validFrom", "validThrough"];
    let fields = reader.table(node, "an OpeningHoursSpecification", KEYS)?;
    let interval = opens_and_closes(reader, &fields)?;
    let days = match fields.get("dayOfWeek") {
        Some(days) => Some(days_of_week(reader, days)?),
        None => None,
    };
    let date = |key: &str| match fields.get(key) {
        Some(node) => {
            let mut text = reader.text(node, key)?;
            // A date-time counts from its date.
            if let Some((date, _)) = text.value.split_once('T') {
                text.value = date.to_owned();
            }
            reader.date_named(&text).map(Some)
        }
        None => Some(None),
    };
    match (days, date("validFrom")?, date("validThrough")?) {
        (Some(days), None, None) => {
            for day in days {
                match (day, interval) {
                    (Some(day), Some(interval)) => published.add_weekly(reader, day, interval, &node.origin),
                    // Closed on a weekday is what a weekday without hours is.
                    (Some(_), None) => {}
                    (None, interval) => {
                        let new = || Day { intervals: Vec::new(), name: None, origin: node.origin.clone() };
                        published.holidays.get_or_insert_with(new).intervals.extend(interval);
                    }
                }
            }
        }
        (days, Some(from), through) => {
            for date in dates(reader, from, through.unwrap_or(from), &node.origin)? {
                let weekday = Some(date.weekday().num_days_from_monday());
                if days.as_ref().is_none_or(|days| days.contains(&weekday)) {
                    published.add_special(reader, date, interval, &node.origin);
                }
            }
        }
        (_, None, _) => reader.note(
            Problem::at(&node.origin, "for which days or dates are these hours?")
                .hint("give them dayOfWeek, or validFrom and validThrough"),
        ),
    }
    Some(())
}

/// None for closed: both at midnight, as Google asks for it.
fn opens_and_closes(reader: &Reader, fields: &Fields) -> Option<Option<Interval>> {
    let at = |key: &str| {
        let text = reader.text(fields.require(reader, key)?, key)?;
        time(reader, &text.value, &text.origin)
    };
    let opens = at("opens")?;
    starts(reader, opens, fields.origin)?;
    Some(match (opens, at("closes")?) {
        (0, 0) => None,
        // The last minute stands for the end of the day.
        (open, close) if close == DAY - 1 => Some(interval(open, DAY)),
        (open, close) if close > open => Some(interval(open, close)),
        (open, close) => Some(interval(open, close + DAY)),
    })
}

/// The days of a specification, Monday being 0; none for public holidays.
fn days_of_week(reader: &Reader, node: &Node) -> Option<Vec<Option<u32>>> {
    let mut days = Vec::new();
    for node in one_or_more(Some(node)) {
        let text = reader.text(node, "dayOfWeek")?;
        let name = text.value.rsplit('/').next().unwrap_or_default();
        if name.eq_ignore_ascii_case("PublicHolidays") {
            days.push(None);
            continue;
        }
        let named = parse_days(name).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
        days.extend(reader.ok(named)?.into_iter().map(|day| Some(day.num_days_from_monday())));
    }
    Some(days)
}

/// `09:30` or `09:30:00`, up to `24:00`.
fn time(reader: &Reader, text: &str, origin: &Origin) -> Option<u32> {
    let is_written = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let part = |(index, part): (usize, &str)| {
        part.parse().ok().filter(|_| is_written(part) && (index == 0 || part.len() == 2))
    };
    let parts: Option<Vec<u32>> = text.trim().split(':').enumerate().map(part).collect();
    let minutes = match parts.as_deref() {
        Some([hour, minute] | [hour, minute, 0]) if *minute < 60 && hour * 60 + minute <= DAY => {
            hour * 60 + minute
        }
        _ => {
            let problem = Problem::at(origin, format!("\"{text}\" is not a time"));
            reader.note(problem.hint("write HH:MM, as in 09:30, in local time"));
            return None;
        }
    };
    Some(minutes)
}

/// The end of a day opens none.
fn starts(reader: &Reader, open: u32, origin: &Origin) -> Option<()> {
    let problem =
        || Problem::at(origin, "24:00 ends a day and opens none").hint("write 00:00 of the next day");
    reader.ok((open < DAY).then_some(()).ok_or_else(problem))
}

fn dates(reader: &Reader, from: NaiveDate, through: NaiveDate, origin: &Origin) -> Option<Vec<NaiveDate>> {
    let days = (through - from).num_days();
    if !(0..=MAX_DATES).contains(&days) {
        let message = format!("{from} to {through} is no range of at most {MAX_DATES} days");
        reader.note(
            Problem::at(origin, message).hint("put the first date first, and let weekly hours be weekly"),
        );
        return None;
    }
    let days = u64::try_from(days).unwrap_or_default();
    Some((0..=days).filter_map(|day| from.checked_add_days(Days::new(day))).collect())
}

/// From and to in minutes since midnight, the end at most a day later.
fn interval(open: u32, close: u32) -> Interval {
    let minute = |minute: u32| u16::try_from(minute).unwrap_or(u16::MAX);
    Interval { open: minute(open), close: minute(close) }
}
