//! Reports to systemd: readiness, signs of life, and a line for `systemctl status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::AbortHandle;
use tokio::time::interval;

use crate::compile::World;
use crate::model::{Instant, PageId, Problem};
use crate::pulse::{Pulse, Pulses};
use crate::reconcile::{Board, PageStatus, Standing, Status, Supervisor};
use crate::zone::{self, Zone};

use super::claims::{Claims, lock};

/// A driver that starts for longer counts as hung; one million pages take less than a minute.
const START_TIMEOUT: Duration = Duration::from_secs(600);
/// The shortest time between two status lines.
const PAUSE: Duration = Duration::from_secs(2);

/// A supervisor that notifies systemd, if present, and other daemons of this machine.
pub struct Systemd {
    watchdog: Option<Duration>,
    pulses: Pulses,
    claims: Option<Arc<Mutex<Claims>>>,
}

impl Systemd {
    /// Creates the supervisor of one driver.
    pub fn new(pulses: Pulses, claims: Option<Arc<Mutex<Claims>>>) -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), pulses, claims }
    }
}

/// Gives signs of life beside work that blocks its task, until this is dropped.
pub struct Beating {
    pulse: Pulse,
    task: Option<AbortHandle>,
}

/// Begins to give signs of life for the start of a driver, which may compile many pages.
pub fn beat_beside(pulses: &Pulses) -> Beating {
    let pulse = Pulse::new("the start of the driver", START_TIMEOUT);
    let supervisor = Systemd::new(pulses.clone(), None);
    pulses.watch(pulse.clone());
    pulse.begin();
    let task = supervisor.beat().map(|every| {
        let beating = tokio::spawn(async move {
            let mut beat = interval(every);
            loop {
                beat.tick().await;
                supervisor.alive();
            }
        });
        beating.abort_handle()
    });
    Beating { pulse, task }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.pulse.rest();
        self.task.iter().for_each(AbortHandle::abort);
    }
}

impl Supervisor for Systemd {
    fn ready(&self) {
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    fn alive(&self) {
        match self.pulses.problem() {
            None => drop(sd_notify::notify(&[NotifyState::Watchdog])),
            // Only a restart helps: without a notification, the watchdog triggers it.
            Some(problem) => tracing::error!("{problem}"),
        }
    }

    fn claim(&self, world: &World) -> Option<BTreeMap<PageId, Problem>> {
        self.claims.as_ref().map_or_else(|| Some(BTreeMap::new()), |claims| lock(claims).follow(world))
    }

    fn beat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2)
    }
}

/// Keeps the line of `systemctl status` up to date; it ends with the daemon.
///
/// It asks for the status only after the driver did something, so a daemon at rest stays at rest.
pub async fn show_status(board: Board) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let (mut turns, mut seen, mut shown) = (board.turns(), 0, String::new());
    while turns.wait_for(|turns| *turns != seen).await.is_ok() {
        tokio::time::sleep(PAUSE).await;
        seen = *turns.borrow();
        let Some(status) = board.ask().await else { return };
        let line = status_line(&status);
        if line != shown {
            let _ = sd_notify::notify(&[NotifyState::Status(&line)]);
            shown = line;
        }
    }
}

/// Returns the status in one line, as in `82 pages right, next transition 17:00 (leeds)`.
fn status_line(status: &Status) -> String {
    let count = |word: &str| status.pages.iter().filter(|page| page.standing.word() == word).count();
    let (right, all) = (count(Standing::Right.word()), status.pages.len());
    let plural = if all == 1 { "" } else { "s" };
    let mut parts = vec![match (all, right == all) {
        (0, _) => "no page is defined".to_owned(),
        (_, true) => format!("{all} page{plural} right"),
        (_, false) => format!("{right} of {all} page{plural} right"),
    }];
    let others = Standing::WORDS.into_iter().filter(|word| *word != Standing::Right.word());
    let others = others.map(|word| (count(word), word)).filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, word)| format!("{count} {word}")));
    parts.extend(status.withheld.as_ref().map(|withheld| withheld.text().to_owned()));
    parts.extend(status.held.as_ref().map(|held| format!("revision {} is held", held.revision)));
    parts.extend((!status.reload.problems.is_empty()).then(|| "the last reload failed".to_owned()));
    parts.extend(next_transition(status));
    parts.join(", ").replace('\n', " ")
}

/// Returns the next transition of a page that is right; the time of another page may be a retry.
fn next_transition(status: &Status) -> Option<String> {
    let due = |page: &PageStatus| page.due.filter(|_| page.standing == Standing::Right);
    let (at, page) =
        status.pages.iter().filter_map(|page| Some((due(page)?, page))).min_by_key(|(at, _)| *at)?;
    let zone = page.zone.unwrap_or(Zone::UTC);
    let row = page.definition.row.as_ref().and_then(|row| row.key());
    Some(format!("next transition {} ({})", time(zone, at, status.at), row.unwrap_or(&page.page.agent)))
}

/// Returns a local time, with the date unless it is today's.
fn time(zone: Zone, at: Instant, now: Instant) -> String {
    let is_today = zone::date(zone, at) == zone::date(zone, now);
    zone::local(zone, at).format(if is_today { "%H:%M" } else { "%a %Y-%m-%d %H:%M" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::{Held, LastReload, Withheld};

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn page(agent: &str, standing: Standing, due: &str) -> PageStatus {
        let page = format!("{agent}/live").parse().unwrap();
        PageStatus { due: Some(at(due)), ..PageStatus::of(page, standing) }
    }

    fn status(pages: Vec<PageStatus>) -> Status {
        Status { at: at("2026-11-30T09:00:00Z"), pages, ..Status::of_nothing() }
    }

    #[test]
    fn the_line_says_what_is_right_what_is_not_and_what_comes_next() {
        let right = |agent| page(agent, Standing::Right, "2026-11-30T17:00:00Z");
        let stuck = page("A-3", Standing::Stuck("refused".to_owned()), "2026-11-30T09:00:30Z");
        let since = at("2026-11-30T08:00:00Z");
        let held = Held::new("r1".to_owned(), since, vec!["many".to_owned()]);
        let reload =
            LastReload { at: since, succeeded_at: since, problems: vec![Problem::new("unknown key")] };
        for (status, line) in [
            (status(Vec::new()), "no page is defined"),
            (status(vec![right("A-1")]), "1 page right, next transition 17:00 (A-1)"),
            (
                status(vec![right("A-1"), page("A-2", Standing::Right, "2026-12-01T09:00:00Z")]),
                "2 pages right, next transition 17:00 (A-1)",
            ),
            (
                status(vec![page("A-2", Standing::Right, "2026-12-01T09:00:00Z")]),
                "1 page right, next transition Tue 2026-12-01 09:00 (A-2)",
            ),
            (status(vec![right("A-1"), stuck]), "1 of 2 pages right, 1 stuck, next transition 17:00 (A-1)"),
            (
                Status { held: Some(held), reload, ..status(vec![right("A-1")]) },
                "1 page right, revision r1 is held, the last reload failed, next transition 17:00 (A-1)",
            ),
            (
                Status {
                    withheld: Some(Withheld::Clock("the clock is\nuntrusted".to_owned())),
                    ..status(vec![])
                },
                "no page is defined, the clock is untrusted",
            ),
        ] {
            assert_eq!(status_line(&status), line);
        }
    }
}
