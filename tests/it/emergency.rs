//! Emergencies as transcripts of the commands: no daemon, another user, broken settings, a bad
//! reload, a page that waits for its promotion, a held revision.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Api, Folder, Ran, SITES, always, running};

/// Breaks the settings anywhere but in `[store]`.
fn break_settings(folder: &Folder) {
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &format!("{settings}\n[[page]]\nagnt = \"B\"\nhours = [\n"));
}

const CLOSED: [&str; 6] = ["override", "set", "--all", "--closed", "--until-released", "--reason=flood"];

#[tokio::test]
async fn commands_reach_the_daemon_even_with_broken_settings() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let _process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    break_settings(&folder);

    let reported = folder.run(&CLOSED).expect(0);
    assert_eq!(
        reported.out,
        "Override 1 is set: closed.\nPAGE       UNTIL\nA-1/live   released\nTo end it earlier: rtconfd override clear 1\n"
    );
    assert_eq!(reported.err, "");
    api.until_variable("A-1", "is_open", &json!(false)).await;
    let listed = folder.run(&["override", "list", "--format", "json"]).expect(0).lines();
    assert_eq!(listed[0]["reason"], "flood");
    assert!(folder.run(&["history"]).expect(0).out.contains("is_open"));
    let status = folder.run(&["status"]).expect(1);
    assert!(status.err.contains("this is not TOML"), "{}", status.err);
    assert!(
        status.out.starts_with("rtconfd is running with its last good settings.\nPAGE       STATE   DUE   PROBLEM\nA-1/live   right"),
        "{}",
        status.out
    );
    assert!(status.out.contains("Override 1: closed, by override as tester: flood"), "{}", status.out);
    folder.run(&["override", "clear", "1"]).expect(0);
    api.until_variable("A-1", "is_open", &json!(true)).await;
}

#[tokio::test]
async fn without_a_daemon_an_override_has_no_effect_and_creates_no_store() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let reported = folder.run(&CLOSED).expect(1).err;
    let store = folder.path("state.sqlite");
    assert!(
        reported.starts_with(&format!(
            "error: no rtconfd runs on the store {}: nothing answers at",
            store.display()
        )),
        "{reported}"
    );
    assert!(reported.contains("hint: name the store of the daemon with --set store.path=FILE"), "{reported}");
    assert!(!store.exists() && !folder.path("state.sqlite.lock").exists(), "a store was created");

    folder.run(&["apply"]).expect(0);
    let reported = folder.run(&CLOSED).expect(4);
    assert!(reported.out.starts_with("Override 1 is stored: closed.\n"), "{}", reported.out);
    let warned = format!(
        "warning: stored in {}; no rtconfd runs on it: no effect until the next apply\n",
        store.display()
    );
    assert_eq!(reported.err, warned);
    let reported = folder.run(&["override", "clear", "1"]).expect(4);
    assert_eq!((reported.out.as_str(), reported.err), ("Override 1 is released.\n", warned));
    break_settings(&folder);
    assert!(
        folder.run(&CLOSED).expect(1).err.contains("this is not TOML"),
        "neither a daemon nor valid settings"
    );
}

#[tokio::test]
async fn another_user_gets_the_socket_path_and_the_required_owner() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let _process = running(&folder).await;
    let is_root = rustix_uid() == 0;
    // Root may use any socket, so as root the test runs the program as an unprivileged user, who
    // needs access to the program and the folder.
    let program = folder.path("rtconfd");
    // Copied by another process. A copy made here could still be open for writing in a child that
    // another test forks, and a file open for writing cannot be executed (ETXTBSY).
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_rtconfd")).arg(&program).status();
    assert!(copied.unwrap().success());
    if !is_root {
        std::fs::set_permissions(folder.path("state.sqlite.sock"), std::fs::Permissions::from_mode(0o000))
            .unwrap();
    }
    std::fs::set_permissions(folder.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(CLOSED).current_dir(folder.path("")).env_clear();
    if is_root {
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    }
    let reported = Ran::new(command.output().unwrap()).expect(1).err;
    let socket = folder.path("state.sqlite.sock");
    assert!(
        reported.starts_with(&format!(
            "error: cannot reach the rtconfd at {}: permission denied for uid",
            socket.display()
        )),
        "{reported}"
    );
    assert!(
        reported.contains("hint: run this as the user of the daemon or as root, for example with sudo"),
        "{reported}"
    );
}

fn rustix_uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

