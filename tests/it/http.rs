//! The running daemon over HTTP: its routes, probes and metrics, and clients that misbehave.

use rtconfd::clock::{Clock, ManualClock, WallClock};
use serde_json::{Value, json};

use crate::support::{Api, Folder, KEY, NO_HOLD, always, running, until};

#[tokio::test]
async fn http_serves_health_metrics_status_the_webhook_and_overrides_with_a_token() {
    let api = Api::start();
    let settings = always("A-1").replace("variables = {", "variables = { seats = 40,");
    let listen = "resync = \"1h\"\n[listen]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
                  webhook_secret_file = \"hook\"\nwebhook_query = \"key\"\n";
    let folder = Folder::new(&api.url, &format!("{NO_HOLD}{settings}"));
    let written = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &format!("{}\n{written}", listen.split_once("[listen]").unwrap().0));
    let written = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write(
        "rtconfd.toml",
        &written.replace("[hold]", &format!("[listen]{}[hold]", listen.split_once("[listen]").unwrap().1)),
    );
    folder.private("token", "t0ken\n");
    folder.private("hook", "s3cret\n");
    let mut process = running(&folder).await;
    let port = process.port().await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let get = async |path: &str| http.get(url(path)).send().await.unwrap().text().await.unwrap();
    assert_eq!(get("/healthz").await, "ok\n");
    let metrics = get("/metrics").await;
    assert_eq!(crate::docs::undocumented_metrics(&metrics), Vec::<String>::new());
    for line in [
        "rtconfd_pages{state=\"right\"} 1",
        "rtconfd_held 0",
        "rtconfd_values_applied_total 2",
        "rtconfd_answers_total{operation=\"patch\",status=\"200\"} 1",
        "rtconfd_transition_lag_seconds_count 0",
        "rtconfd_transition_lag_seconds_bucket{le=\"+Inf\"} 0",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let status: Value = serde_json::from_str(&get("/status").await).unwrap();
    assert_eq!(status["pages"][0]["state"], json!("right"));

    // A web page that rebinds its own name to this machine gets no data.
    let foreign = http.get(url("/status")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    // Probes and scrapers name the machine by an address, which no settings can list.
    for path in ["/healthz", "/readyz", "/metrics"] {
        let scraped = http.get(url(path)).header("host", "10.1.2.3:9464").send().await.unwrap();
        assert_eq!(scraped.status(), 200, "{path}");
    }
    let asking = json!({"all": true, "says": "closed", "reason": "snow", "who": "anna"}).to_string();
    for (token, expected) in [(None, 403), (Some("t0kem"), 403), (Some("t0ken"), 201)] {
        let mut request = http.post(url("/overrides")).body(asking.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(request.send().await.unwrap().status(), expected, "{token:?}");
    }
    api.until_variable("A-1", "is_open", &json!(false)).await;

    // The webhook triggers a fetch that finds and fixes the drift long before the next resync.
    api.edit("A-1", &json!({"seats": 1}));
    let call = |query: &str| {
        let body = json!({"project_id": "A-1", "client_env": "live", "user": "bert@example.com"}).to_string();
        http.post(url(&format!("/webhook{query}"))).body(body).send()
    };
    assert_eq!(call("?key=wrong").await.unwrap().status(), 403);
    assert_eq!(call("").await.unwrap().status(), 403);
    assert_eq!(call("?key=s3cret").await.unwrap().status(), 202);
    api.until_variable("A-1", "seats", &json!(40)).await;
    until("the drift is recorded", || !folder.stored().drifts(None, false, 5).unwrap().is_empty()).await;
    let history = folder.run(&["history"]).expect(0).out;
    assert!(
        history.contains("Drift: A-1/live seats was changed from 40 to 1 (-39) by bert@example.com, seen "),
        "{history}"
    );
    for (file, secret) in folder.everything().iter().flat_map(|file| [(file, "t0ken"), (file, "s3cret")]) {
        let holds = String::from_utf8_lossy(&file.1).contains(secret);
        assert!(
            !holds || ["token", "hook"].contains(&file.0.file_name().unwrap().to_str().unwrap()),
            "{:?}",
            file.0
        );
    }
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

/// Settings with HTTP on a free port.
fn listening(api: &Api, settings: &str) -> Folder {
    Folder::new(&api.url, &format!("[listen]\naddress = \"127.0.0.1:0\"\n{settings}"))
}

/// A removed token must not stay valid on connections that are open.
#[tokio::test]
async fn a_reload_replaces_tokens_and_moves_the_listener_and_a_failed_one_changes_nothing() {
    let api = Api::start();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (reserved, old) = (free(), free().local_addr().unwrap().port());
    let new = reserved.local_addr().unwrap().port();
    let folder = Folder::new(&api.url, "");
    let set = |listen: &str| folder.settings(&api.url, &format!("{listen}\n{}", always("A-1")));
    let at = |address: &str, token: &str| format!("[listen]\naddress = \"{address}\"\n{token}");
    let token = "[[listen.tokens]]\nname = \"anna\"\nfile = \"token\"\nrights = [\"override\"]\n";
    folder.private("token", "t0ken");
    set(&at(&format!("127.0.0.1:{old}"), token));
    let mut process = running(&folder).await;
    assert_eq!(process.port().await, old);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let release = async |port: u16| {
        let asked =
            || http.delete(format!("http://127.0.0.1:{port}/overrides/9")).bearer_auth("t0ken").send();
        // The reload may be about to close the first connection.
        let answer = match asked().await {
            Ok(answer) => Ok(answer),
            Err(_) => asked().await,
        };
        answer.map(|answer| answer.status().as_u16()).ok()
    };
    let (unknown_override, unknown_token) = (Some(422), Some(403));
    assert_eq!(release(old).await, unknown_override);
    let mut live = http.get(format!("http://127.0.0.1:{old}/events")).send().await.unwrap();
    assert!(live.chunk().await.unwrap().unwrap().starts_with(b"data: "));
    let mut live = Some(live);

    // Settings that cannot be used change nothing: the page that they add is never sent.
    let more = "[[page]]\nagent = \"A-2\"\nenvironment = \"live\"\n\
                variables = { is_open = { hours = \"desk\", show = \"is_open\" } }\n";
    // All addresses have the port of one that another program uses; ours is closed to find out.
    let beside = std::net::TcpListener::bind(("127.0.0.2", old)).unwrap();
    for (listen, reported) in [
        (at(&format!("127.0.0.1:{old}"), &token.replace("\"token\"", "\"gone\"")), "token anna: cannot read"),
        (at(&format!("127.0.0.1:{new}"), token), "stop the program that uses the port, or set another port"),
        (at(&format!("0.0.0.0:{old}"), token), "stop the program that uses the port, or set another port"),
        (at(&format!("192.0.2.1:{old}"), token), "set an address of this machine and a free port"),
    ] {
        folder.settings(&api.url, &format!("{listen}\n{}{more}", always("A-1")));
        let refused = folder.run(&["reload"]).expect(1).err;
        assert!(refused.contains(reported), "{refused}");
        assert_eq!(release(old).await, unknown_override, "{listen}");
        // The first one did not even stop the driver.
        if let Some(mut live) = live.take() {
            // Without news, comments keep the connection alive.
            while !live
                .chunk()
                .await
                .unwrap()
                .expect("the live view follows a failed reload")
                .starts_with(b"data: ")
            {}
        }
    }
    drop((reserved, beside));

    set(&at(&format!("127.0.0.1:{old}"), ""));
    folder.run(&["reload"]).expect(0);
    assert_eq!(release(old).await, unknown_token);
    // The same port, now on all addresses.
    set(&at(&format!("0.0.0.0:{old}"), token));
    folder.run(&["reload"]).expect(0);
    assert_eq!(release(old).await, unknown_override);
    set(&at(&format!("127.0.0.1:{new}"), token));
    folder.run(&["reload"]).expect(0);
    assert_eq!((release(new).await, release(old).await), (unknown_override, None));
    set("");
    folder.run(&["reload"]).expect(0);
    assert_eq!(release(new).await, None);
    let is_of_refused_page = |request: &rtconfd::simulator::Logged| request.path.contains("A-2");
    assert!(!api.simulator.log().iter().any(is_of_refused_page));
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}

/// Wrong tokens are answered late, and must not take the places of other callers meanwhile.
#[tokio::test]
async fn wrong_tokens_keep_nobody_else_out() {
    let api = Api::start();
    let folder = listening(&api, &format!("token_file = \"token\"\n{}", always("A-1")));
    folder.private("token", "t0ken");
    let mut process = running(&folder).await;
    let port = process.port().await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let wrong = |_| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        let request = "GET /status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n";
        std::io::Write::write_all(&mut stream, request.as_bytes()).ok()?;
        Some(stream)
    };
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut guesses: Vec<std::net::TcpStream> = Vec::new();
    // Only those that the daemon has read can take a place, so more come in between.
    for _ in 0..20 {
        guesses.extend((0..64).filter_map(wrong));
        let health = http.get(format!("http://127.0.0.1:{port}/healthz")).send().await;
        let health = health.map(|answer| answer.status().as_u16()).ok();
        assert_eq!(health, Some(200), "beside {} guesses", guesses.len());
    }
    process.signal("TERM");
    assert_eq!(process.ends().await, 0);
}

/// Opens more silent connections than a process may have open files.
#[tokio::test]
async fn half_open_connections_delay_neither_people_nor_pages() {
    let api = Api::start();
    let folder = listening(&api, &always("A-1"));
    let mut process = running(&folder).await;
    let port = process.port().await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let silent: Vec<std::net::TcpStream> =
        (0..1_100).filter_map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).ok()).collect();
    assert!(silent.len() > 1_000, "{}", silent.len());
    let set = ["override", "set", "A-1/live", "--closed", "--until-released", "--reason", "snow"];
    folder.run(&set).expect(0);
    api.until_variable("A-1", "is_open", &json!(false)).await;
    folder.run(&["status"]).expect(0);
    // Connections beyond the limit are closed immediately, all connections after an idle timeout.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answered = false;
    for _ in 0..300 {
        answered = http.get(format!("http://127.0.0.1:{port}/healthz")).send().await.is_ok();
        if answered {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(answered, "HTTP no longer answers");
    drop(silent);
    process.signal("TERM");
    assert_eq!(process.ends().await, 0);
}

/// A connection whose request body never arrives is replaced like a silent one.
#[tokio::test]
async fn request_bodies_that_never_arrive_delay_no_other_request() {
    let api = Api::start();
    let folder = listening(&api, &format!("token_file = \"token\"\n{}", always("A-1")));
    folder.private("token", "t0ken\n");
    let mut process = running(&folder).await;
    let port = process.port().await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let begun = |_| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        let head = "POST /overrides HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t0ken\r\nContent-Length: 100\r\n\r\n{";
        std::io::Write::write_all(&mut stream, head.as_bytes()).ok()?;
        Some(stream)
    };
    let halves: Vec<std::net::TcpStream> = (0..200).filter_map(begun).collect();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = http.get(format!("http://127.0.0.1:{port}/healthz")).send().await;
    assert_eq!(
        health.map(|answer| answer.status().as_u16()).ok(),
        Some(200),
        "with {} pending bodies",
        halves.len()
    );
    process.signal("TERM");
    assert_eq!(process.ends().await, 0);
}

/// Concurrent readers are answered immediately from one status snapshot.
#[tokio::test]
async fn concurrent_readers_share_one_status() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    let clock = ManualClock::new(WallClock.now());
    let driving = crate::support::Driving::start(&folder, &clock, rtconfd::reconcile::Mode::Daemon).await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let asked = futures_util::future::join_all((0..1_000).map(|_| driving.board.ask())).await;
    let statuses: std::collections::HashSet<_> =
        asked.iter().map(|status| std::sync::Arc::as_ptr(status.as_ref().unwrap())).collect();
    assert!(statuses.len() <= 2, "the driver was asked {} times", statuses.len());
    driving.stop().await;
}

