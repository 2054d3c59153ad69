//! One input file: read until it is complete, parsed, and kept in its last good state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::calendar::Calendar;
use crate::limits::files::WRITER_TIMEOUT;
use crate::model::{Origin, Problem};
use crate::tables::{self, Format, Size, Table};
use crate::zone::Database;

use super::read::{Content, ReadFiles, Stamp, Unread};

/// The SHA-256 of a file's content.
pub type Digest = [u8; 32];

/// An input file: its current content, its last good content, and its problems.
#[derive(Debug)]
pub(super) struct InputFile {
    /// The name of its source or calendar in the settings.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Its path as the settings write it, for messages.
    pub(super) shown: Arc<str>,
    kind: Kind,
    /// The content accepted last, good or bad.
    taken: Option<Result<Arc<[u8]>, Unread>>,
    /// The stamp of the accepted content, if it is reliable.
    stamp: Option<Stamp>,
    /// Content that may be incomplete; accepted when the next read finds the same.
    unsure: Option<Arc<[u8]>>,
    /// The uptime at which waiting for its writer began.
    waits_since: Option<Duration>,
    /// The message about a file that is still being written, with its writer if known.
    unfinished: Option<String>,
    good: Option<Good>,
    problems: Vec<Problem>,
}

/// The kind of input that a file contains.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Source(Format),
    Calendar,
}

/// The last good content of a file.
#[derive(Clone, Debug)]
struct Good {
    parsed: Parsed,
    /// The problems that did not prevent its use.
    problems: Vec<Problem>,
    /// The bytes read; `None` if an earlier run of the program read them.
    bytes: Option<Arc<[u8]>>,
    digest: Digest,
    /// True if its last line has a line break.
    is_ended: bool,
}

/// The parsed content of a file.
#[derive(Clone, Debug)]
pub(super) enum Parsed {
    Table(Arc<Table>),
    Calendar(Arc<Calendar>),
}

/// The known state of a file's writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// It was written to and has not been closed.
    Busy,
    /// It was moved into place; its writer may still be active.
    Moved,
    /// Its writer has just closed it.
    Closed,
}

/// The result of reading the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadResult {
    /// True if content or problems changed.
    pub changed: bool,
    /// True if a file may be incomplete: read again soon.
    pub unsure: bool,
    /// True if a file waits for its writer or could not be read: read again later, as no event may
    /// come.
    pub waits: bool,
}

