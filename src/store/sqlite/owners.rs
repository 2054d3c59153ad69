//! The owners of rows: programs that share a store leave each other's rows alone.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::Owner;

/// A number without an owner, and so without rows.
pub(super) const NO_OWNER: i64 = 0;

/// Returns the number of an owner; none if it never wrote.
pub(super) fn number(connection: &Connection, owner: &Owner) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM owners WHERE api = ?1 AND name = ?2";
    connection.query_row(sql, params![owner.api, owner.id], |row| row.get(0)).optional()
}

/// Returns all owners, the oldest first.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Owner>> {
    let mut statement = connection.prepare("SELECT api, name FROM owners ORDER BY id")?;
    let owners = statement.query_map([], |row| Ok(Owner { api: row.get(0)?, id: row.get(1)? }))?;
    owners.collect()
}

/// Returns the number of an owner, adding it if it is new.
pub(super) fn number_or_new(connection: &Connection, owner: &Owner) -> rusqlite::Result<i64> {
    let add = "INSERT OR IGNORE INTO owners (api, name) VALUES (?1, ?2)";
    let is_new = connection.execute(add, params![owner.api, owner.id])? > 0;
    let others = "SELECT count(*) FROM owners WHERE api = ?1";
    if is_new && connection.query_row(others, [&owner.api], |row| row.get::<_, i64>(0))? > 1 {
        let message =
            "new owner in this store: it starts without the overrides and baselines of other owners";
        tracing::warn!(owner = owner.id, "{message}");
    }
    Ok(number(connection, owner)?.unwrap_or(NO_OWNER))
}
