//! Watches the directories of files, never the files: one that is replaced would be lost.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::zoneinfo::{self, Stamp};

use super::{Files, Revision, Writers};

/// How long after a doubtful look the next one comes.
pub(super) const SECOND_LOOK: Duration = Duration::from_millis(150);

/// What the watching thread tells.
#[derive(Debug)]
pub enum Watched {
    /// The inputs are others than before.
    Revision(Box<Revision>),
    /// The key file may have changed.
    Key,
    /// The zone database may have changed.
    Zones,
}

/// What is watched beside the input files.
#[derive(Debug, Default)]
pub struct Beside {
    /// The file of the API key.
    pub key_file: Option<PathBuf>,
    /// The folder of the zone database; looked at every `restat` and with each event.
    pub zoneinfo: Option<PathBuf>,
}

impl Beside {
    fn key_stamp(&self) -> Option<(u64, i64, i64, u64, u32)> {
        let metadata = std::fs::metadata(self.key_file.as_ref()?).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.mode()))
    }

    fn zone_stamp(&self) -> Option<Stamp> {
        self.zoneinfo.as_deref().map(zoneinfo::stamp)
    }
}

/// Watches the files and what is beside them from a thread of its own, until `tell` gives `false`. Besides the
/// events it looks by itself every `restat`. The first revision given is that of `files` as they are.
pub fn watch(
    files: Files,
    beside: Beside,
    restat: Duration,
    tell: impl Fn(Watched) -> bool + Send + 'static,
) -> std::io::Result<Stop> {
    let (send, events) = channel();
    let stop = Stop(send.clone());
    let directories = Directories::new(send, files.is_ours());
    let mut watching = Watching { files, beside, restat, directories, tell };
    std::thread::Builder::new().name("sources".to_owned()).spawn(move || watching.run(&events))?;
    Ok(stop)
}

/// Ends the watching when it is dropped.
#[derive(Debug)]
pub struct Stop(Sender<Noticed>);

impl Drop for Stop {
    fn drop(&mut self) {
        // The thread may have ended already.
        let _ = self.0.send(Noticed::Stop);
    }
}

enum Noticed {
    /// Something happened at these paths; the flag says that a writer is done with them.
    Paths(Vec<PathBuf>, bool),
    Stop,
}

struct Watching<F> {
    files: Files,
    beside: Beside,
    restat: Duration,
    directories: Directories,
    tell: F,
}

impl<F: Fn(Watched) -> bool> Watching<F> {
    fn run(&mut self, events: &Receiver<Noticed>) {
        let (mut key_stamp, mut zone_stamp) = (self.beside.key_stamp(), self.beside.zone_stamp());
        let mut writers = Writers::default();
        loop {
            self.directories.arm(&self.paths());
            let looked = self.files.look(&writers);
            writers.done.clear();
            if looked.changed && !(self.tell)(Watched::Revision(Box::new(self.files.revision()))) {
                return;
            }
            let stamp = self.beside.key_stamp();
            if stamp != key_stamp {
                key_stamp = stamp;
                if !(self.tell)(Watched::Key) {
                    return;
                }
            }
            let stamp = self.beside.zone_stamp();
            if stamp != zone_stamp {
                zone_stamp = stamp;
                if !(self.tell)(Watched::Zones) {
                    return;
                }
            }
            let wait = if looked.unsure { SECOND_LOOK } else { self.restat };
            match events.recv_timeout(wait) {
                Ok(Noticed::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(first) => {
                    for noticed in std::iter::once(first).chain(events.try_iter()) {
                        match noticed {
                            Noticed::Paths(paths, done) => self.note(paths, done, &mut writers),
                            Noticed::Stop => return,
                        }
                    }
                }
            }
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files.paths().into_iter().chain(self.beside.key_file.clone()).collect()
    }

    /// Remembers the files whose writer is done, and forgets those that are written again. Kubernetes swaps
    /// `..data`, and with it all files beside it.
    fn note(&self, paths: Vec<PathBuf>, done: bool, writers: &mut Writers) {
        for path in paths {
            let is_swap = path.file_name().is_some_and(|name| name == "..data");
            for file in self.files.paths() {
                let beside = file.parent().and_then(canonical) == path.parent().and_then(canonical);
                let named = beside && (is_swap || file.file_name() == path.file_name());
                let target = canonical(&file).is_some_and(|target| canonical(&path) == Some(target));
                if !(named || target) {
                    continue;
                }
                let (is, is_not) = match done {
                    true => (&mut writers.done, &mut writers.busy),
                    false => (&mut writers.busy, &mut writers.done),
                };
                is_not.remove(&file);
                is.insert(file);
            }
        }
    }
}

fn canonical(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// The directories under watch, each with what identifies it: one that was made anew is another.
struct Directories {
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, (u64, u64)>,
}

impl Directories {
    fn new(send: Sender<Noticed>, is_ours: impl Fn(&Path) -> bool + Send + 'static) -> Self {
        let handler = move |event: notify::Result<Event>| {
            // An error (such as an overflow) says no more than: look again.
            let noticed = match event {
                Ok(event) if !event.paths.is_empty() && event.paths.iter().all(|path| is_ours(path)) => {
                    return;
                }
                Ok(event) => match done_writing(&event.kind) {
                    Some(done) => Noticed::Paths(event.paths, done),
                    None => return,
                },
                Err(_) => Noticed::Paths(Vec::new(), false),
            };
            let _ = send.send(noticed);
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(
                |error| tracing::warn!(%error, "files can't be watched; they are looked at now and then"),
            )
            .ok();
        Self { watcher, watched: HashMap::new() }
    }

    /// Watches what has to be watched for these files now: the directory each stands in (or the nearest
    /// that exists), and the one that its links lead to.
    fn arm(&mut self, paths: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: HashMap<PathBuf, (u64, u64)> = paths
            .iter()
            .flat_map(|path| {
                [nearest_directory(path), canonical(path).and_then(|path| nearest_directory(&path))]
            })
            .flatten()
            .filter_map(|directory| {
                let metadata = std::fs::metadata(&directory).ok()?;
                Some((directory, (metadata.dev(), metadata.ino())))
            })
            .collect();
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(directory, identity)| wanted.get(*directory) != Some(identity))
            .map(|(directory, _)| directory.clone())
            .collect();
        for directory in gone {
            self.watched.remove(&directory);
            // A directory that was removed takes its watch with it.
            let _ = watcher.unwatch(&directory);
        }
        for (directory, identity) in wanted {
            if self.watched.contains_key(&directory) {
                continue;
            }
            if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
                let directory = directory.display();
                tracing::warn!(%error, %directory, "can't be watched; looked at now and then");
                continue;
            }
            self.watched.insert(directory, identity);
        }
    }
}

/// Whether an event matters, and if so whether a writer is done. Our own reading makes events too; these
/// must not, or we would look for ever.
fn done_writing(kind: &EventKind) -> Option<bool> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(true),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Name(_)) => Some(true),
        _ => Some(false),
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
