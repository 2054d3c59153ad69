//! Every zone, every clock change from 2024 to 2037, three hours to both sides, against an oracle that is not ours:
//! Python's zoneinfo, on a zone database of the same version.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use chrono::{DateTime, NaiveDateTime};
use chrono_tz::{IANA_TZDB_VERSION, TZ_VARIANTS, Tz};
use rtconfd::model::Instant;
use rtconfd::zone;

/// Differences that are shown; one wrong rule makes thousands.
const SHOWN: usize = 20;

fn instant(seconds: &str) -> Instant {
    DateTime::from_timestamp(seconds.parse().unwrap(), 0).unwrap()
}

/// Local times are on the wire as if the wall clock were UTC.
fn local(seconds: &str) -> NaiveDateTime {
    instant(seconds).naive_utc()
}

/// What was compared, and what differed.
#[derive(Default)]
struct Tally {
    database: String,
    zones: usize,
    changing_zones: BTreeSet<&'static str>,
    transitions: usize,
    locals: usize,
    instants: usize,
    dates: usize,
    texts: usize,
    unknown: Vec<String>,
    differences: usize,
    shown: Vec<String>,
}

impl Tally {
    fn same<T: PartialEq + Display>(&mut self, zone: Tz, asked: &dyn Display, ours: T, oracle: T) {
        if ours == oracle {
            return;
        }
        self.differences += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{zone}, {asked}: we say {ours}, the oracle {oracle}"));
        }
    }

    /// Takes one line of the oracle's answers; `zone` is the one that they are of.
    fn take(&mut self, zone: &mut Tz, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap();
        let fields: Vec<&str> = rest.split(' ').collect();
        let at = *zone;
        match kind {
            "V" => self.database = rest.to_owned(),
            "X" => self.unknown.push(rest.to_owned()),
            "Z" => {
                *zone = rest.parse().unwrap();
                self.zones += 1;
            }
            "T" => {
                self.changing_zones.insert(at.name());
                self.transitions += 1;
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

fn oracle() -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/zone-oracle.py");
    let started = Command::new("python3")
        .arg(script)
        .arg(IANA_TZDB_VERSION)
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("zone-oracle"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    started.expect("python3 is needed for this test: install the package python3")
}

#[test]
fn local_times_and_instants_are_what_an_oracle_says_in_every_zone_around_every_clock_change() {
    let mut oracle = oracle();
    let names: String = TZ_VARIANTS.iter().map(|zone| format!("{zone}\n")).collect();
    let mut asks = oracle.stdin.take().unwrap();
    // An oracle that has nothing to answer from ends without having listened; what it says of that counts.
    let asking = thread::spawn(move || asks.write_all(names.as_bytes()));
    let mut tally = Tally::default();
    let mut zone = Tz::UTC;
    for line in BufReader::new(oracle.stdout.take().unwrap()).lines() {
        tally.take(&mut zone, &line.unwrap());
    }
    let ended = oracle.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    asking.join().unwrap().unwrap();
    println!(
        "zone database {}: {} zones, {} of them with {} transitions; {} local times (each as hours and as event), \
         {} instants, {} dates, {} texts; {} differences",
        tally.database,
        tally.zones,
        tally.changing_zones.len(),
        tally.transitions,
        tally.locals,
        tally.instants,
        tally.dates,
        tally.texts,
        tally.differences,
    );
    assert_eq!(tally.unknown, Vec::<String>::new(), "zones that the oracle does not know");
    assert_eq!(tally.differences, 0, "{}", tally.shown.join("\n"));
    // An oracle that answers next to nothing would agree with anybody.
    assert_eq!(tally.zones, TZ_VARIANTS.len());
    assert!(tally.transitions > 5_000 && tally.locals > 500_000 && tally.instants > 400_000);
}
