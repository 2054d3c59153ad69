//! Problems as users see them: the place with a caret under it, the rule, the remedy.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::limits::settings::MAX_SHOWN_PROBLEMS;
use crate::model::{Problem, Severity};

/// Maximum bytes of a line shown with a caret; for a longer line only the place is named.
const LINE_SHOWN: usize = 1_000;

/// All problems of a run, with the text of the settings file in which to show them.
#[derive(Clone, Debug)]
pub struct Report {
    file: String,
    text: String,
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Creates a report without problems.
    pub fn new(file: &Path, text: &str) -> Self {
        Self { file: file.display().to_string(), text: text.to_owned(), problems: Vec::new() }
    }

    /// Returns the report with problems added, sorted by place.
    #[must_use]
    pub fn with(mut self, problems: Vec<Problem>) -> Self {
        self.problems.extend(problems);
        self.problems.sort_by_key(|problem| {
            problem.origin.as_ref().map_or((1, 0, 0), |origin| (0, origin.line, origin.column))
        });
        self.problems.dedup();
        self
    }

    /// Renders the report as text; `color` is for terminals.
    pub fn render(&self, color: bool) -> String {
        let shown = self.problems.iter().take(MAX_SHOWN_PROBLEMS);
        let mut texts: Vec<String> = shown.map(|problem| self.render_one(problem, color)).collect();
        if let Some(more) = self.problems.len().checked_sub(MAX_SHOWN_PROBLEMS).filter(|more| *more > 0) {
            texts.push(format!("and {more} more"));
        }
        let mut text = texts.join("\n\n");
        text.push('\n');
        text
    }

    fn line_length(&self, at: usize) -> usize {
        let (before, after) = self.text.split_at_checked(at).unwrap_or_default();
        let before = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        before + after.find('\n').unwrap_or(after.len())
    }

    fn render_one(&self, problem: &Problem, color: bool) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut message = problem.message.clone();
        let snippet = problem.origin.as_ref().filter(|origin| {
            *origin.file == *self.file
                && !problem.secret
                && self.text.get(origin.span()).is_some()
                && !origin.span().is_empty()
                && self.line_length(origin.span().start) <= LINE_SHOWN
        });
        if let (None, Some(origin)) = (snippet, &problem.origin) {
            message = format!("{origin}: {message}");
        }
        let mut group = level.primary_title(&message).elements(snippet.map(|origin| {
            // For a table that spans lines only its first line is marked.
            let end =
                self.text[origin.span()].find('\n').map_or(origin.span().end, |at| origin.span().start + at);
            Snippet::source(&self.text)
                .path(&self.file)
                .annotation(AnnotationKind::Primary.span(origin.span().start..end))
        }));
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.with_name("hint").message(hint));
        }
        renderer.render(&[group])
    }
}
