//! Limits of the settings file, of templates and of expressions.

use chrono::TimeDelta;

use super::section::{Row, Section, bytes, count, days, time};
use super::time::HORIZON_DAYS;

limits! {
    "Settings and templates"

    /// About four thousand pages written out one by one.
    const MAX_SETTINGS_BYTES: usize = 1 << 20;
    "size of the settings file" => bytes(MAX_SETTINGS_BYTES),
        "the settings are refused: write similar pages as rows of a source";

    const MAX_SETTINGS_VALUES: usize = 200_000;
    "values in the settings, counted by separators" => count(MAX_SETTINGS_VALUES), "the settings are refused";

    /// Every lookup of a key scans all of them.
    const MAX_KEYS: usize = 10_000;
    "keys in one table" => count(MAX_KEYS), "the settings are refused";

    /// More pages must be rows of a source.
    const MAX_PAGE_BLOCKS: usize = 5_000;
    "`[[page]]` blocks" => count(MAX_PAGE_BLOCKS), "the settings are refused: use `for_each`";

    const MAX_NAMED: usize = 1_000;
    "sources, calendars, and named hours, each" => count(MAX_NAMED), "the settings are refused";

    const MAX_TOKENS: usize = 100;
    "tokens of `[listen]`" => count(MAX_TOKENS), "the settings are refused";

    const MAX_VARIABLES: usize = 1_000;
    "variables in one `variables` table of a page" => count(MAX_VARIABLES),
        "the settings are refused: own an object";

    /// The TOML parser reads 64 bits.
    const MAX_INTEGER_DIGITS: u32 = i64::MAX.ilog10();
    "whole number in TOML" => format!("{MAX_INTEGER_DIGITS} digits"),
        "the settings are refused: write it as text";

    const MAX_ID: usize = 128;
    "agent id" => format!("{MAX_ID} characters"), "the page is refused";

    const MAX_OWNER: usize = 100;
    "`store.owner`" => format!("{MAX_OWNER} characters"), "the settings are refused";

    const MAX_HOURS_TEXT: usize = 4_096;
    "hours in one text" => bytes(MAX_HOURS_TEXT), "refused";

    /// A longer interval is probably a typo: `09:00-05:00` for 17:00. Few places never close.
    const LONG_HOURS: u16 = 16;
    "opening hours without a break" => format!("{LONG_HOURS} hours"), "a warning, unless open all day";

    const MAX_RANGE_DATES: i64 = 400;
    "range in `special_from`, and in `schema_org` without `dayOfWeek`" =>
        format!("{MAX_RANGE_DATES} dates"), "refused";

    const MAX_RANGES: usize = 1_000;
    "date ranges of one `schema_org`" => count(MAX_RANGES), "refused";

    // The length of a day, not a number of ours.
    "one special period of `google`" => "24 hours", "refused: write a period for each date";

    const MAX_AHEAD: TimeDelta = TimeDelta::days(31);
    "`ahead`" => time(MAX_AHEAD), "the settings are refused";

    const MAX_AFTER: TimeDelta = TimeDelta::days(31);
    "`after`" => time(MAX_AFTER), "the settings are refused";

    /// Longer windows need dates.
    const MAX_CRON_LENGTH: TimeDelta = TimeDelta::days(31);
    "`for` of a `cron` window" => time(MAX_CRON_LENGTH), "the settings are refused";

    /// A hundred years.
    const MAX_DAYS_KEPT: u64 = 36_525;
    "`keep_history`" => format!("less than {}", days(MAX_DAYS_KEPT)), "the settings are refused";

    const MAX_DURATION_DAYS: u64 = 400;
    "any other duration" => format!("less than {}", days(MAX_DURATION_DAYS)), "the settings are refused";

    const MAX_SHAPE_DAYS: u64 = HORIZON_DAYS;
    "`days` of a shape" => count(MAX_SHAPE_DAYS), "refused";

    const MAX_TEMPLATE: usize = 4_096;
    "template" => bytes(MAX_TEMPLATE), "refused";

    const MAX_FILLED_IN: usize = 64 << 10;
    "result of a template" => bytes(MAX_FILLED_IN), "refused";

    /// A plain substitution needs fewer than ten.
    const TEMPLATE_FUEL: u64 = 10_000;
    "work of a template" => format!("{} instructions", count(TEMPLATE_FUEL)), "refused";

    /// A page with more would be larger than the API's limit for an answer.
    const MAX_REPEATS: usize = 50_000;
    "rows for which one page repeats something" => count(MAX_REPEATS), "the page keeps its last definition";

    /// They are limited by memory.
    const MAX_REPEATS_OF_ALL: usize = 500_000;
    "the same for all pages together" => count(MAX_REPEATS_OF_ALL),
        "the pages beyond it keep their last definition";

    /// They take as much memory.
    const HOURS_WEIGHT: usize = 4;
    "hours in a repeated row, counted as" => format!("{HOURS_WEIGHT} more rows"), "";

    /// A page has room for a few of these, and each is copied several times on its way.
    const MAX_JSON_SOURCE_VALUE: usize = 2 << 20;
    "value from a JSON source: values and bytes of text" => bytes(MAX_JSON_SOURCE_VALUE),
        "the page keeps its last definition";

    const MAX_EXPRESSION: usize = 4_096;
    "expression" => bytes(MAX_EXPRESSION), "the settings are refused";

    const EXPRESSION_FUEL: u64 = 20_000;
    "work of an expression" => format!("{} instructions", count(EXPRESSION_FUEL)),
        "the page keeps its last definition";

    const MAX_FILTERED: usize = 2 << 20;
    "items and bytes that the filters of an expression process" => bytes(MAX_FILTERED), "as above";

    /// Each join copies the result of those before it.
    const MAX_JOINED: usize = 128 << 20;
    "text that `~` and `+` copy" => format!("{}, estimated", bytes(MAX_JOINED)), "as above";

    const MAX_EXPRESSION_RESULT: usize = 64 << 10;
    "result of an expression" => format!("{} values and bytes of text", count(MAX_EXPRESSION_RESULT)),
        "as above";

    const MAX_BLOCK_PROBLEMS: usize = 1_000;
    "problems of page blocks that one run reports" => count(MAX_BLOCK_PROBLEMS),
        "the others appear once these are fixed";

    const MAX_SHOWN_PROBLEMS: usize = 100;
    "problems that a report on the settings shows" => count(MAX_SHOWN_PROBLEMS), "as above";
}
