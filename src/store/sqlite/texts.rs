//! Stores each long value once, by the SHA-256 of its text, so that a page that keeps failing with
//! the same large value cannot fill the disk. Such a value is replaced by `#` and its hash; no JSON
//! begins with `#`. Each owner has a copy of its own, since its retention may be shorter.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::model::Instant;
use crate::redact::redacted;

/// Maximum bytes of a value that is stored in place.
const SHORT: usize = 200;

/// Returns the SQL for the text of a value in a column.
pub(super) fn sql(column: &str) -> String {
    format!(
        "CASE WHEN substr({column}, 1, 1) = '#'
            THEN coalesce((SELECT text FROM texts WHERE hash = substr({column}, 2) LIMIT 1), 'null') ELSE {column} END"
    )
}

/// Stores a value and returns the text to store in its column.
///
/// Another client may have written the API key into it, which is redacted.
pub(super) fn put(
    connection: &Connection,
    owner: i64,
    text: String,
    at: Instant,
) -> rusqlite::Result<String> {
    let text = redacted(text);
    if text.len() <= SHORT {
        return Ok(text);
    }
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    connection
        .prepare_cached(
            "INSERT INTO texts (hash, owner, text, used_at) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT DO UPDATE SET used_at = max(used_at, excluded.used_at)",
        )?
        .execute(params![hash, owner, text, at])?;
    Ok(format!("#{hash}"))
}

/// Marks the texts of a row as used at an instant, so that they are retained as long as the row.
///
/// `used` is a query for the column values that refer to the texts, for row `?2`.
pub(super) fn keep(connection: &Connection, used: &str, row: i64, at: Instant) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "UPDATE texts SET used_at = max(used_at, ?1) WHERE hash IN
                (SELECT substr(value, 2) FROM (SELECT NULL AS value UNION ALL {used}) WHERE substr(value, 1, 1) = '#')"
        ))?
        .execute(params![at, row])
        .map(drop)
}
