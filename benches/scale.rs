//! Cost of thousands of pages, as ratios to a plain loop that splits the same files into cells,
//! from one run: `cargo bench --bench scale`.
//!
//! Measured on 2 cores, with files in the page cache. Ratios and absolute figures are from one run;
//! the absolute figures mean less:
//!
//! | what | ratio | in that run |
//! |---|---|---|
//! | 10,000 pages, 100,000 rows: files read and parsed (including a second read of fresh files) | 8.0x | 0.22 s |
//! | the same, pages compiled | 8.9x | 0.24 s |
//! | the same, all values computed | 2.8x | 0.08 s |
//! | the same, start to first plan | 20x | 0.53 s, 52 MB |
//! | one changed row of them: its file read, its page recompiled, checked for a hold | 1.3x | 36 ms |
//! | 100,000 pages, 1,000,000 rows: start to first plan (another run, `-- large`) | 15x | 4.2 s, 0.47 GB; a daemon with its store 1.0 GB |
//! | `apply` of 1,000 new pages, whole process; a loop in Python with `requests` sending the same | 6.5x as long | 0.16 s; 1.04 s |
//! | the same, answers after 10 ms | 15x as long | 0.84 s; 12.8 s |
//! | `apply` of one new page, with a new store; the same loop | 19x as long | 14 ms; 0.27 s |
//! | `apply` of one changed page; the vendor's CLI (0.73.2) pushing that page (another run) | 38x as long | 8.1 ms; 0.31 s |
//! | `plan` of one converged page, whole process | | 7.1 ms |
//! | 100 pages with a schema at rest for ten seconds; 10,000 | | 0 wake-ups, 31 MB (7 MB its own); 0 wake-ups, 133 MB |
//!
//! `apply` fetches before it sends, so it makes two requests where the loop makes one; 32 are in
//! flight at once. If the API answers immediately, the loop never waits, and the API shares its two
//! cores. The vendor's CLI takes 64 MB, 47 of them its own. `apply` takes 19 MB: 16 are pages of
//! the program's file, 3 its own.

#![allow(clippy::print_stdout, missing_docs)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant as Monotonic};

use rtconfd::compile::World;
use rtconfd::model::Instant;
use rtconfd::plan::{Recent, Side, Thresholds, assess};
use rtconfd::simulator::{Fault, Kind};
use rtconfd::sources::{Files, Writers, Writing};
use serde_json::{Value, json};

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a benchmark uses a part of it")]
mod support;

use support::{Api, Folder, KEY, SITES};

/// Pages that each have nine dated exceptions in a shared table.
const PAGES: usize = 10_000;
/// The same for `cargo bench --bench scale -- large`.
const MANY_PAGES: usize = 100_000;

const SETTINGS: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.closures]
path = "closures.csv"
key = "id"
max_rows = 1_000_000
[[page]]
for_each = "sites"
agent = "A-{{ row.site }}"
environment = "live"
[page.hours]
timezone = "{{ row.zone }}"
weekly = "{{ row.hours }}"
special_from = { source = "closures", match = { site = "{{ row.site }}" } }
[page.variables]
is_open = { show = "is_open" }
opening_hours = { show = "week" }
phone = { column = "phone" }
next = { show = "next_change_at" }
"#;

fn main() {
    if std::env::args().any(|argument| argument == "large") {
        return from_files(MANY_PAGES);
    }
    from_files(PAGES);
    against_a_loop(1, None);
    against_a_loop(1000, None);
    against_a_loop(1000, Some(10));
    against_the_vendors_cli();
    at_rest(1);
    at_rest(100);
    at_rest(10_000);
}

