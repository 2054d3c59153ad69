//! A simulated world: the real driver, settings, sources, store and plan, with clock, files and
//! remote derived from one seed, and every kind of fault. After every step a model that shares no
//! code with the program checks the invariants.
//!
//! `RTCONFD_SEED=7 RTCONFD_WEEKS=200 cargo test --test it world` replays one seed.

mod growth;
mod many;
mod model;
mod remote;
mod run;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use run::{Figures, World};

/// The number of seeds and the simulated weeks of each, fifteen hundred together.
const SEEDS: u64 = 10;
const WEEKS: u32 = 150;
/// The same of replicas, four hundred together.
const WEEKS_OF_REPLICAS: u32 = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Simulates the weeks of a seed, unless another one failed meanwhile.
fn live(seed: u64, weeks: u32, is_shared: bool, failed: &AtomicBool) -> (Figures, u64) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed, is_shared).await;
        for week in 0..weeks {
            if failed.load(Ordering::SeqCst) {
                break;
            }
            world.week().await;
            let violations = world.violations();
            if violations.is_empty() {
                continue;
            }
            failed.store(true, Ordering::SeqCst);
            let recent_events = world.recent_events().await;
            panic!(
                "seed {seed}, week {week}, replicas: {is_shared}: {violations:#?}\n{recent_events}\nreplay it: RTCONFD_SEED={seed} RTCONFD_WEEKS={} cargo test --test it world::",
                week + 1
            );
        }
        world.end().await
    })
}

/// Every invariant holds through thousands of weeks with faults.
#[test]
fn the_invariants_hold_in_every_simulated_week() {
    live_all(WEEKS, false);
}

/// The same for replicas: each start is that of another one, which may have old files for a while.
#[test]
fn the_invariants_hold_in_every_week_of_replicas() {
    let figures = live_all(WEEKS_OF_REPLICAS, true);
    let is_replay = number("RTCONFD_SEED").is_some() || number("RTCONFD_WEEKS").is_some();
    assert!(is_replay || figures.lags > 0, "no replica had old files while newer ones were active");
}

/// Simulates the weeks of all seeds.
fn live_all(weeks: u32, is_shared: bool) -> Figures {
    let weeks = number("RTCONFD_WEEKS").map_or(weeks, |weeks| u32::try_from(weeks).unwrap());
    let seeds: Vec<u64> = match number("RTCONFD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("RTCONFD_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let (next, failed, mut total) = (AtomicUsize::new(0), AtomicBool::new(false), Figures::default());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let figures: Vec<Figures> = std::thread::scope(|scope| {
        let worker = || {
            let mut figures = Figures::default();
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
                figures.add(&live(*seed, weeks, is_shared, &failed).0);
                println!("seed {seed}: {weeks} weeks");
            }
            figures
        };
        let running: Vec<_> = (0..workers.min(seeds.len())).map(|_| scope.spawn(worker)).collect();
        running
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    figures.iter().for_each(|figures| total.add(figures));
    crate::support::report(&format!("{} seeds of {weeks} weeks, no violation: {total:?}", seeds.len()));
    total
}

/// One seed determines the world down to the last request.
#[test]
fn the_same_seed_makes_the_same_trace() {
    for is_shared in [false, true] {
        let trace = |seed, weeks| live(seed, weeks, is_shared, &AtomicBool::new(false)).1;
        assert_eq!(trace(3, 6), trace(3, 6));
        assert_ne!(trace(3, 2), trace(4, 2));
    }
}
