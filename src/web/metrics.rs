//! Metrics for Prometheus, computed at each scrape.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::model::Instant;
use crate::reconcile::{Lag, Standing, Status};

use super::health::conditions;

/// Returns the metrics in the exposition format (OpenMetrics 1.0).
///
/// # Errors
/// A formatting error, which no user could fix.
pub fn text(status: &Status, is_alone: bool) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("rtconfd");
    register_active(&mut registry, true);
    register_alone(&mut registry, is_alone);
    register_pages(&mut registry, status);
    register_counters(&mut registry, status);
    register_gauges(&mut registry, status);
    register_ready(&mut registry, status);
    register_build(&mut registry);
    register_zones(&mut registry, status);
    register_held(&mut registry, status);
    register_calendars(&mut registry, status);
    register_receivers(&mut registry, status);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Returns the metrics of a replica that stands by.
///
/// # Errors
/// As [`text`].
pub fn of_standby() -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("rtconfd");
    register_active(&mut registry, false);
    register_build(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn register_active(registry: &mut Registry, is_active: bool) {
    let active = Gauge::<i64>::default();
    active.set(i64::from(is_active));
    registry.register("active", "1 for the replica that sends values, 0 for one that stands by", active);
}

fn register_alone(registry: &mut Registry, is_alone: bool) {
    let alone = Gauge::<i64>::default();
    alone.set(i64::from(is_alone));
    registry.register("alone", "1 for a replica that goes on without the database", alone);
}

fn register_pages(registry: &mut Registry, status: &Status) {
    let pages = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    // Each is exported even at zero, since alerts need the series.
    for standing in Standing::WORDS {
        let count = status.pages.iter().filter(|page| page.standing.word() == standing).count();
        pages.get_or_create(&[("state", standing)]).set(count as i64);
    }
    registry.register("pages", "Pages by state", pages);
}

fn register_counters(registry: &mut Registry, status: &Status) {
    let counts = &status.counts;
    for (name, help, value) in [
        ("requests", "Requests sent to the API", counts.requests),
        ("patches", "PATCH requests sent to the API", counts.patches),
        ("failures", "Requests that failed", counts.failures),
        ("values_applied", "Values written to pages", counts.applied),
        ("values_drifted", "Values found changed by another client", counts.drifted),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    let answers = Family::<[(&'static str, String); 2], Counter>::default();
    for ((operation, status), count) in &counts.answers {
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let labels = [("operation", operation.word().to_owned()), ("status", status)];
        answers.get_or_create(&labels).inc_by(*count);
    }
    registry.register(
        "answers",
        "Answers by operation and HTTP status; none if there was no answer",
        answers,
    );
    let waited = Counter::<f64, AtomicU64>::default();
    waited.inc_by(counts.rate_wait.as_secs_f64());
    let help = "Time in which a due request waited for the rate limit";
    registry.register_with_unit("rate_limit_wait", help, Unit::Seconds, waited);
    let help = "Time from a transition until its value is confirmed";
    registry.register_with_unit("transition_lag", help, Unit::Seconds, Transitions(counts.lag));
}

/// The delays of transitions as a histogram.
#[derive(Debug)]
struct Transitions(Lag);

impl EncodeMetric for Transitions {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        encoder.encode_histogram::<NoLabelSet>(self.0.sum, self.0.count(), &self.0.buckets(), None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn register_gauges(registry: &mut Registry, status: &Status) {
    for (name, help, value) in [
        ("held", "A revision of the inputs waits for approval", usize::from(status.held.is_some())),
        (
            "withheld",
            "Nothing is sent: key refused, pause, or untrusted clock",
            usize::from(status.withheld.is_some()),
        ),
        (
            "rollout_pages",
            "Pages that an approved change has not reached",
            status.rollout.as_ref().map_or(0, |r| r.1),
        ),
        ("following_pages", "Pages that wait for their promotion", status.following.len()),
        ("overrides", "Active overrides", status.overrides.len()),
        (
            "config_last_reload_successful",
            "The settings became active when they were last read",
            usize::from(status.reload.problems.is_empty()),
        ),
        (
            "config_last_reload_success_timestamp_seconds",
            "When settings last became active, in seconds since 1970",
            seconds(Some(status.reload.succeeded_at)),
        ),
        (
            "last_request_timestamp_seconds",
            "When the last request was sent, in seconds since 1970; 0 before the first",
            seconds(status.counts.last_request),
        ),
        (
            "last_success_timestamp_seconds",
            "When the last answer without an error came, in seconds since 1970; 0 before the first",
            seconds(status.counts.last_success),
        ),
        ("queued_pages", "Pages that are due and wait for a place or the rate limit", status.amounts.queued),
        (
            "history_rows",
            "PATCHes in the history of the store, at most",
            usize::try_from(status.amounts.history_rows).unwrap_or(usize::MAX),
        ),
        ("input_problems", "Problems of files, rows and definitions", status.problems.len()),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
}

fn seconds(at: Option<Instant>) -> usize {
    at.and_then(|at| usize::try_from(at.timestamp()).ok()).unwrap_or(0)
}

/// Registers the conditions of readiness.
fn register_ready(registry: &mut Registry, status: &Status) {
    let ready = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for condition in conditions(status) {
        let is_met = i64::from(condition.unmet.is_none());
        ready.get_or_create(&[("condition", condition.name)]).set(is_met);
    }
    registry.register("ready", "Conditions of readiness: 1 if met, as in /readyz", ready);
}

/// Registers the version of the program as a label.
fn register_build(registry: &mut Registry) {
    let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    registry.register("build_info", "The version of the program", build);
}

/// Registers the zone database, with its release and location as labels.
fn register_zones(registry: &mut Registry, status: &Status) {
    let version = status.zones.version().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let place = status.zones.folder().map_or("embedded".into(), |folder| folder.display().to_string());
    let zones = Family::<[(&'static str, String); 2], Gauge>::default();
    zones.get_or_create(&[("version", version), ("source", place)]).set(1);
    registry.register("zone_database", "The release of the zone database, and its location", zones);
}

/// Registers the held revision, if there is one, with its reasons as labels.
fn register_held(registry: &mut Registry, status: &Status) {
    if let Some(held) = &status.held {
        let approve = format!("rtconfd approve {}", held.revision);
        let labels =
            [("revision", held.revision.clone()), ("why", held.reasons.join("; ")), ("approve", approve)];
        let info = Family::<[(&'static str, String); 3], Gauge>::default();
        info.get_or_create(&labels).set(1);
        registry.register(
            "held_revision",
            "The held revision, its reasons, and the command that approves it",
            info,
        );
    }
}

/// Registers the days left of calendars, with the name and kind of each as labels.
fn register_calendars(registry: &mut Registry, status: &Status) {
    let calendars = Family::<[(&'static str, String); 2], Gauge>::default();
    for left in &status.amounts.days_left {
        let kind = if left.is_public { "public_holidays" } else { "file" };
        let labels = [("calendar", left.calendar.clone()), ("kind", kind.to_owned())];
        calendars.get_or_create(&labels).set(left.days);
    }
    let help = "Days up to the last event of a calendar, or up to the last known year of public holidays";
    registry.register("calendar_days_left", help, calendars);
}

/// Registers the receivers of notifications.
fn register_receivers(registry: &mut Registry, status: &Status) {
    let receivers = Family::<[(&'static str, String); 1], Gauge>::default();
    for (name, failed) in &status.receivers {
        receivers.get_or_create(&[("receiver", name.clone())]).set(i64::from(*failed));
    }
    let help = "Failed attempts to deliver the notification on its way; 0 if there is none";
    registry.register("notification_failures", help, receivers);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problem;
    use crate::reconcile::{Amounts, Counts, DaysLeft, Held, LastReload};
    use std::time::Duration;

    #[test]
    fn a_held_revision_is_reported_with_the_command_that_approves_it() {
        let since = "2026-11-26T17:00:00Z".parse().unwrap();
        let held = Held::new("r1".to_owned(), since, vec!["source \"sites\" becomes empty".to_owned()]);
        let status = Status {
            held: Some(held),
            counts: Counts { requests: 7, rate_wait: Duration::from_millis(1500), ..Counts::default() },
            amounts: Amounts {
                queued: 3,
                history_rows: 20_000_000,
                days_left: vec![
                    DaysLeft { calendar: "bank".to_owned(), is_public: true, days: 764 },
                    DaysLeft { calendar: "ours".to_owned(), is_public: false, days: 0 },
                ],
            },
            reload: LastReload {
                at: since,
                succeeded_at: since,
                problems: vec![Problem::new("unknown key")],
            },
            receivers: [("ops".to_owned(), 2)].into(),
            ..Status::of_nothing()
        };
        let reported = text(&status, false).unwrap();
        for line in [
            "rtconfd_requests_total 7",
            "rtconfd_pages{state=\"right\"} 0",
            "rtconfd_held 1",
            "rtconfd_rate_limit_wait_seconds_total 1.5",
            "rtconfd_queued_pages 3",
            "rtconfd_history_rows 20000000",
            "rtconfd_calendar_days_left{calendar=\"bank\",kind=\"public_holidays\"} 764",
            "rtconfd_calendar_days_left{calendar=\"ours\",kind=\"file\"} 0",
            "rtconfd_notification_failures{receiver=\"ops\"} 2",
            "rtconfd_ready{condition=\"reload\"} 0",
            "rtconfd_ready{condition=\"key\"} 1",
            "rtconfd_config_last_reload_successful 0",
            "rtconfd_held_revision{revision=\"r1\",why=\"source \\\"sites\\\" becomes empty\",approve=\"rtconfd approve r1\"} 1",
        ] {
            assert!(reported.contains(line), "{line} in\n{reported}");
        }
    }
}
