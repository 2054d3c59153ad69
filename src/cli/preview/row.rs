//! A row of the preview.

use serde::Serialize;
use serde_json::Value;

use crate::model::Instant;
use crate::zone::Zone;

/// One change; `from` is null for the value at the start of the window.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) page: String,
    pub(super) variable: String,
    pub(super) at: String,
    pub(super) from: Value,
    pub(super) to: Value,
    pub(super) because: String,
    /// The instant, and the places of page and variable among all.
    #[serde(skip)]
    pub(super) order: (Instant, usize, usize),
    /// The zone of the page.
    #[serde(skip)]
    pub(super) zone: Zone,
}
