//! Replicas that share a store in PostgreSQL: real processes, paused, killed and cut off from the
//! database. Afterwards one of them is active, and every page is right.

mod alone;
mod beside;
mod faults;
mod files;
mod pauses;
mod standby_server;

use std::process::Command;
use std::time::{Duration, Instant};

use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use crate::support::postgres::Server;
use crate::support::{Api, Folder, Process, Ran, round_the_clock, until};

/// The lease in these tests, in milliseconds.
const LEASE_MS: u64 = 9_000;

const SETTINGS: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[hold]
pages_percent = 100
rows_percent = 100
closed_percent = 100
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = "live"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" }, phone = { column = "phone" } }
"#;

/// A database, an API, and a folder with the settings and inputs of all replicas.
struct Cluster<'s> {
    server: &'s Server,
    database: String,
    api: Api,
    folder: Folder,
}

impl<'s> Cluster<'s> {
    fn new(server: &'s Server, rest: &str) -> Self {
        let api = Api::start();
        let folder = Folder::new(&api.url, "");
        let database = server.create();
        let cluster = Self { server, database, api, folder };
        cluster.settings(rest);
        cluster.sites(0);
        cluster.command("elsewhere", &["store", "create"]).output().map(Ran::new).unwrap().expect(0);
        server.sql(&cluster.database, &format!("UPDATE rtconfd.meta SET lease_ms = {LEASE_MS}"));
        cluster
    }

    fn settings(&self, rest: &str) {
        self.settings_with(&self.server.url(&self.database), rest);
    }

    /// Names a standby of the database, too.
    fn use_both(&self, standby: &Server) {
        let [one, other] =
            [self.server, standby].map(|server| server.folder().display().to_string().replace('/', "%2F"));
        self.settings_with(&format!("postgres://postgres@{one},{other}/{}", self.database), "");
    }

    fn settings_with(&self, url: &str, rest: &str) {
        let top = format!(
            "[api]\nbase_url = \"{}\"\nkey_file = \"key\"\ntotal_timeout = \"2s\"\n[store]\nurl = \"{url}\"\n",
            self.api.url,
        );
        self.folder.write("rtconfd.toml", &format!("{top}{rest}{SETTINGS}"));
    }

    /// Writes the table of three sites, with phone numbers of a revision.
    fn sites(&self, revision: usize) {
        let table = round_the_clock(3, "Mo-Su 00:00-24:00");
        let rows = table.lines().enumerate().map(|(line, row)| match line {
            0 => format!("{row}\n"),
            _ => format!("{row}-{revision}\n"),
        });
        self.folder.write("sites.csv", &rows.collect::<String>());
    }

    /// Returns a command on the machine of a replica.
    fn command(&self, machine: &str, arguments: &[&str]) -> Command {
        let state = self.folder.path(machine);
        std::fs::create_dir_all(&state).unwrap();
        let mut command = self.folder.command(arguments);
        command.env("STATE_DIRECTORY", &state).env("XDG_RUNTIME_DIR", &state);
        command
    }

    fn run(&self, machine: &str, arguments: &[&str]) -> Ran {
        Ran::new(self.command(machine, arguments).output().unwrap())
    }

    fn start(&self, machine: &str) -> Process {
        self.start_with(machine, &["run"])
    }

    fn start_with(&self, machine: &str, arguments: &[&str]) -> Process {
        self.folder.spawn_command(self.command(machine, arguments), machine)
    }

    /// Starts a replica and waits until it is active.
    async fn start_active(&self, machine: &str) -> Process {
        let process = self.start(machine);
        until("it is active", || is_active(&process)).await;
        self.until_phones(0).await;
        process
    }

    /// Starts a replica and waits until it stands by.
    async fn start_standby(&self, machine: &str) -> Process {
        let process = self.start(machine);
        until("it stands by", || process.log().contains("standing by: process ")).await;
        process
    }

    async fn until_phones(&self, revision: usize) {
        for site in 0..3 {
            let phone = json!(format!("{site}-{revision}"));
            self.api.until_variable(&format!("A-{site}"), "phone", &phone).await;
        }
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }

    /// Checks the number of all PATCHes that the API got; it lists one a little after its effect.
    async fn check_patches(&self, expected: usize) {
        until("the API lists the PATCHes", || self.api.requests("PATCH").len() >= expected).await;
        assert_eq!(self.api.requests("PATCH").len(), expected);
    }

