//! Many pages with one key: thousands due in the same second, while the API repeatedly answers 429.

use std::time::Duration;

use chrono::TimeDelta;
use fastrand::Rng;
use rtconfd::clock::Clock;
use serde_json::Value;

use super::model::{Has, Inputs, Site};
use super::remote::{FaultRates, Remote};
use super::run::World;

const PAGES: usize = 5_000;

fn open_pages(remote: &Remote) -> usize {
    let state = remote.state();
    state.pages.values().filter(|page| page.variables.get("is_open") == Some(&Value::Bool(true))).count()
}

#[test]
fn five_thousand_due_pages_under_429_storms_cost_few_extra_requests() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut random = Rng::with_seed(9);
        let mut inputs = Inputs::any(&mut random, 1, Has::default());
        let week =
            || [vec![(9 * 60, 17 * 60)], vec![(9 * 60, 17 * 60)], vec![], vec![], vec![], vec![], vec![]];
        let site = |number| Site {
            zone: chrono_tz::Tz::UTC,
            week: week(),
            phone: format!("0{number}"),
            region: "NE",
        };
        inputs.sites = (0..PAGES).map(site).collect();
        let mut world = World::of(9, random, inputs, TimeDelta::MAX, false).await;
        let began = world.clock.now();
        // First contact: a list and a PATCH each, at ten a second, long before nine o'clock.
        let nine = began + TimeDelta::hours(9);
        let all_there =
            |remote: &Remote| remote.state().pages.values().all(|page| !page.variables.is_empty());
        assert!(world.hurry(nine - TimeDelta::hours(6), all_there).await);
        world.hurry(nine - TimeDelta::seconds(1), |_| false).await;
        assert_eq!(open_pages(&world.remote), 0);
        world.hurry(nine, |_| false).await;
        let before = world.remote.state().requests;

        // Five 429 storms, of 30 to 150 seconds, while the pages open one by one.
        let up = world.clock.uptime();
        let mut storms = (1..=5u32)
            .map(|n| (up + Duration::from_secs(150 * u64::from(n)), Duration::from_secs(30 * u64::from(n))));
        let mut next = storms.next();
        let done = |remote: &Remote| {
            if let Some((from, length)) = next
                && remote.clock.uptime() >= from
            {
                remote.state().fault_rates =
                    FaultRates { storm_until: Some(from + length), ..FaultRates::default() };
                next = storms.next();
            }
            open_pages(remote) == PAGES
        };
        assert!(
            world.hurry(nine + TimeDelta::hours(1), done).await,
            "{} are open",
            open_pages(&world.remote)
        );
        assert_eq!(world.violations(), Vec::<String>::new(), "no request in a pause or above the rate");
        // A fetch and a PATCH each; lists that were due meanwhile do not count as needed.
        let (sent, needed) = (world.remote.state().requests - before, 2 * PAGES as u64);
        let after = (world.clock.now() - nine).num_seconds();
        crate::support::report(&format!(
            "{PAGES} pages, 5 storms: {sent} requests where {needed} are needed, in {after} s"
        ));
        assert!(sent * 100 <= needed * 105, "{sent} requests where {needed} are needed");
    });
}
