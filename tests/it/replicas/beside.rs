//! The surroundings of replicas: a pool of connections in front of the database, and clocks that are
//! a day off.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Cluster, is_active};
use crate::support::postgres::{Server, as_postgres};
use crate::support::until;

/// PgBouncer in front of a server.
struct Pool {
    folder: TempDir,
    child: Child,
}

impl Pool {
    fn start(server: &Server, mode: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let (host, socket) = (server.folder().display(), folder.path().display());
        let settings = format!(
            "[databases]\n* = host={host} user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = 5432\n\
             unix_socket_dir = {socket}\nauth_type = any\npool_mode = {mode}\nmax_client_conn = 200\n\
             default_pool_size = 50\n"
        );
        std::fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        let child = Self::run(&folder);
        Self { folder, child }
    }

    fn run(folder: &TempDir) -> Child {
        let mut shell = as_postgres("sh");
        shell.args(["-c", "PATH=$PATH:/usr/sbin exec pgbouncer -q \"$0\""]);
        shell.arg(folder.path().join("pgbouncer.ini")).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = shell.spawn().unwrap();
        let start = std::time::Instant::now();
        while !folder.path().join(".s.PGSQL.5432").exists() {
            let is_running = child.try_wait().unwrap().is_none();
            assert!(
                is_running && start.elapsed().as_secs() < 60,
                "PgBouncer does not start\n  hint: run apt-get install pgbouncer, as .ci/run does"
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child
    }

    /// Ends it, and with it all connections.
    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::remove_file(self.folder.path().join(".s.PGSQL.5432")).unwrap();
    }

    fn start_again(&mut self) {
        self.child = Self::run(&self.folder);
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{database}")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the environment of a program whose wall clock is off.
fn off_by(offset: &str) -> Vec<(String, String)> {
    let shown = Command::new("faketime").args(["-f", offset, "printenv", "LD_PRELOAD"]).output();
    let shown =
        shown.expect("this test needs faketime\n  hint: run apt-get install faketime, as .ci/run does");
    let library = String::from_utf8(shown.stdout).unwrap();
    let pairs = [("LD_PRELOAD", library.trim()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn replicas_share_a_store_behind_a_pool_of_sessions() {
    let cluster = Cluster::new(Server::shared(), "");
    let mut pool = Pool::start(Server::shared(), "session");
    cluster.settings_with(&pool.url(&cluster.database), "");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    cluster.run("b", &set).expect(0);
    cluster.sites(1);
    cluster.until_phones(1).await;
    drop(first);
    until("the other one is active", || is_active(&second)).await;
    cluster.sites(2);
    cluster.until_phones(2).await;
    pool.stop();
    until("it stands by", || !is_active(&second)).await;
    pool.start_again();
    until("it is active again", || is_active(&second)).await;
    cluster.sites(3);
    cluster.until_phones(3).await;
    cluster.check_history().await;
}

#[tokio::test]
async fn a_replica_whose_clock_is_a_day_off_takes_the_lease_and_sends_nothing() {
    for offset in ["+1d", "-1d"] {
        let cluster = Cluster::new(Server::shared(), "");
        let first = cluster.start_active("a").await;
        let mut command = cluster.command("b", &["run"]);
        command.envs(off_by(offset));
        let second = cluster.folder.spawn_command(command, "b");
        until("it stands by", || second.log().contains("standing by: process ")).await;
        cluster.sites(1);
        cluster.until_phones(1).await;
        drop(first);
        until("the other one is active", || is_active(&second)).await;
        cluster.sites(2);
        until("it distrusts its clock", || second.log().contains("the clock is untrusted")).await;
        cluster.check_patches(6).await;
        // One whose clock is right goes on from there.
        let third = cluster.start_standby("a").await;
        second.signal("TERM");
        until("the first one is active again", || is_active(&third)).await;
        cluster.until_phones(2).await;
        cluster.check_history().await;
    }
}

#[tokio::test]
async fn a_database_whose_clock_jumps_by_a_day_changes_nothing() {
    let server = Server::start();
    let cluster = Cluster::new(&server, "");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    for (round, offset) in ["+1d", "-1d"].into_iter().enumerate() {
        server.stop("INT");
        server.start_again_with(&off_by(offset));
        until("one is active", || is_active(&first) != is_active(&second)).await;
        cluster.sites(round + 1);
        cluster.until_phones(round + 1).await;
        let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
        cluster.run("b", &set).expect(0);
        cluster.api.until_variable("A-0", "is_open", &serde_json::json!(false)).await;
        let listed = cluster.run("a", &["override", "list", "--format", "json"]).expect(0).lines();
        cluster.run("a", &["override", "clear", &listed[0]["id"].to_string()]).expect(0);
        cluster.api.until_variable("A-0", "is_open", &serde_json::json!(true)).await;
    }
    cluster.check_history().await;
}