impl InputFile {
    /// Creates a file that is not read yet.
    pub(super) fn new(name: &str, path: &Path, shown: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            shown: shown.into(),
            kind,
            taken: None,
            stamp: None,
            unsure: None,
            waits_since: None,
            unfinished: None,
            good: None,
            problems: Vec::new(),
        }
    }

    /// Restores the last good content from an earlier run of the program, if there is any.
    ///
    /// The same content is not parsed again. Other content counts as unread.
    pub(super) fn recall(&mut self, bytes: Option<&[u8]>, zones: &Database) {
        let is_same = |good: &Good| bytes.is_some_and(|bytes| good.digest == digest(bytes));
        if self.good.as_ref().is_some_and(is_same) {
            return;
        }
        *self = Self::new(&self.name, &self.path, &self.shown, self.kind.clone());
        let Some(bytes) = bytes else { return };
        let (parsed, problems) = self.parse(bytes, zones);
        let (digest, is_ended) = (digest(bytes), is_ended(bytes));
        self.good = parsed.map(|parsed| Good { parsed, problems, bytes: None, digest, is_ended });
    }

    /// Returns true for a source, false for a calendar.
    pub(super) fn is_source(&self) -> bool {
        matches!(self.kind, Kind::Source(_))
    }

    /// Returns true while the file waits for its writer.
    pub(super) fn waits_for_writer(&self) -> bool {
        self.waits_since.is_some()
    }

    /// Returns the last good content.
    pub(super) fn parsed(&self) -> Option<&Parsed> {
        self.good.as_ref().map(|good| &good.parsed)
    }

    /// Returns the digest of the last good content.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.good.as_ref().map(|good| good.digest)
    }

    /// Returns the current content, if it is the last good one.
    pub(super) fn bytes_in_use(&self) -> Option<&Arc<[u8]>> {
        let read = self.good.as_ref()?.bytes.as_ref()?;
        let current = self.taken.as_ref()?.as_ref().ok()?;
        Arc::ptr_eq(read, current).then_some(current)
    }

    /// Returns the problems of the current content, and that it is still being written.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let unfinished = self.unfinished.as_ref().map(|message| {
            let problem = Problem::at(&Origin::named(self.shown.clone()), message.clone());
            problem.hint("end its last line, and rename it into place when it is finished")
        });
        self.problems.iter().cloned().chain(unfinished).collect()
    }

    /// Returns the identifier of the file's content in the store.
    pub(super) fn id(&self) -> String {
        self.path.display().to_string()
    }

    /// Reads the file and accepts new content that is complete.
    pub(super) fn read(
        &mut self,
        reader: &dyn ReadFiles,
        zones: &Database,
        writing: Option<Writing>,
    ) -> ReadResult {
        let stamp = reader.quiet_stamp(&self.path);
        if stamp.is_some() && stamp == self.stamp {
            return ReadResult::default();
        }
        let size = match &self.kind {
            Kind::Source(format) => format.layout.size,
            Kind::Calendar => Size::default(),
        };
        let found = reader.read(&self.path, size.bytes);
        let unread = found.as_ref().err().is_some_and(|unread| unread.may_pass);
        let known = match (&found, &self.taken) {
            (Ok(content), Some(Ok(taken))) => content.bytes == *taken,
            (Err(unread), Some(Err(taken))) => unread == taken,
            _ => false,
        };
        if known {
            // Only if it was read: an unreadable file may become readable with the same stamp.
            self.stamp = stamp.filter(|_| found.is_ok());
            (self.unsure, self.waits_since) = (None, None);
            return ReadResult { changed: self.unfinished.take().is_some(), unsure: false, waits: unread };
        }
        if let Ok(Content { bytes, steady, quiet }) = &found {
            let is_done = matches!(writing, Some(Writing::Moved | Writing::Closed));
            if !(*quiet || (*steady && (is_done || self.is_same_again(bytes)))) {
                self.unsure = Some(bytes.clone());
                return ReadResult { unsure: true, ..ReadResult::default() };
            }
            // Searching for writers takes milliseconds, and is unnecessary right after one closed
            // the file.
            let writer = if writing == Some(Writing::Closed) { None } else { reader.writer(&self.path) };
            if writing == Some(Writing::Busy) || writer.is_some() {
                return self.wait_for(writer, reader.uptime());
            }
        }
        self.stamp = stamp.filter(|_| found.is_ok());
        (self.unsure, self.waits_since, self.unfinished) = (None, None, None);
        self.take(found.map(|content| content.bytes), zones);
        ReadResult { changed: true, unsure: false, waits: unread }
    }

    /// Waits for a writer without limit; reports it after a while.
    fn wait_for(&mut self, writer: Option<String>, up: Duration) -> ReadResult {
        self.unsure = None;
        let since = *self.waits_since.get_or_insert(up);
        let is_long = up.saturating_sub(since) >= WRITER_TIMEOUT;
        let changed = is_long && self.unfinished.is_none();
        if changed {
            let by = writer.map_or_else(String::new, |writer| format!(" by {writer}"));
            let secs = WRITER_TIMEOUT.as_secs();
            self.unfinished = Some(format!(
                "the file has been open for writing{by} for more than {secs} s, so it is not read"
            ));
        }
        ReadResult { changed, unsure: false, waits: true }
    }

    /// Reports that the file is still being written, when the program stops waiting for it.
    pub(super) fn report_unfinished(&mut self) {
        if self.unsure.is_some() || self.waits_since.is_some() {
            self.unfinished = Some("the file is still being written".to_owned());
        }
    }

    /// Returns true if the previous read found the same and the text ends as a finished one does.
    fn is_same_again(&self, bytes: &[u8]) -> bool {
        self.unsure.as_deref() == Some(bytes) && bytes.ends_with(b"\n")
    }

    /// Accepts content. Good content replaces the previous; bad content only leaves its problems.
    fn take(&mut self, found: Result<Arc<[u8]>, Unread>, zones: &Database) {
        let (good, problems) = match &found {
            Ok(bytes) => {
                let digest = digest(bytes);
                let (parsed, problems) = match &self.good {
                    // At the start it is usually the content of the earlier run, already parsed.
                    Some(good) if good.digest == digest => (Some(good.parsed.clone()), good.problems.clone()),
                    _ => match (self.parse(bytes, zones), self.cut_off(bytes)) {
                        ((Some(_), _), Some(problem)) => (None, vec![problem]),
                        (parsed, _) => parsed,
                    },
                };
                let good = parsed.map(|parsed| Good {
                    parsed,
                    problems: problems.clone(),
                    bytes: Some(bytes.clone()),
                    digest,
                    is_ended: is_ended(bytes),
                });
                (good, problems)
            }
            Err(Unread { why, .. }) => {
                let problem = Problem::at(&Origin::named(self.shown.clone()), why.clone());
                let hint =
                    "put the file there, readable for this program, or correct its path in the settings";
                // Some messages already contain a hint.
                let problem = if why.contains("(hint: ") { problem } else { problem.hint(hint) };
                (None, vec![problem])
            }
        };
        self.good = good.or(self.good.take());
        self.problems = problems;
        self.taken = Some(found);
    }

    /// Reports a table without a line break at its end if the previous content had one.
    ///
    /// Nothing else shows that a table is truncated, while JSON and calendars have an end marker.
    fn cut_off(&self, bytes: &[u8]) -> Option<Problem> {
        let may_be_cut = matches!(&self.kind, Kind::Source(format) if !format.of.shows_its_end());
        let was_ended = self.good.as_ref().is_some_and(|good| good.is_ended);
        if !may_be_cut || !was_ended || is_ended(bytes) || bytes.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let line = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = Origin::line(&self.shown, line);
        let message = "the last line has lost the line break at its end: the file may be cut off";
        Some(Problem::at(&place, message).hint("write the whole file, with a line break at its end"))
    }

    fn parse(&self, bytes: &[u8], zones: &Database) -> (Option<Parsed>, Vec<Problem>) {
        if let Some(problem) = other_kind(&self.shown, bytes) {
            return (None, vec![problem]);
        }
        let parsed = match &self.kind {
            Kind::Calendar => {
                calendar(&self.shown, bytes, zones).map(|calendar| Parsed::Calendar(Arc::new(calendar)))
            }
            Kind::Source(format) => table(&self.shown, bytes, format)
                .map(|table| Parsed::Table(Arc::new(table.of_source(&self.name))))
                .map_err(|problem| vec![problem]),
        };
        match parsed {
            // Rejected rows are problems of the file, but the other rows are used.
            Ok(Parsed::Table(table)) => {
                let problems = match &*table {
                    Table::Rows(rows) => {
                        rows.rejected.iter().map(|rejected| rejected.problem.clone()).collect()
                    }
                    Table::Tree(_) => Vec::new(),
                };
                (Some(Parsed::Table(table)), problems)
            }
            Ok(Parsed::Calendar(calendar)) => {
                let warnings = calendar.warnings.clone();
                (Some(Parsed::Calendar(calendar)), warnings)
            }
            Err(problems) => (None, problems),
        }
    }
}

