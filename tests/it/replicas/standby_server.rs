//! A second PostgreSQL server that follows the first, for failovers.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::support::postgres::{Server, as_postgres};

/// Copies a server and starts the copy as its standby.
pub fn start(primary: &Server, is_synchronous: bool) -> Server {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut copy = as_postgres("pg_basebackup");
    copy.args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream"]);
    copy.args(["--username=postgres", "--host"]).arg(primary.folder());
    let done = copy.arg("-D").arg(folder.path().join("data")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let standby = Server::of(folder);
    if is_synchronous {
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
    }
    standby
}

/// Makes the standby a primary.
pub fn promote(standby: &Server) {
    standby.sql("postgres", "SELECT pg_promote()");
}
