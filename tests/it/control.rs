//! The running daemon, queried by its commands over the socket.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant as Monotonic;

use rtconfd::clock::{Clock, ManualClock, WallClock};
use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use crate::support::{Api, Folder, SITES, always, round_the_clock, running, until};

#[tokio::test]
async fn commands_set_list_show_and_clear_an_override_within_a_second() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let mut process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let mode = std::fs::metadata(folder.path("state.sqlite.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the owner can use the socket");

    let set = ["override", "set", "A-1/live", "--closed", "--until-released", "--reason", "snow"];
    let reported = folder.run(&set).expect(0).out;
    let before = Monotonic::now();
    assert_eq!(
        reported,
        "Override 1 is set: closed.\nPAGE       UNTIL\nA-1/live   released\nTo end it earlier: rtconfd override clear 1\n"
    );
    api.until_variable("A-1", "is_open", &json!(false)).await;
    assert!(before.elapsed().as_secs() < 30);

    let listed = folder.run(&["override", "list", "--format", "json"]).expect(0).lines();
    assert_eq!((&listed[0]["says"], &listed[0]["reason"]), (&json!("closed"), &json!("snow")));
    let explained = folder.run(&["explain", "A-1/live", "is_open"]).expect(0).out;
    assert!(explained.contains("override 1: closed, by override as tester: snow"), "{explained}");
    let status = folder.run(&["status"]).expect(0).out;
    assert!(
        status.contains(
            "override 1: closed, by override as tester: snow (1 page(s)); to end it: rtconfd override clear 1"
        ),
        "{status}"
    );
    assert!(folder.run(&["plan"]).expect(0).out.is_empty(), "plan follows the override");

    assert_eq!(
        folder.run(&["override", "clear", "1"]).expect(0).out,
        "Override 1 is released; the computed values return.\n"
    );
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let reported = folder.run(&["override", "clear", "1"]).expect(1).err;
    assert!(
        reported.ends_with("error: override 1 is not active\n  hint: no override is active\n"),
        "{reported}"
    );
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
    assert!(!folder.path("state.sqlite.sock").exists());
}

#[tokio::test]
async fn without_a_daemon_an_override_is_stored_and_the_next_apply_uses_it() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    folder.run(&["apply"]).expect(0);
    let set =
        ["override", "set", "--all", "--value", "is_open=false", "--until", "2h", "--reason", "fire drill"];
    folder.run(&set).expect(4);
    folder.run(&["apply"]).expect(0);
    assert_eq!(api.variables("A-1"), json!({"is_open": false}));
    for (arguments, reported) in [
        (&["override", "set", "--all", "--closed", "--reason", "x"][..], "error: an override needs an end"),
        (&["override", "set", "--all", "--until", "2h", "--reason", "x"], "error: an override needs a value"),
        (
            &["override", "set", "--closed", "--until", "2h", "--reason", "x"],
            "error: an override needs pages\n  hint: name pages as AGENT/environment",
        ),
        (
            &["override", "set", "--all", "--closed", "--until", "12:0x", "--reason", "x"],
            "invalid end of an override \"12:0x\"",
        ),
        (
            &["override", "set", "--all", "--value", "is_open=perhaps", "--until", "2h", "--reason", " "],
            "an override needs a reason",
        ),
    ] {
        let err = folder.run(arguments).expect(1).err;
        assert!(err.contains(reported), "{arguments:?}: {err}");
    }
    folder.run(&["override", "clear", "1"]).expect(4);
    folder.run(&["apply"]).expect(0);
    assert_eq!(api.variables("A-1"), json!({"is_open": true}));
}

#[test]
fn commands_close_show_and_reopen_one_site_of_a_page() {
    let api = Api::start();
    let settings = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
agent = "A-1"
environment = "live"
[page.variables]
open = { each = "sites", hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }, item = { show = "is_open" } }
"#;
    let folder = Folder::new(&api.url, settings);
    folder.write("sites.csv", "site,hours\nLeeds,24/7\nYork,24/7\nHull,24/7\n");
    let is_open = |expected: Value| {
        folder.run(&["apply"]).expect(0);
        assert_eq!(api.variables("A-1")["open"], expected);
    };
    is_open(json!([true, true, true]));
    let set = |cells: &str, code: i32| {
        let arguments = ["--closed", "--until-released", "--reason", "flood"];
        folder.run(&[&["override", "set", "--where", cells][..], &arguments].concat()).expect(code)
    };
    assert_eq!(
        set("site=York", 4).out,
        "Override 1 is stored: closed.\nPAGE                 UNTIL\nA-1/live site=York   released\nTo end it earlier: rtconfd override clear 1\n"
    );
    assert_eq!(
        set("site=Yorck", 1).err,
        "error: no page uses a row with site = \"Yorck\"\n  hint: did you mean \"York\"?\n"
    );
    is_open(json!([true, false, true]));
    let listed = folder.run(&["override", "list"]).expect(0).out;
    assert!(listed.contains("1    closed   A-1/live site=York   released"), "{listed}");
    let status = folder.run(&["status"]).expect(0).out;
    assert!(
        status.contains("override 1: closed for site=York, by override as tester: flood (1 page(s))"),
        "{status}"
    );
    let explained = folder.run(&["explain", "A-1/live", "open"]).expect(0).out;
    for part in [
        "part       site=York: false, because override 1: closed for site=York, by",
        "part       site=Hull: true, because hours of \"Hull\" is open",
    ] {
        assert!(explained.contains(part), "{explained}");
    }
    folder.run(&["override", "clear", "1"]).expect(4);
    is_open(json!([true, true, true]));
}

