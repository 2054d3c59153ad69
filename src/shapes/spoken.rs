//! Times as people say them: "open again on Monday at eight in the morning", in four languages.

use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Weekday};

/// Up to so long before it a closing on the next date is told by its time alone; one in the small hours is so all day long,
/// for it is tonight's, and "tomorrow at half past twelve at night" would be taken for the night after.
const ALONE: TimeDelta = TimeDelta::hours(12);
const ALONE_IN_THE_SMALL_HOURS: TimeDelta = TimeDelta::hours(24);
/// Up to this hour it is night.
const MORNING: u32 = 6;
/// Dates that are further away are told with their year.
const DAYS_WITHOUT_YEAR: i64 = 300;

/// A language that hours can be spoken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, on a clock of twelve hours.
    #[default]
    English,
    /// German, on a clock of twenty-four hours.
    German,
    /// French, on a clock of twenty-four hours.
    French,
    /// Spanish, on a clock of twelve hours.
    Spanish,
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "en" => Ok(Self::English),
            "de" => Ok(Self::German),
            "fr" => Ok(Self::French),
            "es" => Ok(Self::Spanish),
            _ => Err(format!("\"{text}\" is no language that hours are spoken in")),
        }
    }
}

impl Language {
    /// That it is open, until when if that has an end.
    pub fn open(self, now: NaiveDateTime, until: Option<NaiveDateTime>) -> String {
        let Some(until) = until else {
            return match self {
                Self::English => "open",
                Self::German => "geöffnet",
                Self::French => "ouvert",
                Self::Spanish => "abierto",
            }
            .to_owned();
        };
        let end = self.end(now, until);
        match self {
            Self::English => format!("open until {}", end.trim_start_matches("on ")),
            Self::German => match end.strip_prefix("am ") {
                Some(day) => format!("geöffnet bis {}", day.replacen(", dem ", ", den ", 1)),
                None => format!("geöffnet bis {end}"),
            },
            Self::French => match end.strip_prefix("le ") {
                Some(day) => format!("ouvert jusqu'au {day}"),
                None => format!("ouvert jusqu'à {end}"),
            },
            Self::Spanish => format!("abierto hasta {end}"),
        }
    }

    /// When the words for a closing change though no date begins: from then on its day is not named any more.
    pub fn shortens(until: NaiveDateTime) -> NaiveDateTime {
        until - if until.hour() < MORNING { ALONE_IN_THE_SMALL_HOURS } else { ALONE }
    }

    /// A closing, seen from now.
    fn end(self, now: NaiveDateTime, until: NaiveDateTime) -> String {
        let is_midnight = until.time() == NaiveTime::MIN;
        match until.date().pred_opt().filter(|_| is_midnight) {
            Some(last) => self.end_of(now.date(), last),
            None if until.date() > now.date() && now < Self::shortens(until) => self.moment(now, until),
            None => self.time(until),
        }
    }

    /// The midnight at the end of a date. It is named by the date that ends: "Sunday at midnight" could be either.
    fn end_of(self, today: NaiveDate, last: NaiveDate) -> String {
        let near = (last - today).num_days();
        let day = self.day(today, last);
        match (self, near) {
            (Self::English, ..=0) => "midnight".to_owned(),
            (Self::English, 1..=6) => format!("{day} night at midnight"),
            (Self::English, _) => format!("midnight on the night of {}", day.trim_start_matches("on ")),
            (Self::German, ..=0) => "Mitternacht".to_owned(),
            (Self::German, _) => format!("{day} um vierundzwanzig Uhr"),
            (Self::French, ..=0) => "minuit".to_owned(),
            (Self::French, 1..=6) => format!("{day} soir à minuit"),
            (Self::French, _) => format!("{day} au soir à minuit"),
            (Self::Spanish, ..=0) => "la medianoche".to_owned(),
            (Self::Spanish, _) => format!("{day} a las doce de la noche"),
        }
    }

    /// That it is closed, and when it opens again if it does.
    pub fn closed(self, now: NaiveDateTime, opens: Option<NaiveDateTime>) -> String {
        let again = opens.map(|opens| self.moment(now, opens));
        match (self, again) {
            (Self::English, Some(again)) => format!("closed, open again {again}"),
            (Self::English, None) => "closed".to_owned(),
            (Self::German, Some(again)) => format!("geschlossen, wieder geöffnet {again}"),
            (Self::German, None) => "geschlossen".to_owned(),
            (Self::French, Some(again)) => format!("fermé, de nouveau ouvert {again}"),
            (Self::French, None) => "fermé".to_owned(),
            (Self::Spanish, Some(again)) => format!("cerrado, abierto de nuevo {again}"),
            (Self::Spanish, None) => "cerrado".to_owned(),
        }
    }