#[tokio::test]
async fn a_bad_reload_fails_and_is_reported_everywhere_until_a_good_one() {
    let api = Api::start();
    let listen = "[listen]\naddress = \"127.0.0.1:0\"\n";
    let folder = Folder::new(&api.url, &format!("{listen}{}", always("A-1")));
    let process = running(&folder).await;
    let port = process.port().await;
    let get = |path: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        async move { client.get(url).send().await.unwrap().text().await.unwrap() }
    };
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert_eq!(folder.run(&["reload"]).expect(0).out, "The settings were reloaded and are active.\n");
    assert_eq!(get("/readyz").await, "ready\n");
    assert!(get("/metrics").await.contains("rtconfd_config_last_reload_successful 1\n"));

    let good = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &format!("[log]\nformat = \"json\"\n{good}"));
    folder.run(&["reload"]).expect(0);
    assert!(
        process.log().contains("[log] changed: it takes effect at the next restart"),
        "{}",
        process.log()
    );
    folder.write("rtconfd.toml", &good);

    folder.write("rtconfd.toml", &good.replace("weekly", "wekly"));
    let reported = folder.run(&["reload"]).expect(1).err;
    assert!(
        reported.contains("unknown key `wekly`")
            && reported.ends_with("The previous settings stay active.\n"),
        "{reported}"
    );
    let status = folder.run(&["status"]).expect(1);
    assert!(
        status.out.contains("RELOAD FAILED at ") && status.out.contains("unknown key `wekly`"),
        "{}",
        status.out
    );
    let status: Value = serde_json::from_str(&get("/status").await).unwrap();
    assert_eq!(status["reload"]["problems"].as_array().map(Vec::is_empty), Some(false), "{status}");
    assert!(get("/metrics").await.contains("rtconfd_config_last_reload_successful 0\n"));
    // A restart by a liveness probe would end in an error.
    assert_eq!(get("/healthz").await, "ok\n");
    assert!(get("/readyz").await.starts_with("not ready\nreload: the reload at "));
    assert_eq!(api.variables("A-1"), json!({"is_open": true}));

    // A readable but unusable key fails as well.
    folder.write("rtconfd.toml", &good.replace("key_file = \"key\"", "key_file = \"other\""));
    let reported = folder.run(&["reload"]).expect(1).err;
    assert!(reported.contains("cannot load the API key that the settings name"), "{reported}");

    folder.write("rtconfd.toml", &good);
    folder.run(&["reload"]).expect(0);
    assert!(!folder.run(&["status"]).expect(0).out.contains("RELOAD FAILED"));
    assert!(get("/metrics").await.contains("rtconfd_config_last_reload_successful 1\n"));
}

#[test]
fn a_reload_without_a_daemon_names_the_socket_it_tried() {
    let folder = Folder::new("http://127.0.0.1:9", &always("A-1"));
    let reported = folder.run(&["reload"]).expect(1).err;
    assert!(reported.contains("nothing answers at") && reported.contains("state.sqlite.sock"), "{reported}");
}

fn twelve_sites(hours: &str) -> String {
    let row = |number: usize| format!("s{number},A-{number},{hours},1\n");
    format!("site,agent,hours,phone\n{}", (0..12).map(row).collect::<String>())
}

