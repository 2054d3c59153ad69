//! A driver in this process, on a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtconfd::agents_api::{ApiKey, KeySource, WritePages};
use rtconfd::clock::{Clock, ManualClock};
use rtconfd::compile::World;
use rtconfd::model::Instant;
use rtconfd::reconcile::{
    ActiveRevision, Actor, Board, Control, Driver, Ended, Feed, Mode, Newest, Pace, Setup, Status, Supervisor,
};
use rtconfd::sources::{Files, OtherFiles, Watched, watch};
use rtconfd::store::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::{Folder, limit, until};

/// An observer that reports the requests in flight whenever the driver sleeps.
struct Observer(Arc<AtomicUsize>);

impl Supervisor for Observer {
    fn resting(&self, under_way: usize) {
        self.0.store(under_way, Ordering::SeqCst);
    }
}

/// A driver in this process, on a clock that the test moves.
pub struct Driving {
    pub clock: ManualClock,
    under_way: Arc<AtomicUsize>,
    pub feed: mpsc::Sender<Feed>,
    pub board: Board,
    task: tokio::task::JoinHandle<Result<Ended, StoreError>>,
    _watching: Box<dyn std::any::Any + Send>,
}

impl Driving {
    pub async fn start(folder: &Folder, clock: &ManualClock, mode: Mode) -> Self {
        let client = Arc::new(folder.client());
        let setter = client.clone();
        Self::with(client, Box::new(move |key| setter.set_key(key)), folder, clock, mode).await
    }

    /// Starts a driver with a custom API.
    pub async fn with<R: WritePages>(
        api: Arc<R>,
        set_key: Box<dyn Fn(ApiKey) + Send>,
        folder: &Folder,
        clock: &ManualClock,
        mode: Mode,
    ) -> Self {
        let settings = folder.load();
        let key = KeySource::File(folder.path("key"));
        let store = folder.free_store().await;
        let remembered = store.remembered().await.unwrap();
        let now = clock.now();
        let mut files = Files::new(&settings);
        // A replica that stood by has read its files before; that must change nothing.
        files.settle();
        let ahead = World::new(&settings.blueprint, &files.revision().inputs, now, None);
        let recalled = files.recall(&remembered.newest.inputs).inputs;
        let active = ActiveRevision::recall_ahead(&settings, &remembered, (&recalled, ahead), now, now);
        files.settle();
        let revision = files.revision();
        let (feed, mut fed) = mpsc::channel(64);
        let (report, key_source) = (feed.clone(), key.clone());
        let watching = watch(
            files,
            OtherFiles { key_file: Some(folder.path("key")), zoneinfo: None },
            settings.restat,
            move |watched| {
                let fed = match watched {
                    Watched::Revision(revision) => Feed::Inputs(0, revision),
                    Watched::Key => match key_source.load() {
                        Ok(key) => Feed::Key(0, key),
                        Err(_) => return true,
                    },
                    Watched::Zones => return true,
                };
                report.blocking_send(fed).is_ok()
            },
        )
        .unwrap();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let board = Board::default();
        let last_known = store.last_known().await.unwrap();
        let driver = Driver::new(Setup {
            actor: Actor {
                api,
                api_url: settings.api.base_url.clone(),
                store,
                clock: shared,
                who: "test".to_owned(),
                patience: settings.api.total_timeout,
            },
            set_key,
            newest: Newest::of(&settings, revision, 0),
            active,
            thresholds: settings.hold,
            last_known,
            pace: Pace::from(&settings),
            seed: 1,
            board: board.clone(),
        })
        .await
        .unwrap();
        let under_way = Arc::new(AtomicUsize::new(usize::MAX));
        let observer = Observer(under_way.clone());
        let task = tokio::spawn(async move { driver.run(mode, &mut fed, &observer).await });
        Self { clock: clock.clone(), under_way, feed, board, task, _watching: Box::new(watching) }
    }

    /// Returns true if the driver sleeps until a later time and waits for no answer.
    pub fn is_quiet(&self) -> bool {
        let now = self.clock.now();
        // The order matters: a driver that wakes up in between has no later wait.
        let quiet = self.under_way.load(Ordering::SeqCst) == 0;
        quiet && self.clock.next_wait().is_some_and(|wait| wait > now)
    }

    /// Advances the clock to an instant, stopping at each wake-up of the driver.
    pub async fn advance(&self, to: Instant) {
        loop {
            until("the driver is quiet", || self.is_quiet()).await;
            let next = self.clock.next_wait().map_or(to, |wait| wait.min(to));
            self.clock.set(next);
            if next >= to {
                return;
            }
        }
    }

    /// Sends a request to the driver, as the socket does.
    pub async fn ask<T>(&self, control: impl FnOnce(oneshot::Sender<T>) -> Control) -> T {
        let (send, answered) = oneshot::channel();
        self.feed.send(Feed::Control(control(send))).await.unwrap();
        tokio::time::timeout(limit(), answered).await.expect("an answer in time").expect("an answer")
    }

    pub async fn status(&self) -> Status {
        Status::clone(
            &*tokio::time::timeout(limit(), self.board.ask())
                .await
                .expect("an answer in time")
                .expect("a status"),
        )
    }

    /// Returns true if the driver has ended for any reason.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub async fn stop(self) -> Ended {
        let _ = self.feed.send(Feed::Stop).await;
        self.ended().await
    }

    pub async fn ended(self) -> Ended {
        let ended = tokio::time::timeout(limit(), self.task).await.expect("the driver ends");
        ended.unwrap().unwrap()
    }
}
