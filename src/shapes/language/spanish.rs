//! Spanish, on a clock of twelve hours.

use chrono::{Datelike, NaiveDate};

use super::words::Words;

const WEEKDAYS: [&str; 7] = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"];
const MONTHS: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// Spanish, on a clock of twelve hours.
pub(super) struct Spanish;

impl Words for Spanish {
    fn code(&self) -> &'static str {
        "es"
    }

    fn open(&self) -> &'static str {
        "abierto"
    }

    fn open_until(&self, end: &str) -> String {
        format!("abierto hasta {end}")
    }

    fn closed(&self) -> &'static str {
        "cerrado"
    }

    fn closed_until(&self, opens: &str) -> String {
        format!("cerrado, abierto de nuevo {opens}")
    }

    fn near_days(&self) -> [&'static str; 2] {
        ["hoy", "mañana"]
    }

    fn on_weekday(&self, weekday: usize) -> String {
        format!("el {}", WEEKDAYS[weekday])
    }

    fn on_date(&self, date: NaiveDate, year: Option<i32>) -> String {
        let (weekday, month) =
            (WEEKDAYS[date.weekday().num_days_from_monday() as usize], MONTHS[date.month0() as usize]);
        let year = year.map_or(String::new(), |year| format!(" de {year}"));
        format!("el {weekday} {} de {month}{year}", date.day())
    }

    fn at(&self, day: &str, time: &str) -> String {
        format!("{day} a {time}").replace("a el ", "al ")
    }

    fn midnight_after(&self, days_ahead: i64, day: &str) -> String {
        match days_ahead {
            ..=0 => "la medianoche".to_owned(),
            _ => format!("{day} a las doce de la noche"),
        }
    }

    fn midnight_before(&self, is_tonight: bool, day: &str) -> String {
        match is_tonight {
            true => "esta noche a las doce".to_owned(),
            false => format!("{day}, justo después de la medianoche"),
        }
    }

    fn time(&self, hour: u32, minute: u32) -> String {
        match (hour, minute) {
            (0, 0) => return "la medianoche".to_owned(),
            (12, 0) => return "el mediodía".to_owned(),
            _ => {}
        }
        let part = match hour {
            0..6 => "de la madrugada",
            6..12 => "de la mañana",
            12..20 => "de la tarde",
            _ => "de la noche",
        };
        let of = |hour: u32| match hour % 12 {
            0 => "las doce".to_owned(),
            1 => "la una".to_owned(),
            hour => format!("las {}", number(hour)),
        };
        let minutes = match minute {
            0 => String::new(),
            15 => " y cuarto".to_owned(),
            30 => " y media".to_owned(),
            _ => format!(" y {}", number(minute)),
        };
        format!("{}{minutes} {part}", of(hour))
    }

    fn time_on_a_day(&self, time: String) -> String {
        time
    }
}

fn number(number: u32) -> String {
    const SMALL: [&str; 30] = [
        "cero",
        "uno",
        "dos",
        "tres",
        "cuatro",
        "cinco",
        "seis",
        "siete",
        "ocho",
        "nueve",
        "diez",
        "once",
        "doce",
        "trece",
        "catorce",
        "quince",
        "dieciséis",
        "diecisiete",
        "dieciocho",
        "diecinueve",
        "veinte",
        "veintiuno",
        "veintidós",
        "veintitrés",
        "veinticuatro",
        "veinticinco",
        "veintiséis",
        "veintisiete",
        "veintiocho",
        "veintinueve",
    ];
    const TENS: [&str; 6] = ["", "", "", "treinta", "cuarenta", "cincuenta"];
    match (number / 10 % 6, number % 10) {
        _ if number < 30 => SMALL[number as usize].to_owned(),
        (tens, 0) => TENS[tens as usize].to_owned(),
        (tens, ones) => format!("{} y {}", TENS[tens as usize], SMALL[ones as usize]),
    }
}
