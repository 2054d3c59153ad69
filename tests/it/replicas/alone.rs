//! A replica that goes on alone while the database does not answer, and the return of its rows.

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::{Cluster, is_active};
use crate::support::postgres::Server;
use crate::support::{Process, until};

/// The decision.
const ALONE: [&str; 5] = ["run", "--alone", "--yes", "--reason", "no network"];

impl Cluster<'_> {
    /// Returns the first value of a query on the copy of a machine; none before there is one.
    fn copied(&self, machine: &str, sql: &str) -> Option<i64> {
        let copy = self.folder.path(machine).join("copy.sqlite");
        let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        connection.query_row(sql, [], |row| row.get(0)).ok()
    }

    fn close(&self, machine: &str, page: &str) {
        let set = ["override", "set", page, "--closed", "--until", "2h", "--reason", "snow"];
        self.run(machine, &set).expect(0);
    }

    /// Waits until the copy has all that the database has.
    pub(super) async fn until_copied(&self, machine: &str) {
        until("the copy is complete", || {
            let copied = self.copied(machine, "SELECT commits FROM origin");
            copied.is_some_and(|copied| copied.to_string() == self.sql("SELECT commits FROM rtconfd.lease"))
        })
        .await;
    }
}

/// Ends the database; the active replica stands by then.
async fn lose_the_database(cluster: &Cluster<'_>, first: &Process) {
    cluster.until_copied("a").await;
    // After a crash, PostgreSQL leaves out numbers, which would hide that some are given twice.
    cluster.server.stop("INT");
    until("it stands by", || !is_active(first)).await;
}

#[tokio::test]
async fn a_replica_goes_on_alone_and_the_database_gets_what_it_did() {
    let server = Server::start();
    let cluster = Cluster::new(&server, "");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    cluster.close("b", "A-0/live");
    cluster.api.until_variable("A-0", "is_open", &json!(false)).await;
    let needless = cluster.run("a", &ALONE).expect(1);
    assert!(needless.err.contains("--alone is not needed"), "{}", needless.err);
    lose_the_database(&cluster, &first).await;
    // A decision needs the database to be away, a copy and a yes.
    let asked = cluster.run("a", &["run", "--alone"]).expect(1);
    assert!(asked.err.contains("nothing is decided yet") && asked.err.contains("add --yes"), "{}", asked.err);
    let without = cluster.run("elsewhere", &["run", "--alone", "--yes"]).expect(1);
    assert!(without.err.contains("has no copy of the store"), "{}", without.err);
    // The replica that runs follows it.
    let decided = cluster.run("a", &ALONE).expect(0);
    assert!(decided.err.contains("follows within seconds"), "{}", decided.err);
    until("it says so", || first.log().contains("running alone")).await;
    cluster.sites(1);
    cluster.until_phones(1).await;
    assert_eq!(cluster.api.variables("A-0")["is_open"], json!(false), "it knows the override");
    cluster.close("a", "A-1/live");
    cluster.api.until_variable("A-1", "is_open", &json!(false)).await;
    cluster.run("a", &["override", "clear", "1"]).expect(0);
    cluster.api.until_variable("A-0", "is_open", &json!(true)).await;
    let status = cluster.run("a", &["status"]).expect(1);
    assert!(status.out.contains("ALONE since ") && status.out.contains(": no network"), "{}", status.out);
    let ready = cluster.run("a", &["health", "--ready"]).expect(0);
    assert!(ready.out.starts_with("ready\nalone: since "), "{}", ready.out);
    // The decision lasts, also without the flag.
    drop(first);
    let again = cluster.start("a");
    until("it says so", || again.log().contains("running alone")).await;
    cluster.sites(2);
    cluster.until_phones(2).await;
    server.start_again();
    until("the database has it", || again.log().contains("has what this replica did alone")).await;
    until("it is active", || is_active(&again)).await;
    cluster.sites(3);
    cluster.until_phones(3).await;
    assert_eq!(cluster.api.variables("A-1")["is_open"], json!(false));
    assert!(!is_active(&second), "{}", second.log());
    let overrides =
        "SELECT string_agg(id || ' ' || (released_at IS NOT NULL), ', ' ORDER BY id) FROM rtconfd.overrides";
    assert_eq!(cluster.sql(overrides), "1 true, 2 false");
    let changes = "SELECT count(*) FROM rtconfd.changes WHERE variable LIKE '%phone'";
    assert_eq!(cluster.sql(changes), "12", "the history has all of it");
    cluster.check_history().await;
    let status = cluster.run("b", &["status"]).expect(0);
    assert!(status.out.contains("Alone from "), "{}", status.out);
    // The copy is not opened as a store of its own.
    let settings = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
    let url = format!("url = \"{}\"", server.url(&cluster.database));
    cluster.folder.write("rtconfd.toml", &settings.replace(&url, "path = \"a/copy.sqlite\""));
    let refused = cluster.run("c", &["run", "--alone"]).expect(1);
    assert!(refused.err.contains("--alone is for replicas"), "{}", refused.err);
    drop(again);
    let refused = cluster.run("c", &["apply"]).expect(1);
    assert!(refused.err.contains("was moved to postgres://"), "{}", refused.err);
}

#[tokio::test]
async fn what_was_done_alone_never_replaces_what_another_replica_did_since() {
    let server = Server::start();
    let cluster = Cluster::new(&server, "");
    let mut first = cluster.start_active("a").await;
    lose_the_database(&cluster, &first).await;
    first.signal("TERM");
    assert_eq!(first.ends().await, 0, "{}", first.log());
    let alone = cluster.folder.spawn_command(cluster.command("a", &ALONE), "a");
    until("it says so", || alone.log().contains("running alone")).await;
    cluster.close("a", "A-1/live");
    cluster.api.until_variable("A-1", "is_open", &json!(false)).await;
    drop(alone);
    server.start_again();
    // It knows nothing of the override.
    let _second = cluster.start_active("b").await;
    cluster.api.until_variable("A-1", "is_open", &json!(true)).await;
    let again = cluster.start("a");
    until("it says why it stands by", || again.log().contains("is not as it was when")).await;
    assert_eq!(cluster.sql("SELECT count(*) FROM rtconfd.overrides"), "0");
    let listed = cluster.run("a", &["override", "list"]).expect(0);
    assert!(listed.out.contains("A-1/live"), "{}", listed.out);
    // Not even when the database is away again.
    server.stop("KILL");
    until("it says so", || again.log().lines().last().unwrap_or_default().contains("cannot reach")).await;
    let decided = cluster.run("a", &ALONE).expect(1);
    assert!(decided.err.contains("the database refused it"), "{}", decided.err);
    server.start_again();
    cluster.sites(1);
    cluster.until_phones(1).await;
}
