//! A simulated world: the real driver, settings, sources, store and plan on a clock, files and a remote that one seed makes,
//! with everything that can go wrong; after every step the promises are judged by a model that shares no code with the
//! program.
//!
//! `RTCONFD_SEED=7 RTCONFD_WEEKS=200 cargo test --test it world` replays one seed.

mod many;
mod model;
mod remote;
mod run;

use std::sync::atomic::{AtomicU64, Ordering};

use run::{Figures, World};

/// Seeds, and simulated weeks of each; together more than ten thousand weeks.
const SEEDS: u64 = 50;
const WEEKS: u32 = 204;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn live(seed: u64, weeks: u32) -> (Figures, u64) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for week in 0..weeks {
            world.week().await;
            let violations = world.violations();
            if violations.is_empty() {
                continue;
            }
            let tale = world.tale().await;
            panic!(
                "seed {seed}, week {week}: {violations:#?}\n{tale}\nreplay it: RTCONFD_SEED={seed} RTCONFD_WEEKS={} cargo test --test it world::",
                week + 1
            );
        }
        world.end().await
    })
}

/// Every promise holds through thousands of bad weeks.
#[test]
fn the_promises_hold_in_every_simulated_week() {
    let weeks = number("RTCONFD_WEEKS").map_or(WEEKS, |weeks| u32::try_from(weeks).unwrap());
    let seeds: Vec<u64> = match number("RTCONFD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("RTCONFD_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let (next, mut total) = (AtomicU64::new(0), Figures::default());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let figures: Vec<Figures> = std::thread::scope(|scope| {
        let worker = || {
            let mut figures = Figures::default();
            while let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap()) {
                figures.add(&live(*seed, weeks).0);
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
    crate::support::tell(&format!("{} seeds of {weeks} weeks, no violation: {total:?}", seeds.len()));
}

/// One seed is one world, down to the last request.
#[test]
fn the_same_seed_makes_the_same_trace() {
    assert_eq!(live(3, 6).1, live(3, 6).1);
    assert_ne!(live(3, 2).1, live(4, 2).1);
}
