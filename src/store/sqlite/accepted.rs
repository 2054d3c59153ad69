//! Writes the settings and inputs that become active, each version from one acceptance to the next.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::model::Instant;

/// Stores content that becomes active and ends the version before it.
pub(super) fn put(
    connection: &Connection,
    owner: i64,
    (path, content): (&str, &[u8]),
    number: i64,
    at: Instant,
) -> rusqlite::Result<()> {
    let is_known = "SELECT 1 FROM accepted WHERE owner = ?1 AND path = ?2 AND until IS NULL AND content = ?3";
    if connection.prepare_cached(is_known)?.exists(params![owner, path, content])? {
        return Ok(());
    }
    connection.prepare_cached(END)?.execute(params![owner, path, number])?;
    connection
        .prepare_cached(
            "INSERT INTO accepted (owner, path, content, accepted_at, since) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![owner, path, content, at, number])
        .map(drop)
}

/// SQL that ends the active version of an input.
const END: &str = "UPDATE accepted SET until = ?3 WHERE owner = ?1 AND path = ?2 AND until IS NULL";

/// Ends inputs that no longer exist: files that the settings no longer name.
pub(super) fn end_others(
    connection: &Connection,
    owner: i64,
    paths: &BTreeSet<String>,
    number: i64,
) -> rusqlite::Result<()> {
    let known = "SELECT path FROM accepted WHERE owner = ?1 AND until IS NULL AND path != ''";
    let mut known = connection.prepare_cached(known)?;
    let known = known.query_map([owner], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut end = connection.prepare_cached(END)?;
    for path in known.iter().filter(|path| !paths.contains(*path)) {
        end.execute(params![owner, path, number])?;
    }
    Ok(())
}

/// Deletes formerly active content that no page is based on any more.
pub(super) fn forget(connection: &Connection, owner: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM accepted WHERE owner = ?1 AND until IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM (SELECT page, as_of FROM behind UNION ALL SELECT page, as_of FROM kept)
            JOIN pages ON pages.id = page
            WHERE pages.owner = ?1 AND as_of >= accepted.since AND as_of < accepted.until)";
    connection.prepare_cached(sql)?.execute([owner]).map(drop)
}
