//! How messages are delivered: retries, crashes, slow receivers, secrets, commands, reloads.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{Receiver, folder};
use crate::support::{Api, KEY, NO_HOLD, SITES, always, round_the_clock, running, until};

const OPEN: &str = "Mo-Su 00:00-24:00";
const SNOW: [&str; 6] = ["override", "set", "--closed", "--all", "--until-released", "--reason=snow"];

#[tokio::test]
async fn a_message_is_retried_and_after_a_crash_sent_once_by_its_id() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let folder = folder(&api.url, &format!("{}{}", always("A-1"), receiver.webhook("")));
    receiver.answer([503, 503]);
    let mut process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.run(&SNOW).expect(0);
    until("the first attempt fails", || process.log().contains("notification not delivered")).await;
    process.signal("KILL");
    process.ends().await;
    let process = running(&folder).await;
    until("it is delivered", || process.log().contains("notification delivered")).await;
    let received = receiver.received();
    let ids: Vec<&str> = received.iter().map(|request| request.header("webhook-id")).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    received.iter().for_each(super::Received::verify);
    assert!(received.iter().all(|request| request.text == received[0].text), "the content stays");

    receiver.forget();
    folder.run(&["override", "clear", "1"]).expect(0);
    assert_eq!(receiver.count(1).await[0].events().len(), 1, "{:?}", receiver.events());
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_page_and_no_other_receiver() {
    let (api, dead, healthy) = (Api::start(), Receiver::start(), Receiver::start());
    let hanging = dead.webhook("timeout = \"1h\"").replace("\"hook\"", "\"dead\"");
    let folder = folder(&api.url, &format!("{NO_HOLD}{SITES}{hanging}{}", healthy.webhook("")));
    dead.answer([0; 99]);
    folder.write("sites.csv", &round_the_clock(2, OPEN));
    let mut process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.run(&SNOW).expect(0);
    dead.count(1).await;
    folder.run(&["override", "clear", "1"]).expect(0);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    healthy.event("ended: override 1").await;
    folder.write("sites.csv", &round_the_clock(2, "closed"));
    api.until_variable("A-1", "is_open", &json!(false)).await;
    assert_eq!(dead.received().len(), 1, "one message is on its way");
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

#[tokio::test]
async fn slack_and_teams_get_their_forms_and_their_urls_stay_secret() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let block = |name: &str| {
        format!(
            "[[notify]]\nname = \"{name}\"\ntype = \"{name}\"\nurl_file = \"{name}-url\"\ncollect = \"1s\"\n"
        )
    };
    let folder = folder(&api.url, &format!("{}{}{}", always("A-1"), block("slack"), block("teams")));
    let secrets = ["T000/B000/s1ackSecret", "t3amsSecret"];
    folder.private("slack-url", &format!("{}/services/{}\n", receiver.url, secrets[0]));
    folder.private("teams-url", &format!("{}/workflows/{}\n", receiver.url, secrets[1]));
    // The answer repeats the path.
    receiver.answer([500, 500]);
    let process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder
        .run(&[&SNOW[..5], &["--reason=<!channel> [x](https://evil.example)\nforged: line"]].concat())
        .expect(0);
    let received = receiver.count(2).await;
    let of = |path: &str| {
        received
            .iter()
            .find(|request| request.path.starts_with(path))
            .unwrap_or_else(|| panic!("{received:?}"))
            .body()
    };
    let text = of("/services")["blocks"][0]["text"]["text"].as_str().unwrap().to_owned();
    assert!(text.ends_with("&lt;!channel&gt; [x](https://evil.example) forged: line"), "{text}");
    let run = of("/workflows")["attachments"][0]["content"]["body"][0]["inlines"][0].clone();
    assert_eq!(run["type"], "TextRun");
    assert!(
        run["text"].as_str().unwrap().ends_with("<!channel> [x](https://evil.example) forged: line"),
        "{run}"
    );
    until("both attempts failed", || process.log().matches("notification not delivered").count() >= 2).await;
    let tested = folder.run(&["notify", "test"]);
    let shown = format!("{}{}{}", tested.out, tested.err, folder.run(&["status"]).out);
    for (path, content) in folder.everything() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let content = String::from_utf8_lossy(&content).into_owned();
        for secret in secrets.iter().filter(|_| !name.ends_with("-url")) {
            assert!(!content.contains(secret) && !shown.contains(secret), "{name}");
        }
    }
}

