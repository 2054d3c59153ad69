//! The contents of a store, in numbers.

use crate::model::Instant;
use crate::store::{Contents, Owner, StoreError};

use super::{Session, owners, params};

/// Counts the contents at an instant.
pub(in crate::store) fn contents(session: &mut dyn Session, now: Instant) -> Result<Contents, StoreError> {
    let mut count = |what: &str, params: &[super::Param]| {
        let counted: Option<i64> = session.first(&format!("SELECT count({what}"), params)?;
        Ok::<_, StoreError>(counted.unwrap_or_default().unsigned_abs())
    };
    let pages = count("*) FROM pages", &[])?;
    let patches = count("*) FROM writes", &[])?;
    let open_intents = count("*) FROM writes WHERE outcome IN ('intended', 'unknown')", &[])?;
    let active = "DISTINCT id) FROM overrides JOIN overridden ON override = id
        WHERE released_at IS NULL AND (until IS NULL OR until > ?1)";
    let overrides = count(active, params![now])?;
    let mut end =
        |order: &str| session.first(&format!("SELECT at FROM writes ORDER BY id {order} LIMIT 1"), &[]);
    let (oldest, newest) = (end("ASC")?, end("DESC")?);
    let owners = owners::all(session)?.into_iter().map(|Owner { api, id }| (api, id)).collect();
    Ok(Contents { owners, pages, patches, oldest, newest, overrides, open_intents })
}
