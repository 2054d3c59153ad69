//! From byte offsets of a text to lines and columns.

use std::ops::Range;
use std::sync::Arc;

use super::Origin;

/// A file's text, able to tell where an offset stands.
#[derive(Debug)]
pub struct SourceText<'t> {
    file: &'t Arc<str>,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> SourceText<'t> {
    /// Finds the lines of a text.
    pub fn new(file: &'t Arc<str>, text: &'t str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(index, _)| index + 1);
        Self { file, text, line_starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Where a range of bytes stands. The range must lie in the text, on character boundaries.
    pub fn origin(&self, span: Range<usize>) -> Origin {
        let line = self.line_starts.partition_point(|start| *start <= span.start).max(1);
        let column = self.text.get(self.line_starts[line - 1]..span.start);
        Origin {
            file: self.file.clone(),
            line,
            column: column.map_or(0, |text| text.chars().count() + 1),
            field: None,
            span,
        }
    }
}
