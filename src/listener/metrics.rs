//! Numbers for Prometheus, counted afresh each time they are asked for.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::reconcile::Status;

use super::wire::word;

/// Every standing has its line, though it counts nothing: what is missing can't raise an alarm.
const STANDINGS: [&str; 7] = ["unseen", "right", "stale", "drifted", "retrying", "stuck", "held"];

/// The text of the exposition format (OpenMetrics 1.0).
///
/// # Errors
/// None that a person could mend.
pub fn text(status: &Status) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("rtconfd");
    let pages = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for standing in STANDINGS {
        let count = status.pages.iter().filter(|page| word(&page.standing) == standing).count();
        pages.get_or_create(&[("state", standing)]).set(count as i64);
    }
    registry.register("pages", "Pages by how they stand", pages);
    let counts = status.counts;
    for (name, help, value) in [
        ("requests", "Requests sent to the API", counts.requests),
        ("patches", "PATCHes among them", counts.patches),
        ("failures", "Requests that failed", counts.failures),
        ("values_applied", "Values put on pages", counts.applied),
        ("values_drifted", "Values found changed by others", counts.drifted),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    for (name, help, value) in [
        ("held", "A revision of the inputs waits for approval", usize::from(status.held.is_some())),
        (
            "withheld",
            "Nothing is sent: key refused, pause, or a doubtful clock",
            usize::from(status.withheld.is_some()),
        ),
        (
            "rollout_pages",
            "Pages that an approved change has not reached",
            status.rollout.as_ref().map_or(0, |r| r.1),
        ),
        ("overrides", "Overrides in force", status.overrides.len()),
        ("input_problems", "Problems of files, rows and definitions", status.problems.len()),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
