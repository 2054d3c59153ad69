//! The program as a process: edits while it runs, transitions on an injected clock, signals,
//! crashes, secrets.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rtconfd::simulator::{Fault, Kind};
use serde_json::json;

use crate::support::{Api, Folder, KEY, NO_HOLD, Ran, SITES, desk, until};

const CSV: &str = "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\nb,A-2,Mo-Fr 09:00-17:00,2\n";

#[tokio::test]
async fn an_edited_file_reaches_the_page_immediately() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", CSV);
    let mut running = folder.spawn(&["run"]);
    api.until_variable("A-2", "phone", &json!("2")).await;
    folder.write("sites.csv", &CSV.replace(",2\n", ",22\n"));
    api.until_variable("A-2", "phone", &json!("22")).await;
    // Written in place by another program.
    std::fs::write(folder.path("sites.csv"), CSV.replace(",2\n", ",222\n")).unwrap();
    api.until_variable("A-2", "phone", &json!("222")).await;
    running.signal("TERM");
    assert_eq!(running.ends().await, 0, "{}", running.log());
    assert!(running.log().contains("stopped"), "{}", running.log());
}

/// Settings are given by a relative path, as in `cd folder && rtconfd run`.
#[tokio::test]
async fn a_file_created_after_the_start_is_detected_immediately() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("{SITES}{}", desk("A-9")));
    let mut running = folder.spawn(&["run", "--set", "restat=1h"]);
    until("the first page is filled", || api.variables("A-9").get("is_open").is_some()).await;
    folder.write("sites.csv", CSV);
    api.until_variable("A-1", "phone", &json!("1")).await;
    running.signal("TERM");
    assert_eq!(running.ends().await, 0);
}

#[tokio::test]
async fn every_transition_on_an_injected_clock_is_applied_exactly_once() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    // Starts on a Thursday afternoon, at two hours a second. The API's clock stays real.
    let mut running = folder.spawn(&["run", "--at", "2026-11-26T16:00:00Z", "--speed", "7200"]);
    until("a day of transitions", || api.requests("PATCH").len() >= 4).await;
    running.signal("TERM");
    assert_eq!(running.ends().await, 0, "{}", running.log());
    let sent: Vec<bool> = api
        .requests("PATCH")
        .iter()
        .map(|patch| patch.body.as_ref().unwrap()["variables"]["is_open"].as_bool().unwrap())
        .collect();
    assert_eq!(sent[..4], [true, false, true, false]);
    let history = folder.run(&["history", "--format", "json"]).expect(0).lines();
    let mut at: Vec<String> =
        history.iter().map(|row| row["at"].as_str().unwrap()[..13].to_owned()).collect();
    at.reverse();
    assert_eq!(at[1..4], ["2026-11-26T17", "2026-11-27T09", "2026-11-27T17"]);
}

#[tokio::test]
async fn an_injected_clock_against_a_real_api_is_refused() {
    let folder = Folder::new("https://api.uk.poly.ai", &desk("A-1"));
    let ran = folder.run(&["run", "--at", "2026-11-26T16:00:00Z"]).expect(1);
    assert!(ran.err.contains("not on this machine"), "{}", ran.err);
}

#[tokio::test]
async fn sigterm_ends_the_daemon_within_five_seconds_even_while_the_api_hangs() {
    let api = Api::start();
    api.simulator.inject(Fault::new(Kind::Latency { ms: 60_000 }).method("PATCH"));
    let folder = Folder::new(&api.url, &desk("A-1"));
    folder.be_patient();
    let mut running = folder.spawn(&["run"]);
    let is_open = || {
        let reading = folder.reading();
        reading.is_some_and(|reading| {
            reading.pages().is_ok_and(|pages| pages.values().any(|page| page.open.is_some()))
        })
    };
    until("a PATCH hangs", is_open).await;
    let start = Instant::now();
    running.signal("TERM");
    assert_eq!(running.ends().await, 0, "{}", running.log());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(running.log().contains("the next start determines their outcome"), "{}", running.log());
}

