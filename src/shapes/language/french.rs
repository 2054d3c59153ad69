//! French, on a clock of twenty-four hours.

use chrono::{Datelike, NaiveDate};

use super::words::Words;

const WEEKDAYS: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];
const MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// French, on a clock of twenty-four hours.
pub(super) struct French;

impl Words for French {
    fn code(&self) -> &'static str {
        "fr"
    }

    fn open(&self) -> &'static str {
        "ouvert"
    }

    fn open_until(&self, end: &str) -> String {
        match end.strip_prefix("le ") {
            Some(day) => format!("ouvert jusqu'au {day}"),
            None => format!("ouvert jusqu'à {end}"),
        }
    }

    fn closed(&self) -> &'static str {
        "fermé"
    }

    fn closed_until(&self, opens: &str) -> String {
        format!("fermé, de nouveau ouvert {opens}")
    }

    fn near_days(&self) -> [&'static str; 2] {
        ["aujourd'hui", "demain"]
    }

    fn on_weekday(&self, weekday: usize) -> String {
        WEEKDAYS[weekday].to_owned()
    }

    fn on_date(&self, date: NaiveDate, year: Option<i32>) -> String {
        let (weekday, month) =
            (WEEKDAYS[date.weekday().num_days_from_monday() as usize], MONTHS[date.month0() as usize]);
        let year = year.map_or(String::new(), |year| format!(" {year}"));
        let day = if date.day() == 1 { "1er".to_owned() } else { date.day().to_string() };
        format!("le {weekday} {day} {month}{year}")
    }

    fn at(&self, day: &str, time: &str) -> String {
        format!("{day} à {time}")
    }

    fn midnight_after(&self, days_ahead: i64, day: &str) -> String {
        match days_ahead {
            ..=0 => "minuit".to_owned(),
            1..=6 => format!("{day} soir à minuit"),
            _ => format!("{day} au soir à minuit"),
        }
    }

    fn midnight_before(&self, is_tonight: bool, day: &str) -> String {
        match is_tonight {
            true => "ce soir à minuit".to_owned(),
            false => format!("{day}, juste après minuit"),
        }
    }

    fn time(&self, hour: u32, minute: u32) -> String {
        let hours = match hour {
            0 => "minuit".to_owned(),
            12 => "midi".to_owned(),
            1 => "une heure".to_owned(),
            21 => "vingt et une heures".to_owned(),
            _ => format!("{} heures", number(hour)),
        };
        // Minutes are feminine.
        let minutes = match (hour, minute) {
            (_, 0) => String::new(),
            (0 | 12, 1) => " une minute".to_owned(),
            _ => format!(" {}", feminine(number(minute))),
        };
        let part = if (1..6).contains(&hour) { " du matin" } else { "" };
        format!("{hours}{minutes}{part}")
    }

    fn time_on_a_day(&self, time: String) -> String {
        time.replace("minuit", "zéro heure")
    }
}

fn feminine(number: String) -> String {
    if number == "un" || number.ends_with(" un") { number + "e" } else { number }
}

fn number(number: u32) -> String {
    const SMALL: [&str; 17] = [
        "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze",
        "douze", "treize", "quatorze", "quinze", "seize",
    ];
    const TENS: [&str; 6] = ["", "dix", "vingt", "trente", "quarante", "cinquante"];
    match (number / 10 % 6, number % 10) {
        _ if number <= 16 => SMALL[number as usize].to_owned(),
        (tens, 0) => TENS[tens as usize].to_owned(),
        (tens @ 2.., 1) => format!("{} et un", TENS[tens as usize]),
        (tens, ones) => format!("{}-{}", TENS[tens as usize], SMALL[ones as usize]),
    }
}
