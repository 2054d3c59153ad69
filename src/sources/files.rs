//! All input files: what they hold now, what they last held that was good, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::calendar::Calendar;
use crate::desired::Inputs;
use crate::model::{Origin, Problem};
use crate::settings::{Format, Settings, StorePath};
use crate::tables::{self, Table};
use crate::zone::Database;

use super::read::{Content, Disk, ReadFiles, Stamp};

/// Looks that a command takes at files that are being written: six seconds' worth.
const MAX_LOOKS: usize = 40;

/// What is wrong with files, by the path that the settings write.
pub type FileProblems = BTreeMap<String, Vec<Problem>>;

/// The inputs at one moment.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// What the sources and calendars hold: of a bad file what it last held that was good.
    pub inputs: Inputs,
    /// What is wrong with the files as they are now.
    pub problems: FileProblems,
    /// The content of each file that counts now.
    pub contents: Vec<GoodFile>,
    /// What tells the content that counts from any other, by its path.
    pub digests: BTreeMap<String, u64>,
}

/// A file of which what counts is what it holds now.
#[derive(Clone, Debug)]
pub struct GoodFile {
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
    /// The name of the store, which may lie beside them.
    store: Option<OsString>,
}

#[derive(Debug)]
struct InputFile {
    name: String,
    path: PathBuf,
    shown: Arc<str>,
    kind: Kind,
    /// The content that was last taken, good or bad.
    taken: Option<Result<Arc<[u8]>, String>>,
    /// The stamp of what was taken, when it is one to rely on.
    stamp: Option<Stamp>,
    /// Content that somebody may still be writing; taken when the next look finds the same.
    unsure: Option<Arc<[u8]>>,
    /// Nobody waits any longer for its writer.
    is_unfinished: bool,
    good: Option<(Parsed, u64)>,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
enum Kind {
    Source(Format),
    Calendar,
}

#[derive(Clone, Debug)]
enum Parsed {
    Table(Arc<Table>),
    Calendar(Arc<Calendar>),
}

/// What is known of those who write the files.
#[derive(Clone, Debug, Default)]
pub struct Writers {
    /// Files whose writer has just closed them, or put them into place.
    pub done: BTreeSet<PathBuf>,
    /// Files that were written to and not closed yet.
    pub busy: BTreeSet<PathBuf>,
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Something changed.
    pub changed: bool,
    /// A file may still be being written; look again soon.
    pub unsure: bool,
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
            is_unfinished: false,
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
        let store = match &settings.store {
            StorePath::File(path) => path.file_name().map(ToOwned::to_owned),
            StorePath::Memory => None,
        };
        Self {
            files: sources.chain(calendars).collect(),
            reader,
            zones: settings.blueprint.zones.clone(),
            store,
        }
    }

    /// The files' paths.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Whether a path is of the program's own store: what it writes there is no reason to look at the files.
    pub(super) fn is_ours(&self) -> impl Fn(&Path) -> bool + Send + use<> {
        let ours = self.store.iter().flat_map(|store| {
            ["", "-wal", "-shm", "-journal", ".lock"].map(|suffix| {
                let mut name = store.clone();
                name.push(suffix);
                name
            })
        });
        let ours: Vec<OsString> = ours.collect();
        move |path| path.file_name().is_some_and(|name| ours.iter().any(|ours| ours == name))
    }

    /// Goes back to what the files last held that was good, from an earlier run of the program.
    pub fn recall(&mut self, remembered: &BTreeMap<String, Vec<u8>>) -> Revision {
        for file in &mut self.files {
            if let Some(bytes) = remembered.get(&file.id()) {
                file.good = file.parse(bytes, &self.zones).0.map(|parsed| (parsed, digest(bytes)));
            }
        }
        self.revision()
    }

    /// Looks at every file. New content counts at once when its writer is done with it: the file is in
    /// `writers.done`, or has lain untouched. Else it counts when a second look finds the same, unless somebody is
    /// known to have it open still.
    pub fn look(&mut self, writers: &Writers) -> Looked {
        let mut looked = Looked::default();
        for file in &mut self.files {
            let found = file.look(
                &*self.reader,
                &self.zones,
                writers.done.contains(&file.path),
                writers.busy.contains(&file.path),
            );
            looked.changed |= found.changed;
            looked.unsure |= found.unsure;
        }
        looked
    }