#[tokio::test]
async fn a_held_revision_can_be_reviewed_by_site_before_it_is_approved() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", &twelve_sites("Mo-Su 09:00-17:00"));
    folder.run(&["apply"]).expect(0);
    assert!(folder.run(&["diff"]).expect(0).err.contains("No revision is held"));
    folder.write("sites.csv", &twelve_sites("Mo-Su 10:00-17:00"));
    let held = folder.run(&["apply"]).expect(3).err;
    let revision = held.split("revision ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(held.contains("the next 14 days change for 12 of 12 pages"), "{held}");

    let diff = folder.run(&["diff", &revision]).expect(2);
    assert_eq!(diff.out.lines().count(), 13, "{}", diff.out);
    let line = diff.out.lines().nth(1).unwrap();
    assert!(
        line.starts_with("A-0/live ") && line.contains("on 14 dates   09:00-17:00   10:00-17:00"),
        "{line}"
    );
    let json = folder.run(&["diff", "--format", "json"]).expect(2).lines();
    assert_eq!(
        (&json[0]["before"], &json[0]["after"], &json[0]["dates"]),
        (&json!("09:00-17:00"), &json!("10:00-17:00"), &json!(14))
    );
    assert!(folder.run(&["diff", "r000000000000"]).expect(1).err.contains("is not held"));
    assert!(
        folder
            .run(&["preview"])
            .expect(0)
            .err
            .contains(&format!("shown: the held revision {revision}, which is not active"))
    );
    assert!(
        folder
            .run(&["explain", "A-0/live", "is_open"])
            .expect(0)
            .err
            .contains(&format!("shown: the active revision; {revision} is held"))
    );

    let opening = |chosen: &str| -> String {
        let at = ["--at", "2026-03-02T09:30:00Z", "--days", "1", "--revision", chosen];
        let ran = folder.run(&[&["preview", "A-0/live", "--format", "json"][..], &at].concat()).expect(0);
        let explained = ["explain", "A-0/live", "is_open", "--at", "2026-03-02T09:30:00Z"];
        let explained = folder.run(&[&explained[..], &["--format", "json", "--revision", chosen]].concat());
        format!("{} {}", ran.lines()[0]["to"], explained.expect(0).lines()[0]["value"])
    };
    assert_eq!(
        [opening("active"), opening("held"), opening(&revision)],
        ["true true", "false false", "false false"]
    );
    let unknown = folder.run(&["preview", "--revision", "r000000000000"]).expect(1).err;
    assert!(unknown.contains("unknown revision r000000000000") && unknown.contains(&revision), "{unknown}");

    folder.run(&["approve", &revision]).expect(0);
    let rollout = folder.run(&["diff"]).expect(2);
    assert_eq!(rollout.out, diff.out, "the pages still hold the revision before");
    assert!(rollout.err.contains("It is approved and being rolled out: sent to 0 of 12 page(s) so far."));
    let shown = folder.run(&["preview", "--revision", "active"]).expect(0).err;
    assert!(
        shown.contains(&format!("shown: the active revision; {revision} is being rolled out")),
        "{shown}"
    );
    assert_eq!([opening("active"), opening(&revision)], ["true true", "false false"]);
    assert!(folder.run(&["preview", "--revision", "held"]).expect(1).err.contains("no revision is held"));
    folder.run(&["apply", "--timeout", "30s"]).expect(0);
    assert!(folder.run(&["diff"]).expect(0).err.contains("No revision is held"));
    assert!(
        folder.run(&["preview"]).expect(0).err.contains(&format!("shown: the active revision {revision}"))
    );
}

#[tokio::test]
async fn the_name_of_a_revision_does_not_depend_on_flags_or_environment() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", &twelve_sites("Mo-Su 09:00-17:00"));
    folder.run(&["apply", "--quiet"]).expect(0);
    folder.write("sites.csv", &twelve_sites("Mo-Su 10:00-17:00"));
    let held = folder.run(&["apply", "--quiet", "--set", "resync=1h"]).expect(3).err;
    let revision = held.split("revision ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    folder.run(&["diff", &revision]).expect(2);
    folder.run(&["approve", &revision]).expect(0);
    folder.run(&["apply", "--quiet", "--timeout", "30s"]).expect(0);
    assert!(folder.run(&["diff"]).expect(0).err.contains("No revision is held"));
}

/// Rows that each have an item in a list on one page.
#[tokio::test]
async fn a_changed_list_is_reported_by_added_and_removed_rows_with_their_cells() {
    let api = Api::start();
    let list = "[sources.sites]\npath = \"sites.csv\"\nkey = \"site\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\n[page.variables]\nsites = { each = \"sites\", item = { name = \"{{ row.site }}\", phone = \"{{ row.phone }}\" } }\n";
    let folder = Folder::new(&api.url, &format!("[hold]\npages = 0\n{list}"));
    folder.write("sites.csv", "site,phone\na,1\nb,2\nc,3\n");
    folder.run(&["apply"]).expect(0);
    folder.write("sites.csv", "site,phone\na,11\nd,4\n");
    let reported = folder.run(&["apply"]).expect(3);
    let diff = folder.run(&["diff", "--format", "json"]).expect(2).lines();
    let shown: Vec<String> = diff
        .iter()
        .map(|line| {
            let name = line["row"].as_str().or(line["variable"].as_str()).unwrap();
            format!("{} {name} {}", line["change"].as_str().unwrap(), line["after"])
        })
        .collect();
    assert_eq!(
        shown,
        [
            "new row sites[d] null",
            "row gone sites[b] null",
            "row gone sites[c] null",
            "value sites[a].phone \"11\""
        ],
        "{}",
        reported.err
    );
}