    /// Checks that no value was sent twice in a row to a page, and that no intent is open.
    async fn check_history(&self) {
        let open = "SELECT count(*) FROM rtconfd.writes WHERE outcome IN ('intended', 'unknown')";
        until("no intent is open", || self.sql(open) == "0").await;
        let repeated = "SELECT count(*) FROM (
            SELECT after, lag(after) OVER (PARTITION BY page, variable ORDER BY write) AS before_it
            FROM rtconfd.changes JOIN rtconfd.writes ON writes.id = write WHERE outcome = 'applied'
        ) AS applied WHERE after = before_it";
        assert_eq!(self.sql(repeated), "0");
    }
}

fn is_active(process: &Process) -> bool {
    process.log().lines().rev().find_map(|line| {
        if line.contains("this replica holds the lease") {
            return Some(true);
        }
        line.contains("standing by").then_some(false)
    }) == Some(true)
}

#[tokio::test]
async fn a_killed_replica_is_replaced_and_a_stopped_one_at_once() {
    let cluster = Cluster::new(Server::shared(), "");
    let mut first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    cluster.sites(1);
    cluster.until_phones(1).await;
    first.child.kill().unwrap();
    first.ends().await;
    cluster.sites(2);
    until("the other one is active", || is_active(&second)).await;
    cluster.until_phones(2).await;
    let third = cluster.start_standby("a").await;
    second.signal("TERM");
    let start = Instant::now();
    until("the first one is active again", || is_active(&third)).await;
    assert!(start.elapsed() < Duration::from_millis(LEASE_MS), "the lease was not released");
    cluster.sites(3);
    cluster.until_phones(3).await;
    cluster.check_history().await;
}

#[tokio::test]
async fn a_paused_replica_stands_by_when_it_wakes_and_sends_nothing() {
    let cluster = Cluster::new(Server::shared(), "");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    first.signal("STOP");
    // Both see the new table: the paused one would send its values when it wakes.
    cluster.sites(1);
    until("the other one is active", || is_active(&second)).await;
    cluster.until_phones(1).await;
    cluster.check_patches(6).await;
    first.signal("CONT");
    until("it stands by", || !is_active(&first)).await;
    assert!(first.log().contains("holds the lease"), "{}", first.log());
    cluster.sites(2);
    cluster.until_phones(2).await;
    cluster.check_patches(9).await;
    cluster.check_history().await;
}

#[tokio::test]
async fn without_the_database_nothing_is_sent_and_it_goes_on_by_itself() {
    let server = Server::start();
    let cluster = Cluster::new(&server, "");
    let first = cluster.start_active("a").await;
    server.stop("KILL");
    until("it stands by", || !is_active(&first)).await;
    until("it is not ready", || cluster.run("a", &["health", "--ready"]).err.contains("store: cannot reach"))
        .await;
    cluster.run("a", &["health"]).expect(0);
    cluster.sites(1);
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    let refused = cluster.run("a", &set).expect(1);
    assert!(
        refused.err.contains("no replica is active, so the request was not carried out"),
        "{}",
        refused.err
    );
    cluster.check_patches(3).await;
    server.start_again();
    cluster.until_phones(1).await;
    cluster.run("a", &["health", "--ready"]).expect(0);
    cluster.check_history().await;
}

#[tokio::test]
async fn a_replica_that_loses_the_database_while_it_stops_does_not_wait_for_it() {
    let server = Server::start();
    let cluster = Cluster::new(&server, "");
    let mut first = cluster.start_active("a").await;
    // A PATCH is under way when the signal comes, so the end waits for it.
    cluster.api.simulator.inject(Fault::new(Kind::Latency { ms: 1_500 }).method("PATCH"));
    cluster.sites(1);
    let open = "SELECT count(*) FROM rtconfd.writes WHERE outcome = 'intended'";
    until("a PATCH is under way", || cluster.sql(open) != "0").await;
    first.signal("TERM");
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop("KILL");
    assert_eq!(first.ends().await, 0, "{}", first.log());
}

#[tokio::test]
async fn people_act_on_any_replica_and_from_any_machine() {
    let cluster = Cluster::new(Server::shared(), "");
    let _first = cluster.start_active("a").await;
    let _second = cluster.start_standby("b").await;
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    let shown = cluster.run("b", &set).expect(0);
    assert!(shown.out.contains("Override 1 is set: closed."), "{}", shown.out);
    cluster.api.until_variable("A-0", "is_open", &json!(false)).await;
    // A machine without a replica reaches the cluster through the database.
    let listed = cluster.run("elsewhere", &["override", "list", "--format", "json"]).expect(0).lines();
    assert_eq!(listed[0]["reason"], "snow");
    cluster.run("elsewhere", &["override", "extend", "1", "--until", "3h"]).expect(0);
    cluster.run("b", &["override", "clear", "2"]).expect(0);
    cluster.api.until_variable("A-0", "is_open", &json!(true)).await;
    let refused = cluster.run("b", &["override", "clear", "99"]).expect(1);
    assert!(refused.err.contains("override 99 is not active"), "{}", refused.err);
    let ready = cluster.run("b", &["health", "--ready"]).expect(0);
    assert!(ready.out.starts_with("ready\nstandby: process "), "{}", ready.out);
    let elsewhere = cluster.run("elsewhere", &["health"]).expect(1);
    assert!(elsewhere.err.contains("no rtconfd runs on this machine"), "{}", elsewhere.err);
    let status = cluster.run("b", &["status"]).expect(0);
    assert!(status.out.contains("rtconfd is running."), "{}", status.out);
}

