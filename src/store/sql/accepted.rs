//! Writes the settings and inputs that become active, each version from one acceptance to the next.

use std::collections::BTreeSet;

use crate::model::Instant;
use crate::store::StoreError;

use super::{Session, params};

/// Stores content that becomes active and ends the version before it.
pub(super) fn put(
    session: &mut dyn Session,
    owner: i64,
    (path, content): (&str, &[u8]),
    number: i64,
    at: Instant,
) -> Result<(), StoreError> {
    let is_known = "SELECT since FROM accepted
        WHERE owner = ?1 AND path = ?2 AND until IS NULL AND content = ?3";
    if session.first::<i64>(is_known, params![owner, path, content])?.is_some() {
        return Ok(());
    }
    session.execute(END, params![owner, path, number])?;
    let add = "INSERT INTO accepted (owner, path, content, accepted_at, since) VALUES (?1, ?2, ?3, ?4, ?5)";
    session.execute(add, params![owner, path, content, at, number]).map(drop)
}

/// SQL that ends the active version of an input.
const END: &str = "UPDATE accepted SET until = ?3 WHERE owner = ?1 AND path = ?2 AND until IS NULL";

/// Ends inputs that no longer exist: files that the settings no longer name.
pub(super) fn end_others(
    session: &mut dyn Session,
    owner: i64,
    paths: &BTreeSet<String>,
    number: i64,
) -> Result<(), StoreError> {
    let known = "SELECT path FROM accepted WHERE owner = ?1 AND until IS NULL AND path != ''";
    let known: Vec<String> = session.rows(known, params![owner], |row| row.get(0))?;
    for path in known.iter().filter(|path| !paths.contains(*path)) {
        session.execute(END, params![owner, path, number])?;
    }
    Ok(())
}

/// Deletes formerly active content that no page is based on any more.
pub(super) fn forget(session: &mut dyn Session, owner: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM accepted WHERE owner = ?1 AND until IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM (SELECT page, as_of FROM behind UNION ALL SELECT page, as_of FROM kept) AS based
            JOIN pages ON pages.id = page
            WHERE pages.owner = ?1 AND as_of >= accepted.since AND as_of < accepted.until)";
    session.execute(sql, params![owner]).map(drop)
}
