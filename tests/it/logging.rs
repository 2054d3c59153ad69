//! The log: its forms, the length of its lines, and what is logged once.

use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use rtconfd::simulator::{Fault, Kind};
use serde_json::Value;

use crate::support::{Api, Folder, desk, until};

/// Runs a command that fails; returns its exit code and standard error.
fn failing(folder: &Folder, arguments: &[&str], journal: bool) -> (Option<i32>, String) {
    let file = std::fs::File::create(folder.log()).unwrap();
    let metadata = file.metadata().unwrap();
    let mut command = folder.command(arguments);
    if journal {
        command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
    }
    let status = command.stdout(Stdio::null()).stderr(file).status().unwrap();
    (status.code(), std::fs::read_to_string(folder.log()).unwrap())
}

#[test]
fn a_log_in_json_is_json_to_the_last_line_even_if_the_settings_are_broken() {
    let api = Api::start();
    let json = "[log]\nformat = \"json\"\n";
    for (rest, error) in [
        ("[[page]]\nagnt = \"A-1\"\n", "unknown key"),
        ("[[page\n", "rtconfd.toml:"),
        // The store's path is a folder.
        (&desk("A-1"), "cannot"),
    ] {
        let folder = Folder::new(&api.url, &format!("{json}{rest}"));
        std::fs::create_dir(folder.path("state.sqlite")).unwrap();
        for command in ["run", "apply"] {
            let (code, log) = failing(&folder, &[command], false);
            assert_eq!(code, Some(1), "{log}");
            let lines: Vec<Value> = log
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
                .collect();
            let last = lines.last().unwrap();
            assert_eq!(last["level"], "ERROR", "{log}");
            assert!(lines.iter().any(|line| line["message"].as_str().unwrap().contains(error)), "{log}");
        }
    }
}

#[test]
fn a_usage_error_is_json_too_if_a_program_reads_the_log() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let mistaken = |arguments: &[&str]| folder.run(arguments).expect(1).err;
    for arguments in
        [&["run", "--log-format", "json", "--al"][..], &["apply", "--log-format=json", "--quite"]]
    {
        let err = mistaken(arguments);
        let line: Value = serde_json::from_str(&err).unwrap_or_else(|_| panic!("not JSON: {err}"));
        assert_eq!(line["level"], "ERROR");
        assert!(line["message"].as_str().unwrap().starts_with("unexpected argument '--"), "{line}");
    }
    for arguments in [&["run", "--al"][..], &["status", "--log-format", "json", "--al"]] {
        assert!(
            mistaken(arguments).starts_with("error: unexpected argument '--al' found\n"),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_error_with_which_the_daemon_ends_has_a_priority_in_the_journal() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    std::fs::create_dir(folder.path("state.sqlite")).unwrap();
    let (code, log) = failing(&folder, &["run"], true);
    assert!(code == Some(1) && log.lines().last().unwrap().starts_with("<3>ERROR "), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
    folder.write("rtconfd.toml", "[[page]]\n");
    let (code, log) = failing(&folder, &["run"], true);
    assert!(code == Some(1) && log.lines().all(|line| line.starts_with("<3>ERROR ")), "{log}");
}

#[tokio::test]
async fn a_page_that_keeps_failing_is_logged_once_and_then_its_recovery() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    api.simulator.inject(Fault::new(Kind::Status { status: 503 }).times(6));
    let mut process = folder.spawn(&["run", "--speed", "20"]);
    until("the page has its value", || process.log().contains("applied")).await;
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
    let count = |text: &str| process.log().matches(text).count();
    assert_eq!(count("request failed; it will be retried"), 1, "{}", process.log());
    assert_eq!(count("page recovered"), 1, "{}", process.log());
}

#[tokio::test]
async fn lines_of_a_rehearsal_have_its_time_and_at_most_300_characters() {
    let api = Api::start();
    let long = "x".repeat(2_000);
    let message = format!(
        "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ greeting = \"{long}\" }}\n"
    );
    let folder = Folder::new(&api.url, &message);
    let mut process = folder.spawn(&["run", "--at", "2031-05-06T07:08:00Z"]);
    until("the page has its value", || process.log().contains("applied")).await;
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
    let log = process.log();
    assert!(log.lines().all(|line| line.starts_with("2031-05-06T07:")), "{log}");
    assert!(log.lines().all(|line| line.chars().count() <= 300), "{log}");
    let applied = log.lines().find(|line| line.contains(" applied ")).unwrap();
    let id = api.requests("PATCH")[0].correlation_id.clone();
    for field in ["page=A-1/live", "variable=greeting", "to=\"", "because=\"", &format!("\"{id}\"")] {
        assert!(applied.contains(field), "{field} in {applied}");
    }
}
