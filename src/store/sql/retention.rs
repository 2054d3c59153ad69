//! Deletes history older than the retention period, in small steps so that no other job waits long.

use crate::model::Instant;
use crate::store::StoreError;

use super::{Session, params};

/// Rows that one step inspects in each table.
const STEP: i64 = 500;

/// Deletes some of an owner's PATCHes, drift, overrides and used approvals that ended before an instant.
///
/// Open PATCHes, lasting drift and active overrides are kept regardless of age.
pub(super) fn prune(session: &mut dyn Session, owner: i64, before: Instant) -> Result<(), StoreError> {
    prune_decisions(session, owner, before)?;
    // The oldest rows have the smallest numbers, so a step inspects only those. The owner is looked up
    // for each of them: a list of all pages of the owner would cost more with each page.
    let ours = "(SELECT owner FROM pages WHERE id = page) = ?3";
    let writes = format!(
        "SELECT id FROM
            (SELECT id, settled_at, outcome FROM writes WHERE {ours} ORDER BY id LIMIT ?2) AS oldest
            WHERE settled_at < ?1 AND outcome NOT IN ('intended', 'unknown')"
    );
    let step = params![before, STEP, owner];
    session.execute(&format!("DELETE FROM changes WHERE write IN ({writes})"), step)?;
    let removed = session.execute(&format!("DELETE FROM writes WHERE id IN ({writes})"), step)?;
    let drifts = format!(
        "SELECT id FROM (SELECT id, ended_at FROM drifts WHERE {ours} ORDER BY id LIMIT ?2) AS oldest
            WHERE ended_at < ?1"
    );
    let ended = session.execute(&format!("DELETE FROM drifts WHERE id IN ({drifts})"), step)?;
    if removed > 0 || ended > 0 {
        // Older rows may remain that still use texts of that age.
        return Ok(());
    }
    let is_used =
        "EXISTS (SELECT 1 FROM drifts WHERE ended_at IS NULL AND '#' || hash IN (base, found, desired))
        OR EXISTS (SELECT 1 FROM writes INDEXED BY unsettled JOIN changes ON changes.write = writes.id
            WHERE outcome IN ('intended', 'unknown') AND '#' || hash IN (before, after))";
    let texts = format!(
        "DELETE FROM texts WHERE owner = ?3 AND hash IN (SELECT hash FROM texts
            WHERE owner = ?3 AND used_at < ?1 AND NOT ({is_used}) ORDER BY used_at LIMIT ?2)"
    );
    session.execute(&texts, step).map(drop)
}

/// Deletes overrides that were released or have ended on all of their pages, and used approvals.
fn prune_decisions(session: &mut dyn Session, owner: i64, before: Instant) -> Result<(), StoreError> {
    let ended = "SELECT id FROM
        (SELECT id, released_at FROM overrides WHERE owner = ?3 ORDER BY id LIMIT ?2) AS oldest
        WHERE released_at < ?1 OR NOT EXISTS
            (SELECT 1 FROM overridden WHERE override = id AND (until IS NULL OR until >= ?1))";
    let step = params![before, STEP, owner];
    session.execute(&format!("DELETE FROM overridden WHERE override IN ({ended})"), step)?;
    session.execute(&format!("DELETE FROM overrides WHERE id IN ({ended})"), step)?;
    let used = "DELETE FROM approvals WHERE owner = ?2 AND used_at < ?1";
    session.execute(used, params![before, owner]).map(drop)
}
