//! All input files: their current content, their last good content, and their problems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::compile::{Inputs, sources_of_variants};
use crate::limits::files::COMMAND_WAIT;
use crate::model::Problem;
use crate::settings::Settings;
use crate::zone::Database;

use super::input_file::{Digest, InputFile, Kind, Parsed, ReadResult, Writing};
use super::read::{Disk, ReadFiles};

/// The delay before a file that may be incomplete is read again.
pub(super) const SECOND_READ: Duration = Duration::from_millis(150);

/// The reads of a command while files are being written.
const READS: usize = (COMMAND_WAIT.as_millis() / SECOND_READ.as_millis()) as usize;

/// The problems of files, by the path as written in the settings.
pub type FileProblems = BTreeMap<String, Vec<Problem>>;

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

/// The known writer states, by path; nothing is known about other files.
pub type Writers = BTreeMap<PathBuf, Writing>;

impl Files {
    /// Creates the list of files that pages and hours use; none is read yet.
    pub fn new(settings: &Settings) -> Self {
        Self::read_by(settings, Box::new(Disk::default()))
    }

    /// Creates the list of files with another reader than the disk.
    pub fn read_by(settings: &Settings, reader: Box<dyn ReadFiles>) -> Self {
        let only_of_variants = sources_of_variants(&settings.blueprint, &settings.variants);
        Self::of(settings, reader, |source| !only_of_variants.contains(source))
    }

    /// Creates the list of all files, with those that only variants use.
    pub fn with_variants(settings: &Settings) -> Self {
        Self::of(settings, Box::new(Disk::default()), |_| true)
    }

    fn of(settings: &Settings, reader: Box<dyn ReadFiles>, is_used: impl Fn(&str) -> bool) -> Self {
        let used = settings.sources.iter().filter(|(name, _)| is_used(name));
        let sources = used.map(|(name, source)| {
            InputFile::new(name, &source.path, &source.shown, Kind::Source(source.format.clone()))
        });
        let calendars = settings
            .calendars
            .iter()
            .map(|(name, calendar)| InputFile::new(name, &calendar.path, &calendar.shown, Kind::Calendar));
        Self { files: sources.chain(calendars).collect(), reader, zones: settings.blueprint.zones.clone() }
    }

    /// Returns the paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Restores the last good contents from an earlier run of the program.
    ///
    /// Content that was read before counts as unread, except for the same content.
    pub fn recall(&mut self, remembered: &BTreeMap<String, Vec<u8>>) -> Revision {
        for file in &mut self.files {
            file.recall(remembered.get(&file.id()).map(Vec::as_slice), &self.zones);
        }
        self.revision()
    }

    /// Reads every file and accepts new content that is complete.
    ///
    /// New content is accepted immediately when its writer has finished or the file has been
    /// untouched for a while; otherwise when a second read finds the same. It is never accepted
    /// while a process has the file open for writing.
    pub fn read(&mut self, writers: &Writers) -> ReadResult {
        let mut result = ReadResult::default();
        for file in &mut self.files {
            let found = file.read(&*self.reader, &self.zones, writers.get(&file.path).copied());
            result.changed |= found.changed;
            result.unsure |= found.unsure;
            result.waits |= found.waits;
        }
        result
    }

    /// Reads until no file is being written; for commands that run once.
    ///
    /// A file that is still being written after that keeps its last good content and is reported.
    pub fn settle(&mut self) {
        self.settle_within(READS);
        self.files.iter_mut().for_each(InputFile::report_unfinished);
    }

    /// Reads as [`settle`](Self::settle) does, but at most `reads` times, for a caller that
    /// continues reading: a file that is replaced again and again must not block the other files.
    pub fn settle_within(&mut self, reads: usize) {
        for _ in 0..reads {
            let result = self.read(&Writers::default());
            if !(result.unsure || result.waits && self.files.iter().any(InputFile::waits_for_writer)) {
                return;
            }
            std::thread::sleep(SECOND_READ);
        }
    }

    /// Returns the current contents and problems.
    pub fn revision(&self) -> Revision {
        let mut revision = Revision::default();
        for file in &self.files {
            revision.paths.insert(file.id());
            revision.digests.extend(file.digest().map(|digest| (file.id(), digest)));
            match file.parsed() {
                Some(Parsed::Table(table)) => {
                    revision.inputs.tables.insert(file.name.clone(), table.clone());
                }
                Some(Parsed::Calendar(calendar)) => {
                    revision.inputs.calendars.insert(file.name.clone(), calendar.clone());
                }
                None => {}
            }
            let problems = file.problems();
            if !problems.is_empty() {
                revision.problems.insert(file.shown.to_string(), problems);
            }
            revision.contents.extend(file.bytes_in_use().map(|bytes| GoodFile {
                table: file.is_source().then(|| file.name.clone()),
                path: file.id(),
                bytes: bytes.clone(),
            }));
        }
        revision
    }
}
