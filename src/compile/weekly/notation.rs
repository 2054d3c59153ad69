//! The interface of a way to write weekly hours.

use crate::compile::compiler::Compiler;
use crate::compile::formats::Published;
use crate::written::{Node, Reader};

/// A way to write the weekly hours of a place, perhaps with exceptions.
pub(super) trait Notation: Sync {
    /// Returns the key below `hours` that holds such hours.
    fn key(&self) -> &'static str;

    /// Reads the hours, and notes problems with their places.
    ///
    /// Returns none if they are invalid, or known only with the inputs.
    fn read(&self, compiler: &Compiler, reader: &Reader, node: &Node) -> Option<Published>;
}