#[tokio::test]
async fn sighup_applies_valid_settings_and_keeps_the_old_ones_otherwise() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let mut running = folder.spawn(&["run"]);
    until("A-1 is filled", || !api.requests("PATCH").is_empty()).await;
    folder.settings(&api.url, &desk("A-2").replace("weekly", "wekly"));
    running.signal("HUP");
    until("the failed reload is logged", || running.log().contains("reload failed")).await;
    until("the hint is logged", || running.log().contains("did you mean `weekly`?")).await;
    folder.settings(&api.url, &desk("A-2"));
    running.signal("HUP");
    until("A-2 is filled", || api.variables("A-2").get("is_open").is_some()).await;
    running.signal("INT");
    assert_eq!(running.ends().await, 0, "{}", running.log());
}

/// Kills the program between an intent and its outcome.
///
/// The next start corrects the page, sends nothing twice needlessly, and completes the history.
#[tokio::test]
async fn a_kill_between_intent_and_outcome_loses_and_repeats_no_write() {
    for (fault, patches) in [
        // Applied, but the answer was lost: a fetch finds that.
        (Kind::AppliedThenLatency { ms: 60_000 }, 1),
        // Never applied: sent again.
        (Kind::Latency { ms: 60_000 }, 1),
    ] {
        let api = Api::start();
        api.simulator.inject(Fault::new(fault.clone()).method("PATCH").times(1));
        let folder = Folder::new(&api.url, &desk("A-1"));
        folder.be_patient();
        let at = ["--at", "2026-11-26T12:00:00Z"];
        let mut running = folder.spawn(&["run", at[0], at[1]]);
        let hangs = || {
            let reading = folder.reading();
            let open = |reading: Box<dyn rtconfd::store::Reading>| {
                reading.pages().is_ok_and(|pages| pages.values().any(|page| page.open.is_some()))
            };
            reading.is_some_and(open)
                && (matches!(fault, Kind::Latency { .. }) || !api.requests("PATCH").is_empty())
        };
        until("the intent is durable and the PATCH under way", hangs).await;
        running.signal("KILL");
        running.ends().await;

        let mut again = folder.spawn(&["run", at[0], at[1]]);
        api.until_variable("A-1", "is_open", &json!(true)).await;
        until("the outcome is recorded", || {
            folder
                .stored()
                .pages()
                .unwrap()
                .values()
                .all(|page| page.open.is_none() && !page.baseline.is_empty())
        })
        .await;
        again.signal("TERM");
        assert_eq!(again.ends().await, 0, "{}", again.log());
        assert_eq!(
            api.requests("PATCH").iter().filter(|patch| patch.status != 0 && patch.applied).count(),
            patches,
            "{fault:?}"
        );
        let rows = folder.run(&["history", "--format", "json"]).expect(0).lines();
        let outcomes: Vec<&str> = rows.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
        match fault {
            Kind::AppliedThenLatency { .. } => assert_eq!(outcomes, ["applied"]),
            _ => {
                assert_eq!(outcomes, ["applied"]);
                // A busy machine may need more than one attempt after the restart.
                assert!(rows[0]["tries"].as_i64() >= Some(2), "{}", rows[0]);
            }
        }
        let check = rusqlite::Connection::open(folder.path("state.sqlite")).unwrap();
        let verdict: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }
}

#[tokio::test]
async fn after_a_restart_a_broken_file_leaves_the_last_good_schedule_active() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", CSV);
    let mut running = folder.spawn(&["run", "--at", "2026-11-26T12:00:00Z"]);
    until("both pages are filled", || api.requests("PATCH").len() == 2).await;
    running.signal("TERM");
    running.ends().await;
    folder.write("sites.csv", "site,agent,hours,phone\na,A-1,\"cut of");
    let mut again = folder.spawn(&["run", "--at", "2026-11-26T16:59:58Z"]);
    api.until_variable("A-1", "is_open", &json!(false)).await;
    api.until_variable("A-2", "is_open", &json!(false)).await;
    let reported = "sites.csv:2:7: the quote that opens here is never closed";
    until("the broken file is reported", || again.log().contains(reported)).await;
    again.signal("TERM");
    assert_eq!(again.ends().await, 0);
}

