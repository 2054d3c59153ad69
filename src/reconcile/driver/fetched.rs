//! The state shared by fetched pages: compiled schemas, and a limit of memory.

use crate::schema::Schemas;

/// The schemas of fetched pages, and the memory that the pages take.
pub(super) struct Fetched {
    /// Compiled schemas, each once for all pages that share it.
    pub(super) schemas: Schemas,
    bytes: usize,
    /// The most that they may take.
    limit: usize,
}

impl Fetched {
    /// Starts with no page.
    pub(super) fn new(schemas: Schemas, limit: usize) -> Self {
        Self { schemas, bytes: 0, limit }
    }

    /// Returns true if a page of `after` bytes fits in place of an older state of `before` bytes.
    pub(super) fn has_room(&self, before: usize, after: usize) -> bool {
        let more = after.saturating_sub(before);
        more == 0 || self.bytes + more <= self.limit
    }

    /// Counts a page of `after` bytes in place of an older state of `before` bytes.
    pub(super) fn replace(&mut self, before: usize, after: usize) {
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    /// Counts all pages anew.
    pub(super) fn recount(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}
