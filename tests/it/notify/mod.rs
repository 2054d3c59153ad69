//! Notifications from the real daemon and the test command, received by a real HTTP server.

mod delivery;
mod events;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

use crate::support::{Folder, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A received request.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    headers: HeaderMap,
    text: String,
}

impl Received {
    fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Returns the texts of all listed events, as `kind: text`.
    fn events(&self) -> Vec<String> {
        let body = self.body();
        let groups = body["data"]["groups"].as_array().unwrap().iter();
        let events = groups.flat_map(|group| group["events"].as_array().unwrap());
        let shown = |event: &Value| {
            format!("{}: {}", event["kind"].as_str().unwrap(), event["text"].as_str().unwrap())
        };
        events.map(shown).collect()
    }

    /// Verifies the signature as the specification describes it, apart from the program's code.
    fn verify(&self) {
        let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        let signed = [self.header("webhook-id"), self.header("webhook-timestamp"), &self.text].join(".");
        mac.update(signed.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(self.header("webhook-signature"), expected);
        assert_eq!(self.header("content-type"), "application/json");
    }
}

#[derive(Clone, Default)]
struct Requests {
    received: Arc<Mutex<Vec<Received>>>,
    /// The answers to come; then 200.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

/// A receiver of messages on its own port.
struct Receiver {
    requests: Requests,
    url: String,
}

async fn receive(
    State(requests): State<Requests>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let text = String::from_utf8(body.to_vec()).unwrap();
    requests.received.lock().unwrap().push(Received { path: uri.path().to_owned(), headers, text });
    let answer = requests.answers.lock().unwrap().pop_front();
    match answer {
        // Never answers.
        Some(0) => std::future::pending().await,
        Some(status) => (StatusCode::from_u16(status).unwrap(), format!("no, {}", uri.path())),
        None => (StatusCode::OK, "ok".to_owned()),
    }
}

impl Receiver {
    fn start() -> Self {
        let requests = Requests::default();
        let router = Router::new().fallback(receive).with_state(requests.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await
            })
        });
        Self { requests, url }
    }

    /// Sets the answers to the next requests; 0 never answers.
    fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.requests.answers.lock().unwrap().extend(statuses);
    }

    fn received(&self) -> Vec<Received> {
        self.requests.received.lock().unwrap().clone()
    }

    fn forget(&self) {
        self.requests.received.lock().unwrap().clear();
    }

    /// Waits for a number of requests; returns all.
    async fn count(&self, count: usize) -> Vec<Received> {
        until(&format!("{count} messages arrive"), || self.received().len() >= count).await;
        self.received()
    }

    /// Waits until an event that contains a text arrives; returns it.
    async fn event(&self, text: &str) -> String {
        let mut found = None;
        until(&format!("an event with {text:?} arrives"), || {
            let received = self.received();
            found = received.iter().flat_map(Received::events).find(|event| event.contains(text));
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Returns all events so far.
    fn events(&self) -> Vec<String> {
        self.received().iter().flat_map(Received::events).collect()
    }

    /// Returns a block for a webhook, which collects for a second.
    fn webhook(&self, more: &str) -> String {
        format!(
            "[[notify]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}/hook\"\nsecret_file = \"secret\"\ncollect = \"1s\"\n{more}\n",
            self.url
        )
    }
}

/// Creates a folder with settings, and the secret of the webhook.
fn folder(base_url: &str, settings: &str) -> Folder {
    let folder = Folder::new(base_url, settings);
    folder.private("secret", SECRET);
    folder
}