#[tokio::test]
async fn a_page_whose_table_cannot_be_read_is_reported_as_missing_with_the_reason() {
    let folder = Folder::new("http://127.0.0.1:9", SITES);
    let reported = folder.run(&["explain", "A-1/live", "is_open"]).expect(1).err;
    assert!(reported.contains("sites.csv: the file is missing"), "{reported}");
    assert!(
        reported.contains(
            "unknown page A-1/live\n  hint: fix the errors above: what could not be read may define the page"
        ),
        "{reported}"
    );
    let reported = folder.run(&["preview", "A-1/live"]).expect(1).err;
    assert!(
        reported.contains("sites.csv: the file is missing") && reported.contains("unknown page A-1/live"),
        "{reported}"
    );
}

#[test]
fn check_reports_everything_that_run_needs_and_lacks() {
    let api = Api::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = format!(
        "[listen]\naddress = \"{address}\"\ntoken_file = \"token\"\nwebhook_secret_file = \"secret\"\n{}",
        always("A-1")
    );
    let folder = Folder::new(&api.url, &listen);
    folder.write("secret", "s3cret\n");
    std::fs::set_permissions(folder.path("secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let reported = folder.run(&["check"]).expect(1).err;
    for part in [
        "token token_file: cannot read the token or secret from".to_owned(),
        "listen.webhook_secret_file: other users can read the token or secret in".to_owned(),
        format!("cannot listen on {address} (listen.address)"),
        "hint: stop the program that uses the port".to_owned(),
    ] {
        assert!(reported.contains(&part), "{part} in {reported}");
    }
    drop(taken);
    for name in ["token", "secret"] {
        folder.private(name, "t0ken\n");
    }
    let reported = folder.run(&["check"]).expect(0).out;
    assert!(reported.starts_with("All is well: 1 page(s)") && !reported.contains("schema"), "{reported}");
}

#[test]
fn many_waiting_pages_are_reported_in_one_line() {
    let api = Api::start();
    let settings = SITES.replace(
        "environment = \"live\"",
        "environment = [\"sandbox\", \"live\"]\nfollow = \"sandbox\"\nafter = \"2h\"",
    );
    let folder = Folder::new(&api.url, &settings);
    let sites = |count: usize| {
        let row = |number: usize| format!("s{number},A-{number},Mo-Su 09:00-17:00,1\n");
        format!("site,agent,hours,phone\n{}", (0..count).map(row).collect::<String>())
    };
    for (count, lines) in [(2, 2), (41, 1)] {
        folder.write("sites.csv", &sites(count));
        let reported = folder.run(&["plan"]).expect(2).err;
        assert_eq!(reported.lines().filter(|line| line.contains(" wait")).count(), lines, "{reported}");
    }
    let reported = folder.run(&["plan"]).expect(2).err;
    assert!(
        reported
            .contains("41 pages wait for their promotion: A-0/live, A-1/live, A-10/live, … (rtconfd status"),
        "{reported}"
    );
}

#[test]
fn a_failed_write_to_standard_output_is_an_error() {
    let folder = Folder::new("http://127.0.0.1:9", &always("A-1"));
    for arguments in
        [&["preview"][..], &["check", "--offline"], &["--version"], &["--help"], &["calendar", "--codes"]]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Ran::new(folder.command(arguments).stdout(full).output().unwrap());
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_quiet_apply_prints_only_problems() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let ran = folder.run(&["apply", "--quiet"]).expect(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_eq!(api.variables("A-1"), json!({"is_open": true}));
    let broken = Folder::new("http://127.0.0.1:9", &always("A-1"));
    let ran = broken.run(&["apply", "--quiet", "--timeout", "1s"]).expect(1);
    assert!(
        ran.out.contains("A-1/live") && ran.err.contains("cannot be reached")
            || ran.out.contains("cannot reach the API"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn all_cells_of_a_value_are_named() {
    let folder = Folder::new(
        "http://127.0.0.1:9",
        "[sources.sites]\npath = \"sites.csv\"\nkey = \"site\"\n[sources.phones]\npath = \"phones.csv\"\nkey = \"site\"\n[[page]]\nfor_each = \"sites\"\njoin = { phones = \"{{ row.site }}\" }\nagent = \"{{ row.site }}\"\nenvironment = \"live\"\nvariables = { text = \"{{ phones.number }} {{ row.open }}-{{ row.close }}\" }\n",
    );
    folder.write("sites.csv", "site,open,close\nA-1,9,17\n");
    folder.write("phones.csv", "site,number\nA-1,123\n");
    for _ in 0..5 {
        let reported = &folder.run(&["explain", "A-1/live", "text", "--format", "json"]).expect(0).lines()[0];
        assert_eq!(
            reported["origin"],
            "phones.csv:2, column \"number\" and sites.csv:2, column \"open\" and \"close\""
        );
    }
}
