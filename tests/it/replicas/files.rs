//! Replicas whose files differ for a while, as with a ConfigMap that reaches one machine late.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::postgres::Server;
use crate::support::until;
use crate::zone_updates::write_zones;

use super::{Cluster, is_active};

impl Cluster<'_> {
    /// Returns the files of the replica that stands by, as the other one sees them.
    fn files_of_standby(&self) -> Value {
        let status = self.run("a", &["status", "--format", "json"]).lines().pop().unwrap_or_default();
        let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().find(|replica| replica["active"] == false).map(|found| found["files"].clone()).into()
    }
}

/// The next machine gets its files late, as with a ConfigMap.
#[tokio::test]
async fn a_replica_with_old_files_rolls_nothing_back() {
    let cluster = Cluster::new(Server::shared(), "");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    cluster.sites(1);
    cluster.until_phones(1).await;
    drop(first);
    cluster.sites(0);
    until("the other one is active", || is_active(&second)).await;
    let status = || cluster.run("b", &["status"]).out;
    until("the old files are held", || status().contains("the files of this replica may be old")).await;
    cluster.until_phones(1).await;
    cluster.sites(1);
    until("nothing is held", || !status().contains("HELD")).await;
    // The values were right all the time.
    cluster.check_patches(6).await;
    cluster.sites(2);
    cluster.until_phones(2).await;
}

#[tokio::test]
async fn each_replica_shows_how_its_files_differ_from_those_of_the_active_one() {
    let cluster = Cluster::new(Server::shared(), "[listen]\naddress = \"127.0.0.1:0\"\n");
    let first = cluster.start_active("a").await;
    let settings = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
    cluster.folder.write("other.toml", &settings.replace("Europe/London", "Europe/Paris"));
    let second = cluster.start_with("b", &["run", "--config", "other.toml"]);
    until("the settings differ", || cluster.files_of_standby()["differ"] == json!(["settings"])).await;
    let shown = cluster.run("a", &["status"]).out;
    assert!(shown.contains(", other: settings\n"), "{shown}");
    let page = reqwest::get(format!("http://127.0.0.1:{}/", first.port().await)).await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("reads other files than the active replica: settings."), "{page}");
    cluster.folder.write("other.toml", &settings);
    second.signal("HUP");
    let is_same = |files: &Value| files["differ"] == json!([]) && files["errors"] == 0;
    until("both read the same", || is_same(&cluster.files_of_standby())).await;
    // A bad row and a bad file are errors before they matter.
    let table = std::fs::read_to_string(cluster.folder.path("sites.csv")).unwrap();
    cluster.folder.write("sites.csv", &table.replacen("Mo-Su", "Mo-Sx", 1));
    until("the bad row is counted", || cluster.files_of_standby()["errors"] == 1).await;
    until("the standby logs its place", || second.log().contains("sites.csv:2")).await;
    cluster.folder.write("sites.csv", "");
    until("the bad file is logged", || second.log().contains("the file is empty")).await;
}

/// Most of a takeover with many pages is compiling them.
#[tokio::test]
async fn a_takeover_uses_the_pages_that_were_compiled_before() {
    for same in ["[listen]\naddress = \"127.0.0.1:0\"\n", "[log]\nformat = \"text\"\n"] {
        let cluster = Cluster::new(Server::shared(), "");
        let first = cluster.start_active("a").await;
        let settings = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
        cluster.folder.write("other.toml", &settings.replacen("[sources", &format!("{same}[sources"), 1));
        let second = cluster.start_with("b", &["run", "--config", "other.toml"]);
        until("it has compiled its pages", || cluster.files_of_standby()["errors"] == 0).await;
        first.signal("TERM");
        until("the other one is active", || is_active(&second)).await;
        until("it has them", || second.log().contains("the pages were compiled before pages=3")).await;
        cluster.sites(1);
        cluster.until_phones(1).await;
    }
}

#[tokio::test]
async fn a_standby_without_tables_shows_its_settings() {
    let cluster = Cluster::new(Server::shared(), "");
    let settings = std::fs::read_to_string(cluster.folder.path("rtconfd.toml")).unwrap();
    let (top, _) = settings.split_once("[sources").unwrap();
    let page = "[[page]]\nagent = \"A-0\"\nenvironment = \"live\"\nvariables = { phone = \"1\" }\n";
    cluster.folder.write("rtconfd.toml", &format!("{top}{page}"));
    let _first = cluster.start("a");
    cluster.api.until_variable("A-0", "phone", &json!("1")).await;
    let _second = cluster.start_standby("b").await;
    until("both have the same", || cluster.files_of_standby()["differ"] == json!([])).await;
}

/// The second update comes while the first one is still being read.
#[tokio::test]
async fn a_standby_follows_updates_of_the_zone_database() {
    let cluster = Cluster::new(Server::shared(), "");
    write_zones(&cluster.folder, "2026f", "Europe/London");
    cluster.settings("[time]\nzoneinfo = \"./zones\"\n");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    let differing = || cluster.files_of_standby()["differ"].clone();
    until("both read the same", || differing() == json!([])).await;
    first.signal("STOP");
    // An event makes it look at once.
    for (release, zone) in [("2026g", "Asia/Tokyo"), ("2026h", "Europe/London"), ("2026i", "Asia/Tokyo")] {
        write_zones(&cluster.folder, release, zone);
        cluster.sites(1);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    until("the other one is active", || is_active(&second)).await;
    until("it has the newest rules", || second.log().contains("zone_database=2026i")).await;
    cluster.until_phones(1).await;
}
