//! Failures of the database, as failures of the store.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// The classes of failures that end by themselves: connections, rollbacks, a lack of resources, and what
/// an administrator did (PostgreSQL, appendix A). Disks that are full are no outage.
const OUTAGES: [&str; 4] = ["08", "40", "53", "57"];

fn is_outage(code: &SqlState) -> bool {
    let is_of_class = OUTAGES.iter().any(|class| code.code().starts_with(class));
    let others = [
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        &SqlState::LOCK_NOT_AVAILABLE,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    (is_of_class && *code != SqlState::DISK_FULL) || others.contains(&code)
}

/// Returns the failure of the store at a path.
pub(super) fn store_error(path: &str, error: &Error) -> StoreError {
    let path = path.to_owned();
    match error.as_db_error() {
        // Permission errors of the server name the object; the rest of its report is for its own log.
        Some(found) if is_outage(found.code()) => {
            StoreError::Unreachable { path, error: found.message().to_owned() }
        }
        Some(found) => {
            StoreError::Failed { path, error: found.message().to_owned(), hint: remedy(found.code()) }
        }
        None if is_of_network(error) => StoreError::Unreachable { path, error: causes(error) },
        None => {
            let hint =
                "check store.url, store.password_file, store.ca_file and the certificate of the server";
            StoreError::Failed { path, error: causes(error), hint: Some(hint) }
        }
    }
}

/// Returns true if the connection could not be made, or broke off.
fn is_of_network(error: &Error) -> bool {
    // TLS reports the refusal of a certificate as an error of reading.
    let is_refused = error.to_string().contains("TLS") && causes(error).contains("certificate");
    let is_io = error.is_closed() || sources(error).any(|cause| cause.is::<std::io::Error>());
    is_io && !is_refused
}

/// Returns an error with its causes: the first one alone says nothing.
fn causes(error: &Error) -> String {
    sources(error).map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

fn sources(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

fn remedy(code: &SqlState) -> Option<&'static str> {
    match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Some("check the user of store.url, store.password_file and the server's pg_hba.conf")
        }
        SqlState::DUPLICATE_PSTATEMENT | SqlState::INVALID_SQL_STATEMENT_NAME => {
            Some("set pool_mode = session in PgBouncer")
        }
        // A pool of transactions loses the settings of a session, among them the path to the tables.
        SqlState::UNDEFINED_TABLE => {
            Some("run rtconfd store create; behind PgBouncer, set pool_mode = session")
        }
        SqlState::INVALID_CATALOG_NAME => Some("create the database, then run rtconfd store create"),
        SqlState::INSUFFICIENT_PRIVILEGE => Some(
            "run rtconfd store create as the owner, and grant the rights that the guide for two machines lists",
        ),
        SqlState::DISK_FULL => {
            Some("free some space on the disk of the database; nothing is sent until then")
        }
        _ => None,
    }
}
