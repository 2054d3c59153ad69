//! Hours in user notation: `09:00-12:30, 13:30-17:30`, `mon-thu`,
//! `Mo-Fr 09:00-17:00; Sa 10:00-14:00`.

use chrono::Weekday;

use crate::limits::settings::MAX_HOURS_TEXT;
use crate::model::WEEKDAYS;
use crate::written::plain;

/// Minutes in a day.
const DAY: u16 = 24 * 60;

/// An open interval, in minutes since midnight of the date on which it starts.
///
/// `22:00-02:00` is 1320 to 1560 and belongs to the date it starts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// The first minute, 0 to 1439.
    pub open: u16,
    /// The end minute (exclusive), at most 24 hours after `open`.
    pub close: u16,
}

/// An error in a text, and how to write it correctly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText {
    /// The error, naming the text.
    pub message: String,
    /// The correct way to write it.
    pub hint: &'static str,
}

fn bad<T>(message: String, hint: &'static str) -> Result<T, BadText> {
    Err(BadText { message, hint })
}

/// Rejects implausibly long input without echoing it.
fn check_length(text: &str) -> Result<(), BadText> {
    match text.len() > MAX_HOURS_TEXT {
        true => bad(
            format!("the hours have {} bytes; the limit is {MAX_HOURS_TEXT}", text.len()),
            "write hours such as 09:00-17:00, or closed",
        ),
        false => Ok(()),
    }
}

/// Parses the hours of one day: `closed`, or intervals separated by commas or semicolons.
///
/// # Errors
/// Names the part that is not a time. Empty text is an error: missing never means closed.
pub fn parse_day(text: &str) -> Result<Vec<Interval>, BadText> {
    check_length(text)?;
    let text = plain(text);
    let text = text.trim();
    if text.is_empty() {
        return bad("the hours are empty".to_owned(), "write hours such as 09:00-17:00, or closed");
    }
    if ["closed", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(Vec::new());
    }
    text.split([',', ';']).map(|part| parse_interval(part.trim())).collect()
}

fn parse_interval(text: &str) -> Result<Interval, BadText> {
    let Some((open_text, close_text)) = text.split_once('-') else {
        return bad(format!("invalid interval \"{text}\""), "write FROM-TO, as in 09:00-17:00, or closed");
    };
    let open = parse_time(open_text)?;
    let close = match parse_time(close_text) {
        // The last second means the end of the day.
        Err(_) if close_text.trim() == "23:59:59" => DAY,
        Err(error) if is_extended(close_text) => {
            return bad(
                format!("{}: a day has 24 hours", error.message),
                "write a closing after midnight as clock time, as in 20:00-02:00",
            );
        }
        close => close?,
    };
    if open == DAY {
        return bad("\"24:00\" is only valid as a closing time".to_owned(), "write 00:00");
    }
    if open == close {
        return bad(
            format!("\"{text}\" opens and closes at the same time"),
            "write 00:00-24:00 for the whole day, or closed",
        );
    }
    let close = if close < open { close + DAY } else { close };
    Ok(Interval { open, close })
}

fn parse_time(text: &str) -> Result<u16, BadText> {
    let text = text.trim();
    // Spreadsheets append seconds to times; `:00` can be dropped without loss.
    let minutes = text.strip_suffix(":00").filter(|minutes| minutes.contains(':')).unwrap_or(text);
    let parsed = minutes.split_once(':').and_then(|(hour, minute)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let shape = (1..=2).contains(&hour.len()) && minute.len() == 2;
        if !shape || !digits(hour) || !digits(minute) {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
    });
    match parsed {
        Some(minutes) => Ok(minutes),
        None => bad(format!("\"{text}\" is not a time"), "write HH:MM, as in 09:30"),
    }
}

/// Returns true for a time past midnight, as in OpenStreetMap's `20:00-26:00`.
fn is_extended(text: &str) -> bool {
    let hour_and_minute = text.trim().split_once(':');
    let within_a_day = hour_and_minute.and_then(|(hour, minute)| {
        let hour = hour.parse::<u16>().ok()?.checked_sub(24)?;
        parse_time(&format!("{hour}:{minute}")).ok()
    });
    within_a_day.is_some()
}