#[tokio::test]
async fn a_test_message_goes_to_each_receiver_and_what_came_back_is_shown() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let script =
        "[[notify]]\nname = \"script\"\ntype = \"command\"\ncommand = [\"./script\", \"--tag\", \"$(id)\"]\n";
    let slow = "[[notify]]\nname = \"slow\"\ntype = \"command\"\ncommand = [\"sleep\", \"600\"]\ntimeout = \"200ms\"\n";
    // Its child holds the output open.
    let forks = "[[notify]]\nname = \"forks\"\ntype = \"command\"\ncommand = [\"sh\", \"-c\", \"sleep 60 & exit 0\"]\n";
    let blocks = format!("{}{}{script}{slow}{forks}", always("A-1"), receiver.webhook(""));
    let folder = folder(&api.url, &blocks);
    folder.write(
        "script",
        "#!/bin/sh\ncat > seen\nenv > environment\necho \"took $2\"\necho oops >&2\nexit 3\n",
    );
    std::fs::set_permissions(folder.path("script"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = folder.command(&["notify", "test", "--format", "json"]);
    let ran = crate::support::Ran::new(
        command.env("RTCONFD_API_KEY", KEY).env("PATH", "/usr/bin:/bin").output().unwrap(),
    );
    let lines = ran.expect(1).lines();
    let line = |name: &str| lines.iter().find(|line| line["name"] == name).unwrap().clone();
    assert_eq!(
        line("hook"),
        json!({"name": "hook", "type": "webhook", "result": "delivered", "answer": "200 OK ok"})
    );
    assert_eq!(line("script")["answer"], "exit status: 3: took $(id) oops");
    assert_eq!((&line("forks")["result"], &line("forks")["answer"]), (&json!("delivered"), &json!("exit 0")));
    assert_eq!(line("slow")["answer"], "the command did not end within 0.2 s");
    let seen: Value = serde_json::from_slice(&std::fs::read(folder.path("seen")).unwrap()).unwrap();
    assert_eq!(seen["type"], "rtconfd.test");
    let environment = std::fs::read_to_string(folder.path("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains(KEY), "{environment}");

    let received = receiver.count(1).await;
    received[0].verify();
    assert_eq!(
        received[0].body()["data"]["title"],
        "This is a test: notifications from rtconfd arrive here."
    );
    let one = folder.run(&["notify", "test", "hook"]).expect(0);
    assert!(one.out.contains("hook   webhook   delivered   200 OK ok"), "{}", one.out);
    receiver.answer([404]);
    let refused = folder.run(&["notify", "test", "hook"]).expect(1);
    assert!(refused.out.contains("failed   404 Not Found no, /hook"), "{}", refused.out);
    assert!(
        folder
            .run(&["notify", "test", "x"])
            .expect(1)
            .err
            .contains("the receivers are: hook, script, slow, forks")
    );
}

async fn metrics(folder: &crate::support::Folder) -> String {
    let http = reqwest::Client::builder().unix_socket(folder.path("state.sqlite.sock")).build().unwrap();
    http.get("http://localhost/metrics").send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_reload_takes_over_new_receivers_and_refuses_unusable_secrets() {
    let (api, receiver) = (Api::start(), Receiver::start());
    let settings = format!("{}{}", always("A-1"), receiver.webhook(""));
    let folder = folder(&api.url, &always("A-1"));
    let process = running(&folder).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    folder.run(&SNOW).expect(0);
    assert_eq!(folder.stored().fact("notifications").unwrap(), None, "without receivers nothing runs");

    std::fs::set_permissions(folder.path("secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    folder.settings(&api.url, &settings);
    let refused = folder.run(&["reload"]).expect(1).err;
    assert!(
        refused.contains("notify \"hook\": other users can read") && refused.contains("chmod 600"),
        "{refused}"
    );
    assert!(
        folder.run(&["check", "--offline"]).expect(1).err.contains("notify \"hook\": other users can read")
    );

    folder.private("secret", super::SECRET);
    folder.run(&["reload"]).expect(0);
    // A new receiver learns what holds now.
    receiver.event("override 1: closed").await;
    folder.settings(&api.url, &always("A-1"));
    assert!(metrics(&folder).await.contains("rtconfd_notification_failures{receiver=\"hook\"}"));
    folder.run(&["reload"]).expect(0);
    assert!(!metrics(&folder).await.contains("receiver=\"hook\""), "a removed receiver is shown no more");
    receiver.forget();
    folder.run(&["override", "clear", "1"]).expect(0);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert!(receiver.received().is_empty(), "{}", process.log());
}