#[tokio::test]
async fn the_key_appears_in_no_output_store_or_log() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", CSV);
    let mut reported = String::new();
    // As a valid key, as a refused one, and with a server that fails in every way.
    for fault in [
        None,
        Some(Kind::Status { status: 401 }),
        Some(Kind::Status { status: 500 }),
        Some(Kind::Reset),
        Some(Kind::RateLimit { retry_after: 1 }),
    ] {
        api.simulator.heal();
        api.simulator.inject(Fault::new(fault.clone().unwrap_or(Kind::Latency { ms: 0 })));
        for arguments in [
            &["--set", "log.level=trace", "apply", "--timeout", "1s"][..],
            &["plan"],
            &["check"],
            &["preview"],
            &["status"],
            &["history"],
            &["explain", "A-1/live", "phone"],
        ] {
            let ran = folder.run(arguments);
            reported.push_str(&ran.out);
            reported.push_str(&ran.err);
        }
        let mut running = folder.spawn(&["--set", "log.level=trace", "run"]);
        let before = api.simulator.log().len();
        until("it asks", || api.simulator.log().len() > before).await;
        running.signal("TERM");
        running.ends().await;
    }
    // As a key put into the settings by mistake, in three ways.
    let good = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    for bad in
        [format!("key = \"{KEY}\""), format!("api_key = {KEY}"), format!("base_url = \"http://u:{KEY}@h\"")]
    {
        folder.write("rtconfd.toml", &good.replace("key_file = \"key\"", &bad));
        let ran = folder.run(&["check", "--offline"]).expect(1);
        reported.push_str(&ran.out);
        reported.push_str(&ran.err);
        folder.write("rtconfd.toml", "");
    }
    assert!(reported.len() > 2000);
    assert!(!reported.contains(KEY));
    for (path, content) in folder.everything() {
        if path.file_name().is_some_and(|name| name == "key") {
            continue;
        }
        let found = content.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused_and_other_key_sources_work() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    std::fs::set_permissions(folder.path("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = folder.run(&["plan"]).expect(1);
    assert!(
        ran.err.contains("other users can read the key file")
            && ran.err.contains("(mode 644) (hint: run chmod 600"),
        "{}",
        ran.err
    );

    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &settings.replace("key_file = \"key\"", ""));
    let ran = folder.run(&["plan"]).expect(1);
    assert!(ran.err.contains("missing API key") && ran.err.contains("RTCONFD_API_KEY"), "{}", ran.err);
    let with =
        |name: &str, value: &str| Ran::new(folder.command(&["plan"]).env(name, value).output().unwrap());
    with("RTCONFD_API_KEY", KEY).expect(2);
    std::fs::create_dir(folder.path("credentials")).unwrap();
    std::fs::write(folder.path("credentials/agents-api-key"), KEY).unwrap();
    std::fs::set_permissions(
        folder.path("credentials/agents-api-key"),
        std::fs::Permissions::from_mode(0o440),
    )
    .unwrap();
    with("CREDENTIALS_DIRECTORY", folder.path("credentials").to_str().unwrap()).expect(2);
}

#[tokio::test]
async fn two_writers_of_one_store_are_refused() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let mut running = folder.spawn(&["run"]);
    until("the first page is filled", || !api.requests("PATCH").is_empty()).await;
    let ran = folder.run(&["apply"]).expect(1);
    let named = format!("is in use by process {} (", running.child.id());
    assert!(ran.err.contains(&named) && ran.err.contains("so this rtconfd (process "), "{}", ran.err);
    // Read-only commands still work.
    folder.run(&["history"]).expect(0);
    folder.run(&["plan"]).expect(0);
    let status = folder.run(&["status"]).expect(0);
    assert!(status.out.starts_with("rtconfd is running."), "{}", status.out);
    running.signal("TERM");
    running.ends().await;
}