/// Parses days: `mon`, `Mo`, `Monday`, ranges such as `fri-mon`, comma-separated lists, `daily`.
///
/// # Errors
/// Names the word that is not a day.
pub fn parse_days(text: &str) -> Result<Vec<Weekday>, BadText> {
    check_length(text)?;
    let mut days = Vec::new();
    let text = plain(text);
    for part in text.split(',') {
        let part = part.trim();
        if ["daily", "every day"].iter().any(|word| part.eq_ignore_ascii_case(word)) {
            days.extend(WEEKDAYS.map(|weekday| weekday.day));
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (parse_weekday(first)?, parse_weekday(last)?);
        days.push(day);
        while day != last {
            day = day.succ();
            days.push(day);
        }
    }
    Ok(days)
}

fn parse_weekday(text: &str) -> Result<Weekday, BadText> {
    let word = text.trim().to_lowercase();
    // Any prefix of at least two letters names a day: Mo, mon, Tues, thurs, Wednesday.
    let found = WEEKDAYS.iter().find(|weekday| word.len() >= 2 && weekday.key.starts_with(&word));
    match found {
        Some(weekday) => Ok(weekday.day),
        None => bad(
            format!("invalid day of the week \"{}\"", text.trim()),
            "write mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri",
        ),
    }
}

/// The hours of a week, parsed from one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Week {
    /// Hours by weekday, Monday first; none for a day that is not named.
    pub days: [Option<Vec<Interval>>; 7],
    /// The hours of public holidays; none if they are not named.
    pub holidays: Option<Vec<Interval>>,
}

/// Words of OpenStreetMap's syntax that are not supported, with a hint for each.
const REFUSED: &[(&[&str], &str, &str)] = &[
    (&["sh"], "school holidays", "put them into a calendar and name it in closed_on"),
    (&["unknown"], "an unknown state", "write the hours, or closed"),
    (&["open"], "the word open", "write the hours alone, as in Mo-Fr 09:00-17:00"),
    (&["day", "days"], "a date relative to another", "write the dates in special or special_from"),
    (&["sunrise", "sunset", "dawn", "dusk"], "a time that depends on the sun", "write times on the clock"),
    (
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "week",
            "easter",
        ],
        "parts of the year",
        "write dates in special or special_from; hours of seasons are read from schema_org",
    ),
];

/// Rejects syntax that would have to be guessed at, and names it.
fn check_syntax(part: &str) -> Result<(), BadText> {
    if begins_with_a_date(part) {
        return bad(
            format!("\"{part}\": a year or a date cannot be used in weekly hours"),
            "write dates in special or special_from",
        );
    }
    check_words(part)?;
    for (sign, what, hint) in [
        ("\"", "a comment", "leave it out"),
        ("||", "a fallback", "write the hours themselves"),
        ("+", "an open end", "write when it closes"),
        ("[", "a weekday of the month", "write its dates in special or special_from"),
    ] {
        if part.contains(sign) {
            return bad(format!("\"{part}\": {what} is not supported in weekly hours"), hint);
        }
    }
    if part.replace("24/7", "").contains('/') {
        return bad(
            format!("\"{part}\": repetition within an interval is not supported in weekly hours"),
            "write when it opens and when it closes",
        );
    }
    Ok(())
}

/// Returns true if a part begins with a year instead of days.
///
/// Examples are `2026-11-24 off`, `2026 Mo 09:00-17:00` and `2026-2028 Mo off`.
fn begins_with_a_date(part: &str) -> bool {
    let first = part.split_once(char::is_whitespace).map(|(first, _)| first);
    let year = first.filter(|first| !first.contains(':')).and_then(|first| first.get(..4));
    year.is_some_and(|year| {
        year.bytes().all(|byte| byte.is_ascii_digit()) && ("1900".."2200").contains(&year)
    })
}

fn check_words(part: &str) -> Result<(), BadText> {
    // "every day" names all days, so `day` is not the unsupported word.
    let text = part.to_ascii_lowercase().replace("every day", "");
    for word in text.split(|c: char| !c.is_ascii_alphabetic()) {
        if let Some((_, what, hint)) = REFUSED.iter().find(|(words, ..)| words.contains(&word)) {
            return bad(format!("\"{part}\": {what} cannot be used in weekly hours"), hint);
        }
    }
    Ok(())
}

