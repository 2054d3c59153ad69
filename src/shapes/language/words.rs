//! The trait of a language.

use chrono::NaiveDate;

/// The words of a language for openings and closings.
pub trait Words: Sync {
    /// Returns the code in settings: `en`.
    fn code(&self) -> &'static str;

    /// Says that it is open, with no end.
    fn open(&self) -> &'static str;

    /// Says that it is open until a time of day or a moment.
    fn open_until(&self, end: &str) -> String;

    /// Says that it is closed, with no end.
    fn closed(&self) -> &'static str;

    /// Says that it is closed and when it opens again.
    fn closed_until(&self, opens: &str) -> String;

    /// Names today and tomorrow.
    fn near_days(&self) -> [&'static str; 2];

    /// Names a weekday within the next six days, Monday being 0.
    fn on_weekday(&self, weekday: usize) -> String;

    /// Names a date that is a week or more away, with the year only if it is far away.
    fn on_date(&self, date: NaiveDate, year: Option<i32>) -> String;

    /// Says a day and a time.
    fn at(&self, day: &str, time: &str) -> String;

    /// Names the midnight at the end of a date that is `days_ahead` days away.
    fn midnight_after(&self, days_ahead: i64, day: &str) -> String;

    /// Names the midnight at which a day begins; the one that begins tomorrow is tonight's.
    fn midnight_before(&self, is_tonight: bool, day: &str) -> String;

    /// Says a time of day.
    fn time(&self, hour: u32, minute: u32) -> String;

    /// Rewords a time that could be understood as one in the night at the end of its day.
    fn time_on_a_day(&self, time: String) -> String;
}
