//! Published hours in a JSON source: `{ source = "places", pointer = "/0" }`.

use crate::compile::compiler::Compiler;
use crate::compile::formats::Published;
use crate::model::Problem;
use crate::tables::Table;
use crate::written::{Fields, Node, Reader, Text};

/// Finds the location or thing that `node` points at, and reads it.
///
/// `read` also gets the fields of `node`, of which `more` are known besides source and pointer.
pub(super) fn at_pointer(
    compiler: &Compiler,
    (reader, node): (&Reader, &Node),
    more: &[&str],
    read: impl FnOnce(&Fields, &Node) -> Option<Published>,
) -> Option<Published> {
    let keys: Vec<&str> = ["source", "pointer"].into_iter().chain(more.iter().copied()).collect();
    let fields = reader.table(node, "published hours", &keys)?;
    let source = reader.text(fields.require(reader, "source")?, "source")?;
    let pointer = match fields.get("pointer") {
        Some(node) => reader.text(node, "pointer")?,
        None => Text { value: String::new(), origin: node.origin.clone() },
    };
    let table = compiler.table(reader, &source)?;
    let Table::Tree(root) = &*table else {
        let message = format!("source \"{}\" is CSV; published hours are JSON", source.value);
        reader.note(Problem::at(&source.origin, message).hint("name a JSON source"));
        return None;
    };
    let Some(found) = root.pointer(&pointer.value) else {
        let (message, hint) = root.nothing_at(&pointer.value);
        reader.note(Problem::at(&pointer.origin, message).hint(hint));
        return None;
    };
    read(&fields, found)
}
