//! English, on a clock of twelve hours.

use chrono::{Datelike, NaiveDate};

use crate::model::WEEKDAYS;

use super::words::Words;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// English, on a clock of twelve hours.
pub(super) struct English;

impl Words for English {
    fn code(&self) -> &'static str {
        "en"
    }

    fn open(&self) -> &'static str {
        "open"
    }

    fn open_until(&self, end: &str) -> String {
        format!("open until {}", end.trim_start_matches("on "))
    }

    fn closed(&self) -> &'static str {
        "closed"
    }

    fn closed_until(&self, opens: &str) -> String {
        format!("closed, open again {opens}")
    }

    fn near_days(&self) -> [&'static str; 2] {
        ["today", "tomorrow"]
    }

    fn on_weekday(&self, weekday: usize) -> String {
        format!("on {}", WEEKDAYS[weekday].name)
    }

    fn on_date(&self, date: NaiveDate, year: Option<i32>) -> String {
        let (weekday, month) =
            (WEEKDAYS[date.weekday().num_days_from_monday() as usize].name, MONTHS[date.month0() as usize]);
        let year = year.map_or(String::new(), |year| format!(", {year}"));
        format!("on {weekday}, {month} {}{}{year}", date.day(), ordinal(date.day()))
    }

    fn at(&self, day: &str, time: &str) -> String {
        format!("{day} at {time}")
    }

    fn midnight_after(&self, days_ahead: i64, day: &str) -> String {
        match days_ahead {
            ..=0 => "midnight".to_owned(),
            1..=6 => format!("{day} night at midnight"),
            _ => format!("midnight on the night of {}", day.trim_start_matches("on ")),
        }
    }

    fn midnight_before(&self, is_tonight: bool, day: &str) -> String {
        match is_tonight {
            true => "tonight at midnight".to_owned(),
            false => format!("{day}, right after midnight"),
        }
    }

    fn time(&self, hour: u32, minute: u32) -> String {
        match (hour, minute) {
            (0, 0) => return "midnight".to_owned(),
            (12, 0) => return "noon".to_owned(),
            _ => {}
        }
        let part = match hour {
            0 => "at night",
            1..12 => "in the morning",
            12..18 => "in the afternoon",
            _ => "in the evening",
        };
        let of = |hour: u32| number(if hour.is_multiple_of(12) { 12 } else { hour % 12 });
        match minute {
            0 => format!("{} {part}", of(hour)),
            15 => format!("a quarter past {} {part}", of(hour)),
            30 => format!("half past {} {part}", of(hour)),
            // Only if the next hour is in the same part of the day.
            45 if ![0, 11, 17, 23].contains(&hour) => format!("a quarter to {} {part}", of(hour + 1)),
            1..10 => format!("{} oh {} {part}", of(hour), number(minute)),
            _ => format!("{} {} {part}", of(hour), number(minute)),
        }
    }

    fn time_on_a_day(&self, time: String) -> String {
        time.replace(" at night", ", right after midnight")
    }
}

fn ordinal(day: u32) -> &'static str {
    match day {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    }
}

fn number(number: u32) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 6] = ["", "", "twenty", "thirty", "forty", "fifty"];
    let small = |number: u32| SMALL[number as usize % 20];
    match (number / 10 % 6, number % 10) {
        (0 | 1, _) => small(number).to_owned(),
        (tens, 0) => TENS[tens as usize].to_owned(),
        (tens, ones) => format!("{}-{}", TENS[tens as usize], small(ones)),
    }
}
