//! Conversion of byte offsets in a text to lines and columns.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use super::Origin;

/// A file's text, which resolves byte offsets to places.
#[derive(Debug)]
pub struct SourceText<'t> {
    file: &'t Arc<str>,
    text: &'t str,
    line_starts: Vec<usize>,
    /// The offset and column of the last place returned.
    ///
    /// On one long line, only the characters in between are counted.
    last: Cell<(usize, usize)>,
}

impl<'t> SourceText<'t> {
    /// Creates the text and indexes its lines.
    pub fn new(file: &'t Arc<str>, text: &'t str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(index, _)| index + 1);
        Self {
            file,
            text,
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
            last: Cell::new((0, 1)),
        }
    }

    /// Returns the text in a byte range, which must lie within the text.
    pub fn written(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }

    /// Returns the place of a byte range.
    ///
    /// The range must lie in the text, on character boundaries.
    pub fn origin(&self, span: Range<usize>) -> Origin {
        let line = self.line_starts.partition_point(|start| *start <= span.start).max(1);
        let line_start = self.line_starts[line - 1];
        let (known, column) = match self.last.get() {
            (offset, column) if (line_start..=span.start).contains(&offset) => (offset, column),
            _ => (line_start, 1),
        };
        let column = column + self.text.get(known..span.start).map_or(0, |text| text.chars().count());
        self.last.set((span.start, column));
        // Files are smaller than four gigabytes.
        let place = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
        let bytes = place(span.start)..place(span.end);
        Origin { file: self.file.clone(), line, column, field: None, bytes, others: None }
    }
}
