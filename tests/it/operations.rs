//! Health, versions, and backups of the store, as operators use them.

use serde_json::json;

use crate::support::{Api, Folder, SITES, always, desk, round_the_clock, running};

#[tokio::test]
async fn health_says_if_the_daemon_works_and_if_it_is_ready() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let err = folder.run(&["health"]).expect(1).err;
    assert!(err.contains("no rtconfd runs on the store"), "{err}");
    let mut process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert_eq!(folder.run(&["health"]).expect(0).out, "ok\n");
    assert_eq!(folder.run(&["health", "--ready"]).expect(0).out, "ready\n");
    folder.settings(&api.url, "unknown = 1\n");
    folder.run(&["reload"]).expect(1);
    assert_eq!(folder.run(&["health"]).expect(0).out, "ok\n", "the previous settings are active");
    let err = folder.run(&["health", "--ready"]).expect(1).err;
    assert!(err.contains("not ready\nreload: "), "{err}");
    process.signal("STOP");
    let err = folder.run(&["health"]).expect(1).err;
    assert!(err.contains("does not answer"), "{err}");
    process.signal("CONT");
    process.signal("TERM");
    assert!(process.child.wait().unwrap().success());
    folder.run(&["health"]).expect(1);
}

#[tokio::test]
async fn a_backup_beside_the_daemon_brings_back_overrides_and_history() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let backup = folder.path("backup.sqlite");
    let backup = backup.to_str().unwrap();
    let err = folder.run(&["store", "backup", backup]).expect(1).err;
    assert!(err.contains("no store found at "), "{err}");

    let mut process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.run(&["override", "set", "--all", "--closed", "--until-released", "--reason", "snow"]).expect(0);
    api.until_variable("A-1", "is_open", &json!(false)).await;
    let out = folder.run(&["store", "backup", backup]).expect(0).out;
    assert!(out.contains(" was copied to "), "{out}");
    let err = folder.run(&["store", "backup", backup]).expect(1).err;
    assert!(err.contains("exists already"), "{err}");
    let err = folder.run(&["store", "restore", backup]).expect(1).err;
    assert!(err.contains("is in use by process ") && err.contains("hint: stop it"), "{err}");
    let info = folder.run(&["store", "info", "--format", "json"]).expect(0).lines().remove(0);
    assert_eq!((&info["contents"]["overrides"], &info["contents"]["pages"]), (&json!(1), &json!(1)));
    assert!(info["in_use_by"].as_str().unwrap().starts_with("process "), "{info}");
    assert_eq!(info["version"], info["known"]);

    folder.run(&["override", "clear", "1"]).expect(0);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    process.signal("TERM");
    assert!(process.child.wait().unwrap().success());
    // A bad backup is named as one, and the store stays as it is.
    let whole = std::fs::read(backup).unwrap();
    std::fs::write(folder.path("cut.sqlite"), &whole[..whole.len() / 2]).unwrap();
    folder.write("sites.csv", "no store\n");
    for (file, expected) in [
        ("cut.sqlite", "cut.sqlite cannot be used: it is damaged"),
        ("sites.csv", "sites.csv cannot be used: "),
        ("nowhere.sqlite", "nowhere.sqlite cannot be used: No such file or directory"),
    ] {
        let err = folder.run(&["store", "restore", folder.path(file).to_str().unwrap()]).expect(1).err;
        assert!(err.contains(expected) && err.contains("nothing was changed"), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let err = folder.run(&["store", "backup", "/nowhere/b.sqlite"]).expect(1).err;
    assert!(err.contains("cannot write the backup /nowhere/b.sqlite"), "{err}");
    let out = folder.run(&["store", "restore", backup]).expect(0).out;
    assert!(out.contains("The replaced store is now "), "{out}");
    let _process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(false)).await;
    let info = folder.run(&["store", "info"]).expect(0).out;
    assert!(info.contains("overrides    1 active\n") && info.contains("default at http://"), "{info}");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_with_the_way_back() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.run(&["apply"]).expect(0);
    let backup = folder.path("backup.sqlite");
    folder.run(&["store", "backup", backup.to_str().unwrap()]).expect(0);
    // As a newer program would leave it.
    let connection = rusqlite::Connection::open(folder.path("state.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let err = folder.run(&["apply"]).expect(1).err;
    assert!(err.contains("has version 99") && err.contains("rtconfd store restore FILE"), "{err}");
    let info = folder.run(&["store", "info"]).expect(0).out;
    assert!(info.contains("version      99; this program writes "), "{info}");
    folder.run(&["store", "restore", backup.to_str().unwrap()]).expect(0);
    folder.run(&["apply"]).expect(0);
}

#[test]
fn the_version_names_everything_that_decides_about_values() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let short = folder.run(&["--version"]).expect(0).out;
    let long = folder.run(&["--version", "--verbose"]).expect(0).out;
    assert!(long.starts_with(&short), "{long}");
    for part in ["zone database 20", "public holidays holidays ", "commit ", "store SQLite 3.", "TLS rustls "]
    {
        assert!(long.contains(part), "{part} in {long}");
    }
}

/// An environment variable may be set in the terminal of the daemon alone.
#[tokio::test]
async fn commands_warn_when_the_rows_of_the_store_belong_to_another_api() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    folder.run(&["apply"]).expect(0);
    for command in [&["status"][..], &["history"], &["override", "list"], &["explain", "A-1/live", "is_open"]]
    {
        assert!(!folder.run(command).err.contains("the store has rows of"), "{command:?}");
        let elsewhere = ["--set", "api.base_url=http://127.0.0.1:9"];
        let err = folder.run(&[command, &elsewhere].concat()).err;
        let expected = format!("the store has rows of \"default\" at {}, and none of", api.url);
        assert!(err.contains(&expected), "{command:?}: {err}");
    }
}

#[tokio::test]
async fn a_reload_says_that_its_revision_is_held() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", &round_the_clock(10, "24/7"));
    let mut process = running(&folder).await;
    api.until_variable("A-9", "is_open", &json!(true)).await;
    folder.settings(&api.url, &SITES.replace("{{ row.hours }}", "off"));
    let reloaded = folder.run(&["reload"]).expect(3);
    assert!(reloaded.out.contains(" is held: its changes wait for approval"), "{}", reloaded.out);
    assert!(reloaded.err.contains("rtconfd approve r"), "{}", reloaded.err);
    folder.settings(&api.url, SITES);
    folder.run(&["reload"]).expect(0);
    assert_eq!(api.variables("A-9")["is_open"], json!(true));
    process.signal("TERM");
    assert!(process.child.wait().unwrap().success());
}