#[tokio::test]
async fn a_standby_serves_the_status_page_and_says_that_it_stands_by() {
    let cluster = Cluster::new(Server::shared(), "");
    let first = cluster.start_active("a").await;
    cluster.folder.private("token", "a-long-secret-token-of-anna");
    cluster.settings(
        "[listen]\naddress = \"127.0.0.1:0\"\n[[listen.tokens]]\nname = \"anna\"\nfile = \"token\"\n\
         rights = [\"override\"]\n",
    );
    let second = cluster.start_standby("b").await;
    let address = format!("http://127.0.0.1:{}", second.port().await);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| {
        let response = client.get(format!("{address}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let response = client.get(format!("{address}/")).send().await.unwrap();
    let policy = response.headers().get("content-security-policy").cloned();
    assert!(policy.is_some_and(|policy| policy.to_str().unwrap().contains("frame-ancestors 'none'")));
    let (status, page) = get("/").await;
    assert!(status == 200 && page.contains("A-2/live"), "{status} {page}");
    let reloaded = cluster.run("b", &["reload"]).expect(0);
    assert!(reloaded.out.contains("This replica stands by"), "{}", reloaded.out);
    let (status, page) = get("/status").await;
    let status_json: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(status, 200);
    let listed = || {
        let status = cluster.run("b", &["status", "--format", "json"]).lines().pop().unwrap_or_default();
        let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().map(|replica| replica["active"] == true).collect::<Vec<bool>>()
    };
    until("both replicas are listed, and one is active", || listed() == [true, false]).await;
    assert_eq!(status_json["pages"].as_array().unwrap().len(), 3);
    let (status, text) = get("/readyz").await;
    assert!(status == 200 && text.contains("standby: process "), "{text}");
    let (_, text) = get("/metrics").await;
    assert!(text.contains("rtconfd_active 0"), "{text}");
    let set = json!({ "pages": ["A-1/live"], "says": "closed", "until": "2h", "reason": "snow" });
    let post = |token: &str| {
        let request = client.post(format!("{address}/overrides")).body(set.to_string());
        request.header("Authorization", format!("Bearer {token}")).send()
    };
    assert_eq!(post("wrong").await.unwrap().status().as_u16(), 403);
    let response = post("a-long-secret-token-of-anna").await.unwrap();
    assert_eq!(response.status().as_u16(), 201, "{}", response.text().await.unwrap());
    cluster.api.until_variable("A-1", "is_open", &json!(false)).await;
    assert_eq!(cluster.sql("SELECT who FROM rtconfd.overrides"), "token as anna");
    // A browser gets a page, also if no replica is active.
    drop(first);
    let request = client.get(format!("{address}/")).header("Accept", "text/html");
    cluster.sql("UPDATE rtconfd.meta SET lease_ms = 600000");
    let response = request.send().await.unwrap();
    let is_page = response.headers()["content-type"] == "text/html; charset=utf-8";
    assert!(
        response.status() == 503 && is_page && response.headers().contains_key("content-security-policy")
    );
    assert!(response.text().await.unwrap().contains("no replica is active"));
}

/// An update reaches the standbys first; then an older program meets the newer store.
#[tokio::test]
async fn a_newer_program_upgrades_the_store_and_an_older_one_cannot_take_over() {
    let cluster = Cluster::new(Server::shared(), "");
    cluster.sql("ALTER TABLE rtconfd.replicas DROP COLUMN files; UPDATE rtconfd.meta SET version = 1");
    let first = cluster.start_active("a").await;
    cluster.sql("ALTER TABLE rtconfd.replicas DROP COLUMN files; UPDATE rtconfd.meta SET version = 1");
    let second = cluster.start_standby("b").await;
    until("the store is upgraded", || cluster.sql("SELECT version FROM rtconfd.meta") == "2").await;
    cluster.sites(1);
    cluster.until_phones(1).await;
    assert!(is_active(&first), "{}", first.log());
    cluster.sql("UPDATE rtconfd.meta SET version = 99");
    until("the older program says so", || second.log().contains("run the newer rtconfd")).await;
    let health = cluster.run("b", &["health", "--ready"]).expect(1);
    assert!(health.err.contains("this program knows 2") || health.out.contains("this program knows 2"));
    cluster.sites(2);
    cluster.until_phones(2).await;
    cluster.sql("UPDATE rtconfd.meta SET version = 2");
    drop(first);
    until("the other one is active", || is_active(&second)).await;
    cluster.sites(3);
    cluster.until_phones(3).await;
}

/// The rights that the guide gives to the service.
#[tokio::test]
async fn a_replica_needs_no_more_rights_than_the_guide_gives_it() {
    let cluster = Cluster::new(Server::shared(), "");
    let guide = include_str!("../../../docs/guides/two-machines.md");
    let rights = guide.split("## Give it fewer rights").nth(1).unwrap();
    let rights = rights.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let role = format!("service_{}", cluster.database);
    cluster.sql(&rights.replace("rtconfd_service", &role));
    let url = cluster.server.url(&cluster.database).replace("postgres@", &format!("{role}@"));
    cluster.settings_with(&url, "");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    cluster.until_copied("a").await;
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    cluster.run("b", &set).expect(0);
    cluster.run("b", &["history"]).expect(0);
    first.signal("TERM");
    until("the other one is active", || is_active(&second)).await;
    cluster.sites(1);
    cluster.until_phones(1).await;
}

#[tokio::test]
async fn a_store_in_a_file_moves_to_the_database_with_its_overrides() {
    let cluster = Cluster::new(Server::shared(), "");
    let url = cluster.server.url(&cluster.database);
    let with_file = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
    let with_file = with_file.replace(&format!("url = \"{url}\""), "path = \"state.sqlite\"");
    cluster.folder.write("rtconfd.toml", &with_file);
    cluster.run("a", &["apply"]).expect(0);
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    cluster.run("a", &set).expect(4);
    let moved = cluster.run("a", &["store", "move", &url]).expect(0);
    assert!(moved.out.contains("rows of the store") && moved.err.contains("Set store.url"), "{}", moved.err);
    let mut refused = cluster.start("a");
    assert_eq!(refused.ends().await, 1, "{}", refused.log());
    assert!(refused.log().contains("was moved to postgres://"), "{}", refused.log());
    cluster.settings("");
    let _first = cluster.start("a");
    cluster.api.until_variable("A-0", "is_open", &json!(false)).await;
    let running = cluster.run("b", &["store", "move", "back.sqlite"]).expect(1);
    assert!(running.err.contains("is in use by process"), "{}", running.err);
}

#[tokio::test]
async fn a_replica_whose_lease_was_taken_says_so_and_stores_nothing() {
    let cluster = Cluster::new(Server::shared(), "");
    let first = cluster.start_active("a").await;
    // As another replica does, which then dies.
    let writes = cluster.sql(
        "UPDATE rtconfd.lease SET holder = 'other', described = 'process 1 on other', epoch = epoch + 1;
            SELECT count(*) FROM rtconfd.writes",
    );
    cluster.sites(1);
    until("it says so", || first.log().contains("was taken over by process 1 on other")).await;
    assert_eq!(cluster.sql("SELECT count(*) FROM rtconfd.writes"), writes);
    cluster.until_phones(1).await;
}

#[tokio::test]
async fn nothing_is_sent_that_could_end_after_the_lease() {
    let cluster = Cluster::new(Server::shared(), "");
    // Longer than the lease of these tests.
    let settings = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
    cluster
        .folder
        .write("rtconfd.toml", &settings.replace("total_timeout = \"2s\"", "total_timeout = \"20s\""));
    let first = cluster.start("a");
    until("it says why", || first.log().contains("ends before a request could")).await;
    assert_eq!(cluster.api.requests("PATCH").len(), 0);
    cluster.folder.write("rtconfd.toml", &settings);
    first.signal("HUP");
    cluster.until_phones(0).await;
    cluster.check_history().await;
}

#[tokio::test]
async fn after_all_replicas_were_killed_overrides_are_stored_for_the_next_start() {
    let cluster = Cluster::new(Server::shared(), "");
    let (first, second) = (cluster.start_active("a").await, cluster.start_standby("b").await);
    drop(second);
    drop(first);
    let status = || cluster.run("elsewhere", &["status"]).out;
    until("nothing runs", || status().contains("rtconfd is not running.")).await;
    let set = ["override", "set", "A-0/live", "--closed", "--until", "2h", "--reason", "snow"];
    let stored = cluster.run("elsewhere", &set).expect(4);
    assert!(stored.err.contains("no effect until the next apply"), "{}", stored.err);
    let _again = cluster.start("a");
    cluster.api.until_variable("A-0", "is_open", &json!(false)).await;
}