    /// Looks until no file is being written any more; for commands that run once. One that is written without
    /// end counts as it last was good, and is told.
    pub fn settle(&mut self) {
        for _ in 0..MAX_LOOKS {
            if !self.look(&Writers::default()).unsure {
                return;
            }
            std::thread::sleep(super::watch::SECOND_LOOK);
        }
        self.files.iter_mut().for_each(|file| file.is_unfinished = file.unsure.is_some());
    }

    /// What the files hold.
    pub fn revision(&self) -> Revision {
        let mut revision = Revision::default();
        for file in &self.files {
            revision.digests.extend(file.good.iter().map(|(_, digest)| (file.id(), *digest)));
            match file.good.as_ref().map(|(parsed, _)| parsed) {
                Some(Parsed::Table(table)) => {
                    revision.inputs.tables.insert(file.name.clone(), table.clone());
                }
                Some(Parsed::Calendar(calendar)) => {
                    revision.inputs.calendars.insert(file.name.clone(), calendar.clone());
                }
                None => {}
            }
            let unfinished = file.is_unfinished.then(|| {
                let problem =
                    Problem::at(&Origin::named(file.shown.clone()), "the file is still being written");
                problem.hint("end its last line, and rename it into place when it is finished")
            });
            let problems: Vec<Problem> = file.problems.iter().cloned().chain(unfinished).collect();
            if !problems.is_empty() {
                revision.problems.insert(file.shown.to_string(), problems);
            }
            if let (Some((_, known)), Some(Ok(bytes))) = (&file.good, &file.taken)
                && *known == digest(bytes)
            {
                revision.contents.push(GoodFile { path: file.id(), bytes: bytes.clone() });
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

    fn look(&mut self, reader: &dyn ReadFiles, zones: &Database, done: bool, busy: bool) -> Looked {
        let stamp = reader.quiet_stamp(&self.path);
        if stamp.is_some() && stamp == self.stamp {
            return Looked::default();
        }
        let found = reader.read(&self.path);
        self.stamp = stamp;
        let known = match (&found, &self.taken) {
            (Ok(content), Some(Ok(taken))) => content.bytes == *taken,
            (Err(error), Some(Err(taken))) => error == taken,
            _ => false,
        };
        if known {
            self.unsure = None;
            return Looked { changed: std::mem::take(&mut self.is_unfinished), unsure: false };
        }
        if let Ok(Content { bytes, steady, quiet }) = &found
            && !(*quiet || (*steady && (done || (!busy && self.is_same_again(bytes)))))
        {
            self.unsure = Some(bytes.clone());
            return Looked { changed: false, unsure: true };
        }
        (self.unsure, self.is_unfinished) = (None, false);
        self.take(found.map(|content| content.bytes), zones);
        Looked { changed: true, unsure: false }
    }

    /// Whether a look before this found the same, and it ends as a finished text does.
    fn is_same_again(&self, bytes: &[u8]) -> bool {
        self.unsure.as_deref() == Some(bytes) && bytes.ends_with(b"\n")
    }

    /// Takes content in. What is good replaces what was; what is bad only leaves its problems.
    fn take(&mut self, found: Result<Arc<[u8]>, String>, zones: &Database) {
        let (parsed, problems) = match &found {
            Ok(bytes) => self.parse(bytes, zones),
            Err(error) => {
                let problem = Problem::at(&Origin::named(self.shown.clone()), error.clone());
                let hint =
                    "put the file there, readable for this program, or correct its path in the settings";
                // Some say themselves what to do.
                let problem = if error.contains("(hint: ") { problem } else { problem.hint(hint) };
                (None, vec![problem])
            }
        };
        let parsed = parsed.map(|parsed| (parsed, found.as_deref().map_or(0, digest)));
        self.good = parsed.or(self.good.take());
        self.problems = problems;
        self.taken = Some(found);
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

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
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
