//! Reading the settings again: how the daemon does it, and `rtconfd reload`, which asks for it and waits.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::listener::{Answer, Reloads};
use crate::model::{Instant, Problem};
use crate::reconcile::Feed;
use crate::settings::Settings;

use super::{Exit, Global, OK, emergency, load, output};

/// Settings that are to become active, and who waits for that.
#[derive(Debug)]
pub struct Newer {
    /// The settings.
    pub settings: Settings,
    answers: Vec<Answer>,
}

/// Where the daemon finds newer settings once its driver has ended.
pub type Next = Arc<Mutex<Option<Newer>>>;

/// Takes the newer settings.
pub fn take(next: &Next) -> Option<Newer> {
    next.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Newer {
    /// Notes how the reload ended, and tells everybody who waits.
    pub fn end(self, reloads: &Reloads, at: Instant, result: Result<(), Vec<Problem>>) {
        reloads.note(at, &result);
        // Whoever asked may have gone.
        self.answers.into_iter().for_each(|answer| drop(answer.send(result.clone())));
    }
}

/// What ends the daemon, and what makes it read its settings again.
struct Listening {
    global: Global,
    running: Settings,
    reloads: Reloads,
    next: Next,
    feed: mpsc::Sender<Feed>,
}

/// SIGTERM and SIGINT end the daemon. SIGHUP and whoever asks `reloads` make it read the settings again; bad ones
/// leave those that are active.
pub fn listen(
    global: Global,
    running: Settings,
    (reloads, mut asked): (Reloads, mpsc::Receiver<Option<Answer>>),
    next: Next,
    feed: mpsc::Sender<Feed>,
) -> anyhow::Result<()> {
    let on = |kind| -> anyhow::Result<Signal> { signal(kind).context("cannot listen for signals") };
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut hangup = on(SignalKind::hangup())?;
    let listening = Listening { global, running, reloads, next, feed };
    tokio::spawn(async move {
        loop {
            let answer = tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => None,
                Some(answer) = asked.recv() => answer,
            };
            if !listening.reload(answer).await {
                return;
            }
        }
        // The driver may have ended already.
        let _ = listening.feed.send(Feed::Stop).await;
    });
    Ok(())
}

impl Listening {
    /// Reads the settings; good ones become active when the driver has ended. Gives `false` when it ended for good.
    async fn reload(&self, answer: Option<Answer>) -> bool {
        announce();
        match self.newer() {
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
                    "reload failed; the settings before it stay active"
                );
                output::show_problems(&problems);
                let result = Err(problems);
                self.reloads.note(load::now(), &result);
                answer.into_iter().for_each(|answer| drop(answer.send(result.clone())));
                let _ = sd_notify::notify(&[NotifyState::Ready]);
                true
            }
        }
    }

    fn newer(&self) -> Result<Settings, Vec<Problem>> {
        let newer = Settings::load(&self.global.config(), &self.global.surroundings())
            .map_err(|report| report.problems)?;
        if newer.store != self.running.store {
            let problem = Problem::new("store.path cannot change while rtconfd runs");
            return Err(vec![problem.hint("restart rtconfd, or put the path back")]);
        }
        if newer.listen != self.running.listen {
            tracing::warn!("[listen] changed: it takes effect at the next restart, all else now");
        }
        let key = load::key_source(&newer.api, &self.global).and_then(|source| Ok(source.load()?));
        match key {
            Ok(_) => Ok(newer),
            Err(error) => Err(vec![Problem::new(format!("the settings give no API key: {error:#}"))]),
        }
    }
}

fn announce() {
    if let Ok(monotonic) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, monotonic]);
    }
}

/// `rtconfd reload`
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let daemon = emergency::running_daemon(global)?;
    match daemon.reload().await? {
        Ok(_) => {
            output::print("The settings were read again and are active.\n");
            Ok(OK)
        }
        Err(problems) => {
            let exit = emergency::refused(&problems);
            output::remark("The settings before stay active.");
            Ok(exit)
        }
    }
}
