//! Watches the directories of files, never the files themselves: a watch on a file is lost when the
//! file is replaced.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::limits::listener::WORK_TIMEOUT;
use crate::pulse::Pulse;
use crate::zoneinfo::WatchedFolder;

use super::files::SECOND_READ;
use super::{Files, Revision, Writers, Writing};

/// The pause between reads of a file that waits for its writer or could not be read: no event may
/// announce the end of that state.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The pause of the thread after a panic.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// A notification from the watching thread.
#[derive(Debug)]
pub enum Watched {
    /// The inputs changed.
    Revision(Box<Revision>),
    /// The key file may have changed.
    Key,
    /// The zone database may have changed.
    Zones,
}

/// Paths watched besides the input files.
#[derive(Debug, Default)]
pub struct OtherFiles {
    /// The file of the API key.
    pub key_file: Option<PathBuf>,
    /// The folder of the zone database; checked every `restat` and at each event.
    pub zoneinfo: Option<WatchedFolder>,
}

type KeyStamp = (u64, i64, i64, u64, u32);

impl OtherFiles {
    fn key_stamp(&self) -> Option<KeyStamp> {
        let metadata = std::fs::metadata(self.key_file.as_ref()?).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.mode()))
    }
}

/// Watches the files and `beside` from a separate thread until `report` returns `false`.
///
/// It checks them at every event and also every `restat`, and compares with `files` as passed.
///
/// # Errors
/// Returns an error when the thread can't be started.
pub fn watch(
    files: Files,
    beside: OtherFiles,
    restat: Duration,
    report: impl Fn(Watched) -> bool + Send + 'static,
) -> std::io::Result<Watch> {
    let events = Arc::new(Events::default());
    let pulse = Pulse::new("the thread that reads the input files", WORK_TIMEOUT);
    let directories = Directories::new(events.clone());
    let key_stamp = beside.key_stamp();
    let writers = Writers::default();
    let mut watching = Watching {
        files,
        beside,
        restat,
        directories,
        report,
        key_stamp,
        writers,
        events: events.clone(),
        pulse: pulse.clone(),
    };
    let thread = std::thread::Builder::new().name("sources".to_owned()).spawn(move || {
        watching.run();
        watching.files
    })?;
    Ok(Watch { events, pulse, thread: Some(thread) })
}

/// A running watch; it ends when dropped.
#[derive(Debug)]
pub struct Watch {
    events: Arc<Events>,
    /// The pulse of its thread.
    pub pulse: Pulse,
    thread: Option<JoinHandle<Files>>,
}

impl Watch {
    /// Asks the thread to end; it finishes its work.
    pub fn stop(&self) {
        self.events.note(|noticed| noticed.stop = true);
    }

