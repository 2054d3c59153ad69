//! Daemons of one user that own the same variables: one is refused, or its page waits.

use serde_json::json;

use crate::support::{Api, Folder, Process, SITES, always, round_the_clock, running, until};

/// An error that appears only when the new settings start also keeps the old ones.
#[tokio::test]
async fn settings_that_claim_another_daemons_variables_are_rejected_on_reload() {
    let api = Api::start();
    let (first, second) = (Folder::new(&api.url, &always("A-1")), Folder::new(&api.url, &always("A-2")));
    let mut process = running(&first).await;
    let mut other = running(&second).await;
    api.until_variable("A-2", "is_open", &json!(true)).await;
    let settings = std::fs::read_to_string(second.path("rtconfd.toml")).unwrap();
    second.write("rtconfd.toml", &settings.replace("A-2", "A-1"));
    other.signal("HUP");
    until("the new settings are refused", || other.log().contains("reload failed")).await;
    assert!(other.log().contains("is already owned by another rtconfd"), "{}", other.log());
    api.edit("A-2", &json!({"is_open": false}));
    second.write("rtconfd.toml", &settings);
    other.signal("HUP");
    api.until_variable("A-2", "is_open", &json!(true)).await;
    for process in [&mut process, &mut other] {
        process.signal("TERM");
        assert_eq!(process.ends().await, 0, "{}", process.log());
    }
}

#[tokio::test]
async fn a_daemon_that_claims_an_owned_variable_is_refused_with_both_named() {
    let api = Api::start();
    let (first, second) = (Folder::new(&api.url, &always("A-1")), Folder::new(&api.url, &always("A-1")));
    let mut process = running(&first).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let reported = second.run(&["run"]).expect(1).err;
    let (named, ours) = (first.path("rtconfd.toml"), second.path("rtconfd.toml"));
    assert!(
        reported.contains(&format!(
            "{} A-1/live is_open is already owned by another rtconfd: process {} ({}); this is process ",
            api.url,
            process.child.id(),
            named.display()
        )) && reported.contains(&format!(
            "({})\n  hint: stop one, or remove the variable from its settings",
            ours.display()
        )),
        "{reported}"
    );
    // The second may start once the first has ended.
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
    let mut process = running(&second).await;
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

#[tokio::test]
async fn variables_of_rows_that_appear_later_are_claimed_too() {
    let api = Api::start();
    let (first, second) = (Folder::new(&api.url, SITES), Folder::new(&api.url, &always("A-1")));
    first.write("sites.csv", &round_the_clock(1, "Mo-Su 00:00-24:00"));
    let mut process = running(&first).await;
    api.until_variable("A-0", "is_open", &json!(true)).await;
    first.write("sites.csv", &round_the_clock(2, "Mo-Su 00:00-24:00"));
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let mut other = second.spawn(&["run"]);
    let refused = "A-1/live is_open is already owned by another rtconfd";
    until("the second daemon is refused", || other.log().contains(refused)).await;
    assert_eq!(other.ends().await, 1);
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

/// Starts a daemon that owns A-1, and one whose new row for A-1 comes later and so waits.
async fn owner_and_waiting(api: &Api, first: &Folder, second: &Folder) -> (Process, Process) {
    second.write("sites.csv", &round_the_clock(1, "Mo-Su 00:00-24:00"));
    let (owner, waiting) = (running(first).await, running(second).await);
    api.until_variable("A-0", "is_open", &json!(true)).await;
    second.write("sites.csv", &round_the_clock(2, "closed"));
    until("the conflict is logged", || waiting.log().contains("is already owned by another rtconfd")).await;
    (owner, waiting)
}

#[tokio::test]
async fn a_page_that_another_daemon_owns_waits_until_that_daemon_ends() {
    let api = Api::start();
    let (first, second) = (Folder::new(&api.url, &always("A-1")), Folder::new(&api.url, SITES));
    let (mut process, mut other) = owner_and_waiting(&api, &first, &second).await;
    // The other pages of the second daemon continue.
    api.until_variable("A-0", "is_open", &json!(false)).await;
    let status = second.run(&["status"]).out;
    assert!(status.contains("A-1/live is_open is already owned by another rtconfd: process"), "{status}");
    let of_first = |api: &Api| api.requests("PATCH").iter().filter(|sent| sent.path.contains("A-1")).count();
    let refused = second.run(&["override", "set", "--all", "--open", "--until-released", "--reason", "x"]);
    assert!(refused.expect(1).err.contains("A-1/live is_open is already owned by another rtconfd"));
    // A reload refuses new conflicts, not one for which the page waits already.
    second.run(&["reload"]).expect(0);
    second.write("sites.csv", &round_the_clock(2, "closed").replace(",0\n", ",7\n"));
    api.until_variable("A-0", "phone", &json!("7")).await;
    assert_eq!((of_first(&api), &api.variables("A-1")["is_open"]), (1, &json!(true)));
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
    api.until_variable("A-1", "is_open", &json!(false)).await;
    other.signal("TERM");
    assert_eq!(other.ends().await, 0, "{}", other.log());
}

#[tokio::test]
async fn a_restarting_owner_keeps_its_page_whatever_the_waiting_daemon_does() {
    let api = Api::start();
    let (first, second) = (Folder::new(&api.url, &always("A-1")), Folder::new(&api.url, SITES));
    let (mut process, mut other) = owner_and_waiting(&api, &first, &second).await;
    for restart in 0..2 {
        process.signal("TERM");
        assert_eq!(process.ends().await, 0, "{}", process.log());
        // A reload and a new row claim anew.
        second.run(&["reload"]).expect(0);
        second.write("sites.csv", &round_the_clock(3 + restart, "closed"));
        api.until_variable(&format!("A-{}", 2 + restart), "is_open", &json!(false)).await;
        process = running(&first).await;
    }
    assert_eq!(api.variables("A-1")["is_open"], json!(true));
    for process in [&mut process, &mut other] {
        process.signal("TERM");
        assert_eq!(process.ends().await, 0, "{}", process.log());
    }
}

/// The claim file was lost, so that another daemon could start: the reload fails, the daemon stays.
#[tokio::test]
async fn a_reload_that_meets_a_conflict_leaves_the_daemon_running() {
    let api = Api::start();
    let (first, second) = (Folder::new(&api.url, &always("A-1")), Folder::new(&api.url, &always("A-1")));
    let mut process = running(&first).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let shared = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rtconfd");
    std::fs::remove_file(shared.join(format!("{}.claims", process.child.id()))).unwrap();
    let mut other = running(&second).await;
    until("the other daemon runs", || other.log().contains("running")).await;
    first.run(&["reload"]).expect(1);
    assert!(first.run(&["status"]).out.contains("is already owned by another rtconfd"));
    for process in [&mut process, &mut other] {
        process.signal("TERM");
        assert_eq!(process.ends().await, 0, "{}", process.log());
    }
}
