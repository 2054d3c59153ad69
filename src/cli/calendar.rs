//! `rtconfd calendar`: the dates of a calendar file or of public holidays within a window.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::calendar::{Calendar, Edition, Occurrence, Region, Span, Window};
use crate::model::{Instant, Problem};
use crate::zone::{self, Database, Zone};
use crate::zoneinfo;

use super::global::{Exit, FAILED, Format, Global, OK, Shown};
use super::output;

#[derive(Args)]
pub struct Arguments {
    /// The iCalendar file
    #[arg(required_unless_present_any = ["public", "codes"])]
    file: Option<PathBuf>,
    /// Public holidays instead of a file, by ISO 3166 code, as in FR, DE-BY or GB-ENG
    #[arg(long, value_name = "CODE", conflicts_with = "file")]
    public: Option<String>,
    /// List the codes with known public holidays
    #[arg(long, conflicts_with_all = ["file", "public"])]
    codes: bool,
    /// The time zone of dates and floating times; public holidays are whole dates and need none
    #[arg(long, value_name = "ZONE", required_unless_present_any = ["public", "codes"])]
    timezone: Option<String>,
    /// The first date of the window [default for public holidays: the first known date]
    #[arg(long, value_name = "DATE", required_unless_present_any = ["public", "codes"])]
    from: Option<NaiveDate>,
    /// The date after the window's last [default for public holidays: all known dates]
    #[arg(long, value_name = "DATE", required_unless_present_any = ["public", "codes"])]
    to: Option<NaiveDate>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Serialize)]
struct Row {
    start: String,
    end: String,
    all_day: bool,
    summary: String,
    #[serde(skip)]
    order: (NaiveDateTime, bool, NaiveDateTime),
}

pub fn run(global: &Global, arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.codes {
        return codes(arguments.shown.format);
    }
    let zones = zoneinfo::open(&zoneinfo::Choice::Newest, global.surroundings().zoneinfo.as_deref())
        .map_err(anyhow::Error::msg)?;
    let here = match &arguments.timezone {
        Some(name) => zones.zone(name).with_context(|| {
            format!("unknown time zone `{name}`\n  hint: write a name of the IANA database, for example Europe/London")
        })?,
        None => Zone::UTC,
    };
    let (found, window) = match (&arguments.file, &arguments.public, arguments.from, arguments.to) {
        (_, Some(code), from, to) => {
            let region = match Region::named(code) {
                Ok(region) => region,
                Err(problem) => {
                    output::show_problems([&problem]);
                    return Ok(FAILED);
                }
            };
            let window = window_of(&region, from, to);
            (region.calendar(&[], &[]), window)
        }
        (Some(file), None, Some(from), Some(to)) => (read(file, &zones)?, Window { from, to }),
        _ => bail!("missing calendar\n  hint: name a file, or add --public CODE"),
    };
    if let (Ok(calendar), Format::Table) = (&found, arguments.shown.format) {
        output::show_problems(&calendar.warnings);
    }
    let found = found.and_then(|calendar| calendar.occurrences(window).map_err(|problem| vec![problem]));
    let occurrences = match found {
        Ok(occurrences) => occurrences,
        Err(problems) => {
            output::show_problems(&problems);
            return Ok(FAILED);
        }
    };
    let format = arguments.shown.format;
    let mut rows: Vec<Row> =
        occurrences.iter().filter_map(|occurrence| row(occurrence, window, here, format)).collect();
    rows.sort_by(|a, b| (&a.order, &a.summary).cmp(&(&b.order, &b.summary)));
    match format {
        Format::Json => output::print_lines(rows)?,
        Format::Table => output::print_table(
            ["START", "END", "ALL DAY", "SUMMARY"],
            &["ALL DAY"],
            rows.into_iter().map(|row| {
                let all_day = if row.all_day { "yes" } else { "no" };
                [row.start, row.end, all_day.to_owned(), row.summary]
            }),
        ),
    }
    Ok(OK)
}

/// Reads the calendar in a file.
fn read(file: &Path, zones: &Database) -> anyhow::Result<Result<Calendar, Vec<Problem>>> {
    let shown: Arc<str> = file.display().to_string().into();
    let bytes = std::fs::read(file).with_context(|| match Region::named(&shown) {
        Ok(Region { name, .. }) => {
            format!("cannot read the file {shown} (for the public holidays of {name}, use --public {shown})")
        }
        Err(_) => format!("cannot read {shown}"),
    })?;
    Ok(Calendar::parse(&shown, &bytes, zones))
}

/// Returns the window for a region's public holidays, and reports the years that are known.
///
/// It covers all known years unless the arguments narrow it.
fn window_of(region: &Region, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Window {
    let edition = Edition::here();
    output::remark(&format!("public holidays of {} ({}): {edition}", region.code, region.name));
    let new_year = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
    let (first, end) = (new_year(edition.first_year), new_year(region.last_year + 1));
    let window = Window { from: from.unwrap_or(first), to: to.unwrap_or(end) };
    if window.from < first || window.to > end {
        let known =
            format!("public holidays are known only from {} to {}", edition.first_year, region.last_year);
        let problem = Problem::new(format!("{known}; dates outside these years are missing")).warning();
        output::show_problems([&problem.hint("ask for dates in these years")]);
    }
    window
}

/// Prints the regions whose public holidays are known.
fn codes(format: Format) -> anyhow::Result<Exit> {
    output::remark(&format!("public holidays: {}", Edition::here()));
    match format {
        Format::Json => {
            output::print_lines(Region::all().map(
                |region| json!({"code": region.code, "name": region.name, "last_year": region.last_year}),
            ))?
        }
        Format::Table => output::print_table(
            ["CODE", "KNOWN UP TO", "NAME"],
            &[],
            Region::all()
                .map(|region| [region.code.to_owned(), region.last_year.to_string(), region.name.to_owned()]),
        ),
    }
    Ok(OK)
}

/// Returns the row of an occurrence, if it touches the window.
///
/// Times are local in a table, and UTC in JSON.
fn row(occurrence: &Occurrence, window: Window, here: Zone, format: Format) -> Option<Row> {
    let summary = occurrence.summary.to_string();
    if let Span::Dates(from, to) = occurrence.span {
        let order = (from.and_time(NaiveTime::MIN), false, to.and_time(NaiveTime::MIN));
        let touches = from < window.to && to > window.from;
        return touches.then(|| Row {
            start: from.to_string(),
            end: to.to_string(),
            all_day: true,
            summary,
            order,
        });
    }
    let (from, to) = occurrence.instants(here);
    let (start, end) = (zone::start_of(here, window.from), zone::start_of(here, window.to));
    // An occurrence of zero length touches the window that contains it.
    let touches = from < end && (to > start || from >= start);
    let text = |at: Instant| match format {
        Format::Json => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        Format::Table => at.with_timezone(&here).to_rfc3339_opts(SecondsFormat::Secs, false),
    };
    touches.then(|| Row {
        start: text(from),
        end: text(to),
        all_day: false,
        summary,
        order: (zone::local(here, from), true, zone::local(here, to)),
    })
}
