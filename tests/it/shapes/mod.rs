//! Every shape that real agents read and every table layout that people keep: settings in, JSON
//! out. The values are checked against the schema of the page and the consumer model.

mod diagnostics;
mod lint;
mod pages;
mod precedence;
mod published;
mod rows;

use serde_json::Value;

use crate::support::{Api, Folder};

/// Thursday noon in London.
const NOON: &str = "2026-11-26T12:00:00Z";

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Christmas Day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// Creates a folder with these settings and a calendar of Christmas.
fn folder(api: &Api, settings: &str) -> Folder {
    let calendar = "[calendars.holidays]\npath = \"holidays.ics\"\n";
    let folder = Folder::new(&api.url, &format!("timezone_marker\n{settings}\n{calendar}"));
    let text = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write(
        "rtconfd.toml",
        &format!("timezone = \"Europe/London\"\n{}", text.replace("timezone_marker\n", "")),
    );
    folder.write("holidays.ics", CALENDAR);
    folder
}

/// Returns the values that would be sent at an instant.
#[track_caller]
fn planned(folder: &Folder, at: &str) -> Value {
    let plan = folder.run(&["plan", "--format", "json", "--at", at]).expect(2).lines();
    Value::Object(
        plan.iter().map(|row| (row["variable"].as_str().unwrap().to_owned(), row["to"].clone())).collect(),
    )
}

/// Returns the problems that `check` reports at an instant, without their count.
#[track_caller]
fn check_problems(folder: &Folder, at: &str) -> String {
    folder.run(&["check", "--at", at]).expect(1).err
}

/// Creates a page whose hours are published in `place.json`.
fn published(api: &Api, format: &str, json: &Value) -> Folder {
    let folder = folder(
        api,
        &format!(
            "[sources.place]\npath = \"place.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = {{ {format}, closed_on = [\"holidays\"] }}\nvariables = {{ hours = {{ show = \"numbered\", days = 40 }}, open = {{ show = \"is_open\" }} }}\n"
        ),
    );
    folder.write("place.json", &format!("{json}\n"));
    folder
}

const GOOGLE: &str = "google = { source = \"place\" }";
const SCHEMA_ORG: &str = "schema_org = { source = \"place\" }";

/// Returns the warnings of `check`, which must find no error.
#[track_caller]
fn warnings(folder: &Folder, at: &str) -> Vec<String> {
    let reported = folder.run(&["check", "--at", at]).expect(0).err;
    let mut warnings: Vec<String> = Vec::new();
    for line in reported.lines() {
        match line.strip_prefix("warning: ") {
            Some(warning) => warnings.push(warning.to_owned()),
            None => warnings.last_mut().into_iter().for_each(|warning| warning.push_str(line)),
        }
    }
    warnings
}
