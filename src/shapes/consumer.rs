//! Consumer models: how an agent's code turns text into open hours.

use std::str::FromStr;

use chrono::NaiveDate;

use crate::hours::{Hours, SpecialDate};

/// Open intervals in minutes since midnight of a date.
pub type Intervals = Vec<(u32, u32)>;

/// The model of how an agent's code interprets a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerModel {
    /// Nothing is concluded from the value.
    ///
    /// The agent reads it aloud, or interprets it in a way that rtconfd does not model.
    None,
    /// One interval per date, from an earlier to a later time of it.
    ///
    /// Everything else is closed.
    OneInterval,
    /// Several intervals per date, separated by `;` or `,`.
    ///
    /// An interval whose end is before its start ends on the next date.
    Intervals,
}

impl FromStr for ConsumerModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "one_interval" => Ok(Self::OneInterval),
            "intervals" => Ok(Self::Intervals),
            _ => Err(format!("unknown reader \"{text}\"")),
        }
    }
}

impl ConsumerModel {
    /// Writes times as the consumer expects them.
    ///
    /// A consumer that reads nights reads an end at 00:00 as the end of the date.
    pub(super) fn midnight(self, text: String) -> String {
        match self {
            Self::Intervals => text.replace("24:00", "00:00"),
            Self::None | Self::OneInterval => text,
        }
    }

    /// Returns the coming dates that differ from the ordinary week.
    ///
    /// For a consumer that reads nights, yesterday still counts in the small hours.
    pub(super) fn special_dates(self, hours: &Hours, today: NaiveDate, days: u64) -> Vec<SpecialDate> {
        match (self, today.pred_opt()) {
            (Self::Intervals, Some(yesterday)) => hours.special_dates(yesterday, days + 1),
            _ => hours.special_dates(today, days),
        }
    }

    /// Reads the text of one date.
    pub(super) fn read(self, text: &str) -> Intervals {
        let interval = |text: &str| {
            let (from, to) = text.trim().split_once('-')?;
            Some((time(from)?, time(to)?))
        };
        match self {
            Self::None => Vec::new(),
            Self::OneInterval => interval(text).filter(|(from, to)| from < to).into_iter().collect(),
            Self::Intervals => {
                let parts = text.split([';', ',']).filter_map(interval);
                parts.map(|(from, to)| (from, if to < from { to + 1440 } else { to })).collect()
            }
        }
    }
}

/// Reads `HH:MM` as minutes, like a program that does not accept 24:00.
pub(super) fn time(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}
