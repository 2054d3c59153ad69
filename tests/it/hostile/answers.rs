//! Answers of the API without end, compressed, or beyond their limits.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use rtconfd::agents_api::{ApiError, Client, KeySource, ReadPages, Timeouts, read_page, read_pages};
use rtconfd::model::PageId;
use serde_json::{Value, json};

use super::{HANG, compiled, ends};
use crate::support::{Api, Folder, running, until};

const PAGE: &str = "A-1/live";

/// Answers one request with `answer` until the client disconnects, and returns the request.
fn serve(
    answer: impl Fn(&mut std::net::TcpStream) -> std::io::Result<()> + Send + 'static,
) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            asked.extend_from_slice(&buffer[..count]);
        }
        let _ = answer(&mut stream);
        String::from_utf8(asked).unwrap()
    });
    (url, serving)
}

async fn ask(url: &str, total: Duration) -> Result<(), ApiError> {
    let key = KeySource::find(None, |name| (name == "RTCONFD_API_KEY").then(|| "0123456".to_owned()));
    let timeouts = Timeouts { connect: Duration::from_secs(30), read: Duration::from_secs(30), total };
    let client = Client::new(url, key.unwrap().load().unwrap(), timeouts).unwrap();
    tokio::time::timeout(HANG, client.page(&PAGE.parse().unwrap()))
        .await
        .expect("every answer ends")
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_off() {
    let endless_body = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"10000\r\n")?;
            stream.write_all(&[b' '; 0x10000])?;
            stream.write_all(b"\r\n")?;
        }
    };
    let endless_headers = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"x-more: and more\r\n")?;
        }
    };
    let endless_header = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-more: ")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    };
    // A slow drip: each wait is short, but the whole answer takes long.
    let slow_drip = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
        loop {
            stream.write_all(b" ")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let (url, _) = serve(endless_body);
    assert!(ask(&url, HANG).await.unwrap_err().message.contains("larger than 8388608 bytes"));
    for (name, (url, _)) in [("headers", serve(endless_headers)), ("header", serve(endless_header))] {
        let error = ask(&url, HANG).await.unwrap_err();
        assert!(error.status.is_none() && error.message.contains("cannot reach the API"), "{name}: {error}");
    }
    let (url, _) = serve(slow_drip);
    let error = ask(&url, Duration::from_secs(1)).await.unwrap_err();
    assert!(error.message.contains("broke off") && error.status == Some(200), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_not_decompressed_and_a_key_of_digits_stays_text() {
    // A gzip header; decompressing could make the body a thousand times larger.
    let packed = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n")?;
        stream.write_all(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
    };
    let (url, asked) = serve(packed);
    let error = ask(&url, HANG).await.unwrap_err();
    assert!(error.message.contains("the API's answer is invalid: expected value"), "{error}");
    let asked = asked.join().unwrap().to_lowercase();
    assert!(!asked.contains("accept-encoding"), "{asked}");
    assert!(asked.contains("x-api-key: 0123456\r\n"), "{asked}");
}

#[test]
fn an_answer_beyond_its_limits_is_refused_before_it_is_parsed() {
    let page: PageId = "A-1/live".parse().unwrap();
    let pages = |count: usize| format!("{{\"configPages\":[{}{{}}]}}", "{},".repeat(count - 1));
    for (body, expected) in [
        ("[".repeat(100_000), "nested 100000 levels deep, and at most 100"),
        (format!("{{\"variables\":{}1", "{\"a\":".repeat(101)), "at most 100 are read"),
        (format!("{{\"variables\":{{\"a\":[{}1]}}}}", "1,".repeat(300_000)), "at most 250000 are read"),
        (" ".repeat(9 << 20), "larger than 8388608 bytes"),
    ] {
        let page = page.clone();
        let read = ends(expected, move || {
            (read_page(body.as_bytes(), &page).map(drop), read_pages(body.as_bytes(), "A-1").map(drop))
        });
        let reported = read.1.as_ref().unwrap_err();
        assert!(reported.contains(expected), "{expected}: {reported}");
        assert_eq!(read.0, read.1);
    }
    assert!(
        read_pages(pages(101).as_bytes(), "A-1").unwrap_err().contains("lists 101 pages, and at most 100")
    );
    assert!(read_pages(pages(100).as_bytes(), "A-1").is_ok());
    // Numbers of other clients pass through unchanged, even if a double cannot represent them.
    let body = br#"{"clientEnv": "live", "variables": {"a": 1e400, "b": 123456789012345678901234567890}}"#;
    let page = read_page(body, &page).unwrap();
    let schema =
        compiled(&json!({"properties": {"a": {"maximum": 5, "multipleOf": 0.1}, "b": {"type": "integer"}}}));
    assert!(!schema.unwrap().takes(&Value::Object(page.variables)));
}

#[tokio::test]
async fn pages_beyond_the_memory_for_fetched_pages_wait_until_it_is_raised() {
    let api = Api::start();
    let agents = ["A-0", "A-1", "A-2"];
    for agent in agents {
        api.edit(agent, &json!({"notes": "x".repeat(2_000_000)}));
    }
    let pages = agents.map(|agent| {
        format!("[[page]]\nagent = \"{agent}\"\nenvironment = \"live\"\nvariables = {{ ours = {{ value = 1 }} }}\n")
    });
    let folder = Folder::new(&api.url, &pages.concat());
    let running = running(&folder).await;
    let right = || agents.iter().filter(|agent| api.variables(agent)["ours"] == json!(1)).count();
    until("all fit by default", || right() == 3).await;
    drop(running);
    for agent in agents {
        api.edit(agent, &json!({"ours": 2}));
    }
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &settings.replace("[api]\n", "[api]\nmax_fetched_mib = 1\n"));
    let running = folder.spawn(&["run"]);
    let refused = "take more than 1 MiB of memory (hint: set api.max_fetched_mib to more)";
    until("two do not fit", || folder.run(&["status"]).out.matches(refused).count() == 2).await;
    folder.write("rtconfd.toml", &settings.replace("[api]\n", "[api]\nmax_fetched_mib = 3\n"));
    running.signal("HUP");
    until("nothing is refused", || !folder.run(&["status"]).out.contains(refused)).await;
}
