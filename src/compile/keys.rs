//! Names of blocks and pages that stay the same from one reading of the settings to the next.

use crate::model::Environment;
use crate::written::Node;

/// What names a page's definition across reloads: its block, as written, its row and its environment.
pub(super) fn page_key(block: &Node, row: Option<&str>, environment: Environment) -> String {
    format!("{}{}@{environment}", block_key(block), row.unwrap_or_default())
}

/// Names a block by what it is for.
pub(super) fn block_key(block: &Node) -> String {
    let written = |key: &str| block.get(key).map_or(String::new(), |node| node.to_json().to_string());
    format!("{}*{}/{}#", written("for_each"), written("agent"), written("environment"))
}
