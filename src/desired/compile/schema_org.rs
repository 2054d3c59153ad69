//! Opening hours as schema.org has them: `OpeningHoursSpecification`, as JSON.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use crate::hours::{Clash, Day, Interval, Season, nested, parse_days};
use crate::model::{Origin, Problem};
use crate::written::{Fields, Node, Reader, one_or_more};

use super::formats::{DAY, Published, WEEKDAYS, add, check_names, dates, interval, starts, time};

/// Where a thing has its hours.
const HOURS: &[&str] = &["openingHoursSpecification", "specialOpeningHoursSpecification"];

/// Ranges of dates that a place may have hours of.
const MAX_RANGES: usize = 1_000;

/// From a date through a date; without one of them it is open on that side.
type Range = (Option<NaiveDate>, Option<NaiveDate>);

/// What was read of a list.
#[derive(Default)]
struct Specifications {
    published: Published,
    /// Hours of weekdays within a range of dates: below closing calendars.
    seasons: BTreeMap<Range, [Option<Day>; 7]>,
    /// Hours of all dates of a range: above closing calendars.
    dated: BTreeMap<(NaiveDate, NaiveDate), Option<Day>>,
}

/// A list of `OpeningHoursSpecification`, or a thing that has `openingHoursSpecification` and perhaps
/// `specialOpeningHoursSpecification`.
pub(super) fn schema_org(reader: &Reader, node: &Node) -> Option<Published> {
    let problems = reader.problem_count();
    let mut read = Specifications::default();
    let lists: Vec<&Node> = match node.get(HOURS[0]) {
        Some(_) => {
            check_names(reader, &reader.open_table(node, "a thing")?, "a thing", HOURS);
            HOURS.iter().filter_map(|key| node.get(key)).collect()
        }
        None => vec![node],
    };
    let mut found = false;
    for item in lists.into_iter().flat_map(|list| one_or_more(Some(list))) {
        found = true;
        specification(reader, item, &mut read);
    }
    if !found {
        reader.note(
            Problem::at(&node.origin, "there is no OpeningHoursSpecification here")
                .hint("point at a list of them, or at the thing that has openingHoursSpecification"),
        );
    }
    let published = read.published(reader);
    (reader.problem_count() == problems).then_some(published).flatten()
}

impl Specifications {
    /// What all of them say together. Of two ranges that have a date the narrower one counts.
    fn published(self, reader: &Reader) -> Option<Published> {
        let Self { mut published, seasons, dated } = self;
        let season = |((from, through), weekly)| Season { from, through, weekly };
        published.seasons = in_order(reader, seasons.into_iter().map(season).collect())?;
        let whole = |((from, through), day): (_, Option<Day>)| Season {
            from: Some(from),
            through: Some(through),
            weekly: std::array::from_fn(|_| day.clone()),
        };
        for range in in_order(reader, dated.into_iter().map(whole).collect())? {
            let (from, through) = range.from.zip(range.through)?;
            for date in from.iter_days().take_while(|date| *date <= through) {
                let day = range.day(date).cloned();
                published
                    .special
                    .extend(day.filter(|_| !published.special.contains_key(&date)).map(|day| (date, day)));
            }
        }
        Some(published)
    }
}

fn in_order(reader: &Reader, ranges: Vec<Season>) -> Option<Vec<Season>> {
    // Each is compared with all others.
    if let Some(beyond) = ranges.get(MAX_RANGES) {
        let origin = beyond.weekly.iter().flatten().map(|day| &day.origin).next()?;
        let message = format!("hours of more than {MAX_RANGES} ranges of dates");
        reader.note(Problem::at(origin, message).hint("leave out what is past"));
        return None;
    }
    let problem = |clash: Box<Clash>| {
        let message = format!(
            "{} has hours of two ranges of dates, and neither lies within the other ({})",
            clash.date, clash.other
        );
        Problem::at(&clash.one, message).hint("let one range end before the other begins, or lie within it")
    };
    reader.ok(nested(ranges).map_err(problem))
}

