//! The drift of a page that was already logged and recorded.

use crate::plan::Drift;

/// The reported drift of one page.
#[derive(Debug)]
pub struct DriftReport {
    /// The drift already logged and recorded; none if unknown.
    reported: Option<Vec<Drift>>,
    /// The reported author of the last change.
    changed_by: Option<String>,
}

impl DriftReport {
    /// Returns the state after a start: drift in the store may have changed since, so it is unknown.
    pub fn new(is_adrift: bool) -> Self {
        Self { reported: (!is_adrift).then(Vec::new), changed_by: None }
    }

    /// Sets the author of changes that were reported but not seen yet.
    pub fn set_author(&mut self, author: Option<&str>) {
        self.changed_by = author.map(str::to_owned);
    }

    /// Replaces the reported drift.
    ///
    /// Returns the drift that is new and its author; none if nothing changed.
    pub fn update<'d>(&mut self, drift: &'d [Drift]) -> Option<(Vec<&'d Drift>, Option<String>)> {
        if self.reported.as_deref() == Some(drift) {
            return None;
        }
        let known = self.reported.replace(drift.to_vec()).unwrap_or_default();
        let new = drift.iter().filter(|drift| !known.contains(drift)).collect();
        Some((new, self.changed_by.take()))
    }

    /// Returns true if there is drift, or if that is unknown.
    pub fn may_be_adrift(&self) -> bool {
        self.reported.as_ref().is_none_or(|drift| !drift.is_empty())
    }

    /// Ends the drift.
    pub fn end(&mut self) {
        self.reported = Some(Vec::new());
    }

    /// Returns the reported drift; none if it is unknown.
    pub fn known(&self) -> Option<&[Drift]> {
        self.reported.as_deref()
    }

    /// Returns the reported drift; nothing if it is unknown.
    pub fn reported(&self) -> &[Drift] {
        self.reported.as_deref().unwrap_or_default()
    }
}
