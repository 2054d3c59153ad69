//! What can be shown of opening hours and calendars, and how times are written.

use std::str::FromStr;

use chrono::{SecondsFormat, TimeDelta, Timelike};
use serde_json::{Map, Value, json};

use crate::calendar::{Agenda, Entry};
use crate::hours::{Hours, Stretch};
use crate::model::{Instant, Origin, Problem};
use crate::zone::{self, Zone};

use super::shape::{self, Reading};
use super::spoken::Language;

/// What of opening hours a variable shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoursShow {
    /// `true` while open.
    IsOpen,
    /// `true` while closed.
    IsClosed,
    /// The opening time of the running interval, else of today's next, else of today's last.
    OpensAt,
    /// The closing time of the same interval.
    ClosesAt,
    /// The next opening after now.
    NextOpenAt,
    /// The next opening or closing after now.
    NextChangeAt,
    /// Today's hours as text.
    Today,
    /// Today and the six dates after it, under the names of their weekdays; exceptions included.
    Week,
    /// The coming dates whose hours an exception or a calendar decides.
    SpecialDates {
        /// How many dates are looked at, today the first.
        days: u64,
    },
    /// The hours of an ordinary week under the names of its days, and the coming dates that differ.
    Weekdays {
        /// How many dates are looked at.
        days: u64,
    },
    /// The same with numbered keys, several intervals apart by `;`.
    NumberedKeys {
        /// How many dates are looked at.
        days: u64,
    },
    /// The hours of an ordinary week as a list.
    RegularHours,
    /// The coming dates that differ as a list.
    SpecialHours {
        /// How many dates are looked at.
        days: u64,
    },
    /// Whether it is open and until when, in words: "closed, open again on Monday at eight in the morning".
    Spoken(Language),
    /// The next opening in words: "tomorrow at nine in the morning".
    SpokenNextOpen(Language),
}

/// What of a calendar a variable shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarShow {
    /// `true` on a date with an event.
    IsToday,
    /// The name of today's first event.
    Name,
    /// The next date with an event, today included, as `2026-12-25`.
    NextDate,
}

/// Steps back to where a run of open dates began; each takes in a date at least.
const DATES_BACK: usize = 400;

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// `9`: a whole hour, as a number; a closing at midnight is `24`.
    Hour,
    /// `09:00`; a closing at midnight is `24:00`.
    Minutes,
    /// `09:00:00`; a closing at midnight is `24:00:00`.
    Seconds,
    /// `2026-12-25T09:00:00+00:00`, with the zone's offset.
    Rfc3339,
}

impl FromStr for TimeFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().replace([' ', '_'], "").as_str() {
            "hour" => Ok(Self::Hour),
            "hh:mm" => Ok(Self::Minutes),
            "hh:mm:ss" => Ok(Self::Seconds),
            "rfc3339" => Ok(Self::Rfc3339),
            _ => Err(format!("\"{text}\" is no format of a time")),
        }
    }
}

