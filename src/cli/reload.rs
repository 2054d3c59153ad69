//! Reloads of the daemon's settings, and `rtconfd reload`, which requests one and waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::model::{Instant, Problem};
use crate::reconcile::{Board, Feed};
use crate::settings::{Log, Settings};
use crate::web::{self, Answer, ReloadRequest};
use crate::zoneinfo;

use super::global::{Exit, Global, HELD, OK};
use super::{emergency, load, notify, output};

/// Settings that are about to become active, and the callers that wait for it.
#[derive(Debug)]
pub struct Newer {
    /// The settings.
    pub settings: Settings,
    answers: Vec<Answer>,
}

/// The slot for the next settings, read once the driver has ended.
pub type Next = Arc<Mutex<Option<Newer>>>;

/// The active settings.
pub type Active = Arc<Mutex<Settings>>;

/// Takes the next settings.
pub fn take(next: &Next) -> Option<Newer> {
    next.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Newer {
    /// Records the result of the reload and sends it to all waiting callers.
    pub fn end(self, board: &Board, at: Instant, result: Result<(), Vec<Problem>>) {
        board.note_reload(at, &result);
        // A caller may have gone.
        self.answers.into_iter().for_each(|answer| drop(answer.send(result.clone())));
    }
}

/// The task that handles signals and reload requests.
struct Listening {
    global: Global,
    /// The settings of the running driver.
    active: Active,
    /// `[log]` at startup, which a reload does not change.
    log: Log,
    board: Board,
    next: Next,
    feed: mpsc::Sender<Feed>,
}

/// Starts the task that handles signals and reload requests.
///
/// SIGTERM and SIGINT stop the daemon, and set `stopping` before. SIGHUP and requests on `asked`
/// reload the settings; invalid ones leave the active ones in place.
pub fn listen(
    global: Global,
    active: Active,
    (board, mut asked): (Board, mpsc::Receiver<ReloadRequest>),
    next: Next,
    (feed, stopping): (mpsc::Sender<Feed>, Arc<AtomicBool>),
) -> anyhow::Result<()> {
    let on = |kind| -> anyhow::Result<Signal> { signal(kind).context("cannot listen for signals") };
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut hangup = on(SignalKind::hangup())?;
    let log = active.lock().unwrap_or_else(PoisonError::into_inner).log;
    let listening = Listening { global, active, log, board, next, feed };
    tokio::spawn(async move {
        loop {
            let asked = tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => ReloadRequest::Settings(None),
                Some(asked) = asked.recv() => asked,
            };
            if !listening.reload(asked).await {
                return;
            }
        }
        // A driver that ends with an error may have taken the only message.
        stopping.store(true, Ordering::SeqCst);
        // The driver may have ended already.
        let _ = listening.feed.send(Feed::Stop).await;
    });
    Ok(())
}

impl Listening {
    /// Reads the settings; valid ones become active once the driver has ended.
    ///
    /// Returns false when the driver has ended for good.
    async fn reload(&self, asked: ReloadRequest) -> bool {
        announce();
        let (newer, answer) = match asked {
            ReloadRequest::Settings(answer) => (self.newer(), answer),
            ReloadRequest::Zones => (self.with_newer_zones(), None),
        };
        match newer {
            Ok(settings) => {
                {
                    let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut answers = next.take().map(|before| before.answers).unwrap_or_default();
                    answers.extend(answer);
                    *next = Some(Newer { settings, answers });
                }
                self.feed.send(Feed::Reload).await.is_ok()
            }
            Err(problems) => {
                tracing::error!(
                    problems = problems.len(),
                    "reload failed; the previous settings stay active"
                );
                output::log_problems(&problems);
                let result = Err(problems);
                self.board.note_reload(load::now(), &result);
                answer.into_iter().for_each(|answer| drop(answer.send(result.clone())));
                let _ = sd_notify::notify(&[NotifyState::Ready]);
                true
            }
        }
    }

    /// Returns the active settings with the current zone database.
    ///
    /// Edits of the settings file in the meantime are not read.
    fn with_newer_zones(&self) -> Result<Settings, Vec<Problem>> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let system = self.global.surroundings().zoneinfo;
        let zone_folder = zoneinfo::watched(&active.zoneinfo, system.as_deref());
        let zones = zoneinfo::open(&active.zoneinfo, system.as_deref());
        let zones = zones.map_err(|message| vec![Problem::new(message)])?;
        let unreadable = || vec![Problem::new("this program cannot read the active settings")];
        let newer = Settings::remembered(&active.written, &active.file, &zones).ok_or_else(unreadable)?;
        // Settings that are not part of the written ones stay unchanged.
        let Settings { store, listen, log, zoneinfo, .. } = active;
        Ok(Settings { store, listen, log, zoneinfo, zone_folder, ..newer })
    }

    fn newer(&self) -> Result<Settings, Vec<Problem>> {
        let newer = Settings::load(&self.global.config(), &self.global.surroundings())
            .map_err(|report| report.problems)?;
        if newer.store.path != self.active.lock().unwrap_or_else(PoisonError::into_inner).store.path {
            let problem = Problem::new("the store cannot change while rtconfd runs");
            return Err(vec![problem.hint("restart rtconfd, or put store.path or store.url back")]);
        }
        if newer.log != self.log {
            tracing::warn!("[log] changed: it takes effect at the next restart");
        }
        let listen = newer.listen.iter().flat_map(web::listen_problems);
        let unusable: Vec<Problem> = notify::problems(&newer).chain(listen).collect();
        if !unusable.is_empty() {
            return Err(unusable);
        }
        let key = load::key_source(&newer.api, &self.global).and_then(|source| Ok(source.load()?));
        match key {
            Ok(_) => Ok(newer),
            Err(error) => {
                Err(vec![Problem::new(format!("cannot load the API key that the settings name: {error:#}"))])
            }
        }
    }
}

fn announce() {
    if let Ok(monotonic) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, monotonic]);
    }
}

/// Runs `rtconfd reload`.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let daemon = emergency::running_daemon(global)?;
    match daemon.reload().await? {
        Ok(answer) if answer["standby"] == true => {
            output::print(
                "The settings were reloaded. This replica stands by: they count when it is active.\n",
            );
            Ok(OK)
        }
        Ok(answer) => match answer["held"].as_str() {
            None => {
                output::print("The settings were reloaded and are active.\n");
                if let Some(withheld) = answer["withheld"].as_str() {
                    output::remark(&format!("warning: nothing is sent now: {withheld}"));
                }
                Ok(OK)
            }
            Some(revision) => {
                output::print(&format!(
                    "The settings were reloaded, and revision {revision} is held: its changes wait for \
                     approval.\n"
                ));
                output::remark(&format!(
                    "  hint: review it with rtconfd diff, then run rtconfd approve {revision}"
                ));
                Ok(HELD)
            }
        },
        Err(problems) => {
            let exit = emergency::refused(&problems);
            output::remark("The previous settings stay active.");
            Ok(exit)
        }
    }
}