    /// A day and a time, seen from now: "tomorrow at nine in the morning".
    pub fn moment(self, now: NaiveDateTime, at: NaiveDateTime) -> String {
        if at.time() == NaiveTime::MIN {
            return self.beginning_of(now.date(), at.date());
        }
        let day = self.day(now.date(), at.date());
        let time = if at.date() > now.date() { self.time_on_a_day(at) } else { self.time(at) };
        match self {
            Self::English => format!("{day} at {time}"),
            Self::German => format!("{day} um {time}"),
            Self::French => format!("{day} à {time}"),
            Self::Spanish => format!("{day} a {time}").replace("a el ", "al "),
        }
    }

    /// The midnight at which a date begins: that of tomorrow is tonight's.
    fn beginning_of(self, today: NaiveDate, date: NaiveDate) -> String {
        let (is_tonight, day) = ((date - today).num_days() <= 1, self.day(today, date));
        match self {
            Self::English if is_tonight => "tonight at midnight".to_owned(),
            Self::English => format!("{day}, right after midnight"),
            Self::German if is_tonight => "heute um Mitternacht".to_owned(),
            Self::German => format!("{day} gleich nach Mitternacht"),
            Self::French if is_tonight => "ce soir à minuit".to_owned(),
            Self::French => format!("{day}, juste après minuit"),
            Self::Spanish if is_tonight => "esta noche a las doce".to_owned(),
            Self::Spanish => format!("{day}, justo después de la medianoche"),
        }
    }

    fn day(self, today: NaiveDate, date: NaiveDate) -> String {
        let (near, weekday) = ((date - today).num_days(), date.weekday());
        let [now, next] = match self {
            Self::English => ["today", "tomorrow"],
            Self::German => ["heute", "morgen"],
            Self::French => ["aujourd'hui", "demain"],
            Self::Spanish => ["hoy", "mañana"],
        };
        match (self, near) {
            (_, ..=0) => now.to_owned(),
            (_, 1) => next.to_owned(),
            (Self::English, 2..=6) => format!("on {}", self.weekday(weekday)),
            (Self::German, 2..=6) => format!("am {}", self.weekday(weekday)),
            (Self::French, 2..=6) => self.weekday(weekday).to_owned(),
            (Self::Spanish, 2..=6) => format!("el {}", self.weekday(weekday)),
            _ => self.far_day(date, near > DAYS_WITHOUT_YEAR),
        }
    }

    /// A date that is a week or more away.
    fn far_day(self, date: NaiveDate, with_year: bool) -> String {
        let (weekday, month) = (self.weekday(date.weekday()), self.month(date.month0()));
        let day = date.day();
        let year = |before: &str| if with_year { format!("{before}{}", date.year()) } else { String::new() };
        match self {
            Self::English => format!("on {weekday}, {month} {day}{}{}", ordinal(day), year(", ")),
            Self::German => format!("am {weekday}, dem {day}. {month}{}", year(" ")),
            Self::French => {
                let day = if day == 1 { "1er".to_owned() } else { day.to_string() };
                format!("le {weekday} {day} {month}{}", year(" "))
            }
            Self::Spanish => format!("el {weekday} {day} de {month}{}", year(" de ")),
        }
    }

