//! Opening hours of schema.org: `OpeningHoursSpecification`, as JSON.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use crate::hours::{Clash, Day, Interval, Season, nested, parse_days};
use crate::limits::settings::{MAX_RANGE_DATES, MAX_RANGES};
use crate::model::{Origin, Problem};
use crate::written::{Fields, Node, Raw, Reader, one_or_more};

use crate::compile::compiler::Compiler;
use crate::compile::formats::{DAY, Published, add, check_names, interval, or_hint, starts, time};
use crate::model::WEEKDAYS;

use super::json::Place;
use super::notation::Notation;

/// The keys that hold the hours of a thing: the general ones, and the special ones.
const HOURS: &[&str] = &["openingHoursSpecification", "specialOpeningHoursSpecification"];

/// The keys of an `OpeningHoursSpecification` that define hours.
const SPECIFICATION: &[&str] = &["dayOfWeek", "opens", "closes", "validFrom", "validThrough"];

/// Keys that a thing without general hours may have instead, each with a hint.
const INSTEAD: &[(&str, &str)] = &[
    ("@graph", "point at the object that has it within @graph, as in pointer = \"/@graph/0\""),
    ("openingHours", "its openingHours are text; write them as weekly"),
    ("specialOpeningHoursSpecification", "special hours override general ones; add those"),
];

/// The first moment of a date, and its last, as written in local time.
const START: (&str, &[&str]) = ("the start", &["00:00", "00:00:00"]);
const END: (&str, &[&str]) = ("the end", &["23:59", "23:59:59", "24:00", "24:00:00"]);

/// A range of dates, the last one included; a missing date leaves that side open.
type Range = (Option<NaiveDate>, Option<NaiveDate>);

/// A range of dates, the last one included.
type Dates = (NaiveDate, NaiveDate);

/// The content of a list of specifications.
#[derive(Default)]
struct Specifications {
    published: Published,
    /// Hours of weekdays within a range of dates; closing calendars override them.
    seasons: BTreeMap<Range, [Option<Day>; 7]>,
    /// Hours of all dates of a range; they override closing calendars.
    dated: BTreeMap<Dates, Option<Day>>,
}

/// `schema_org = { source = "site", pointer = "/openingHoursSpecification" }`.
pub(super) struct SchemaOrg;

impl Notation for SchemaOrg {
    fn key(&self) -> &'static str {
        "schema_org"
    }

    fn read(&self, compiler: &Compiler, reader: &Reader, node: &Node) -> Option<Published> {
        let fields = reader.table(node, "published hours", &["source", "pointer"])?;
        Place::read(reader, &fields)?.find(compiler, reader, |found| schema_org(reader, found))
    }
}

/// Reads the hours of a list or a thing.
///
/// The list is of `OpeningHoursSpecification`. The thing has `openingHoursSpecification` and
/// perhaps `specialOpeningHoursSpecification`.
fn schema_org(reader: &Reader, node: &Node) -> Option<Published> {
    let problems = reader.problem_count();
    let (general, special) = lists(reader, node)?;
    let general = specifications(reader, general);
    let special = special.and_then(|list| specifications(reader, list));
    if general.is_none() && special.is_none() {
        reader.note(
            Problem::at(&node.origin, "missing OpeningHoursSpecification")
                .hint("point at a list of them, or at the object that has openingHoursSpecification"),
        );
    }
    let special = special.unwrap_or_default();
    special.check_dates(reader);
    let read = general.unwrap_or_default().published(reader).zip(special.published(reader));
    read.map(|(general, special)| overridden(general, special)).filter(|_| reader.problem_count() == problems)
}

