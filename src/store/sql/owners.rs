//! The owners of rows: programs that share a store leave each other's rows alone.

use crate::store::{Owner, StoreError};

use super::{Session, params};

/// A number without an owner, and so without rows.
pub(super) const NO_OWNER: i64 = 0;

/// Returns the number of an owner; none if it never wrote.
pub(super) fn number(session: &mut dyn Session, owner: &Owner) -> Result<Option<i64>, StoreError> {
    session.first("SELECT id FROM owners WHERE api = ?1 AND name = ?2", params![owner.api, owner.id])
}

/// Returns all owners, the oldest first.
pub(super) fn all(session: &mut dyn Session) -> Result<Vec<Owner>, StoreError> {
    session.rows("SELECT api, name FROM owners ORDER BY id", &[], |row| {
        Ok(Owner { api: row.get(0)?, id: row.get(1)? })
    })
}

/// Returns the number of an owner, adding it if it is new.
pub(super) fn number_or_new(session: &mut dyn Session, owner: &Owner) -> Result<i64, StoreError> {
    if let Some(known) = number(session, owner)? {
        return Ok(known);
    }
    let add = "INSERT INTO owners (api, name) VALUES (?1, ?2) RETURNING id";
    let added = session.insert(add, params![owner.api, owner.id])?;
    let of_api: Option<i64> =
        session.first("SELECT count(*) FROM owners WHERE api = ?1", params![owner.api])?;
    if of_api.is_some_and(|count| count > 1) {
        let message =
            "new owner in this store: it starts without the overrides and baselines of other owners";
        tracing::warn!(owner = owner.id, "{message}");
    }
    Ok(added)
}
