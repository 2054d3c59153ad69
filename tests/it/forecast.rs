//! The values of the demo's sites over 400 days, compared with a reviewed file:
//! `tests/golden/demo-forecast.txt`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use chrono::TimeDelta;
use rtconfd::compile::World;
use rtconfd::limits::time::MAX_SCAN_STEPS;
use rtconfd::model::Instant;
use rtconfd::pages::Page;
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::sources::Files;
use rtconfd::zone;

use crate::support::at;

const FROM: &str = "2026-11-23T12:00:00Z";
const DAYS: i64 = 400;
/// The number of differing lines to print; a file has the whole forecast.
const SHOWN: usize = 12;

/// Lists every transition of a page, one line per instant: local time, UTC, values.
fn forecast(page: &Page, from: Instant, to: Instant) -> String {
    let here = page.zone.unwrap();
    let mut changes: BTreeMap<Instant, Vec<String>> = BTreeMap::new();
    for owned in page.variables.iter() {
        for transition in owned.transitions(from, to, MAX_SCAN_STEPS).unwrap().found {
            let change = format!("{}={}", owned.variable, transition.value.to_json());
            changes.entry(transition.at).or_default().push(change);
        }
    }
    let mut text = format!("# {}, {here}\n", page.id);
    for (at, changes) in changes {
        let local = zone::local(here, at).format("%a %Y-%m-%d %H:%M");
        let offset = zone::local(here, at).signed_duration_since(at.naive_utc()).num_minutes();
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        let utc = at.format("%m-%dT%H:%MZ");
        writeln!(text, "{local}{sign}{hours:02}:{minutes:02} {utc} {}", changes.join(" ")).unwrap();
    }
    text
}

fn demo() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/rtconfd.toml");
    let settings = Settings::load(&file, &Surroundings::default())
        .unwrap_or_else(|report| panic!("{}", report.render(false)));
    let mut files = Files::new(&settings);
    files.settle();
    let (from, to) = (at(FROM), at(FROM) + TimeDelta::days(DAYS));
    let world = World::over(&settings.blueprint, &files.revision().inputs, from, to, None);
    assert_eq!(world.problems().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    let pages: Vec<String> = world.pages.iter().map(|managed| forecast(&managed.page, from, to)).collect();
    pages.join("\n")
}

#[test]
fn the_demo_matches_its_golden_file_for_400_days() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/demo-forecast.txt");
    let found = demo();
    if std::env::var_os("RTCONFD_ACCEPT_FORECAST").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, &found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    if found == expected {
        return;
    }
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-forecast.txt");
    std::fs::write(&beside, &found).unwrap();
    let differing = expected.lines().zip(found.lines()).filter(|(expected, found)| expected != found);
    let shown: String =
        differing.take(SHOWN).map(|(expected, found)| format!("- {expected}\n+ {found}\n")).collect();
    panic!(
        "the demo's forecast differs ({} lines, {} in the golden file); the first differences:\n{shown}\
        show all differences: diff {} {}\n\
        accept the new forecast: RTCONFD_ACCEPT_FORECAST=1 cargo test --test it forecast",
        found.lines().count(),
        expected.lines().count(),
        golden.display(),
        beside.display(),
    );
}

#[test]
fn the_picture_in_the_readme_is_the_one_that_preview_draws() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let window = ["--from", "2026-12-22T12:00:00Z", "--days", "7"];
    let demo = [
        "preview",
        "--config",
        "config/demo/rtconfd.toml",
        "--set",
        "store.path=:memory:",
        "--format",
        "svg",
    ];
    let drawn = std::process::Command::new(env!("CARGO_BIN_EXE_rtconfd"))
        .current_dir(root)
        // The variables of the tests are no settings.
        .env_clear()
        .args(demo)
        .args(window)
        .output()
        .unwrap();
    let expected = std::fs::read_to_string(root.join("docs/pictures/demo-hours.svg")).unwrap();
    assert_eq!(String::from_utf8(drawn.stdout).unwrap(), expected);
}