#[tokio::test]
async fn a_held_revision_is_reported_by_every_command_and_approved_by_name() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &SITES.replace("[[page]]", "[[page]]\ntimezone = \"UTC\""));
    let sites = |phone: &str| {
        let rows = (0..8).map(|site| format!("s{site},A-{site},Mo-Su 00:00-24:00,{phone}{site}\n"));
        format!("site,agent,hours,phone\n{}", rows.collect::<String>())
    };
    folder.write("sites.csv", &sites("1"));
    folder.run(&["apply"]).expect(0);
    folder.write("sites.csv", &sites("2"));
    let applied = folder.run(&["apply"]).expect(3);
    let reason = "the next 14 days change for 8 of 8 pages (more than 10% and more than 5)";
    assert!(applied.err.contains(reason), "{}", applied.err);
    assert_eq!(api.variables("A-3")["phone"], json!("13"), "the held change was not sent");
    let planned = folder.run(&["plan"]).expect(3).err;
    assert!(planned.contains(reason) && !planned.contains("Nothing to do"), "{planned}");
    let status = folder.run(&["status"]).expect(1);
    assert!(status.out.contains("HELD since ") && status.out.contains(reason), "{}", status.out);
    let preview = folder.run(&["preview", "--days", "1", "A-3/live"]).expect(0);
    assert!(preview.out.contains("\"23\""), "preview shows the held value: {}", preview.out);
    let general = folder.run(&["status", "--format", "json"]).expect(1).lines().pop().unwrap();
    let revision = general["held"]["revision"].as_str().unwrap();
    let reported = folder.run(&["approve", "r123456789abc"]).expect(1).err;
    assert!(
        reported.contains(&format!(
            "revision r123456789abc is not held\n  hint: the held revision is {revision}: "
        )),
        "{reported}"
    );
    assert_eq!(folder.run(&["approve", revision]).expect(0).out, format!("{revision} is approved.\n"));
    folder.run(&["apply"]).expect(0);
    assert_eq!(api.variables("A-3")["phone"], json!("23"));
    assert!(folder.run(&["approve", revision]).expect(1).err.contains("no revision is held"));
}

#[tokio::test]
async fn a_lost_store_stops_the_daemon_until_a_person_accepts_it() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    folder.run(&["apply"]).expect(0);
    std::fs::remove_file(folder.path("state.sqlite")).unwrap();
    for command in ["apply", "run"] {
        let reported = folder.run(&[command]).expect(1).err;
        assert!(
            reported.contains("is missing: it existed before") && reported.contains("--accept-empty-store"),
            "{reported}"
        );
    }
    folder.run(&["apply", "--accept-empty-store"]).expect(0);
    folder.run(&["apply"]).expect(0);
}

