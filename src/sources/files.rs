//! All input files: their current content, their last good content, and their problems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::calendar::Calendar;
use crate::compile::Inputs;
use crate::model::{Origin, Problem};
use crate::settings::Settings;
use crate::tables::{self, Format, Table};
use crate::zone::Database;

use super::read::{Content, Disk, ReadFiles, Stamp, Unread};

/// The delay before a file that may be incomplete is read again.
pub(super) const SECOND_LOOK: Duration = Duration::from_millis(150);

/// Maximum reads by a command while files are being written: six seconds' worth.
const MAX_LOOKS: usize = 40;
/// The time after which a file open for writing is reported; the program still waits for it.
const WRITER_PATIENCE: Duration = Duration::from_secs(60);

/// The problems of files, by the path as written in the settings.
pub type FileProblems = BTreeMap<String, Vec<Problem>>;

/// The SHA-256 of a file's content.
pub type Digest = [u8; 32];

/// The inputs at one moment.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// The contents of the sources and calendars; the last good content for a bad file.
    pub inputs: Inputs,
    /// The problems of the files in their current state.
    pub problems: FileProblems,
    /// Each file whose current content is in use.
    pub contents: Vec<GoodFile>,
    /// The paths of all files, also of those that could not be read.
    pub paths: BTreeSet<String>,
    /// The digest of the content in use, by path.
    pub digests: BTreeMap<String, Digest>,
}

/// A file whose current content is in use.
#[derive(Clone, Debug)]
pub struct GoodFile {
    /// The source's name in the settings; `None` for a calendar.
    pub table: Option<String>,
    /// The path of the file.
    pub path: String,
    /// The content of the file.
    pub bytes: Arc<[u8]>,
}

/// The input files of the settings.
#[derive(Debug)]
pub struct Files {
    files: Vec<InputFile>,
    reader: Box<dyn ReadFiles>,
    zones: Arc<Database>,
}

#[derive(Debug)]
struct InputFile {
    name: String,
    path: PathBuf,
    shown: Arc<str>,
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

#[derive(Clone, Debug)]
enum Kind {
    Source(Format),
    Calendar,
}

/// The last good content of a file.
#[derive(Clone, Debug)]
struct Good {
    parsed: Parsed,
    /// The bytes read; `None` if an earlier run of the program read them.
    bytes: Option<Arc<[u8]>>,
    digest: Digest,
    /// True if its last line has a line break.
    is_ended: bool,
}

#[derive(Clone, Debug)]
enum Parsed {
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

/// The known writer states, by path; nothing is known about other files.
pub type Writers = BTreeMap<PathBuf, Writing>;

/// The result of reading the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// True if content or problems changed.
    pub changed: bool,
    /// True if a file may be incomplete: read again soon.
    pub unsure: bool,
    /// True if a file waits for its writer or could not be read: read again later, as no event may
    /// come.
    pub waits: bool,
}

impl Files {
    /// Creates the list of files that the settings name; none is read yet.
    pub fn new(settings: &Settings) -> Self {
        Self::read_by(settings, Box::new(Disk::default()))
    }

    /// Creates the list of files with another reader than the disk.
    pub fn read_by(settings: &Settings, reader: Box<dyn ReadFiles>) -> Self {
        let file = |name: &String, path: &Path, shown: &str, kind: Kind| InputFile {
            name: name.clone(),
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
        };
        let sources = settings.sources.iter().map(|(name, source)| {
            file(name, &source.path, &source.shown, Kind::Source(source.format.clone()))
        });
        let calendars = settings
            .calendars
            .iter()
            .map(|(name, calendar)| file(name, &calendar.path, &calendar.shown, Kind::Calendar));
        Self { files: sources.chain(calendars).collect(), reader, zones: settings.blueprint.zones.clone() }
    }

    /// Returns the paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Restores the last good contents from an earlier run of the program.
    pub fn recall(&mut self, remembered: &BTreeMap<String, Vec<u8>>) -> Revision {
        for file in &mut self.files {
            if let Some(bytes) = remembered.get(&file.id()) {
                file.good = file.parse(bytes, &self.zones).0.map(|parsed| Good::new(parsed, bytes));
            }
        }
        self.revision()
    }

    /// Reads every file and accepts new content that is complete.
    ///
    /// New content is accepted immediately when its writer has finished or the file has been
    /// untouched for a while; otherwise when a second read finds the same. It is never accepted
    /// while a process has the file open for writing.
    pub fn look(&mut self, writers: &Writers) -> Looked {
        let mut looked = Looked::default();
        for file in &mut self.files {
            let found = file.look(&*self.reader, &self.zones, writers.get(&file.path).copied());
            looked.changed |= found.changed;
            looked.unsure |= found.unsure;
            looked.waits |= found.waits;
        }
        looked
    }

    /// Reads until no file is being written; for commands that run once.
    ///
    /// A file that is still being written after that keeps its last good content and is reported.
    pub fn settle(&mut self) {
        self.settle_within(MAX_LOOKS);
        self.files.iter_mut().for_each(InputFile::report_unfinished);
    }