/// Returns the general and the special hours of a thing; a list holds general ones.
fn lists<'n>(reader: &Reader, node: &'n Node) -> Option<(&'n Node, Option<&'n Node>)> {
    // Web pages list all their JSON-LD items, and one of them has hours.
    if let Raw::List(items) = &node.raw {
        let mut things = items.iter().enumerate().filter(|(_, item)| item.get(HOURS[0]).is_some());
        match (things.next(), things.next()) {
            (Some((_, thing)), None) => return lists(reader, thing),
            (Some(_), Some((index, second))) => {
                let problem = Problem::at(&second.origin, "more than one object in this list has hours");
                reader.note(problem.hint(format!("point at one of them, as in /{index}")));
                return None;
            }
            (None, _) => {}
        }
    }
    if !is_thing(node) {
        return Some((node, None));
    }
    let fields = reader.open_table(node, "a thing")?;
    let problems = reader.problem_count();
    check_names(reader, &fields, "a thing", HOURS);
    if let Some(general) = fields.get(HOURS[0]) {
        return Some((general, fields.get(HOURS[1])));
    }
    if reader.problem_count() == problems {
        let instead = INSTEAD.iter().find(|(key, _)| fields.get(key).is_some());
        let hint =
            instead.map_or("point at the object that has it, or at a list of its items", |(_, hint)| hint);
        fields.require_or(reader, HOURS[0], hint);
    }
    None
}

/// Returns true for a table that has hours, or should have them.
///
/// An `OpeningHoursSpecification` itself is not such a thing.
fn is_thing(node: &Node) -> bool {
    let is_specification = || SPECIFICATION.iter().any(|key| node.get(key).is_some());
    matches!(node.raw, Raw::Table(_)) && (node.get(HOURS[0]).is_some() || !is_specification())
}

/// Reads a list of specifications; returns none if it is empty.
fn specifications(reader: &Reader, list: &Node) -> Option<Specifications> {
    let items = one_or_more(Some(list));
    let mut read = Specifications::default();
    for item in items {
        specification(reader, item, &mut read);
    }
    (!items.is_empty()).then_some(read)
}

/// Overrides general hours with special ones, on each date that the special ones cover.
///
/// Special hours "explicitly override general opening hours" (schema.org,
/// `specialOpeningHoursSpecification`), even where their range is wider.
fn overridden(general: Published, special: Published) -> Published {
    let Published { weekly, mut seasons, special: mut dates, holidays, opens } = general;
    dates.retain(|date, _| special.seasons.iter().all(|season| season.day(*date).is_none()));
    dates.extend(special.special);
    seasons.splice(0..0, special.seasons);
    Published { weekly, seasons, special: dates, holidays: special.holidays.or(holidays), opens }
}

impl Specifications {
    /// Combines all specifications.
    ///
    /// If two ranges contain a date the narrower one counts, with or without days of the week.
    fn published(self, reader: &Reader) -> Option<Published> {
        let Self { mut published, seasons, dated } = self;
        let both =
            dated.iter().find(|((from, through), _)| seasons.contains_key(&(Some(*from), Some(*through))));
        if let Some(((from, through), Some(day))) = both {
            let message = format!("{from} to {through} has hours with dayOfWeek and hours without");
            reader.note(Problem::at(&day.origin, message).hint("give all of them dayOfWeek"));
            return None;
        }
        let season = |((from, through), weekly)| Season { from, through, weekly };
        let whole = |((from, through), day): (&Dates, &Option<Day>)| Season {
            from: Some(*from),
            through: Some(*through),
            weekly: std::array::from_fn(|_| day.clone()),
        };
        let ranges = seasons.into_iter().map(season).chain(dated.iter().map(whole)).collect();
        // The widest range first: a narrower one within it replaces its dates.
        for range in in_order(reader, ranges)?.into_iter().rev() {
            match range.from.zip(range.through).filter(|dates| dated.contains_key(dates)) {
                Some((from, through)) => {
                    let dates = from.iter_days().take_while(|date| *date <= through);
                    published.special.extend(dates.filter_map(|date| Some((date, range.day(date)?.clone()))));
                }
                None => {
                    published.special.retain(|date, _| range.day(*date).is_none());
                    published.seasons.push(range);
                }
            }
        }
        published.seasons.reverse();
        Some(published)
    }

    /// Checks that special hours have a first and a last date, except those of public holidays.
    ///
    /// Without both they would be the ordinary hours.
    fn check_dates(&self, reader: &Reader) {
        let is_open = |(from, through): &Range| from.is_none() || through.is_none();
        let open = self.seasons.iter().filter(|(range, _)| is_open(range)).flat_map(|(_, week)| week);
        if let Some(day) = open.chain(&self.published.weekly).flatten().next() {
            reader.note(
                Problem::at(&day.origin, "special hours of a weekday need both validFrom and validThrough")
                    .hint("add them, or put the hours into openingHoursSpecification"),
            );
        }
    }
}

