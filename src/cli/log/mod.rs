//! The log writer: standard error, from a thread of its own.
//!
//! A slow or closed reader costs log lines, and never delays a page.

mod line;

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::{Clock, WallClock};
use crate::limits::store::MAX_QUEUED_EVENTS;
use crate::redact::redacted;

use super::progress;

use line::Line;

/// Time limit for writing the last events at the end of the program.
const LAST_LINES: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<SyncSender<Entry>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);
/// The clock of a rehearsal.
static PLAYED: OnceLock<Arc<dyn Clock>> = OnceLock::new();

enum Entry {
    Event(String),
    /// A request for confirmation once all earlier events are written.
    Flush(SyncSender<()>),
}

/// The reader of standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    /// True for a program that reads JSON.
    pub is_json: bool,
    /// True for a terminal with colours.
    pub is_colored: bool,
    /// True for the journal of systemd, which adds the time and reads a priority before each line
    /// (sd-daemon(3)).
    pub is_journal: bool,
}

/// Starts logging for a reader.
///
/// A second start in one process changes nothing; the demo does that.
pub fn start(reader: Reader, level: Level) {
    let (queue, entries) = mpsc::sync_channel(MAX_QUEUED_EVENTS);
    if QUEUE.set(queue).is_err() {
        return;
    }
    // Without the thread, all events are lost and counted.
    let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&entries, reader));
    let events = Events(reader).with_filter(LevelFilter::from_level(level));
    let _ = tracing_subscriber::registry().with(events).try_init();
}

/// Logs the time of a rehearsal instead of the real one.
pub fn follow(clock: Arc<dyn Clock>) {
    let _ = PLAYED.set(clock);
}

/// Writes the events to standard error.
struct Events(Reader);

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let text = render(Line::of(event), self.0);
        if let Some(queue) = QUEUE.get()
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
                queue.try_send(Entry::Event(text))
        {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns an event as it is written, with its line break.
fn render(mut line: Line, reader: Reader) -> String {
    let (now, is_played) = PLAYED.get().map_or_else(|| (WallClock.now(), false), |clock| (clock.now(), true));
    // The journal does not know the time of a rehearsal.
    if !reader.is_journal || reader.is_json || is_played {
        line.at = Some(now.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    }
    // Before a key could be cut.
    let line = line.map(|text| redacted(text.to_owned()));
    let text = if reader.is_json { line.json() } else { line.text(reader.is_colored) };
    match reader.is_journal {
        true => format!("<{}>{text}\n", priority(line.level)),
        false => text + "\n",
    }
}

/// Waits briefly until all queued events are written.
pub fn flush() {
    let (done, is_done) = mpsc::sync_channel(1);
    if let Some(queue) = QUEUE.get()
        && queue.try_send(Entry::Flush(done)).is_ok()
    {
        let _ = is_done.recv_timeout(LAST_LINES);
    }
}

fn write_all(entries: &Receiver<Entry>, reader: Reader) {
    for entry in entries {
        match entry {
            Entry::Event(text) => write(&text),
            Entry::Flush(done) => drop(done.send(())),
        }
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = format!("{lost} log events were lost: standard error was not read in time");
            write(&render(Line::new(Level::WARN, &message), reader));
        }
    }
}

fn write(text: &str) {
    // The reader may have closed the pipe.
    let _ = progress::beside(|| io::stderr().lock().write_all(text.as_bytes()));
}

/// Returns the priority of a level, as in syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Returns true if standard error is the journal, whose device and inode systemd names.
pub fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_gets_its_own_form() {
        let line = || Line::new(Level::ERROR, "a problem\n  hint: fix it");
        assert_eq!(
            render(line(), Reader { is_journal: true, ..Reader::default() }),
            "<3>ERROR a problem hint: fix it\n"
        );
        let plain = render(line(), Reader::default());
        assert!(plain.starts_with("20") && plain.ends_with("Z ERROR a problem hint: fix it\n"), "{plain}");
        let json = render(line(), Reader { is_json: true, ..Reader::default() });
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["message"], "a problem hint: fix it");
    }
}
