//! Long values are stored once, by the SHA-256 of their text: a page that fails with the same large value again and again must
//! not fill the disk. In place of such a value stands `#` and its hash, which no JSON begins with.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::model::Instant;

/// Bytes of a value that is stored where it is used.
const SHORT: usize = 200;

/// SQL for the text of a value in a column.
pub(super) fn sql(column: &str) -> String {
    format!(
        "CASE WHEN substr({column}, 1, 1) = '#'
            THEN coalesce((SELECT text FROM texts WHERE hash = substr({column}, 2)), 'null') ELSE {column} END"
    )
}

/// Stores a value, and gives what stands for it.
pub(super) fn put(connection: &Connection, text: String, at: Instant) -> rusqlite::Result<String> {
    if text.len() <= SHORT {
        return Ok(text);
    }
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    connection
        .prepare_cached(
            "INSERT INTO texts (hash, text, used_at) VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET used_at = max(used_at, excluded.used_at)",
        )?
        .execute(params![hash, text, at])?;
    Ok(format!("#{hash}"))
}

/// Keeps texts for as long as what uses them from an instant on; `used` selects what stands for them, of row `?2`.
pub(super) fn keep(connection: &Connection, used: &str, row: i64, at: Instant) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "UPDATE texts SET used_at = max(used_at, ?1) WHERE hash IN
                (SELECT substr(value, 2) FROM (SELECT NULL AS value UNION ALL {used}) WHERE substr(value, 1, 1) = '#')"
        ))?
        .execute(params![at, row])
        .map(drop)
}