fn in_order(reader: &Reader, ranges: Vec<Season>) -> Option<Vec<Season>> {
    // Every pair of ranges is compared, so their number is limited.
    if let Some(beyond) = ranges.get(MAX_RANGES) {
        let origin = beyond.weekly.iter().flatten().map(|day| &day.origin).next()?;
        let message = format!("the hours have more than {MAX_RANGES} date ranges");
        reader.note(Problem::at(origin, message).hint("remove past date ranges"));
        return None;
    }
    let problem = |clash: Box<Clash>| {
        let message = format!(
            "{} has hours from two date ranges, and neither is inside the other ({})",
            clash.date, clash.other
        );
        Problem::at(&clash.one, message).hint(
            "end one range before the other begins, put it inside the other, or move the overriding \
             hours to specialOpeningHoursSpecification",
        )
    };
    reader.ok(nested(ranges).map_err(problem))
}

fn specification(reader: &Reader, node: &Node, read: &mut Specifications) -> Option<()> {
    let keys = [["@type", "@context", "@id", "name"].as_slice(), SPECIFICATION].concat();
    let fields = reader.table(node, "an OpeningHoursSpecification", &keys)?;
    let interval = opens_and_closes(reader, &fields)?;
    let days = match fields.get("dayOfWeek") {
        Some(days) => Some(days_of_week(reader, days)?),
        None => None,
    };
    let from = date(reader, &fields, "validFrom", START)?;
    let through = date(reader, &fields, "validThrough", END)?;
    let range = (from, through);
    if let (Some(from), Some(through)) = range {
        check_range(reader, from, through, days.as_deref(), &node.origin)?;
    }
    match (days, range) {
        (Some(days), range) => {
            for day in days {
                add_day(reader, read, day, range, interval, &node.origin)?;
            }
        }
        (None, (Some(from), Some(through))) => {
            if (through - from).num_days() >= MAX_RANGE_DATES {
                let message =
                    format!("{from} to {through} is not a range of at most {MAX_RANGE_DATES} dates");
                let hint = "for a longer range, set dayOfWeek";
                reader.note(Problem::at(&node.origin, message).hint(hint));
                return None;
            }
            let what = if from == through { from.to_string() } else { format!("{from} to {through}") };
            add(reader, read.dated.entry((from, through)).or_default(), &what, interval, &node.origin);
        }
        (None, (None, None)) => reader.note(
            Problem::at(&node.origin, "these hours have no days or dates")
                .hint("give them dayOfWeek, or validFrom and validThrough"),
        ),
        (None, (from, _)) => {
            let (given, missing) = match from {
                Some(_) => ("validFrom", "validThrough"),
                None => ("validThrough", "validFrom"),
            };
            let message = format!("these hours have {given} but neither {missing} nor dayOfWeek");
            let hint =
                format!("add {missing} (the same date for a single day), or dayOfWeek for weekly hours");
            reader.note(Problem::at(&node.origin, message).hint(hint));
        }
    }
    Some(())
}

/// Checks that a range has its dates in order and contains one of the named days.
///
/// Hours that never apply point to a wrong date or day.
fn check_range(
    reader: &Reader,
    from: NaiveDate,
    through: NaiveDate,
    days: Option<&[Option<u32>]>,
    origin: &Origin,
) -> Option<()> {
    if through < from {
        let message = format!("these hours end on {through}, before they begin on {from}");
        reader.note(Problem::at(origin, message).hint("put the first date into validFrom"));
        return None;
    }
    let is_named = |date: NaiveDate, days: &[Option<u32>]| {
        days.iter().any(|day| day.is_none_or(|day| day == date.weekday().num_days_from_monday()))
    };
    // Any seven dates have every weekday.
    let mut dates = from.iter_days().take(7).take_while(|date| *date <= through);
    if days.is_some_and(|days| !dates.any(|date| is_named(date, days))) {
        let message = format!("no day in dayOfWeek falls within {from} to {through}");
        reader.note(
            Problem::at(origin, message).hint("correct the dates or dayOfWeek, or leave dayOfWeek out"),
        );
        return None;
    }
    Some(())
}

