//! All input files: what they hold now, what they last held that was good, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::calendar::Calendar;
use crate::compile::Inputs;
use crate::model::{Origin, Problem};
use crate::settings::{Format, Settings};
use crate::tables::{self, Table};
use crate::zone::Database;

use super::read::{Content, Disk, ReadFiles, Stamp, Unread};

/// How long after a doubtful look the next one comes.
pub(super) const SECOND_LOOK: Duration = Duration::from_millis(150);

/// Looks that a command takes at files that are being written: six seconds' worth.
const MAX_LOOKS: usize = 40;
/// A file that is open for writing for longer is told of; it is waited for all the same.
const WRITER_PATIENCE: Duration = Duration::from_secs(60);

/// What is wrong with files, by the path that the settings write.
pub type FileProblems = BTreeMap<String, Vec<Problem>>;

/// The SHA-256 of a file's content.
pub type Digest = [u8; 32];

/// The inputs at one moment.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// What the sources and calendars hold: of a bad file what it last held that was good.
    pub inputs: Inputs,
    /// What is wrong with the files as they are now.
    pub problems: FileProblems,
    /// The content of each file that counts now.
    pub contents: Vec<GoodFile>,
    /// The paths of all files, also of those that could not be read.
    pub paths: BTreeSet<String>,
    /// What tells the content that counts from any other, by its path.
    pub digests: BTreeMap<String, Digest>,
}

/// A file of which what counts is what it holds now.
#[derive(Clone, Debug)]
pub struct GoodFile {
    /// What the settings call the source; none for a calendar.
    pub table: Option<String>,
    /// Where it is.
    pub path: String,
    /// What it holds.
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
    /// The content that was last taken, good or bad.
    taken: Option<Result<Arc<[u8]>, Unread>>,
    /// The stamp of the content that was taken, when it is one to rely on.
    stamp: Option<Stamp>,
    /// Content that somebody may still be writing; taken when the next look finds the same.
    unsure: Option<Arc<[u8]>>,
    /// Since which uptime its writer is waited for.
    waits_since: Option<Duration>,
    /// People are told that it is being written, and by whom as far as is known.
    unfinished: Option<String>,
    good: Option<Good>,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
enum Kind {
    Source(Format),
    Calendar,
}

/// What a file last held that was good.
#[derive(Clone, Debug)]
struct Good {
    parsed: Parsed,
    /// What was read; none for what an earlier run of the program read.
    bytes: Option<Arc<[u8]>>,
    digest: Digest,
    /// Its last line was ended.
    is_ended: bool,
}

#[derive(Clone, Debug)]
enum Parsed {
    Table(Arc<Table>),
    Calendar(Arc<Calendar>),
}

/// What is known of who writes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// It was written to and not closed yet.
    Busy,
    /// It was put into place; whoever wrote it may still be at it.
    Moved,
    /// Its writer has just closed it.
    Closed,
}

/// What is known of those who write the files; nothing of those that are not named.
pub type Writers = BTreeMap<PathBuf, Writing>;

/// What a look at the files found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Something changed.
    pub changed: bool,
    /// A file may still be being written; look again soon.
    pub unsure: bool,
    /// A file waits for its writer, or could not be read: look again in a while, though no event may come.
    pub waits: bool,
}

impl Files {
    /// The files that the settings name; none is read yet.
    pub fn new(settings: &Settings) -> Self {
        Self::read_by(settings, Box::new(Disk::default()))
    }

    /// The same, read from elsewhere than the disk.
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

    /// The files' paths.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Goes back to what the files last held that was good, from an earlier run of the program.
    pub fn recall(&mut self, remembered: &BTreeMap<String, Vec<u8>>) -> Revision {
        for file in &mut self.files {
            if let Some(bytes) = remembered.get(&file.id()) {
                file.good = file.parse(bytes, &self.zones).0.map(|parsed| Good::new(parsed, bytes));
            }
        }
        self.revision()
    }

    /// Looks at every file. New content counts at once when its writer is done with it, or it has lain untouched. Else it
    /// counts when a second look finds the same. While somebody has it open for writing it never does.
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

