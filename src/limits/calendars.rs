//! Limits of calendar files and public holidays.

use super::section::{Row, Section, bytes, count, days};
use super::settings::MAX_AHEAD;
use super::time::HORIZON_DAYS;

limits! {
    "Calendars"

    /// A century of holidays takes a hundredth of that.
    const MAX_CALENDAR_BYTES: usize = 8 << 20;
    "size of a calendar" => bytes(MAX_CALENDAR_BYTES), "the file is refused";

    /// Twenty for each of ten thousand events.
    const MAX_CALENDAR_LINES: usize = 200_000;
    "lines; a folded line counts once" => count(MAX_CALENDAR_LINES), "the file is refused";

    const MAX_LINE_BYTES: usize = 1 << 20;
    "line after unfolding" => bytes(MAX_LINE_BYTES),
        "refused if it may decide when an event happens; otherwise ignored with a warning";

    /// Real files nest at most three deep (calendar, event, alarm).
    const MAX_NESTING: usize = 8;
    "nesting of components" => format!("{MAX_NESTING} levels"), "the file is refused";

    /// RFC 5545 defines twenty.
    const MAX_PARAMETERS: usize = 50;
    "parameters of a property" => count(MAX_PARAMETERS), "the file is refused";

    const MAX_LIST_VALUES: usize = 10_000;
    "values of a list property, such as `EXDATE`" => count(MAX_LIST_VALUES), "the file is refused";

    /// A country has fewer holidays in a century.
    const MAX_EVENTS: usize = 10_000;
    "events" => count(MAX_EVENTS), "the file is refused";

    const MAX_CHANGED: usize = 1_000;
    "changed instances of one event" => count(MAX_CHANGED), "the file is refused";

    const MAX_CATEGORIES: usize = 100;
    "categories of one event" => count(MAX_CATEGORIES), "the file is refused";

    const MAX_CALENDAR_PROBLEMS: usize = 100;
    "problems that one run reports" => count(MAX_CALENDAR_PROBLEMS), "the others appear once these are fixed";

    /// Every half hour for three years is less.
    const MAX_STARTS: usize = 60_000;
    "`RRULE`: `COUNT`, and starts in the period that is evaluated" => count(MAX_STARTS), "refused";

    const MAX_INTERVAL: i64 = 65_535;
    "`RRULE`: `INTERVAL`" => count(MAX_INTERVAL), "refused";

    /// That is one every ten minutes.
    const MAX_TIMES: usize = 144;
    "`RRULE`: times a day" => count(MAX_TIMES), "refused";

    /// The days of a year, counted from both ends, are fewer.
    const MAX_RULE_NUMBERS: usize = 1_000;
    "`RRULE`: numbers in one list" => count(MAX_RULE_NUMBERS), "refused";

    /// A thousand rules that began in 1900 take a fifth.
    const MAX_RULE_STEPS: u64 = 10_000_000;
    "all rules of a calendar: work" =>
        format!("{} steps, each about the cost of trying one minute", count(MAX_RULE_STEPS)), "refused";

    /// A shop that closes for lunch has a twentieth of that in a year.
    const MAX_OCCURRENCES: usize = 100_000;
    "occurrences in the period that is evaluated" => count(MAX_OCCURRENCES), "the calendar cannot be used";

    /// An event that lasts a year covers 365.
    const MAX_DATES: i64 = 200_000;
    "dates of all all-day events together in that period" => count(MAX_DATES), "the calendar cannot be used";

    const MAX_CALENDAR_TEXT: usize = 16 << 20;
    "names and categories in that period" => bytes(MAX_CALENDAR_TEXT), "the calendar cannot be used";

    /// A chain with shops in every state of every continent needs fewer.
    const MAX_PUBLIC: usize = 200;
    "calendars with `public_holidays`" => count(MAX_PUBLIC), "the settings are refused";

    /// One more holiday a year for a hundred years needs fewer.
    const MAX_HOLIDAY_CHANGES: usize = 1_000;
    "dates in `add`, and dates in `remove`" => count(MAX_HOLIDAY_CHANGES), "the settings are refused";

    const HOLIDAYS_WARNED_DAYS: i64 = 90;
    "warning before the known public holidays end" => days(HOLIDAYS_WARNED_DAYS), "afterwards an error";

    note format!(
        "The period that is evaluated begins {} before today, so that events that have begun count. \
         It ends {} after today: {}, {} for `ahead`, and a reserve.",
        days(EXPANDED_DAYS_BACK),
        days(EXPANDED_DAYS_AHEAD),
        days(HORIZON_DAYS),
        days(MAX_AHEAD.num_days()),
    );
}

/// Dates before today that calendars are expanded for, to include events that have begun.
pub const EXPANDED_DAYS_BACK: u64 = 45;

/// Dates after today that calendars are expanded for.
///
/// These are the horizon, the days that a page may run ahead, and the days that a world may age.
pub const EXPANDED_DAYS_AHEAD: u64 = HORIZON_DAYS + MAX_AHEAD.num_days().unsigned_abs() + 2 * DAYS_FRESH;

/// Days around its creation for which a world is valid.
pub const DAYS_FRESH: u64 = 5;