#[tokio::test]
async fn the_demo_fills_its_pages_makes_a_transition_and_applies_an_edit() {
    let folder = tempfile::tempdir().unwrap();
    // Outside the project's folder the demo brings its own data; here it uses an editable copy.
    let data = folder.path().join("config/demo");
    std::fs::create_dir_all(&data).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo");
    for entry in std::fs::read_dir(own).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
    }
    let out = folder.path().join("out.txt");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rtconfd"))
        .args(["demo", "--speed", "3600", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .env_clear()
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(folder.path().join("err.txt")).unwrap())
        .spawn()
        .unwrap();
    let reported = || std::fs::read_to_string(&out).unwrap_or_default();
    until("the pages are filled", || {
        ["LEEDS", "BOSTON", "KATHMANDU"].iter().all(|site| reported().contains(&format!("DEMO-{site} ")))
    })
    .await;
    until("a site opens or closes", || {
        reported().lines().filter(|line| line.contains("opens") || line.contains("closed  ")).count() > 4
    })
    .await;
    let sites = std::fs::read_to_string(data.join("sites.csv")).unwrap();
    std::fs::write(data.join("sites.csv"), sites.replace("+441130000001", "+441139999999")).unwrap();
    until("the edit is sent", || reported().contains("+441139999999")).await;
    Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
    let complaints = std::fs::read_to_string(folder.path().join("err.txt")).unwrap();
    assert_eq!(complaints, "");
}

/// With more pages than the rate limit allows, each fetch is still fresh for its PATCH.
#[tokio::test]
async fn more_pages_than_the_rate_limit_allows_at_once_all_converge() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("{NO_HOLD}{SITES}"));
    let rewrite = |round: usize| {
        let rows = (0..40).map(|site| format!("s{site},A-{site},Mo-Fr 09:00-17:00,{round}-{site}\n"));
        folder.write("sites.csv", &format!("site,agent,hours,phone\n{}", rows.collect::<String>()));
    };
    rewrite(0);
    let mut running = folder.spawn(&["run"]);
    for round in 0..2 {
        rewrite(round);
        until(&format!("every page has its desired values in round {round}"), || {
            let right =
                |site| api.variables(&format!("A-{site}"))["phone"] == json!(format!("{round}-{site}"));
            (0..40).all(right)
        })
        .await;
    }
    running.signal("TERM");
    assert_eq!(running.ends().await, 0, "{}", running.log());
}

/// Two settings that cron applies one after the other, with one store.
#[tokio::test]
async fn two_owners_apply_to_one_store_and_keep_their_own_state() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1").replace("Mo-Fr 09:00-17:00", "Mo-Su 00:00-24:00"));
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    let with = |owner: &str| ["apply", "--set", &format!("store.owner={owner}")].map(str::to_owned);
    let apply = |owner: &str| folder.run(&with(owner).each_ref().map(String::as_str)).expect(0);
    apply("shops");
    folder
        .run(&[
            "override",
            "set",
            "--all",
            "--closed",
            "--until",
            "2h",
            "--reason",
            "snow",
            "--set",
            "store.owner=shops",
        ])
        .expect(4);
    // The other one owns another page, and none of the first.
    folder.write("rtconfd.toml", &settings.replace("A-1", "A-2"));
    apply("desks");
    folder.write("rtconfd.toml", &settings);
    apply("shops");
    assert_eq!(api.variables("A-1")["is_open"], json!(false), "its override is kept");
    assert_eq!(api.variables("A-2")["is_open"], json!(true));
    let history = |owner: &str| {
        let set = format!("store.owner={owner}");
        folder.run(&["history", "--set", &set, "--format", "json"]).expect(0).lines()
    };
    let pages = |owner: &str| history(owner).iter().map(|row| row["page"].clone()).collect::<Vec<_>>();
    assert_eq!(pages("shops"), [json!("A-1/live"), json!("A-1/live")]);
    assert_eq!(pages("desks"), [json!("A-2/live")]);
}