/// A supervisor queries this endpoint and restarts the daemon.
///
/// The other threads do not notice that one hangs.
#[tokio::test]
async fn health_names_a_thread_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (feed, _fed) = tokio::sync::mpsc::channel(1);
    let (handles, _reloads) = rtconfd::web::Handles::new(feed, WallClock.now());
    let pulse = rtconfd::pulse::Pulse::new("the thread of this test", std::time::Duration::ZERO);
    handles.pulses.watch(pulse.clone());
    let path = folder.path().join("socket");
    let _socket = rtconfd::web::serve_socket(&path, handles.clone()).unwrap();
    assert_eq!(handles.pulses.problem(), None, "a thread that waits for work does not hang");
    pulse.begin();
    until("it hangs", || handles.pulses.problem().is_some()).await;
    let http = reqwest::Client::builder().unix_socket(path).build().unwrap();
    let answer = http.get("http://localhost/healthz").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("the thread of this test has hung for "), "{text}");
    pulse.rest();
    assert_eq!(handles.pulses.problem(), None);
}

#[tokio::test]
async fn readiness_names_the_conditions_that_are_not_met() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &always("A-1"));
    folder.private("key", "not-the-key-of-the-api");
    let mut process = running(&folder).await;
    let http = reqwest::Client::builder().unix_socket(folder.path("state.sqlite.sock")).build().unwrap();
    let ready = async || {
        let answer = http.get("http://localhost/readyz").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    until("the key is refused", || process.log().contains("the API refused the key")).await;
    let (status, text) = ready().await;
    assert_eq!(status, 503);
    let first_sync = "not ready\nfirst_sync: 1 of 1 pages were not fetched yet\nkey: ";
    assert!(text.starts_with(first_sync), "{text}");
    folder.private("key", KEY);
    api.until_variable("A-1", "is_open", &json!(true)).await;
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    process.signal("TERM");
    assert_eq!(process.ends().await, 0, "{}", process.log());
}
