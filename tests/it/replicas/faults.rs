//! Faults between the replicas and the database: a partition, and failovers of the database.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Cluster, is_active, standby_server};
use crate::support::postgres::Server;
use crate::support::until;

/// A way to the database that can hold all bytes back, as a network does that drops packets.
struct Way {
    address: String,
    is_held: Arc<AtomicBool>,
}

impl Way {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let is_held = Arc::new(AtomicBool::new(false));
        let (held, socket) = (is_held.clone(), server.folder().join(".s.PGSQL.5432"));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
                let (a, b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (one, other) = (held.clone(), held.clone());
                std::thread::spawn(move || carry(client, b, &one));
                std::thread::spawn(move || carry(server, a, &other));
            }
        });
        Self { address, is_held }
    }

    fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Ordering::SeqCst);
    }
}

/// Carries bytes one way, until either side ends.
fn carry(mut from: impl Read, mut to: impl Write, is_held: &AtomicBool) {
    let mut bytes = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        while is_held.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.hold(false);
        // Lets the thread see that it is over.
        drop(TcpStream::connect(&self.address));
    }
}

#[tokio::test]
async fn a_replica_that_is_cut_off_sends_nothing_more() {
    let cluster = Cluster::new(Server::shared(), "");
    let way = Way::to(Server::shared());
    let url = format!("postgres://postgres@{}/{}?sslmode=disable", way.address, cluster.database);
    let mut cut_off = cluster.command("a", &["run"]);
    cut_off.env("RTCONFD_STORE__URL", &url);
    let first = cluster.folder.spawn_command(cut_off, "a");
    until("it is active", || is_active(&first)).await;
    cluster.until_phones(0).await;
    let second = cluster.start_standby("b").await;
    way.hold(true);
    // The one that is cut off sees the new table too, and still reaches the API.
    cluster.sites(1);
    until("the other one is active", || is_active(&second)).await;
    cluster.until_phones(1).await;
    until("it stands by", || !is_active(&first)).await;
    cluster.check_patches(6).await;
    way.hold(false);
    cluster.sites(2);
    cluster.until_phones(2).await;
    cluster.check_patches(9).await;
    cluster.check_history().await;
}

#[tokio::test]
async fn a_failover_to_a_synchronous_standby_loses_nothing() {
    let primary = Server::start();
    let cluster = Cluster::new(&primary, "");
    let standby = standby_server::start(&primary, true);
    cluster.use_both(&standby);
    let first = cluster.start_active("a").await;
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    cluster.run("a", &set).expect(0);
    primary.stop("KILL");
    until("it stands by", || !is_active(&first)).await;
    standby_server::promote(&standby);
    // The new primary has no standby of its own to wait for.
    until("it is active again", || is_active(&first)).await;
    cluster.sites(1);
    cluster.until_phones(1).await;
    let listed = cluster.run("a", &["override", "list", "--format", "json"]).expect(0).lines();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_failover_that_loses_transactions_stops_all_replicas() {
    let primary = Server::start();
    let cluster = Cluster::new(&primary, "");
    let standby = standby_server::start(&primary, false);
    cluster.use_both(&standby);
    let first = cluster.start_active("a").await;
    until("the standby follows", || {
        standby.sql(&cluster.database, "SELECT count(*) FROM rtconfd.bases") != "0"
    })
    .await;
    standby.sql("postgres", "ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'");
    standby.sql("postgres", "SELECT pg_reload_conf()");
    until("it receives nothing", || {
        standby.sql("postgres", "SELECT count(*) FROM pg_stat_wal_receiver") == "0"
    })
    .await;
    cluster.sites(1);
    cluster.until_phones(1).await;
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    cluster.run("a", &set).expect(0);
    primary.stop("KILL");
    until("it stands by", || !is_active(&first)).await;
    cluster.check_patches(7).await;
    standby_server::promote(&standby);
    until("it says what was lost", || first.log().contains("transactions that it had confirmed")).await;
    cluster.sites(2);
    let ready = cluster.run("a", &["health", "--ready"]);
    assert!(ready.err.contains("lost "), "{}{}", ready.out, ready.err);
    cluster.check_patches(7).await;
    // A person has looked: the replicas are started again.
    drop(first);
    let again = cluster.start("a");
    until("it is active", || is_active(&again)).await;
    cluster.until_phones(2).await;
}
