//! German, on a clock of twenty-four hours.

use chrono::{Datelike, NaiveDate};

use super::words::Words;

const WEEKDAYS: [&str; 7] = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"];
const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

/// German, on a clock of twenty-four hours.
pub(super) struct German;

impl Words for German {
    fn code(&self) -> &'static str {
        "de"
    }

    fn open(&self) -> &'static str {
        "geöffnet"
    }

    fn open_until(&self, end: &str) -> String {
        match end.strip_prefix("am ") {
            Some(day) => format!("geöffnet bis {}", day.replacen(", dem ", ", den ", 1)),
            None => format!("geöffnet bis {end}"),
        }
    }

    fn closed(&self) -> &'static str {
        "geschlossen"
    }

    fn closed_until(&self, opens: &str) -> String {
        format!("geschlossen, wieder geöffnet {opens}")
    }

    fn near_days(&self) -> [&'static str; 2] {
        ["heute", "morgen"]
    }

    fn on_weekday(&self, weekday: usize) -> String {
        format!("am {}", WEEKDAYS[weekday])
    }

    fn on_date(&self, date: NaiveDate, year: Option<i32>) -> String {
        let (weekday, month) =
            (WEEKDAYS[date.weekday().num_days_from_monday() as usize], MONTHS[date.month0() as usize]);
        let year = year.map_or(String::new(), |year| format!(" {year}"));
        format!("am {weekday}, dem {}. {month}{year}", date.day())
    }

    fn at(&self, day: &str, time: &str) -> String {
        format!("{day} um {time}")
    }

    fn midnight_after(&self, days_ahead: i64, day: &str) -> String {
        match days_ahead {
            ..=0 => "Mitternacht".to_owned(),
            _ => format!("{day} um vierundzwanzig Uhr"),
        }
    }

    fn midnight_before(&self, is_tonight: bool, day: &str) -> String {
        match is_tonight {
            true => "heute um Mitternacht".to_owned(),
            false => format!("{day} gleich nach Mitternacht"),
        }
    }

    fn time(&self, hour: u32, minute: u32) -> String {
        // The small hours name the part of the day: many would understand "ein Uhr" as one in
        // the afternoon. The hour is "ein Uhr", although the number is "eins".
        let hours = if hour == 1 { "ein".to_owned() } else { number(hour) };
        let minutes = if minute == 0 { String::new() } else { format!(" {}", number(minute)) };
        let part = match hour {
            1..4 => " nachts",
            4..6 => " morgens",
            _ => "",
        };
        format!("{hours} Uhr{minutes}{part}")
    }

    fn time_on_a_day(&self, time: String) -> String {
        time.replace(" nachts", " morgens")
    }
}

const SMALL: [&str; 20] = [
    "null",
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
];

fn number(number: u32) -> String {
    const TENS: [&str; 6] = ["", "", "zwanzig", "dreißig", "vierzig", "fünfzig"];
    match (number / 10 % 6, number % 10) {
        (0 | 1, _) => SMALL[number as usize % 20].to_owned(),
        (tens, 0) => TENS[tens as usize].to_owned(),
        (tens, 1) => format!("einund{}", TENS[tens as usize]),
        (tens, ones) => format!("{}und{}", SMALL[ones as usize], TENS[tens as usize]),
    }
}
