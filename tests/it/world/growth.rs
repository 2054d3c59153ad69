//! The state on disk over a year with every kind of fault: retention bounds it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use fastrand::Rng;

use super::model::{Has, Inputs};
use super::run::World;

const SEED: u64 = 20;
const KEEP_DAYS: i64 = 45;
/// The weeks between two counts; longer than the retention period.
const WEEKS: u32 = 13;

#[test]
fn a_simulated_year_leaves_no_more_rows_than_its_first_quarter() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut random = Rng::with_seed(SEED);
        let inputs = Inputs::any(&mut random, 4, Has { followers: true, region: true });
        let mut world = World::of(SEED, random, inputs, TimeDelta::days(KEEP_DAYS), false).await;
        let mut quarters: Vec<BTreeMap<String, i64>> = Vec::new();
        for _ in 0..4 {
            for _ in 0..WEEKS {
                world.week().await;
                assert_eq!(world.violations(), Vec::<String>::new());
            }
            quarters.push(world.rows());
        }
        crate::support::report(&format!("rows after each quarter: {quarters:?}"));
        for (table, first) in &quarters[0] {
            for later in &quarters[1..] {
                // The year is random, so some periods of 45 days are busier. Long values come with
                // the special dates around Christmas; each belongs to a change that remains.
                let most = if table == "texts" { later["changes"] } else { 2 * first + 20 };
                assert!(later[table] <= most, "{table}: {quarters:?}");
            }
        }
    });
}
