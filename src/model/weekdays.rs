//! The weekdays and their English names.

use chrono::Weekday;

/// A weekday and its names.
#[derive(Clone, Copy, Debug)]
pub struct NamedWeekday {
    /// The weekday.
    pub day: Weekday,
    /// The name in messages and sentences, as in `Monday`.
    pub name: &'static str,
    /// The name as a key, as in `monday`.
    pub key: &'static str,
    /// The short name, as in `Mon`.
    pub short: &'static str,
}

const fn named(day: Weekday, name: &'static str, key: &'static str, short: &'static str) -> NamedWeekday {
    NamedWeekday { day, name, key, short }
}

/// The weekdays, Monday first.
pub const WEEKDAYS: [NamedWeekday; 7] = [
    named(Weekday::Mon, "Monday", "monday", "Mon"),
    named(Weekday::Tue, "Tuesday", "tuesday", "Tue"),
    named(Weekday::Wed, "Wednesday", "wednesday", "Wed"),
    named(Weekday::Thu, "Thursday", "thursday", "Thu"),
    named(Weekday::Fri, "Friday", "friday", "Fri"),
    named(Weekday::Sat, "Saturday", "saturday", "Sat"),
    named(Weekday::Sun, "Sunday", "sunday", "Sun"),
];
