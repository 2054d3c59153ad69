//! The daemon: what lasts through reloads of the settings and through times of standby.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

use crate::calendar::Edition;
use crate::clock::Clock;
use crate::compile::World;
use crate::limits::replicas::POLL;
use crate::model::{Instant, Problem};
use crate::reconcile::{ActiveRevision, Driver, Feed, Mode, Supervisor};
use crate::settings::Settings;
use crate::sources::Watch;
use crate::store::{Alone, Store, StoreError};
use crate::web::{self, Standby};

use super::claims::{Claims, lock};
use super::driver::{Ahead, Start, build, gather};
use super::files::{StandbyFiles, watch_for_driver};
use super::global::{Exit, Global, OK};
use super::systemd::{self, Systemd};
use super::{load, notify, output, reload, standby, zones};

/// Runs until a signal stops it; reloaded settings replace the old ones if they are valid.
///
/// Without a store it stands by until it gets the one that the settings name.
pub async fn run(
    global: &Global,
    settings: Settings,
    clock: Arc<dyn Clock>,
    store: Option<Arc<dyn Store>>,
) -> anyhow::Result<Exit> {
    let (mut daemon, mut settings) = (Daemon::start(global, &settings, clock).await?, settings);
    let mut store = store;
    // The socket goes before the lock of the store: its path is free for the next daemon then.
    let mut last = None;
    loop {
        let held = match store.take() {
            Some(store) => store,
            None => match daemon.stand_by(&mut settings).await? {
                Some(store) => store,
                None => break,
            },
        };
        last = Some(held.clone());
        let kept = match daemon.begin_part(&settings) {
            Ok(()) => daemon.keep(&mut settings, held).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => break,
            // A store that another replica took, or whose database is away, can be had again.
            Err(error) if settings.store.path.is_shared() && standby::is_lost(&error) => {
                match error.downcast_ref() {
                    Some(StoreError::Returned { .. }) => tracing::info!("{error:#}"),
                    _ => tracing::error!("standing by: {error:#}"),
                }
                daemon.let_go(&error).await;
                last = None;
                if daemon.stopping.load(Ordering::SeqCst) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    daemon.notifications.stop().await;
    if let Some(cluster) = &daemon.handles.cluster {
        cluster.leave().await;
    }
    drop(daemon);
    drop(last);
    tracing::info!("stopped");
    Ok(OK)
}

/// The state that lasts through reloads, and through times of standby.
struct Daemon<'g> {
    global: &'g Global,
    clock: Arc<dyn Clock>,
    handles: web::Handles,
    fed: mpsc::Receiver<Feed>,
    next: reload::Next,
    /// True once a signal has asked it to stop.
    stopping: Arc<AtomicBool>,
    in_use: reload::Active,
    server: web::Server,
    _socket: Option<web::Socket>,
    notifications: notify::Notifications,
    /// It lasts through reloads: between two claims another daemon could take the variables.
    claims: Option<Arc<Mutex<Claims>>>,
    own_files: StandbyFiles,
    /// For the first driver after standing by.
    ahead: Option<Ahead>,
    /// True once the store was open, or another replica had it: from then on nothing ends the daemon.
    was_running: bool,
}

impl<'g> Daemon<'g> {
    /// Listens for signals and serves the socket and HTTP.
    async fn start(global: &'g Global, settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let next = reload::Next::default();
        let (feed, fed) = mpsc::channel(64);
        let (mut handles, asked) = web::Handles::new(feed.clone(), clock.now());
        let relay = settings.store.path.location().relay(true);
        let taken = relay.map(|(relay, taken)| {
            handles.cluster = Some(web::Cluster::new(relay));
            taken
        });
        // Signals first: a process that sees the socket may already signal the daemon to stop.
        let in_use = reload::Active::new(Mutex::new(settings.clone()));
        let board = handles.board.clone();
        let stopping = Arc::new(AtomicBool::new(false));
        let to = (feed, stopping.clone());
        reload::listen(global.clone(), in_use.clone(), (board.clone(), asked), next.clone(), to)?;
        let socket = socket(settings, &handles)?;
        tokio::spawn(systemd::show_status(board));
        if let Some(taken) = taken {
            tokio::spawn(web::serve_replicas(handles.clone(), taken));
        }
        let mut server = web::Server::new(handles.clone());
        let prepared = prepare(&mut server, settings).await?;
        server.commit(prepared);
        let notifications = notify::Notifications::default();
        Ok(Self {
            global,
            clock,
            handles,
            fed,
            next,
            stopping,
            in_use,
            server,
            _socket: socket,
            notifications,
            claims: None,
            own_files: StandbyFiles::default(),
            ahead: None,
            was_running: false,
        })
    }

    /// Keeps the pages right until a signal stops it.
    ///
    /// # Errors
    /// When the store fails, or the first settings cannot be used. `settings` are the active ones then.
    async fn keep(&mut self, settings: &mut Settings, store: Arc<dyn Store>) -> anyhow::Result<()> {
        self.was_running = true;
        self.handles.pulses.watch(store.pulse());
        let mut active: Option<ActiveRevision> = None;
        // The settings before a reload, and the reload itself until it has succeeded.
        let mut before: Option<(Settings, reload::Newer)> = None;
        for number in 0.. {
            let (driver, _watching) = match (
                self.turn(settings, &store, active.take(), number, before.is_some()).await,
                before.take(),
            ) {
                (Ok(begun), newer) => {
                    if let Some((_, newer)) = newer {
                        tracing::info!("the settings were reloaded");
                        newer.end(&self.handles.board, self.clock.now(), Ok(()));
                    }
                    begun
                }
                (Err(error), Some((older, newer))) => {
                    tracing::error!("reload failed; the previous settings stay active: {error:#}");
                    let problem = Problem::new(format!("{error:#}"));
                    newer.end(&self.handles.board, self.clock.now(), Err(vec![problem]));
                    *settings = older;
                    self.claims.iter().for_each(|claims| lock(claims).tolerate_conflicts());
                    continue;
                }
                (Err(error), None) => return Err(error),
            };
            self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone_from(settings);
            self.notifications.follow(settings, (&store, &self.clock), &self.handles).await?;
            report_start(settings, self.clock.now());
            let supervisor = Systemd::new(self.handles.pulses.clone(), self.claims.clone());
            let ended = driver.run(Mode::Daemon, &mut self.fed, &supervisor).await?;
            if !ended.reload {
                return Ok(());
            }
            active = Some(ended.active);
            if let Some(newer) = reload::take(&self.next) {
                let older = std::mem::replace(settings, newer.settings.clone());
                if older.owner() != settings.owner() {
                    // Another API or owner has a revision of its own, in its own rows.
                    active = None;
                }
                before = Some((older, newer));
            }
        }
        Ok(())
    }

    /// Builds a driver for the settings, and lets the listener follow them after a reload.
    ///
    /// A new driver has effects at once, so all else that can fail comes before it. After a failed
    /// reload the listener is not tried again: a daemon without one still keeps the pages right.
    async fn turn(
        &mut self,
        settings: &Settings,
        store: &Arc<dyn Store>,
        active: Option<ActiveRevision>,
        number: u32,
        is_reload: bool,
    ) -> anyhow::Result<(Driver<crate::agents_api::Client>, Watch)> {
        let prepared = match is_reload {
            true => prepare(&mut self.server, settings).await?,
            false => web::Prepared::nothing(),
        };
        let ahead = self.ahead.take().unwrap_or_else(|| Ahead::nothing(settings));
        let _beating = systemd::beat_beside(&self.handles.pulses);
        let (stores, handles) = ((store, &self.clock), &self.handles);
        let begun =
            begin(self.global, settings, stores, (active, ahead), number, handles, &mut self.claims).await;
        match begun.is_ok() {
            true => self.server.commit(prepared),
            false => self.server.withdraw(prepared).await,
        }
        begun
    }

    /// Waits until this replica holds the store; `None` if a signal stops it first.
    ///
    /// # Errors
    /// At the first attempt, what only a person can fix: no store, missing rights, another version.
    async fn stand_by(&mut self, settings: &mut Settings) -> anyhow::Result<Option<Arc<dyn Store>>> {
        let supervisor = Systemd::new(self.handles.pulses.clone(), None);
        supervisor.ready();
        // A reload that came while the store was lost.
        if let Some(newer) = reload::take(&self.next) {
            self.follow(newer, settings).await;
        }
        let mut shown = String::new();
        loop {
            let opening = standby::open(settings);
            let Some(opened) = self.meanwhile(&supervisor, settings, opening).await else { return Ok(None) };
            let standby = match opened.unwrap_or(Err(StoreError::Closed)) {
                Ok(store) => {
                    let goes_on = self.finish_own_files(&supervisor, settings).await;
                    return Ok(goes_on.then_some(store));
                }
                Err(StoreError::InUse { other, .. }) => {
                    Standby { why: format!("{other} holds the lease"), is_ready: true }
                }
                Err(error) if !self.was_running && !standby::is_temporary(&error) => return Err(error.into()),
                Err(error) => Standby { why: error.to_string(), is_ready: false },
            };
            self.was_running = true;
            self.own_files.watch(settings, &self.handles, &self.clock);
            let why = &standby.why;
            if shown != *why {
                tracing::warn!("standing by: {why}");
                let _ = sd_notify::notify(&[NotifyState::Status(&format!("standing by: {why}"))]);
                shown.clone_from(why);
            }
            if let Some(cluster) = &self.handles.cluster {
                cluster.stand_by(standby);
            }
            sleep(POLL).await;
        }
    }

    /// Waits for something while this replica has no driver; `None` if a signal stops it first.
    async fn meanwhile<T>(
        &mut self,
        supervisor: &Systemd,
        settings: &mut Settings,
        awaited: impl Future<Output = T>,
    ) -> Option<T> {
        let mut awaited = pin!(awaited);
        let mut beat = supervisor.beat().map(interval);
        loop {
            tokio::select! {
                done = &mut awaited => return Some(done),
                fed = self.fed.recv() => match fed {
                    Some(Feed::Stop) | None => return None,
                    Some(Feed::Reload) => {
                        if let Some(newer) = reload::take(&self.next) {
                            self.follow(newer, settings).await;
                        }
                    }
                    // Inputs and controls are for a driver; who asks learns that there is none.
                    Some(Feed::Inputs(..) | Feed::Key(..) | Feed::Control(_)) => {}
                },
                () = standby::next_beat(&mut beat) => supervisor.alive(),
            }
        }
    }

    /// Takes what this replica read and compiled of its own files; false if a signal stops it.
    async fn finish_own_files(&mut self, supervisor: &Systemd, settings: &mut Settings) -> bool {
        let Some(own) = self.own_files.take() else { return true };
        let (written, zones) = (settings.written.clone(), settings.blueprint.zones.clone());
        let finishing = tokio::task::spawn_blocking(|| own.finish());
        let Some(finished) = self.meanwhile(supervisor, settings, finishing).await else { return false };
        let is_same = settings.written == written && Arc::ptr_eq(&settings.blueprint.zones, &zones);
        self.ahead = finished.ok().flatten().filter(|_| is_same);
        true
    }

    /// Follows a reload while this replica stands by.
    async fn follow(&mut self, newer: reload::Newer, settings: &mut Settings) {
        let result = match prepare(&mut self.server, &newer.settings).await {
            Ok(prepared) => {
                self.server.commit(prepared);
                settings.clone_from(&newer.settings);
                self.own_files.end();
                self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone_from(settings);
                Ok(())
            }
            Err(error) => Err(vec![Problem::new(format!("{error:#}"))]),
        };
        newer.end(&self.handles.board, self.clock.now(), result);
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// Begins to send, as the active replica of several or alone, and says so.
    fn begin_part(&self, settings: &Settings) -> anyhow::Result<()> {
        let (Some(cluster), Some(database)) = (&self.handles.cluster, settings.store.path.database()) else {
            return Ok(());
        };
        let alone = database.alone()?;
        match &alone {
            Some(Alone { since, who, reason }) => {
                let (since, reason) = (output::utc(*since), reason.as_deref().unwrap_or("none given"));
                let message = "running alone on the copy of the store, without the database";
                tracing::warn!(since, who, reason, "{message}");
            }
            None => tracing::info!("this replica holds the lease"),
        }
        cluster.begin(alone);
        Ok(())
    }

    /// Gives up what belongs to the store that was lost.
    async fn let_go(&mut self, error: &anyhow::Error) {
        if let Some(cluster) = &self.handles.cluster {
            cluster.stand_by(Standby { why: format!("{error:#}"), is_ready: false });
        }
        self.notifications.stop().await;
        self.claims = None;
    }
}

/// Prepares to serve HTTP as the settings say.
async fn prepare(server: &mut web::Server, settings: &Settings) -> anyhow::Result<web::Prepared> {
    server.prepare(settings.listen.as_ref()).await.map_err(|problem| anyhow::anyhow!("{problem}"))
}

/// Builds a driver for some settings, watches its files and claims its variables.
///
/// The claim comes first, since building a driver activates its pages.
async fn begin(
    global: &Global,
    settings: &Settings,
    (store, clock): (&Arc<dyn Store>, &Arc<dyn Clock>),
    (active, ahead): (Option<ActiveRevision>, Ahead),
    number: u32,
    handles: &web::Handles,
    claims: &mut Option<Arc<Mutex<Claims>>>,
) -> anyhow::Result<(Driver<crate::agents_api::Client>, Watch)> {
    let key_source = load::key_source(&settings.api, global)?;
    handles.archive.follow(settings);
    // A reload may name another API or owner.
    let store = &store.owned_by(&settings.owner()).await?;
    let (files, active) = gather(settings, store, clock, active, ahead, true).await?;
    let revision = files.revision();
    {
        // The driver builds it again: holding two at once would set the peak of memory.
        let newest = World::new(&settings.blueprint, &revision.inputs, clock.now(), Some(&active.world));
        let worlds = [&active.world, &newest];
        match claims {
            Some(claims) => lock(claims).renew(settings, worlds)?,
            None => {
                *claims = Claims::make(settings, global, worlds)?.map(|claims| Arc::new(Mutex::new(claims)))
            }
        }
    }
    let watching = watch_for_driver(files, settings, key_source.clone(), number, handles)?;
    let board = handles.board.clone();
    let start = Start { who: load::who("run", global), active, revision, number, board };
    let driver = build(settings, &key_source, store, clock, start).await?;
    Ok((driver, watching))
}

/// Logs that the daemon runs with these settings, and warns about old data.
fn report_start(settings: &Settings, now: Instant) {
    tracing::info!(
        api = settings.api.base_url,
        settings = %settings.file.display(),
        zone_database = %settings.blueprint.zones,
        "running"
    );
    report_public_holidays(settings, now);
    zones::age(&settings.blueprint.zones, now).iter().for_each(|old| tracing::warn!("{old}"));
}

/// Logs the public holidays in use, and warns about those that end soon.
fn report_public_holidays(settings: &Settings, now: Instant) {
    let codes: BTreeSet<&str> =
        settings.blueprint.public_holidays().map(|(_, public)| public.region.code).collect();
    if codes.is_empty() {
        return;
    }
    let codes: Vec<&str> = codes.into_iter().collect();
    tracing::info!(of = codes.join(", "), from = %Edition::here(), "public holidays loaded");
    for problem in settings.blueprint.ending(now.date_naive()) {
        tracing::warn!("{problem}");
    }
}

/// Serves the socket beside the store, for the commands.
fn socket(settings: &Settings, handles: &web::Handles) -> anyhow::Result<Option<web::Socket>> {
    let Some(store) = settings.store.path.socket_base() else { return Ok(None) };
    let path = web::socket_path(store);
    if settings.store.path.is_shared() {
        // A lock of the file keeps a second daemon out; a database does not.
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            bail!(
                "another rtconfd answers at {}\n  hint: wait until it has stopped, or set STATE_DIRECTORY to a \
                 folder for each replica of a machine",
                path.display()
            );
        }
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
    }
    web::serve_socket(&path, handles.clone()).map(Some).with_context(|| {
        format!("cannot create the socket {}\n  hint: set a short store.path on a local disk", path.display())
    })
}
