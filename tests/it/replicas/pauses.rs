//! Pauses and kills at random. `RTCONFD_PAUSES` sets their number, `RTCONFD_PAUSES_SEED` their order.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::{Cluster, LEASE_MS, is_active};
use crate::support::postgres::Server;
use crate::support::{Process, until};

/// The rate of requests in the test of pauses, in requests a second, and at once.
const RATE: usize = 5;

/// Notes with each intent the epoch of the lease under which it was stored.
const NOTE_EPOCHS: &str = "CREATE TABLE rtconfd.test_epochs (number bigserial, epoch bigint);
    CREATE FUNCTION rtconfd.test_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO rtconfd.test_epochs (epoch) SELECT epoch FROM rtconfd.lease;
        RETURN NEW;
    END $$;
    CREATE TRIGGER test_note AFTER INSERT ON rtconfd.writes
        FOR EACH ROW EXECUTE FUNCTION rtconfd.test_note()";

/// Pauses and kills replicas at random while the table changes.
#[tokio::test]
async fn pauses_and_kills_at_random_lose_and_repeat_nothing() {
    let rounds: usize = std::env::var("RTCONFD_PAUSES").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let seed = std::env::var("RTCONFD_PAUSES_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("RTCONFD_PAUSES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let cluster = Cluster::new(Server::shared(), "");
    let settings = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
    let with_rate = format!("[api]\nrate = {RATE}\nburst = {RATE}\n");
    cluster.folder.write("rtconfd.toml", &settings.replace("[api]\n", &with_rate));
    cluster.sql(NOTE_EPOCHS);
    let mut replicas = BTreeMap::new();
    for name in ["a", "b", "c"] {
        replicas.insert(name, cluster.start(name));
    }
    cluster.until_phones(0).await;
    for round in 1..=rounds {
        let active = |replicas: &BTreeMap<&'static str, Process>| {
            replicas.iter().find(|(_, process)| is_active(process)).map(|(name, _)| *name)
        };
        let mut found = None;
        until("a replica is active", || {
            found = active(&replicas);
            found.is_some()
        })
        .await;
        let name = found.unwrap();
        let process = replicas.remove(name).unwrap();
        cluster.sites(round);
        tokio::time::sleep(Duration::from_millis(random.u64(0..50))).await;
        match random.bool() {
            true => drop(process),
            false => {
                process.signal("STOP");
                let pause = LEASE_MS + random.u64(0..4_000);
                cluster.sites(round);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                process.signal("CONT");
                replicas.insert(name, process);
            }
        }
        replicas.entry(name).or_insert_with(|| cluster.start(name));
        cluster.until_phones(round).await;
    }
    cluster.check_history().await;
    let falling = "SELECT count(*) FROM rtconfd.test_epochs AS one JOIN rtconfd.test_epochs AS next
        ON next.number > one.number AND next.epoch < one.epoch";
    assert_eq!(cluster.sql(falling), "0");
    assert_ne!(cluster.sql("SELECT count(DISTINCT epoch) FROM rtconfd.test_epochs"), "1");
    check_rate(&cluster);
}

/// Checks that all replicas together kept to the rate.
fn check_rate(cluster: &Cluster) {
    let mut arrived: Vec<i64> =
        cluster.api.simulator.log().iter().map(|request| request.at.timestamp_millis()).collect();
    arrived.sort_unstable();
    for (first, from) in arrived.iter().enumerate() {
        for (number, until) in arrived.iter().enumerate().skip(first) {
            let seconds = (until - from) as f64 / 1000.0;
            // Two may be late on their way.
            let allowed = (RATE + 2) as f64 + seconds * RATE as f64;
            assert!((number - first + 1) as f64 <= allowed, "{} in {seconds} s", number - first + 1);
        }
    }
}