    /// Reads as [`settle`](Self::settle) does, but at most `looks` times, for a caller that
    /// continues reading: a file that is replaced again and again must not block the other files.
    pub fn settle_within(&mut self, looks: usize) {
        for _ in 0..looks {
            let looked = self.look(&Writers::default());
            if !(looked.unsure || looked.waits && self.files.iter().any(|file| file.waits_since.is_some())) {
                return;
            }
            std::thread::sleep(SECOND_LOOK);
        }
    }

    /// Returns the current contents and problems.
    pub fn revision(&self) -> Revision {
        let mut revision = Revision::default();
        for file in &self.files {
            revision.paths.insert(file.id());
            revision.digests.extend(file.good.iter().map(|good| (file.id(), good.digest)));
            match file.good.as_ref().map(|good| &good.parsed) {
                Some(Parsed::Table(table)) => {
                    revision.inputs.tables.insert(file.name.clone(), table.clone());
                }
                Some(Parsed::Calendar(calendar)) => {
                    revision.inputs.calendars.insert(file.name.clone(), calendar.clone());
                }
                None => {}
            }
            let unfinished = file.unfinished.as_ref().map(|message| {
                let problem = Problem::at(&Origin::named(file.shown.clone()), message.clone());
                problem.hint("end its last line, and rename it into place when it is finished")
            });
            let problems: Vec<Problem> = file.problems.iter().cloned().chain(unfinished).collect();
            if !problems.is_empty() {
                revision.problems.insert(file.shown.to_string(), problems);
            }
            if let (Some(good), Some(Ok(bytes))) = (&file.good, &file.taken)
                && good.bytes.as_ref().is_some_and(|read| Arc::ptr_eq(read, bytes))
            {
                revision.contents.push(GoodFile {
                    table: matches!(file.kind, Kind::Source(_)).then(|| file.name.clone()),
                    path: file.id(),
                    bytes: bytes.clone(),
                });
            }
        }
        revision
    }
}

impl InputFile {
    /// Returns the identifier of the file's content in the store.
    fn id(&self) -> String {
        self.path.display().to_string()
    }

    fn look(&mut self, reader: &dyn ReadFiles, zones: &Database, writing: Option<Writing>) -> Looked {
        let stamp = reader.quiet_stamp(&self.path);
        if stamp.is_some() && stamp == self.stamp {
            return Looked::default();
        }
        let found = reader.read(&self.path);
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
            return Looked { changed: self.unfinished.take().is_some(), unsure: false, waits: unread };
        }
        if let Ok(Content { bytes, steady, quiet }) = &found {
            let is_done = matches!(writing, Some(Writing::Moved | Writing::Closed));
            if !(*quiet || (*steady && (is_done || self.is_same_again(bytes)))) {
                self.unsure = Some(bytes.clone());
                return Looked { unsure: true, ..Looked::default() };
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
        Looked { changed: true, unsure: false, waits: unread }
    }

    /// Waits for a writer without limit; reports it after a while.
    fn wait_for(&mut self, writer: Option<String>, up: Duration) -> Looked {
        self.unsure = None;
        let since = *self.waits_since.get_or_insert(up);
        let is_long = up.saturating_sub(since) >= WRITER_PATIENCE;
        let changed = is_long && self.unfinished.is_none();
        if changed {
            let by = writer.map_or_else(String::new, |writer| format!(" by {writer}"));
            let secs = WRITER_PATIENCE.as_secs();
            self.unfinished = Some(format!(
                "the file has been open for writing{by} for more than {secs} s, so it is not read"
            ));
        }
        Looked { changed, unsure: false, waits: true }
    }

    /// Reports that the file is still being written, when the program stops waiting for it.
    fn report_unfinished(&mut self) {
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
        let (parsed, problems) = match &found {
            Ok(bytes) => match (self.parse(bytes, zones), self.cut_off(bytes)) {
                ((Some(_), _), Some(problem)) => (None, vec![problem]),
                (parsed, _) => parsed,
            },
            Err(Unread { why, .. }) => {
                let problem = Problem::at(&Origin::named(self.shown.clone()), why.clone());
                let hint =
                    "put the file there, readable for this program, or correct its path in the settings";
                // Some messages already contain a hint.
                let problem = if why.contains("(hint: ") { problem } else { problem.hint(hint) };
                (None, vec![problem])
            }
        };
        let good = parsed.zip(found.as_ref().ok());
        let good =
            good.map(|(parsed, bytes)| Good { bytes: Some(bytes.clone()), ..Good::new(parsed, bytes) });
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

impl Good {
    fn new(parsed: Parsed, bytes: &[u8]) -> Self {
        Self { parsed, bytes: None, digest: digest(bytes), is_ended: is_ended(bytes) }
    }
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
    let text = tables::decode(file, bytes)?;
    format.of.parse(file, text, &format.layout)
}
