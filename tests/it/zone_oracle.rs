//! Every zone against an independent oracle, Python's zoneinfo: every hour from 2025 to 2037, and
//! three hours on both sides of every clock change. The oracle reads the newest available zone
//! database, and the system's.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use rtconfd::model::Instant;
use rtconfd::zone::{self, Database, Zone};
use rtconfd::zoneinfo;

use crate::support::report;

/// The number of differences shown; one wrong rule makes thousands.
const SHOWN: usize = 20;

fn instant(seconds: &str) -> Instant {
    DateTime::from_timestamp(seconds.parse().unwrap(), 0).unwrap()
}

/// Converts a local time to its wire form, which treats the wall clock as UTC.
fn local(seconds: &str) -> NaiveDateTime {
    instant(seconds).naive_utc()
}

/// Counts of comparisons and differences.
struct Tally {
    ours: Arc<Database>,
    oracle: String,
    zones: usize,
    changing_zones: BTreeSet<&'static str>,
    transitions: usize,
    hours: usize,
    locals: usize,
    instants: usize,
    dates: usize,
    texts: usize,
    unknown: Vec<String>,
    differences: usize,
    shown: Vec<String>,
}

impl Tally {
    fn new(ours: Arc<Database>) -> Self {
        Self {
            ours,
            oracle: String::new(),
            zones: 0,
            changing_zones: BTreeSet::new(),
            transitions: 0,
            hours: 0,
            locals: 0,
            instants: 0,
            dates: 0,
            texts: 0,
            unknown: Vec::new(),
            differences: 0,
            shown: Vec::new(),
        }
    }

    fn same<T: PartialEq + Display>(&mut self, zone: Zone, asked: &dyn Display, ours: T, oracle: T) {
        if ours == oracle {
            return;
        }
        self.differences += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{zone}, {asked}: we say {ours}, the oracle {oracle}"));
        }
    }

    /// Processes one line of the oracle's answers for `zone`.
    fn take(&mut self, zone: &mut Zone, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap();
        let fields: Vec<&str> = rest.split(' ').collect();
        let at = *zone;
        match kind {
            "V" => self.oracle = rest.to_owned(),
            "X" => self.unknown.push(rest.to_owned()),
            "Z" => {
                *zone = self.ours.zone(rest).unwrap_or_else(|| panic!("{rest} is unknown"));
                self.zones += 1;
            }
            "T" => {
                self.changing_zones.insert(at.name());
                self.transitions += 1;
            }
            "H" => {
                let offset: i32 = fields[1].parse().unwrap();
                for hour in 0..fields[2].parse::<i64>().unwrap() {
                    let asked = instant(fields[0]) + TimeDelta::hours(hour);
                    self.same(at, &asked, at.offset_at(asked).local_minus_utc(), offset);
                    self.hours += 1;
                }
            }
            "L" => {
                let asked = local(fields[0]);
                self.same(at, &format!("hours at {asked}"), zone::instant(at, asked), instant(fields[1]));
                self.same(
                    at,
                    &format!("event at {asked}"),
                    zone::event_instant(at, asked),
                    instant(fields[2]),
                );
                self.locals += 1;
            }
            "I" => {
                let (asked, oracle) = (instant(fields[0]), local(fields[1]));
                self.same(at, &asked, zone::local(at, asked), oracle);
                self.same(at, &asked, zone::date(at, asked), oracle.date());
                self.instants += 1;
            }
            "D" => {
                let date = local(fields[0]).date();
                self.same(at, &format!("start of {date}"), zone::start_of(at, date), instant(fields[1]));
                self.same(at, &format!("whether {date} occurs"), zone::occurs(at, date), fields[2] == "1");
                self.dates += 1;
            }
            "S" => {
                let asked = instant(fields[0]);
                self.same(at, &asked, zone::show(at, asked), rest.split_once(' ').unwrap().1.to_owned());
                self.texts += 1;
            }
            _ => panic!("the oracle says {line}"),
        }
    }
}

fn oracle(arguments: &[&Path]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/zone-oracle.py");
    let started = Command::new("python3")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    started.expect("python3 is needed for this test: install the package python3")
}

/// Compares one of our databases with the oracle's.
fn compare(ours: Arc<Database>, arguments: &[&Path]) -> Tally {
    let mut oracle = oracle(arguments);
    let names: String = zone::known_names().map(|name| format!("{name}\n")).collect();
    let mut asks = oracle.stdin.take().unwrap();
    // An oracle without a database exits before reading its input; its error message matters.
    let asking = thread::spawn(move || asks.write_all(names.as_bytes()));
    let mut tally = Tally::new(ours);
    let mut zone = Zone::UTC;
    for line in BufReader::new(oracle.stdout.take().unwrap()).lines() {
        tally.take(&mut zone, &line.unwrap());
    }
    let ended = oracle.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    asking.join().unwrap().unwrap();
    report(&format!(
        "zone database {} against {}: {} zones, {} of them with {} transitions; {} hours, {} local times (each as \
         hours and as event), {} instants, {} dates, {} texts; {} differences",
        tally.ours,
        tally.oracle,
        tally.zones,
        tally.changing_zones.len(),
        tally.transitions,
        tally.hours,
        tally.locals,
        tally.instants,
        tally.dates,
        tally.texts,
        tally.differences,
    ));
    assert_eq!(tally.differences, 0, "{}", tally.shown.join("\n"));
    // An oracle with few answers would agree with any database.
    assert!(tally.transitions > 3_000 && tally.locals > 300_000 && tally.instants > 300_000);
    tally
}

/// Compares with the newest release; an older embedded database must be updated.
#[test]
fn the_embedded_database_matches_the_oracle_with_the_newest_release() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zone-oracle");
    let tally = compare(Database::embedded(), &[Path::new("newest"), &folder]);
    assert_eq!(tally.unknown, Vec::<String>::new(), "zones that the oracle does not know");
    assert_eq!(tally.zones, zone::known_names().count());
}

/// Compares our reading of the system's database with the oracle's, for any release.
#[test]
fn the_system_database_matches_the_oracle_with_its_files() {
    let folder = Path::new(zoneinfo::SYSTEM);
    assert!(folder.is_dir(), "a zone database is needed for this test: install the package tzdata");
    let tally = compare(Arc::new(zoneinfo::in_folder(folder)), &[folder]);
    // Some systems omit old names.
    assert!(tally.zones > 300, "{} zones", tally.zones);
}