#[tokio::test]
async fn reloads_that_switch_the_owner_return_to_the_revision_of_each() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1").replace("variables = {", "variables = { floor = 0, "));
    let mut process = running(&folder).await;
    api.until_variable("A-1", "floor", &json!(0)).await;
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    for floor in 1..=3 {
        for owner in ["branch", "default"] {
            let text = settings.replace("floor = 0", &format!("floor = {floor}"));
            folder.write(
                "rtconfd.toml",
                &text.replace("[store]\n", &format!("[store]\nowner = \"{owner}\"\n")),
            );
            folder.run(&["reload"]).expect(0);
            api.until_variable("A-1", "floor", &json!(floor)).await;
        }
    }
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

/// Waits until `status` reports a text, which must then need attention.
async fn until_status_shows(folder: &Folder, line: &str) {
    until(&format!("status reports: {line}"), || {
        let status = folder.run(&["status"]);
        status.out.contains(&format!("\n{line}\n")) && status.code == 1
    })
    .await;
}

#[tokio::test]
async fn rate_limiting_and_api_failures_pause_requests_and_are_reported() {
    for (fault, logged, shown) in [
        (
            Kind::RateLimit { retry_after: 30 },
            "the API asks for fewer requests; all pages wait",
            "NOTHING IS SENT: paused: the API asks for fewer requests (Retry-After: 30 s)",
        ),
        (
            Kind::Status { status: 503 },
            "the requests of half of the agents failed; all pages wait, then one is tried",
            "NOTHING IS SENT: paused: requests failed for half of the agents; a trial request follows soon",
        ),
    ] {
        let api = Api::start();
        api.simulator.inject(Fault::new(fault));
        let folder = Folder::new(&api.url, SITES);
        folder.write("sites.csv", &round_the_clock(12, "Mo-Su 00:00-24:00"));
        let mut process = running(&folder).await;
        until_status_shows(&folder, shown).await;
        assert!(process.log().contains(logged), "{}", process.log());
        assert_eq!(api.requests("PATCH").len(), 0);
        process.signal("TERM");
        assert_eq!(process.ends().await, 0, "{}", process.log());
    }
}

#[tokio::test]
async fn a_rollout_that_stops_at_a_page_is_reported_with_the_page() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", &round_the_clock(12, "Mo-Su 00:00-24:00"));
    api.schema("A-0", &json!({"properties": {"is_open": {"const": true}}}));
    let mut process = running(&folder).await;
    until("every page has its desired values", || api.requests("PATCH").len() == 12).await;
    folder.write("sites.csv", &round_the_clock(12, "Mo-Su off"));
    until("the revision is held", || process.log().contains("is held: ")).await;
    let status = folder.run(&["status", "--format", "json"]).expect(1).lines();
    let revision = status.last().unwrap()["held"]["revision"].as_str().unwrap().to_owned();
    folder.run(&["approve", &revision]).expect(0);
    let stopped = format!("Rollout of {revision}: 12 page(s) to come; stopped at A-0/live");
    until_status_shows(&folder, &stopped).await;
    let logged = "rollout stopped: this page does not accept the change; the rollout continues when it does";
    assert!(process.log().contains(logged), "{}", process.log());
    assert_eq!(api.requests("PATCH").len(), 12, "no other page was changed");
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

#[tokio::test]
async fn a_clock_that_the_api_contradicts_is_reported_with_both_times_and_can_be_approved() {
    let ahead = WallClock.now() + chrono::TimeDelta::hours(3);
    let api = Api::with(Vec::new(), std::sync::Arc::new(ManualClock::new(ahead)));
    let folder = Folder::new(&api.url, &always("A-1"));
    let mut process = running(&folder).await;
    until("the clock is untrusted", || process.log().contains("the clock is untrusted")).await;
    let status = folder.run(&["status"]).expect(1).out;
    let api_time = ahead.format("%Y-%m-%dT%H:%M:%SZ");
    let reported = format!(
        ", but the API's clock shows {api_time} (hint: correct the clock; if it is right, run rtconfd approve clock)\n"
    );
    assert!(
        status.contains("NOTHING IS SENT: nothing is sent while the clock is untrusted: it shows "),
        "{status}"
    );
    assert!(status.contains(&reported), "{status}");
    assert_eq!(api.requests("PATCH").len(), 0);
    assert_eq!(folder.run(&["approve", "clock"]).expect(0).out, "clock is approved.\n");
    api.until_variable("A-1", "is_open", &json!(true)).await;
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

/// Writes to a removed or overwritten file would be lost.
#[tokio::test]
async fn the_daemon_exits_when_its_store_is_removed_or_overwritten() {
    let remove = |path: &std::path::Path| std::fs::remove_file(path).unwrap();
    let overwrite = |path: &std::path::Path| {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[b'x'; 4096], 0).unwrap();
    };
    store_is_lost(remove).await;
    store_is_lost(overwrite).await;
}

async fn store_is_lost(lose: impl Fn(&std::path::Path)) {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    let row = |phone: u32| format!("site,agent,hours,phone\na,A-1,Mo-Su 00:00-24:00,{phone}\n");
    folder.write("sites.csv", &row(1));
    let mut process = running(&folder).await;
    api.until_variable("A-1", "phone", &json!("1")).await;
    lose(&folder.path("state.sqlite"));
    folder.write("sites.csv", &row(2));
    assert_eq!(process.ends().await, 1, "{}", process.log());
    assert!(process.log().contains("was removed or replaced while it was open"), "{}", process.log());
    assert_eq!(api.variables("A-1")["phone"], json!("1"));
}