impl HoursShow {
    /// The names in settings.
    pub const NAMES: &'static [&'static str] = &[
        "is_open",
        "is_closed",
        "opens_at",
        "closes_at",
        "next_open_at",
        "next_change_at",
        "today",
        "week",
        "special_dates",
        "weekdays",
        "numbered",
        "regular_hours",
        "special_hours",
        "spoken",
        "spoken_next_open",
    ];

    /// The one with a name in settings.
    pub fn named(name: &str, days: u64, language: Language) -> Option<Self> {
        Some(match name {
            "is_open" => Self::IsOpen,
            "is_closed" => Self::IsClosed,
            "opens_at" => Self::OpensAt,
            "closes_at" => Self::ClosesAt,
            "next_open_at" => Self::NextOpenAt,
            "next_change_at" => Self::NextChangeAt,
            "today" => Self::Today,
            "week" => Self::Week,
            "special_dates" => Self::SpecialDates { days },
            "weekdays" => Self::Weekdays { days },
            "numbered" => Self::NumberedKeys { days },
            "regular_hours" => Self::RegularHours,
            "special_hours" => Self::SpecialHours { days },
            "spoken" => Self::Spoken(language),
            "spoken_next_open" => Self::SpokenNextOpen(language),
            _ => return None,
        })
    }

    /// Whether coming dates are looked at, so that it matters how many.
    pub fn looks_ahead(self) -> bool {
        matches!(
            self,
            Self::SpecialDates { .. }
                | Self::Weekdays { .. }
                | Self::NumberedKeys { .. }
                | Self::SpecialHours { .. }
        )
    }

    /// Whether it is in words, so that the language matters.
    pub fn is_spoken(self) -> bool {
        matches!(self, Self::Spoken(_) | Self::SpokenNextOpen(_))
    }

    /// The reader that the shape is made for; one that is only read aloud has none.
    pub fn reading(self) -> Reading {
        match self {
            Self::OpensAt | Self::ClosesAt | Self::Weekdays { .. } | Self::RegularHours => {
                Reading::OneInterval
            }
            Self::NumberedKeys { .. } => Reading::Intervals,
            _ => Reading::Unread,
        }
    }

    /// The format a time has unless the settings say otherwise; none when no time is shown.
    pub fn default_format(self) -> Option<TimeFormat> {
        match self {
            Self::OpensAt | Self::ClosesAt => Some(TimeFormat::Minutes),
            Self::NextOpenAt | Self::NextChangeAt => Some(TimeFormat::Rfc3339),
            _ => None,
        }
    }

    /// The value at an instant; none when there is no such time.
    pub(crate) fn value(
        self,
        hours: &Hours,
        (format, reading): (TimeFormat, Reading),
        at: Instant,
        origin: &Origin,
    ) -> Result<Option<Value>, Problem> {
        let today = hours.today(at);
        let time = |when: Option<(Instant, bool)>| {
            when.map(|(when, closes)| written(hours, when, closes, format, origin)).transpose()
        };
        let value = match self {
            Self::OpensAt => {
                return time(shown_of_the_day(hours, at, format).map(|stretch| (stretch.from, false)));
            }
            Self::ClosesAt => {
                return time(shown_of_the_day(hours, at, format).map(|stretch| (stretch.to, true)));
            }
            Self::NextOpenAt => return time(hours.next_open(at).map(|when| (when, false))),
            Self::NextChangeAt => return time(hours.next_change(at).map(|when| (when, hours.is_open(at)))),
            Self::SpokenNextOpen(language) => {
                let now = zone::local(hours.zone, at);
                let words = |opens| Value::String(language.moment(now, zone::local(hours.zone, opens)));
                return Ok(hours.next_open(at).map(words));
            }
            Self::IsOpen => Value::Bool(hours.is_open(at)),
            Self::IsClosed => Value::Bool(!hours.is_open(at)),
            Self::Today => Value::String(reading.midnight(hours.text(today))),
            Self::Week => week(hours, at, reading),
            Self::SpecialDates { days } => {
                shape::special_dates(hours, today, days, "special_date_name", reading)
            }
            Self::Weekdays { days } => shape::weekdays(hours, today, days, reading),
            Self::NumberedKeys { days } => shape::numbered_keys(hours, today, days),
            Self::RegularHours => shape::regular_hours(hours, reading),
            Self::SpecialHours { days } => shape::special_hours(hours, today, days, reading),
            Self::Spoken(language) => {
                let now = zone::local(hours.zone, at);
                let local = |at: Instant| zone::local(hours.zone, at);
                Value::String(match hours.is_open(at) {
                    true => language.open(now, hours.next_change(at).map(local)),
                    false => language.closed(now, hours.next_open(at).map(local)),
                })
            }
        };
        Ok(Some(value))
    }

    /// When the value may next be another.
    pub(crate) fn until(self, hours: &Hours, at: Instant) -> Option<Instant> {
        let midnight = zone::start_of(hours.zone, zone::next(hours.today(at)));
        match self {
            Self::IsOpen | Self::IsClosed | Self::NextOpenAt | Self::NextChangeAt => hours.next_change(at),
            // Words such as "tomorrow" are of a date.
            Self::OpensAt | Self::ClosesAt | Self::SpokenNextOpen(_) => {
                Some(hours.next_change_of_the_day(at))
            }
            Self::Spoken(_) => Some(spoken_until(hours, at)),
            Self::Today
            | Self::Week
            | Self::SpecialDates { .. }
            | Self::Weekdays { .. }
            | Self::NumberedKeys { .. }
            | Self::RegularHours
            | Self::SpecialHours { .. } => Some(midnight),
        }
    }
}

fn spoken_until(hours: &Hours, at: Instant) -> Instant {
    let end = hours.next_change_of_the_day(at);
    let closes = hours.next_change(at).filter(|_| hours.is_open(at));
    let shortens = closes.map(|closes| Language::shortens(zone::local(hours.zone, closes)));
    let shortens = shortens.map(|local| zone::instant(hours.zone, local));
    shortens.filter(|shortens| *shortens > at).map_or(end, |shortens| shortens.min(end))
}