fn specification(reader: &Reader, node: &Node, read: &mut Specifications) -> Option<()> {
    const KEYS: &[&str] =
        &["@type", "@context", "@id", "name", "dayOfWeek", "opens", "closes", "validFrom", "validThrough"];
    let fields = reader.table(node, "an OpeningHoursSpecification", KEYS)?;
    let interval = opens_and_closes(reader, &fields)?;
    let days = match fields.get("dayOfWeek") {
        Some(days) => Some(days_of_week(reader, days)?),
        None => None,
    };
    let from = date(reader, &fields, "validFrom", ("the start", &["00:00"]))?;
    let through = date(reader, &fields, "validThrough", ("the end", &["23:59", "24:00"]))?;
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
            dates(reader, from, through, &node.origin)?;
            let what = if from == through { from.to_string() } else { format!("{from} to {through}") };
            add(reader, read.dated.entry((from, through)).or_default(), &what, interval, &node.origin);
        }
        (None, (None, None)) => reader.note(
            Problem::at(&node.origin, "for which days or dates are these hours?")
                .hint("give them dayOfWeek, or validFrom and validThrough"),
        ),
        (None, (from, _)) => {
            let (given, missing) = match from {
                Some(_) => ("validFrom", "validThrough"),
                None => ("validThrough", "validFrom"),
            };
            let message = format!("these hours have {given} and neither {missing} nor dayOfWeek");
            let hint =
                format!("give them {missing}, the same date for a single one, or dayOfWeek for weekly hours");
            reader.note(Problem::at(&node.origin, message).hint(hint));
        }
    }
    Some(())
}

/// A range has its dates in order, and one of the days that are named: hours that never apply mean another date or day.
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
    // A week has every weekday.
    let mut dates = from.iter_days().take(7).take_while(|date| *date <= through);
    if days.is_some_and(|days| !dates.any(|date| is_named(date, days))) {
        let message = format!("none of the days that these hours name lies from {from} to {through}");
        reader.note(
            Problem::at(origin, message).hint("correct the dates or dayOfWeek, or leave dayOfWeek out"),
        );
        return None;
    }
    Some(())
}

/// Hours of a weekday, Monday being 0, or of public holidays; of all time or within a range of dates.
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
            let problem = Problem::at(origin, "hours of PublicHolidays can't be of some dates only");
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
    add(reader, &mut week[day], WEEKDAYS[day], interval, origin);
    Some(())
}

/// A date, none when it is not there. An instant stands for its date where it is the start or end of it; of another it
/// would have to be guessed whether that date still counts, or which it is in the zone of the hours.
fn date(
    reader: &Reader,
    fields: &Fields,
    key: &str,
    (edge, times): (&str, &[&str]),
) -> Option<Option<NaiveDate>> {
    let Some(node) = fields.get(key) else { return Some(None) };
    let mut text = reader.text(node, key)?;
    if let Some((date, time)) = text.value.split_once('T') {
        if !times.iter().any(|edge| time.starts_with(edge)) {
            let message = format!("{key} \"{}\" is not {edge} of a date", text.value);
            reader.note(Problem::at(&text.origin, message).hint("write the date alone, as in 2026-12-24"));
            return None;
        }
        text.value = date.to_owned();
    }
    reader.date_named(&text).map(Some)
}

/// None for closed: both at midnight, as Google asks for it.
fn opens_and_closes(reader: &Reader, fields: &Fields) -> Option<Option<Interval>> {
    let at = |key: &str| {
        let hint = "write opens and closes as in 09:00; both are 00:00 where it is closed";
        let text = reader.text(fields.require_or(reader, key, hint)?, key)?;
        time(reader, &text.value, &text.origin)
    };
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
    if days.is_empty() {
        reader.note(
            Problem::at(&node.origin, "dayOfWeek names no day")
                .hint("write Monday to Sunday, or leave it out"),
        );
        return None;
    }
    Some(days)
}
