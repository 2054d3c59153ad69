//! Keys of blocks and pages that stay the same across reloads of the settings.

use crate::model::Environment;
use crate::written::Node;

/// Returns the key of a page, which stays the same across reloads.
///
/// It is made of the block as written, the row and the environment.
pub(super) fn page_key(block: &Node, row: Option<&str>, environment: Environment) -> String {
    format!("{}{}@{environment}", block_key(block), row.unwrap_or_default())
}

/// Returns the key of a block, made of its `for_each`, `agent` and `environment`.
pub(super) fn block_key(block: &Node) -> String {
    let written = |key: &str| block.get(key).map_or(String::new(), |node| node.to_json().to_string());
    format!("{}*{}/{}#", written("for_each"), written("agent"), written("environment"))
}
