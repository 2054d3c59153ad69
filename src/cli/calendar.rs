//! `rtconfd calendar FILE`: what a calendar says in a window.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};
use chrono_tz::Tz;
use clap::Args;
use serde::Serialize;

use crate::calendar::{Calendar, Occurrence, Span, Window};
use crate::zone;

use super::{Exit, FAILED, Format, OK, Shown, output};

#[derive(Args)]
pub struct Arguments {
    /// The iCalendar file
    file: PathBuf,
    /// The zone that dates and floating times count in
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    timezone: Tz,
    /// The first date of the window
    #[arg(long, value_name = "DATE")]
    from: NaiveDate,
    /// The date after the window's last
    #[arg(long, value_name = "DATE")]
    to: NaiveDate,
    #[command(flatten)]
    shown: Shown,
}

fn parse_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "write a name of the IANA database, as in Europe/London".to_owned())
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

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let shown: Arc<str> = arguments.file.display().to_string().into();
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("{shown} can't be read"))?;
    let window = Window { from: arguments.from, to: arguments.to };
    let found = Calendar::parse(&shown, &bytes)
        .and_then(|calendar| calendar.occurrences(window).map_err(|problem| vec![problem]));
    let occurrences = match found {
        Ok(occurrences) => occurrences,
        Err(problems) => {
            output::show_problems(&problems);
            return Ok(FAILED);
        }
    };
    let mut rows: Vec<Row> =
        occurrences.iter().filter_map(|occurrence| row(occurrence, window, arguments.timezone)).collect();
    rows.sort_by(|a, b| (&a.order, &a.summary).cmp(&(&b.order, &b.summary)));
    match arguments.shown.format {
        Format::Json => output::print_lines(rows)?,
        Format::Table => output::print_table(
            ["START", "END", "ALL DAY", "SUMMARY"],
            rows.into_iter().map(|row| {
                let all_day = if row.all_day { "yes" } else { "no" };
                [row.start, row.end, all_day.to_owned(), row.summary]
            }),
        ),
    }
    Ok(OK)
}

/// An occurrence that touches the window, as the zone's wall clock shows it.
fn row(occurrence: &Occurrence, window: Window, here: Tz) -> Option<Row> {
    let summary = occurrence.summary.clone();
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
    // What lasts no time touches the window it lies in.
    let touches = from < end && (to > start || from >= start);
    let text =
        |at: DateTime<chrono::Utc>| at.with_timezone(&here).to_rfc3339_opts(SecondsFormat::Secs, false);
    touches.then(|| Row {
        start: text(from),
        end: text(to),
        all_day: false,
        summary,
        order: (zone::local(here, from), true, zone::local(here, to)),
    })
}
