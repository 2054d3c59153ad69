//! Times as people say them: "open again on Monday at eight in the morning".
//!
//! Each language is one file. [`LANGUAGES`] lists them all.

mod english;
mod french;
mod german;
mod spanish;
mod words;

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use words::Words;

/// The time before a closing on the next date in which only its time of day is named.
///
/// A closing in the small hours is named so all day long, since it belongs to tonight. "Tomorrow at
/// half past twelve at night" would be understood as the night after.
const ALONE: TimeDelta = TimeDelta::hours(12);
const ALONE_IN_THE_SMALL_HOURS: TimeDelta = TimeDelta::hours(24);
/// The hour at which the night ends.
const MORNING: u32 = 6;
/// The days ahead from which a date is named with its year.
const DAYS_WITHOUT_YEAR: i64 = 300;

/// Every language, the default first.
///
/// A new language needs its file, and a line here and above.
const LANGUAGES: &[&dyn Words] = &[&english::English, &german::German, &french::French, &spanish::Spanish];

/// A language that hours can be spoken in.
#[derive(Clone, Copy)]
pub struct Language(&'static dyn Words);

impl Default for Language {
    fn default() -> Self {
        Self(LANGUAGES[0])
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.0.code() == other.0.code()
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = LANGUAGES.iter().find(|words| words.code() == text);
        found.map(|words| Self(*words)).ok_or_else(|| format!("unsupported language \"{text}\""))
    }
}

impl Language {
    /// Lists the codes of all languages.
    pub fn codes() -> Vec<&'static str> {
        LANGUAGES.iter().map(|words| words.code()).collect()
    }

    /// Says that it is open, and until when if it closes again.
    pub(super) fn open(self, now: NaiveDateTime, until: Option<NaiveDateTime>) -> String {
        match until {
            Some(until) => self.0.open_until(&self.end(now, until)),
            None => self.0.open().to_owned(),
        }
    }

    /// Says that it is closed, and when it opens again if it does.
    pub(super) fn closed(self, now: NaiveDateTime, opens: Option<NaiveDateTime>) -> String {
        match opens {
            Some(opens) => self.0.closed_until(&self.moment(now, opens)),
            None => self.0.closed().to_owned(),
        }
    }

    /// Returns the time from which the words for a closing no longer name its day.
    ///
    /// They change then, although no new date begins.
    pub(super) fn shortens(until: NaiveDateTime) -> NaiveDateTime {
        until - if until.hour() < MORNING { ALONE_IN_THE_SMALL_HOURS } else { ALONE }
    }

    /// Says a closing, seen from now.
    ///
    /// A midnight is named by the date that ends, since "Sunday at midnight" could be either.
    fn end(self, now: NaiveDateTime, until: NaiveDateTime) -> String {
        let is_midnight = until.time() == NaiveTime::MIN;
        match until.date().pred_opt().filter(|_| is_midnight) {
            Some(last) => {
                let today = now.date();
                self.0.midnight_after((last - today).num_days(), &self.day(today, last))
            }
            None if until.date() > now.date() && now < Self::shortens(until) => self.moment(now, until),
            None => self.time(until),
        }
    }

    /// Says a day and a time, seen from now: "tomorrow at nine in the morning".
    pub(super) fn moment(self, now: NaiveDateTime, at: NaiveDateTime) -> String {
        let day = self.day(now.date(), at.date());
        if at.time() == NaiveTime::MIN {
            return self.0.midnight_before((at.date() - now.date()).num_days() <= 1, &day);
        }
        let time = self.time(at);
        let time = if at.date() > now.date() { self.0.time_on_a_day(time) } else { time };
        self.0.at(&day, &time)
    }

    fn day(self, today: NaiveDate, date: NaiveDate) -> String {
        let [now, next] = self.0.near_days();
        match (date - today).num_days() {
            ..=0 => now.to_owned(),
            1 => next.to_owned(),
            2..=6 => self.0.on_weekday(date.weekday().num_days_from_monday() as usize),
            days => self.0.on_date(date, (days > DAYS_WITHOUT_YEAR).then(|| date.year())),
        }
    }

    fn time(self, at: NaiveDateTime) -> String {
        self.0.time(at.hour(), at.minute())
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
    fn opening_times_are_phrased_naturally() {
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
    fn closing_times_are_phrased_naturally() {
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
    fn midnight_is_named_unambiguously() {
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
    fn a_date_in_the_next_year_is_shown_with_its_year() {
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
    fn hours_after_midnight_are_distinguished_from_daytime_hours() {
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
        for language in LANGUAGES.iter().map(|words| Language(*words)) {
            let mut said = std::collections::BTreeSet::new();
            for minute in 0..1440 {
                let time = at("2026-11-27T00:00") + chrono::TimeDelta::minutes(minute);
                said.insert(language.time(time));
            }
            assert_eq!(said.len(), 1440, "{language:?}: two minutes sound alike");
        }
    }
}
