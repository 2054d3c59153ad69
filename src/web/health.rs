//! `/healthz` and `/readyz`: probes of the process, and of the conditions for correct pages.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::reconcile::{LastReload, Status, Withheld};

use super::{Handles, wire};

/// A condition of readiness, and why it is not met.
pub(super) struct Condition {
    /// Its name, as in the metric `rtconfd_ready`.
    pub(super) name: &'static str,
    /// The reason; `None` if it is met.
    pub(super) unmet: Option<String>,
}

/// Returns the conditions of readiness.
///
/// A store that cannot be written stops the daemon, so it needs no condition.
pub(super) fn conditions(status: &Status) -> [Condition; 4] {
    let unseen = status.pages.iter().filter(|page| !page.is_fetched).count();
    let first_sync =
        (unseen > 0).then(|| format!("{unseen} of {} pages were not fetched yet", status.pages.len()));
    let (key, clock) = match &status.withheld {
        Some(Withheld::Key(text)) => (Some(text.clone()), None),
        Some(Withheld::Clock(text)) => (None, Some(text.clone())),
        Some(Withheld::Pause(_)) | None => (None, None),
    };
    let reload = (!status.reload.problems.is_empty()).then(|| reload_failed(&status.reload));
    [("first_sync", first_sync), ("key", key), ("reload", reload), ("clock", clock)]
        .map(|(name, unmet)| Condition { name, unmet })
}

fn reload_failed(reload: &LastReload) -> String {
    format!("the reload at {} failed; the previous settings are active", wire::utc(reload.at))
}

/// Answers 200 while every thread works and the driver answers.
///
/// A failed reload is still healthy: the previous settings are active, and a restart caused by this
/// check would end in an error.
pub(super) async fn live(State(driver): State<Handles>) -> Response {
    if let Some(problem) = driver.pulses.problem() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response();
    }
    if driver.standby().is_some() {
        return "ok\n".into_response();
    }
    match driver.status().await {
        // It lost the store while this waited.
        Err(_) if driver.standby().is_some() => "ok\n".into_response(),
        answered => answered.map_or_else(|refusal| *refusal, |_| "ok\n".into_response()),
    }
}

/// Answers 200 if every condition is met; else 503 and those that are not.
///
/// A replica that stands by is ready if it reaches the database.
pub(super) async fn ready(State(driver): State<Handles>) -> Response {
    if let Some((cluster, standby)) = driver.standby().and_then(|cluster| Some((cluster, cluster.standby()?)))
    {
        let failure = if standby.is_ready { cluster.replicas().failure } else { Some(standby.why.clone()) };
        return match failure {
            None => format!("ready\nstandby: {}\n", standby.why).into_response(),
            Some(failure) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\nstore: {failure}\n")).into_response()
            }
        };
    }
    let status = match driver.status().await {
        Ok(status) => status,
        Err(refusal) => return *refusal,
    };
    let conditions = conditions(&status);
    let unmet = conditions.iter().filter_map(|condition| Some((condition.name, condition.unmet.as_ref()?)));
    let lines: String = unmet.map(|(name, why)| format!("{name}: {why}\n")).collect();
    match lines.is_empty() {
        true => match driver.alone() {
            Some(alone) => format!("ready\nalone: since {}\n", wire::utc(alone.since)).into_response(),
            None => "ready\n".into_response(),
        },
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{lines}")).into_response(),
    }
}
