//! The driver in the world: its start, reload, inputs and questions.

use std::sync::Arc;

use rtconfd::clock::Clock;
use rtconfd::compile::World as Pages;
use rtconfd::reconcile::{
    ActiveRevision, Actor, Board, Control, Driver, Feed, Mode, Newest, Pace, Setup, Status, Unsupervised,
};
use rtconfd::sources::{Files, Writers, Writing};
use rtconfd::store::sqlite;
use tokio::sync::{mpsc, oneshot};

use super::{FILES, Running, World, written};

impl World {
    /// Starts the driver with the stored state, or after a reload with the active revision.
    pub(super) async fn start(&mut self, active: Option<ActiveRevision>) {
        self.restarts += 1;
        self.figures.restarts += 1;
        self.note_event("start".to_owned());
        let now = self.clock.now();
        self.remote.state().forget_rates();
        // A failed writer makes no further writes.
        self.store = sqlite::in_place(self.database.clone(), &self.settings.owner()).unwrap();
        let remembered = self.store.remembered().await.unwrap();
        let mut files = Files::read_by(&self.settings, Box::new(self.disk.clone()));
        let ahead = self.read_ahead(&mut files);
        let recalled = files.recall(&remembered.newest.inputs).inputs;
        let recall =
            || ActiveRevision::recall_ahead(&self.settings, &remembered, (&recalled, ahead), now, now);
        let active = active.unwrap_or_else(recall);
        files.read(&self.writers());
        let last_known = self.store.last_known().await.unwrap();
        let (feed, mut fed) = mpsc::channel(64);
        let board = Board::default();
        let driver = Driver::new(Setup {
            actor: Actor {
                api: Arc::new(self.remote.clone()),
                api_url: self.settings.api.base_url.clone(),
                store: self.store.clone(),
                clock: Arc::new(self.clock.clone()),
                who: "world".to_owned(),
                patience: self.settings.api.total_timeout,
            },
            set_key: Box::new(|_| {}),
            newest: Newest::of(&self.settings, files.revision(), 0),
            active,
            thresholds: self.settings.hold,
            last_known,
            pace: Pace {
                keep_history: self.keep_history,
                is_shared: self.is_shared,
                ..Pace::from(&self.settings)
            },
            seed: self.seed ^ self.restarts,
            board: board.clone(),
        });
        let driver = driver.await.unwrap();
        let task = tokio::spawn(async move { driver.run(Mode::Daemon, &mut fed, &Unsupervised).await });
        self.running = Some(Running { feed, board, task, files });
        self.restart_recovery();
    }

    /// Returns the pages that a replica compiled of its own files while it stood by.
    fn read_ahead(&self, files: &mut Files) -> Pages {
        if !self.is_shared {
            return Pages::default();
        }
        files.read(&self.writers());
        Pages::new(&self.settings.blueprint, &files.revision().inputs, self.clock.now(), None)
    }

    /// Marks all files as quiet except one that is being written.
    fn writers(&self) -> Writers {
        let writing = |name: &str| match self.broken == Some("torn") && name == "sites.csv" {
            true => Writing::Busy,
            false => Writing::Closed,
        };
        FILES.iter().map(|name| (self.path(name), writing(name))).collect()
    }

    /// Writes the settings and restarts the driver cleanly with them.
    pub(super) async fn reload(&mut self) {
        self.figures.reloads += 1;
        self.settings = written(&self.settings.file, &self.inputs);
        let Some(running) = self.running.take() else { return };
        for page in self.remote.state().pages.values_mut() {
            page.unsure |= page.in_flight > 0;
        }
        let _ = running.feed.send(Feed::Reload).await;
        match running.task.await.unwrap() {
            Ok(ended) => self.start(Some(ended.active)).await,
            Err(error) => self.violation(format!("the driver ended: {error}")),
        }
    }

    /// Reports to the driver that a file may have changed.
    pub(super) async fn report(&mut self) {
        let writers = self.writers();
        let Some(running) = &mut self.running else { return };
        if running.files.read(&writers).changed {
            let revision = Box::new(running.files.revision());
            running.feed.send(Feed::Inputs(0, revision)).await.unwrap();
        }
    }

    pub(super) async fn ask<T>(&self, control: impl FnOnce(oneshot::Sender<T>) -> Control) -> Option<T> {
        let (send, answered) = oneshot::channel();
        self.running.as_ref()?.feed.send(Feed::Control(control(send))).await.ok()?;
        answered.await.ok()
    }

    pub(super) async fn status(&self) -> Option<Status> {
        let board = &self.running.as_ref()?.board;
        let status = board.ask().await?;
        Some(Status::clone(&status))
    }
}
