//! People in control: overrides, held revisions, drift, and an untrusted clock.

mod clocks;
mod drift;
mod holds;
mod overrides;

use rtconfd::clock::ManualClock;
use rtconfd::model::Problem;
use rtconfd::pages::Override;
use rtconfd::reconcile::{Control, Held, Mode, Status};
use rtconfd::web::OverrideRequest;

use crate::support::{Api, Driving, Folder, SITES, at, until};

/// Thursday noon in London.
const NOON: &str = "2026-11-26T12:00:00Z";

fn asking(says: &str, until: Option<&str>) -> OverrideRequest {
    OverrideRequest {
        all: true,
        says: says.to_owned(),
        until: until.map(str::to_owned),
        reason: "snow".to_owned(),
        who: "anna".to_owned(),
        ..OverrideRequest::default()
    }
}

async fn set(driving: &Driving, asking: OverrideRequest) -> Result<Override, Vec<Problem>> {
    let draft = Box::new(asking.read()?);
    driving.ask(|answer| Control::Set(draft, answer)).await
}

fn texts(problems: Vec<Problem>) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns a table of sites open 09:00 to 17:00; those that `differ` close at 16:00.
fn sites(count: usize, differ: std::ops::Range<usize>) -> String {
    let rows = (0..count).map(|number| {
        let end = if differ.contains(&number) { 16 } else { 17 };
        format!("s{number},A-{number},Mo-Fr 09:00-{end}:00,{number}\n")
    });
    format!("site,agent,hours,phone\n{}", rows.collect::<String>())
}

/// Starts a driver over a number of sites and waits until all pages converge.
async fn driving(api: &Api, count: usize) -> (Folder, Driving) {
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    folder.write("sites.csv", &sites(count, 0..0));
    let driving = Driving::start(&folder, &ManualClock::new(at(NOON)), Mode::Daemon).await;
    until("all pages are filled", || api.requests("PATCH").len() == count).await;
    (folder, driving)
}

/// Polls the status until `pick` returns a value.
async fn reported<T>(driving: &Driving, what: &str, pick: impl Fn(Status) -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(reported) = pick(driving.status().await) {
            return reported;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "timed out waiting until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

async fn held(driving: &Driving) -> Held {
    reported(driving, "a revision is held", |status| status.held).await
}