    /// Looks until no file is being written any more; for commands that run once. One that is written without
    /// end counts as it last was good, and is told.
    pub fn settle(&mut self) {
        self.settle_within(MAX_LOOKS);
        self.files.iter_mut().for_each(InputFile::tell_unfinished);
    }

    /// The same within so many looks, for who goes on looking: a file that is replaced again and again must not keep a
    /// program from its other files.
    pub fn settle_within(&mut self, looks: usize) {
        for _ in 0..looks {
            let looked = self.look(&Writers::default());
            if !(looked.unsure || looked.waits && self.files.iter().any(|file| file.waits_since.is_some())) {
                return;
            }
            std::thread::sleep(SECOND_LOOK);
        }
    }

    /// What the files hold.
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
    /// What names the file's content in the store.
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
            // Only of what was read: an unreadable file may be readable the next time, though its stamp is the same.
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
            // To look for writers takes milliseconds, and one that has just closed it is none.
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

    /// Waits for a writer, however long; after a while people are told.
    fn wait_for(&mut self, writer: Option<String>, up: Duration) -> Looked {
        self.unsure = None;
        let since = *self.waits_since.get_or_insert(up);
        let is_long = up.saturating_sub(since) >= WRITER_PATIENCE;
        let changed = is_long && self.unfinished.is_none();
        if changed {
            let by = writer.map_or_else(String::new, |writer| format!(" by {writer}"));
            let secs = WRITER_PATIENCE.as_secs();
            self.unfinished =
                Some(format!("the file is open for writing{by} for more than {secs} s, so it is not read"));
        }
        Looked { changed, unsure: false, waits: true }
    }

    /// Tells that nobody waits any longer for a writer.
    fn tell_unfinished(&mut self) {
        if self.unsure.is_some() || self.waits_since.is_some() {
            self.unfinished = Some("the file is still being written".to_owned());
        }
    }

    /// Whether a look before this found the same, and it ends as a finished text does.
    fn is_same_again(&self, bytes: &[u8]) -> bool {
        self.unsure.as_deref() == Some(bytes) && bytes.ends_with(b"\n")
    }

    /// Takes content in. What is good replaces what was; what is bad only leaves its problems.
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
                // Some say themselves what to do.
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

    /// The problem with a table that does not end its last line, although it did before: in a table that is cut off
    /// nothing else tells, while JSON and calendars have an end of their own.
    fn cut_off(&self, bytes: &[u8]) -> Option<Problem> {
        let is_table = matches!(self.kind, Kind::Source(Format::Csv { .. }));
        let was_ended = self.good.as_ref().is_some_and(|good| good.is_ended);
        if !is_table || !was_ended || is_ended(bytes) || bytes.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let line = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = Origin::line(&self.shown, line);
        let message = "the last line has no line break at its end, as it had before: the file may be cut off";
        Some(Problem::at(&place, message).hint("write the file whole, with a line break at its end"))
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
            // Rejected rows are problems of the file, though the others count.
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

/// The problem with a file that is plainly something else than its name says.
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

/// A calendar that lost all its events would open every shop it closes, so it counts as empty.
fn calendar(file: &Arc<str>, bytes: &[u8], zones: &Database) -> Result<Calendar, Vec<Problem>> {
    let calendar = Calendar::parse(file, bytes, zones)?;
    match calendar.is_empty() {
        true => Err(vec![
            Problem::at(&Origin::line(file, 1), "the calendar has no events")
                .hint("an empty calendar changes nothing; remove it from the settings if it is not needed"),
        ]),
        false => Ok(calendar),
    }
}

fn table(file: &Arc<str>, bytes: &[u8], format: &Format) -> Result<Table, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::at(&Origin::line(file, 1), "the file is empty")
            .hint("an empty file changes nothing; write it anew"));
    }
    let text = tables::decode(file, bytes)?;
    match format {
        Format::Csv { delimiter, key } => {
            tables::parse_csv(file, text, *delimiter, key.as_deref()).map(Table::Rows)
        }
        Format::Json => tables::parse_json(file, text).map(Table::Tree),
    }
}
