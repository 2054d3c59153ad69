//! Failures of the database, as failures of the store.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Failures that end by themselves: the database restarts, fails over, or is overloaded.
const OUTAGES: [&SqlState; 9] = [
    &SqlState::ADMIN_SHUTDOWN,
    &SqlState::CRASH_SHUTDOWN,
    &SqlState::CANNOT_CONNECT_NOW,
    &SqlState::TOO_MANY_CONNECTIONS,
    &SqlState::READ_ONLY_SQL_TRANSACTION,
    &SqlState::LOCK_NOT_AVAILABLE,
    &SqlState::T_R_DEADLOCK_DETECTED,
    &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    &SqlState::QUERY_CANCELED,
];

/// Returns the failure of the store at a path.
pub(super) fn store_error(path: &str, error: &Error) -> StoreError {
    let path = path.to_owned();
    match error.as_db_error() {
        // Permission errors of the server name the object; the rest of its report is for its own log.
        Some(found) if OUTAGES.contains(&found.code()) => {
            StoreError::Unreachable { path, error: found.message().to_owned() }
        }
        Some(found) => {
            StoreError::Failed { path, error: found.message().to_owned(), hint: remedy(found.code()) }
        }
        None => StoreError::Unreachable { path, error: causes(error) },
    }
}

/// Returns an error with its causes: the first one alone says nothing.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        let found_text = found.to_string();
        if !text.contains(&found_text) {
            text = format!("{text}: {found_text}");
        }
        cause = found.source();
    }
    text
}

fn remedy(code: &SqlState) -> Option<&'static str> {
    match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Some("check the user of store.url, store.password_file and the server's pg_hba.conf")
        }
        SqlState::INVALID_CATALOG_NAME => Some("create the database, then run rtconfd store create"),
        SqlState::INSUFFICIENT_PRIVILEGE => {
            Some("grant the user the rights that the guide for two machines lists")
        }
        SqlState::DISK_FULL => {
            Some("free some space on the disk of the database; nothing is sent until then")
        }
        _ => None,
    }
}
