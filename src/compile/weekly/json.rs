//! Published hours in a JSON source: `{ source = "places", pointer = "/0" }`.

use crate::compile::compiler::Compiler;
use crate::compile::formats::Published;
use crate::model::Problem;
use crate::tables::{Table, names_of_formats};
use crate::written::{Fields, Node, Reader, Text};

/// The place of a location or thing in a JSON source.
pub(super) struct Place {
    source: Text,
    pointer: Text,
}

impl Place {
    /// Reads `source` and `pointer` of a table.
    pub(super) fn read(reader: &Reader, fields: &Fields) -> Option<Self> {
        let source = reader.text(fields.require(reader, "source")?, "source")?;
        let pointer = match fields.get("pointer") {
            Some(node) => reader.text(node, "pointer")?,
            None => Text { value: String::new(), origin: fields.origin.clone() },
        };
        Some(Self { source, pointer })
    }

    /// Finds the location or thing, and reads it.
    pub(super) fn find(
        &self,
        compiler: &Compiler,
        reader: &Reader,
        read: impl FnOnce(&Node) -> Option<Published>,
    ) -> Option<Published> {
        let table = compiler.table(reader, &self.source)?;
        let Table::Tree(root) = &*table else {
            let trees = names_of_formats(false);
            let message = format!("source \"{}\" has rows; published hours are {trees}", self.source.value);
            reader.note(Problem::at(&self.source.origin, message).hint(format!("name a {trees} source")));
            return None;
        };
        let Some(found) = root.pointer(&self.pointer.value) else {
            let (message, hint) = root.nothing_at(&self.pointer.value);
            reader.note(Problem::at(&self.pointer.origin, message).hint(hint));
            return None;
        };
        read(found)
    }
}
