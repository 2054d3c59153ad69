//! The log writer: standard error, from a thread of its own.
//!
//! A slow or closed reader costs log lines, and never delays a page.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tracing::{Level, Metadata};

use crate::agents_api::ApiKey;
use crate::limits::store::{MAX_QUEUED_EVENTS, MIN_HIDDEN};

/// Time limit for writing the last events at the end of the program.
const LAST_LINES: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<SyncSender<Entry>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);
/// The keys that are redacted in every event.
static KEYS: RwLock<Vec<ApiKey>> = RwLock::new(Vec::new());

enum Entry {
    Event(String),
    /// A request for confirmation once all earlier events are written.
    Flush(SyncSender<()>),
}

/// The reader of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A file, a pipe, or a terminal without colours.
    Plain,
    /// A terminal; escape characters are kept, other control characters become blanks.
    Terminal,
    /// The journal of systemd, which adds the time and reads a priority before each line
    /// (sd-daemon(3)).
    Journal,
}

/// A writer of events to standard error, each in a single write.
pub struct Events {
    reader: Reader,
}

impl Events {
    /// Starts the writer thread.
    pub fn start(reader: Reader) -> Self {
        QUEUE.get_or_init(|| {
            let (queue, entries) = mpsc::sync_channel(MAX_QUEUED_EVENTS);
            // Without the thread, all events are lost and counted.
            let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&entries));
            queue
        });
        Self { reader }
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Events {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event { reader: self.reader, level: Level::INFO }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Event {
        Event { reader: self.reader, level: *meta.level() }
    }
}

/// The writer of one event.
pub struct Event {
    reader: Reader,
    level: Level,
}

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = in_lines(&String::from_utf8_lossy(bytes), self.reader == Reader::Terminal);
        let text = match self.reader {
            Reader::Journal => with_priority(&text, self.level),
            Reader::Plain | Reader::Terminal => text,
        };
        let text = without_keys(text);
        if let Some(queue) = QUEUE.get()
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
                queue.try_send(Entry::Event(text))
        {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Redacts a key in all later events, even where a value on a page contains it.
///
/// Keys shorter than `MIN_HIDDEN` are not redacted: they also occur in ordinary words.
pub fn hide(key: &ApiKey) {
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    if key.len() >= MIN_HIDDEN && !keys.contains(key) {
        keys.push(key.clone());
    }
}

/// Returns a text without the keys that are hidden in the log.
pub fn redacted(text: &str) -> String {
    without_keys(text.to_owned())
}

fn without_keys(event: String) -> String {
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    keys.iter().fold(event, |event, key| key.redact(&event))
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

fn write_all(entries: &Receiver<Entry>) {
    for entry in entries {
        match entry {
            // The reader may have closed the pipe.
            Entry::Event(text) => drop(io::stderr().lock().write_all(text.as_bytes())),
            Entry::Flush(done) => drop(done.send(())),
        }
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                io::stderr().lock(),
                "{lost} log events were lost: standard error was not read in time"
            );
        }
    }
}

/// Returns an event with its continuation lines indented, and control characters as blanks.
///
/// Only the first line begins at the margin, so text from outside cannot pass for another event.
fn in_lines(event: &str, is_colored: bool) -> String {
    let (body, end) = match event.strip_suffix('\n') {
        Some(body) => (body, "\n"),
        None => (event, ""),
    };
    let mut text = String::with_capacity(event.len());
    for c in body.chars() {
        match c {
            '\n' => text.push_str("\n    "),
            '\t' => text.push(c),
            '\u{1b}' if is_colored => text.push(c),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => text.push(' '),
            _ if c.is_control() => text.push(' '),
            _ => text.push(c),
        }
    }
    text + end
}

/// Returns an event with the priority of its level before each line, as in syslog(3).
fn with_priority(event: &str, level: Level) -> String {
    let priority = match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    event.split_inclusive('\n').map(|line| format!("<{priority}>{line}")).collect()
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
    fn each_line_has_the_priority_of_its_event() {
        let event = "WARN a problem\n    of two lines\n";
        assert_eq!(with_priority(event, Level::WARN), "<4>WARN a problem\n<4>    of two lines\n");
        assert_eq!(with_priority("ERROR x\n", Level::ERROR), "<3>ERROR x\n");
    }

    #[test]
    fn a_key_in_an_event_is_redacted() {
        hide(&ApiKey::from("k-of-a-page"));
        hide(&ApiKey::from("k-before"));
        assert_eq!(
            without_keys("drift found=\"k-of-a-page k-before\" desired=\"k-of-a-pa…".to_owned()),
            "drift found=\"[key] [key]\" desired=\"[key]"
        );
    }

    #[test]
    fn external_text_cannot_forge_log_lines_or_move_the_cursor() {
        for (event, colored, expected) in [
            ("WARN a problem\n", false, "WARN a problem\n"),
            ("WARN reason=x\nERROR forged\n", false, "WARN reason=x\n    ERROR forged\n"),
            ("WARN \u{1b}[2Jgone\r\u{7}\n", false, "WARN  [2Jgone  \n"),
            ("\u{1b}[33mWARN\u{1b}[0m x\n", true, "\u{1b}[33mWARN\u{1b}[0m x\n"),
            ("WARN \u{202e}desrever\u{85}", false, "WARN  desrever "),
        ] {
            assert_eq!(in_lines(event, colored), expected, "{event:?}");
        }
    }
}