/// The interval that a reader of one opening and one closing time should know: the running one, else the
/// next that starts today, else the last that did. So `opens_at <= now < closes_at` is true exactly
/// while it is open, on a day with a lunch break too.
fn of_the_day(hours: &Hours, at: Instant) -> Option<Stretch> {
    let today = hours.on(hours.today(at));
    hours
        .current(at)
        .or_else(|| today.iter().find(|stretch| stretch.from > at).copied())
        .or_else(|| today.last().copied())
}

/// The same; of one that goes on over several dates a time of day can only tell what is near, and an instant tells its
/// true ends. One that never ends is told as the other, which whoever compares instants reads right.
fn shown_of_the_day(hours: &Hours, at: Instant, format: TimeFormat) -> Option<Stretch> {
    let mut stretch = of_the_day(hours, at)?;
    if format != TimeFormat::Rfc3339 {
        return Some(stretch);
    }
    if hours.is_open(stretch.to) {
        let Some(end) = hours.next_change(stretch.to) else { return Some(stretch) };
        stretch.to = end;
    }
    let earlier = |from: Instant| hours.current(from.checked_sub_signed(TimeDelta::seconds(1))?);
    for _ in 0..DATES_BACK {
        match earlier(stretch.from) {
            Some(earlier) => stretch.from = earlier.from,
            None => break,
        }
    }
    Some(stretch)
}

fn week(hours: &Hours, at: Instant, reading: Reading) -> Value {
    let mut date = hours.today(at);
    let mut days = Map::new();
    for _ in 0..7 {
        let name = date.format("%A").to_string().to_lowercase();
        days.insert(name, Value::String(reading.midnight(hours.text(date))));
        date = zone::next(date);
    }
    // Monday first, whatever today is, so that the text doesn't change with the date.
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let sorted = names.iter().filter_map(|name| Some(((*name).to_owned(), days.remove(*name)?)));
    Value::Object(sorted.collect())
}

fn written(
    hours: &Hours,
    when: Instant,
    closes: bool,
    format: TimeFormat,
    origin: &Origin,
) -> Result<Value, Problem> {
    let local = when.with_timezone(&hours.zone);
    let (hour, minute) = match closes && local.num_seconds_from_midnight() == 0 {
        true => (24, 0),
        false => (local.hour(), local.minute()),
    };
    match format {
        TimeFormat::Hour if minute != 0 || local.second() != 0 => {
            Err(Problem::at(origin, format!("{hour:02}:{minute:02} is no whole hour"))
                .hint("set format = \"HH:MM\", or let the hours start and end on the hour"))
        }
        TimeFormat::Hour => Ok(json!(hour)),
        TimeFormat::Minutes => Ok(json!(format!("{hour:02}:{minute:02}"))),
        TimeFormat::Seconds => Ok(json!(format!("{hour:02}:{minute:02}:{:02}", local.second()))),
        TimeFormat::Rfc3339 => Ok(json!(local.to_rfc3339_opts(SecondsFormat::Secs, false))),
    }
}

impl CalendarShow {
    /// The names in settings.
    pub const NAMES: &'static [&'static str] = &["is_today", "name", "next_date"];

    /// The one with a name in settings.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "is_today" => Self::IsToday,
            "name" => Self::Name,
            "next_date" => Self::NextDate,
            _ => return None,
        })
    }

    /// The value at an instant; none when there is no such event.
    pub(crate) fn value(self, agenda: &Agenda, zone: Zone, at: Instant) -> Option<Value> {
        let today = zone::date(zone, at);
        let entry = || agenda.on(zone, today).into_iter().next();
        match self {
            Self::IsToday => Some(Value::Bool(entry().is_some())),
            Self::Name => entry().map(|entry| json!(*entry.name)),
            Self::NextDate => agenda.next_date(zone, today).map(|date| json!(date)),
        }
    }

    /// Why a calendar's value is what it is at an instant.
    pub(crate) fn because(agenda: &Agenda, name: &str, zone: Zone, at: Instant) -> String {
        let today = zone::date(zone, at);
        match agenda.on(zone, today).into_iter().next() {
            Some(Entry { name: event, origin }) => format!("{today} in {zone} is \"{event}\" ({origin})"),
            None => format!("calendar \"{name}\" has nothing on {today} in {zone}"),
        }
    }
}
