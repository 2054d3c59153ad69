//! The place of a value, and a problem with it.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The place where a value was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file as the settings name it, or `environment RTCONFD_…`, or `--set …`.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the place has no lines (an environment variable).
    pub line: usize,
    /// Column in characters, from 1; 0 when unknown.
    pub column: usize,
    /// The table column of the value, if it is in a table.
    pub field: Option<Arc<str>>,
    /// The byte range of the value in the file, for underlining it; empty when unknown.
    pub bytes: Range<u32>,
    /// The further places of a value built from several cells.
    ///
    /// A pointer, because nearly all values have none.
    pub others: Option<Arc<Vec<Origin>>>,
}

impl Origin {
    /// Creates a place that has no lines, such as an environment variable.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { file: name.into(), ..Self::default() }
    }

    /// Creates a place for a line of a file.
    pub fn line(file: &Arc<str>, line: usize) -> Self {
        Self { file: file.clone(), line, ..Self::default() }
    }

    /// Returns the byte range of the value in the file.
    pub fn span(&self) -> Range<usize> {
        let place = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX);
        place(self.bytes.start)..place(self.bytes.end)
    }

    /// Combines the places of a value built from several; returns none for an empty list.
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
                // In the same row only the column differs.
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

/// The severity of a problem: an error withholds something, a warning only informs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is withheld because of it.
    Error,
    /// Worth a person's attention; nothing is withheld.
    Warning,
}

/// A problem with an input: message, place and hint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// The place of the problem.
    pub origin: Option<Origin>,
    /// The message, naming the affected item.
    pub message: String,
    /// The suggested fix.
    pub hint: Option<String>,
    /// True if the line may hold a secret; it is never printed then.
    pub secret: bool,
}

impl Problem {
    /// Creates an error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, origin: None, message: message.into(), hint: None, secret: false }
    }

    /// Creates an error at a place.
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), ..Self::new(message) }
    }

    /// Returns true for an error, which withholds something; false for a warning.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint: the known word most similar to `word`, or else `otherwise`.
    #[must_use]
    pub fn did_you_mean<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
        otherwise: impl Into<String>,
    ) -> Self {
        match nearest(word, known) {
            Some(known) => self.hint(format!("did you mean \"{known}\"?")),
            None => self.hint(otherwise),
        }
    }

    /// Turns the problem into a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Prefixes the message with its subject.
    #[must_use]
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }
}

/// Formats the problem as one line, as in the log and tables: place, message, hint.
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

/// Returns the problems in their order, without duplicates.
pub fn each_once<'p>(problems: impl IntoIterator<Item = &'p Problem>) -> Vec<Problem> {
    let mut seen = HashSet::new();
    problems.into_iter().filter(|problem| seen.insert(*problem)).cloned().collect()
}

/// Maximum bytes of a word that is compared.
///
/// A longer one is not a typing error, and the cost of comparing is quadratic.
const WORD_LENGTH: usize = 100;

/// Returns the known word most similar to `word`.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .filter(|candidate| candidate.len().max(word.len()) <= WORD_LENGTH)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