/// Reports a file whose content is clearly of a different kind than its name says.
fn other_kind(file: &Arc<str>, bytes: &[u8]) -> Option<Problem> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let head = text.get(..text.len().min(15)).unwrap_or_default().to_ascii_lowercase();
    let (what, hint) = match () {
        () if bytes.starts_with(b"PK\x03\x04") => {
            ("an Excel or OpenDocument workbook", "save the sheet as CSV (in Excel: \"CSV UTF-8\")")
        }
        () if bytes.starts_with(b"\xD0\xCF\x11\xE0") => {
            ("an old Excel workbook", "save the sheet as CSV (in Excel: \"CSV UTF-8\")")
        }
        () if bytes.starts_with(b"%PDF-") => ("a PDF", "export the table as CSV"),
        () if head.starts_with(b"<") => (
            "a web page, perhaps the one for signing in",
            "download the file itself: its address may need a login, or another link for exports",
        ),
        () => return None,
    };
    Some(Problem::at(&Origin::line(file, 1), format!("this file is {what}")).hint(hint))
}

fn is_ended(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n") || bytes.ends_with(b"\r")
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Parses a calendar; one without events is an error, because it would open every shop that it
/// closes.
fn calendar(file: &Arc<str>, bytes: &[u8], zones: &Database) -> Result<Calendar, Vec<Problem>> {
    let calendar = Calendar::parse(file, bytes, zones)?;
    match calendar.is_empty() {
        true => Err(vec![
            Problem::at(&Origin::line(file, 1), "the calendar has no events")
                .hint("remove it from the settings if it is not needed: an empty calendar changes nothing"),
        ]),
        false => Ok(calendar),
    }
}

fn table(file: &Arc<str>, bytes: &[u8], format: &Format) -> Result<Table, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::at(&Origin::line(file, 1), "the file is empty")
            .hint("write the file again: an empty file changes nothing"));
    }
    let text = tables::decode(file, bytes, format.layout.size.lines)?;
    format.of.parse(file, text, &format.layout)
}