/// Adds hours of a weekday or of public holidays, for all time or a range of dates.
///
/// Monday is 0, and none means public holidays.
fn add_day(
    reader: &Reader,
    read: &mut Specifications,
    day: Option<u32>,
    range: Range,
    interval: Option<Interval>,
    origin: &Origin,
) -> Option<()> {
    let of_all_time = range == (None, None);
    let Some(day) = day.map(|day| day as usize % 7) else {
        if !of_all_time {
            let problem = Problem::at(origin, "hours of PublicHolidays cannot be limited to dates");
            reader.note(problem.hint(
                "leave validFrom and validThrough out, or write the dates themselves and leave dayOfWeek out",
            ));
            return None;
        }
        add(reader, &mut read.published.holidays, "PublicHolidays", interval, origin);
        return Some(());
    };
    let week = match of_all_time {
        true => &mut read.published.weekly,
        false => read.seasons.entry(range).or_default(),
    };
    add(reader, &mut week[day], WEEKDAYS[day].name, interval, origin);
    Some(())
}

/// Reads a date; returns none if the key is missing.
///
/// An instant means its date only if it is the start or the end of that date in local time. For any
/// other time it is unclear if the date still counts. With an offset it is unclear which date it is
/// where the hours apply. Both are refused.
fn date(
    reader: &Reader,
    fields: &Fields,
    key: &str,
    (edge, times): (&str, &[&str]),
) -> Option<Option<NaiveDate>> {
    let Some(node) = fields.get(key) else { return Some(None) };
    const HINT: &str = "write the date alone, as in 2026-12-24";
    let mut text = or_hint(reader, HINT, || reader.text(node, key))?;
    if let Some((date, time)) = text.value.split_once('T') {
        if !times.contains(&time) {
            let message = format!("{key} \"{}\" is not {edge} of a date in local time", text.value);
            reader.note(Problem::at(&text.origin, message).hint(HINT));
            return None;
        }
        text.value = date.to_owned();
    }
    reader.date_named(&text).map(Some)
}

/// Reads the opening and closing time.
///
/// Returns none for closed: both are midnight, the form that Google documents.
fn opens_and_closes(reader: &Reader, fields: &Fields) -> Option<Option<Interval>> {
    let at = |key: &str| {
        let hint = "write opens and closes as in \"09:00\"; write \"00:00\" for both if it is closed";
        let node = fields.require_or(reader, key, hint)?;
        let text = or_hint(reader, hint, || reader.text(node, key))?;
        time(reader, &text.value, &text.origin)
    };
    // "The place is open if the opens property is specified, and closed otherwise" (schema.org).
    if !fields.has_any(&["opens", "closes"]) {
        return Some(None);
    }
    let opens = at("opens")?;
    starts(reader, opens, fields.origin)?;
    Some(match (opens, at("closes")?) {
        (0, 0) => None,
        (open, close) if open == close => {
            reader.note(
                Problem::at(fields.origin, "it opens and closes at the same time")
                    .hint("write 00:00 and 23:59 for the whole day, 00:00 and 00:00 for closed"),
            );
            return None;
        }
        // The last minute means the end of the day.
        (open, close) if close == DAY - 1 => Some(interval(open, DAY)),
        (open, close) if close > open => Some(interval(open, close)),
        (open, close) => Some(interval(open, close + DAY)),
    })
}

/// Reads the days of a specification: Monday is 0, none means public holidays.
fn days_of_week(reader: &Reader, node: &Node) -> Option<Vec<Option<u32>>> {
    let mut days = Vec::new();
    for node in one_or_more(Some(node)) {
        let text = or_hint(reader, "write Monday to Sunday", || reader.text(node, "dayOfWeek"))?;
        let prefixes = ["https://schema.org/", "http://schema.org/"];
        let name = prefixes.iter().find_map(|prefix| text.value.strip_prefix(prefix)).unwrap_or(&text.value);
        if name.eq_ignore_ascii_case("PublicHolidays") {
            days.push(None);
            continue;
        }
        let named = parse_days(name).map_err(|bad| Problem::at(&text.origin, bad.message).hint(bad.hint));
        days.extend(reader.ok(named)?.into_iter().map(|day| Some(day.num_days_from_monday())));
    }
    if days.is_empty() {
        reader.note(
            Problem::at(&node.origin, "dayOfWeek has no day").hint("write Monday to Sunday, or leave it out"),
        );
        return None;
    }
    Some(days)
}
