//! Ready-made shapes of opening hours: what real agents read from their pages, each with the reader that it is made for.

use chrono::{Datelike, NaiveDate};
use serde_json::{Map, Value, json};

use crate::hours::{Hours, Interval, SpecialDate, Stretch};
use crate::model::Instant;
use crate::zone;

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The key of a weekday where keys are numbered: `01_monday`.
fn numbered(day: usize) -> String {
    format!("{:02}_{}", day + 1, WEEKDAYS[day])
}

/// `{"monday": "09:00-17:00", …, "special_dates": [{"date", "hours", "special_date_name"}]}`: the hours of an ordinary
/// week, and the coming dates that differ.
pub(crate) fn weekdays(hours: &Hours, today: NaiveDate, days: u64, reading: Reading) -> Value {
    let mut shape: Map<String, Value> =
        (0..7).map(|day| (WEEKDAYS[day].to_owned(), json!(ordinary(hours, day, reading)))).collect();
    shape.insert("special_dates".to_owned(), special_dates(hours, today, days, "special_date_name", reading));
    Value::Object(shape)
}

/// `{"00_timezone": …, "01_monday": "11:00-22:00;23:00-01:00", …, "08_special_dates": [{"date", "hours"}]}`.
pub(crate) fn numbered_keys(hours: &Hours, today: NaiveDate, days: u64) -> Value {
    let apart = |text: Value| json!(text.as_str().unwrap_or_default().replace(", ", ";"));
    let mut shape = Map::new();
    shape.insert("00_timezone".to_owned(), json!(hours.zone.name()));
    shape.extend((0..7).map(|day| (numbered(day), apart(json!(ordinary(hours, day, Reading::Intervals))))));
    let mut special = special_dates(hours, today, days, "name", Reading::Intervals);
    for date in special.as_array_mut().into_iter().flatten() {
        date["hours"] = apart(date["hours"].take());
    }
    shape.insert("08_special_dates".to_owned(), special);
    Value::Object(shape)
}

/// `[{"date": "2026-12-25", "hours": "closed", NAME: "Christmas Day"}]`: the coming dates that differ.
pub(crate) fn special_dates(
    hours: &Hours,
    today: NaiveDate,
    days: u64,
    name: &str,
    reading: Reading,
) -> Value {
    let date = |special: SpecialDate| {
        let mut date = Map::new();
        let text = reading.midnight(hours.text_of(special.date, &special.open));
        date.insert("date".to_owned(), json!(special.date));
        date.insert("hours".to_owned(), json!(text));
        if let Some(text) = special.name.filter(|text| !text.is_empty()) {
            date.insert(name.to_owned(), json!(text));
        }
        Value::Object(date)
    };
    Value::Array(reading.special_dates(hours, today, days).into_iter().map(date).collect())
}

/// `[{"day_of_week": "monday", "is_open": true, "opening": "09:00:00", "closing": "17:30:00"}, …]`: the hours of an
/// ordinary week, an item for each interval.
pub(crate) fn regular_hours(hours: &Hours, reading: Reading) -> Value {
    let mut items = Vec::new();
    for (day, name) in WEEKDAYS.iter().enumerate() {
        let intervals = ordinary_intervals(hours, day);
        if intervals.is_empty() {
            items.push(json!({"day_of_week": name, "is_open": false}));
        }
        items.extend(intervals.into_iter().map(|Interval { open, close }| {
            let (opening, closing) = (minutes(open) + ":00", reading.midnight(minutes(close)) + ":00");
            json!({"day_of_week": name, "is_open": true, "opening": opening, "closing": closing})
        }));
    }
    Value::Array(items)
}

/// `[{"date": "2026-12-25", "name": "Christmas Day", "is_open": false}, …]`: the coming dates that differ, an item for
/// each interval.
pub(crate) fn special_hours(hours: &Hours, today: NaiveDate, days: u64, reading: Reading) -> Value {
    let mut items = Vec::new();
    for special in reading.special_dates(hours, today, days) {
        let mut item = Map::new();
        item.insert("date".to_owned(), json!(special.date));
        if let Some(name) = special.name.filter(|name| !name.is_empty()) {
            item.insert("name".to_owned(), json!(name));
        }
        item.insert("is_open".to_owned(), json!(!special.open.is_empty()));
        if special.open.is_empty() {
            items.push(Value::Object(item));
            continue;
        }
        for Stretch { from, to } in special.open {
            let mut item = item.clone();
            let (hour, minute) = hours.closing_time(special.date, to);
            let closing = reading.midnight(format!("{hour:02}:{minute:02}"));
            item.insert("opening".to_owned(), json!(clock(hours, from)));
            item.insert("closing".to_owned(), json!(closing + ":00"));
            items.push(Value::Object(item));
        }
    }
    Value::Array(items)
}

fn clock(hours: &Hours, at: Instant) -> String {
    zone::local(hours.zone, at).format("%H:%M:%S").to_string()
}

