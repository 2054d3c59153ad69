//! The formats of times.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Timelike};
use serde_json::{Value, json};

use crate::model::{Origin, Problem};
use crate::zone::Zone;

/// The format of a time.
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
            _ => Err(format!("unknown time format \"{text}\"")),
        }
    }
}

impl TimeFormat {
    /// Writes a local time; `closes` makes a midnight the end of its date.
    ///
    /// # Errors
    /// Fails if a whole hour is requested and the time is not one.
    pub(super) fn write(
        self,
        local: DateTime<Zone>,
        closes: bool,
        origin: &Origin,
    ) -> Result<Value, Problem> {
        let (hour, minute) = match closes && local.num_seconds_from_midnight() == 0 {
            true => (24, 0),
            false => (local.hour(), local.minute()),
        };
        match self {
            Self::Hour if minute != 0 || local.second() != 0 => {
                Err(Problem::at(origin, format!("{hour:02}:{minute:02} is not a whole hour"))
                    .hint("set format = \"HH:MM\", or let the hours start and end on the hour"))
            }
            Self::Hour => Ok(json!(hour)),
            Self::Minutes => Ok(json!(format!("{hour:02}:{minute:02}"))),
            Self::Seconds => Ok(json!(format!("{hour:02}:{minute:02}:{:02}", local.second()))),
            Self::Rfc3339 => Ok(json!(local.to_rfc3339_opts(SecondsFormat::Secs, false))),
        }
    }
}