/// Parses the hours of a week, in the subset of OpenStreetMap's syntax for weekdays and public
/// holidays.
///
/// An example is `Mo-Fr 09:00-12:00, 13:00-17:00; Sa 10:00-14:00; Su,PH off`, or `24/7`. Days that
/// are not named are closed. A later part may close days that an earlier one opened
/// (`Mo-Su 09:00-17:00; Su off`). The part that names `PH` must come last. In
/// OpenStreetMap a later weekday part would also replace it on holidays that fall on its days, but
/// here all holidays have the same hours.
///
/// # Errors
/// Names the part that cannot be read.
pub fn parse_week(text: &str) -> Result<Week, BadText> {
    let mut week = Week::default();
    check_length(text)?;
    let text = &*plain(text);
    if text.trim() == "24/7" {
        week.days = std::array::from_fn(|_| Some(vec![Interval { open: 0, close: DAY }]));
        return Ok(week);
    }
    // A lone semicolon does not name a day either, and missing never means closed.
    if text.trim_matches(|c: char| c == ';' || c.is_whitespace()).is_empty() {
        return bad(
            "the weekly hours are empty".to_owned(),
            "write hours such as Mo-Fr 09:00-17:00, or closed",
        );
    }
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    for (index, part) in parts.enumerate() {
        add_part(&mut week, part, index == 0)?;
    }
    Ok(week)
}

/// Adds one part such as `Sa 10:00-14:00`; the first part may omit its days.
fn add_part(week: &mut Week, part: &str, is_first: bool) -> Result<(), BadText> {
    check_syntax(part)?;
    let (days, hours) = days_and_hours(part)?;
    let (days, names_holidays) = without_holidays(days);
    if week.holidays.is_some() && !names_holidays {
        return bad(
            format!("\"{part}\" follows PH and would replace it on holidays that fall on its days"),
            "write PH last, as in Mo-Fr 09:00-17:00; Sa,Su off; PH off",
        );
    }
    let days = match days.as_str() {
        "" if names_holidays => Vec::new(),
        "" if is_first => parse_days("daily")?,
        "" => {
            return bad(
                format!("missing days for \"{part}\""),
                "put a comma between intervals of one day, and days before hours: Mo-Fr 09:00-12:00, \
                 13:00-17:00",
            );
        }
        days => parse_days(days)?,
    };
    let intervals = parse_day(hours)?;
    if names_holidays && week.holidays.replace(intervals.clone()).is_some() {
        return bad(format!("\"{part}\": holidays have hours already"), "name PH once");
    }
    for day in days {
        let slot = &mut week.days[day.num_days_from_monday() as usize];
        if slot.is_some() && !intervals.is_empty() {
            return bad(
                format!("\"{part}\": {day} has hours already"),
                "name each day once, with a comma between its intervals: Mo-Fr 09:00-12:00, 13:00-17:00",
            );
        }
        *slot = Some(intervals.clone());
    }
    Ok(())
}

/// Splits a part into its days and hours; the days end at the first time, `closed` or `off`.
fn days_and_hours(part: &str) -> Result<(&str, &str), BadText> {
    let lower = part.to_ascii_lowercase();
    let hours_at = part
        .find(|c: char| c.is_ascii_digit())
        .or_else(|| lower.find("closed"))
        .or_else(|| lower.find("off"));
    let Some(hours_at) = hours_at else {
        return bad(
            format!("\"{part}\" has no hours"),
            "write days and hours, as in Mo-Fr 09:00-17:00; Sa closed",
        );
    };
    let (days, hours) = part.split_at(hours_at);
    if hours.split(',').skip(1).any(|text| text.trim().starts_with(char::is_alphabetic)) {
        return bad(
            format!("\"{part}\": another day stands behind a comma"),
            "put a semicolon between days: Mo-Fr 09:00-17:00; Sa 10:00-12:00",
        );
    }
    if hours.trim() == "24/7" {
        return bad(
            format!("\"{part}\": 24/7 cannot be combined with days or other hours"),
            "write 00:00-24:00",
        );
    }
    Ok((days.trim().trim_end_matches(':'), hours))
}

/// Returns the days without `PH`, and true if `PH` was among them.
fn without_holidays(days: &str) -> (String, bool) {
    let is_holiday = |day: &&str| day.trim().eq_ignore_ascii_case("ph");
    let others: Vec<&str> = days.split(',').filter(|day| !is_holiday(day)).collect();
    (others.join(","), days.split(',').any(|day| is_holiday(&day)))
}