/// The hours of a weekday on which nothing is special.
fn ordinary(hours: &Hours, day: usize, reading: Reading) -> String {
    let text = |Interval { open, close }: Interval| format!("{}-{}", minutes(open), minutes(close));
    let texts: Vec<String> = ordinary_intervals(hours, day).into_iter().map(text).collect();
    if texts.is_empty() { "closed".to_owned() } else { reading.midnight(texts.join(", ")) }
}

/// Its intervals, those that touch or overlap as one; what is longer than a day can't be told by times of day.
fn ordinary_intervals(hours: &Hours, day: usize) -> Vec<Interval> {
    let mut intervals = hours.weekly[day].as_ref().map_or(Vec::new(), |day| day.intervals.clone());
    intervals.sort_unstable();
    intervals.dedup_by(|next, one| {
        let (touch, close) = (next.open <= one.close, one.close.max(next.close));
        let is_one = touch && close <= one.open + 1440;
        if is_one {
            one.close = close;
        }
        is_one
    });
    intervals
}

/// Minutes since midnight on the clock; the end of the day is 24:00.
fn minutes(minute: u16) -> String {
    let minute = if minute > 1440 { minute - 1440 } else { minute };
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// How a reader makes hours of what a shape says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing is concluded from it: it is read aloud, or by somebody else's rule.
    Unread,
    /// One interval a date, from an earlier to a later time of it; whatever else stands there is closed.
    OneInterval,
    /// Several intervals a date, separated by `;` or `,`; one that ends before it begins ends on the next date.
    Intervals,
}

impl std::str::FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::Unread),
            "one_interval" => Ok(Self::OneInterval),
            "intervals" => Ok(Self::Intervals),
            _ => Err(format!("\"{text}\" is no reader")),
        }
    }
}

/// Intervals in minutes since midnight of a date.
type Intervals = Vec<(u32, u32)>;

impl Reading {
    /// Times as the reader knows them: one that reads nights takes an end at 00:00 for the end of the date.
    pub(crate) fn midnight(self, text: String) -> String {
        match self {
            Self::Intervals => text.replace("24:00", "00:00"),
            Self::Unread | Self::OneInterval => text,
        }
    }

    /// The coming dates that differ. For who reads nights yesterday still counts in the small hours.
    fn special_dates(self, hours: &Hours, today: NaiveDate, days: u64) -> Vec<SpecialDate> {
        match (self, today.pred_opt()) {
            (Self::Intervals, Some(yesterday)) => hours.special_dates(yesterday, days + 1),
            _ => hours.special_dates(today, days),
        }
    }

    /// What the text for a date is taken for.
    pub(crate) fn of_text(self, text: &str) -> Intervals {
        let interval = |text: &str| {
            let (from, to) = text.trim().split_once('-')?;
            Some((time(from)?, time(to)?))
        };
        match self {
            Self::Unread => Vec::new(),
            Self::OneInterval => interval(text).filter(|(from, to)| from < to).into_iter().collect(),
            Self::Intervals => {
                let parts = text.split([';', ',']).filter_map(interval);
                parts.map(|(from, to)| (from, if to < from { to + 1440 } else { to })).collect()
            }
        }
    }

    /// What a value under weekdays is taken for on a date; `keys` name them, Monday first.
    pub(crate) fn of_week(
        self,
        value: &Value,
        special: &str,
        numbered_keys: bool,
        date: NaiveDate,
    ) -> Intervals {
        let day = date.weekday().num_days_from_monday() as usize;
        let key = if numbered_keys { numbered(day) } else { WEEKDAYS[day].to_owned() };
        let exceptional = value.get(special).and_then(Value::as_array).into_iter().flatten();
        let on_date = json!(date);
        let exception = exceptional.into_iter().find(|item| item.get("date") == Some(&on_date));
        let text = match exception {
            Some(item) => item.get("hours"),
            None => value.get(&key),
        };
        self.of_text(text.and_then(Value::as_str).unwrap_or_default())
    }

    /// What lists of regular and special hours are taken for on a date: the first item for the date decides, or all of
    /// them where several intervals are read.
    pub(crate) fn of_lists(self, regular: &Value, special: Option<&Value>, date: NaiveDate) -> Intervals {
        let (on_date, day) = (json!(date), json!(WEEKDAYS[date.weekday().num_days_from_monday() as usize]));
        let items = |list: Option<&Value>, key: &str, wanted: &Value| -> Vec<Value> {
            let list = list.and_then(Value::as_array).into_iter().flatten();
            list.filter(|item| item.get(key) == Some(wanted)).cloned().collect()
        };
        let mut found = items(special, "date", &on_date);
        if found.is_empty() {
            found = items(Some(regular), "day_of_week", &day);
        }
        if self == Self::OneInterval {
            found.truncate(1);
        }
        let text = |item: &Value| {
            let part = |key: &str| Some(item.get(key)?.as_str()?.get(..5)?.to_owned());
            let is_open = item.get("is_open") == Some(&Value::Bool(true));
            is_open.then(|| Some(format!("{}-{}", part("opening")?, part("closing")?)))?
        };
        found.iter().filter_map(text).flat_map(|text| self.of_text(&text)).collect()
    }
}

/// `HH:MM` as a program reads it that knows no 24:00.
pub(crate) fn time(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}
