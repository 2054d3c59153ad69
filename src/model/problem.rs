//! Where a value stands and what is wrong with it.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file as the settings name it, or `environment RTCONFD_…`, or `--set …`.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the place has no lines (an environment variable).
    pub line: usize,
    /// Column in characters, from 1; 0 when unknown.
    pub column: usize,
    /// The table column the value stands in, if it stands in a table.
    pub field: Option<Arc<str>>,
    /// Bytes of the value in the file, for a caret under it; empty when unknown.
    pub bytes: Range<u32>,
    /// The further places of a value that several cells make; a pointer, since nearly all have none.
    pub others: Option<Arc<Vec<Origin>>>,
}

impl Origin {
    /// A place that has no lines, such as an environment variable.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { file: name.into(), ..Self::default() }
    }

    /// A line of a file.
    pub fn line(file: &Arc<str>, line: usize) -> Self {
        Self { file: file.clone(), line, ..Self::default() }
    }

    /// The bytes of the value in the file.
    pub fn span(&self) -> Range<usize> {
        let place = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX);
        place(self.bytes.start)..place(self.bytes.end)
    }

    /// The place of a value that is made of what stands at several; none where there is none.
    pub fn of_all(places: Vec<Origin>) -> Option<Self> {
        let mut places = places.into_iter();
        let first = places.next()?;
        let others: Vec<Origin> = places.collect();
        Some(Self { others: (!others.is_empty()).then(|| Arc::new(others)), ..first })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        match &self.field {
            Some(field) => write!(f, ", column \"{field}\"")?,
            None if self.column > 0 => write!(f, ":{}", self.column)?,
            None => {}
        }
        let mut before = self;
        for other in self.others.iter().flat_map(|others| others.iter()) {
            match &other.field {
                // Of the same row only the column is another.
                Some(field) if (&other.file, other.line) == (&before.file, before.line) => {
                    write!(f, " and \"{field}\"")?;
                }
                _ => write!(f, " and {other}")?,
            }
            before = other;
        }
        Ok(())
    }
}

/// How bad a problem is: an error withholds something, a warning only tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is withheld because of it.
    Error,
    /// Worth a person's look; nothing is withheld.
    Warning,
}

/// Something wrong with an input: what, where, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Where it stands.
    pub origin: Option<Origin>,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line may hold a secret, so it is never printed.
    pub secret: bool,
}

impl Problem {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, origin: None, message: message.into(), hint: None, secret: false }
    }

    /// An error at a place.
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), ..Self::new(message) }
    }

    /// True for an error, which withholds something; false for a warning.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same, naming what it concerns in front of the message.
    #[must_use]
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }
}

/// One line, as the log and the tables show it: place, message, remedy.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// The same problems in their order, each once.
pub fn each_once<'p>(problems: impl IntoIterator<Item = &'p Problem>) -> Vec<Problem> {
    let mut seen = HashSet::new();
    problems.into_iter().filter(|problem| seen.insert(*problem)).cloned().collect()
}

/// Bytes of the longest word that is compared: what is longer is no slip of the pen, and comparing costs the square.
const MAX_WORD: usize = 100;

/// The known word that `word` was most likely meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .filter(|candidate| candidate.len().max(word.len()) <= MAX_WORD)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
