//! Stores each long value once, by the SHA-256 of its text, so that a page that keeps failing with
//! the same large value cannot fill the disk. Such a value is replaced by `#` and its hash; no JSON
//! begins with `#`. Each owner has a copy of its own, since its retention may be shorter.

use sha2::{Digest, Sha256};

use crate::model::Instant;
use crate::redact::redacted;
use crate::store::StoreError;

use super::{Session, params};

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
    session: &mut dyn Session,
    owner: i64,
    text: String,
    at: Instant,
) -> Result<String, StoreError> {
    let text = redacted(text);
    if text.len() <= SHORT {
        return Ok(text);
    }
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let add = "INSERT INTO texts (hash, owner, text, used_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (hash, owner) DO UPDATE SET used_at = excluded.used_at
            WHERE texts.used_at < excluded.used_at";
    session.execute(add, params![hash, owner, text, at])?;
    Ok(format!("#{hash}"))
}

/// Marks the texts of a row as used at an instant, so that they are retained as long as the row.
///
/// `used` is a query for the values, named `value`, that may refer to texts, of row `?2`.
pub(super) fn keep(session: &mut dyn Session, used: &str, row: i64, at: Instant) -> Result<(), StoreError> {
    let keep = format!(
        "UPDATE texts SET used_at = ?1 WHERE used_at < ?1 AND hash IN
            (SELECT substr(value, 2) FROM ({used}) AS used WHERE substr(value, 1, 1) = '#')"
    );
    session.execute(&keep, params![at, row]).map(drop)
}
