//! The program on a terminal: widths, progress and colours. `script` makes the terminal.

use std::process::Command;

use crate::support::{Api, Folder, desk};

/// Runs shell commands on a terminal of 60 columns and returns everything shown there.
fn on_terminal(folder: &Folder, commands: &str) -> String {
    let program = env!("CARGO_BIN_EXE_rtconfd");
    let script = format!("stty cols 60; alias rtconfd={program}\n{commands}");
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &script, "/dev/null"]);
    command.current_dir(folder.path(".")).env_clear().env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    let ran = command.env("TERM", "xterm").output().expect("script is needed for this test");
    let shown = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{shown}");
    shown
}

#[test]
fn tables_fit_the_width_of_the_terminal() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let shown = on_terminal(&folder, "rtconfd preview --at 2026-03-30T00:00:00Z --days 1");
    assert!(shown.lines().all(|line| line.trim_end().chars().count() <= 60), "{shown}");
    assert!(shown.contains("left out on this narrow terminal: BECAUSE"), "{shown}");
}

#[test]
fn long_work_shows_its_progress_in_colour_unless_it_is_not_wanted() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &desk("A-1"));
    let green = "\u{1b}[32m INFO";
    let shown = on_terminal(&folder, "rtconfd apply");
    assert!(shown.contains("applying [") && shown.contains(green), "{shown}");
    let check = on_terminal(&folder, "rtconfd check");
    assert!(check.contains("fetching pages [") && check.contains("checking the coming values ["), "{check}");
    assert!(check.trim_end().lines().last().unwrap().contains("All is well"), "{check}");
    api.edit("A-1", &serde_json::json!({"is_open": "other"}));
    let plain = on_terminal(&folder, "NO_COLOR=1 rtconfd apply");
    assert!(plain.contains(" INFO applied ") && !plain.contains("\u{1b}[32m"), "{plain}");
    assert_eq!(on_terminal(&folder, "rtconfd apply --quiet"), "");
}