    /// Returns true once the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the watch and returns the files, once the thread has finished its work.
    pub fn finish(mut self) -> Option<Files> {
        let thread = self.thread.take()?;
        self.stop();
        thread.join().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Events not yet handled. Its size is bounded by the number of our files, because folders may be
/// full of unrelated ones.
#[derive(Debug, Default)]
struct Noticed {
    stop: bool,
    read_now: bool,
    /// Events were lost, so the writers are unknown.
    lost: bool,
    /// The writer state according to the last event of each file.
    writers: Writers,
    /// Removed folders: a new folder in the same place may get the same inode number.
    removed: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct Events {
    noticed: Mutex<Noticed>,
    woken: Condvar,
    /// The paths relevant to our files, as events name them.
    ours: Mutex<Ours>,
}

/// The paths whose events concern our files.
#[derive(Debug, Default)]
struct Ours {
    files: HashMap<PathBuf, BTreeSet<PathBuf>>,
    /// Folders in which Kubernetes swaps `..data`, and with it all files beside it.
    folders: HashMap<PathBuf, BTreeSet<PathBuf>>,
    /// The components of our paths: a path with such a name may be a folder on the way to a file.
    parts: HashSet<OsString>,
}

impl Events {
    fn note(&self, change: impl FnOnce(&mut Noticed)) {
        change(&mut lock(&self.noticed));
        self.woken.notify_one();
    }

    /// Waits for an event or the timeout, and takes all pending events.
    fn take(&self, wait: Duration) -> Noticed {
        let is_quiet = |noticed: &mut Noticed| !(noticed.stop || noticed.read_now);
        let noticed = self.woken.wait_timeout_while(lock(&self.noticed), wait, is_quiet);
        std::mem::take(&mut *noticed.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Handles an event of the watcher; irrelevant events cost one table lookup.
    fn handle(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) if event.need_rescan() => {
                return self.note(|noticed| (noticed.read_now, noticed.lost) = (true, true));
            }
            // An error (such as an overflow) means only that everything must be checked again.
            Err(_) => return self.note(|noticed| (noticed.read_now, noticed.lost) = (true, true)),
            Ok(event) => event,
        };
        let Some(said) = WriterEvent::of(&event.kind) else { return };
        let ours = lock(&self.ours);
        for path in &event.paths {
            if ours.folders.contains_key(path) && matches!(event.kind, EventKind::Remove(_)) {
                self.note(|noticed| {
                    noticed.read_now = noticed.removed.insert(path.clone()) || noticed.read_now
                });
            }
            let name = path.file_name().unwrap_or_default();
            let swapped =
                path.parent().filter(|_| name == "..data").and_then(|folder| ours.folders.get(folder));
            match ours.files.get(path).or(swapped) {
                Some(files) => self.note(|noticed| noticed.add(files, said)),
                None if ours.parts.contains(name) => self.note(|noticed| noticed.read_now = true),
                None => {}
            }
        }
    }
}

impl Noticed {
    fn add(&mut self, files: &BTreeSet<PathBuf>, said: WriterEvent) {
        self.read_now = true;
        if let WriterEvent::Of(writing) = said {
            self.writers.extend(files.iter().map(|file| (file.clone(), writing)));
        }
    }
}

/// The information an event gives about a file's writer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WriterEvent {
    /// A writer is active or has finished.
    Of(Writing),
    /// No information about a writer.
    Changed,
}

impl WriterEvent {
    /// Returns `None` for irrelevant events: our own reads cause events too, and would loop
    /// forever.
    fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Self::Of(Writing::Closed)),
            EventKind::Access(_) => None,
            EventKind::Modify(ModifyKind::Name(_)) => Some(Self::Of(Writing::Moved)),
            EventKind::Modify(ModifyKind::Metadata(_)) | EventKind::Create(_) | EventKind::Remove(_) => {
                Some(Self::Changed)
            }
            EventKind::Modify(_) => Some(Self::Of(Writing::Busy)),
            EventKind::Any | EventKind::Other => Some(Self::Changed),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watching<F> {
    files: Files,
    beside: OtherFiles,
    restat: Duration,
    directories: Directories,
    report: F,
    key_stamp: Option<KeyStamp>,
    writers: Writers,
    events: Arc<Events>,
    pulse: Pulse,
}

impl<F: Fn(Watched) -> bool> Watching<F> {
    /// Checks files until stopped. A panic in our code costs one check, not the thread.
    fn run(&mut self) {
        loop {
            self.pulse.begin();
            let wait = match catch_unwind(AssertUnwindSafe(|| self.check())) {
                Ok(Some(wait)) => wait,
                Ok(None) => return,
                Err(_) => {
                    tracing::error!("a panic interrupted reading the input files; they are read again");
                    AFTER_FAULT
                }
            };
            self.pulse.rest();
            let Noticed { stop, lost, writers, removed, .. } = self.events.take(wait);
            if stop {
                return;
            }
            if lost {
                self.writers.clear();
            }
            self.writers.extend(writers);
            self.directories.watched.retain(|directory, _| !removed.contains(directory));
        }
    }

    /// Checks everything once and reports changes.
    ///
    /// Returns the time to wait for events; `None` when the receiver is gone.
    fn check(&mut self) -> Option<Duration> {
        let paths: Vec<PathBuf> =
            self.files.paths().into_iter().chain(self.beside.key_file.clone()).collect();
        if self.directories.arm(&paths) {
            // After a folder is watched again, earlier writer states are no longer known.
            self.writers.clear();
        }
        let result = self.files.read(&self.writers);
        self.writers.retain(|_, writing| *writing == Writing::Busy);
        let mut news = Vec::new();
        if result.changed {
            news.push(Watched::Revision(Box::new(self.files.revision())));
        }
        let key_stamp = self.beside.key_stamp();
        news.extend((key_stamp != self.key_stamp).then_some(Watched::Key));
        self.key_stamp = key_stamp;
        let zones = self.beside.zoneinfo.as_mut();
        news.extend(zones.is_some_and(WatchedFolder::has_changed).then_some(Watched::Zones));
        // The receiver may block, which does not count as a hang of this thread.
        self.pulse.rest();
        if !news.into_iter().all(|watched| (self.report)(watched)) {
            return None;
        }
        Some(match () {
            () if result.unsure => SECOND_READ,
            () if result.waits => RETRY_PAUSE.min(self.restat),
            () => self.restat,
        })
    }
}

/// The watched directories, each with its identity: a recreated directory has another one.
struct Directories {
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, (u64, u64)>,
    events: Arc<Events>,
}

impl Directories {
    fn new(events: Arc<Events>) -> Self {
        let handler = events.clone();
        let watcher = notify::recommended_watcher(move |event| handler.handle(event))
            .inspect_err(
                |error| tracing::warn!(%error, "files cannot be watched; they are checked periodically"),
            )
            .ok();
        Self { watcher, watched: HashMap::new(), events }
    }

    /// Updates the watches for these files; returns true if they changed.
    ///
    /// It watches the directory of each file (or the nearest that exists) and the directory that
    /// its links lead to.
    fn arm(&mut self, paths: &[PathBuf]) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut ours = Ours::default();
        let mut needed: HashMap<PathBuf, (u64, u64)> = HashMap::new();
        for file in paths {
            for path in std::iter::once(file.clone()).chain(file.canonicalize()) {
                let Some(directory) = nearest_directory(&path) else { continue };
                ours.parts.extend(path.components().map(|part| part.as_os_str().to_owned()));
                if let Some(name) = path.file_name() {
                    ours.files.entry(directory.join(name)).or_default().insert(file.clone());
                }
                ours.folders.entry(directory.clone()).or_default().insert(file.clone());
                if let Ok(metadata) = std::fs::metadata(&directory) {
                    needed.insert(directory, (metadata.dev(), metadata.ino()));
                }
            }
        }
        *lock(&self.events.ours) = ours;
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(directory, identity)| needed.get(*directory) != Some(identity))
            .map(|(directory, _)| directory.clone())
            .collect();
        let (is_anew, mut is_new) = (!gone.is_empty(), false);
        for directory in gone {
            self.watched.remove(&directory);
            // Removing a directory also removes its watch.
            let _ = watcher.unwatch(&directory);
        }
        for (directory, identity) in needed {
            if self.watched.contains_key(&directory) {
                continue;
            }
            if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
                let directory = directory.display();
                tracing::warn!(%error, %directory, "directory cannot be watched; it is checked periodically");
                continue;
            }
            self.watched.insert(directory, identity);
            is_new = true;
        }
        is_anew || is_new
    }
}

fn nearest_directory(path: &Path) -> Option<PathBuf> {
    let mut directory = path.parent()?;
    while !directory.is_dir() {
        directory = directory.parent()?;
    }
    match directory.as_os_str().is_empty() {
        true => Some(PathBuf::from(".")),
        false => Some(directory.to_owned()),
    }
}
