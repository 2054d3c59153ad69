//! Replicas whose files differ for a while, as with a ConfigMap that reaches one machine late.

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
    let second = cluster.start_standby("b").await;
    let path = cluster.folder.path("sites.csv").display().to_string();
    let is_same = |files: &Value| files["differ"] == json!([]) && files["errors"] == 0;
    until("both read the same", || is_same(&cluster.files_of_standby())).await;
    // The replica that sleeps reads the newer file late.
    second.signal("STOP");
    cluster.sites(1);
    cluster.until_phones(1).await;
    until("the table differs", || cluster.files_of_standby()["differ"] == json!([path])).await;
    let shown = cluster.run("a", &["status"]).out;
    assert!(shown.contains(&format!(", other: {path}\n")), "{shown}");
    let page = reqwest::get(format!("http://127.0.0.1:{}/", first.port().await)).await.unwrap();
    let page = page.text().await.unwrap();
    let differs = format!("reads other files than the active replica: {path}.");
    assert!(page.contains(&differs), "{page}");
    second.signal("CONT");
    until("both read the same again", || is_same(&cluster.files_of_standby())).await;
    cluster.folder.write("sites.csv", "");
    until("the error is counted", || cluster.files_of_standby()["errors"] == 1).await;
    until("the standby logs it", || second.log().contains("the file is empty")).await;
}

#[tokio::test]
async fn a_standby_follows_an_update_of_the_zone_database() {
    let cluster = Cluster::new(Server::shared(), "");
    write_zones(&cluster.folder, "2026f", "Europe/London");
    cluster.settings("[time]\nzoneinfo = \"./zones\"\n");
    let first = cluster.start_active("a").await;
    let second = cluster.start_standby("b").await;
    let differing = || cluster.files_of_standby()["differ"].clone();
    until("both read the same", || differing() == json!([])).await;
    first.signal("STOP");
    write_zones(&cluster.folder, "2026g", "Asia/Tokyo");
    // An event makes it look at once.
    cluster.sites(1);
    until("the other one is active", || is_active(&second)).await;
    until("it has the newer rules", || second.log().contains("zone_database=2026g")).await;
    cluster.until_phones(1).await;
}
