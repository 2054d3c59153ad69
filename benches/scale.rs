//! What thousands of pages cost, as ratios to a plain loop that splits the same files into cells, in one run:
//! `cargo bench --bench scale`.
//!
//! FIGURES

#![allow(clippy::print_stdout, missing_docs)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant as Monotonic};

use rtconfd::desired::World;
use rtconfd::model::Instant;
use rtconfd::plan::{Recent, Side, Thresholds, weigh};
use rtconfd::sources::{Files, Writers};

#[path = "../tests/it/support.rs"]
#[allow(dead_code)]
mod support;

use support::Folder;

/// Pages, each with ten dated exceptions in a table of all.
const PAGES: usize = 10_000;

const SETTINGS: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.closures]
path = "closures.csv"
key = "id"
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
    let folder = Folder::new("http://127.0.0.1:9", SETTINGS);
    let (sites, closures) = tables(usize::MAX);
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
        "{PAGES} pages, {} rows; plain loop: {plain:?}",
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
    assert_eq!(world.pages.len(), PAGES, "{:?}", world.problems().next());
    let (planned, _) =
        timed(|| world.pages.iter().for_each(|managed| drop(managed.page.desired(now).unwrap())));
    println!("files read: {}", ratio(read));
    println!("pages put together: {}", ratio(made));
    println!("values of all: {}", ratio(planned));
    println!("start to first plan: {}", ratio(read + made + planned));
    println!("memory: {} MB", (resident() - before) / 1_000_000);

    folder.write("sites.csv", &tables(7).0);
    let (took, revision_after) = timed(|| {
        files.look(&Writers { done: [folder.path("sites.csv")].into(), ..Writers::default() });
        files.revision()
    });
    println!("one changed row, files read again: {}", ratio(took));
    let (remade, after) =
        timed(|| World::new(&settings.blueprint, &revision_after.inputs, now, Some(&world)));
    println!("one changed row, pages put together: {}", ratio(remade));
    let side = |world, inputs| Side { world, inputs };
    let (weighed, result) = timed(|| {
        weigh(
            side(&world, &revision.inputs),
            side(&after, &revision_after.inputs),
            &Recent::default(),
            Thresholds::default(),
            now,
        )
    });
    println!("one changed row, weighed: {}; {} page(s) change", ratio(weighed), result.changed.len());
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Monotonic::now();
    let value = black_box(run());
    (start.elapsed(), value)
}

/// Sites in fifty kinds of weeks; one of them may open later.
fn tables(later: usize) -> (String, String) {
    let mut sites = "site,zone,hours,phone\n".to_owned();
    let mut closures = "id,site,date,hours\n".to_owned();
    for site in 0..PAGES {
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

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
