//! The program under systemd: notifications and the journal.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::{Api, Folder, desk};

#[test]
fn in_the_journal_lines_have_a_priority_and_no_time() {
    use std::os::unix::fs::MetadataExt;
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let log = std::fs::File::create(folder.path("journal")).unwrap();
    let metadata = log.metadata().unwrap();
    let run = |stream: String, log: std::fs::File| {
        let mut command = folder.command(&["apply", "--log-format", "text"]);
        assert!(command.env("JOURNAL_STREAM", stream).stderr(log).status().unwrap().success());
    };
    run(format!("{}:{}", metadata.dev(), metadata.ino()), log);
    let lines = std::fs::read_to_string(folder.path("journal")).unwrap();
    assert!(lines.lines().count() > 0 && lines.lines().all(|line| line.starts_with("<6> INFO ")), "{lines}");
    // Standard error goes elsewhere, as in a shell that a service started.
    api.edit("A-1", &json!({"is_open": "other"}));
    run("1:1".to_owned(), std::fs::File::create(folder.path("file")).unwrap());
    let lines = std::fs::read_to_string(folder.path("file")).unwrap();
    assert!(lines.lines().count() > 0 && lines.lines().all(|line| line.starts_with("20")), "{lines}");
}

/// Speaks systemd's notify protocol, with a test socket in place of systemd's.
#[tokio::test]
async fn systemd_is_notified_of_readiness_reload_watchdog_and_stopping() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let socket = std::os::unix::net::UnixDatagram::bind(folder.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut child = folder
        .command(&["run"])
        .env("NOTIFY_SOCKET", folder.path("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wait_for = |expected: &str| {
        let mut buffer = [0; 512];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|_| panic!("no {expected}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(expected) {
                return text;
            }
        }
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    wait_for("STATUS=1 page right, next transition ");
    let kill =
        |signal: &str| Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    kill("HUP");
    assert!(wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    wait_for("READY=1");
    kill("TERM");
    wait_for("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

/// Opening a large store may take long, so the program extends systemd's timeout.
#[tokio::test]
async fn systemd_waits_for_a_large_store() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let socket = std::os::unix::net::UnixDatagram::bind(folder.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let first_message = || {
        let mut child = folder
            .command(&["run"])
            .env("NOTIFY_SOCKET", folder.path("notify"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("a message to systemd");
        child.kill().unwrap();
        child.wait().unwrap();
        while socket.set_nonblocking(true).is_ok() && socket.recv(&mut [0; 512]).is_ok() {}
        socket.set_nonblocking(false).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert!(first_message().contains("READY=1"));
    let store = rusqlite::Connection::open(folder.path("state.sqlite")).unwrap();
    store
        .execute_batch("CREATE TABLE filling (x); INSERT INTO filling VALUES (zeroblob(40000000));")
        .unwrap();
    drop(store);
    assert!(first_message().contains("EXTEND_TIMEOUT_USEC="));
}