/// Measures the way from files to values, and that of one changed row.
fn from_files(pages: usize) {
    let folder = Folder::new("http://127.0.0.1:9", SETTINGS);
    let (sites, closures) = tables(pages, usize::MAX);
    folder.write("sites.csv", &sites);
    folder.write("closures.csv", &closures);
    let plain = timed(|| {
        let read = |name| std::fs::read_to_string(folder.path(name)).unwrap();
        let split = |text: String| {
            text.lines()
                .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        (split(read("sites.csv")), split(read("closures.csv")))
    })
    .0;
    println!(
        "{pages} pages, {} rows; plain loop: {plain:?}",
        sites.lines().count() + closures.lines().count()
    );
    let ratio = |took: Duration| format!("{took:?}, {:.1}x", took.as_secs_f64() / plain.as_secs_f64());

    let before = resident();
    let now: Instant = "2026-11-26T12:00:00Z".parse().unwrap();
    let settings = folder.load();
    let (read, (mut files, revision)) = timed(|| {
        let mut files = Files::new(&settings);
        files.settle();
        let revision = files.revision();
        (files, revision)
    });
    let (made, world) = timed(|| World::new(&settings.blueprint, &revision.inputs, now, None));
    assert_eq!(world.pages.len(), pages, "{:?}", world.problems().next());
    let (planned, _) =
        timed(|| world.pages.iter().for_each(|managed| drop(managed.page.desired(now).unwrap())));
    println!("files read: {}", ratio(read));
    println!("pages compiled: {}", ratio(made));
    println!("values of all pages: {}", ratio(planned));
    println!("start to first plan: {}", ratio(read + made + planned));
    println!("memory: {} MB", (resident() - before) / 1_000_000);

    folder.write("sites.csv", &tables(pages, 7).0);
    let (took, revision_after) = timed(|| {
        files.read(&Writers::from([(folder.path("sites.csv"), Writing::Closed)]));
        files.revision()
    });
    println!("one changed row, files read again: {}", ratio(took));
    let (remade, after) =
        timed(|| World::new(&settings.blueprint, &revision_after.inputs, now, Some(&world)));
    println!("one changed row, pages compiled: {}", ratio(remade));
    let side = |world, inputs| Side { world, inputs };
    let (impact, result) = timed(|| {
        assess(
            side(&world, &revision.inputs),
            side(&after, &revision_after.inputs),
            &Recent::default(),
            Thresholds::default(),
            now,
        )
    });
    println!("one changed row, assessed: {}; {} page(s) change", ratio(impact), result.changed.len());
}

/// Writes a number of sites, each with a page, whose hours never change.
fn always_open(api: &Api, count: usize) -> Folder {
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    sites(&folder, count, 0);
    folder
}

fn sites(folder: &Folder, count: usize, phone: usize) {
    let rows =
        (0..count).map(|number| format!("s{number},A-{number},Mo-Su 00:00-24:00,{}\n", number + phone));
    folder.write("sites.csv", &format!("site,agent,hours,phone\n{}", rows.collect::<String>()));
    // The file must be old, since a fresh one would be read twice.
    let file = std::fs::File::options().write(true).open(folder.path("sites.csv")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
}

/// Measures `rtconfd apply` as a process on new pages, against a loop in Python.
///
/// The loop sends the same values. The API answers immediately, or after some milliseconds.
fn against_a_loop(count: usize, milliseconds: Option<u64>) {
    let api = Api::start();
    if let Some(ms) = milliseconds {
        api.simulator.inject(Fault::new(Kind::Latency { ms }));
    }
    let folder = always_open(&api, count);
    let (ours, ran) = timed(|| folder.run(&["apply"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/loop.py");
    let python =
        || std::process::Command::new("python3").args([script, &api.url, KEY, &count.to_string()]).status();
    match timed(python) {
        (theirs, Ok(status)) if status.success() => println!(
            "{count} pages for the first time, answers after {milliseconds:?} ms, whole process: {ours:?}; a loop in Python {theirs:?}, {:.1}x as long",
            theirs.as_secs_f64() / ours.as_secs_f64()
        ),
        _ => println!("{count} pages: {ours:?}; no loop to compare with (pip install requests)"),
    }
    let (planned, ran) = timed(|| folder.run(&["plan"]));
    assert_eq!(ran.code, 0, "{}", ran.out);
    println!("plan of {count} pages with their desired values: {planned:?}");
}

/// Measures `rtconfd apply` as a process on one page, against the vendor's own CLI.
///
/// The CLI pushes the same values and needs a newer interpreter than most machines have.
/// `RTCONFD_VENDOR_PYTHON` is the command of one with the package `polyai-adk`.
fn against_the_vendors_cli() {
    let Ok(python) = std::env::var("RTCONFD_VENDOR_PYTHON") else {
        return println!("no vendor's CLI to compare with (set RTCONFD_VENDOR_PYTHON)");
    };
    let api = Api::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/vendor_cli.py");
    let push = || {
        let mut words = python.split(' ');
        let mut command = std::process::Command::new(words.next().unwrap());
        command.args(words).args(["-", &api.url, KEY, "V-0"]);
        command.stdin(std::fs::File::open(script).unwrap()).output().unwrap()
    };
    // The first run compiles its modules and creates our store.
    let pushed = push();
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let folder = always_open(&api, 1);
    assert_eq!(folder.run(&["apply"]).code, 0);
    let theirs = median(push);
    let mut phone = 0;
    let ours = median(|| {
        phone += 1;
        sites(&folder, 1, phone);
        folder.run(&["apply"])
    });
    assert_eq!(api.variables("A-0")["phone"], json!(phone.to_string()));
    println!(
        "one page that changes: {ours:?}; the vendor's CLI {theirs:?}, {:.1}x as long, at most {}",
        theirs.as_secs_f64() / ours.as_secs_f64(),
        String::from_utf8_lossy(&pushed.stdout).lines().last().unwrap()
    );
}

/// Measures wake-ups and memory of a daemon at rest over ten seconds.
///
/// Each page has a schema, as real ones do.
fn at_rest(count: usize) {
    let api = Api::start();
    let time = json!({"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"});
    let day = json!({"type": "object", "properties": {"opening": time, "closing": time}});
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let week: Value = days.iter().map(|name| ((*name).to_owned(), day.clone())).collect();
    let week = json!({"type": "object", "properties": week});
    let schema = json!({"type": "object", "properties": {"is_open": {"type": "boolean"}, "week": week}});
    (0..count).for_each(|number| api.schema(&format!("A-{number}"), &schema));
    let folder = always_open(&api, count);
    let process = folder.spawn(&["run"]);
    while api.requests("PATCH").len() < count {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(3));
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", process.child.id())).unwrap();
        let of = |task: std::fs::DirEntry| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
            line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
        };
        tasks.map(|task| of(task.unwrap())).sum()
    };
    let before = switches();
    std::thread::sleep(Duration::from_secs(10));
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let sizes = ["VmRSS", "RssAnon"].map(|name| {
        status.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<String>()
    });
    println!(
        "{count} pages at rest: {} wake-ups of all threads in 10 s; {sizes:?}",
        switches().saturating_sub(before)
    );
}

/// Returns the median time of seven runs.
fn median<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut times = [(); 7].map(|()| timed(&mut run).0);
    times.sort();
    times[3]
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Monotonic::now();
    let value = black_box(run());
    (start.elapsed(), value)
}

/// Writes sites with fifty different weeks; one of them may open later.
fn tables(pages: usize, later: usize) -> (String, String) {
    let mut sites = "site,zone,hours,phone\n".to_owned();
    let mut closures = "id,site,date,hours\n".to_owned();
    for site in 0..pages {
        let zone = ["Europe/London", "America/New_York", "Asia/Tokyo", "Europe/Berlin"][site % 4];
        let open = if site == later { 10 } else { 6 + site % 5 };
        writeln!(
            sites,
            "{site},{zone},\"Mo-Fr {open:02}:00-{}:30; Sa 10:00-14:00\",0{site}",
            16 + site % 10 / 2
        )
        .unwrap();
        for day in 0..9 {
            writeln!(closures, "{site}-{day},{site},2026-12-{:02},closed", 10 + day + site % 5).unwrap();
        }
    }
    (sites, closures)
}

/// Returns the resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
