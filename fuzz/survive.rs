//! Functions that take arbitrary bytes, and check the results.
//!
//! The fuzz targets call them. So does the test that replays the corpora (`tests/it/hostile/files.rs`),
//! which needs no fuzzer.

use std::path::Path;
use std::sync::Arc;

use chrono::Weekday;
use rtconfd::agents_api::{read_agents, read_page, read_pages};
use rtconfd::calendar::{Agenda, Calendar, Filter, Window};
use rtconfd::hours::{Interval, parse_day, parse_days, parse_week};
use rtconfd::limits::files::MAX_LINES;
use rtconfd::model::{Cell, Environment, Origin, PageId, RemotePage};
use rtconfd::pages::{Desired, DesiredValue, UntypedValue};
use rtconfd::schema::{Schema, check, differences};
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::tables::{decode, parse_csv, parse_json};
use rtconfd::zone::{self, Database};

/// A name and its function.
type Target = (&'static str, fn(&[u8]));

/// The targets by name; a corpus has the name of its target.
pub const TARGETS: &[Target] = &[
    ("csv", csv),
    ("ics", ics),
    ("hours", hours),
    ("settings", settings),
    ("schema_value", schema_value),
    ("replies", replies),
];

/// A table: rows are as wide as the header, keys are unique and find their row.
///
/// Places lie in the text.
pub fn csv(data: &[u8]) {
    let file: Arc<str> = "t.csv".into();
    let Ok(text) = decode(&file, data, MAX_LINES) else { return };
    let header = text.lines().next().unwrap_or_default();
    let key = header.split(',').next().unwrap_or_default().trim().trim_matches('"');
    for (delimiter, key) in [(b',', Some(key)), (b',', None), (b';', None), (b'\t', None)] {
        let Ok(table) = parse_csv(&file, text, delimiter, key) else { continue };
        for row in &table.rows {
            assert_eq!(row.texts().count(), table.head.columns.len());
            for cell in (0..table.head.columns.len()).map(|index| row.cell_at(index)) {
                assert!(cell.origin.line >= 1 && text.get(cell.origin.span()).is_some());
            }
            if key.is_some() {
                let key = row.key().expect("a row of a table with a key has one");
                assert!(!key.is_empty() && table.row(key) == Some(row));
                assert_eq!(row.text(&table.head.columns[0]), Some(key));
            }
        }
        assert!(!table.rows.is_empty() || !table.rejected.is_empty());
    }
}

/// A calendar: every occurrence has an instant in any zone.
///
/// The agenda's index finds the same events as a linear search.
pub fn ics(data: &[u8]) {
    let Ok(calendar) = Calendar::parse(&"c.ics".into(), data, &Database::embedded()) else { return };
    let window = Window { from: date("2026-01-01"), to: date("2028-01-01") };
    let Ok(occurrences) = calendar.occurrences(window) else { return };
    let here = Database::embedded().zone("Europe/London").unwrap();
    for occurrence in &occurrences {
        let (from, to) = occurrence.instants(here);
        assert!(from <= to, "{occurrence:?} ends before it begins");
    }
    let agenda = Agenda::new(&occurrences, &Filter::default(), here, window);
    for month in 1..=12 {
        let at = zone::start_of(here, date(&format!("2027-{month:02}-09")));
        let walked = agenda.timed().iter().find(|timed| timed.from <= at && at < timed.to);
        assert_eq!(agenda.timed_at(at).map(|timed| &timed.entry), walked.map(|timed| &timed.entry));
        let taken = agenda.taken(at, at + chrono::TimeDelta::seconds(1)).first();
        assert_eq!(taken.is_some_and(|(from, to)| *from <= at && at < *to), walked.is_some());
        if let Some(edge) = agenda.next_edge(here, at) {
            assert!(edge > at);
        }
    }
}

fn date(text: &str) -> chrono::NaiveDate {
    text.parse().expect("a date of the test itself")
}

/// Maximum length of hours, in bytes; written out day by day they may become longer.
const MAX_HOURS: usize = 4_096;

/// Hours: intervals begin on their day and end within the next.
///
/// Written out again, they have the same meaning.
pub fn hours(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let in_bounds = |interval: &Interval| {
        assert!(
            interval.open < 1_440
                && interval.open < interval.close
                && interval.close <= interval.open + 1_440
        );
    };
    if let Ok(intervals) = parse_day(text) {
        intervals.iter().for_each(in_bounds);
        let again = written(&intervals);
        assert!(again.len() > MAX_HOURS || parse_day(&again) == Ok(intervals), "{text:?} is {again:?}");
    }
    if let Ok(days) = parse_days(text) {
        assert!(!days.is_empty());
    }
    if let Ok(week) = parse_week(text) {
        week.days.iter().flatten().chain(&week.holidays).flatten().for_each(in_bounds);
        let days = week.days.iter().zip(WEEK);
        let days = days.filter_map(|(day, name)| Some(format!("{name} {}", written(day.as_ref()?))));
        let parts = days.chain(week.holidays.iter().map(|hours| format!("PH {}", written(hours))));
        let again = parts.collect::<Vec<_>>().join("; ");
        assert!(again.len() > MAX_HOURS || parse_week(&again) == Ok(week), "{text:?} is {again:?}");
    }
}

const WEEK: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

fn written(intervals: &[Interval]) -> String {
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let one = |interval: &Interval| {
        // 24:00 ends a day; past it the clock begins anew.
        let close = if interval.close > 1_440 { interval.close - 1_440 } else { interval.close };
        format!("{}-{}", time(interval.open), time(close))
    };
    match intervals.is_empty() {
        true => "closed".to_owned(),
        false => intervals.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// Settings and JSON sources: accepted as a whole, or refused with a message.
pub fn settings(data: &[u8]) {
    for name in ["rtconfd.toml", "rtconfd.json"] {
        match Settings::parse(Path::new(name), data, &Surroundings::default()) {
            Ok(settings) => assert!(!settings.api.base_url.is_empty()),
            Err(report) => {
                assert!(!report.problems.is_empty() && !report.render(false).trim().is_empty());
            }
        }
    }
    let file: Arc<str> = "m.json".into();
    let Ok(text) = decode(&file, data, MAX_LINES) else { return };
    if let Ok(node) = parse_json(&file, text) {
        let value: serde_json::Value = serde_json::from_str(text).expect("text that we accept is JSON");
        assert_eq!(node.to_json(), value);
    }
}

/// A schema on the first line, then a page's values: `check` accepts all that `takes` accepts.
pub fn schema_value(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (schema, value) = text.split_once('\n').unwrap_or((text, "{}"));
    let Ok(schema) = serde_json::from_str::<serde_json::Value>(schema) else { return };
    let Ok(schema) = Schema::compile(Some(&schema)) else { return };
    let Ok(value) = serde_json::from_str::<serde_json::Value>(value) else { return };
    let taken = schema.takes(&value);
    let Some(page) = value.as_object() else { return };
    let page = Arc::new(RemotePage { variables: page.clone(), ..RemotePage::default() });
    let schema = Arc::new(schema);
    let desired = |values| Desired {
        page: "A-1/live".parse().expect("a page"),
        values,
        until: None,
        missing: Default::default(),
    };
    // A rule that other clients' values break does not withhold ours.
    assert!(check(&desired(Vec::new()), &page, &schema).is_ok() || !taken);
    let cell = Cell { text: "09".to_owned(), origin: Origin::named("test") };
    let value = DesiredValue {
        variable: "x".parse().expect("a variable"),
        value: UntypedValue::Cell(cell.clone()),
        origin: cell.origin,
        until: None,
    };
    if let Ok(checked) = check(&desired(vec![value]), &page, &schema) {
        // A page that was valid stays valid.
        assert!(!taken || schema.takes(&serde_json::Value::Object(checked.merged())));
    }
}

/// Answers of the API, as a page, as a list of pages and as one of agents.
pub fn replies(data: &[u8]) {
    drop(read_agents(data));
    let page = PageId { agent: "A-1".to_owned(), environment: Environment::Live };
    for reported in [
        read_page(data, &page).map(|page| vec![page]),
        read_pages(data, "A-1").map(|pages| pages.into_iter().map(|(_, page)| page).collect()),
    ] {
        match reported {
            Ok(pages) => pages.iter().filter_map(|page| page.schema.as_ref()).for_each(|schema| {
                drop(Schema::compile(Some(schema)));
                assert!(differences(schema, schema).is_empty());
                drop(differences(&serde_json::json!({"properties": {}}), schema));
            }),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}
