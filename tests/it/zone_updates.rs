//! Updates of the zone database, as transcripts.

use rtconfd::zone::Database;

use crate::support::{Api, Folder, NO_HOLD, always, running, until};

/// Writes a zone database in which London has the rules of another zone.
pub fn write_zones(folder: &Folder, release: &str, clock: &str) {
    let zone = Database::embedded().zone(clock).unwrap();
    std::fs::create_dir_all(folder.path("zones/Europe")).unwrap();
    std::fs::write(folder.path("zones/Europe/London.new"), zone.tzif().unwrap()).unwrap();
    std::fs::rename(folder.path("zones/Europe/London.new"), folder.path("zones/Europe/London")).unwrap();
    folder.write("zones.zi", &format!("# version {release}\n"));
    std::fs::rename(folder.path("zones.zi"), folder.path("zones/tzdata.zi")).unwrap();
}

const OPENS: &str = "restat = \"1s\"\n[time]\nzoneinfo = \"./zones\"\n[hours.desk]\ntimezone = \"Europe/London\"\nweekly = \"Mo-Su 09:00-17:00\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = { next = { hours = \"desk\", show = \"next_change_at\" }, zone = { value = { a = 1 } } }\n";

fn with_top(folder: &Folder, api: &Api) {
    let settings = format!(
        "{OPENS}[api]\nbase_url = \"{}\"\nkey_file = \"key\"\n[store]\npath = \"state.sqlite\"\n{NO_HOLD}",
        api.url
    );
    folder.write("rtconfd.toml", &settings);
}

#[tokio::test]
async fn a_zone_database_update_is_applied_automatically_and_checked_like_any_input() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    with_top(&folder, &api);
    write_zones(&folder, "2026f", "Europe/London");
    let mut process = running(&folder).await;
    until("the page is filled", || api.variables("A-1").get("next").is_some()).await;
    let status = folder.run(&["status", "--format", "json"]).expect(0).lines();
    let zones = status.last().unwrap()["zone_database"].as_str().unwrap().to_owned();
    assert!(zones.starts_with("2026f (") && zones.ends_with("zones)"), "{zones}");
    let before = api.variables("A-1")["next"].clone();

    // A package update gives London the rules of Tokyo, nine hours ahead.
    write_zones(&folder, "2026g", "Asia/Tokyo");
    until("the new rules are active", || api.variables("A-1")["next"] != before).await;
    assert!(process.log().contains("the settings were reloaded"), "{}", process.log());
    process.signal("TERM");
    assert_eq!(process.ends().await, 0);
    let moved = api.variables("A-1")["next"].clone();

    // While the program is off, the rules change back for every page: the revision is held and
    // pages keep their values.
    write_zones(&folder, "2026h", "Europe/London");
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &settings.replace(NO_HOLD, "[hold]\npages = 0\n"));
    let held = folder.run(&["apply"]).expect(3).err;
    assert!(held.contains("the next 14 days change for 1 of 1 pages"), "{held}");
    assert_eq!(api.variables("A-1")["next"], moved);
}

#[test]
fn the_zone_database_is_named_and_its_age_and_differences_are_reported() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    with_top(&folder, &api);
    write_zones(&folder, "2024a", "Asia/Tokyo");
    let reported = folder.run(&["check", "--at", "2026-11-28"]).expect(0);
    for part in [
        "the zone database 2024a (",
        "is older than a year: rules changed after 2024a are missing",
        "time zone Europe/London differs already by 540 minutes between the zone database 2024a (",
    ] {
        assert!(reported.err.contains(part), "{part} in {}", reported.err);
    }
    assert!(reported.out.contains("Zone database 2024a ("), "{}", reported.out);
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &settings.replace("./zones", "./nowhere"));
    let reported = folder.run(&["check"]).expect(1).err;
    assert!(
        reported.contains("has no zone database") && reported.contains("install the package tzdata"),
        "{reported}"
    );
    folder.write("rtconfd.toml", &settings.replace("./zones", "embedded").replace("Europe/London", "EST"));
    let reported = folder.run(&["check", "--at", "2026-11-28"]).expect(0).err;
    assert!(
        reported.contains("time zone `EST` has no summer time") && reported.contains("America/New_York"),
        "{reported}"
    );
    let version = folder.run(&["--version"]).expect(0).out;
    assert!(version.starts_with("rtconfd ") && version.contains("\nzone database 20"), "{version}");
}
