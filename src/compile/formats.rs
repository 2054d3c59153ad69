//! Shared parts of the published formats of opening hours: result, times and dates.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::hours::{Day, Interval, Season};
use crate::model::{Origin, Problem, nearest};
use crate::written::{Fields, Reader};

/// Minutes of a day.
pub(super) const DAY: u32 = 24 * 60;

/// The opening hours of a place, read from a published format.
#[derive(Default)]
pub(super) struct Published {
    /// The hours by weekday, Monday first; a day without hours is closed.
    pub weekly: [Option<Day>; 7],
    /// Weekly hours for ranges of dates; the first range that contains a date decides.
    pub seasons: Vec<Season>,
    /// Dated exceptions.
    pub special: BTreeMap<NaiveDate, Day>,
    /// The hours of public holidays.
    pub holidays: Option<Day>,
    /// The first date on which a place that is closed now may be open.
    ///
    /// No other hours apply before that date.
    pub opens: Option<NaiveDate>,
}

/// Notes keys that look like a misspelling of `names`, so that hours are not lost silently.
///
/// Other keys are ignored.
pub(super) fn check_names(reader: &Reader, fields: &Fields, what: &str, names: &[&str]) {
    for entry in fields.entries.iter().filter(|entry| !names.contains(&entry.key.as_str())) {
        if let Some(known) = nearest(&entry.key, names.iter().copied()) {
            let message = format!("unknown key \"{}\" in {what}", entry.key);
            reader.note(Problem::at(&entry.at, message).hint(format!("did you mean \"{known}\"?")));
        }
    }
}

/// Runs `read` and adds `hint` to each of its problems that has no hint.
pub(super) fn or_hint<T>(reader: &Reader, hint: &str, read: impl FnOnce() -> T) -> T {
    let problems = reader.problem_count();
    let value = read();
    reader.amend(problems, |problem| {
        problem.hint.get_or_insert_with(|| hint.to_owned());
    });
    value
}

/// Adds an interval, or a closure, to the hours of `what`: a weekday or a date.
///
/// Notes a duplicate interval, and a day that is both closed and open.
pub(super) fn add(
    reader: &Reader,
    slot: &mut Option<Day>,
    what: &str,
    interval: Option<Interval>,
    origin: &Origin,
) {
    let new = || Day { intervals: Vec::new(), name: None, origin: origin.clone() };
    if let Some(known) = slot.as_ref().filter(|day| day.intervals.is_empty() != interval.is_none()) {
        let message = format!("{what} is both open and closed ({})", known.origin);
        reader.note(Problem::at(origin, message).hint("keep one of them"));
    }
    let day = slot.get_or_insert_with(new);
    if interval.is_some_and(|interval| day.intervals.contains(&interval)) {
        reader.note(Problem::at(origin, "duplicate hours").hint("remove one of them"));
    }
    day.intervals.extend(interval);
}

/// Parses `09:30` or `09:30:00`, up to `24:00`, into minutes since midnight.
pub(super) fn time(reader: &Reader, text: &str, origin: &Origin) -> Option<u32> {
    let is_written = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let part = |(index, part): (usize, &str)| {
        part.parse().ok().filter(|_| is_written(part) && (index == 0 || part.len() == 2))
    };
    let parts: Option<Vec<u32>> = text.trim().split(':').enumerate().map(part).collect();
    let minutes = match parts.as_deref() {
        // The last second means the end of the day, as the last minute does.
        Some([23, 59, 59]) => DAY - 1,
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

/// Refuses `24:00` as an opening time.
pub(super) fn starts(reader: &Reader, open: u32, origin: &Origin) -> Option<()> {
    let problem = || {
        Problem::at(origin, "24:00 ends a day and cannot be an opening time")
            .hint("write 00:00 of the next day")
    };
    reader.ok((open < DAY).then_some(()).ok_or_else(problem))
}

/// Builds an interval from minutes since midnight; the end is at most a day later.
pub(super) fn interval(open: u32, close: u32) -> Interval {
    let minute = |minute: u32| u16::try_from(minute).unwrap_or(u16::MAX);
    Interval { open: minute(open), close: minute(close) }
}