    fn weekday(self, day: Weekday) -> &'static str {
        let names = match self {
            Self::English => ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
            Self::German => ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
            Self::French => ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
            Self::Spanish => ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
        };
        names[day.num_days_from_monday() as usize]
    }

    fn month(self, month0: u32) -> &'static str {
        let names = match self {
            Self::English => {
                "January February March April May June July August September October November December"
            }
            Self::German => {
                "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
            }
            Self::French => {
                "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
            }
            Self::Spanish => {
                "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
            }
        };
        names.split(' ').nth(month0 as usize).unwrap_or_default()
    }

    /// A time of day in words that can't be taken for one of the night in which the day ends.
    fn time_on_a_day(self, at: NaiveDateTime) -> String {
        let time = self.time(at);
        match self {
            Self::English => time.replace(" at night", ", right after midnight"),
            Self::German => time.replace(" nachts", " morgens"),
            Self::French => time.replace("minuit", "zéro heure"),
            Self::Spanish => time,
        }
    }

    /// A time of day in words.
    fn time(self, at: NaiveDateTime) -> String {
        let (hour, minute) = (at.hour(), at.minute());
        match self {
            Self::English => english(hour, minute),
            Self::German => german_time(hour, minute),
            Self::French => french_time(hour, minute),
            Self::Spanish => spanish(hour, minute),
        }
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

fn english(hour: u32, minute: u32) -> String {
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
    let of = |hour: u32| english_number(if hour.is_multiple_of(12) { 12 } else { hour % 12 });
    match minute {
        0 => format!("{} {part}", of(hour)),
        15 => format!("a quarter past {} {part}", of(hour)),
        30 => format!("half past {} {part}", of(hour)),
        // Of the same part of the day still.
        45 if ![0, 11, 17, 23].contains(&hour) => format!("a quarter to {} {part}", of(hour + 1)),
        1..10 => format!("{} oh {} {part}", of(hour), english_number(minute)),
        _ => format!("{} {} {part}", of(hour), english_number(minute)),
    }
}

fn english_number(number: u32) -> String {
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

const GERMAN: [&str; 20] = [
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

fn german(number: u32) -> String {
    const TENS: [&str; 6] = ["", "", "zwanzig", "dreißig", "vierzig", "fünfzig"];
    match (number / 10 % 6, number % 10) {
        (0 | 1, _) => GERMAN[number as usize % 20].to_owned(),
        (tens, 0) => TENS[tens as usize].to_owned(),
        (tens, 1) => format!("einund{}", TENS[tens as usize]),
        (tens, ones) => format!("{}und{}", GERMAN[ones as usize], TENS[tens as usize]),
    }
}

/// In the small hours with the part of the day: many would take "ein Uhr" for one in the afternoon.
fn german_time(hour: u32, minute: u32) -> String {
    // "ein Uhr", though the number is "eins".
    let hours = if hour == 1 { "ein".to_owned() } else { german(hour) };
    let minutes = if minute == 0 { String::new() } else { format!(" {}", german(minute)) };
    let part = match hour {
        1..4 => " nachts",
        4..6 => " morgens",
        _ => "",
    };
    format!("{hours} Uhr{minutes}{part}")
}

fn french_time(hour: u32, minute: u32) -> String {
    let hours = match hour {
        0 => "minuit".to_owned(),
        12 => "midi".to_owned(),
        1 => "une heure".to_owned(),
        21 => "vingt et une heures".to_owned(),
        _ => format!("{} heures", french(hour)),
    };
    // Minutes are feminine.
    let minutes = match (hour, minute) {
        (_, 0) => String::new(),
        (0 | 12, 1) => " une minute".to_owned(),
        _ => format!(" {}", feminine(french(minute))),
    };
    let part = if (1..6).contains(&hour) { " du matin" } else { "" };
    format!("{hours}{minutes}{part}")
}

fn feminine(number: String) -> String {
    if number == "un" || number.ends_with(" un") { number + "e" } else { number }
}

fn french(number: u32) -> String {
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

fn spanish(hour: u32, minute: u32) -> String {
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
        hour => format!("las {}", spanish_number(hour)),
    };
    let minutes = match minute {
        0 => String::new(),
        15 => " y cuarto".to_owned(),
        30 => " y media".to_owned(),
        _ => format!(" y {}", spanish_number(minute)),
    };
    format!("{}{minutes} {part}", of(hour))
}

fn spanish_number(number: u32) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap()
    }

    /// Checked by ear against the usual wording of each language.
    #[test]
    fn openings_are_said_as_people_say_them() {
        // A Friday evening.
        let now = at("2026-11-27T18:00");
        for (language, opens, said) in [
            ("en", "2026-11-30T08:00", "closed, open again on Monday at eight in the morning"),
            ("en", "2026-11-28T09:30", "closed, open again tomorrow at half past nine in the morning"),
            ("en", "2026-11-27T21:00", "closed, open again today at nine in the evening"),
            (
                "en",
                "2027-01-02T11:45",
                "closed, open again on Saturday, January 2nd at eleven forty-five in the morning",
            ),
            ("en", "2026-11-29T12:00", "closed, open again on Sunday at noon"),
            ("en", "2026-11-29T13:05", "closed, open again on Sunday at one oh five in the afternoon"),
            ("en", "2026-11-29T08:45", "closed, open again on Sunday at a quarter to nine in the morning"),
            ("de", "2026-11-30T08:00", "geschlossen, wieder geöffnet am Montag um acht Uhr"),
            ("de", "2026-11-28T13:01", "geschlossen, wieder geöffnet morgen um dreizehn Uhr eins"),
            (
                "de",
                "2027-01-01T01:45",
                "geschlossen, wieder geöffnet am Freitag, dem 1. Januar um ein Uhr fünfundvierzig morgens",
            ),
            ("fr", "2026-11-30T08:00", "fermé, de nouveau ouvert lundi à huit heures"),
            ("fr", "2026-11-28T12:30", "fermé, de nouveau ouvert demain à midi trente"),
            (
                "fr",
                "2027-01-01T21:21",
                "fermé, de nouveau ouvert le vendredi 1er janvier à vingt et une heures vingt et une",
            ),
            ("es", "2026-11-30T08:00", "cerrado, abierto de nuevo el lunes a las ocho de la mañana"),
            ("es", "2026-11-28T13:30", "cerrado, abierto de nuevo mañana a la una y media de la tarde"),
            (
                "es",
                "2027-01-05T21:31",
                "cerrado, abierto de nuevo el martes 5 de enero a las nueve y treinta y uno de la noche",
            ),
        ] {
            assert_eq!(language.parse::<Language>().unwrap().closed(now, Some(at(opens))), said);
        }
    }

    #[test]
    fn closings_are_said_as_people_say_them() {
        let now = at("2026-11-27T18:00");
        for (language, until, said) in [
            ("en", Some("2026-11-27T22:00"), "open until ten in the evening"),
            ("en", Some("2026-11-28T02:00"), "open until two in the morning"),
            ("en", Some("2026-11-28T00:30"), "open until half past twelve at night"),
            ("de", Some("2026-11-28T01:00"), "geöffnet bis ein Uhr nachts"),
            ("fr", Some("2026-11-28T00:30"), "ouvert jusqu'à minuit trente"),
            ("es", Some("2026-11-28T00:30"), "abierto hasta las doce y media de la madrugada"),
            ("en", Some("2026-11-29T00:30"), "open until Sunday at half past twelve, right after midnight"),
            ("de", Some("2026-11-29T03:00"), "geöffnet bis Sonntag um drei Uhr morgens"),
            ("fr", Some("2026-11-29T00:30"), "ouvert jusqu'à dimanche à zéro heure trente"),
            ("es", Some("2026-11-29T00:30"), "abierto hasta el domingo a las doce y media de la madrugada"),
            ("en", Some("2026-11-30T17:00"), "open until Monday at five in the afternoon"),
            ("de", Some("2026-11-27T22:15"), "geöffnet bis zweiundzwanzig Uhr fünfzehn"),
            ("fr", Some("2026-11-27T22:00"), "ouvert jusqu'à vingt-deux heures"),
            ("es", Some("2026-11-27T22:00"), "abierto hasta las diez de la noche"),
            ("en", Some("2026-11-28T00:00"), "open until midnight"),
            ("en", Some("2026-11-29T00:00"), "open until tomorrow night at midnight"),
            ("en", Some("2026-11-30T00:00"), "open until Sunday night at midnight"),
            ("en", Some("2026-12-26T00:00"), "open until midnight on the night of Friday, December 25th"),
            ("de", Some("2026-11-28T00:00"), "geöffnet bis Mitternacht"),
            ("de", Some("2026-11-29T00:00"), "geöffnet bis morgen um vierundzwanzig Uhr"),
            ("de", Some("2026-11-30T00:00"), "geöffnet bis Sonntag um vierundzwanzig Uhr"),
            ("de", Some("2026-12-26T00:00"), "geöffnet bis Freitag, den 25. Dezember um vierundzwanzig Uhr"),
            ("fr", Some("2026-11-28T00:00"), "ouvert jusqu'à minuit"),
            ("fr", Some("2026-11-29T00:00"), "ouvert jusqu'à demain soir à minuit"),
            ("fr", Some("2026-11-30T00:00"), "ouvert jusqu'à dimanche soir à minuit"),
            ("fr", Some("2026-12-26T00:00"), "ouvert jusqu'au vendredi 25 décembre au soir à minuit"),
            ("es", Some("2026-11-28T00:00"), "abierto hasta la medianoche"),
            ("es", Some("2026-11-29T00:00"), "abierto hasta mañana a las doce de la noche"),
            ("es", Some("2026-11-30T00:00"), "abierto hasta el domingo a las doce de la noche"),
            (
                "es",
                Some("2026-12-26T00:00"),
                "abierto hasta el viernes 25 de diciembre a las doce de la noche",
            ),
            ("de", Some("2026-12-25T17:00"), "geöffnet bis Freitag, den 25. Dezember um siebzehn Uhr"),
            ("fr", Some("2026-12-25T17:00"), "ouvert jusqu'au vendredi 25 décembre à dix-sept heures"),
            ("de", Some("2026-11-30T17:00"), "geöffnet bis Montag um siebzehn Uhr"),
            ("fr", Some("2026-11-30T17:00"), "ouvert jusqu'à lundi à dix-sept heures"),
            ("es", Some("2026-11-30T12:00"), "abierto hasta el lunes al mediodía"),
            ("es", None, "abierto"),
        ] {
            assert_eq!(language.parse::<Language>().unwrap().open(now, until.map(at)), said);
        }
    }

    #[test]
    fn a_midnight_is_named_so_that_no_other_can_be_meant() {
        let now = at("2026-11-27T09:00");
        for (language, tonight, monday) in [
            ("en", "tonight at midnight", "on Monday, right after midnight"),
            ("de", "heute um Mitternacht", "am Montag gleich nach Mitternacht"),
            ("fr", "ce soir à minuit", "lundi, juste après minuit"),
            ("es", "esta noche a las doce", "el lunes, justo después de la medianoche"),
        ] {
            let language: Language = language.parse().unwrap();
            assert_eq!(language.moment(now, at("2026-11-28T00:00")), tonight);
            assert_eq!(language.moment(now, at("2026-11-30T00:00")), monday);
        }
    }

    #[test]
    fn a_date_of_the_next_year_is_told_with_its_year() {
        let now = at("2026-11-27T18:00");
        for (language, far, farther) in [
            ("en", "on Thursday, September 23rd at noon", "on Friday, September 24th, 2027 at noon"),
            (
                "de",
                "am Donnerstag, dem 23. September um zwölf Uhr",
                "am Freitag, dem 24. September 2027 um zwölf Uhr",
            ),
            ("fr", "le jeudi 23 septembre à midi", "le vendredi 24 septembre 2027 à midi"),
            (
                "es",
                "el jueves 23 de septiembre al mediodía",
                "el viernes 24 de septiembre de 2027 al mediodía",
            ),
        ] {
            let language: Language = language.parse().unwrap();
            assert_eq!(language.moment(now, at("2027-09-23T12:00")), far);
            assert_eq!(language.moment(now, at("2027-09-24T12:00")), farther);
        }
    }

    #[test]
    fn the_small_hours_are_told_from_those_of_the_day() {
        for (language, time, said) in [
            ("en", "00:30", "half past twelve at night"),
            ("en", "00:45", "twelve forty-five at night"),
            ("en", "01:00", "one in the morning"),
            ("de", "00:30", "null Uhr dreißig"),
            ("de", "01:00", "ein Uhr nachts"),
            ("de", "05:30", "fünf Uhr dreißig morgens"),
            ("de", "06:00", "sechs Uhr"),
            ("fr", "00:01", "minuit une minute"),
            ("fr", "12:01", "midi une minute"),
            ("fr", "00:21", "minuit vingt et une"),
            ("fr", "01:00", "une heure du matin"),
            ("fr", "05:59", "cinq heures cinquante-neuf du matin"),
            ("fr", "06:00", "six heures"),
            ("es", "00:30", "las doce y media de la madrugada"),
            ("es", "01:00", "la una de la madrugada"),
            ("es", "05:59", "las cinco y cincuenta y nueve de la madrugada"),
            ("es", "06:00", "las seis de la mañana"),
            ("es", "12:30", "las doce y media de la tarde"),
        ] {
            assert_eq!(language.parse::<Language>().unwrap().time(at(&format!("2026-11-27T{time}"))), said);
        }
    }

    #[test]
    fn every_minute_has_words_in_every_language() {
        for language in [Language::English, Language::German, Language::French, Language::Spanish] {
            let mut said = std::collections::BTreeSet::new();
            for minute in 0..1440 {
                let time = at("2026-11-27T00:00") + chrono::TimeDelta::minutes(minute);
                said.insert(language.time(time));
            }
            assert_eq!(said.len(), 1440, "{language:?}: two minutes sound alike");
        }
    }
}
